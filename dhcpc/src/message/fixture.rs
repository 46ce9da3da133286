//! Replies for tests: a fixed header, the options given.

use super::{Expect, Reply, ReplyKind, decode};
use std::net::Ipv4Addr;

pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const EXPECT: Expect<'static> = Expect { mac: MAC, client_id: Some(&[1, 2, 0, 0, 0, 0, 7]) };

/// The bytes of a reply of `kind` with `options` after the message type.
pub(crate) fn bytes(kind: ReplyKind, xid: u32, options: &[u8]) -> Vec<u8> {
    let mut m = vec![2, 1, 6, 0];
    m.extend(xid.to_be_bytes());
    m.resize(16, 0);
    m.extend(if kind == ReplyKind::Nak { [0; 4] } else { ADDRESS.octets() });
    m.resize(28, 0);
    m.extend(MAC);
    m.resize(236, 0);
    m.extend([99, 130, 83, 99, 53, 1]);
    m.push(match kind {
        ReplyKind::Offer => 2,
        ReplyKind::Ack => 5,
        ReplyKind::Nak => 6,
        ReplyKind::ForceRenew => 9,
    });
    m.extend_from_slice(options);
    m.push(255);
    m
}

/// A reply as the machine gets it.
pub(crate) fn reply(kind: ReplyKind, xid: u32, options: &[u8]) -> Reply {
    decode(&bytes(kind, xid, options), &EXPECT).unwrap()
}

/// An ACK.
pub(crate) fn ack(options: &[u8]) -> Reply {
    reply(ReplyKind::Ack, 5, options)
}
