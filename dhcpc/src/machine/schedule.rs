//! When to repeat what was not answered.

use core::time::Duration;
use netif::random::Random;

/// The rhythm of DISCOVER and REQUEST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// RFC 2131 §4.1: 4, 8, 16, 32, 64, 64, ... s, each ± 1 s. With another first gap it doubles from there, each ± a
    /// quarter but no more than a second.
    Rfc {
        /// The first gap: the RFC's four seconds, or less where a second lost at boot matters.
        first: Duration,
    },
    /// udhcpc's: `tries` (`-t`, 0 for ever) each `gap` (`-T`) apart, then a pause (`-A`).
    Fixed {
        /// DISCOVERs per round, 0 for no end.
        tries: u32,
        /// Between tries.
        gap: Duration,
        /// Between rounds.
        pause: Duration,
    },
}

/// The RFC's first gap.
pub const RFC_FIRST: Duration = Duration::from_secs(4);
/// The RFC's longest. A round that has come so far counts as failed.
const RFC_LONGEST: Duration = Duration::from_secs(64);
/// REQUESTs before starting over: RFC 2131 §3.1 speaks of four retransmissions in 60 s.
const RFC_REQUESTS: u32 = 4;
/// udhcpc's, not tunable there.
const FIXED_REQUESTS: u32 = 3;
/// Asking whether a remembered address holds: 1 s, then 2 s. A host that moved must not lose half a minute to a server
/// that does not answer for strangers' addresses.
const REBOOT_REQUESTS: u32 = 2;
/// RFC 2131 §4.4.5.
const MIN_RENEW_GAP: Duration = Duration::from_secs(60);
/// Longest wait after a NAK.
const MAX_NAK_PAUSE: Duration = Duration::from_secs(64);
/// udhcpc's, after each.
pub(super) const BUSYBOX_NAK_PAUSE: Duration = Duration::from_secs(3);
/// RFC 2131 §3.1 (5): at least this long after a DECLINE.
const MIN_DECLINE_PAUSE: Duration = Duration::from_secs(10);

/// The timer after a conflict.
pub(super) const AFTER_CONFLICT: &str = "pause after a conflict";

impl Schedule {
    /// How long to wait for an answer to the `sent`th DISCOVER in a row (from 1).
    pub(super) fn discover_gap(&self, sent: u32, random: &mut Random) -> Duration {
        match *self {
            Self::Rfc { first } => exponential(first, sent, random),
            Self::Fixed { gap, .. } => gap,
        }
    }

    /// DISCOVERs after which to say that nobody is there; none: never.
    pub(super) const fn discovers(&self) -> Option<u32> {
        match *self {
            // The try whose gap is the longest ends the round.
            Self::Rfc { first } => {
                let (mut n, mut gap) = (1, first);
                while gap.as_nanos() < RFC_LONGEST.as_nanos() && n < 64 {
                    gap = gap.saturating_mul(2);
                    n += 1;
                }
                Some(n)
            }
            Self::Fixed { tries: 0, .. } => None,
            Self::Fixed { tries, .. } => Some(tries),
        }
    }

    /// How long to wait for an answer to the `sent`th REQUEST for an offer.
    pub(super) fn request_gap(&self, sent: u32, random: &mut Random) -> Duration {
        self.discover_gap(sent, random)
    }

    /// REQUESTs for one offer.
    pub(super) const fn requests(&self) -> u32 {
        match self {
            Self::Rfc { .. } => RFC_REQUESTS,
            Self::Fixed { .. } => FIXED_REQUESTS,
        }
    }

    /// Rest between two rounds of DISCOVERs.
    pub(super) const fn pause(&self) -> Duration {
        match *self {
            // The RFC's rhythm has slowed down by itself.
            Self::Rfc { .. } => Duration::ZERO,
            Self::Fixed { pause, .. } => pause,
        }
    }

    /// Rest after a conflict.
    pub(super) fn decline_pause(&self, as_busybox: bool) -> Duration {
        match *self {
            Self::Fixed { pause, .. } if as_busybox => pause,
            Self::Fixed { .. } | Self::Rfc { .. } => self.pause().max(MIN_DECLINE_PAUSE),
        }
    }
}

/// RFC 2131 §4.1, for the `n`th try.
fn exponential(first: Duration, n: u32, random: &mut Random) -> Duration {
    // The exponent is capped before it is used: a client without a server lives long.
    let base = first.saturating_mul(1 << n.saturating_sub(1).min(20)).min(RFC_LONGEST);
    let jitter = (base / 4).min(Duration::from_secs(1));
    random.between(base - jitter, base + jitter)
}

/// How long to wait for an answer to the `sent`th REQUEST in REBOOTING; none: enough.
pub(super) fn reboot_gap(sent: u32) -> Option<Duration> {
    (sent <= REBOOT_REQUESTS).then(|| Duration::from_secs(u64::from(sent)))
}

/// RFC 2131 §4.4.5: half of what remains until the next phase, at least a minute.
pub(super) fn extend_gap(left: Duration) -> Duration {
    (left / 2).max(MIN_RENEW_GAP)
}

/// Rest after the `n`th NAK in a row: nothing (a moved host gets its new address at once), then 1, 2, 4 ... 64 s. A server
/// that refuses its own offers is asked about once a minute.
pub(super) fn nak_pause(n: u32) -> Duration {
    match n {
        0 | 1 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 2).min(6)).min(MAX_NAK_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D02: 4, 8, 16, 32, 64 s ± 1 s, spread over the whole range.
    #[test]
    fn d02_gaps_and_their_spread() {
        let mut random = Random::new(1);
        for (n, base) in [(1, 4000), (2, 8000), (3, 16_000), (4, 32_000), (5, 64_000), (6, 64_000), (u32::MAX, 64_000)]
        {
            let gaps: Vec<i128> = (0..1000)
                .map(|_| {
                    i128::try_from(Schedule::Rfc { first: RFC_FIRST }.discover_gap(n, &mut random).as_millis()).unwrap()
                        - base
                })
                .collect();
            assert!(gaps.iter().all(|g| (-1000..=1000).contains(g)));
            assert!(gaps.iter().any(|g| *g < -900) && gaps.iter().any(|g| *g > 900));
        }
    }

    /// D02: a first retry of a quarter second: a round is 0.25, 0.5, 1, 2, then the RFC's.
    #[test]
    fn d02_fast_first_retry() {
        let fast = Schedule::Rfc { first: Duration::from_millis(250) };
        let mut random = Random::new(1);
        assert_eq!((fast.discovers(), Schedule::Rfc { first: RFC_FIRST }.discovers()), (Some(9), Some(5)));
        for (n, base) in (1..).zip([250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 64_000]) {
            let gap = fast.discover_gap(n, &mut random).as_millis();
            let jitter = (base / 4).min(1000);
            assert!((base - jitter..=base + jitter).contains(&gap), "{n}: {gap}");
        }
    }

    #[test]
    fn nak_pauses_grow_to_a_minute() {
        let secs: Vec<u64> = (1..12).map(|n| nak_pause(n).as_secs()).collect();
        assert_eq!(secs, [0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64]);
        assert_eq!(nak_pause(u32::MAX).as_secs(), 64);
    }
}
