//! The seed's networking scenes in the full gateway: cable out and in, a dead gateway, a changed lease, fw kicked while it runs.

use super::{World, gateway};
use lab::{Lab, Service, wait_for};

fn has_default_route(lab: &Lab) -> bool {
    !lab.net().ip("route show default").is_empty()
}

fn log_says(service: &str, what: &str) -> bool {
    let log = std::fs::read_to_string(format!("/var/log/service/{service}/current")).unwrap_or_default();
    log.lines().any(|line| line.contains(what))
}

fn starts(service: &Service) -> u32 {
    let history = service.lines("supervise/history");
    history.iter().find_map(|l| l.strip_prefix("starts ")?.parse().ok()).expect("a history")
}

#[test]
fn cable_out_and_in() {
    lab::test(|lab| {
        let world = gateway(lab);
        world.host_comes_up(lab);
        assert!(world.host_reaches_the_internet(lab));
        for _ in 0..2 {
            world.cable.pull();
            wait_for("the route's end", || !has_default_route(lab));
            wait_for("the address' end", || !lab.net().ip("-4 address show dev eth0").contains("192.0.2."));
            lab.cmd("sv").args(["-w9", "wait", "down", "dhcp_eth0"]).ok();
            wait_for("the name server's end", || !lab.read("/etc/resolv.conf").contains("nameserver"));
            assert!(!world.host_reaches_the_internet(lab));
            world.cable.plug();
            wait_for("the way to the internet", || world.host_reaches_the_internet(lab));
            wait_for("the name server", || lab.read("/etc/resolv.conf").contains("nameserver 192.0.2.1"));
        }
    });
}

/// The cable is in and nobody answers: what notices is the pinger, and it restarts the DHCP client.
#[test]
fn dead_gateway() {
    lab::test(|lab| {
        let world = gateway(lab);
        world.host_comes_up(lab);
        wait_for("pinger's good word", || log_says("dhcp_eth0_pinger", "eth0: up"));
        let before = Service::at("/etc/sv/dhcp_eth0").pid();
        world.provider.ip("link set br0 down");
        wait_for("the restart", || log_says("dhcp_eth0_pinger", "restarting /var/service/dhcp_eth0"));
        Service::at("/etc/sv/dhcp_eth0").wait_new_pid(before);
        assert!(lab.net().carrier("eth0"));
        world.provider.ip("link set br0 up");
        wait_for("the way to the internet", || world.host_reaches_the_internet(lab));
    });
}

/// The provider hands out other addresses: the next question gets a NAK, and everything that was the old address is gone.
#[test]
fn changed_lease() {
    lab::test(|lab| {
        let world = gateway(lab);
        world.host_comes_up(lab);
        let address = |range: &str| lab.net().ip("-4 address show dev eth0").contains(range);
        assert!(address(" 192.0.2.1"));
        world.dnsmasq.stop();
        World::serve(lab, &world.provider, "192.0.2.200,192.0.2.220,2m");
        lab.cmd("sv").args(["1", "dhcp_eth0"]).ok();
        wait_for("the other address", || address(" 192.0.2.2") && !address(" 192.0.2.1"));
        wait_for("the way to the internet", || world.host_reaches_the_internet(lab));
        let known = lab.read("/var/run/service/fw/dhcp_eth0.ipconf");
        assert!(known.contains("ip[$cfg]='192.0.2.2"), "{known}");
    });
}

/// However often fw is kicked while it runs, it runs once more, and that run sees everything.
#[test]
fn fw_kicked_while_it_runs_is_executed_once_more() {
    lab::test(|lab| {
        let world = gateway(lab);
        world.host_comes_up(lab);
        let fw = Service::at("/etc/sv/fw");
        // The last of those who kick fw by themselves.
        wait_for("pinger's good word", || log_says("dhcp_eth0_pinger", "eth0: up"));
        lab.cmd("sv").args(["-w9", "wait", "down", "fw"]).ok();
        let before = starts(&fw);
        // One of the files that fw makes takes its time: until somebody opens the fifo.
        lab.sh("mkfifo gate && cat >/etc/sv/fw/etc/slow && chmod 755 /etc/sv/fw/etc/slow")
            .stdin(format!("#!/bin/sh\necho >>{0}/made\nread -r _ <{0}/gate\n", lab.dir().display()))
            .ok();
        lab.cmd("sv").args(["u", "fw"]).ok();
        wait_for("fw in the midst of it", || lab.path("made").exists());
        for address in 10..20 {
            let fact = format!("let cfg=cfg+1\nif[$cfg]=br0\nipmask[$cfg]=10.9.8.{address}/24\n");
            lab.write("fact", fact);
            lab.sh("mv fact /var/run/service/fw/other.ipconf && sv u fw").ok();
        }
        assert_eq!((starts(&fw), lab.read("made").len()), (before + 1, 1));
        lab.sh("echo >gate").ok();
        wait_for("the second run", || lab.read("made").len() == 2);
        lab.sh("rm /etc/sv/fw/etc/slow; echo >gate").ok();
        lab.cmd("sv").args(["-w9", "wait", "down", "fw"]).ok();
        assert_eq!(starts(&fw), before + 2);
        let addresses = lab.net().ip("-4 address show dev br0");
        assert_eq!(addresses.matches("inet 10.9.8.").count(), 1, "{addresses}");
        assert!(addresses.contains(" 10.9.8.19/24 "), "{addresses}");
        assert!(world.host_reaches_the_internet(lab));
    });
}
