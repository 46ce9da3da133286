//! The plan against the real kernel: random configurations one after the other, beside objects of others. Whatever the model
//! of the unit tests believes about the kernel, this is where it is true or not.

use super::{apply, gateway, ipconf};
use lab::Lab;
use netif::random::Random;

fn pick<'a>(r: &mut Random, from: &[&'a str]) -> &'a str {
    from[usize::try_from(r.below(from.len() as u64)).unwrap()]
}

/// Addresses and ways of a small world, so that keys collide in every way.
fn record(r: &mut Random) -> String {
    let mut words = vec![format!("if={}", pick(r, &["eth0", "eth1", "eth1"]))];
    let v4 = r.below(3) > 0;
    if r.below(4) > 0 {
        let address = if v4 {
            format!("10.0.{}.{}/{}", r.below(2), 1 + r.below(4), pick(r, &["24", "24", "25", "32"]))
        } else {
            format!("2001:db8:0:{}::{}/{}", r.below(2), 1 + r.below(3), pick(r, &["64", "64", "48"]))
        };
        words.push(format!("ipmask={address}"));
    }
    if v4 && r.below(6) == 0 {
        words.push("bcast=10.0.0.255".into());
    }
    if r.below(4) > 0 {
        let (nets, gateways): (&[&str], &[&str]) = if v4 {
            (&["0/0", "172.16.0.0/24", "172.16.1.0/24"], &["10.0.0.254", "10.0.1.254"])
        } else {
            (&["::/0", "2001:db8:1::/48", "2001:db8:2::/48"], &["fe80::1", "2001:db8::ff"])
        };
        words.push(format!("net={}", pick(r, nets)));
        if r.below(4) > 0 {
            words.push(format!("gw={}", pick(r, gateways)));
        }
        if r.below(4) == 0 {
            words.push(format!("metric={}", r.below(3)));
        }
        if r.below(5) == 0 {
            words.push("table=100".into());
        }
    }
    words.join("; ")
}

fn state(lab: &Lab) -> String {
    ["-4 route show table all", "-6 route show table all", "-4 addr show", "-6 addr show", "-4 rule", "-6 rule"]
        .map(|c| lab.net().ip(c))
        .concat()
}

/// The lines about objects of others, which carry numbers nothing of ours has.
fn others(lab: &Lab) -> Vec<String> {
    let state = state(lab);
    let foreign = |l: &&str| l.contains("203.0.113.") || l.contains("2001:db8:f00");
    state.lines().filter(foreign).map(|l| l.trim().replace(" secondary", "")).collect()
}

#[test]
fn configurations_one_after_the_other() {
    lab::test_within(std::time::Duration::from_secs(120), |lab| {
        gateway(lab);
        lab.net().ip("link add eth2 type veth peer name far2");
        for args in [
            "address add 203.0.113.1/24 dev eth0",
            "address add 203.0.113.2/24 dev eth0",
            "address add 203.0.113.65/26 dev eth1",
            "-6 address add 2001:db8:f00::1/64 dev eth0 nodad",
            "route add 198.51.100.0/24 via 203.0.113.9 proto bird",
            "route add default via 203.0.113.9 metric 1000",
            "-6 route add 2001:db8:f00:1::/64 dev eth1 proto static",
            "rule add priority 8001 from 203.0.113.1 lookup 8001",
            "-6 rule add priority 8000 from 2001:db8:f00::1 lookup 8001",
        ] {
            lab.net().ip(args);
        }
        // Without waiting for addresses to be found unique.
        for link in ["eth0", "eth1"] {
            lab.net().sysctl(lab, &format!("net.ipv6.conf.{link}.accept_dad"), "0");
        }
        // The kernel makes the local route of an IPv6 address a moment later.
        lab::wait_for("the IPv6 address", || lab.net().ip("-6 route show table local").contains("2001:db8:f00::1"));
        let before = others(lab);
        assert!(before.len() > 6, "{before:?}");
        let mut refused = 0;
        for seed in 0..60 {
            let r = &mut Random::new(seed);
            let mut records: Vec<String> = (0..r.below(9)).map(|_| record(r)).collect();
            if r.below(3) == 0 {
                records.push(format!(
                    "if=br0; bridge={}; ipmask=10.0.9.{}/24",
                    pick(r, &["eth2", "eth2 eth1"]),
                    r.below(9)
                ));
            }
            let text = records.join("\n");
            lab.write("conf/x.ipconf", ipconf(&text));
            let wan = pick(r, &["eth0", "eth0,eth1", "eth1,br0,eth0"]);
            let apply = |lab: &Lab| apply(lab).args(["--wan", wan]);
            let first = apply(lab).output();
            let story = || format!("seed {seed}\n{text}\n{}{}\n{}", first.stdout, first.stderr, state(lab));
            assert_eq!(others(lab), before, "others' objects\n{}", story());
            let again = apply(lab).output();
            assert_eq!(again.stdout, "", "not finished\n{}", story());
            assert!(!first.stderr.contains("afterwards"), "{}", story());
            // A wish nobody can grant is refused again in the same words; anything else was our own mistake.
            let impossible =
                ["asks for another form of it", "says otherwise", "Nexthop has invalid gateway or device mismatch"];
            for line in first.stderr.lines() {
                assert!(impossible.iter().any(|w| line.contains(w)), "{line}\n{}", story());
                refused += 1;
            }
            assert_eq!(first.stderr, again.stderr, "{}", story());
        }
        assert!(refused < 60, "{refused}");
        std::fs::remove_file(lab.path("conf/x.ipconf")).unwrap();
        apply(lab).ok();
        assert!(!state(lab).contains("proto 80"), "{}", state(lab));
        assert_eq!(lab.net().ip("-o link show group 80"), "");
        assert_eq!(others(lab), before);
    });
}
