//! What the administrator and the network have to say about when to ask and whom to believe.

use super::*;

const OTHER: [u8; 4] = [192, 0, 2, 2];

/// D01: the first DISCOVER comes at a random moment of the time given, evenly.
#[test]
fn d01_initial_delay() {
    let mut histogram = [0_u32; 10];
    for seed in 0..1000 {
        let config = Config { initial_delay: Duration::from_secs(10), ..UDHCPC };
        let mut s = Script { machine: Machine::new(config.clone(), Random::new(seed)), ..Script::new(config) };
        let start = Input::Start { link: Some(UP), remembered: None, neighbour: None, published: false };
        assert_eq!(s.at(0, start), ["deconfig"]);
        assert_eq!(s.wait.1, "initial delay");
        let at = s.wait.0.unwrap();
        histogram[usize::try_from((at - 1) / 1000).unwrap()] += 1;
        assert_eq!(s.timer(at), ["listen all", "discover >all"]);
    }
    assert!(histogram.iter().all(|n| (60..=140).contains(n)), "{histogram:?}");
    // A lease at hand is verified at once: that is no first DISCOVER.
    let mut s = Script::new(Config { initial_delay: Duration::from_secs(10), ..UDHCPC });
    assert_eq!(s.at(0, remembered(false)), ["listen all", "request 192.0.2.7 >all", "deconfig"]);
}

/// D07: T1 and T2 are put off by another little each time, never beyond what follows them.
#[test]
fn d07_fuzz() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let config = Config { fuzz: true, ..UDHCPC };
        let mut s = Script { machine: Machine::new(config.clone(), Random::new(seed)), ..Script::new(config) };
        s.at(0, Input::Start { link: Some(UP), remembered: None, neighbour: None, published: false });
        s.offer(0);
        s.ack(0, HOUR);
        assert!(s.notes.last().unwrap().ends_with("renew in 1800 s"), "the log says what the server meant");
        let term = s.machine.lease().unwrap().term.unwrap();
        let secs = |i: Instant| i.as_nanos() / 1_000_000_000;
        assert!((1800..=1885).contains(&secs(term.renew_at)), "{term:?}");
        assert!((3150..=3179).contains(&secs(term.rebind_at)), "{term:?}");
        assert_eq!(term.expires_at, Instant::from_secs(3600), "the end is the end");
        seen.insert(secs(term.renew_at));
    }
    assert!(seen.len() > 50, "spread: {seen:?}");
}

/// D07 turned off: the server's T1 and T2 do not count.
#[test]
fn own_times() {
    let mut s = Script::started(Config { server_times: false, ..UDHCPC });
    s.offer(0);
    s.ack(0, &from([192, 0, 2, 1], 3600, &[58, 4, 0, 0, 0, 60, 59, 4, 0, 0, 0, 120]));
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
}

/// D13: every third DISCOVER in a row asks for an answer by broadcast, and the REQUEST for its offer too.
#[test]
fn d13_broadcast_when_nobody_answers() {
    let mut m = Machine::new(Config { broadcast_fallback: true, ..NATIVE }, Random::new(3));
    let mut flags = Vec::new();
    let mut last = None;
    let mut at = Instant::ZERO;
    m.handle(at, Input::Start { link: Some(UP), remembered: None, neighbour: None, published: false });
    while flags.len() < 6 {
        match m.poll() {
            Output::Send(r, _) => {
                flags.push(r.broadcast);
                last = Some(r);
            }
            Output::Wait(Some(next), _) => {
                at = next;
                m.handle(at, Input::Timer);
            }
            Output::Wait(None, _) | Output::Done(_) => panic!("gave up"),
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
    assert_eq!(flags, [false, false, true, false, false, true]);
    m.handle(at, Input::Packet(Box::new(reply(ReplyKind::Offer, last.unwrap().xid, HOUR))));
    let request =
        core::iter::from_fn(|| Some(m.poll())).find_map(|o| if let Output::Send(r, _) = o { Some(r) } else { None });
    assert!(request.is_some_and(|r| r.broadcast && matches!(r.body, Body::Select { .. })));
}

const RAPID: &[u8] = &[54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 80, 0];

/// D24: an ACK with option 80 to a DISCOVER is a lease; without it it is nothing; an OFFER works as ever, 80 in it or not.
#[test]
fn d24_rapid_commit() {
    let config = || Config { rapid_commit: true, ..UDHCPC };
    let mut s = Script::started(config());
    assert!(s.ack(5, HOUR).is_empty(), "no option 80");
    s.timer(3000);
    assert_eq!(s.ack(3005, RAPID), ["bound 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(1_803_000), "T1"), "counted from the DISCOVER that was answered");

    for offer in [HOUR, RAPID] {
        let mut s = Script::started(config());
        assert_eq!(s.reply(5, ReplyKind::Offer, offer), ["request 192.0.2.7 @192.0.2.1 >all"]);
        assert_eq!(s.ack(6, HOUR)[0], "bound 192.0.2.7");
    }
    let mut s = Script::started(UDHCPC);
    assert!(s.ack(5, RAPID).is_empty(), "not asked for");
    s.still_works(10);
}

fn v6only(secs: u32) -> Vec<u8> {
    [HOUR, &[108, 4], &secs.to_be_bytes()].concat()
}

/// D28: an offer with option 108 is not taken; asked again after the time it says, at least 300 s, or on another link.
#[test]
fn d28_v6_only() {
    let config = || Config { v6_only: true, ..UDHCPC };
    for (secs, wait) in [(0, 300), (300, 300), (1800, 1800), (u32::MAX, u64::from(u32::MAX))] {
        let mut s = Script::started(config());
        assert_eq!(s.reply(0, ReplyKind::Offer, &v6only(secs)), ["forget", "leasefail", "listen nothing"]);
        assert_eq!(s.wait, (Some(wait * 1000), "a network with IPv6 only"));
        assert_eq!(s.timer(wait * 1000), ["listen all", "discover >all"]);
        s.still_works(wait * 1000);
    }
    // Nothing is offered beside it.
    let mut s = Script::started(config());
    let nothing = Reply { address: Ipv4Addr::UNSPECIFIED, ..reply(ReplyKind::Offer, s.xid, &v6only(600)) };
    s.at(0, Input::Packet(Box::new(nothing)));
    assert_eq!(s.wait, (Some(600_000), "a network with IPv6 only"));
    assert_eq!(s.notes.last().unwrap(), "the network wants no IPv4, asking again in 600 s");
    // Another link, another network.
    s.link(1000, Some(DOWN));
    assert_eq!(s.link(2000, Some(UP)), ["listen all", "discover >all"]);
    s.still_works(2000);
    // Wrong lengths, or not asked for: an offer like any other.
    for options in [[HOUR, &[108, 3, 0, 0, 9]].concat(), [HOUR, &[108, 5, 0, 0, 0, 9, 9]].concat()] {
        let mut s = Script::started(config());
        assert_eq!(s.reply(0, ReplyKind::Offer, &options), ["request 192.0.2.7 @192.0.2.1 >all"]);
    }
    let mut s = Script::started(UDHCPC);
    assert_eq!(s.reply(0, ReplyKind::Offer, &v6only(600)), ["request 192.0.2.7 @192.0.2.1 >all"]);
}

/// D28: a remembered lease is given up when the server says so.
#[test]
fn d28_v6_only_after_a_restart() {
    let mut s = Script::new(Config { v6_only: true, ..NATIVE });
    s.at(0, remembered(true));
    assert_eq!(s.ack(1, &v6only(900)), ["deconfig", "forget", "leasefail", "listen nothing"]);
    assert_eq!(s.wait, (Some(900_001), "a network with IPv6 only"));
}

fn from(server: [u8; 4], lease: u32, more: &[u8]) -> Vec<u8> {
    [&[54, 4], server.as_slice(), &[51, 4], &lease.to_be_bytes(), more].concat()
}

/// D30: no address, and no link-local one: said once, with the message; the search goes on. Without our 116 it is noise.
#[test]
fn d30_no_link_local_wanted() {
    let refuse = |s: &mut Script, ms| {
        let offer = reply(ReplyKind::Offer, s.xid, &[54, 4, 192, 0, 2, 1, 116, 1, 0]);
        let offer = Box::new(Reply { address: Ipv4Addr::UNSPECIFIED, ..offer });
        s.at(ms, Input::Packet(offer))
    };
    let mut s = Script::started(Config { autoconf: true, ..NATIVE });
    assert_eq!(refuse(&mut s, 0), ["leasefail"]);
    assert_eq!(s.notes.last().unwrap(), "no address here, and no link-local one wanted");
    assert!(refuse(&mut s, 1).is_empty(), "once");
    s.still_works(1);
    let mut s = Script::started(UDHCPC);
    assert!(refuse(&mut s, 0).is_empty());
    assert_eq!(s.notes.last().unwrap(), "ignored a server that gives 0.0.0.0");
}

/// D32: no address of before is ever mentioned, neither after the end of a lease nor when the cable is back.
#[test]
fn d32_anonymous() {
    let config = || Config { anonymous: true, ..NATIVE };
    let mut s = Script::bound(config());
    let over = s.timer(3_600_000);
    assert_eq!(over.last().map(String::as_str), Some("discover >all"), "{over:?}");
    let mut s = Script::bound(config());
    s.link(1000, Some(DOWN));
    assert_eq!(s.link(2000, Some(UP)), ["deconfig", "listen all", "discover >all"]);
    s.still_works(2000);
}

/// D40: a rogue server is not heard, whatever it says.
#[test]
fn d40_reject() {
    let policy = Policy { reject: vec![(Ipv4Addr::new(192, 0, 2, 2), 31)], ..Policy::default() };
    let mut s = Script::started(Config { policy, ..UDHCPC });
    assert!(s.reply(0, ReplyKind::Offer, &from(OTHER, 3600, &[])).is_empty());
    assert_eq!(s.notes.last().unwrap(), "not taken: a reply from 192.0.2.2, a rejected server");
    assert_eq!(s.offer(0), ["request 192.0.2.7 @192.0.2.1 >all"]);
    s.ack(0, HOUR);
    s.timer(3_150_000);
    assert!(s.reply(3_150_000, ReplyKind::Nak, &[54, 4, 192, 0, 2, 3]).is_empty(), "no NAK of it either");
    assert!(s.machine.lease().is_some());
}

/// D40: an offer must have an option, and last long enough; a lease already held is extended on any terms.
#[test]
fn d40_require_and_min_lease() {
    let policy = Policy { require: vec![3], min_lease: 300, ..Policy::default() };
    let mut s = Script::started(Config { policy, ..UDHCPC });
    let router = [3, 4, 192, 0, 2, 1];
    assert!(s.reply(0, ReplyKind::Offer, &from(OTHER, 3600, &[])).is_empty());
    assert_eq!(s.notes.last().unwrap(), "not taken: a reply from 192.0.2.2 without option 3");
    assert!(s.reply(0, ReplyKind::Offer, &from(OTHER, 299, &router)).is_empty());
    assert_eq!(s.notes.last().unwrap(), "not taken: a reply from 192.0.2.2 for 299 s only");
    assert_eq!(s.reply(0, ReplyKind::Offer, &from(OTHER, 300, &router)), ["request 192.0.2.7 @192.0.2.2 >all"]);
    assert_eq!(s.ack(0, &from(OTHER, 300, &router))[0], "bound 192.0.2.7");
    s.timer(150_000);
    assert_eq!(s.ack(150_000, &from(OTHER, 30, &[]))[0], "renew 192.0.2.7");
}

/// D40: another's offer waits two seconds for the preferred server's.
#[test]
fn d40_prefer() {
    let config = || Config { policy: Policy { prefer: vec![SERVER], ..Policy::default() }, ..UDHCPC };
    let mut s = Script::started(config());
    assert!(s.reply(100, ReplyKind::Offer, &from(OTHER, 3600, &[])).is_empty());
    assert_eq!(s.wait, (Some(2100), "offer"));
    assert_eq!(s.offer(500), ["request 192.0.2.7 @192.0.2.1 >all"]);
    let mut s = Script::started(config());
    s.reply(2000, ReplyKind::Offer, &from(OTHER, 3600, &[]));
    assert_eq!(s.timer(3000), ["discover >all"], "goes on asking meanwhile");
    assert_eq!(s.timer(4000), ["request 192.0.2.7 @192.0.2.2 >all"], "better than none");
    s.still_works(4000);
}
