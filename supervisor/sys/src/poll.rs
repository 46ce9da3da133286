//! Wait for descriptors with one deadline. Every daemon is a loop around [`wait`].

use crate::clock::Instant;
use core::ffi::c_int;
use core::time::Duration;
pub use nix::poll::{PollFd, PollFlags};
use nix::{errno::Errno, poll::ppoll, sys::time::TimeSpec};

/// Waits until a descriptor is ready or `deadline` has come; for ever without one. `now` and `deadline` are of one clock.
///
/// An interrupting signal counts as a wake-up with nothing ready. Returns how many descriptors are ready.
pub fn wait(fds: &mut [PollFd<'_>], now: Instant, deadline: Option<Instant>) -> Result<usize, Errno> {
    outcome(ppoll(fds, timeout(now, deadline), None))
}

/// How long until `deadline`.
pub(crate) fn timeout(now: Instant, deadline: Option<Instant>) -> Option<TimeSpec> {
    // One extra microsecond so that the deadline has passed on return and the caller does not spin for the rest of it.
    deadline.map(|d| match d.since(now) {
        Duration::ZERO => TimeSpec::from_duration(Duration::ZERO),
        left => TimeSpec::from_duration((left + Duration::from_micros(1)).min(Duration::from_secs(1 << 30))),
    })
}

/// What a poll that has ended with this means to [`wait`].
pub(crate) fn outcome(result: Result<c_int, Errno>) -> Result<usize, Errno> {
    match result {
        Ok(n) => Ok(usize::try_from(n).unwrap_or(0)),
        Err(Errno::EINTR) => Ok(0),
        Err(e) => Err(e),
    }
}

/// Something to read, or the other side is gone.
pub fn readable(fd: &PollFd<'_>) -> bool {
    fd.revents().is_some_and(|r| r.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR))
}
