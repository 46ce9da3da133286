//! What hosts behind a gateway get from it: addresses and names.

use super::{edit, log, under_ash, wait_log};
use crate::fw::{INTERNET, World, install, source};
use lab::{Lab, Service, install_peer, peer, wait_for};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A client's script that says what it got.
fn hook(lab: &Lab) -> PathBuf {
    let script = "#!/bin/sh\n[ \"$1\" != bound ] || echo \"got $ip/$mask router $router dns $dns for $lease s\"\n";
    let path = lab.write("hook", script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// One lease of the host, by our client or by busybox's.
fn lease(world: &World<'_>, ours: bool) -> String {
    let client = if ours {
        world.lab.cmd("udhcpc")
    } else {
        world.lab.cmd(peer("busybox")).arg("udhcpc").named("busybox udhcpc")
    };
    client.args(["-f", "-q", "-n", "-i", "eth0", "-s"]).arg(hook(world.lab)).netns(&world.host).ok()
}

/// The host has no address of its own any more; it gets one.
fn hosts_get_addresses(world: &World<'_>) {
    world.host.ip("addr flush dev eth0");
    for ours in [true, false] {
        let got = lease(world, ours);
        let host = got.split("got 192.168.1.").nth(1).and_then(|rest| rest.split('/').next()?.parse::<u8>().ok());
        assert!(host.is_some_and(|n| n >= 128), "an address of the upper half: {got}");
        // The second client gets what is left of the first one's lease.
        let lease =
            got.split("/24 router 192.168.1.1 dns 192.168.1.1 for ").nth(1).and_then(|rest| rest.split(' ').next());
        let lease = lease.and_then(|seconds| seconds.parse().ok());
        assert!(lease.is_some_and(|seconds: u32| (43100..=43200).contains(&seconds)), "{got}");
    }
}

fn dhcpd_if(lab: &Lab, server: &str) {
    let world = World::new(lab);
    if server == "dhcpd" {
        install_peer(server);
    }
    install("examples/dhcpd_if", "/var/service/dhcpd_eth1");
    if server == "udhcpd" {
        under_ash("/var/service/dhcpd_eth1");
    }
    edit(lab, "dhcpd_eth1/run", "servers=\"udhcpd dhcpd dnsmasq\"", &format!("servers=\"{server}\""));
    let _runsvdir = world.supervise();
    lab.cmd("sv").args(["-w", "15", "start", "/var/service/dhcpd_eth1"]).ok();
    // Started beside fw, when eth1 had no address: it waited.
    assert_eq!(Service::at("/var/service/dhcpd_eth1").lines("supervise/history")[0], "starts 1");
    hosts_get_addresses(&world);
    let said = log("dhcpd_eth1");
    assert!(said.contains(" dhcpd_eth1: runs ") && said.contains(server), "{said}");
}

#[test]
fn dhcpd_if_with_udhcpd() {
    lab::test(|lab| dhcpd_if(lab, "udhcpd"));
}

#[test]
fn dhcpd_if_with_isc_dhcpd() {
    lab::test(|lab| dhcpd_if(lab, "dhcpd"));
}

#[test]
fn dhcpd_if_with_dnsmasq() {
    lab::test(|lab| dhcpd_if(lab, "dnsmasq"));
}

/// What no conf file of fw says cannot be served; that is said once, and nothing is tried again and again.
#[test]
fn dhcpd_if_rests_without_a_network() {
    lab::test(|lab| {
        let world = World::new(lab);
        install("examples/dhcpd_if", "/var/service/dhcpd_eth7");
        let _runsvdir = world.supervise();
        wait_log("dhcpd_eth7", "no conf/*.ipconf of fw has a network for eth7");
        lab.cmd("sv")
            .args(["status", "/var/service/dhcpd_eth7"])
            .prints_matching("down: /var/service/dhcpd_eth7: #s, normally up*");
        // The network comes, and somebody says so.
        fs::write("/run/sv/fw/conf/eth7.ipconf", "let cfg=cfg+1\nif[$cfg]='eth7'\nipmask[$cfg]='10.1.2.3/30'\n")
            .unwrap();
        lab.cmd("sv").args(["u", "/var/service/dhcpd_eth7"]).ok();
        wait_log("dhcpd_eth7", "eth7 does not have its address 10.1.2.3");
    });
}

/// The pool is the half of the network that the server is not in.
#[test]
fn pools() {
    lab::test(|lab| {
        install("fw", "/run/sv/fw");
        for (address, expected) in [
            ("192.168.1.1/24", "192.168.1.1 192.168.1.0 255.255.255.0 192.168.1.128 192.168.1.254\n"),
            ("192.168.1.254/24", "192.168.1.254 192.168.1.0 255.255.255.0 192.168.1.1 192.168.1.127\n"),
            ("10.0.0.1/8", "10.0.0.1 10.0.0.0 255.0.0.0 10.128.0.0 10.128.0.253\n"),
            ("172.31.255.1/16", "172.31.255.1 172.31.0.0 255.255.0.0 172.31.0.1 172.31.0.254\n"),
            ("203.0.113.201/29", "203.0.113.201 203.0.113.200 255.255.255.248 203.0.113.204 203.0.113.206\n"),
            ("203.0.113.202/30", "203.0.113.202 203.0.113.200 255.255.255.252 203.0.113.201 203.0.113.201\n"),
            ("203.0.113.202/31", ""),
            ("2001:db8::1/64", ""),
        ] {
            let conf = format!("let cfg=cfg+1\nif[$cfg]='br0'\nipmask[$cfg]='{address}'\n");
            fs::write("/run/sv/fw/conf/lan.ipconf", conf).unwrap();
            for shell in ["dash", "busybox"] {
                let cmd = lab.cmd(peer(shell));
                let cmd = if shell == "busybox" { cmd.arg("sh") } else { cmd };
                cmd.arg(source("examples/pool")).arg("br0").env("FW_SERVICE", "/run/sv/fw").prints(expected);
            }
        }
    });
}

/// Names go to the servers that the provider's DHCP names, and to others when it names others, without a restart.
#[test]
fn dnsmasq() {
    lab::test(|lab| {
        let world = World::new(lab);
        install("examples/dhcp_if", "/var/service/dhcp_eth0");
        install("examples/dnsmasq", "/var/service/dnsmasq");
        under_ash("/var/service/dnsmasq");
        let serve = |dns: &str, www: &str| {
            world.provider.address("cable", &format!("{dns}/32"));
            let (dns, www) =
                (format!("--dhcp-option=option:dns-server,{dns}"), format!("--address=/www.example/{www}"));
            world.serve(&["--port=53", &dns, &www])
        };
        let first = serve("192.0.2.2", INTERNET);
        // An uplink with a static address is no network of our own.
        let uplink = "let cfg=cfg+1\nif[$cfg]='eth0'\nipmask[$cfg]='198.18.0.2/24'\nnet[$cfg]='0/0'\ngw[$cfg]='198.18.0.1'\nmetric[$cfg]=900\n";
        fs::write("/run/sv/fw/conf/uplink.ipconf", uplink).unwrap();
        let _runsvdir = world.supervise();
        lab.cmd("sv").args(["-w", "15", "start", "/var/service/dnsmasq"]).ok();
        hosts_get_addresses(&world);
        world.host.address("eth0", "192.168.1.10/24");
        let asked = |expected: &str| {
            let nslookup = lab.cmd(peer("busybox")).args(["nslookup", "www.example", "192.168.1.1"]);
            nslookup.netns(&world.host).output().stdout.contains(&format!("Address: {expected}\n"))
        };
        wait_for("the name", || asked(INTERNET));
        let service = Service::at("/var/service/dnsmasq");
        assert_eq!(service.lines("supervise/history")[0], "starts 1", "it waited for fw, and fw's word did it no harm");
        let pid = service.pid();
        let command = fs::read_to_string(format!("/proc/{}/cmdline", pid.unwrap())).unwrap();
        assert!(command.contains("--interface=eth1\0--dhcp-range=") && !command.contains("eth0"), "{command}");

        first.stop();
        world.provider.ip("addr del 192.0.2.2/32 dev cable");
        let _second = serve("192.0.2.3", "198.51.100.3");
        lab.cmd("sv").args(["t", "/var/service/dhcp_eth0"]).ok();
        wait_for("the other server's word", || asked("198.51.100.3"));
        assert_eq!(service.pid(), pid);
        assert_eq!(lab.read("/etc/dnsmasq_servers.conf").lines().last(), Some("server=192.0.2.3"));
    });
}
