//! The record of a trial: as long as the file is there, the configuration is not confirmed. Lines `KEY VALUE`:
//!
//! | line | meaning |
//! |---|---|
//! | `boot ID TICKS` | the boot the deadline is of: boot_id, and when pid 1 started |
//! | `deadline NANOS` | CLOCK_BOOTTIME in nanoseconds |
//! | `to N` | the revision that comes back |
//! | `from CONNECTION` | `SSH_CONNECTION` of whoever began it |
//! | `over` | the deadline has passed, and what was tried is in `reverted` |

use sys::clock::Instant;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) boot: String,
    pub(super) deadline: Instant,
    pub(super) to: u32,
    pub(super) from: Option<String>,
    pub(super) over: bool,
}

/// What a record means now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It may still be confirmed, until then.
    On(Instant),
    /// The revision is to come back.
    Over,
}

impl Record {
    /// `boot` is this boot, `now` its CLOCK_BOOTTIME. A record of another boot is over: power was lost.
    pub(super) fn phase(&self, boot: &str, now: Instant) -> Phase {
        if self.over || self.boot != boot || now >= self.deadline { Phase::Over } else { Phase::On(self.deadline) }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("boot {}\ndeadline {}\nto {}\n", self.boot, self.deadline.as_nanos(), self.to);
        if let Some(from) = &self.from {
            text.extend(["from ", from, "\n"]);
        }
        if self.over {
            text.push_str("over\n");
        }
        text
    }

    /// None if it is not to be understood.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mut record, mut to) = (Self::default(), None);
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("boot", value) => value.clone_into(&mut record.boot),
                ("deadline", value) => record.deadline = Instant::from_nanos(value.parse().ok()?),
                ("to", value) => to = Some(value.parse().ok()?),
                ("from", value) => record.from = Some(value.to_owned()),
                ("over", _) => record.over = true,
                _ => return None,
            }
        }
        Some(Self { to: to?, ..record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record { boot: "b 1".into(), deadline: Instant::from_secs(100), to: 3, from: None, over: false }
    }

    #[test]
    fn reads_what_it_writes() {
        for r in [record(), Record { from: Some("192.0.2.1 5 192.0.2.2 22".into()), over: true, ..record() }] {
            assert_eq!(Record::parse(&r.text()), Some(r));
        }
        for bad in ["", "boot x\ndeadline 5\n", "boot x\ndeadline y\nto 1\n", "to -1\n", "to 1\nwhat\n"] {
            assert_eq!(Record::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn over_at_the_deadline_and_in_another_boot() {
        let (before, at) = (Instant::from_nanos(100_000_000_000 - 1), Instant::from_secs(100));
        assert_eq!(record().phase("b 1", before), Phase::On(at));
        assert_eq!(record().phase("b 1", at), Phase::Over);
        assert_eq!(record().phase("b 2", before), Phase::Over);
        assert_eq!(record().phase("", before), Phase::Over);
        assert_eq!(Record { over: true, ..record() }.phase("b 1", before), Phase::Over);
    }
}
