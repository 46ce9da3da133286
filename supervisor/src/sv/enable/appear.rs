//! The runsv of a service that was enabled: it comes when a runsvdir has seen the link.
#![expect(clippy::disallowed_methods, reason = "driver: waits")]

use super::super::goal::ASK_AGAIN;
use super::super::look::alive;
use super::super::place::Place;
use crate::service;
use std::os::fd::AsFd;
use sys::clock::{Instant, monotonic};
use sys::poll::{PollFd, PollFlags, wait};
use sys::watch::{Interest, Watch};

/// Waits until a runsv holds the service, `deadline` at the latest; whether one does. Opening `supervise/ok`, its last step, is
/// no event; the status that it writes is one, just before. So it is looked at every 420 ms, too.
pub(super) fn appears(place: &mut Place, deadline: Instant) -> bool {
    let watch = Watch::new().ok();
    loop {
        if let Some(watch) = &watch {
            // `supervise` is there or comes, and then it is watched.
            let _ = watch.add(place.dir(), Interest::Names);
            let _ = watch.add(place.file(service::SUPERVISE), Interest::Content);
        }
        if alive(place).is_ok() {
            return true;
        }
        let now = monotonic();
        if now >= deadline {
            return false;
        }
        let mut fds: Vec<_> = watch.iter().map(|w| PollFd::new(w.as_fd(), PollFlags::POLLIN)).collect();
        let _ = wait(&mut fds, now, Some(deadline.min(now + ASK_AGAIN)));
        drop(fds);
        if let Some(watch) = &watch {
            watch.changes(|_, _| {});
        }
    }
}
