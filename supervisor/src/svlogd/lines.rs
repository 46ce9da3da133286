//! Chunks in, lines out: finds the ends of lines, cleans their characters, decides for each log what becomes of a line, and
//! hands it over (spec runit §4.5). Pure: time and stamps come with the chunk.
//!
//! What a chunk delivered is handed over with it, the beginning of an unfinished line included, unless a pattern has to see more
//! of the line first.

use super::config::Config;
use super::journal::Journal;
use core::borrow::BorrowMut;
use std::net::SocketAddrV4;
use sys::clock::Instant;

/// One log directory: what it is told and what it is to write.
#[derive(Debug)]
pub(crate) struct Log {
    /// What it is told.
    pub(crate) config: Config,
    /// What it is to write.
    pub(crate) journal: Journal,
    /// Whether the line at hand is for its file.
    selected: bool,
}

impl Log {
    pub(crate) fn new(config: Config, journal: Journal) -> Self {
        Self { config, journal, selected: false }
    }

    /// Takes the place of `old` at HUP; a line that has begun goes on.
    pub(crate) fn succeed(&mut self, old: &Self) {
        if old.selected {
            self.selected = true;
            self.journal.resume();
        }
    }
}

/// What does not go to files.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// For standard error.
    pub(crate) stderr: Vec<u8>,
    /// For others.
    pub(crate) datagrams: Vec<Datagram>,
}

/// A line for another machine.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// Position of the log that sends it.
    pub(crate) log: usize,
    /// To whom.
    pub(crate) to: SocketAddrV4,
    /// Stamp, prefix, line and LF.
    pub(crate) text: Vec<u8>,
}

/// `-r` and `-R`.
#[derive(Clone, Debug)]
pub(crate) struct Clean([u8; 256]);

impl Clean {
    /// Everything but printable ASCII, and all of `also`, becomes `by`. LF stays.
    pub(crate) fn new(by: u8, also: &[u8]) -> Self {
        let mut table = [by; 256];
        for c in (b' '..=b'~').chain([b'\n']).filter(|c| !also.contains(c) || *c == b'\n') {
            table[usize::from(c)] = c;
        }
        Self(table)
    }

    fn apply(&self, text: &mut [u8]) {
        for c in text {
            *c = self.0[usize::from(*c)];
        }
    }
}

/// Where in a line the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At its start.
    Start,
    /// Nothing of it was handed over yet; it is in `head`.
    Held,
    /// Its beginning was handed over.
    Inside,
}

/// The line machine.
#[derive(Debug)]
pub(crate) struct Lines {
    /// `-l`: how much of a line patterns see, and standard error and others get.
    length: usize,
    clean: Option<Clean>,
    at: At,
    head: Vec<u8>,
    head_stamp: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(length: usize, clean: Option<Clean>) -> Self {
        Self { length, clean, at: At::Start, head: Vec::new(), head_stamp: Vec::new() }
    }

    /// Whether the input ended inside a line.
    pub(crate) fn unfinished(&self) -> bool {
        self.at != At::Start
    }

    /// A chunk of input; `stamp` is for the lines that begin in it. Returns how much of it was taken: all, or up to the end of
    /// the line with which a file became full. Files are changed then, which takes time, and of the input that is not yet
    /// taken out of the pipe there should be little meanwhile.
    pub(crate) fn feed<L: BorrowMut<Log>>(
        &mut self,
        now: Instant,
        stamp: &[u8],
        chunk: &mut [u8],
        logs: &mut [L],
        copies: &mut Copies,
    ) -> usize {
        if let Some(clean) = &self.clean {
            clean.apply(chunk);
        }
        let mut rest: &[u8] = chunk;
        while let Some(end) = find_lf(rest) {
            let (line, tail) = (&rest[..end], &rest[end + 1..]);
            rest = tail;
            match self.at {
                At::Start => self.whole(now, stamp, line, logs, copies),
                At::Held | At::Inside => {
                    self.part(now, stamp, line, logs, copies);
                    self.finish(now, logs, copies);
                }
            }
            if logs.iter().any(|l| l.borrow().journal.full()) {
                return chunk.len() - tail.len();
            }
        }
        if !rest.is_empty() {
            self.part(now, stamp, rest, logs, copies);
        }
        chunk.len()
    }

    /// The input is at its end, or is to be as if: what is unfinished gets its LF.
    pub(crate) fn finish<L: BorrowMut<Log>>(&mut self, now: Instant, logs: &mut [L], copies: &mut Copies) {
        match core::mem::replace(&mut self.at, At::Start) {
            At::Start => {}
            At::Held => {
                let (head, stamp) = (core::mem::take(&mut self.head), core::mem::take(&mut self.head_stamp));
                self.whole(now, &stamp, &head, logs, copies);
                (self.head, self.head_stamp) = (head, stamp);
            }
            At::Inside => {
                for log in logs.iter_mut().map(BorrowMut::borrow_mut).filter(|l| l.selected) {
                    log.journal.end(now);
                    log.selected = false;
                }
            }
        }
    }

    fn whole<L: BorrowMut<Log>>(&self, now: Instant, stamp: &[u8], line: &[u8], logs: &mut [L], copies: &mut Copies) {
        for (i, log) in logs.iter_mut().map(BorrowMut::borrow_mut).enumerate() {
            if !log.config.needs_the_head() || self.decide(i, log, stamp, line, copies) {
                log.journal.line(now, stamp, &log.config.prefix, line);
            }
        }
    }

    fn part<L: BorrowMut<Log>>(
        &mut self,
        now: Instant,
        stamp: &[u8],
        text: &[u8],
        logs: &mut [L],
        copies: &mut Copies,
    ) {
        match self.at {
            At::Inside => {
                for log in logs.iter_mut().map(BorrowMut::borrow_mut).filter(|l| l.selected) {
                    log.journal.more(now, text);
                }
                return;
            }
            At::Held => self.head.extend_from_slice(text),
            At::Start => {
                self.at = At::Held;
                self.head.clear();
                self.head.extend_from_slice(text);
                self.head_stamp.clear();
                self.head_stamp.extend_from_slice(stamp);
            }
        }
        let wait = logs.iter().any(|l| l.borrow().config.needs_the_head());
        if !wait || self.head.len() >= self.length {
            self.open(now, logs, copies);
        }
    }

    /// Hands over the beginning of a line.
    fn open<L: BorrowMut<Log>>(&mut self, now: Instant, logs: &mut [L], copies: &mut Copies) {
        self.at = At::Inside;
        for (i, log) in logs.iter_mut().map(BorrowMut::borrow_mut).enumerate() {
            log.selected = self.decide(i, log, &self.head_stamp, &self.head, copies);
            if log.selected {
                log.journal.begin(now, &self.head_stamp, &log.config.prefix, &self.head);
            }
        }
    }

    /// Copies the line where it is to be copied; whether it is for the file.
    fn decide(&self, position: usize, log: &Log, stamp: &[u8], line: &[u8], copies: &mut Copies) -> bool {
        let head = &line[..line.len().min(self.length)];
        let verdict = log.config.decide(head);
        let copy = |out: &mut Vec<u8>| {
            for part in [stamp, &log.config.prefix, head] {
                out.extend_from_slice(part);
            }
            if head.len() == self.length {
                out.extend_from_slice(b"...");
            }
            out.push(b'\n');
        };
        if verdict.copy {
            copy(&mut copies.stderr);
        }
        match log.config.remote {
            Some(remote) if verdict.log => {
                let mut text = Vec::new();
                copy(&mut text);
                copies.datagrams.push(Datagram { log: position, to: remote.to, text });
                !remote.only
            }
            Some(_) | None => verdict.log,
        }
    }
}

/// Position of the first LF, eight bytes at a time.
fn find_lf(text: &[u8]) -> Option<usize> {
    const LFS: u64 = u64::from_ne_bytes([b'\n'; 8]);
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, tail) = text.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        // A byte of `diff` is 0 where there is an LF; subtracting 1 borrows into its high bit only there (the lowest hit is exact).
        let diff = u64::from_le_bytes(*word) ^ LFS;
        let hit = diff.wrapping_sub(ONES) & !diff & HIGH;
        if hit != 0 {
            return Some(i * 8 + hit.trailing_zeros() as usize / 8);
        }
    }
    tail.iter().position(|c| *c == b'\n').map(|at| words.len() * 8 + at)
}
