//! Standard input. From a pipe nothing is taken out before its lines are in the files: a svlogd that is killed leaves them to
//! the next one. Killed between writing and taking out, it leaves what is written already, at most what a pipe holds, and those
//! lines are logged twice.
//!
//! The beginning of a line is taken out although its end has not come: left there, it would keep the pipe readable. Only when
//! there is more behind what was seen is it left for the next look.

use core::ops::Range;
use sys::Errno;
use sys::file::{STDIN, read_some};
use sys::msg::{Level, say};
use sys::peek::Peek;

/// Enough for a service that writes a line now and then.
const SMALL: usize = 2048;
/// A pipe's usual capacity: all of it is seen at once.
const LARGE: usize = 1 << 16;
/// How much of what is there is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// All.
    All,
    /// Up to the next LF.
    Line,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Something to hand over.
    Bytes(usize),
    /// No more will come.
    End,
}

/// Standard input and what was read of it.
#[derive(Debug)]
pub(crate) struct Input {
    /// None if it is no pipe; then reading takes out.
    peek: Option<Peek>,
    buffer: Vec<u8>,
    /// Of the buffer: to be handed over.
    rest: Range<usize>,
    /// How much before that was handed over and is still in the pipe.
    taken: usize,
}

impl Input {
    pub(crate) fn new() -> Self {
        let peek = Peek::on(STDIN).unwrap_or_else(|e| {
            say(
                b"svlogd",
                Level::Warning,
                &[b"lines being written will not survive a kill: unable to make a pipe"],
                Some(e),
            );
            None
        });
        Self { peek, buffer: Vec::new(), rest: 0..0, taken: 0 }
    }

    /// Looks for more when all was handed over and taken out.
    pub(crate) fn look(&mut self, want: Want) -> Result<Found, Errno> {
        let Some(peek) = &self.peek else { return self.read(want) };
        if self.buffer.is_empty() {
            self.buffer = vec![0; SMALL];
        }
        let mut seen = peek.look(STDIN, &mut self.buffer)?;
        if seen == self.buffer.len() && seen < LARGE {
            self.buffer = Vec::new();
            self.buffer = vec![0; LARGE];
            seen = peek.look(STDIN, &mut self.buffer)?;
        }
        if seen == 0 {
            return Ok(Found::End);
        }
        let wanted = wanted(&self.buffer[..seen], want, seen == self.buffer.len());
        self.rest = 0..wanted;
        Ok(Found::Bytes(wanted))
    }

    fn read(&mut self, want: Want) -> Result<Found, Errno> {
        self.buffer.resize(LARGE, 0);
        let most = if want == Want::Line { 1 } else { LARGE };
        let n = read_some(STDIN, &mut self.buffer[..most])?;
        self.rest = 0..n;
        Ok(if n == 0 { Found::End } else { Found::Bytes(n) })
    }

    /// What to hand over next.
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.rest.clone()).unwrap_or_default()
    }

    /// So much of the rest was handed over.
    pub(crate) fn handed_over(&mut self, length: usize) {
        self.rest.start += length;
        if self.peek.is_some() {
            self.taken += length;
        }
    }

    /// What was handed over is in the files: takes it out of the pipe.
    pub(crate) fn take_out(&mut self) {
        while self.taken > 0 {
            // The same bytes once more, over what is no longer needed.
            let old = self.rest.start - self.taken..self.rest.start;
            match self.buffer.get_mut(old).map(|old| read_some(STDIN, old)) {
                Some(Ok(n @ 1..)) => self.taken -= n.min(self.taken),
                // Somebody else has read it.
                Some(Ok(0) | Err(_)) | None => self.taken = 0,
            }
        }
    }

    /// Whether it has more memory than an idle one needs.
    pub(crate) fn large(&self) -> bool {
        self.peek.is_some() && self.buffer.len() > SMALL
    }

    /// Gives that back.
    pub(crate) fn shrink(&mut self) {
        if self.rest.is_empty() && self.taken == 0 {
            self.buffer = Vec::new();
        }
    }
}

/// How much of `chunk`, which is not empty.
fn wanted(chunk: &[u8], want: Want, more: bool) -> usize {
    let lf = |c: &u8| *c == b'\n';
    let at = match want {
        Want::All if more => chunk.iter().rposition(lf),
        Want::All => None,
        Want::Line => chunk.iter().position(lf),
    };
    at.map_or(chunk.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much() {
        assert_eq!((wanted(b"a\nb\nc", Want::All, false), wanted(b"a\nb\nc", Want::All, true)), (5, 4));
        assert_eq!((wanted(b"abc", Want::All, true), wanted(b"a\nb\nc", Want::Line, false)), (3, 2));
        assert_eq!(wanted(b"ab", Want::Line, false), 2);
    }
}
