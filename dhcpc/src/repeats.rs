//! Lines that strangers cause as often as they like, so that nobody can fill a log: the first of a kind are said at once, the
//! others counted, and the count said at growing intervals. What was quiet for an interval begins anew.
//!
//! There are only as many kinds as there are reasons here, whatever the strangers put into their messages.

use crate::machine::{Ignored, Note, Unwanted};
use crate::message::{Refused, ReplyKind};
use core::fmt;
use core::time::Duration;
use sys::clock::Instant;

/// The first interval; each that follows at once is twice as long.
const SHORTEST: Duration = Duration::from_secs(10);
/// The last.
const LONGEST: Duration = Duration::from_secs(3600);

/// Lines that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server the administrator rejects.
    Rejected,
    /// A reply without an option that is required.
    Lacking,
    /// A lease that is too short.
    Short,
    /// An address that no host can have.
    BadAddress,
    /// A reply that was understood; with -v.
    Heard(ReplyKind),
    /// A message that is none, or not for us; with -vv.
    Dropped(Refused),
    /// A reply that changes nothing; with -vv.
    Ignored(Ignored),
}

impl Kind {
    /// That of a line about a single reply; none: a change of state, which has a pace of its own.
    pub(crate) const fn of(note: &Note) -> Option<Self> {
        match note {
            Note::Unwanted { why: Unwanted::Rejected, .. } => Some(Self::Rejected),
            Note::Unwanted { why: Unwanted::Lacks(_), .. } => Some(Self::Lacking),
            Note::Unwanted { why: Unwanted::Short(_), .. } => Some(Self::Short),
            Note::BadAddress(_) => Some(Self::BadAddress),
            Note::Discovering
            | Note::Requesting { .. }
            | Note::Verifying(_)
            | Note::Checking(_)
            | Note::Bound { .. }
            | Note::Forced(_)
            | Note::Renewing(_)
            | Note::Rebinding(_)
            | Note::Expired(_)
            | Note::Refused { .. }
            | Note::NobodyAnswered
            | Note::Conflict { .. }
            | Note::Defended { .. }
            | Note::SameNetwork { .. }
            | Note::V6Only(_)
            | Note::NoAutoconf
            | Note::Released
            | Note::CarrierLost
            | Note::Woken
            | Note::Absent
            | Note::NewMac(_) => None,
        }
    }

    /// How many are said before they are counted: of what is looked for with -v, a whole exchange or two.
    const fn at_once(self) -> u64 {
        match self {
            Self::Rejected | Self::Lacking | Self::Short | Self::BadAddress => 1,
            Self::Heard(_) | Self::Dropped(_) | Self::Ignored(_) => 10,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected => f.write_str("not taken: replies from rejected servers"),
            Self::Lacking => f.write_str("not taken: replies without a required option"),
            Self::Short => f.write_str("not taken: leases that are too short"),
            Self::BadAddress => f.write_str("ignored: addresses that no host can have"),
            Self::Heard(kind) => f.write_str(&format!("heard: {kind:?}").to_lowercase()),
            Self::Dropped(why) => write!(f, "packet dropped: {}", why.text()),
            Self::Ignored(why) => f.write_str(&format!("reply ignored: {why:?}").to_lowercase()),
        }
    }
}

/// What was said and what was not.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    kind: Kind,
    /// In this interval.
    said: u64,
    counted: u64,
    interval: Duration,
    ends: Instant,
}

/// Lines that were not said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    kind: Kind,
    count: u64,
    interval: Duration,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} more in {} s", self.kind, self.count, self.interval.as_secs())
    }
}

impl Repeats {
    /// Whether this one is to be said. If not, it is counted.
    pub(crate) fn say(&mut self, now: Instant, kind: Kind) -> bool {
        let fresh = Seen { kind, said: 1, counted: 0, interval: SHORTEST, ends: now + SHORTEST };
        match self.seen.iter_mut().find(|s| s.kind == kind) {
            None => self.seen.push(fresh),
            Some(seen) if seen.counted == 0 && seen.ends <= now => *seen = fresh,
            Some(seen) if seen.counted == 0 && seen.said < kind.at_once() => seen.said += 1,
            Some(seen) => {
                seen.counted = seen.counted.saturating_add(1);
                return false;
            }
        }
        true
    }

    /// When to ask for [`Self::sum`]; none while nothing is kept back.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.seen.iter().filter(|s| s.counted > 0).map(|s| s.ends).min()
    }

    /// The next count whose time has come. After it the interval is twice as long, and nothing of the kind is said in it.
    pub(crate) fn sum(&mut self, now: Instant) -> Option<Sum> {
        let seen = self.seen.iter_mut().find(|s| s.counted > 0 && s.ends <= now)?;
        let sum = Sum { kind: seen.kind, count: seen.counted, interval: seen.interval };
        let interval = (seen.interval * 2).min(LONGEST);
        *seen = Seen { kind: seen.kind, said: u64::MAX, counted: 0, interval, ends: now + interval };
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    #[test]
    fn the_first_at_once_then_counts_less_and_less_often() {
        let mut r = Repeats::default();
        assert_eq!(r.deadline(), None);
        assert!(r.say(at(100), Kind::Rejected));
        assert_eq!(r.deadline(), None, "nothing kept back, nothing to wake up for");
        // A thousand a second for two hours.
        let mut lines = Vec::new();
        for second in 100..7300 {
            while let Some(sum) = r.sum(at(second)) {
                lines.push((second - 100, sum.to_string()));
            }
            (0..1000).for_each(|_| assert!(!r.say(at(second), Kind::Rejected)));
        }
        let when: Vec<u64> = lines.iter().map(|l| l.0).collect();
        assert_eq!(when, [10, 30, 70, 150, 310, 630, 1270, 2550, 5110]);
        assert_eq!(lines[1].1, "not taken: replies from rejected servers: 20000 more in 20 s");
        assert_eq!(r.deadline(), Some(at(100 + 5110 + 3600)));
    }

    #[test]
    fn what_was_quiet_begins_anew() {
        let mut r = Repeats::default();
        assert!(r.say(at(0), Kind::Short) && !r.say(at(1), Kind::Short));
        assert_eq!(r.sum(at(9)), None);
        assert_eq!(r.sum(at(10)), Some(Sum { kind: Kind::Short, count: 1, interval: SHORTEST }));
        assert_eq!((r.sum(at(10)), r.deadline()), (None, None));
        assert!(!r.say(at(29), Kind::Short), "within the second interval");
        assert_eq!(r.deadline(), Some(at(30)));
        assert!(r.sum(at(31)).is_some());
        assert!(r.say(at(72), Kind::Short), "and its third was quiet");
        assert!(!r.say(at(73), Kind::Short));
        assert_eq!(r.deadline(), Some(at(82)), "ten seconds again");
    }

    #[test]
    fn kinds_do_not_hide_each_other() {
        let mut r = Repeats::default();
        let kind = Kind::Dropped(Refused::Cookie);
        assert_eq!((0..100).filter(|_| r.say(at(5), kind)).count(), 10);
        assert!(r.say(at(5), Kind::BadAddress) && r.say(at(5), Kind::Ignored(Ignored::Xid)));
        let sum = r.sum(at(15)).unwrap();
        assert_eq!(sum.to_string(), "packet dropped: no DHCP cookie: 90 more in 10 s");
        assert_eq!(r.sum(at(15)), None);
    }
}
