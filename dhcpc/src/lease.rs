//! A lease: what the server granted, and until when.
//!
//! It is counted from the moment the REQUEST was sent (RFC 2131 §4.4.1), on the clock that counts suspend. It is kept as the
//! server's own ACK, so that everything derived from it is derived in one way, fresh from the wire or out of the file.

use crate::message::{Reply, code};
use crate::options::routes::classless;
use core::time::Duration;
use netif::prefix::mask_len;
use netif::random::Random;
use std::net::Ipv4Addr;
use sys::clock::Instant;

/// What a server without option 51 is taken to mean.
const DEFAULT_TERM: Duration = Duration::from_secs(3600);
/// Shorter leases are treated as this long: a client cannot be made to ask every second.
const MIN_TERM: Duration = Duration::from_secs(10);
/// A T1 below this makes no sense, whoever sent it.
const MIN_T1: Duration = Duration::from_secs(5);
/// T1 and T2 are put off by at most this part of what follows them.
const FUZZ: u32 = 16;
/// Option 51 for "for ever".
const FOREVER: u32 = u32::MAX;

/// An address and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The server's ACK, shape checked.
    pub ack: Reply,
    /// The server to renew with; none if it never named itself.
    pub server: Option<Ipv4Addr>,
    /// When to act; none for a lease that has no end.
    pub term: Option<Term>,
}

/// The three moments of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// T1: ask our server.
    pub renew_at: Instant,
    /// T2: ask anyone.
    pub rebind_at: Instant,
    /// The address must not be used from here on.
    pub expires_at: Instant,
}

/// Why an ACK is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

impl Lease {
    /// The lease that `ack` grants to a request sent at `sent`. `server` is whom we asked, if the ACK does not say.
    pub fn new(ack: Reply, server: Option<Ipv4Addr>, sent: Instant) -> Result<Self, BadAddress> {
        Self::aged(ack, server, sent, Duration::ZERO)
    }

    /// The lease that `ack` granted `age` before `now`.
    pub(crate) fn aged(ack: Reply, server: Option<Ipv4Addr>, now: Instant, age: Duration) -> Result<Self, BadAddress> {
        if !is_host(ack.address) {
            return Err(BadAddress);
        }
        let term = duration(&ack).map(|whole| {
            let (t1, t2) = phases(&ack, whole);
            let at = |d: Duration| now + d.saturating_sub(age);
            Term { renew_at: at(t1), rebind_at: at(t2), expires_at: at(whole) }
        });
        let server = ack.options.address(code::SERVER_ID).or(server).filter(|s| is_host(*s));
        Ok(Self { ack, server, term })
    }

    /// The leased address.
    pub const fn address(&self) -> Ipv4Addr {
        self.ack.address
    }

    /// Length of the network's prefix; none if the server sent no mask, or one with holes.
    pub fn prefix_len(&self) -> Option<u8> {
        self.ack.options.address(code::SUBNET_MASK).and_then(mask_len).filter(|len| *len > 0)
    }

    /// The same with T1 and T2 as if the server had said nothing of them; granted at `sent`.
    pub fn default_times(self, sent: Instant) -> Self {
        let term = duration(&self.ack).map(|whole| Term {
            renew_at: sent + whole / 2,
            rebind_at: sent + whole / 8 * 7,
            expires_at: sent + whole,
        });
        Self { term, ..self }
    }

    /// The same with T1 and T2 put off a little, so that clients that got their leases together do not come back together.
    /// Never before the server's own times, and T1 stays before T2 and that before the end.
    pub fn fuzzed(&self, random: &mut Random) -> Self {
        let mut later = |at: Instant, limit: Instant| at + random.between(Duration::ZERO, limit.since(at) / FUZZ);
        let term = self.term.map(|t| Term {
            renew_at: later(t.renew_at, t.rebind_at),
            rebind_at: later(t.rebind_at, t.expires_at),
            expires_at: t.expires_at,
        });
        Self { term, ..self.clone() }
    }

    /// Who is always there on this network: the default gateway (121 before 3 before 249, RFC 3442), else the server, if it
    /// did not speak through a relay.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        let options = &self.ack.options;
        let default = |code| options.value(code).and_then(|v| classless(v).find(|r| r.len == 0)).map(|r| r.router);
        let router = match (options.value(code::CLASSLESS_ROUTES), options.addresses(code::ROUTER).first()) {
            (Some(_), _) => default(code::CLASSLESS_ROUTES),
            (None, Some(router)) => Some(*router),
            (None, None) => default(code::MS_CLASSLESS_ROUTES),
        };
        let server = self.server.filter(|_| self.ack.relay.is_unspecified());
        router.filter(|r| is_host(*r)).or(server)
    }

    /// Whether the address may no longer be used.
    pub fn is_over(&self, now: Instant) -> bool {
        self.term.is_some_and(|t| t.expires_at <= now)
    }
}

/// Whether `a` can be the address of one host: not 0/8, loopback, multicast, reserved or broadcast.
pub fn is_host(a: Ipv4Addr) -> bool {
    matches!(a.octets()[0], 1..=126 | 128..=223)
}

/// How long `ack` grants; none for ever.
pub(crate) fn duration(ack: &Reply) -> Option<Duration> {
    match ack.options.u32(code::LEASE_TIME) {
        Some(FOREVER) => None,
        Some(secs) => Some(Duration::from_secs(u64::from(secs)).max(MIN_TERM)),
        None => Some(DEFAULT_TERM),
    }
}

/// T1 and T2: the server's if they are logical (T1 < T2 < lease), else a half and seven eighths (RFC 2131 §4.4.5).
fn phases(ack: &Reply, whole: Duration) -> (Duration, Duration) {
    let given = |c| ack.options.u32(c).map(|secs| Duration::from_secs(u64::from(secs)));
    let default = (whole / 2, whole / 8 * 7);
    let (t1, t2) = (given(code::T1).unwrap_or(default.0), given(code::T2).unwrap_or(default.1));
    if MIN_T1 <= t1 && t1 < t2 && t2 < whole { (t1, t2) } else { default }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::fixture::ack;

    fn term(options: &[u8]) -> Option<(u64, u64, u64)> {
        let lease = Lease::new(ack(options), None, Instant::from_secs(100)).unwrap();
        let secs = |i: Instant| i.as_nanos() / 1_000_000_000 - 100;
        lease.term.map(|t| (secs(t.renew_at), secs(t.rebind_at), secs(t.expires_at)))
    }

    /// D07, D08: T1 and T2 by default, as given, and when given without sense.
    #[test]
    fn d07_phases() {
        assert_eq!(term(&[51, 4, 0, 0, 14, 16]), Some((1800, 3150, 3600)));
        assert_eq!(term(&[]), Some((1800, 3150, 3600)), "no option 51");
        assert_eq!(term(&[51, 4, 0, 0, 0, 100, 58, 4, 0, 0, 0, 20, 59, 4, 0, 0, 0, 30]), Some((20, 30, 100)));
        assert_eq!(term(&[51, 4, 0, 0, 0, 100, 58, 4, 0, 0, 0, 20]), Some((20, 87, 100)), "T1 alone");
        for (t1, t2) in [(0, 30), (4, 30), (30, 20), (20, 100), (20, 20)] {
            let got = term(&[51, 4, 0, 0, 0, 100, 58, 4, 0, 0, 0, t1, 59, 4, 0, 0, 0, t2]);
            assert_eq!(got, Some((50, 87, 100)), "{t1} {t2}");
        }
        assert_eq!(term(&[51, 4, 255, 255, 255, 255]), None, "for ever");
        assert_eq!(term(&[51, 4, 0, 0, 0, 0]), Some((5, 8, 10)), "too short to be sane");
    }

    #[test]
    fn prefix_from_the_mask() {
        let len = |options: &[u8]| Lease::new(ack(options), None, Instant::ZERO).unwrap().prefix_len();
        assert_eq!(len(&[1, 4, 255, 255, 254, 0]), Some(23));
        assert_eq!(len(&[1, 4, 255, 255, 255, 255]), Some(32));
        assert_eq!(len(&[1, 4, 255, 0, 255, 0]), None, "holes");
        assert_eq!(len(&[1, 4, 0, 0, 0, 0]), None);
        assert_eq!(len(&[]), None);
    }

    #[test]
    fn addresses_that_are_no_hosts() {
        for bad in [[0, 0, 0, 0], [0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255]] {
            let reply = Reply { address: Ipv4Addr::from(bad), ..ack(&[]) };
            assert_eq!(Lease::new(reply, None, Instant::ZERO), Err(BadAddress));
        }
    }
}
