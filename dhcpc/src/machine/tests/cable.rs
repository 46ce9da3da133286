//! What the interface does.

use super::*;

/// D39: link down keeps the lease and stops sending; link up verifies.
#[test]
fn d39_flap() {
    let mut s = Script::bound(UDHCPC);
    assert!(s.link(1000, Some(DOWN)).is_empty());
    assert_eq!(s.wait, (Some(3_600_000), "expiry"));
    assert!(s.timer(1_900_000).is_empty(), "T1 passes in silence");
    assert!(s.machine.lease().is_some());
    assert_eq!(s.link(2_000_000, Some(UP)), ["listen all", "request 192.0.2.7 >all"]);
    assert_eq!(s.ack(2_000_001, HOUR), ["renew 192.0.2.7", "save", "listen nothing"]);

    // On another network: refused, and a new lease at once.
    s.link(2_100_000, Some(DOWN));
    s.link(2_200_000, Some(UP));
    assert_eq!(s.nak(2_200_001), ["nak", "deconfig", "forget", "discover >all"]);
    s.still_works(2_200_001);
}

/// D39: nobody answers after the flap: the lease is kept, in its phase.
#[test]
fn d39_flap_and_silence() {
    let mut s = Script::bound(UDHCPC);
    s.link(1000, Some(DOWN));
    s.link(2000, Some(UP));
    let mut said = Vec::new();
    while s.wait.1 != "T1" {
        said.extend(s.timer(s.wait.0.unwrap()));
    }
    assert_eq!(said.last().map(String::as_str), Some("listen nothing"));
    assert!(!said.iter().any(|d| d == "deconfig" || d == "leasefail" || d.starts_with("bound")), "{said:?}");
    assert!(s.machine.lease().is_some());
    // An offer in that search means a server that does not know us: take it.
    let mut s = Script::bound(UDHCPC);
    s.link(1000, Some(DOWN));
    s.link(2000, Some(UP));
    s.timer(3000);
    assert_eq!(s.timer(5000), ["discover 192.0.2.7 >all"]);
    s.offer(5000);
    assert_eq!(s.ack(5000, HOUR)[0], "renew 192.0.2.7", "the same address: nothing to take away");
}

#[test]
fn d39_lease_ends_while_the_cable_is_out() {
    let mut s = Script::bound(UDHCPC);
    s.link(1000, Some(DOWN));
    assert_eq!(s.timer(3_600_000), ["deconfig"]);
    assert_eq!(s.link(4_000_000, Some(UP)), ["listen all", "discover 192.0.2.7 >all"]);
    s.still_works(4_000_000);
}

#[test]
fn cable_out_at_start() {
    let mut s = Script::new(UDHCPC);
    s.at(0, Input::Start { link: Some(DOWN), remembered: None, neighbour: None, published: false });
    for t in [3000, 6000] {
        assert!(s.timer(t).is_empty());
    }
    assert_eq!(s.timer(9000), ["leasefail"]);
    s.timer(29_000);
    assert_eq!(s.wait, (None, "link"), "one `leasefail`, then no wake-up until the cable is in");
    assert_eq!(s.link(50_000, Some(UP)), ["listen all", "discover >all"]);
    s.still_works(50_000);
}

#[test]
fn cable_pulled_in_every_state() {
    // Selecting, requesting, rebooting, renewing, rebinding, resting.
    let mut selecting = Script::started(UDHCPC);
    selecting.timer(1);
    let mut requesting = Script::started(UDHCPC);
    requesting.offer(1);
    let mut rebooting = Script::new(UDHCPC);
    rebooting.at(1, remembered(false));
    let mut renewing = Script::bound(UDHCPC);
    renewing.timer(1_800_000);
    let mut rebinding = Script::bound(UDHCPC);
    rebinding.timer(3_150_000);
    let mut resting = Script::started(UDHCPC);
    for t in [3000, 6000, 9000] {
        resting.timer(t);
    }
    for (mut s, t) in [
        (selecting, 10),
        (requesting, 10),
        (rebooting, 10),
        (renewing, 1_800_010),
        (rebinding, 3_150_010),
        (resting, 9010),
    ] {
        let did = s.link(t, Some(DOWN));
        assert!(!did.iter().any(|d| d.contains('>')), "{did:?}");
        let did = s.link(t + 10, Some(UP));
        assert!(did.iter().any(|d| d.contains(">all")), "{did:?}");
        s.still_works(t + 10);
    }
}

#[test]
fn interface_gone() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(s.link(1000, None), ["deconfig", "exit 0"]);

    let mut s = Script::bound(NATIVE);
    assert_eq!(s.link(1000, None), ["deconfig"]);
    assert_eq!(s.wait, (Some(3_600_000), "expiry"));
    assert_eq!(s.link(2000, Some(UP)), ["listen all", "request 192.0.2.7 >all"], "plugged back: the lease may hold");
    assert_eq!(s.ack(2000, HOUR)[0], "bound 192.0.2.7", "its address went with it");
    s.link(3000, None);
    s.timer(9_000_000);
    assert_eq!(s.link(9_000_000, Some(UP)), ["listen all", "discover >all"]);
    s.still_works(9_000_000);
}

#[test]
fn interface_not_there_yet() {
    let mut s = Script::new(NATIVE);
    let start = Input::Start { link: None, remembered: None, neighbour: None, published: false };
    assert_eq!(s.at(0, start), ["deconfig"]);
    assert_eq!(s.wait, (None, "interface"));
    s.link(5, Some(DOWN));
    assert_eq!(s.link(10, Some(UP)), ["listen all", "discover >all"]);
    s.still_works(10);
}

#[test]
fn another_mac_is_another_client() {
    let mut s = Script::bound(UDHCPC);
    let did = s.link(1000, Some(Link { mac: [9; 6], carrier: true }));
    assert_eq!(did, ["deconfig", "forget", "listen all", "discover >all"]);
    assert!(s.link(1000, Some(Link { mac: [9; 6], carrier: true })).is_empty());
}
