//! The end of what runsvdir and the services without a log of their own write to standard error: `DIR/.runsvdir/log`.
//!
//! It comes through a fifo with a name, `DIR/.runsvdir/fifo`, which is the standard error of everybody, both ends of it. So
//! nobody gets SIGPIPE when runsvdir is killed, and the next runsvdir reads on where the last one stopped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use sys::file::{self, CWD};
use sys::{Errno, fifo};

/// Bytes that are kept, less the first line; the file is cut back to them when it has twice as many.
const KEPT: usize = 16 * 1024;

const LOG: &str = "log";

/// See the module.
#[derive(Debug)]
pub(crate) struct Tail {
    dir: OwnedFd,
    fifo: OwnedFd,
    file: OwnedFd,
    /// What is in the file already.
    size: usize,
}

impl Tail {
    /// From here on standard error is kept in the services directory `services`.
    pub(crate) fn open(services: &Path) -> Result<Self, Errno> {
        let path = services.join(".runsvdir");
        file::make_dir(CWD, &path, 0o755)?;
        let dir = file::open_dir(CWD, &path)?;
        fifo::make(dir.as_fd(), "fifo", 0o600)?;
        let fifo = fifo::both(dir.as_fd(), "fifo")?;
        let file = file::open_append(dir.as_fd(), LOG, 0o644)?;
        let size = usize::try_from(file::stat(dir.as_fd(), LOG)?.st_size).unwrap_or(usize::MAX);
        fifo::as_stderr(dir.as_fd(), "fifo")?;
        Ok(Self { dir, fifo, file, size })
    }

    /// Takes what was said since. As much as the fifo holds at most, so that who never stops talking does not hold up the rest.
    pub(crate) fn take(&mut self) {
        let mut text = [0; 4096];
        for _ in 0..16 {
            match file::read_some(self.fifo.as_fd(), &mut text) {
                Ok(n) if n > 0 => self.append(&text[..n]),
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// A full disk loses the text; there is no place left to say so.
    fn append(&mut self, text: &[u8]) {
        if file::write_all(self.file.as_fd(), text).is_ok() {
            self.size = self.size.saturating_add(text.len());
        }
        if self.size > 2 * KEPT {
            let _ = self.cut();
        }
    }

    /// Readers see the old file or the new one, which begins with a whole line.
    fn cut(&mut self) -> Result<(), Errno> {
        let dir = self.dir.as_fd();
        let old = file::read_bounded(dir, LOG, self.size)?;
        let end = &old[old.len().saturating_sub(KEPT)..];
        let end = end.iter().position(|&b| b == b'\n').map_or(end, |at| &end[at + 1..]);
        file::replace(dir, "log.new", LOG, end, 0o644, file::Durability::Atomic)?;
        self.file = file::open_append(dir, LOG, 0o644)?;
        self.size = end.len();
        Ok(())
    }
}

impl AsFd for Tail {
    /// Readable when there is something to [take](Tail::take).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }
}
