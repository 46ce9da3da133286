//! One log directory: its lock, its `current`, its old files and its processor.
//!
//! `current` is 0644 while it is written to and 0744 once everything in it is on the disk; so the x bit, which people's log
//! shippers rely on, tells after a crash whether the file is clean (spec runit §4.2).
#![expect(clippy::disallowed_methods, reason = "driver: owns a log directory; names come from the clock")]

use super::config::Config;
use super::journal::{Journal, Limits};
use super::lines::Log;
use super::names::{self, Kind};
use super::processor::Work;
use core::borrow::{Borrow, BorrowMut};
use core::ffi::CStr;
use core::time::Duration;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use sys::clock::{Instant, Tai64n, Wall, wall};
use sys::file::{self, CWD};
use sys::lock::Lock;
use sys::msg::{Dec, Level, say};
use sys::spawn::{Spawn, Status};
use sys::{Errno, Pid};

const CURRENT: &CStr = c"current";
/// Written to, and clean.
const OPEN_MODE: u32 = 0o644;
const CLEAN_MODE: u32 = 0o744;
/// The clean bit.
const CLEAN: u32 = 0o100;
/// Longest `config`; a longer one is a mistake.
const MAX_CONFIG: usize = 16 << 20;

/// An open log directory.
#[derive(Debug)]
pub(crate) struct Directory {
    /// As typed.
    path: Vec<u8>,
    verbose: bool,
    dir: OwnedFd,
    _lock: Lock,
    /// None between two files.
    current: Option<OwnedFd>,
    log: Log,
    /// How much of the journal is written, and how many of its cuts are made.
    written: usize,
    cuts: usize,
    work: Work,
}

/// Something could not be done, was said, and is to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stuck;

/// What a directory leaves to its successor at HUP.
#[derive(Debug)]
pub(crate) struct Remains {
    /// As typed.
    pub(crate) path: Vec<u8>,
    log: Log,
    work: Work,
}

impl Borrow<Log> for Directory {
    fn borrow(&self) -> &Log {
        &self.log
    }
}

impl BorrowMut<Log> for Directory {
    fn borrow_mut(&mut self) -> &mut Log {
        &mut self.log
    }
}

impl Directory {
    /// Opens it. Trouble is said, and the directory is none then.
    pub(crate) fn open(path: &[u8], length: usize, verbose: bool, now: Instant) -> Option<Self> {
        let warn = |what: &[u8], why| say(b"svlogd", Level::Warning, &[what, path], Some(why));
        let dir = file::open_dir(CWD, path).map_err(|e| warn(b"unable to open log directory: ", e)).ok()?;
        let lock =
            Lock::try_exclusive(dir.as_fd(), c"lock").map_err(|e| warn(b"unable to lock directory: ", e)).ok()?;
        let config = read_config(&dir, path, verbose);
        let recovered = set_unclean_aside(&dir).map_err(|e| warn(b"unable to rename current: ", e)).ok()?;
        if let (true, Some(name)) = (verbose, &recovered) {
            say(b"svlogd", Level::Info, &[b"rename: ", path, b"/current ", name], None);
        }
        let (current, size) = open_current(&dir).map_err(|e| warn(b"unable to open current: ", e)).ok()?;
        let limits = Limits { size: config.size, line: length as u64, age: config.age };
        let log = Log::new(config, Journal::new(now, limits, size));
        let (written, cuts, work) = (0, 0, Work::Due { failures: 0 });
        let this =
            Self { path: path.to_vec(), verbose, dir, _lock: lock, current: Some(current), log, written, cuts, work };
        this.info(if size > 0 { b"append: " } else { b"new: " }, b"/current", b"");
        Some(this)
    }

    /// Gives up lock and files.
    pub(crate) fn into_remains(self) -> Remains {
        Remains { path: self.path, log: self.log, work: self.work }
    }

    /// Takes over from the same directory before HUP: a line that has begun, and the processor.
    pub(crate) fn succeed(&mut self, old: &Remains) {
        self.log.succeed(&old.log);
        self.work = old.work.clone();
        self.work.file_added();
    }

    /// What it is to write.
    pub(crate) fn journal(&mut self) -> &mut Journal {
        &mut self.log.journal
    }

    /// Logs a line of our own.
    pub(crate) fn log_line(&mut self, now: Instant, stamp: &[u8], text: &[u8]) {
        self.log.journal.line(now, stamp, &self.log.config.prefix, text);
    }

    /// Writes all that the journal has, and starts new files where it says so; but not yet one that would stay empty.
    pub(crate) fn write_lines(&mut self) -> Result<(), Stuck> {
        self.write_up_to(|cut, end| cut < end)
    }

    /// The same with all new files.
    pub(crate) fn write(&mut self) -> Result<(), Stuck> {
        self.write_up_to(|_, _| true)
    }

    fn write_up_to(&mut self, cut_here: impl Fn(usize, usize) -> bool) -> Result<(), Stuck> {
        loop {
            let (bytes, cuts) = self.log.journal.pending();
            let cut = cuts.get(self.cuts).copied();
            let end = cut.unwrap_or(bytes.len());
            if self.written < end {
                match self.current.as_ref().map(|fd| file::write_some(fd.as_fd(), &bytes[self.written..end])) {
                    Some(Ok(n)) => self.written += n,
                    Some(Err(e)) => self.make_space(b"unable to write to current: ", e)?,
                    None => self.start_file()?,
                }
            } else if cut.is_some() {
                if !cut_here(end, bytes.len()) {
                    return Ok(());
                }
                self.finish_file()?;
                self.start_file()?;
                self.cuts += 1;
            } else {
                (self.written, self.cuts) = (0, 0);
                self.log.journal.written();
                return Ok(());
            }
        }
    }

    /// Deletes an old file if the disk is full and the configuration allows it; stuck otherwise.
    fn make_space(&self, what: &[u8], why: Errno) -> Result<(), Stuck> {
        if matches!(why, Errno::ENOSPC | Errno::EDQUOT) && self.log.config.gives_way() {
            let all = self.list();
            if let Some(oldest) = names::surplus(&all, self.log.config.keep_when_full, &self.spared(b"")).first() {
                return self.delete(oldest).map_err(|e| self.stuck(b"unable to delete old file: ", e));
            }
        }
        Err(self.stuck(what, why))
    }

    /// Makes `current` an old file.
    fn finish_file(&mut self) -> Result<(), Stuck> {
        let Some(fd) = &self.current else { return Ok(()) };
        mark_clean(fd).map_err(|e| self.stuck(b"unable to sync current: ", e))?;
        let kind = if self.log.config.processor.is_some() { Kind::Unprocessed } else { Kind::Finished };
        let name = set_aside(&self.dir, kind).map_err(|e| self.stuck(b"unable to rename current: ", e))?;
        if self.verbose {
            let size = file::stat(self.dir.as_fd(), name.as_slice()).map_or(0, |s| s.st_size);
            let size = Dec::new(u64::try_from(size).unwrap_or(0));
            let parts: [&[u8]; 6] = [b"rename: ", &self.path, b"/current ", &name, b" ", size.as_bytes()];
            say(b"svlogd", Level::Info, &parts, None);
        }
        self.current = None;
        self.work.file_added();
        self.prune(&name);
        Ok(())
    }

    fn start_file(&mut self) -> Result<(), Stuck> {
        match open_current(&self.dir) {
            Ok((fd, _)) => {
                self.current = Some(fd);
                Ok(())
            }
            Err(e) => self.make_space(b"unable to create current: ", e),
        }
    }

    /// Deletes old files beyond those to keep, and what processors left behind. Trouble is said; the next rotation tries again.
    fn prune(&self, newest: &[u8]) {
        let all = self.list();
        let keep = if self.log.config.keep == 0 { u64::MAX } else { self.log.config.keep };
        let spared = self.spared(names::split(newest).map_or(b"", |(stem, _)| stem));
        let left_over = all.iter().filter(|n| match names::split(n) {
            Some((stem, Kind::Temporary)) => self.work.file() != Some(stem),
            Some((_, Kind::Finished | Kind::Unprocessed)) | None => false,
        });
        for name in names::surplus(&all, keep, &spared).into_iter().chain(left_over.map(Vec::as_slice)) {
            if let Err(e) = self.delete(name) {
                self.warn(b"unable to delete: ", name, Some(e));
            }
        }
    }

    fn spared<'a>(&'a self, newest: &'a [u8]) -> [&'a [u8]; 2] {
        [newest, self.work.file().unwrap_or(b"")]
    }

    fn delete(&self, name: &[u8]) -> Result<(), Errno> {
        self.info(b"delete: ", b"/", name);
        file::unlink(self.dir.as_fd(), name)
    }

    fn list(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let result = file::for_each_name(self.dir.as_fd(), |name| {
            if names::split(name).is_some() {
                all.push(name.to_vec());
            }
        });
        if let Err(e) = result {
            self.warn(b"unable to read directory: ", b"", Some(e));
        }
        all
    }

    /// Starts the processor if it is its turn.
    pub(crate) fn process(&mut self, now: Instant) {
        if !self.work.due(now) {
            return;
        }
        let Some(command) = &self.log.config.processor else { return self.work.nothing_to_do() };
        let Some(file) = names::oldest_unprocessed(&self.list()).map(<[u8]>::to_vec) else {
            return self.work.nothing_to_do();
        };
        self.info(b"processing: ", b"/", &names::with_kind(&file, Kind::Unprocessed));
        match self.spawn(command, &file) {
            Ok(pid) => self.work.started(pid, file),
            Err(e) => {
                self.warn(b"unable to start processor: ", &file, Some(e));
                self.work.failed(now);
            }
        }
    }

    /// Standard input is the old file, standard output the new one, 4 and 5 are `state` and `newstate`.
    fn spawn(&self, command: &[u8], stem: &[u8]) -> Result<Pid, Errno> {
        let dir = self.dir.as_fd();
        let input = file::open_read(dir, names::with_kind(stem, Kind::Unprocessed).as_slice())?;
        let output = file::open_empty(dir, names::with_kind(stem, Kind::Temporary).as_slice(), OPEN_MODE)?;
        drop(file::open_append(dir, c"state", OPEN_MODE)?);
        let state = file::open_read(dir, c"state")?;
        let new_state = file::open_empty(dir, c"newstate", OPEN_MODE)?;
        let command = CString::new(command).map_err(|_| Errno::EINVAL)?;
        Spawn::new(c"/bin/sh", &[c"sh", c"-c", &command])
            .dir_fd(dir)
            .stdin(input.as_fd())
            .stdout(output.as_fd())
            .fd4(state.as_fd())
            .fd5(new_state.as_fd())
            .start()
    }

    /// A child has ended; perhaps it is the processor. One that a signal ended has failed: runit keeps half of its output and
    /// deletes the input.
    pub(crate) fn child_ended(&mut self, now: Instant, pid: Pid, status: Status) {
        if !self.work.is(pid) {
            return;
        }
        let Some(stem) = self.work.file().map(<[u8]>::to_vec) else { return };
        let result = if status.code() == Some(0) { self.accept(&stem) } else { Err(None) };
        match result {
            Ok(()) => {
                self.work.succeeded();
                self.info(b"processed: ", b"/", &names::with_kind(&stem, Kind::Finished));
            }
            Err(why) => {
                let _ = file::unlink(self.dir.as_fd(), names::with_kind(&stem, Kind::Temporary).as_slice());
                let delay = self.work.failed(now);
                let seconds = Dec::new(delay.as_secs());
                let parts: [&[u8]; 4] = [b"processor failed, again in ", seconds.as_bytes(), b"s: ", &self.path];
                say(b"svlogd", Level::Warning, &parts, why);
            }
        }
    }

    /// The processor's output takes the place of its input.
    fn accept(&self, stem: &[u8]) -> Result<(), Option<Errno>> {
        let dir = self.dir.as_fd();
        let [input, output, finished] =
            [Kind::Unprocessed, Kind::Temporary, Kind::Finished].map(|k| names::with_kind(stem, k));
        let fd = file::open_read(dir, output.as_slice())?;
        mark_clean(&fd)?;
        file::rename(dir, output.as_slice(), finished.as_slice())?;
        file::unlink(dir, input.as_slice())?;
        file::rename(dir, c"newstate", c"state")?;
        Ok(())
    }

    /// Whether a processor runs.
    pub(crate) fn processing(&self) -> bool {
        self.work.file().is_some()
    }

    /// When there is something to do without input.
    pub(crate) fn wake(&self) -> Option<Instant> {
        [self.work.wake(), self.log.journal.due()].into_iter().flatten().min()
    }

    /// Rotates if `current` has become too old.
    pub(crate) fn grow_old(&mut self, now: Instant) {
        if self.log.journal.due().is_some_and(|due| due <= now) {
            self.log.journal.rotate(now);
        }
    }

    /// Marks `current` clean.
    pub(crate) fn close(&mut self) {
        if let Some(fd) = self.current.take()
            && let Err(e) = mark_clean(&fd)
        {
            self.warn(b"unable to sync: ", b"current", Some(e));
        }
        self.info(b"close: ", b"", b"");
    }

    fn stuck(&self, what: &[u8], why: Errno) -> Stuck {
        say(b"svlogd", Level::Pausing, &[what, &self.path], Some(why));
        Stuck
    }

    fn warn(&self, what: &[u8], name: &[u8], why: Option<Errno>) {
        say(b"svlogd", Level::Warning, &[what, &self.path, b"/", name], why);
    }

    fn info(&self, what: &[u8], slash: &[u8], name: &[u8]) {
        if self.verbose {
            say(b"svlogd", Level::Info, &[what, &self.path, slash, name], None);
        }
    }
}

/// A missing one is fine; one that cannot be read is as if it were missing.
fn read_config(dir: &OwnedFd, path: &[u8], verbose: bool) -> Config {
    let text = match file::read_bounded(dir.as_fd(), c"config", MAX_CONFIG) {
        Ok(text) => text,
        Err(Errno::ENOENT) => return Config::default(),
        Err(e) => {
            say(b"svlogd", Level::Warning, &[b"unable to read config: ", path], Some(e));
            return Config::default();
        }
    };
    if verbose {
        say(b"svlogd", Level::Info, &[b"read: ", path, b"/config"], None);
    }
    let (config, complaints) = Config::parse(&text);
    for c in complaints {
        let line = Dec::new(c.line);
        let parts: [&[u8]; 5] = [path, b"/config:", line.as_bytes(), b": ", c.expected.as_bytes()];
        say(b"svlogd", Level::Warning, &parts, None);
    }
    config
}

/// Opens `current` and takes its clean mark away; also returns its size.
fn open_current(dir: &OwnedFd) -> Result<(OwnedFd, u64), Errno> {
    let fd = file::open_append(dir.as_fd(), CURRENT, 0o600)?;
    file::set_mode(fd.as_fd(), OPEN_MODE)?;
    let size = file::stat(dir.as_fd(), CURRENT)?.st_size;
    Ok((fd, u64::try_from(size).unwrap_or(0)))
}

/// A `current` that was not closed before a crash becomes an old file that was not processed. Returns its new name.
fn set_unclean_aside(dir: &OwnedFd) -> Result<Option<Vec<u8>>, Errno> {
    match file::stat(dir.as_fd(), CURRENT) {
        Ok(s) if s.st_size > 0 && s.st_mode & CLEAN == 0 => set_aside(dir, Kind::Unprocessed).map(Some),
        Ok(_) | Err(Errno::ENOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Renames `current` to a name of now, or of the first microsecond after it that is free.
fn set_aside(dir: &OwnedFd, kind: Kind) -> Result<Vec<u8>, Errno> {
    let mut time = wall();
    loop {
        let name = names::name(Tai64n::from(time), kind);
        let taken = [Kind::Finished, Kind::Unprocessed, Kind::Temporary].iter().try_fold(false, |taken, k| {
            let other = names::with_kind(&name[..name.len() - 2], *k);
            file::exists(dir.as_fd(), other.as_slice()).map(|is| taken || is)
        })?;
        if !taken {
            return file::rename(dir.as_fd(), CURRENT.to_bytes(), &name).map(|()| name);
        }
        time = a_microsecond_after(time);
    }
}

fn a_microsecond_after(t: Wall) -> Wall {
    let nanos = Duration::new(0, t.nanos) + Duration::from_micros(1);
    Wall { secs: t.secs.saturating_add_unsigned(nanos.as_secs()), nanos: nanos.subsec_nanos() }
}

fn mark_clean(fd: &OwnedFd) -> Result<(), Errno> {
    match file::sync(fd.as_fd()) {
        // Something that cannot be synced.
        Ok(()) | Err(Errno::EINVAL) => file::set_mode(fd.as_fd(), CLEAN_MODE),
        Err(e) => Err(e),
    }
}
