//! `flock(2)` on a file that stays. Held as long as the value lives; the descriptor is close-on-exec, so a child never holds it
//! unless it is [handed over](Lock::hand_over).

use crate::file::OPEN;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl, openat};
use nix::{NixPath, errno::Errno, sys::stat::Mode};
use std::os::fd::{BorrowedFd, OwnedFd};

/// An exclusive lock.
#[derive(Debug)]
pub struct Lock(Flock<OwnedFd>);

impl Lock {
    /// Creates `path` (0600) if need be and takes the lock, or fails with `EAGAIN` when someone has it.
    pub fn try_exclusive<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<Self, Errno> {
        Self::take(dir, path, FlockArg::LockExclusiveNonblock)
    }

    /// Creates `path` (0600) if need be and waits for the lock.
    pub fn exclusive<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<Self, Errno> {
        Self::take(dir, path, FlockArg::LockExclusive)
    }

    /// Leaves it to the program this process becomes: held until that and all who inherit the descriptor have ended.
    pub fn hand_over(self) -> Result<(), Errno> {
        fcntl(&*self.0, FcntlArg::F_SETFD(FdFlag::empty()))?;
        core::mem::forget(self);
        Ok(())
    }

    /// Whether somebody has it. It is taken for a moment to find out, so two that ask at the same time may see each other.
    pub fn is_held<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<bool, Errno> {
        let open = openat(dir, path, OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_NONBLOCK | OPEN, Mode::empty());
        let fd = match open {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(false),
            Err(e) => return Err(e),
        };
        match Flock::lock(fd, FlockArg::LockExclusiveNonblock) {
            Ok(_) => Ok(false),
            Err((_, Errno::EAGAIN)) => Ok(true),
            Err((_, e)) => Err(e),
        }
    }

    fn take<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, how: FlockArg) -> Result<Self, Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK;
        let mut fd = openat(dir, path, flags | OPEN, Mode::from_bits_truncate(0o600))?;
        loop {
            match Flock::lock(fd, how) {
                Ok(held) => return Ok(Self(held)),
                Err((again, Errno::EINTR)) => fd = again,
                Err((_, e)) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::CWD;

    #[test]
    fn one_has_it_at_a_time() {
        let path = std::env::temp_dir().join(format!("sys-lock-{}", std::process::id()));
        assert_eq!(Lock::is_held(CWD, &path), Ok(false));
        assert!(!path.exists());
        let lock = Lock::try_exclusive(CWD, &path).unwrap();
        assert_eq!(Lock::is_held(CWD, &path), Ok(true));
        assert_eq!(Lock::try_exclusive(CWD, &path).map(drop), Err(Errno::EAGAIN));
        drop(lock);
        assert_eq!(Lock::is_held(CWD, &path), Ok(false));
        assert!(Lock::try_exclusive(CWD, &path).is_ok());
        std::fs::remove_file(&path).unwrap();
    }
}
