//! Standard input to log directories: one poll loop around signals, input and one deadline.
//!
//! What one look at the input found is written, and then taken out of the pipe, before the next wait. While a directory cannot be
//! written to, no input is taken (the writer sees a full pipe), signals are served, and writing is tried again every three seconds.
#![expect(clippy::disallowed_methods, reason = "driver: owns standard input, the signals and the clock")]

use super::directory::Directory;
use super::input::{Found, Input, Want};
use super::invocation::Invocation;
use super::lines::{Copies, Lines};
use super::remote;
use super::stamp::Stamper;
use core::time::Duration;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use sys::Errno;
use sys::clock::{Instant, monotonic, wall};
use sys::errtext::errtext;
use sys::file::STDIN;
use sys::msg::{self, Level, say};
use sys::poll::{PollFd, PollFlags, readable, wait};
use sys::signal::{Signal, Signals};
use sys::spawn::reap;

const FATAL: u8 = 111;
/// Between two attempts to write to a full disk.
const RETRY: Duration = Duration::from_secs(3);
/// After so long without input the memory of a great load is given back.
const REST: Duration = Duration::from_secs(1);
/// Read after TERM at most: the most a pipe holds unless root made it larger.
const LAST_READ: usize = 1 << 20;
/// How long the rest of a line is waited for after TERM: a writer of blocks has half a line in the pipe nearly always, and the
/// next svlogd gets the other half. runit waits for ever.
const LAST_LINE: Duration = Duration::from_secs(1);

/// Where the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not in sight.
    Reading,
    /// TERM came: what is in the pipe is still read.
    Emptying { read: usize },
    /// That was read, and ended inside a line: its rest is waited for, and nothing behind it is taken.
    LastLine { until: Instant },
    /// No more input.
    Ending,
}

struct Svlogd<'a> {
    invocation: &'a Invocation<'a>,
    signals: Signals,
    directories: Vec<Directory>,
    lines: Lines,
    stamper: Stamper,
    copies: Copies,
    input: Input,
    phase: Phase,
    reopen: bool,
    /// Set while a directory is stuck.
    retry: Option<Instant>,
}

/// Runs until end of input or TERM. Returns the exit code.
pub(crate) fn run(invocation: &Invocation<'_>) -> u8 {
    let wanted = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGALRM, Signal::SIGCHLD];
    let signals = match Signals::take(&wanted) {
        Ok(signals) => signals,
        Err(e) => {
            say(b"svlogd", Level::Fatal, &[b"unable to take signals"], Some(e));
            return FATAL;
        }
    };
    let mut svlogd = Svlogd {
        invocation,
        signals,
        directories: Vec::new(),
        lines: Lines::new(invocation.length, invocation.clean.clone()),
        stamper: Stamper::new(invocation.stamp),
        copies: Copies::default(),
        input: Input::new(),
        phase: Phase::Reading,
        reopen: false,
        retry: None,
    };
    svlogd.open_all();
    if svlogd.directories.is_empty() { no_directories() } else { svlogd.run() }
}

fn no_directories() -> u8 {
    msg::eprint(&[b"svlogd: fatal: no functional log directories.\n"]);
    FATAL
}

impl Svlogd<'_> {
    fn run(mut self) -> u8 {
        loop {
            let now = monotonic();
            self.write(now);
            if self.retry.is_none() {
                if core::mem::take(&mut self.reopen) {
                    self.close_all();
                    self.open_all();
                    if self.directories.is_empty() {
                        return no_directories();
                    }
                }
                if self.phase == Phase::Ending {
                    break;
                }
            }
            self.directories.iter_mut().for_each(|d| d.process(now));
            if let Phase::Emptying { read } = self.phase
                && self.retry.is_none()
            {
                self.empty(now, read);
                continue;
            }
            self.wait(now);
        }
        self.close_all();
        self.await_processors();
        0
    }

    /// Writes all there is, and rotates what has become old.
    fn write(&mut self, now: Instant) {
        if self.retry.is_some_and(|at| now < at) {
            return;
        }
        self.directories.iter_mut().for_each(|d| d.grow_old(now));
        loop {
            if self.stuck(Directory::write_lines) {
                break self.retry = Some(now + RETRY);
            }
            self.input.take_out();
            if self.stuck(Directory::write) {
                break self.retry = Some(now + RETRY);
            }
            if !self.feed(now) {
                break self.retry = None;
            }
        }
    }

    /// Does it for all directories; whether one is stuck.
    fn stuck<E>(&mut self, write: impl Fn(&mut Directory) -> Result<(), E>) -> bool {
        let mut stuck = false;
        for d in &mut self.directories {
            stuck |= write(d).is_err();
        }
        stuck
    }

    /// Hands input over that was seen, up to where a file becomes full; whether there was any.
    fn feed(&mut self, now: Instant) -> bool {
        let chunk = self.input.rest();
        if chunk.is_empty() {
            return false;
        }
        let stamp = self.stamper.stamp(wall());
        let taken = self.lines.feed(now, stamp, chunk, &mut self.directories, &mut self.copies);
        self.input.handed_over(taken);
        self.send_copies(now);
        true
    }

    /// Waits for an event and takes it in.
    fn wait(&mut self, now: Instant) {
        let rest = self.input.large().then(|| now + REST);
        let deadline = match self.retry {
            // Nothing rotates and nothing is read before that.
            Some(at) => Some(at),
            None => self.directories.iter().filter_map(Directory::wake).chain(self.last_line()).chain(rest).min(),
        };
        let watched = if self.retry.is_none() { 2 } else { 1 };
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN), PollFd::new(STDIN, PollFlags::POLLIN)];
        if wait(&mut fds[..watched], now, deadline).is_err() {
            return;
        }
        let (signalled, input) = (readable(&fds[0]), watched == 2 && readable(&fds[1]));
        let now = monotonic();
        if !input && self.retry.is_none() && rest.is_some_and(|at| at <= now) {
            self.input.shrink();
            self.directories.iter_mut().for_each(|d| d.journal().shrink());
        }
        if signalled {
            self.take_signals(now);
        }
        match self.phase {
            Phase::Reading if input => {
                self.look(now, Want::All);
            }
            Phase::LastLine { .. } if input => {
                self.look(now, Want::Line);
                self.end_after_line(now);
            }
            Phase::LastLine { until } if until <= now && self.retry.is_none() => self.end(now),
            Phase::Reading | Phase::Emptying { .. } | Phase::LastLine { .. } | Phase::Ending => {}
        }
    }

    fn last_line(&self) -> Option<Instant> {
        match self.phase {
            Phase::LastLine { until } => Some(until),
            Phase::Reading | Phase::Emptying { .. } | Phase::Ending => None,
        }
    }

    fn end_after_line(&mut self, now: Instant) {
        if !self.lines.unfinished() {
            self.end(now);
        }
    }

    fn take_signals(&mut self, now: Instant) {
        while let Some(signal) = self.signals.next() {
            #[expect(clippy::wildcard_enum_match_arm, reason = "only four are taken")]
            match signal {
                Signal::SIGTERM => {
                    self.info(b"sigterm received.");
                    if self.phase == Phase::Reading {
                        self.phase = Phase::Emptying { read: 0 };
                    }
                }
                Signal::SIGHUP => {
                    self.info(b"sighangup received.");
                    self.reopen = true;
                }
                Signal::SIGALRM => {
                    self.info(b"sigalarm received.");
                    self.directories.iter_mut().for_each(|d| d.journal().rotate(now));
                }
                _ => {
                    while let Some((pid, status)) = reap() {
                        self.directories.iter_mut().for_each(|d| d.child_ended(now, pid, status));
                    }
                }
            }
        }
    }

    /// Looks at the input once and hands over what is wanted of it. Returns how much there was.
    fn look(&mut self, now: Instant, want: Want) -> usize {
        match self.input.look(want) {
            Ok(Found::End) => self.end(now),
            Ok(Found::Bytes(n)) => {
                self.feed(now);
                return n;
            }
            Err(Errno::EAGAIN) => {}
            Err(e) => {
                say(b"svlogd", Level::Warning, &[b"unable to read standard input"], Some(e));
                self.end(now);
            }
        }
        0
    }

    /// After TERM: reads what is there without waiting. A writer that never pauses does not keep us from ending, but what it
    /// had written before and the line it is at are taken.
    fn empty(&mut self, now: Instant, read: usize) {
        let mut fds = [PollFd::new(STDIN, PollFlags::POLLIN)];
        let more = matches!(wait(&mut fds, now, Some(now)), Ok(1..)) && readable(&fds[0]);
        if more && read < LAST_READ {
            let n = self.look(now, Want::All);
            if self.phase != Phase::Ending {
                self.phase = Phase::Emptying { read: read + n };
            }
        } else {
            self.phase = Phase::LastLine { until: now + LAST_LINE };
            self.end_after_line(now);
        }
    }

    /// No more input: the last line gets its LF.
    fn end(&mut self, now: Instant) {
        self.lines.finish(now, &mut self.directories, &mut self.copies);
        self.send_copies(now);
        self.phase = Phase::Ending;
    }

    fn send_copies(&mut self, now: Instant) {
        if !self.copies.stderr.is_empty() {
            msg::eprint(&[&self.copies.stderr]);
            self.copies.stderr.clear();
        }
        for datagram in self.copies.datagrams.drain(..) {
            let Err(e) = remote::send(datagram.to, &datagram.text) else { continue };
            let text = [b"warning: failure sending through udp: ", errtext(e).as_bytes()].concat();
            if self.lines.unfinished() {
                // Not into the middle of a line.
                msg::eprint(&[b"svlogd: ", &text, b"\n"]);
            } else if let Some(d) = self.directories.get_mut(datagram.log) {
                d.log_line(now, self.stamper.stamp(wall()), &text);
            }
        }
    }

    /// Opens all directories of the command line; lines and processors that have begun go on.
    fn open_all(&mut self) {
        let none = Vec::with_capacity(self.invocation.directories.len());
        let old = core::mem::replace(&mut self.directories, none);
        // Their locks have to go first.
        let old: Vec<_> = old.into_iter().map(Directory::into_remains).collect();
        let now = monotonic();
        for path in self.invocation.directories {
            let path = path.as_bytes();
            let Some(mut d) = Directory::open(path, self.invocation.length, self.invocation.verbose, now) else {
                continue;
            };
            if let Some(remains) = old.iter().find(|r| r.path == path) {
                d.succeed(remains);
            }
            self.directories.push(d);
        }
    }

    fn close_all(&mut self) {
        self.directories.iter_mut().for_each(Directory::close);
    }

    /// Old files of this run are still processed, so that nothing is left half done; one whose processor fails waits for the
    /// next start.
    fn await_processors(&mut self) {
        loop {
            let now = monotonic();
            self.directories.iter_mut().for_each(|d| d.process(now));
            if !self.directories.iter().any(Directory::processing) {
                return;
            }
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if wait(&mut fds, now, None).is_err() {
                return;
            }
            self.take_signals(monotonic());
        }
    }

    fn info(&self, what: &[u8]) {
        if self.invocation.verbose {
            say(b"svlogd", Level::Info, &[what], None);
        }
    }
}
