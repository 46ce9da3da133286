//! A `fw/run` of the old style, bash with arrays and iptables, as it is: under our supervisor, with our daemons' files.

use super::{World, install as install_service, source};
use lab::wait_for;
use std::fs;
use std::path::Path;

/// Puts it in place of ours.
pub(super) fn install() {
    fs::copy(source("tests/system/fw/legacy/run"), "/run/sv/fw/run").unwrap();
}

/// A lease and a link-local address become a network; without the lease it is gone; each kick is a run, and each run is one.
#[test]
fn runs_unchanged_with_our_files() {
    lab::test(|lab| {
        let world = World::new(lab);
        install();
        install_service("examples/dhcp_if", "/var/service/dhcp_eth0");
        install_service("examples/zcip_if", "/var/service/zcip_eth1");
        let _dnsmasq = world.serve(&["--dhcp-option=option:dns-server,192.0.2.1,192.0.2.53"]);
        let _runsvdir = world.supervise();
        wait_for("the lease", || Path::new("/run/service/fw/dhcp_eth0.ipconf").exists());
        wait_for("a way from the host to the internet", || world.host_reaches_internet());
        assert!(world.has_address("192.168.1.1/24"), "conf/lan.ipconf");
        wait_for("the link-local address", || lab.net().ip("-4 -o address show dev eth1").contains(" 169.254."));
        world.wait_idle();
        assert_eq!(lab.read("/etc/resolv.conf"), "nameserver 192.0.2.1\nnameserver 192.0.2.53\n");
        let lease = lab.read(lab.path("dnsmasq1.leases"));
        let address = lease.split(' ').nth(2).unwrap();
        assert!(lab.net().ip("-4 -o address").contains(&format!("inet {address}/24 brd 192.0.2.255")));
        let rules = lab.cmd("iptables").args(["-S"]).ok();
        assert!(rules.ends_with("-A FORWARD -i eth1 -o eth0 -j ACCEPT\n-A FORWARD -j DROP\n"), "{rules}");
        assert_eq!(world.fw.stat(), "down", "svc -o . is one-shot");

        lab.cmd("sv").args(["down", "/var/service/dhcp_eth0"]).ok();
        wait_for("the file's end", || !Path::new("/run/service/fw/dhcp_eth0.ipconf").exists());
        wait_for("the address's end", || !lab.net().ip("-4 -o address").contains(address));
        world.wait_idle();
        assert!(!lab.net().ip("route").contains("default"));
        assert_eq!(lab.read("/etc/resolv.conf"), "");

        // Kicks during a run are one more run.
        let runs = || {
            let history = fs::read_to_string("/var/service/fw/supervise/history").unwrap();
            history.lines().next().unwrap().trim_start_matches("starts ").parse::<u32>().unwrap()
        };
        let before = runs();
        world.fw.tell("u");
        wait_for("its svc -o .", || runs() == before + 1 && world.fw.stat() == "run, want down");
        for _ in 0..50 {
            world.fw.tell("u");
        }
        wait_for("the run after the last kick", || runs() > before + 1);
        world.wait_idle();
        assert!(runs() <= before + 3, "{} runs", runs() - before);
    });
}
