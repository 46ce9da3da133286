//! Time as an integer. Machines get an [`Instant`] as an argument; only drivers read a clock.
//!
//! [`monotonic`] (stops in suspend) is for restart delays, [`boottime`] (counts suspend) for leases; [`wall`] is only for
//! what a human reads. `std::time::Instant` cannot be made in a test, this one can: `Instant::from_secs(500)`.

use core::ops::{Add, Sub};
use core::time::Duration;
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since boot on the clock the driver chose; 584 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// Boot.
    pub const ZERO: Self = Self(0);

    /// `n` nanoseconds after boot.
    pub const fn from_nanos(n: u64) -> Self {
        Self(n)
    }

    /// `n` milliseconds after boot.
    pub const fn from_millis(n: u64) -> Self {
        Self(n.saturating_mul(1_000_000))
    }

    /// `n` seconds after boot.
    pub const fn from_secs(n: u64) -> Self {
        Self(n.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

fn read(id: ClockId) -> Instant {
    // These clocks exist on every kernel we run on and the call has no other way to fail.
    clock_gettime(id).map_or(Instant::ZERO, |t| {
        Instant::from_secs(u64::try_from(t.tv_sec()).unwrap_or(0))
            + Duration::from_nanos(u64::try_from(t.tv_nsec()).unwrap_or(0))
    })
}

/// CLOCK_MONOTONIC: does not count suspend.
pub fn monotonic() -> Instant {
    read(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_BOOTTIME: counts suspend.
pub fn boottime() -> Instant {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Seconds and nanoseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wall {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub secs: i64,
    /// 0..1_000_000_000.
    pub nanos: u32,
}

/// CLOCK_REALTIME.
pub fn wall() -> Wall {
    clock_gettime(ClockId::CLOCK_REALTIME)
        .map_or_else(|_| Wall::default(), |t| Wall { secs: t.tv_sec(), nanos: u32::try_from(t.tv_nsec()).unwrap_or(0) })
}

/// TAI64N as runit and daemontools write it: 2^62 + 10 + unix seconds, no leap second table (spec runit §0.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tai64n {
    /// The 64-bit label.
    pub label: u64,
    /// 0..1_000_000_000.
    pub nanos: u32,
}

/// 2^62 plus the fixed ten seconds.
const TAI_UNIX_EPOCH: u64 = (1 << 62) + 10;

impl From<Wall> for Tai64n {
    fn from(w: Wall) -> Self {
        Self { label: TAI_UNIX_EPOCH.wrapping_add_signed(w.secs), nanos: w.nanos }
    }
}

impl From<Tai64n> for Wall {
    fn from(t: Tai64n) -> Self {
        Self { secs: t.label.wrapping_sub(TAI_UNIX_EPOCH).cast_signed(), nanos: t.nanos }
    }
}

impl Tai64n {
    /// Big-endian label, then big-endian nanoseconds: the first 12 bytes of `supervise/status`.
    pub fn pack(self) -> [u8; 12] {
        let mut b = [0; 12];
        b[..8].copy_from_slice(&self.label.to_be_bytes());
        b[8..].copy_from_slice(&self.nanos.to_be_bytes());
        b
    }

    /// Reads [`Self::hex`]; none if it is anything else.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let digits: &[u8; 24] = text.strip_prefix(b"@")?.try_into().ok()?;
        let mut bytes = [0; 12];
        for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
            let value = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
            *byte = value(*high)? << 4 | value(*low)?;
        }
        Some(Self::unpack(bytes))
    }

    /// The inverse of [`Self::pack`].
    pub fn unpack(b: [u8; 12]) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7, n0, n1, n2, n3] = b;
        Self {
            label: u64::from_be_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            nanos: u32::from_be_bytes([n0, n1, n2, n3]),
        }
    }

    /// `@` and 24 hex digits, the stamp of `svlogd -t` and the name of its old files.
    pub fn hex(self) -> [u8; 25] {
        let mut out = [b'@'; 25];
        for (i, byte) in self.pack().into_iter().enumerate() {
            for (k, nibble) in [byte >> 4, byte & 15].into_iter().enumerate() {
                out[1 + 2 * i + k] = b"0123456789abcdef"[usize::from(nibble)];
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_is_the_one_runit_writes() {
        // Seen in a status file of packaged runit: 40000000 6b0311ac 20e9b284.
        let t = Tai64n { label: 0x4000_0000_6b03_11ac, nanos: 0x20e9_b284 };
        assert_eq!(Tai64n::unpack(t.pack()), t);
        assert_eq!(Tai64n::from(Wall::from(t)), t);
        assert_eq!(&t.hex(), b"@400000006b0311ac20e9b284");
        assert_eq!(Tai64n::from_hex(&t.hex()), Some(t));
        assert_eq!(Tai64n::from_hex(b"@400000006b0311ac20e9b28"), None);
        assert_eq!(Tai64n::from_hex(b"@400000006b0311ac20e9b28x"), None);
        assert_eq!(Tai64n::from(Wall { secs: 0, nanos: 0 }).label, 0x4000_0000_0000_000a);
    }

    #[test]
    fn instants_saturate() {
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::from_secs(u64::MAX) + Duration::MAX, Instant::from_nanos(u64::MAX));
        assert_eq!(Instant::from_secs(1).since(Instant::from_secs(3)), Duration::ZERO);
        assert_eq!(Instant::from_millis(1500).since(Instant::from_secs(1)), Duration::from_millis(500));
    }
}
