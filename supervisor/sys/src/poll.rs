//! Wait for descriptors with one deadline. Every daemon is a loop around [`wait`].

use crate::clock::Instant;
use core::time::Duration;
pub use nix::poll::{PollFd, PollFlags};
use nix::{errno::Errno, poll::ppoll, sys::time::TimeSpec};

/// Waits until a descriptor is ready or `deadline` has come; for ever without one. `now` and `deadline` are of one clock.
///
/// An interrupting signal counts as a wake-up with nothing ready. Returns how many descriptors are ready.
pub fn wait(fds: &mut [PollFd<'_>], now: Instant, deadline: Option<Instant>) -> Result<usize, Errno> {
    // One extra microsecond so that the deadline has passed on return and the caller does not spin for the rest of it.
    let timeout = deadline.map(|d| match d.since(now) {
        Duration::ZERO => TimeSpec::from_duration(Duration::ZERO),
        left => TimeSpec::from_duration((left + Duration::from_micros(1)).min(Duration::from_secs(1 << 30))),
    });
    match ppoll(fds, timeout, None) {
        Ok(n) => Ok(usize::try_from(n).unwrap_or(0)),
        Err(Errno::EINTR) => Ok(0),
        Err(e) => Err(e),
    }
}

/// Something to read, or the other side is gone.
pub fn readable(fd: &PollFd<'_>) -> bool {
    fd.revents().is_some_and(|r| r.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR))
}
