//! A pid file that cannot lie: its owner holds a lock on it, so a number left behind by a crash is known to be stale.

use crate::file::{OPEN, read_some, write_all};
use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::sys::stat::{Mode, fstat, stat};
use nix::unistd::{Pid, ftruncate, unlink};
use nix::{errno::Errno, unistd};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The file of this process; removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    held: Flock<OwnedFd>,
}

impl PidFile {
    /// Makes `path` ours and writes our number and a line end into it. `EAGAIN`: a living process has it.
    pub fn take(path: &Path) -> Result<Self, Errno> {
        loop {
            let fd =
                open(path, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OPEN, Mode::from_bits_truncate(0o644))?;
            let held = Flock::lock(fd, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| e)?;
            // The owner before us may have removed it between our open and its unlock.
            let same = match stat(path) {
                Ok(there) => fstat(held.as_fd())?.st_ino == there.st_ino,
                Err(Errno::ENOENT) => false,
                Err(e) => return Err(e),
            };
            if same {
                let file = Self { path: path.to_owned(), held };
                file.write(Pid::this())?;
                return Ok(file);
            }
        }
    }

    /// Writes `pid`, which is to hold the file from now on.
    pub(crate) fn write(&self, pid: Pid) -> Result<(), Errno> {
        ftruncate(self.held.as_fd(), 0)?;
        unistd::lseek(self.held.as_fd(), 0, unistd::Whence::SeekSet)?;
        write_all(self.held.as_fd(), format!("{pid}\n").as_bytes())
    }

    /// Leaves the file where it is: somebody else removes it.
    pub fn forget(self) {
        core::mem::forget(self);
    }

    /// The living process that holds `path`. `ESRCH`: none does; `ENOENT`: there is no such file.
    pub fn holder(path: &Path) -> Result<Pid, Errno> {
        let fd = open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OPEN, Mode::empty())?;
        let mut buf = [0; 16];
        let len = read_some(fd.as_fd(), &mut buf)?;
        match Flock::lock(fd, FlockArg::LockSharedNonblock) {
            Ok(_) => Err(Errno::ESRCH),
            Err((_, Errno::EAGAIN)) => {
                let text = core::str::from_utf8(&buf[..len]).unwrap_or("");
                text.trim_end().parse().ok().filter(|n| *n > 0).map(Pid::from_raw).ok_or(Errno::EINVAL)
            }
            Err((_, e)) => Err(e),
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = unlink(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{CWD, Durability, read_bounded, replace};

    #[test]
    fn one_holder_and_no_stale_numbers() {
        let path = std::env::temp_dir().join(format!("pidfile-{}", std::process::id()));
        assert_eq!(PidFile::holder(&path), Err(Errno::ENOENT));
        replace(CWD, &path.with_extension("new"), &path, b"123456789\n", 0o644, Durability::Atomic).unwrap();
        assert_eq!(PidFile::holder(&path), Err(Errno::ESRCH));
        let file = PidFile::take(&path).unwrap();
        assert_eq!(read_bounded(CWD, &path, 99).unwrap(), format!("{}\n", std::process::id()).as_bytes());
        assert_eq!(PidFile::holder(&path), Ok(Pid::this()));
        assert_eq!(PidFile::take(&path).map(drop), Err(Errno::EAGAIN));
        file.write(Pid::this()).unwrap();
        assert_eq!(PidFile::holder(&path), Ok(Pid::this()));
        drop(file);
        assert_eq!(PidFile::holder(&path), Err(Errno::ENOENT));
    }
}
