//! `netd status` and `netd.prom`: what there is, from which file, and what the last runs did.

use super::{applied, conf, fact, gateway, incomplete};
use lab::{Cmd, Lab};

fn status(lab: &Lab) -> Cmd {
    lab.cmd("netd").args(["status", "--run-dir", "run"])
}

/// Runs of blanks become one.
fn squeezed(text: &str) -> String {
    text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

fn scene(lab: &Lab) {
    gateway(lab);
    conf(lab, "lan", "if=eth1; ipmask=10.0.0.1/24");
    let lease = "if=eth0; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0; dns=192.0.2.53 192.0.2.54; search=example.net";
    lab.write("run/dhcp_eth0.ipconf", format!("# lease 3600 from 192.0.2.1\n{}", super::ipconf(lease)));
    fact(lab, "pinger_eth0", "if=eth0; health=up");
    lab.net().ip("address add 203.0.113.9/24 dev eth1");
    lab.net().ip("route add default via 203.0.113.1 metric 700");
}

#[test]
fn one_screen() {
    lab::test(|lab| {
        scene(lab);
        applied(lab);
        applied(lab);
        let screen = squeezed(&status(lab).ok());
        for line in [
            "eth0 up 1500 192.0.2.7/24 (dhcp_eth0)",
            "eth1 up 1500 203.0.113.9/24 10.0.0.1/24 (lan)",
            "eth0 ipv4 192.0.2.1 100 used up dhcp_eth0 lease 3600 from 192.0.2.1",
            "eth1 ipv4 203.0.113.1 700 standby - (not ours)",
            "dhcp_eth0 0 192.0.2.53 192.0.2.54 example.net",
            "eth0: add address 192.0.2.7/24 (dhcp_eth0.ipconf:2)",
        ] {
            assert!(screen.contains(line), "{line}\n\n{screen}");
        }
        assert!(screen.contains(": no file had changed: nothing to do\n"), "{screen}");
        fact(lab, "pinger_eth0", "if=eth0; health=down");
        applied(lab);
        let screen = squeezed(&status(lab).ok());
        assert!(screen.contains(": pinger_eth0.ipconf: nothing to do\n"), "{screen}");
        assert!(screen.contains("192.0.2.1 100 used down dhcp_eth0"), "{screen}");
        lab.write("run/bad.ipconf", "if[$cfg]=eth0\n");
        incomplete(lab);
        let screen = status(lab).fails(1).stdout;
        assert!(screen.contains("problem: run/bad.ipconf:1: expected"), "{screen}");
        assert!(screen.contains("    not: run/bad.ipconf:1: expected"), "{screen}");
    });
}

#[test]
fn the_same_for_programs() {
    lab::test(|lab| {
        scene(lab);
        applied(lab);
        let json = status(lab).arg("--json").ok();
        // A judge of JSON that is not ours.
        lab.write("status.json", &json);
        let asked = r#"(.uplinks[] | select(.route == "used") | .interface, .gateway, .metric, .health, .notes[0]),
            ([.interfaces[].name] | sort | join(" ")), (.names[0].servers | join(" ")), (.runs[0].changes | length)"#;
        let out = lab.cmd("jq").args(["-r", asked, "status.json"]).ok();
        assert_eq!(
            out,
            "eth0\n192.0.2.1\n100\nup\nlease 3600 from 192.0.2.1\neth0 eth1 lo\n192.0.2.53 192.0.2.54\n3\n"
        );
    });
}

#[test]
fn figures_are_written_when_they_change() {
    lab::test(|lab| {
        scene(lab);
        applied(lab);
        let path = lab.path("run/netd.prom");
        let read = || std::fs::read_to_string(&path).unwrap();
        let first = read();
        for line in [
            "portreeve_interface_up{interface=\"eth0\"} 1",
            "portreeve_uplink_used{interface=\"eth0\",family=\"ipv4\",file=\"dhcp_eth0\"} 1",
            "portreeve_uplink_used{interface=\"eth1\",family=\"ipv4\",file=\"\"} 0",
            "portreeve_uplink_healthy{interface=\"eth0\",family=\"ipv4\",file=\"dhcp_eth0\"} 1",
            "portreeve_name_servers{file=\"dhcp_eth0\"} 2",
            "portreeve_problems 0",
        ] {
            assert!(first.lines().any(|l| l == line), "{line}\n\n{first}");
        }
        let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
        let before = inode();
        applied(lab);
        assert_eq!(inode(), before, "nothing changed, nothing is written");
        fact(lab, "pinger_eth0", "if=eth0; health=down");
        applied(lab);
        assert!(read().contains("portreeve_uplink_healthy{interface=\"eth0\",family=\"ipv4\",file=\"dhcp_eth0\"} 0\n"));
    });
}
