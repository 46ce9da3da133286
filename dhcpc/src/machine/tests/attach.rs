//! Whether this is the link the lease is from (RFC 4436).

use super::*;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const KNOWN: [u8; 6] = [2, 0, 0, 0, 0, 9];
const LEASE: &[u8] = &[54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 3, 4, 192, 0, 2, 9];
fn verifying() -> Config {
    Config { verify_link: true, ..NATIVE }
}

fn arp(mac: [u8; 6], sender: Ipv4Addr) -> Input {
    Input::Arp(Arp { mac, sender, target: ADDRESS })
}

/// Bound, and the gateway has answered.
fn attached() -> Script {
    let mut s = Script::started(verifying());
    s.reply(0, ReplyKind::Offer, LEASE);
    assert_eq!(
        s.ack(0, LEASE),
        ["bound 192.0.2.7", "save", "watch 192.0.2.7", "192.0.2.7 asks all for 192.0.2.9", "listen nothing"]
    );
    assert_eq!(s.wait, (Some(1000), "gateway"));
    assert_eq!(s.at(1, arp(KNOWN, GATEWAY)), ["watch nothing", "save with 192.0.2.9"]);
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
    s
}

fn replugged() -> Script {
    let mut s = attached();
    assert!(s.link(1000, Some(DOWN)).is_empty());
    assert_eq!(
        s.link(2000, Some(UP)),
        ["listen all", "watch 192.0.2.7", "192.0.2.7 asks 192.0.2.9", "request 192.0.2.7 >all"],
        "both at once"
    );
    s
}

/// D26, D09: after sleep the link is looked at as if the cable had been out, and nothing is given up meanwhile.
#[test]
fn d26_back_from_sleep() {
    let mut s = attached();
    let did = s.at(1_000_000, Input::Woken);
    assert_eq!(did, ["listen all", "watch 192.0.2.7", "192.0.2.7 asks 192.0.2.9", "request 192.0.2.7 >all"]);
    assert!(s.notes.iter().any(|n| n == "back from sleep, looking around"), "{:?}", s.notes);
    assert_eq!(s.at(1_000_001, arp(KNOWN, GATEWAY))[..1], ["renew 192.0.2.7"]);
    // In another network.
    let mut s = attached();
    s.at(1_000_000, Input::Woken);
    assert_eq!(s.nak(1_000_001)[..3], ["nak", "deconfig", "forget"]);
    s.still_works(1_000_001);
    // Beyond the end of the lease it is gone; with the cable out there is nothing to look at.
    let mut s = attached();
    assert_eq!(s.at(4_000_000, Input::Woken)[0], "deconfig");
    s.still_works(4_000_000);
    let mut s = attached();
    s.link(1000, Some(DOWN));
    assert!(s.at(2000, Input::Woken).is_empty());
    // In the middle of a search it begins anew.
    let mut s = Script::started(verifying());
    let xid = s.xid;
    assert_eq!(s.at(500_000, Input::Woken)[0], "discover >all");
    assert_ne!(s.xid, xid);
    s.still_works(500_000);
}

/// D27: the gateway is asked three times for its hardware address, and then no more.
#[test]
fn d27_gateway_without_arp() {
    let mut s = Script::started(verifying());
    s.reply(0, ReplyKind::Offer, LEASE);
    s.ack(0, LEASE);
    assert_eq!(s.timer(1000), ["192.0.2.7 asks all for 192.0.2.9"]);
    assert_eq!(s.timer(2000), ["192.0.2.7 asks all for 192.0.2.9"]);
    assert_eq!(s.timer(3000), ["watch nothing"]);
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
    s.link(4000, Some(DOWN));
    assert_eq!(s.link(5000, Some(UP)), ["listen all", "request 192.0.2.7 >all"], "nothing to recognise the link by");
}

/// D27: the same gateway answers: the lease holds. The server may still say more, or nothing.
#[test]
fn d27_same_network() {
    let mut s = replugged();
    assert_eq!(s.at(2001, arp(KNOWN, GATEWAY)), ["renew 192.0.2.7", "watch nothing"]);
    assert_eq!(s.notes.last().unwrap(), "kept 192.0.2.7: 192.0.2.9 is the same gateway");
    assert_eq!(s.ack(2002, LEASE)[..2], ["renew 192.0.2.7", "save with 192.0.2.9"]);
    // The server first: then the gateway is not waited for.
    let mut s = replugged();
    assert_eq!(s.ack(2001, LEASE)[0], "renew 192.0.2.7");
    assert_eq!(s.wait.1, "T1");
    assert!(s.at(2002, arp(KNOWN, GATEWAY)).is_empty());
}

/// D27: no server answers any more: no search, the lease is kept.
#[test]
fn d27_same_network_without_server() {
    let mut s = replugged();
    s.at(2001, arp(KNOWN, GATEWAY));
    let mut said = Vec::new();
    while s.wait.1 != "T1" {
        said.extend(s.timer(s.wait.0.unwrap()));
    }
    assert_eq!(said, ["request 192.0.2.7 >all", "listen nothing"]);
    assert!(s.machine.lease().is_some());
}

/// D27: another network whose gateway has the same address: its hardware tells, and the server's word counts.
#[test]
fn d27_same_address_other_gateway() {
    let mut s = replugged();
    assert!(s.at(2001, arp([2, 0, 0, 0, 0, 8], GATEWAY)).is_empty());
    assert!(s.at(2001, arp(KNOWN, SERVER)).is_empty(), "the hardware with another address");
    assert_eq!(s.nak(2002)[..4], ["nak", "deconfig", "forget", "discover >all"]);
    s.still_works(2002);
}

/// D27: another network behind the same hardware address (VRRP): the NAK corrects it.
#[test]
fn d27_vrrp_is_corrected() {
    let mut s = replugged();
    assert_eq!(s.at(2001, arp(KNOWN, GATEWAY))[0], "renew 192.0.2.7");
    assert_eq!(s.nak(2002)[..4], ["nak", "deconfig", "forget", "discover >all"]);
    s.still_works(2002);
}

/// D27: at most two retransmissions, at most one a second, and never for a lease that is over.
#[test]
fn d27_tries() {
    let mut s = replugged();
    let mut asked = Vec::new();
    while s.wait.0.unwrap() < 9000 {
        let at = s.wait.0.unwrap();
        if s.timer(at).contains(&"192.0.2.7 asks 192.0.2.9".to_owned()) {
            asked.push(at);
        }
    }
    assert_eq!(asked, [3000, 4000]);

    let mut s = attached();
    s.link(1000, Some(DOWN));
    s.timer(3_600_000);
    assert_eq!(s.link(3_700_000, Some(UP)), ["listen all", "discover 192.0.2.7 >all"]);
}

/// D27: a restart with a lease file: used as soon as the gateway answers.
#[test]
fn d27_after_a_restart() {
    let mut s = Script::new(verifying());
    let lease = Lease::new(ack(LEASE), None, Instant::ZERO).unwrap();
    let neighbour = Some(Neighbour { address: GATEWAY, mac: KNOWN });
    let remembered = Some(Remembered::Lease(Box::new(lease)));
    s.at(0, Input::Start { link: Some(UP), remembered, neighbour, published: false });
    assert_eq!(s.at(1, arp(KNOWN, GATEWAY)), ["bound 192.0.2.7", "watch nothing"]);
    assert_eq!(s.ack(2, LEASE)[0], "renew 192.0.2.7");
}
