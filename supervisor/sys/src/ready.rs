//! Which of thousands of descriptors have something to read (epoll): the kernel keeps the list, and what an event costs does
//! not depend on its length. The set is a descriptor itself, to be waited for beside others in [`crate::poll::wait`].

use crate::poll::PollFlags;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::{AsFd, BorrowedFd};

/// Events fetched by one call.
const BATCH: usize = 64;

/// A set of descriptors, each with a number of the owner's.
#[derive(Debug)]
pub struct Ready(Epoll);

impl Ready {
    /// An empty set.
    pub fn new() -> Result<Self, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Adds a descriptor that is to be read, as [`Self::add_for`] does.
    pub fn add(&self, fd: BorrowedFd<'_>, number: u64) -> Result<(), Errno> {
        self.add_for(fd, PollFlags::POLLIN, number)
    }

    /// Adds a descriptor, for what a poll would wait for with these flags; one that is in already stays as it is. It leaves when it is closed, unless a copy lives on.
    pub fn add_for(&self, fd: BorrowedFd<'_>, flags: PollFlags, number: u64) -> Result<(), Errno> {
        // The kernel has one set of numbers for both.
        let flags = EpollFlags::from_bits_truncate(flags.bits().into());
        match self.0.add(fd, EpollEvent::new(flags, number)) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Hands out the numbers of those that have something to read or whose other side is gone, without waiting. When there are
    /// many it may not be all: the set then stays readable.
    pub fn take(&self, mut each: impl FnMut(u64)) {
        let mut events = [EpollEvent::empty(); BATCH];
        let n = self.0.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        events[..n].iter().for_each(|event| each(event.data()));
    }
}

impl AsFd for Ready {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "driver: this is about a real wait")]
    use super::*;
    use crate::clock::Instant;
    use crate::file::{pipe, read_some, write_all};
    use crate::poll::{PollFd, wait};

    fn taken(ready: &Ready) -> Vec<u64> {
        let mut all = Vec::new();
        ready.take(|number| all.push(number));
        all.sort_unstable();
        all
    }

    #[test]
    fn tells_who_is_readable_until_it_is_read_or_closed() {
        let ready = Ready::new().unwrap();
        let pipes: Vec<_> = (0..3).map(|_| pipe().unwrap()).collect();
        for ((reader, _), number) in pipes.iter().zip(7..) {
            ready.add(reader.as_fd(), number).unwrap();
            ready.add(reader.as_fd(), number).unwrap();
        }
        assert_eq!(taken(&ready), []);
        write_all(pipes[0].1.as_fd(), b"x").unwrap();
        write_all(pipes[2].1.as_fd(), b"x").unwrap();
        let mut fds = [PollFd::new(ready.as_fd(), PollFlags::POLLIN)];
        assert_eq!(wait(&mut fds, Instant::ZERO, Some(Instant::ZERO)), Ok(1));
        assert_eq!((taken(&ready), taken(&ready)), (vec![7, 9], vec![7, 9]));
        read_some(pipes[0].0.as_fd(), &mut [0; 4]).unwrap();
        assert_eq!(taken(&ready), [9]);
        drop(pipes);
        assert_eq!(taken(&ready), []);
    }
}
