//! Random numbers as an input: machines get a seeded [`Random`], so a test repeats exactly; drivers seed it from [`entropy`].
//!
//! The generator is SplitMix64 (Steele, Lea, Flood 2014): eight bytes of state, any seed is good. Not for keys.

use core::time::Duration;
use sys::{Errno, file};

/// A seeded generator.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Equal seeds give equal numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn bits64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 32 random bits, a DHCP transaction id for example.
    pub const fn bits32(&mut self) -> u32 {
        (self.bits64() >> 32) as u32
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub const fn below(&mut self, n: u64) -> u64 {
        // Multiply-shift: the bias is n/2^64, far below anything a timer or an address pool shows.
        ((self.bits64() as u128 * n as u128) >> 64) as u64
    }

    /// Uniform in `lo..=hi`, to the nanosecond; `lo` when they are the wrong way round.
    pub fn between(&mut self, lo: Duration, hi: Duration) -> Duration {
        let span = u64::try_from(hi.saturating_sub(lo).as_nanos()).unwrap_or(u64::MAX);
        lo + Duration::from_nanos(self.below(span.saturating_add(1)))
    }
}

/// A seed from the kernel's generator (`/dev/urandom`, which never blocks).
pub fn entropy() -> Result<u64, Errno> {
    let mut seed = [0; 8];
    match file::read_into(file::CWD, "/dev/urandom", &mut seed)?.len() {
        8 => Ok(u64::from_ne_bytes(seed)),
        _ => Err(Errno::EIO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_and_stays_in_range() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        let (lo, hi) = (Duration::from_secs(1), Duration::from_secs(2));
        let mut seen = [false; 10];
        for _ in 0..1000 {
            let d = a.between(lo, hi);
            assert_eq!(d, b.between(lo, hi));
            assert!(d >= lo && d <= hi);
            seen[usize::try_from(a.below(10)).unwrap()] = true;
            b.bits64();
        }
        assert_eq!(seen, [true; 10]);
        assert_eq!((a.below(0), a.below(1)), (0, 0));
        assert_eq!(a.between(hi, lo), hi);
    }

    #[test]
    fn known_answers() {
        // The reference generator started with 0.
        let mut r = Random::new(0);
        assert_eq!([r.bits64(), r.bits64()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn entropy_differs() {
        assert_ne!(entropy().unwrap(), entropy().unwrap());
    }
}
