//! A newcomer's path: the commands of the README's "On a real machine", word by word, on a machine that has nothing of ours.

use super::{INTERNET, World};
use crate::page::{bare, commands, editor, typed};
use lab::wait_for;

#[test]
fn three_commands_and_a_host_reaches_the_internet() {
    lab::test(|lab| {
        let blocks = commands("README.md", "On a real machine");
        let [three, more] = &blocks[..] else { panic!("{blocks:?}") };
        assert_eq!(three.len(), 3, "{three:?}");
        bare(lab);
        let world = World::new(lab);
        editor(
            lab,
            r#"*/run) sed -i 's/^\( *open_tcp=\)"22"/\1"22, 8080"/' "$1" ;;
            */lan.ipconf) sed -i 's/192\.168\.1\./192.168.7./g' "$1" ;;"#,
        );
        for command in three {
            typed(lab, command);
        }
        wait_for("a lease and its route", || lab.net().ip("route show default").contains("via 192.0.2.1 dev eth0 "));
        wait_for("dnsmasq", || lab.sh("sv check dnsmasq").output().code == 0);
        world.host_comes_up(lab);
        assert!(world.host_reaches_the_internet(lab));
        let names = world.on_host(lab, "busybox nslookup -type=a www.example 192.168.1.1").ok();
        assert!(names.contains(INTERNET), "{names}");

        // The rest of the section: looks, and a change with an editor.
        let said: Vec<_> =
            more.iter().map(|command| (command.split(' ').next().unwrap(), typed(lab, command))).collect();
        let says = |n: usize, what: &str| assert!(said[n].1.contains(what), "{what}: {:?}", said[n]);
        assert_eq!(
            said.iter().map(|(program, _)| *program).collect::<Vec<_>>(),
            ["sv", "netd", "$EDITOR", "$EDITOR", "sv", "netd", "sv", "/etc/sv/fw/stat"]
        );
        for service in ["dhcp_eth0 ", "dnsmasq ", "fw ", "ifplugd_eth0 "] {
            says(0, service);
        }
        says(1, "eth0");
        says(5, "dhcp_eth0.ipconf");
        says(7, "table inet portreeve");
        wait_for("the edited network", || lab.net().ip("address show dev br0").contains(" 192.168.7.1/24 "));
        lab.cmd("sv").args(["-w9", "wait", "ready", "dnsmasq"]).ok();
        world.host_comes_up_in(lab, "192.168.7");
        assert!(world.host_reaches_the_internet(lab));
        wait_for("the edited policy", || {
            lab.cmd("nft").args(["list", "table", "inet", "portreeve"]).ok().contains("8080")
        });
    });
}
