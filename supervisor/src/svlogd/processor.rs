//! When the processor of a log directory runs (spec runit §4.7): one at a time, oldest file first, again after a failure with a
//! growing delay. runit restarts a failing processor at once, for ever.
//!
//! Input never waits for it; old files queue up in the directory, where the `.u` in their names marks them as not processed.

use core::time::Duration;
use sys::Pid;
use sys::clock::Instant;

/// After the first failure; doubled by each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(64);

/// What the processor is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing, and nothing waits for it.
    Idle,
    /// There may be files for it.
    Due { failures: u32 },
    /// At this file, named without its `.u`.
    Running { pid: Pid, file: Vec<u8>, failures: u32 },
    /// Failed before; tries again then.
    Resting { until: Instant, failures: u32 },
}

impl Work {
    /// A file has become old.
    pub(crate) fn file_added(&mut self) {
        match self {
            Self::Idle => *self = Self::Due { failures: 0 },
            // Looks for files when its turn has come.
            Self::Due { .. } | Self::Running { .. } | Self::Resting { .. } => {}
        }
    }

    /// Whether to start it on the oldest file now, or to become idle when there is none.
    pub(crate) fn due(&self, now: Instant) -> bool {
        match self {
            Self::Due { .. } => true,
            Self::Resting { until, .. } => *until <= now,
            Self::Idle | Self::Running { .. } => false,
        }
    }

    /// When to ask again.
    pub(crate) fn wake(&self) -> Option<Instant> {
        match self {
            Self::Resting { until, .. } => Some(*until),
            Self::Idle | Self::Due { .. } | Self::Running { .. } => None,
        }
    }

    fn failures(&self) -> u32 {
        match self {
            Self::Idle => 0,
            Self::Due { failures } | Self::Running { failures, .. } | Self::Resting { failures, .. } => *failures,
        }
    }

    /// It runs.
    pub(crate) fn started(&mut self, pid: Pid, file: Vec<u8>) {
        *self = Self::Running { pid, file, failures: self.failures() };
    }

    /// There was no file for it.
    pub(crate) fn nothing_to_do(&mut self) {
        *self = Self::Idle;
    }

    /// It did its work.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::Due { failures: 0 };
    }

    /// It did not, or could not be started. Returns how long it rests.
    pub(crate) fn failed(&mut self, now: Instant) -> Duration {
        let failures = self.failures();
        let delay = (FIRST_DELAY * (1 << failures.min(16))).min(LONGEST_DELAY);
        *self = Self::Resting { until: now + delay, failures: failures.saturating_add(1) };
        delay
    }

    /// The file it is at, which must not be deleted.
    pub(crate) fn file(&self) -> Option<&[u8]> {
        match self {
            Self::Running { file, .. } => Some(file),
            Self::Idle | Self::Due { .. } | Self::Resting { .. } => None,
        }
    }

    /// Whether it is this child.
    pub(crate) fn is(&self, child: Pid) -> bool {
        match self {
            Self::Running { pid, .. } => *pid == child,
            Self::Idle | Self::Due { .. } | Self::Resting { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Instant = Instant::from_secs(1000);

    #[test]
    fn one_at_a_time() {
        let mut w = Work::Idle;
        assert!(!w.due(T));
        w.file_added();
        assert!(w.due(T));
        w.started(Pid::from_raw(7), b"@1".to_vec());
        w.file_added();
        assert!(!w.due(T) && w.is(Pid::from_raw(7)) && !w.is(Pid::from_raw(8)));
        assert_eq!(w.file(), Some(b"@1".as_slice()));
        w.succeeded();
        assert!(w.due(T));
        w.nothing_to_do();
        assert_eq!((w.due(T), w.wake()), (false, None));
    }

    #[test]
    fn failures_back_off_and_success_forgets_them() {
        let mut w = Work::Idle;
        w.file_added();
        let mut delays = Vec::new();
        for _ in 0..9 {
            w.started(Pid::from_raw(7), b"@1".to_vec());
            let delay = w.failed(T);
            delays.push(delay.as_secs());
            assert!(!w.due(T + delay - Duration::from_nanos(1)) && w.due(T + delay));
            assert_eq!(w.wake(), Some(T + delay));
            w.file_added();
            assert!(!w.due(T));
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        w.started(Pid::from_raw(7), b"@1".to_vec());
        w.succeeded();
        w.started(Pid::from_raw(7), b"@2".to_vec());
        assert_eq!(w.failed(T), FIRST_DELAY);
    }
}
