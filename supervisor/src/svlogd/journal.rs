//! What is to be written to one log directory, and where a new file starts (spec runit §4.6).
//!
//! Sizes are counted as if everything handed over were written already, so all rotation is decided here; the driver writes up to
//! the next cut, starts a new file, goes on, and may stop and resume anywhere in between.
//!
//! No file gets longer than `size`. A line goes whole into the next file if it does not fit; only one that is longer than a
//! whole file is split. Nothing is ever left out: concatenated, the files are the input (runit cuts lines and busybox loses
//! them when `size` is smaller than the line length).

use core::time::Duration;
use sys::clock::Instant;

/// When a new file starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Longest file, 0 for no limit.
    pub(crate) size: u64,
    /// `-l`: after a line, a file with less room than this is full.
    pub(crate) line: u64,
    /// A file that is not empty is full at this age.
    pub(crate) age: Option<Duration>,
}

impl Limits {
    /// A file of this size is full at the end of a line. When a line may be longer than a file, only a full file is full.
    fn full(&self) -> u64 {
        if self.size > self.line { self.size - self.line } else { self.size }
    }
}

/// Bytes for one log directory.
#[derive(Debug)]
pub(crate) struct Journal {
    limits: Limits,
    /// To be written.
    bytes: Vec<u8>,
    /// Offsets into `bytes` at which a new file starts, ascending.
    cuts: Vec<usize>,
    /// Of the last file, with everything that is to be written to it.
    size: u64,
    /// When the last file was started.
    started: Instant,
    /// Inside a line, of which more may come.
    open: bool,
    /// Rotation was asked for inside a line.
    cut_at_end: bool,
}

impl Journal {
    /// Continues a file of `size` bytes.
    pub(crate) fn new(now: Instant, limits: Limits, size: u64) -> Self {
        Self { limits, bytes: Vec::new(), cuts: Vec::new(), size, started: now, open: false, cut_at_end: false }
    }

    /// A whole line; LF is added.
    pub(crate) fn line(&mut self, now: Instant, stamp: &[u8], prefix: &[u8], text: &[u8]) {
        let length = stamp.len() + prefix.len() + text.len() + 1;
        self.make_room(now, length);
        if self.limits.size == 0 || self.size + length as u64 <= self.limits.size {
            self.bytes.reserve(length);
            self.bytes.extend_from_slice(stamp);
            self.bytes.extend_from_slice(prefix);
            self.bytes.extend_from_slice(text);
            self.bytes.push(b'\n');
            self.size += length as u64;
        } else {
            self.put(now, stamp);
            self.put(now, prefix);
            self.put(now, text);
            self.put(now, b"\n");
        }
        self.line_ended(now);
    }

    /// Begins a line of which the end is not known.
    pub(crate) fn begin(&mut self, now: Instant, stamp: &[u8], prefix: &[u8], text: &[u8]) {
        self.make_room(now, stamp.len() + prefix.len() + text.len());
        self.open = true;
        self.put(now, stamp);
        self.put(now, prefix);
        self.put(now, text);
    }

    /// Goes on inside a line that an earlier journal began.
    pub(crate) fn resume(&mut self) {
        self.open = true;
    }

    /// More of it.
    pub(crate) fn more(&mut self, now: Instant, text: &[u8]) {
        self.put(now, text);
    }

    /// Its end; LF is added.
    pub(crate) fn end(&mut self, now: Instant) {
        self.put(now, b"\n");
        self.open = false;
        self.line_ended(now);
    }

    /// Starts a new file after the line at hand, if this one is not empty.
    pub(crate) fn rotate(&mut self, now: Instant) {
        if self.open {
            self.cut_at_end = true;
        } else if self.size > 0 {
            self.cut(now);
        }
    }

    /// When the file becomes too old.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.size == 0 || self.cut_at_end {
            return None;
        }
        self.limits.age.map(|age| self.started + age)
    }

    /// What is to be written, and at which offsets a new file starts.
    pub(crate) fn pending(&self) -> (&[u8], &[usize]) {
        (&self.bytes, &self.cuts)
    }

    /// A new file is to be started.
    pub(crate) fn full(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// All of it has been written.
    pub(crate) fn written(&mut self) {
        self.bytes.clear();
        self.cuts.clear();
    }

    /// Gives the memory of a great load back.
    pub(crate) fn shrink(&mut self) {
        if self.bytes.is_empty() && self.cuts.is_empty() {
            (self.bytes, self.cuts) = (Vec::new(), Vec::new());
        }
    }

    /// A line, or the part of it that is known, goes to a new file if it does not fit into this one.
    fn make_room(&mut self, now: Instant, length: usize) {
        if self.size == 0 {
            self.slide(now);
        } else if self.limits.size > 0 && self.size + length as u64 > self.limits.size {
            self.cut(now);
        }
    }

    /// An empty file does not age: its periods just pass, as with runit, without anybody waking up for them.
    fn slide(&mut self, now: Instant) {
        let Some(age) = self.limits.age else { return };
        let (passed, age) = (now.since(self.started).as_nanos(), age.as_nanos().max(1));
        self.started = now - Duration::from_nanos(u64::try_from(passed % age).unwrap_or(0));
    }

    fn put(&mut self, now: Instant, mut text: &[u8]) {
        let limit = self.limits.size;
        while limit > 0 && self.size + text.len() as u64 > limit {
            let room = usize::try_from(limit.saturating_sub(self.size)).unwrap_or(usize::MAX).min(text.len());
            self.bytes.extend_from_slice(&text[..room]);
            text = &text[room..];
            self.start_file(now);
        }
        self.bytes.extend_from_slice(text);
        self.size += text.len() as u64;
    }

    fn line_ended(&mut self, now: Instant) {
        let full = self.limits.size > 0 && self.size >= self.limits.full();
        if full || core::mem::take(&mut self.cut_at_end) {
            self.cut(now);
        }
    }

    fn cut(&mut self, now: Instant) {
        self.cut_at_end = false;
        self.start_file(now);
    }

    fn start_file(&mut self, now: Instant) {
        self.cuts.push(self.bytes.len());
        self.size = 0;
        self.started = now;
    }
}
