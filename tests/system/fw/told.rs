//! What depends on the network is told when what it reads has changed, and only then: dnsmasq, ntpd.

use super::World;
use lab::{Lab, Service};
use std::fs;

/// In place of dnsmasq and ntpd: they write down HUP, and each start together with the addresses that are there.
fn readers(lab: &Lab) -> [Service; 2] {
    ["dnsmasq", "ntpd"].map(|name| {
        lab.service_at(format!("/var/service/{name}"))
            .run(
                "trap 'echo told >>told' HUP\necho \"start $(ip -4 -o addr show dev eth0)\" >>told\n\
                  while :; do sleep 1000 & wait; done",
            )
            .build()
    })
}

#[test]
fn of_new_servers() {
    lab::test(|lab| {
        let world = World::new(lab);
        let _runsvdir = world.supervise();
        let [dnsmasq, ntpd] = readers(lab);
        ntpd.wait_lines("told", 1);
        dnsmasq.wait_lines("told", 1);
        // The first time there is a file for dnsmasq, without servers.
        world.kick();
        dnsmasq.wait_lines("told", 2);
        let ntpconf = |server: &str| {
            fs::create_dir_all("/run/service/ntpd").unwrap();
            let text = format!("let cfg=cfg+1\nntpip[$cfg]='{server}'\n");
            fs::write("/run/service/ntpd/dhcp_eth0.ntpconf", text).unwrap();
        };

        ntpconf("192.0.2.1");
        world.publish("dhcp_eth0", "if=eth0 ipmask=192.0.2.7/24 dns=192.0.2.53 ntp=192.0.2.1");
        world.kick();
        assert_eq!(dnsmasq.wait_lines("told", 3)[1..], ["told", "told"]);
        let again = &ntpd.wait_lines("told", 2)[1];
        assert!(again.contains("192.0.2.7/24"), "asked before the network was there: {again}");

        // Nothing that concerns them, and nothing at all.
        world.publish("dhcp_eth0", "if=eth0 ipmask=192.0.2.8/24 dns=192.0.2.53 ntp=192.0.2.1");
        world.kick();
        world.kick();
        // Other name servers, then no time server any more; one after the other, so that the above would be seen.
        world.publish("dhcp_eth0", "if=eth0 ipmask=192.0.2.8/24 dns=192.0.2.54 ntp=192.0.2.1");
        world.kick();
        dnsmasq.wait_lines("told", 4);
        fs::remove_file("/run/service/ntpd/dhcp_eth0.ntpconf").unwrap();
        world.kick();
        ntpd.wait_lines("told", 3);
        world.kick();
        assert_eq!((dnsmasq.lines("told").len(), ntpd.lines("told").len()), (4, 3));
    });
}

/// What is known beforehand is what a server of the own networks starts from.
#[test]
fn of_another_network_of_ones_own() {
    lab::test(|lab| {
        let world = World::new(lab);
        let _runsvdir = world.supervise();
        let [dnsmasq, ntpd] = readers(lab);
        ntpd.wait_lines("told", 1);
        dnsmasq.wait_lines("told", 1);
        world.kick();
        dnsmasq.wait_lines("told", 2);
        world.kick();
        fs::write("/var/service/fw/conf/lan.ipconf", "let cfg=cfg+1\nif[$cfg]=eth0\nipmask[$cfg]=192.168.7.1/24\n")
            .unwrap();
        world.kick();
        let again = &dnsmasq.wait_lines("told", 3)[2];
        assert!(again.starts_with("start ") && again.contains("192.168.7.1/24"), "{again}");
        world.kick();
        assert_eq!((dnsmasq.lines("told").len(), ntpd.lines("told").len()), (3, 1));
    });
}
