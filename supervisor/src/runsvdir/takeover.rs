#![expect(clippy::disallowed_methods, reason = "driver: looks for the processes that hold locks")]
//! A `runsv` that runs already: left by a runsvdir that was killed, or ended by TERM.
//!
//! It holds `supervise/lock`, and `/proc/locks` says who that is (proc(5)), whether it is ours or runit's. What counts is that
//! it is a runsv in that very directory; one in another directory whose `supervise` leads to the same place is another service.

use super::scan::Id;
use crate::service;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use sys::file::{self, CWD};
use sys::lock::Lock;
use sys::msg::Dec;
use sys::orphan::Orphan;
use sys::{Pid, clock};

/// Whether a service has somebody who looks after it.
#[derive(Debug)]
pub(crate) enum Holder {
    /// Nobody.
    None,
    /// This runsv.
    Runsv(Orphan),
    /// Somebody who cannot be found out.
    Unknown,
}

/// Who holds the locks, as of one moment.
#[derive(Debug)]
pub(crate) struct Holders {
    /// Inode and process, sorted. The device is left out: some file systems show another one to stat(2).
    locks: Vec<(u64, Pid)>,
}

/// Longer than the list of anybody's locks.
const LOCKS_MAX: usize = 64 << 20;

impl Holders {
    /// Reads the list; empty without `/proc`.
    pub(crate) fn read() -> Self {
        let text = file::read_bounded(CWD, c"/proc/locks", LOCKS_MAX).unwrap_or_default();
        let mut locks: Vec<_> = text.split(|&b| b == b'\n').filter_map(parse).collect();
        locks.sort_unstable();
        Self { locks }
    }

    fn of(&self, inode: u64) -> impl Iterator<Item = Pid> {
        let first = self.locks.partition_point(|(ino, _)| *ino < inode);
        self.locks[first..].iter().take_while(move |(ino, _)| *ino == inode).map(|(_, pid)| *pid)
    }
}

/// A line of `/proc/locks`, `1: FLOCK  ADVISORY  WRITE 23674 00:37:11 0 EOF`: inode and process. None for other kinds of lock
/// and for those who wait for one (`1: -> FLOCK ...`).
fn parse(line: &[u8]) -> Option<(u64, Pid)> {
    let mut words = core::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next()?;
    if words.next()? != "FLOCK" {
        return None;
    }
    let pid = words.nth(2)?.parse().ok()?;
    let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
    Some((inode, Pid::from_raw(pid)))
}

/// Who looks after the service directory `name` of `dir`, which is `id`. `holders` is filled when it is needed.
pub(crate) fn holder(dir: BorrowedFd<'_>, name: &CStr, id: Id, holders: &mut Option<Holders>) -> Holder {
    // What cannot be opened here has nothing to say to the one who will try in earnest.
    let Ok(service) = file::open_dir(dir, name) else { return Holder::None };
    if Lock::is_held(service.as_fd(), service::LOCK) != Ok(true) {
        return Holder::None;
    }
    let Ok(lock) = file::stat(service.as_fd(), service::LOCK) else { return Holder::Unknown };
    let mut all = holders.get_or_insert_with(Holders::read).of(lock.st_ino);
    all.find_map(|pid| runsv(pid, id)).map_or(Holder::Unknown, Holder::Runsv)
}

/// The process, if it is a runsv in that directory.
fn runsv(pid: Pid, id: Id) -> Option<Orphan> {
    if !is_runsv(pid, id) {
        return None;
    }
    let ever = (clock::Instant::ZERO, clock::boottime());
    let found = Orphan::find(pid, ever).ok()?;
    // Its number may have become another's before it was held.
    is_runsv(pid, id).then_some(found)
}

fn is_runsv(pid: Pid, id: Id) -> bool {
    let pid = Dec::new(u64::from(pid.as_raw().cast_unsigned()));
    let path = |name: &[u8]| [b"/proc/", pid.as_bytes(), b"/", name].concat();
    let mut buf = [0; 16];
    let Ok(comm) = file::read_into(CWD, path(b"comm").as_slice(), &mut buf) else { return false };
    let Ok(cwd) = file::stat(CWD, path(b"cwd").as_slice()) else { return false };
    matches!(comm, b"runsv\n" | b"supervisor\n") && Id { dev: cwd.st_dev, ino: cwd.st_ino } == id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_locks() {
        let read = |line: &str| parse(line.as_bytes()).map(|(inode, pid)| (inode, pid.as_raw()));
        assert_eq!(read("1: FLOCK  ADVISORY  WRITE 23674 00:37:11 0 EOF"), Some((11, 23674)));
        assert_eq!(read("102: FLOCK  ADVISORY  WRITE 5642 fe:00:10448546 0 EOF"), Some((10_448_546, 5642)));
        assert_eq!(read("102: -> FLOCK  ADVISORY  WRITE 5643 fe:00:10448546 0 EOF"), None);
        assert_eq!(read("4: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF"), None);
        assert_eq!(read("4: OFDLCK ADVISORY  READ  -1 00:06:1028 0 EOF"), None);
        for line in ["", "1:", "1: FLOCK", "1: FLOCK ADVISORY WRITE x 0:1:2 0 EOF", "1: FLOCK ADVISORY WRITE 1 0:1:x"] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn all_holders_of_an_inode() {
        let pid = Pid::from_raw;
        let holders = Holders { locks: vec![(1, pid(9)), (3, pid(4)), (3, pid(7)), (5, pid(1))] };
        let of = |inode| holders.of(inode).map(Pid::as_raw).collect::<Vec<_>>();
        assert_eq!([of(1), of(3), of(4), of(6)], [vec![9], vec![4, 7], vec![], vec![]]);
    }
}
