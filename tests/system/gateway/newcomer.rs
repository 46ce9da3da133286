//! A newcomer's path: the commands of the README's "On a real machine", word by word, on a machine that has nothing of ours.

use super::{INTERNET, World};
use lab::{Lab, wait_for};
use std::path::Path;

/// The indented blocks of a section of the README, a command per line.
fn commands(section: &str) -> Vec<Vec<String>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let text = readme.split("\n## ").find_map(|s| s.strip_prefix(section)).expect("the section");
    let mut blocks = vec![Vec::new()];
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(command) => blocks.last_mut().unwrap().push(command.to_owned()),
            None if blocks.last().unwrap().is_empty() => {}
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// A machine without anything of ours: its own /usr/local and /etc, and a PATH without the lab's programs.
fn bare(lab: &Lab) {
    lab.sh("mount -t tmpfs bare /usr/local && rm -f /etc/sv && rmdir /var/service").ok();
}

/// One command as it is typed, in the source tree. The editor does what `editor` says to the file it is given.
fn typed(lab: &Lab, command: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    let built = exe.parent().and_then(Path::parent).unwrap().to_owned();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    lab.sh(&format!("cd {} && {command}", tree.display()))
        .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("BUILT", std::env::var_os("PORTREEVE_BIN").map_or(built, Into::into))
        .env("EDITOR", lab.path("editor"))
        .ok()
}

#[test]
fn three_commands_and_a_host_reaches_the_internet() {
    lab::test(|lab| {
        let blocks = commands("On a real machine");
        let [three, more] = &blocks[..] else { panic!("{blocks:?}") };
        assert_eq!(three.len(), 3, "{three:?}");
        bare(lab);
        let world = World::new(lab);
        lab.write("editor", "#!/bin/sh\ncase $1 in\n*/run) sed -i 's/^\\( *open_tcp=\\)\"22\"/\\1\"22, 8080\"/' \"$1\" ;;\n*/lan.ipconf) sed -i 's/192\\.168\\.1\\./192.168.7./g' \"$1\" ;;\n*) exit 1 ;;\nesac\n");
        lab.sh("chmod 755 editor").ok();
        for command in three {
            // What is started in the background lives on.
            typed(lab, &command.replace('&', ">/dev/null 2>&1 &"));
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
        wait_for("the edited policy", || {
            lab.cmd("nft").args(["list", "table", "inet", "portreeve"]).ok().contains("8080")
        });
    });
}
