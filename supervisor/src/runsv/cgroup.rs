//! A cgroup for a run whose directory has `kill-group`: nothing that `run` starts gets out of it by a session or a fork of its
//! own, so all of it can be killed, and the kernel tells when the last process is gone (cgroups v2).

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::Errno;
use sys::file::{self, CWD};
use sys::msg::Dec;

/// A child of this process's own cgroup, removed when it is dropped unless somebody still lives there.
#[derive(Debug)]
pub(crate) struct Cgroup {
    parent: OwnedFd,
    name: CString,
    dir: OwnedFd,
    events: OwnedFd,
}

impl Cgroup {
    /// The cgroup of the service directory `service`. None where there is no cgroup v2, it is not ours to write, or the kernel
    /// cannot kill by it (before 5.14).
    ///
    /// It is called by the directory's numbers, so a supervisor finds what its killed predecessor left; that is ended.
    pub(crate) fn of(service: BorrowedFd<'_>) -> Option<Self> {
        let (parent, name) = (own()?, name(service)?);
        file::make_dir(parent.as_fd(), name.as_c_str(), 0o755).ok()?;
        let made = Self::open(parent, name)?;
        // Also the proof that it can be done.
        made.kill().ok()?;
        Some(made)
    }

    /// The one a killed supervisor left, as it is.
    pub(crate) fn left(service: BorrowedFd<'_>) -> Option<Self> {
        Self::open(own()?, name(service)?)
    }

    fn open(parent: OwnedFd, name: CString) -> Option<Self> {
        let dir = file::open_dir(parent.as_fd(), name.as_c_str()).ok()?;
        let events = file::open_read(dir.as_fd(), c"cgroup.events").ok()?;
        Some(Self { parent, name, dir, events })
    }

    /// To be given to [`sys::spawn::Spawn::cgroup`].
    pub(crate) fn door(&self) -> Result<OwnedFd, Errno> {
        file::open_write(self.dir.as_fd(), c"cgroup.procs")
    }

    /// Kills everybody in it.
    pub(crate) fn kill(&self) -> Result<(), Errno> {
        file::write_all(file::open_write(self.dir.as_fd(), c"cgroup.kill")?.as_fd(), b"1")
    }

    /// Whether nobody lives there.
    pub(crate) fn is_empty(&self) -> bool {
        let mut buf = [0; EVENTS_MAX];
        let len = file::read_start(self.events.as_fd(), &mut buf).unwrap_or(0);
        buf[..len].split(|&b| b == b'\n').any(|line| line == b"populated 0")
    }

    /// Shows by POLLPRI that [`Self::is_empty`] may answer otherwise than last time.
    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = file::remove_dir(self.parent.as_fd(), self.name.as_c_str());
    }
}

/// Two or three lines.
const EVENTS_MAX: usize = 128;
/// A table of mounts longer than this has other troubles.
const MOUNTS_MAX: usize = 1 << 18;

fn name(service: BorrowedFd<'_>) -> Option<CString> {
    let stat = file::stat(service, c".").ok()?;
    let (device, inode) = (Dec::new(stat.st_dev), Dec::new(stat.st_ino));
    CString::new([b"portreeve-", device.as_bytes(), b"-", inode.as_bytes()].concat()).ok()
}

/// The cgroup this process is in.
fn own() -> Option<OwnedFd> {
    let mounts = file::read_bounded(CWD, c"/proc/self/mounts", MOUNTS_MAX).ok()?;
    let place = file::read_bounded(CWD, c"/proc/self/cgroup", MOUNTS_MAX).ok()?;
    let place = inside(&place)?;
    // A mount may be hidden below another.
    let mut opened = points(&mounts).filter_map(|at| file::open_dir(CWD, [at, place].concat().as_slice()).ok());
    opened.find(|dir| file::exists(dir.as_fd(), c"cgroup.procs") == Ok(true))
}

/// Where something of type cgroup2 is mounted.
fn points(mounts: &[u8]) -> impl Iterator<Item = &[u8]> {
    mounts.split(|&b| b == b'\n').filter_map(|line| {
        let mut words = line.split(|&b| b == b' ');
        let (_, at, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == b"cgroup2").then_some(at)
    })
}

/// The path of the `0::` line. None if it is outside of the namespace.
fn inside(place: &[u8]) -> Option<&[u8]> {
    let place = place.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    (place.starts_with(b"/") && !place.split(|&b| b == b'/').any(|part| part == b"..")).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_place_is_below_a_mount() {
        let mounts =
            b"proc /proc proc rw 0 0\ntmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\
            none /sys/fs/cgroup/unified cgroup2 rw 0 0\ncgroup2 /x cgroup2 rw 0 0\n";
        assert!(points(mounts).eq([b"/sys/fs/cgroup/unified".as_slice(), b"/x"]));
        assert_eq!(points(b"proc /proc proc rw 0 0\n\nx\n").count(), 0);
        assert_eq!(inside(b"2:cpu:/x\n0::/a/b\n"), Some(b"/a/b".as_slice()));
        assert_eq!(inside(b"0::/\n"), Some(b"/".as_slice()));
        assert_eq!([inside(b"2:cpu:/\n"), inside(b"0::/../x\n"), inside(b"0::\n"), inside(b"")], [None; 4]);
    }
}
