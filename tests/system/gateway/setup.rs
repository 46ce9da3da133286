//! `gateway/setup` by itself: what it writes, that it may be run again, and what it refuses.

use super::gateway;
use crate::install::in_place;
use lab::{Lab, wait_for};

fn setup(lab: &Lab, args: &str) -> lab::Cmd {
    lab.sh(&format!("busybox sh /etc/sv/gateway/setup {args}"))
}

#[test]
fn another_port_for_the_own_network() {
    lab::test(|lab| {
        let world = gateway(lab);
        world.host_comes_up(lab);
        let second = lab.netns("second");
        lab.cable((&lab.net(), "eth2"), (&second, "eth0"));
        let policy = lab.read("/etc/sv/fw/run");
        let said = setup(lab, "eth0 eth1 eth2").ok();
        assert!(said.lines().all(|line| line.contains(": enabled already, ")), "{said}");
        assert_eq!(lab.read("/etc/sv/fw/run"), policy);
        lab.cmd("sv").args(["u", "fw"]).ok();
        wait_for("the second port", || lab.net().ip("link show dev eth2").contains(" master br0 "));
        second.ip("address add 192.168.1.20/24 dev eth0");
        second.ip("route add default via 192.168.1.1");
        wait_for("the internet", || {
            lab.sh(&format!("ping -n -c 1 -W 1 {}", super::INTERNET)).netns(&second).output().code == 0
        });
        assert!(world.host_reaches_the_internet(lab));
    });
}

#[test]
fn only_interfaces_and_only_two_lines() {
    lab::test(|lab| {
        in_place(lab);
        let before = lab.read("/etc/sv/fw/run");
        for (args, says) in [
            ("", "usage: setup WAN PORT..., for instance: setup eth0 eth1 wlan0\n"),
            ("eth0", "usage: setup WAN PORT..., for instance: setup eth0 eth1 wlan0\n"),
            ("eth0 'eth1/../x'", "setup: 'eth1/../x': expected the name of an interface\n"),
            ("'a\"; reboot; \"' eth1", "setup: 'a\"; reboot; \"': expected the name of an interface\n"),
            ("'' eth1", "setup: '': expected the name of an interface\n"),
        ] {
            lab::eqnice!(setup(lab, args).fails(100).stderr, says);
        }
        assert_eq!(lab.read("/etc/sv/fw/run"), before);
        setup(lab, "wan.7 lan-1 lan_2").ok();
        let changed = lab.sh("ls -l /etc/sv/fw/run; ls -A /etc/sv/fw /etc/sv/fw/conf; ls /var/service").ok();
        assert!(changed.starts_with("-rwxr-xr-x ") && !changed.contains("new"), "{changed}");
        assert!(changed.contains("\ndhcp_wan.7\ndhcp_wan.7_pinger\n"), "{changed}");
        let after = lab.read("/etc/sv/fw/run");
        let lines: Vec<_> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).map(|(_, b)| b.trim()).collect();
        assert_eq!(before.lines().count(), after.lines().count());
        assert!(
            matches!(&lines[..], [wan, lan] if wan.starts_with("wan=\"wan.7\" ") && lan.starts_with("lan=\"br0\" ")),
            "{lines:?}"
        );
        assert!(lab.read("/etc/sv/fw/conf/lan.ipconf").contains("\nbridge[$cfg]='lan-1 lan_2'\n"));
    });
}
