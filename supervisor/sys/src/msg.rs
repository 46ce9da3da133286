//! One line per message, `program: level: what: why`, in one write so that concurrent writers do not mix (spec runit §1.7).
//!
//! No formatting and no allocation: a message is a list of byte slices. Numbers come from [`Dec`].

use crate::errtext::errtext;
use nix::errno::Errno;
use nix::sys::uio::writev;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;

// Not by way of the standard library's buffers, which are allocated at the first use.
#[expect(unsafe_code, reason = "descriptors by their numbers")]
// SAFETY: only written to; a closed one is an error of the write.
const OUT: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(1) };
#[expect(unsafe_code, reason = "descriptors by their numbers")]
// SAFETY: as above.
const ERR: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(2) };

/// How bad it is. runit's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The program ends.
    Fatal,
    /// Something did not work and the program goes on.
    Warning,
    /// It is tried again in a while (svlogd).
    Pausing,
    /// For those who asked (`-v`).
    Info,
}

impl Level {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Fatal => b": fatal: ",
            Self::Warning => b": warning: ",
            Self::Pausing => b": pausing: ",
            Self::Info => b": info: ",
        }
    }
}

/// Writes `PROGRAM: LEVEL: WHAT[0]WHAT[1]...[: WHY]\n` to standard error. Failure to say something is not reported.
pub fn say(program: &[u8], level: Level, what: &[&[u8]], why: Option<Errno>) {
    let mut parts: [&[u8]; 16] = [b""; 16];
    let mut n = 0;
    let mut push = |p| {
        if n < parts.len() {
            parts[n] = p;
            n += 1;
        }
    };
    push(program);
    push(level.text());
    // Two places stay free for the reason and one for the line end.
    what.iter().take(11).for_each(|w| push(w));
    if let Some(e) = why {
        push(b": ");
        push(errtext(e).as_bytes());
    }
    push(b"\n");
    gather(ERR, &parts[..n]);
}

/// Writes the parts to standard output at once; returns whether all of it went out.
pub fn print(parts: &[&[u8]]) -> bool {
    gather(OUT, parts)
}

/// Writes the parts to standard error at once: usage lines, and whatever else has no level.
pub fn eprint(parts: &[&[u8]]) {
    gather(ERR, parts);
}

/// One gathered write; what does not fit (a full pipe) is written after it.
fn gather(out: BorrowedFd<'_>, parts: &[&[u8]]) -> bool {
    let mut slices = [IoSlice::new(b""); 16];
    for (chunk, last) in parts.chunks(16).enumerate().map(|(i, c)| (c, (i + 1) * 16 >= parts.len())) {
        for (s, p) in slices.iter_mut().zip(chunk) {
            *s = IoSlice::new(p);
        }
        let mut rest = &mut slices[..chunk.len()];
        while rest.iter().any(|s| !s.is_empty()) {
            match writev(out, rest) {
                Ok(0) => return false,
                Ok(n) => IoSlice::advance_slices(&mut rest, n),
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
        if last {
            break;
        }
    }
    true
}

/// A number as decimal text without the formatting machinery: `Dec::new(42).as_bytes()`.
#[derive(Clone, Copy, Debug)]
pub struct Dec {
    digits: [u8; 20],
    start: usize,
}

impl Dec {
    /// The decimal digits of `n`.
    pub const fn new(mut n: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = 20;
        loop {
            start -= 1;
            // A digit is below 10 and fits.
            digits[start] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                return Self { digits, start };
            }
        }
    }

    /// The digits, at least one.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{pipe, read_some};
    use std::os::fd::AsFd;

    #[test]
    fn decimal() {
        for n in [0, 7, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(Dec::new(n).as_bytes(), n.to_string().as_bytes());
        }
    }

    #[test]
    fn gathers_more_parts_than_one_write_takes() {
        let (reader, writer) = pipe().unwrap();
        let parts: Vec<&[u8]> = (0..40).map(|i| if i % 2 == 0 { b"ab".as_slice() } else { b"" }).collect();
        assert!(gather(writer.as_fd(), &parts));
        drop(writer);
        let (mut out, mut buf) = (Vec::new(), [0; 64]);
        while let Ok(n @ 1..) = read_some(reader.as_fd(), &mut buf) {
            out.extend_from_slice(&buf[..n]);
        }
        assert_eq!(out, b"ab".repeat(20));
        assert!(!gather(reader.as_fd(), &parts), "not for writing");
    }
}
