//! The end of a log and what is added to it. When svlogd rotates, the open file is read to its end, which nobody writes to any
//! more, then whatever became old meanwhile, then the new `current`.
#![expect(clippy::disallowed_methods, reason = "driver: waits for what the logger writes")]

use super::files::{Files, Open, errno};
use super::stamps::Stamps;
use crate::sv::command::Logging;
use crate::sv::goal::ASK_AGAIN;
use std::io::{Seek, SeekFrom, stdout};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use sys::clock::monotonic;
use sys::poll::{PollFd, PollFlags, readable, wait};
use sys::watch::{Interest, Watch};
use sys::{Errno, msg};

/// Read backwards at once.
const PIECE: usize = 16 << 10;

/// Shows it until nobody reads any more.
pub(super) fn run(dir: &[u8], logging: &Logging) -> Result<(), Errno> {
    // Watched before the first look, so that nothing falls in between. Without a watch it is looked at now and then.
    let watch = Watch::new().ok().filter(|w| w.add(dir, Interest::Growth).is_ok());
    let mut files = Files::new(dir);
    let mut stamps = Stamps::new(logging.raw);
    let (mut current, _) = files.next(None)?;
    if let Some(open) = &mut current {
        let size = open.file.metadata().map_err(|e| errno(&e))?.len();
        let start = last_lines(size, logging.lines, |buf, at| open.file.read_exact_at(buf, at).map_err(|e| errno(&e)))?;
        open.file.seek(SeekFrom::Start(start)).map_err(|e| errno(&e))?;
    }
    loop {
        current = catch_up(&mut files, current, &mut stamps)?;
        let out = stdout();
        let mut fds = vec![PollFd::new(out.as_fd(), PollFlags::empty())];
        fds.extend(watch.as_ref().map(|w| PollFd::new(w.as_fd(), PollFlags::POLLIN)));
        let now = monotonic();
        wait(&mut fds, now, watch.is_none().then(|| now + ASK_AGAIN))?;
        if readable(&fds[0]) {
            return Ok(());
        }
        if let Some(watch) = &watch {
            watch.changes(|_, _| {});
        }
    }
}

/// Shows everything that is there now. Returns the file in which what comes next will be.
fn catch_up(files: &mut Files, mut at: Option<Open>, stamps: &mut Stamps) -> Result<Option<Open>, Errno> {
    let mut show = |piece: &[u8]| msg::print(&[piece]);
    loop {
        // In this order: what is not `current` any more has got its last byte, and is then read to the end once more.
        if let Some(open) = &mut at {
            let rotated = !files.is_current(open);
            open.read(stamps, &mut show)?;
            if !rotated {
                return Ok(at);
            }
        }
        let (next, old) = files.next(at.as_ref())?;
        for mut open in old.iter().filter_map(|name| files.old(name)) {
            open.read(stamps, &mut show)?;
        }
        match next {
            Some(open) => at = Some(open),
            // Between two: the old one has been renamed and the new one is yet to be made, which will be an event.
            None => return Ok(at),
        }
    }
}

/// Where the last `lines` lines of a file of `size` bytes begin. An incomplete last line counts.
fn last_lines(size: u64, lines: u64, mut read: impl FnMut(&mut [u8], u64) -> Result<(), Errno>) -> Result<u64, Errno> {
    if lines == 0 {
        return Ok(size);
    }
    let mut buf = vec![0; PIECE];
    let (mut end, mut found) = (size, 0);
    while end > 0 {
        let n = usize::try_from(end).map_or(PIECE, |left| left.min(PIECE));
        end -= n as u64;
        read(&mut buf[..n], end)?;
        for (i, _) in buf[..n].iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            let after = end + i as u64 + 1;
            // The line end at the end of the file begins no line.
            if after < size {
                found += 1;
                if found == lines {
                    return Ok(after);
                }
            }
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &[u8], lines: u64) -> u64 {
        let read = |buf: &mut [u8], at: u64| {
            let at = usize::try_from(at).unwrap();
            buf.copy_from_slice(&text[at..at + buf.len()]);
            Ok(())
        };
        last_lines(text.len() as u64, lines, read).unwrap()
    }

    #[test]
    fn where_lines_begin() {
        assert_eq!([0, 1, 2, 3, 4].map(|n| last(b"a\nbc\nd\n", n)), [7, 5, 2, 0, 0]);
        assert_eq!([0, 1, 2].map(|n| last(b"a\nbc", n)), [4, 2, 0]);
        assert_eq!([last(b"", 3), last(b"\n", 1), last(b"\n\n", 1)], [0, 0, 1]);
        let long = b"x\n".repeat(PIECE);
        assert_eq!(last(&long, 1), long.len() as u64 - 2);
        assert_eq!(last(&long, PIECE as u64 - 1), 2);
        assert_eq!(last(&long, u64::MAX), 0);
    }
}
