//! The lease file: what survives a restart, so that the address can be asked for again by name (INIT-REBOOT).
//!
//! ```text
//! magic "PTLEASE1" | mac 6 | boot id 16 | expires since boot, ns 8 | expires unix, s 8 | server 4
//!   | gateway 4 | its mac 6 | length 2 | ACK | crc32 4
//! ```
//! Numbers are big-endian, an expiry of all ones is "never", a server or gateway of 0.0.0.0 none. The file is read as if a stranger had
//! written it: the ACK goes through the same reader as one from the wire, and the time left is never more than it granted.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use crate::lease::{Lease, duration};
use crate::machine::Neighbour;
use crate::message::{Expect, ReplyKind, decode};
use core::time::Duration;
use std::net::Ipv4Addr;
use sys::clock::{Instant, Wall};

/// Format and version.
const MAGIC: &[u8; 8] = b"PTLEASE1";
/// Longest file worth reading: a jumbo frame and the header.
pub const MAX_FILE: usize = 16 * 1024;
/// What two readings of the wall clock may differ by without meaning anything.
const SLACK: Duration = Duration::from_secs(2);

/// In the file for "none".
const NOBODY: Neighbour = Neighbour { address: Ipv4Addr::UNSPECIFIED, mac: [0; 6] };

/// The three clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since boot.
    pub boot: Instant,
    /// Since 1970; may be wrong or jump.
    pub wall: Wall,
    /// Which boot.
    pub boot_id: [u8; 16],
}

/// What the file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It is still ours; ask whether it holds here.
    Lease(Box<Lease>),
    /// It is over (or no clock can tell): just a wish.
    Address(Ipv4Addr),
}

/// Why a lease file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Not one of ours, cut, or altered.
    Damaged,
    /// Of another interface or client id, or no lease at all.
    Foreign,
}

impl Unusable {
    /// The reason, for the log.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Foreign => "of another interface",
        }
    }
}

/// The file for `lease`.
pub fn encode(lease: &Lease, neighbour: Option<Neighbour>, mac: [u8; 6], now: &Now) -> Vec<u8> {
    let (boot, wall) = match lease.term {
        Some(term) => {
            let left = i64::try_from(term.expires_at.since(now.boot).as_secs()).unwrap_or(i64::MAX);
            (term.expires_at.as_nanos(), now.wall.secs.saturating_add(left))
        }
        None => (u64::MAX, i64::MAX),
    };
    let mut out = MAGIC.to_vec();
    out.extend(mac);
    out.extend(now.boot_id);
    out.extend(boot.to_be_bytes());
    out.extend(wall.to_be_bytes());
    out.extend(lease.server.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    let neighbour = neighbour.unwrap_or(NOBODY);
    out.extend(neighbour.address.octets());
    out.extend(neighbour.mac);
    // A UDP payload has less than 64 KiB.
    out.extend(u16::try_from(lease.ack.raw.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(&lease.ack.raw);
    out.extend(crc32(&out).to_be_bytes());
    out
}

/// Reads a lease file: the lease, and by what its link is recognised.
pub fn read(file: &[u8], expect: &Expect<'_>, now: &Now) -> Result<(Remembered, Option<Neighbour>), Unusable> {
    let (body, crc) = file.split_last_chunk::<4>().ok_or(Unusable::Damaged)?;
    if u32::from_be_bytes(*crc) != crc32(body) {
        return Err(Unusable::Damaged);
    }
    let mut rest = body;
    if take(&mut rest)? != *MAGIC {
        return Err(Unusable::Damaged);
    }
    let mac: [u8; 6] = take(&mut rest)?;
    let boot_id: [u8; 16] = take(&mut rest)?;
    let boot = u64::from_be_bytes(take(&mut rest)?);
    let wall = i64::from_be_bytes(take(&mut rest)?);
    let server = Ipv4Addr::from(take::<4>(&mut rest)?);
    let neighbour = Neighbour { address: Ipv4Addr::from(take::<4>(&mut rest)?), mac: take(&mut rest)? };
    let len = u16::from_be_bytes(take(&mut rest)?);
    if rest.len() != usize::from(len) {
        return Err(Unusable::Damaged);
    }
    if mac != expect.mac {
        return Err(Unusable::Foreign);
    }
    let ack = decode(rest, expect).ok().filter(|r| r.kind == ReplyKind::Ack).ok_or(Unusable::Foreign)?;
    let address = ack.address;

    let granted = duration(&ack);
    let left = if boot_id == now.boot_id {
        Instant::from_nanos(boot).since(now.boot)
    } else {
        Duration::from_secs(u64::try_from(wall.saturating_sub(now.wall.secs)).unwrap_or(0))
    };
    let age = match granted {
        None => Duration::ZERO,
        // More left than was granted: the clock went backwards, and nobody knows.
        Some(granted) if left > granted + SLACK => return wish(address).map(|w| (w, None)),
        Some(granted) => granted.saturating_sub(left),
    };
    let server = Some(server).filter(|s| !s.is_unspecified());
    match Lease::aged(ack, server, now.boot, age) {
        Ok(lease) if !lease.is_over(now.boot) => {
            // Only what belongs to the lease itself, and to one station.
            let station = |n: &Neighbour| Some(n.address) == lease.gateway() && n.mac[0] & 1 == 0;
            let neighbour = Some(neighbour).filter(station);
            Ok((Remembered::Lease(Box::new(lease)), neighbour))
        }
        Ok(_) => wish(address).map(|w| (w, None)),
        Err(_) => Err(Unusable::Foreign),
    }
}

fn wish(address: Ipv4Addr) -> Result<Remembered, Unusable> {
    if crate::lease::is_host(address) { Ok(Remembered::Address(address)) } else { Err(Unusable::Foreign) }
}

/// The next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unusable> {
    let (head, tail) = rest.split_first_chunk().ok_or(Unusable::Damaged)?;
    *rest = tail;
    Ok(*head)
}

/// CRC-32 as in Ethernet and zip, bit by bit: a few hundred bytes, rarely.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::fixture::{ADDRESS, EXPECT, MAC, SERVER, ack};
    use netif::random::Random;

    const THEN: Now =
        Now { boot: Instant::from_secs(1000), wall: Wall { secs: 1_700_000_000, nanos: 0 }, boot_id: [1; 16] };

    fn lease() -> Lease {
        Lease::new(ack(&[54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16]), None, THEN.boot).unwrap()
    }

    fn later(boot: u64, wall: i64, same_boot: bool) -> Now {
        Now {
            boot: Instant::from_secs(boot),
            wall: Wall { secs: THEN.wall.secs + wall, nanos: 0 },
            boot_id: if same_boot { [1; 16] } else { [2; 16] },
        }
    }

    fn expiry(now: &Now) -> Option<u64> {
        match read(&encode(&lease(), None, MAC, &THEN), &EXPECT, now).unwrap().0 {
            Remembered::Lease(l) => {
                assert_eq!((l.address(), l.server), (ADDRESS, Some(SERVER)));
                l.term.map(|t| t.expires_at.as_nanos() / 1_000_000_000)
            }
            Remembered::Address(a) => {
                assert_eq!(a, ADDRESS);
                None
            }
        }
    }

    #[test]
    fn crc_of_the_textbook() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn time_left_by_the_better_clock() {
        assert_eq!(expiry(&THEN), Some(4600));
        assert_eq!(expiry(&later(2000, 0, true)), Some(4600), "same boot: the wall clock does not matter");
        assert_eq!(expiry(&later(4600, 0, true)), None, "over");
        assert_eq!(expiry(&later(10, 600, false)), Some(3010), "after a reboot the wall clock counts");
        assert_eq!(expiry(&later(10, 3600, false)), None, "over");
        assert_eq!(expiry(&later(10, -86_400, false)), None, "no battery: yesterday");
    }

    #[test]
    fn a_lease_for_ever_stays_one() {
        let l = Lease::new(ack(&[51, 4, 255, 255, 255, 255]), None, THEN.boot).unwrap();
        let got = read(&encode(&l, None, MAC, &THEN), &EXPECT, &later(1, 999_999, false)).unwrap();
        assert_eq!(got, (Remembered::Lease(Box::new(l)), None));
    }

    /// D27: the gateway is kept with its lease, and only if it is the lease's.
    #[test]
    fn d27_gateway_is_remembered() {
        let l = Lease::new(ack(&[3, 4, 192, 0, 2, 9, 51, 4, 0, 0, 14, 16]), None, THEN.boot).unwrap();
        let kept = |address: [u8; 4], mac| {
            let neighbour = Neighbour { address: address.into(), mac };
            read(&encode(&l, Some(neighbour), MAC, &THEN), &EXPECT, &THEN).unwrap().1 == Some(neighbour)
        };
        assert!(kept([192, 0, 2, 9], [2, 0, 0, 0, 0, 9]));
        assert!(!kept([192, 0, 2, 8], [2, 0, 0, 0, 0, 9]), "not the gateway");
        assert!(!kept([192, 0, 2, 9], [0xff; 6]), "a group address is nobody's");
    }

    #[test]
    fn others_leases_are_not_ours() {
        let file = encode(&lease(), None, MAC, &THEN);
        let other = Expect { mac: [2; 6], client_id: None };
        assert_eq!(read(&file, &other, &THEN), Err(Unusable::Foreign));
        let mut nak = lease();
        nak.ack.raw = crate::message::fixture::bytes(ReplyKind::Nak, 1, &[]).into();
        assert_eq!(read(&encode(&nak, None, MAC, &THEN), &EXPECT, &THEN), Err(Unusable::Foreign));
    }

    #[test]
    fn every_cut_and_flip_is_noticed() {
        let file = encode(&lease(), None, MAC, &THEN);
        for n in 0..file.len() {
            assert_eq!(read(&file[..n], &EXPECT, &THEN), Err(Unusable::Damaged));
        }
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 0x10;
            assert_eq!(read(&bad, &EXPECT, &THEN), Err(Unusable::Damaged));
        }
    }

    /// A file with a right checksum and any content: never a panic, never more time than granted.
    #[test]
    fn forged_files() {
        let mut random = Random::new(3);
        let file = encode(&lease(), None, MAC, &THEN);
        for _ in 0..20_000 {
            let mut forged = file[..file.len() - 4].to_vec();
            for _ in 0..1 + random.below(4) {
                let at = usize::try_from(random.below(u64::try_from(forged.len()).unwrap())).unwrap();
                forged[at] = random.bits32().to_le_bytes()[0];
            }
            forged.extend(crc32(&forged).to_be_bytes());
            if let Ok((Remembered::Lease(l), _)) = read(&forged, &EXPECT, &THEN) {
                let granted = duration(&l.ack);
                assert!(l.term.is_none_or(|t| t.expires_at.since(THEN.boot) <= granted.unwrap()));
            }
        }
    }
}
