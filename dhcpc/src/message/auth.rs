//! Authenticated FORCERENEW, RFC 6704: the server gives a nonce with the ACK, and signs what it says later with HMAC-MD5.
//! Whoever does not have the nonce cannot make us renew.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use super::{Options, code};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

/// Protocol 3 (reconfigure key), algorithm 1 (HMAC-MD5), replay detection by a counter (RFC 3118 §2, RFC 6704 §3.1.2).
const RECONFIGURE_KEY: [u8; 3] = [3, 1, 0];
/// The information is a nonce, as ACKs bring it.
const NONCE: u8 = 1;
/// The information is a digest.
const DIGEST: u8 = 2;
/// The three bytes, the counter, the kind, 16 bytes.
const LEN: usize = 28;
/// Of the message, where relays write: not signed.
const HOPS: core::ops::Range<usize> = 3..4;
const GIADDR: core::ops::Range<usize> = 24..28;
const OPTIONS: usize = 240;

/// What the server gave us to know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    key: [u8; 16],
    /// The last counter seen; only greater ones count.
    replay: u64,
}

/// Counter, kind and the rest of option 90.
fn authentication(value: &[u8]) -> Option<(u64, u8, [u8; 16])> {
    let (head, rest) = value.split_first_chunk::<3>()?;
    let (replay, rest) = rest.split_first_chunk::<8>()?;
    let (kind, information) = rest.split_first()?;
    let information = information.try_into().ok()?;
    (*head == RECONFIGURE_KEY).then(|| (u64::from_be_bytes(*replay), *kind, information))
}

impl Nonce {
    /// The nonce of an ACK, if it brings one.
    pub fn of(options: &Options) -> Option<Self> {
        match authentication(options.value(code::AUTHENTICATION)?)? {
            (replay, NONCE, key) => Some(Self { key, replay }),
            _ => None,
        }
    }

    /// What counts after an ACK that brought `given`: the same nonce again makes no old counter new.
    #[must_use]
    pub const fn followed_by(self, given: Self) -> Self {
        let same = u128::from_be_bytes(self.key) == u128::from_be_bytes(given.key);
        if same && given.replay < self.replay { self } else { given }
    }

    /// Whether `message` (a UDP payload) was signed with this nonce and is newer than the last. Then it is the last.
    pub fn accepts(&mut self, message: &[u8]) -> bool {
        let Some(at) = find(message) else { return false };
        let Some((replay, DIGEST, digest)) = message.get(at..at + LEN).and_then(authentication) else { return false };
        let mut signed = message.to_vec();
        for zero in [HOPS, GIADDR, at + LEN - digest.len()..at + LEN] {
            signed.get_mut(zero).unwrap_or_default().fill(0);
        }
        // A key of any length will do.
        let Ok(mut hmac) = Hmac::<Md5>::new_from_slice(&self.key) else { return false };
        hmac.update(&signed);
        let genuine = hmac.verify_slice(&digest).is_ok() && replay > self.replay;
        if genuine {
            self.replay = replay;
        }
        genuine
    }
}

/// Where the value of option 90 begins, if it is there once and whole.
fn find(message: &[u8]) -> Option<usize> {
    let mut at = OPTIONS;
    loop {
        match (*message.get(at)?, message.get(at + 1)) {
            (0, _) => at += 1,
            (255, _) | (_, None) => return None,
            (code::AUTHENTICATION, Some(len)) => return (usize::from(*len) == LEN).then_some(at + 2),
            (_, Some(len)) => at += 2 + usize::from(*len),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::message::fixture::{EXPECT, MAC, ack};
    use crate::message::{ReplyKind, decode};

    /// Option 90 of an ACK: the nonce 00 01 .. 0f, counter 4.
    pub(crate) const GIVEN: [u8; 30] =
        [90, 28, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    /// By Python's hmac module, for the counters 5 and 6.
    const DIGESTS: [(u8, [u8; 16]); 2] = [
        (5, [67, 70, 232, 25, 167, 242, 28, 78, 174, 139, 172, 204, 247, 84, 48, 103]),
        (6, [209, 2, 96, 223, 167, 160, 40, 174, 195, 150, 124, 77, 27, 124, 18, 151]),
    ];

    /// A FORCERENEW of 192.0.2.1, signed.
    pub(crate) fn forced(n: usize) -> Vec<u8> {
        let (counter, digest) = DIGESTS[n];
        let mut m = vec![2, 1, 6, 0, 0, 0, 0, 9, 0, 0, 0, 0, 192, 0, 2, 7];
        m.resize(28, 0);
        m.extend(MAC);
        m.resize(236, 0);
        m.extend([99, 130, 83, 99, 53, 1, 9, 54, 4, 192, 0, 2, 1, 90, 28, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, counter, 2]);
        m.extend(digest);
        m.push(255);
        m
    }

    fn nonce() -> Nonce {
        Nonce::of(&ack(&GIVEN).options).unwrap()
    }

    /// D31: valid, replayed, forged, altered by the relay where it may.
    #[test]
    fn d31_signatures() {
        let mut n = nonce();
        assert_eq!(decode(&forced(0), &EXPECT).map(|r| r.kind), Ok(ReplyKind::ForceRenew));
        assert!(n.accepts(&forced(0)));
        assert!(!n.accepts(&forced(0)), "replayed");
        let mut relayed = forced(1);
        relayed[3] = 1;
        relayed[24..28].copy_from_slice(&[10, 0, 0, 1]);
        assert!(n.accepts(&relayed));
        for at in (0..forced(0).len() - 1).filter(|at| !matches!(at, 3 | 24..28)) {
            let mut forged = forced(0);
            forged[at] ^= 1;
            assert!(!nonce().accepts(&forged), "byte {at}");
        }
        for len in 0..forced(0).len() - 1 {
            assert!(!nonce().accepts(&forced(0)[..len]));
        }
    }

    #[test]
    fn d31_no_nonce() {
        assert_eq!(Nonce::of(&ack(&[]).options), None);
        for at in [2, 3, 4, 13] {
            let mut other = GIVEN;
            other[at] ^= 8;
            assert_eq!(Nonce::of(&ack(&other).options), None, "byte {at}");
        }
    }
}
