#![expect(clippy::disallowed_methods, reason = "reads both clocks for drivers")]
//! When the machine was asleep: what was true of a network before need not be true after.

use crate::clock::{boottime, monotonic};
use core::time::Duration;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// A clock that stood still for so long was asleep with the machine, not read at an unlucky moment.
const LEAST: Duration = Duration::from_secs(1);
/// In the 22nd century; the kernel takes later times, some of its older versions do not.
const NEVER: Duration = Duration::from_secs(6_000_000_000);

/// A descriptor that is readable when the machine wakes. The kernel sets its clock then, and cancels timers that want to know
/// of that.
#[derive(Debug)]
pub struct Sleep {
    fd: TimerFd,
    /// How much BOOTTIME is ahead of MONOTONIC.
    slept: Duration,
}

impl Sleep {
    /// From now on.
    pub fn watch() -> Result<Self, Errno> {
        let fd = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let told = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        fd.set(Expiration::OneShot(TimeSpec::from_duration(NEVER)), told)?;
        Ok(Self { fd, slept: asleep() })
    }

    /// To be called when the descriptor is readable: whether the machine has slept. Else somebody has set its clock.
    pub fn over(&mut self) -> Result<bool, Errno> {
        match self.fd.wait() {
            Ok(()) | Err(Errno::EAGAIN) => Ok(self.grew(asleep())),
            Err(e) => Err(e),
        }
    }

    fn grew(&mut self, slept: Duration) -> bool {
        slept.saturating_sub(core::mem::replace(&mut self.slept, slept)) > LEAST
    }
}

impl AsFd for Sleep {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn asleep() -> Duration {
    loop {
        let (before, at, after) = (monotonic(), boottime(), monotonic());
        // Else others ran in between.
        if after.since(before) < LEAST / 2 {
            return at.since(after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{PollFd, PollFlags, wait};

    #[test]
    fn awake_and_asleep() {
        let mut sleep = Sleep::watch().unwrap();
        assert_eq!(sleep.over(), Ok(false));
        let now = monotonic();
        let mut fds = [PollFd::new(sleep.as_fd(), PollFlags::POLLIN)];
        assert_eq!(wait(&mut fds, now, Some(now + Duration::from_millis(20))), Ok(0), "nothing wakes us");
        let slept = sleep.slept;
        assert!(sleep.grew(slept + Duration::from_secs(5)));
        assert!(!sleep.grew(slept + Duration::from_secs(5)), "once");
        assert!(!sleep.grew(slept + Duration::from_millis(5500)), "the clocks do not agree to the millisecond");
    }
}
