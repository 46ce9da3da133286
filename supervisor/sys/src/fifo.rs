//! Named pipes as runsv uses them: `supervise/control` (both ends held, so it never reads end of file) and `supervise/ok`
//! (read end held; "someone is alive" means that opening it for writing works).

use crate::file::OPEN;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{dup2_stderr, mkfifoat};
use nix::{NixPath, errno::Errno};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Makes the fifo unless it is there.
pub fn make<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, mode: u32) -> Result<(), Errno> {
    match mkfifoat(dir, path, Mode::from_bits_truncate(mode)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Opens the read end, non-blocking. `ENOTSUP` if `path` is something else than a fifo.
pub fn reader<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<OwnedFd, Errno> {
    open(dir, path, OFlag::O_RDONLY)
}

/// Opens the write end, non-blocking. `ENXIO` if nobody reads, `ENOTSUP` if `path` is something else than a fifo.
pub fn writer<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<OwnedFd, Errno> {
    open(dir, path, OFlag::O_WRONLY)
}

/// Opens both ends as one descriptor, non-blocking (Linux): reads never see an end. `ENOTSUP` if `path` is something else than a
/// fifo.
pub fn both<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<OwnedFd, Errno> {
    open(dir, path, OFlag::O_RDWR)
}

/// Makes both ends of the fifo the standard error of this process and of those it starts: they never get SIGPIPE, whoever
/// reads or does not. Who writes more than the fifo holds (64 KiB) waits for a reader.
pub fn as_stderr<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<(), Errno> {
    dup2_stderr(open_fifo(dir, path, OFlag::O_RDWR)?)
}

fn open<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, how: OFlag) -> Result<OwnedFd, Errno> {
    open_fifo(dir, path, how | OFlag::O_NONBLOCK)
}

fn open_fifo<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, how: OFlag) -> Result<OwnedFd, Errno> {
    let fd = openat(dir, path, how | OPEN, Mode::empty())?;
    if SFlag::from_bits_truncate(fstat(&fd)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO {
        Ok(fd)
    } else {
        Err(Errno::ENOTSUP)
    }
}
