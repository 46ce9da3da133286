//! Big tables, many runs, and somebody else at work at the same time.

use super::{applied, conf, fact, gateway, incomplete, remove};
use lab::Lab;
use std::fmt::Write;
use std::time::Duration;

const LEASE: &str = "if=eth0; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0";

fn count(lab: &Lab, args: &str) -> usize {
    lab.net().ip(args).lines().count()
}

#[test]
fn ten_thousand_routes() {
    lab::test(|lab| {
        gateway(lab);
        let mut records = format!("{LEASE}\nif=eth1; ipmask=2001:db8::1/64\n");
        for n in 0..10_000 {
            writeln!(records, "if=eth0; net=10.{}.{}.0/24; gw=192.0.2.9", n / 250, n % 250).unwrap();
        }
        for n in 0..2000 {
            writeln!(records, "if=eth1; net=2001:db8:1:{n:x}::/64; gw=2001:db8::9").unwrap();
        }
        fact(lab, "many", &records);
        assert_eq!(applied(lab).len(), 12_003);
        assert_eq!((count(lab, "-4 route show proto 80"), count(lab, "-6 route show proto 80")), (10_001, 2000));
        assert_eq!(applied(lab), [""; 0]);
        // One of them, and one of somebody else's in the midst of them.
        lab.net().ip("route add 10.250.0.0/16 via 192.0.2.3 proto static");
        fact(lab, "many", &records.replacen("gw=192.0.2.9", "gw=192.0.2.8", 1));
        assert_eq!(applied(lab), ["eth0: replace route 10.0.0.0/24 via 192.0.2.8 (many.ipconf:9)"]);
        fact(lab, "many", LEASE);
        assert_eq!(applied(lab).len(), 12_001);
        assert_eq!(count(lab, "-6 route show proto 80"), 0);
        assert_eq!(
            lab.net().ip("route").lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                "default via 192.0.2.1 dev eth0 proto 80 metric 100",
                "10.250.0.0/16 via 192.0.2.3 dev eth0 proto static",
                "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.7"
            ]
        );
    });
}

/// Foreign addresses, routes, rules and tables after a thousand runs, each of which changes something and takes it back.
#[test]
fn a_thousand_runs_leave_the_objects_of_others_alone() {
    lab::test_within(Duration::from_secs(180), |lab| {
        gateway(lab);
        for args in [
            "address add 203.0.113.1/24 dev eth0",
            "address add 192.0.2.99/24 dev eth0",
            "-6 address add 2001:db8:9::1/64 dev eth1 nodad",
            "route add 198.51.100.0/24 via 203.0.113.9 proto bird metric 5",
            "route add default via 203.0.113.254 metric 50",
            "route add 198.51.100.0/24 via 203.0.113.9 table 8001",
            "-6 route add 2001:db8:77::/48 dev eth1 proto static",
            "rule add from 203.0.113.1 table 8001",
            "rule add fwmark 8001 table 8001 priority 8001",
            "-6 rule add from 2001:db8:9::1 table 100",
            "link add br9 type bridge",
        ] {
            lab.net().ip(args);
        }
        lab.sh("nft add table inet theirs; nft add chain inet theirs c; nft add rule inet theirs c counter accept")
            .ok();
        lab::wait_for("the IPv6 address", || lab.net().ip("-6 route show table local").contains("2001:db8:9::1"));
        let others = || {
            let all =
                ["-4 route show table all", "-6 route show table all", "-o address show", "rule show", "-6 rule show"];
            let ours = |l: &&str| l.contains("proto 80") || l.contains("192.0.2.7") || l.contains("192.0.2.8");
            let objects = all.map(|what| lab.net().ip(what)).concat();
            // Secondary or not changes with the company, and so do the routes the kernel makes of our own addresses.
            let kernel = |l: &&str| l.contains("192.0.2.") && l.contains("proto kernel");
            let objects =
                objects.lines().filter(|l| !ours(l) && !kernel(l) && !l.contains(" fe80::") && !l.contains("ff00::"));
            let objects = objects.map(|l| l.trim_end().replace(" secondary", "") + "\n").collect::<String>();
            objects + &lab.net().ip("-o link show br9") + &lab.cmd("nft").args(["list", "ruleset"]).ok()
        };
        let before = others();
        assert!(before.lines().count() > 20, "{before}");
        conf(lab, "bridge", "if=br0; bridge=eth1");
        for (name, lease) in [("2.7", LEASE.to_owned()), ("2.8", LEASE.replace("2.7", "2.8"))] {
            fact(lab, "a", &format!("{lease}\nif=eth0; net=172.16.0.0/12; gw=192.0.2.5; table=8001"));
            std::fs::rename(lab.path("run/a.ipconf"), lab.path(name)).unwrap();
        }
        // One shell, so that a thousand runs take seconds.
        let runs = "n=0; while [ $n -lt 500 ]; do n=$((n + 1)); for f in 2.7 2.8; do cp $f run/a.ipconf; \
                    if [ $((n % 10)) = 0 ]; then rm run/a.ipconf; fi; netd apply --wan eth0,eth1 conf run || exit; done; done";
        let said = lab.sh(runs).within(Duration::from_secs(150)).ok();
        assert!(said.matches("add address 192.0.2.8/24").count() > 400, "{}", said.len());
        std::fs::remove_file(lab.path("run/a.ipconf")).ok();
        remove(lab, "conf/bridge.ipconf");
        applied(lab);
        lab::eqnice!(others(), before);
        assert!(!lab.net().ip("route show table all").contains("proto 80"));
    });
}

/// Somebody adds and deletes addresses and routes all the time: each run does what it should and touches nothing of theirs.
#[test]
fn somebody_else_is_at_work() {
    lab::test(|lab| {
        gateway(lab);
        lab.net().ip("address add 203.0.113.1/24 dev eth0");
        let mut batch = String::new();
        for n in 0..200 {
            writeln!(batch, "route add 198.18.{n}.0/24 via 203.0.113.9\naddress add 198.19.{n}.1/24 dev eth1").unwrap();
        }
        let undo = batch.replace(" add ", " del ");
        lab.write("batch", batch + &undo);
        let noise = lab.sh("while :; do ip -batch batch || exit; done").group().spawn();
        lab::wait_for("the noise", || lab.net().ip("route").contains("198.18.100.0"));
        for round in 0..40 {
            fact(lab, "a", &LEASE.replace("2.7", ["2.7", "2.8"][round % 2]));
            applied(lab);
        }
        assert!(!noise.ended(), "a request of theirs failed: {}", noise.stderr());
        noise.kill_group();
        assert!(lab.net().ip("route").contains("default via 192.0.2.1 dev eth0 proto 80"));
        let wanted: Vec<String> = applied(lab);
        assert_eq!(wanted, [""; 0]);
        let ours: Vec<String> = lab.net().ip("-4 -o address show dev eth0").lines().map(str::to_owned).collect();
        assert!(ours.len() == 2 && ours[1].contains("192.0.2.8/24"), "{ours:?}");
        // And one who has taken our place is told of, with file and line.
        lab.net().ip("address flush dev eth0");
        lab.net().ip("address add 192.0.2.8/25 dev eth0");
        lab.net().ip("route add default dev eth0 metric 100");
        let (_, said) = incomplete(lab);
        assert_eq!(
            said,
            [
                "warning: run/a.ipconf:1: eth0: route 0.0.0.0/0 metric 100: a route that is not ours (proto 3) is in its place"
            ]
        );
    });
}
