#![expect(clippy::disallowed_methods, reason = "driver: owns a service directory's lock, fifos and status files")]
//! One service directory as its supervisor holds it: `supervise/` with lock, fifos and status files (spec runit §1.1, §1.2).
//!
//! Everything is relative to a descriptor, so a process can hold many and a renamed directory goes on working.

use super::cgroup::Cgroup;
use super::legacy::{self, Found};
use super::pair::Which;
use super::record::{Entry, Kind, LEN, Record as Child};
use super::service::{Moment, Record};
use super::settings::{Reader, Settings, Told};
use crate::history::History;
use crate::service;
use crate::status::{State, Status, Want};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::file::{self, Stage};
use sys::lock::Lock;
use sys::msg::{Dec, Level, say};
use sys::orphan::Orphan;
use sys::{Errno, clock, fifo};

/// The time of an event that is handled now.
pub(crate) fn now() -> Moment {
    Moment { mono: clock::monotonic(), label: clock::wall().into() }
}

/// What could not be set up: `what` in pieces, and why.
#[derive(Debug)]
pub(crate) struct Fatal<'a>(pub(crate) [&'a [u8]; 3], pub(crate) Option<Errno>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Place {
    dir: OwnedFd,
    /// Where `run` and its settings are, if not there.
    home: Option<OwnedFd>,
    which: Which,
    /// Also for writing, so that it never reads end of file.
    control: OwnedFd,
    /// Held so that others can open it for writing.
    _ok: OwnedFd,
    _lock: Lock,
    written: Written,
    /// Read end of the pipe on which the current run is to say that it is ready.
    notify: Option<OwnedFd>,
    /// Where the current run is, if it has `kill-group` and there are cgroups.
    cgroup: Option<Cgroup>,
    /// The run is dead and the machine waits for the rest to be gone.
    clearing: bool,
    told: Told,
    child: Child,
    /// Of a runsv that was killed.
    orphan: Option<Orphan>,
}

/// What a run is started with.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) settings: Settings,
    /// Write end of the pipe to notify on.
    pub(crate) notify: Option<OwnedFd>,
    /// See [`Cgroup::door`].
    pub(crate) door: Option<OwnedFd>,
}

/// What the files say, so that only what changed is written again.
#[derive(Debug, Default)]
struct Written {
    pid: Option<u32>,
    text: Option<crate::status::Text>,
    history: Option<History>,
    status: Option<Status>,
    /// pid, stat, history, status: a failure was told and has not gone away.
    failing: [bool; 4],
}

/// A directory with its `supervise/` and lock; the second half of the set-up follows when the log service has the same.
#[derive(Debug)]
pub(crate) struct Locked {
    dir: OwnedFd,
    /// See [`Place::home`].
    home: Option<OwnedFd>,
    which: Which,
    lock: Lock,
    child: Child,
    /// What `child` said.
    entry: Option<Entry>,
    told: Told,
}

/// What was there before.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Of a runsv that was killed.
    pub(crate) orphan: Option<Orphan>,
    /// Where it may still say that it is ready.
    pub(crate) notify: Option<OwnedFd>,
    /// Where it is, or where it was and left others.
    pub(crate) cgroup: Option<Cgroup>,
    /// Inode of the log pipe, which may be new; 0 without one.
    pub(crate) pipe: u64,
}

impl Locked {
    /// Makes `supervise/` if need be and takes the lock, at once or not at all unless `patient`. (runit waits for the log service's:
    /// the runsv that had it may be about to end.)
    pub(crate) fn take(dir: OwnedFd, which: Which, patient: bool, program: &[u8]) -> Result<Self, Fatal<'static>> {
        make_supervise(dir.as_fd(), which)?;
        let lock = match patient {
            false => Lock::try_exclusive(dir.as_fd(), service::LOCK),
            true => Lock::exclusive(dir.as_fd(), service::LOCK),
        };
        let lock = lock.map_err(|e| {
            let what: &[u8] = if e == Errno::EAGAIN { b"unable to lock " } else { b"unable to open " };
            fatal(what, which, service::LOCK, e)
        })?;
        let (child, entry) = Child::open(dir.as_fd(), which, program);
        Ok(Self { dir, home: None, which, lock, child, entry, told: Told::default() })
    }

    /// With `run` and its settings in another directory.
    pub(crate) fn living_in(self, home: Option<OwnedFd>) -> Self {
        Self { home, ..self }
    }

    /// The directory.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// What a runsv that was killed has left; `want` is for a status that cannot be read.
    pub(crate) fn found(&mut self, want: Want, program: &[u8]) -> Option<Found> {
        let home = self.home.as_ref().unwrap_or(&self.dir).as_fd();
        let reader = Reader { dir: home, which: self.which, program };
        Some(legacy::look(self.dir.as_fd(), &reader, &mut self.told, self.entry.as_ref()?, want, now()))
    }

    /// Opens the control fifo.
    pub(crate) fn control(&self) -> Result<OwnedFd, Fatal<'static>> {
        open_fifo(self.dir.as_fd(), self.which, service::CONTROL, fifo::both)
    }

    /// Writes the first status and opens `ok`: from here on others see a supervised service.
    pub(crate) fn open(
        self,
        control: OwnedFd,
        program: &[u8],
        record: Option<Record>,
        left: Left,
    ) -> Result<Place, Fatal<'static>> {
        let mut written = Written::default();
        if let Some(record) = record {
            written.write(self.dir.as_fd(), self.which, program, &record);
        }
        let ok = open_fifo(self.dir.as_fd(), self.which, service::OK, fifo::reader)?;
        let Self { dir, home, which, lock, mut child, told, .. } = self;
        let Left { orphan, notify, cgroup, pipe } = left;
        child.pipe(pipe);
        if let Some(record) = record {
            note(dir.as_fd(), &child, &record);
        }
        Ok(Place {
            dir,
            home,
            which,
            control,
            _ok: ok,
            _lock: lock,
            written,
            notify,
            cgroup,
            clearing: false,
            told,
            child,
            orphan,
        })
    }
}

impl Place {
    /// The directory.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The directory of `run`.
    pub(crate) fn home(&self) -> BorrowedFd<'_> {
        self.home.as_ref().unwrap_or(&self.dir).as_fd()
    }

    /// Whether that is another one.
    pub(crate) const fn is_away(&self) -> bool {
        self.home.is_some()
    }

    /// The read end of the control fifo.
    pub(crate) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// What `run` may still say that it is ready on.
    pub(crate) fn notify(&self) -> Option<BorrowedFd<'_>> {
        self.notify.as_ref().map(AsFd::as_fd)
    }

    /// Whether the run says now that it is ready, with a line end. One that closes the descriptor without never gets ready.
    pub(crate) fn got_ready(&mut self) -> bool {
        let Some(notify) = &self.notify else { return false };
        let mut buf = [0; NOTIFY_CHUNK];
        let (ready, over) = match file::read_some(notify.as_fd(), &mut buf) {
            Ok(0) => (false, true),
            Ok(n) => (buf[..n].contains(&b'\n'), buf[..n].contains(&b'\n')),
            Err(why) => (false, why != Errno::EAGAIN),
        };
        if over {
            self.notify = None;
        }
        ready
    }

    /// What shows when the rest of a run is gone.
    pub(crate) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup.as_ref().filter(|_| self.clearing).map(Cgroup::events)
    }

    /// Kills what the last run left behind; returns whether nothing is left, as far as anybody can tell.
    pub(crate) fn clear(&mut self) -> bool {
        if let Some(cgroup) = &self.cgroup {
            // It did not fail before the run.
            let _ = cgroup.kill();
            self.clearing = true;
            return self.cleared();
        }
        true
    }

    /// Whether all of it is gone now. Never before [`Self::clear`].
    pub(crate) fn cleared(&mut self) -> bool {
        let gone = self.clearing && self.cgroup.as_ref().is_none_or(Cgroup::is_empty);
        if gone {
            self.cgroup = None;
            self.clearing = false;
        }
        gone
    }

    /// Before a start of `run`: what its directory says, and what follows from that.
    pub(crate) fn prepare(&mut self, program: &[u8]) -> Result<Prepared, Errno> {
        self.notify = None;
        self.clearing = false;
        self.cgroup = None;
        let home = self.home.as_ref().unwrap_or(&self.dir).as_fd();
        let reader = Reader { dir: home, which: self.which, program };
        let settings = reader.read(&mut self.told)?;
        let mut prepared = Prepared { settings, notify: None, door: None };
        if prepared.settings.notify.is_some() {
            let (reader, writer) = file::pipe()?;
            file::set_nonblocking(reader.as_fd())?;
            self.notify = Some(reader);
            prepared.notify = Some(writer);
        }
        if prepared.settings.policy.group {
            self.cgroup = Cgroup::of(self.dir.as_fd());
            prepared.door = self.cgroup.as_ref().map(Cgroup::door).transpose()?;
        }
        Ok(prepared)
    }

    /// Updates `pid`, `stat`, `history` and `status`, in this order, those that changed. A failure is a warning, told once
    /// per file until writing it works again.
    pub(crate) fn write(&mut self, program: &[u8], record: &Record) {
        note(self.dir.as_fd(), &self.child, record);
        self.written.write(self.dir.as_fd(), self.which, program, record);
    }

    /// Where and what the next child is to say about itself, see [`Child::birth`].
    pub(crate) fn birth(&self, kind: Kind, notify: u64) -> Option<(OwnedFd, [u8; LEN])> {
        self.child.birth(self.dir.as_fd(), kind, notify)
    }

    /// A process that is not a child, because its parent was killed.
    pub(crate) const fn orphan(&self) -> Option<&Orphan> {
        self.orphan.as_ref()
    }

    /// Whether there is one that has ended.
    pub(crate) fn orphan_ended(&self) -> bool {
        self.orphan.as_ref().is_some_and(Orphan::ended)
    }

    /// It is gone.
    pub(crate) fn forget_orphan(&mut self) {
        self.orphan = None;
    }
}

/// That nothing runs; what runs has noted that itself.
fn note(dir: BorrowedFd<'_>, child: &Child, record: &Record) {
    let Status { state, want, .. } = record.status;
    match state {
        State::Run | State::Finish => {}
        State::Down => child.down(dir, want == Want::Exit),
    }
}

impl Written {
    fn write(&mut self, dir: BorrowedFd<'_>, which: Which, program: &[u8], record: &Record) {
        let Record { status, history } = record;
        if self.pid != Some(status.pid) {
            let mut line = [b'\n'; 11];
            let pid = Dec::new(status.pid.into());
            let digits = if status.pid == 0 { b"" } else { pid.as_bytes() };
            line[..digits.len()].copy_from_slice(digits);
            let len = if digits.is_empty() { 0 } else { digits.len() + 1 };
            let result = file::replace_plain(dir, c"supervise/pid.new", service::PID, &line[..len], 0o644);
            if self.told(0, which, program, service::PID, result) {
                self.pid = Some(status.pid);
            }
        }
        let text = status.text();
        if self.text != Some(text) {
            let result = file::replace_plain(dir, c"supervise/stat.new", service::STAT, text.as_bytes(), 0o644);
            if self.told(1, which, program, service::STAT, result) {
                self.text = Some(text);
            }
        }
        if self.history != Some(*history) {
            let text = history.text();
            let result = file::replace_plain(dir, c"supervise/history.new", service::HISTORY, text.as_bytes(), 0o644);
            if self.told(2, which, program, service::HISTORY, result) {
                self.history = Some(*history);
            }
        }
        if self.status != Some(*status) {
            let result = file::replace_plain(dir, c"supervise/status.new", service::STATUS, &status.pack(), 0o644);
            if self.told(3, which, program, service::STATUS, result) {
                self.status = Some(*status);
            }
        }
    }

    /// Says what failed, unless that was said; returns whether it worked.
    fn told(
        &mut self,
        kind: usize,
        which: Which,
        program: &[u8],
        name: &CStr,
        result: Result<(), (Stage, Errno)>,
    ) -> bool {
        let Err((stage, why)) = result else {
            self.failing[kind] = false;
            return true;
        };
        if !self.failing[kind] {
            let (verb, end): (&[u8], &[u8]) = match stage {
                Stage::Open => (b"unable to open ", b".new"),
                Stage::Write => (b"unable to write ", b".new"),
                Stage::Rename => (b"unable to rename to ", b""),
            };
            say(program, Level::Warning, &[verb, prefix(which), name.to_bytes(), end], Some(why));
        }
        self.failing[kind] = true;
        false
    }
}

/// Whether `down` is there: what the service is wanted to do when its supervisor starts.
pub(crate) fn first_want(dir: BorrowedFd<'_>, which: Which) -> Result<Want, Fatal<'static>> {
    match file::exists(dir, service::DOWN) {
        Ok(true) => Ok(Want::Down),
        Ok(false) => Ok(Want::Up),
        Err(e) => Err(Fatal([b"unable to stat() ./", prefix(which), service::DOWN.to_bytes()], Some(e))),
    }
}

/// How messages call the files of `which`.
pub(crate) const fn prefix(which: Which) -> &'static [u8] {
    match which {
        Which::Main => b"",
        Which::Log => b"log/",
    }
}

const fn fatal(what: &'static [u8], which: Which, name: &'static CStr, why: Errno) -> Fatal<'static> {
    Fatal([what, prefix(which), name.to_bytes()], Some(why))
}

/// More than anybody says to be ready.
const NOTIFY_CHUNK: usize = 32;

/// Longest link text runit follows.
const LINK_MAX: usize = 255;

/// `supervise` may be a link to a directory that is yet to be made (one level), as on a read-only root.
fn make_supervise(dir: BorrowedFd<'_>, which: Which) -> Result<(), Fatal<'static>> {
    if file::make_dir_new(dir, service::SUPERVISE, 0o700).is_ok() {
        return Ok(());
    }
    // Reading a link takes a page of memory that would never be used again.
    if !file::is_link(dir, service::SUPERVISE) {
        return Ok(());
    }
    let unable = |why| fatal(b"unable to readlink ./", which, service::SUPERVISE, why);
    match file::link_target(dir, service::SUPERVISE) {
        Ok(target) if target.len() > LINK_MAX => Err(unable(Errno::ENAMETOOLONG)),
        Ok(target) => {
            // Whether it is there and usable is seen when the lock is opened.
            let _ = file::make_dir(dir, target.as_os_str(), 0o700);
            Ok(())
        }
        Err(Errno::ENOENT | Errno::EINVAL) => Ok(()),
        Err(e) => Err(unable(e)),
    }
}

fn open_fifo(
    dir: BorrowedFd<'_>,
    which: Which,
    name: &'static CStr,
    open: fn(BorrowedFd<'_>, &CStr) -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Fatal<'static>> {
    fifo::make(dir, name, 0o600).map_err(|e| fatal(b"unable to create ", which, name, e))?;
    open(dir, name).map_err(|e| {
        if e != Errno::ENOTSUP {
            return fatal(b"unable to open ", which, name, e);
        }
        Fatal([prefix(which), name.to_bytes(), b" exists but is not a fifo"], None)
    })
}
