//! `netd plan`: prints what would be done and does nothing; what it prints does the same.

use super::{applied, conf, fact, gateway, remove};
use lab::{Cmd, Lab, eqnice};

const LEASE: &str = "if=eth0; ip=192.0.2.7; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0; \
    routes=203.0.113.0/24 198.51.100.1";
const LAN: &str = "if=eth1; ip=10.0.0.1; ipmask=10.0.0.1/24; net=10.0.0.0/24; mtu=1400\n\
    if=eth1; ipmask=2001:db8::1/64; net=2001:db8:5::/48; gw=2001:db8::2\n\
    if=eth1; ip=169.254.7.7; ipmask=169.254.7.7/16";

fn plan(lab: &Lab) -> Cmd {
    lab.cmd("netd").args(["plan", "--forward", "conf", "run"])
}

/// What `ip` shows of the two links and their routes.
fn shown(lab: &Lab) -> String {
    ["-4 -o address", "-o link", "-4 route show table all", "-6 route show proto 80"]
        .map(|what| lab.net().ip(what))
        .concat()
}

#[test]
fn the_commands_do_what_apply_does() {
    lab::test(|lab| {
        gateway(lab);
        lab.net().ip("link set eth1 down");
        conf(lab, "lan", LAN);
        fact(lab, "dhcp_eth0", LEASE);
        let before = shown(lab);
        let commands = plan(lab).ok();
        eqnice!(
            commands,
            "echo 1 >/proc/sys/net/ipv4/ip_forward\n\
             echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n\
             ip link set dev eth1 mtu 1400  # lan.ipconf:1\n\
             ip link set dev eth1 up  # lan.ipconf:1\n\
             ip address add 10.0.0.1/24 dev eth1 broadcast 10.0.0.255  # lan.ipconf:1\n\
             ip address add 2001:db8::1/64 dev eth1  # lan.ipconf:7\n\
             ip address add 169.254.7.7/16 dev eth1 broadcast 169.254.255.255 scope link  # lan.ipconf:12\n\
             ip address add 192.0.2.7/24 dev eth0 broadcast 192.0.2.255  # dhcp_eth0.ipconf:1\n\
             ip -6 route add 2001:db8:5::/48 proto 80 metric 1024 via 2001:db8::2 dev eth1  # lan.ipconf:7\n\
             ip route add 203.0.113.0/24 proto 80 src 192.0.2.7 via 198.51.100.1 dev eth0 onlink  # dhcp_eth0.ipconf:1\n\
             ip route add 0.0.0.0/0 proto 80 metric 100 via 192.0.2.1 dev eth0  # dhcp_eth0.ipconf:1\n"
        );
        assert_eq!(shown(lab), before, "nothing was done");

        lab.sh("netd plan --forward conf run | sh -e").ok();
        let by_hand = shown(lab);
        assert_eq!(plan(lab).ok(), "");
        assert_eq!(applied(lab), [""; 0]);
        // The same again, by apply itself.
        for link in ["eth0", "eth1"] {
            lab.net().ip(&format!("address flush dev {link}"));
            lab.net().ip(&format!("-6 route flush dev {link} proto 80"));
        }
        lab.net().ip("link set eth1 down");
        lab.net().ip("link set eth1 mtu 1500");
        applied(lab);
        lab.net().wait_carrier("eth1", true);
        eqnice!(shown(lab), by_hand);
        // And away again.
        remove(lab, "run/dhcp_eth0.ipconf");
        eqnice!(
            plan(lab).ok(),
            "ip route delete 0.0.0.0/0 proto 80 metric 100 via 192.0.2.1 dev eth0\n\
             ip route delete 203.0.113.0/24 proto 80 src 192.0.2.7 via 198.51.100.1 dev eth0 onlink\n\
             ip address delete 192.0.2.7/24 dev eth0\n"
        );
        lab.sh("netd plan --forward conf run | sh -e").ok();
        assert_eq!(applied(lab), [""; 0]);
    });
}

/// Tables and rules of several uplinks, of both families.
#[test]
fn uplinks_by_hand() {
    lab::test(|lab| {
        gateway(lab);
        let six = "if=eth0; ipmask=2001:db8::7/64; gw=fe80::1; net=::/0\nif=eth1; ipmask=2001:db8:1::7/64; gw=fe80::1; net=::/0";
        fact(lab, "a", &format!("{LEASE}\nif=eth1; ipmask=10.0.0.7/24; gw=10.0.0.1; net=0/0; failback=keep\n{six}"));
        let plan = || lab.cmd("netd").args(["plan", "--wan", "eth0,eth1", "conf", "run"]).ok();
        let commands = plan();
        for command in [
            "echo 1 >/proc/sys/net/ipv4/conf/eth1/ignore_routes_with_linkdown\n",
            "ip route add 0.0.0.0/0 table 8002 proto 80 via 10.0.0.1 dev eth1  # a.ipconf:8\n",
            "ip -6 route add ::/0 table 8001 proto 80 metric 1024 via fe80::1 dev eth0  # a.ipconf:14\n",
            "ip rule add priority 8000 lookup main suppress_prefixlength 0 protocol 80  # a.ipconf:1\n",
            "ip rule add priority 8001 fwmark 9002 lookup 8002 protocol 80  # a.ipconf:8\n",
            "ip -6 rule add priority 8001 from 2001:db8:1::7 lookup 8002 protocol 80  # a.ipconf:19\n",
        ] {
            assert!(commands.contains(command), "{command}{commands}");
        }
        let doing = |what: &str| lab.sh(&format!("netd plan --wan {what} conf run | sh -e")).ok();
        doing("eth0,eth1");
        assert_eq!(plan(), "");
        // With one uplink there is nothing to choose.
        doing("eth0");
        assert!(!lab.net().ip("rule").contains("800") && !lab.net().ip("-6 rule").contains("800"));
        lab.cmd("netd").args(["plan", "--wan", "eth0", "conf", "run"]).prints("");
    });
}

#[test]
fn what_cannot_be_is_said_and_the_rest_is_planned() {
    lab::test(|lab| {
        gateway(lab);
        conf(lab, "lan", LAN);
        fact(lab, "dhcp_wan9", "if=wan9; ip=192.0.2.7; ipmask=192.0.2.7/24");
        lab.write("run/bad.ipconf", "let cfg=cfg+1\nif[$cfg]=$(reboot)\n");
        let out = plan(lab).fails(1);
        assert!(out.stdout.contains("ip address add 10.0.0.1/24"), "{}", out.stdout);
        assert!(out.stderr.contains("netd: warning: run/bad.ipconf:2: expected"), "{}", out.stderr);
        assert!(out.stderr.contains("netd: warning: run/dhcp_wan9.ipconf:1: wan9: there is no such interface"));
    });
}
