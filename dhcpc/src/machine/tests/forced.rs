//! FORCERENEW (RFC 6704).

use super::*;
use crate::message::auth::tests::{GIVEN, forced};
use crate::message::decode;
use crate::message::fixture::EXPECT;

fn order(n: usize) -> Input {
    Input::Packet(Box::new(decode(&forced(n), &EXPECT).unwrap()))
}

/// Bound by an ACK with these options beside an hour's.
fn bound_with(config: Config, more: &[u8]) -> (Script, Vec<String>) {
    let mut s = Script::started(config);
    s.offer(0);
    let did = s.ack(0, &[HOUR, more].concat());
    (s, did)
}

/// D31: signed by our server, once: renewed. Replayed, or by another: nothing.
#[test]
fn d31_forced_to_renew() {
    let (mut s, did) = bound_with(Config { forcerenew: true, ..UDHCPC }, &GIVEN);
    assert_eq!(did, ["bound 192.0.2.7", "save", "listen 192.0.2.7"], "hears what is sent to its address");
    assert_eq!(s.at(1000, order(0)), ["request from 192.0.2.7 >192.0.2.1"]);
    let again = [HOUR, &GIVEN].concat();
    assert_eq!(s.ack(1001, &again), ["renew 192.0.2.7", "save"]);
    assert!(s.at(2000, order(0)).is_empty(), "replayed: the same nonce again makes no old counter new");
    assert_eq!(s.at(3000, order(1)), ["request from 192.0.2.7 >192.0.2.1"]);
    assert_eq!(s.ack(3001, HOUR), ["renew 192.0.2.7", "save"], "an ACK without nonce changes none");
    assert!(s.notes.contains(&"told to renew from 192.0.2.1".to_owned()));
}

/// D31: not negotiated, or no nonce given: ignored, and no socket is open for it (CVE-2020-13529).
#[test]
fn d31_unsigned_is_ignored() {
    for (config, options) in [(UDHCPC, GIVEN.as_slice()), (Config { forcerenew: true, ..UDHCPC }, &[])] {
        let (mut s, did) = bound_with(config, options);
        assert_eq!(did, ["bound 192.0.2.7", "save", "listen nothing"]);
        assert!(s.at(1000, order(0)).is_empty());
        assert_eq!(s.wait.1, "T1");
    }
}

/// D31: a NAK ends the acquaintance.
#[test]
fn d31_nonce_goes_with_the_lease() {
    let (mut s, _) = bound_with(Config { forcerenew: true, ..UDHCPC }, &GIVEN);
    s.at(1000, order(0));
    s.nak(1001);
    s.offer(1002);
    assert_eq!(s.ack(1002, HOUR).last().map(String::as_str), Some("listen nothing"));
    assert!(s.at(2000, order(1)).is_empty());
}
