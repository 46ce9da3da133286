//! A search: from DISCOVER to BOUND, its rhythm, and what strangers say meanwhile.

use super::*;

#[test]
fn bind_renew_and_bind_again() {
    let mut s = Script::new(UDHCPC);
    let start = Input::Start { link: Some(UP), remembered: None, neighbour: None, published: false };
    assert_eq!(s.at(0, start), ["listen all", "discover >all", "deconfig"], "no delay before the first DISCOVER");
    assert_eq!(s.wait, (Some(3000), "offer"));
    assert_eq!(s.offer(100), ["request 192.0.2.7 @192.0.2.1 >all"]);
    assert_eq!(s.wait, (Some(3100), "ack"));
    assert_eq!(s.ack(200, HOUR), ["bound 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(1_800_100), "T1"), "counted from the sending of the REQUEST");
    assert_eq!(s.timer(1_800_100), ["listen 192.0.2.7", "request from 192.0.2.7 >192.0.2.1"]);
    assert_eq!(s.ack(1_800_150, HOUR), ["renew 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(3_600_100), "T1"));
    assert_eq!(
        s.notes,
        [
            "looking for a server",
            "requesting 192.0.2.7 from 192.0.2.1",
            "bound 192.0.2.7/24 from 192.0.2.1, renew in 1800 s",
            "renewing 192.0.2.7",
            "bound 192.0.2.7/24 from 192.0.2.1, renew in 1800 s",
        ]
    );
}

/// D02, D10: the RFC's rhythm, and what comes after a round.
#[test]
fn d02_silent_server_rfc() {
    let mut s = Script::started(NATIVE);
    let mut last = 0;
    for (i, base) in [4, 8, 16, 32, 64, 64, 64].into_iter().enumerate() {
        let next = s.wait.0.unwrap();
        assert!((base * 1000 - 1000..=base * 1000 + 1000).contains(&(next - last)), "gap {i}: {}", next - last);
        assert!(s.timer(next - 1).is_empty());
        let did = s.timer(next);
        assert_eq!(did, if i == 4 { vec!["leasefail", "discover >all"] } else { vec!["discover >all"] });
        last = next;
    }
    s.still_works(last);
}

/// udhcpc's own: 0, 3, 6 s, `leasefail` at 9, pause of 20.
#[test]
fn silent_server_udhcpc() {
    let mut s = Script::started(UDHCPC);
    let first = s.xid;
    assert_eq!(s.timer(3000), ["discover >all"]);
    assert_eq!(s.timer(6000), ["discover >all"]);
    assert_eq!(s.xid, first, "one transaction per round");
    assert_eq!(s.timer(9000), ["leasefail", "listen nothing"]);
    assert_eq!(s.wait, (Some(29_000), "pause after a round of tries"));
    assert_eq!(s.timer(29_000), ["listen all", "discover >all"]);
    assert_ne!(s.xid, first);
    s.still_works(29_000);
}

#[test]
fn no_end_of_tries() {
    let fixed = Schedule::Fixed { tries: 0, gap: Duration::from_secs(1), pause: Duration::from_secs(20) };
    let mut s = Script::started(Config { schedule: fixed, ..UDHCPC });
    for n in 1..500 {
        assert_eq!(s.timer(n * 1000), ["discover >all"]);
    }
    s.still_works(500_000);
}

#[test]
fn exits_without_lease_when_told() {
    let mut s = Script::started(Config { exit_without_lease: true, ..UDHCPC });
    s.timer(3000);
    s.timer(6000);
    assert_eq!(s.timer(9000), ["leasefail", "listen nothing", "exit 1"]);
    assert_eq!(s.timer(99_000), ["exit 1"]);
    // Also with the cable out: the boot must not hang.
    let mut s = Script::new(Config { exit_without_lease: true, ..UDHCPC });
    let start = Input::Start { link: Some(DOWN), remembered: None, neighbour: None, published: false };
    assert_eq!(s.at(0, start), ["deconfig"]);
    s.timer(3000);
    s.timer(6000);
    assert_eq!(s.timer(9000), ["leasefail", "exit 1"]);
    // But not once there was a lease.
    let mut s = Script::bound(Config { exit_without_lease: true, ..UDHCPC });
    s.timer(3_600_000);
    for t in [3_603_000, 3_606_000, 3_609_000] {
        s.timer(t);
    }
    assert_eq!(s.wait.1, "pause after a round of tries");
}

#[test]
fn exits_when_bound_when_told() {
    let mut s = Script::started(Config { exit_when_bound: true, ..UDHCPC });
    s.offer(0);
    assert_eq!(s.ack(0, HOUR), ["bound 192.0.2.7", "save", "listen nothing", "exit 0"]);
    let mut s = Script::started(Config { exit_when_bound: true, release_on_exit: true, ..UDHCPC });
    s.offer(0);
    assert_eq!(
        s.ack(0, HOUR),
        [
            "bound 192.0.2.7",
            "save",
            "listen 192.0.2.7",
            "release from 192.0.2.7 >192.0.2.1",
            "forget",
            "deconfig",
            "listen nothing",
            "exit 0"
        ]
    );
}

/// D03: `secs` in the REQUEST equals that of its DISCOVER; xids differ between transactions.
#[test]
fn d03_secs_and_xid() {
    let mut m = Machine::new(UDHCPC, Random::new(1));
    let sent = |m: &mut Machine, ms: u64, input: Input| {
        m.handle(Instant::from_millis(ms), input);
        let mut last = None;
        loop {
            match m.poll() {
                Output::Send(r, _) => last = Some(r),
                Output::Wait(..) | Output::Done(_) => return last,
                Output::Listen(_)
                | Output::Watch(_)
                | Output::Arp(_)
                | Output::Event(_)
                | Output::Save(..)
                | Output::Forget
                | Output::Ignored(_)
                | Output::Note(_) => {}
            }
        }
    };
    sent(&mut m, 0, Input::Start { link: Some(UP), remembered: None, neighbour: None, published: false });
    sent(&mut m, 3000, Input::Timer);
    let discover = sent(&mut m, 6000, Input::Timer).unwrap();
    assert_eq!(discover.secs, 6);
    let offer = Box::new(reply(ReplyKind::Offer, discover.xid, HOUR));
    let request = sent(&mut m, 8000, Input::Packet(offer)).unwrap();
    assert_eq!((request.secs, request.xid), (6, discover.xid));
    let again = sent(&mut m, 11_000, Input::Timer).unwrap();
    assert_eq!((again.secs, again.xid), (6, discover.xid));

    let mut seen = std::collections::HashSet::new();
    for seed in 0..100_000 {
        let mut m = Machine::new(UDHCPC, Random::new(seed));
        let first =
            sent(&mut m, 0, Input::Start { link: Some(UP), remembered: None, neighbour: None, published: false })
                .unwrap();
        seen.insert(first.xid);
    }
    // The birthday bound: about one pair among 100 000 numbers of 32 bits.
    assert!(seen.len() > 99_990, "{}", seen.len());
}

/// D10: REQUESTs that nobody answers end, in both rhythms.
#[test]
fn d10_request_tries() {
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    for t in [3000, 6000] {
        assert_eq!(s.timer(t), ["request 192.0.2.7 @192.0.2.1 >all"]);
    }
    assert_eq!(s.timer(9000), ["leasefail", "listen nothing"]);
    s.still_works(29_000);

    let mut s = Script::started(NATIVE);
    s.offer(0);
    let mut requests = 1;
    loop {
        let did = s.timer(s.wait.0.unwrap());
        if did[0].starts_with("leasefail") {
            assert_eq!(did, ["leasefail", "discover >all"]);
            break;
        }
        requests += 1;
    }
    assert_eq!(requests, 4);
    assert!((56_000..=64_000).contains(&(s.wait.0.unwrap() - 4000)), "{:?}", s.wait);
}

/// D10: a server that refuses its own offers is asked about once a minute in the end.
#[test]
fn d10_nak_storm() {
    let mut s = Script::started(UDHCPC);
    let (mut now, mut sent_in_minute) = (0, [0; 60]);
    for _ in 0..60 {
        let did = s.offer(now);
        assert_eq!(did, ["request 192.0.2.7 @192.0.2.1 >all"]);
        sent_in_minute[usize::try_from(now / 60_000).unwrap()] += 2;
        let did = s.nak(now);
        assert_eq!(&did[..2], ["nak", "forget"], "no deconfig: nothing was configured");
        if s.wait.1 == "pause after NAK" {
            now = s.wait.0.unwrap();
            s.timer(now);
        }
        if now > 3_000_000 {
            break;
        }
    }
    assert!(sent_in_minute[0] <= 14, "{sent_in_minute:?}");
    assert!(sent_in_minute[5..].iter().all(|&n| n <= 4), "{sent_in_minute:?}");
    s.still_works(now);
}

#[test]
fn nak_of_another_server_is_not_ours() {
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    let other = reply(ReplyKind::Nak, s.xid, &[54, 4, 192, 0, 2, 99]);
    assert!(s.at(0, Input::Packet(Box::new(other))).is_empty());
    assert!(s.at(0, Input::Packet(Box::new(reply(ReplyKind::Nak, s.xid ^ 1, &[])))).is_empty());
    assert_eq!(s.ack(0, HOUR)[0], "bound 192.0.2.7");
}

#[test]
fn stray_replies_change_nothing() {
    let mut s = Script::started(UDHCPC);
    let before = s.xid;
    assert!(s.ack(0, HOUR).is_empty(), "an ACK that nobody asked for");
    assert!(s.nak(0).is_empty());
    s.xid ^= 1;
    assert!(s.offer(0).is_empty(), "another transaction");
    s.xid = before;
    let zero = Reply { address: Ipv4Addr::UNSPECIFIED, ..reply(ReplyKind::Offer, s.xid, HOUR) };
    assert!(s.at(0, Input::Packet(Box::new(zero))).is_empty());
    assert_eq!(s.notes.last().unwrap(), "ignored a server that gives 0.0.0.0");
    s.offer(0);
    assert!(s.offer(0).is_empty(), "the first offer won");
    s.still_works(0);
}
