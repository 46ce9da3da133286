//! One deadline as a descriptor. A poll's own timeout stands still in suspend; this clock does not, so a lease that ends
//! while the machine sleeps is noticed the moment it wakes.

use crate::clock::Instant;
use core::time::Duration;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// A timer on CLOCK_BOOTTIME, readable once its moment has come.
#[derive(Debug)]
pub struct Timer {
    fd: TimerFd,
    armed: Option<Instant>,
}

impl Timer {
    /// A timer that is not set.
    pub fn boottime() -> Result<Self, Errno> {
        let fd = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        Ok(Self { fd, armed: None })
    }

    /// Readable from `at` on (at once if that has passed); never if none. Setting it again to the same costs nothing.
    pub fn set(&mut self, at: Option<Instant>) -> Result<(), Errno> {
        if self.armed == at {
            return Ok(());
        }
        match at {
            // Zero would mean "off".
            Some(at) => self.fd.set(
                Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(at.as_nanos().max(1)))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )?,
            None => self.fd.unset()?,
        }
        self.armed = at;
        Ok(())
    }

    /// To be called when the descriptor was readable: it is then off.
    pub fn passed(&mut self) -> Result<(), Errno> {
        self.armed = None;
        self.fd.unset()
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "driver: this is about a real clock")]
    use super::*;
    use crate::clock::{boottime, monotonic};
    use crate::poll::{PollFd, PollFlags, wait};

    fn fires(timer: &Timer, within: Duration) -> bool {
        let mut fds = [PollFd::new(timer.as_fd(), PollFlags::POLLIN)];
        let now = monotonic();
        wait(&mut fds, now, Some(now + within)).unwrap() == 1
    }

    #[test]
    fn fires_at_its_moment_and_once() {
        let mut timer = Timer::boottime().unwrap();
        assert!(!fires(&timer, Duration::ZERO));
        let at = boottime() + Duration::from_millis(30);
        timer.set(Some(at)).unwrap();
        timer.set(Some(at)).unwrap();
        assert!(fires(&timer, Duration::from_secs(10)));
        assert!(boottime() >= at);
        timer.passed().unwrap();
        assert!(!fires(&timer, Duration::ZERO));
        timer.set(Some(Instant::ZERO)).unwrap();
        assert!(fires(&timer, Duration::from_secs(10)), "long past");
        timer.set(None).unwrap();
        assert!(!fires(&timer, Duration::ZERO));
    }
}
