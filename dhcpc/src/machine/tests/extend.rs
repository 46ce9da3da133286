//! A lease: its three moments, renewing, rebinding, its end.

use super::*;

/// D06, D07: 24 h lease and a mute server: every send at its exact second.
#[test]
fn d07_renew_and_rebind_times() {
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    s.ack(0, &[54, 4, 192, 0, 2, 1, 51, 4, 0, 1, 0x51, 0x80]);
    let (t1, t2, end) = (43_200_000_u64, 75_600_000_u64, 86_400_000_u64);
    let (mut at, mut sends) = (t1, Vec::new());
    while at < end {
        assert_eq!(s.wait.0, Some(at));
        let did = s.timer(at);
        let to = if at < t2 { "request from 192.0.2.7 >192.0.2.1" } else { "request from 192.0.2.7 >all" };
        assert_eq!(did.last().map(String::as_str), Some(to), "at {at}");
        sends.push(at);
        // Half of what remains of the phase, at least a minute, and the phase's end if that is sooner.
        let phase_end = if at < t2 { t2 } else { end };
        at = (at + (phase_end - at).div_ceil(2).max(60_000)).min(phase_end);
    }
    assert_eq!(s.wait, (Some(end), "expiry"));
    assert_eq!(sends.len(), 20);
    assert!(s.timer(end - 1).is_empty());
    let over = s.timer(end);
    assert_eq!(over, ["deconfig", "discover 192.0.2.7 >all"], "the listener is open from rebinding");
    s.still_works(end);
}

/// D08: the lease counts from the sending of the REQUEST, and is over exactly then.
#[test]
fn d08_lease_counts_from_the_request() {
    let mut s = Script::started(UDHCPC);
    s.offer(1000);
    assert_eq!(s.timer(4000), ["request 192.0.2.7 @192.0.2.1 >all"]);
    // An ACK to either; the first may be the one answered.
    s.ack(5000, &[54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 0, 100]);
    assert_eq!(s.wait, (Some(51_000), "T1"));
    s.timer(51_000);
    s.timer(88_500);
    assert!(s.machine.lease().is_some());
    assert_eq!(s.wait, (Some(101_000), "expiry"));
    s.timer(100_999);
    assert!(s.machine.lease().is_some());
    assert!(s.timer(101_000).contains(&"deconfig".to_owned()));
    assert!(s.machine.lease().is_none());
}

#[test]
fn d08_for_ever() {
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    s.ack(0, &[54, 4, 192, 0, 2, 1, 51, 4, 255, 255, 255, 255, 1, 4, 255, 255, 255, 0]);
    assert_eq!(s.wait.0, None);
    assert!(s.timer(u64::MAX / 2_000_000).is_empty());
    assert_eq!(s.notes.last().unwrap(), "bound 192.0.2.7/24 from 192.0.2.1, for ever");
}

/// D09: the lease ended in suspend; not a packet is sent from the old address.
#[test]
fn d09_suspend_beyond_the_end() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(s.timer(999_999_000), ["deconfig", "listen all", "discover 192.0.2.7 >all"]);
    // A late answer to something from before is no lease.
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    let did = s.ack(999_999_000, HOUR);
    assert!(!did.iter().any(|d| d.starts_with("bound")), "{did:?}");
    s.still_works(999_999_000);
}

/// D10: NAK while renewing and while rebinding: the address goes at once.
#[test]
fn d10_nak_while_extending() {
    for t in [1_800_000, 3_150_000] {
        let mut s = Script::bound(UDHCPC);
        s.timer(t);
        assert_eq!(s.nak(t)[..3], ["nak", "deconfig", "forget"]);
        assert_eq!(s.machine.lease(), None);
        s.still_works(t);
    }
}

#[test]
fn ack_with_another_address_replaces() {
    let mut s = Script::bound(UDHCPC);
    s.timer(1_800_000);
    let other = Reply { address: Ipv4Addr::new(192, 0, 2, 8), ..reply(ReplyKind::Ack, s.xid, HOUR) };
    assert_eq!(s.at(1_800_000, Input::Packet(Box::new(other)))[0], "rebound 192.0.2.8");
}

/// A server that never names itself is renewed with by broadcast.
#[test]
fn server_without_id() {
    let mut s = Script::started(UDHCPC);
    assert_eq!(s.reply(0, ReplyKind::Offer, &[51, 4, 0, 0, 14, 16]), ["request 192.0.2.7 >all"]);
    s.ack(0, &[51, 4, 0, 0, 14, 16]);
    assert_eq!(s.timer(1_800_000), ["listen all", "request from 192.0.2.7 >all"]);
    assert_eq!(s.ack(1_800_000, HOUR)[0], "renew 192.0.2.7");
}
