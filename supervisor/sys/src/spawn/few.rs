//! Children of a parent with thousands of descriptors.
//!
//! A child is born with a copy of its parent's table of descriptors and closes nearly all of them at its exec: with ten
//! thousand that takes longer than everything else about a start. So the child is made to share the table, and copies only
//! the first part of it (`CLOSE_RANGE_UNSHARE`, Linux 5.9). What it is given is put there before, into places held for that.

use super::GIVEN;
use core::ffi::{c_int, c_uint};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

static FEW: OnceLock<Few> = OnceLock::new();

/// The places.
#[derive(Debug)]
pub(super) struct Few {
    places: [OwnedFd; GIVEN],
    /// What is in a place while nobody needs it.
    idle: OwnedFd,
    /// The number after the last place.
    end: c_uint,
}

/// To be called by a process that will have very many descriptors, before it has them: the children it starts from now on are
/// made to copy only those that are open now. Where that is not possible everything stays as it is.
pub fn expect_many_descriptors() {
    if let Some(few) = Few::new() {
        // A second call changes nothing.
        let _ = FEW.set(few);
    }
}

/// See [`expect_many_descriptors`].
pub(super) fn few() -> Option<&'static Few> {
    FEW.get()
}

/// Closes all descriptors from `end` on, for this process only if it shares its table with another.
#[expect(unsafe_code, reason = "nix does not know the call, libc has no function everywhere")]
pub(super) fn leave_table(end: c_uint) -> Result<(), Errno> {
    // SAFETY: three numbers. The caller owns what is closed.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, end, c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) })
        .map(drop)
}

impl Few {
    /// None where the kernel cannot do it.
    pub(super) fn new() -> Option<Self> {
        // No descriptor has this number: it only shows whether the kernel knows the call.
        leave_table(c_uint::MAX).ok()?;
        let open = std::fs::read_dir("/proc/self/fd").ok()?;
        let highest = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).max().unwrap_or(2);
        let idle = crate::file::open_dir(crate::file::CWD, "/").ok()?;
        // Above whatever was inherited, and above the numbers the child is given.
        let mut next = c_int::max(highest, 9) + 1;
        let mut places = [const { None }; GIVEN];
        for place in &mut places {
            let fd = copy(idle.as_fd(), next)?;
            next = fd.as_raw_fd() + 1;
            *place = Some(fd);
        }
        let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f), Some(g)] = places else { return None };
        Some(Self { places: [a, b, c, d, e, f, g], idle, end: c_uint::try_from(next).ok()? })
    }

    /// The number after the last one a child needs.
    pub(super) const fn end(&self) -> c_uint {
        self.end
    }

    /// Puts them into the places until the value goes.
    pub(super) fn lend(&self, fds: [Option<BorrowedFd<'_>>; GIVEN]) -> Result<Lent<'_>, Errno> {
        let mut lent = Lent { few: self, used: [false; GIVEN] };
        for ((place, used), fd) in self.places.iter().zip(&mut lent.used).zip(fds) {
            if let Some(fd) = fd {
                put(fd, place)?;
                *used = true;
            }
        }
        Ok(lent)
    }
}

/// The places hold what a child is given.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    few: &'a Few,
    used: [bool; GIVEN],
}

impl<'a> Lent<'a> {
    pub(super) fn fds(&self) -> [Option<BorrowedFd<'a>>; GIVEN] {
        let mut places = self.few.places.iter();
        self.used.map(|used| places.next().filter(|_| used).map(AsFd::as_fd))
    }
}

impl Drop for Lent<'_> {
    /// The end of a pipe must not stay open here.
    fn drop(&mut self) {
        for (place, used) in self.few.places.iter().zip(self.used) {
            if used {
                // It is open, and so is the other.
                let _ = put(self.few.idle.as_fd(), place);
            }
        }
    }
}

#[expect(unsafe_code, reason = "nix returns a bare number")]
fn copy(fd: BorrowedFd<'_>, least: c_int) -> Option<OwnedFd> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(least)).ok()?;
    // SAFETY: the call just made this descriptor and nobody else knows it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

#[expect(unsafe_code, reason = "nix wants the place to be mutable")]
fn put(fd: BorrowedFd<'_>, place: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: both are open; the place stays open and stays its owner's.
    Errno::result(unsafe { libc::dup3(fd.as_raw_fd(), place.as_raw_fd(), libc::O_CLOEXEC) }).map(drop)
}
