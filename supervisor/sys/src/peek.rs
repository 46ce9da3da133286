//! Looking at what is in a pipe without taking it out, so that what is being worked on survives a kill -9: whoever reads the
//! pipe next finds it there.
//!
//! tee(2) lends the content to a pipe of our own (pages are shared, not copied), from which it is read. A look can be repeated
//! any number of times; only reading from the pipe itself takes out.

use crate::file::{pipe, read_some};
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, tee};
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A second pipe beside the one looked at.
#[derive(Debug)]
pub struct Peek {
    from: OwnedFd,
    to: OwnedFd,
}

impl Peek {
    /// None if `fd` is no pipe.
    pub fn on(fd: BorrowedFd<'_>) -> Result<Option<Self>, Errno> {
        if SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
            return Ok(None);
        }
        let (from, to) = pipe()?;
        Ok(Some(Self { from, to }))
    }

    /// Copies what `pipe` begins with, without waiting. 0 at its end, `EAGAIN` when it is empty.
    ///
    /// Less than there is may be returned even if `buf` is longer: as much as a pipe of usual size holds.
    pub fn look(&self, pipe: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
        let seen = loop {
            match tee(pipe, &self.to, buf.len(), SpliceFFlags::SPLICE_F_NONBLOCK) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        let mut len = 0;
        while len < seen {
            match read_some(self.from.as_fd(), &mut buf[len..seen])? {
                0 => return Err(Errno::EIO),
                n => len += n,
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::write_all;

    #[test]
    fn looking_takes_nothing_out() {
        let (from, to) = pipe().unwrap();
        let peek = Peek::on(from.as_fd()).unwrap().unwrap();
        let mut buf = [0; 100_000];
        assert_eq!(peek.look(from.as_fd(), &mut buf), Err(Errno::EAGAIN));
        write_all(to.as_fd(), b"abc").unwrap();
        assert_eq!(peek.look(from.as_fd(), &mut buf[..2]), Ok(2));
        write_all(to.as_fd(), b"def").unwrap();
        assert_eq!(peek.look(from.as_fd(), &mut buf), Ok(6));
        assert_eq!(&buf[..6], b"abcdef");
        assert_eq!(read_some(from.as_fd(), &mut buf[..4]), Ok(4));
        assert_eq!(peek.look(from.as_fd(), &mut buf), Ok(2));
        write_all(to.as_fd(), &[7; 50_000]).unwrap();
        assert_eq!(peek.look(from.as_fd(), &mut buf), Ok(50_002));
        drop(to);
        while read_some(from.as_fd(), &mut buf).unwrap() > 0 {}
        assert_eq!(peek.look(from.as_fd(), &mut buf), Ok(0));
    }

    #[test]
    fn only_on_pipes() {
        let null = crate::file::open_read(crate::file::CWD, "/dev/null").unwrap();
        assert!(Peek::on(null.as_fd()).unwrap().is_none());
    }
}
