//! `netd why`: the records behind the routes.

use super::{applied, apply, conf, fact, gateway, incomplete};
use lab::{Cmd, Lab, eqnice};

fn why(lab: &Lab, what: &str) -> Cmd {
    lab.cmd("netd").args(["why", "--run-dir", "run", what])
}

fn two_uplinks(lab: &Lab) {
    gateway(lab);
    fact(lab, "dhcp_eth0", "if=eth0; ip=192.0.2.7; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0");
    fact(lab, "dhcp_eth1", "if=eth1; ip=198.51.100.7; ipmask=198.51.100.7/24; gw=198.51.100.1; net=0/0");
}

#[test]
fn the_preferred_uplink_is_explained_from_anywhere() {
    lab::test(|lab| {
        two_uplinks(lab);
        apply(lab).args(["--prefer", "eth1"]).ok();
        // Another directory, no policy: both are known from the last run.
        let out = lab.sh("mkdir -p elsewhere; cd elsewhere && netd why --run-dir ../run default");
        eqnice!(
            out.fails(0).stdout,
            "default: default via 198.51.100.1 metric 100 dev eth1; asked for by ../run/dhcp_eth1.ipconf:1\n  \
            stands by: default via 192.0.2.1 metric 200 dev eth0; asked for by ../run/dhcp_eth0.ipconf:1\n\
            ::/0: no way\n"
        );
        eqnice!(
            why(lab, "192.0.2.9").ok(),
            "192.0.2.9: 192.0.2.0/24 src 192.0.2.7 dev eth0; comes with the address of run/dhcp_eth0.ipconf:1\n  \
            stands by: default via 198.51.100.1 metric 100 dev eth1; asked for by run/dhcp_eth1.ipconf:1\n  \
            stands by: default via 192.0.2.1 metric 200 dev eth0; asked for by run/dhcp_eth0.ipconf:1\n"
        );
        eqnice!(
            why(lab, "dhcp_eth0").ok(),
            "run/dhcp_eth0.ipconf:1: eth0: address 192.0.2.7/24: there\n\
             run/dhcp_eth0.ipconf:1: route default via 192.0.2.1 metric 200 dev eth0: stands by behind \
             default via 198.51.100.1 metric 100 dev eth1\n"
        );
        assert_eq!(why(lab, "2001:db8::1").fails(1).stdout, "2001:db8::1: no way\n");
        assert!(why(lab, "nobody").fails(1).stderr.contains("nobody: no record of that file"));
    });
}

#[test]
fn foreign_dead_missing_and_bad_ones_are_called_so() {
    lab::test(|lab| {
        two_uplinks(lab);
        applied(lab);
        fact(lab, "pinger_eth0", "if=eth0; health=down");
        applied(lab);
        lab.net().ip("route add default via 192.0.2.99 metric 5");
        lab.net().ip("route del 0.0.0.0/0 metric 200");
        lab.write("conf/typo.ipconf", "let cfg=cfg+1\nif[$cfg]=eth0\nmtu[$cfg]=many\n");
        conf(lab, "gone", "if=wan9; ipmask=10.9.9.9/24");
        let default = why(lab, "default").ok();
        for line in [
            "default: default via 192.0.2.99 metric 5 dev eth0; somebody else's (proto 3); health is down\n",
            "  stands by: default via 198.51.100.1 metric 100 dev eth1; asked for by run/dhcp_eth1.ipconf:1\n",
            "  not there: default via 192.0.2.1 metric 200 dev eth0; asked for by run/dhcp_eth0.ipconf:1\n",
        ] {
            assert!(default.contains(line), "{line}{default}");
        }
        let typo = why(lab, "typo.ipconf").ok();
        assert!(typo.contains("conf/typo.ipconf:3: expected mtu to be a number from 68 to 65535"), "{typo}");
        assert!(why(lab, "gone").ok().contains("conf/gone.ipconf:1: wan9: there is no such interface"));
        incomplete(lab);
    });
}

/// The cable of the preferred one is out: the kernel passes over it before its records are gone, and so it is said.
#[test]
fn a_cable_that_is_out() {
    lab::test(|lab| {
        // The kernel tells at once of a cable between different numbers.
        lab.net().ip("link add pad type bridge");
        two_uplinks(lab);
        apply(lab).args(["--wan", "eth0,eth1"]).ok();
        let used = |link: &str| lab.net().ip("route get 203.0.113.1").contains(&format!(" dev {link} "));
        assert!(used("eth0"));
        lab.sh("ip -n isp link set eth0 down").ok();
        lab.net().wait_carrier("eth0", false);
        lab::wait_for("the other uplink", || used("eth1"));
        let default = why(lab, "default").ok();
        let expected = "default: default via 198.51.100.1 metric 200 dev eth1; asked for by run/dhcp_eth1.ipconf:1\n  \
            not used: default via 192.0.2.1 metric 100 dev eth0; asked for by run/dhcp_eth0.ipconf:1; its cable is out\n";
        assert!(default.starts_with(expected), "{default}");
        let status = lab.cmd("netd").args(["status", "--run-dir", "run"]).ok();
        let row = |link: &str, word: &str| status.lines().any(|l| l.starts_with(link) && l.contains(word));
        assert!(row("eth0", " no cable ") && row("eth1", " used ") && row("eth0", " standby "), "{status}");
    });
}
