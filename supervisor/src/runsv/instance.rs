//! One service directory under supervision, the driver: the machine of [`super::pair`] joined to children and log pipe.
//!
//! Nothing here is global and nothing waits: a process can hold any number of these and feed each what concerns it.

mod start;

use super::legacy::Found;
use super::log;
use super::pair::{Input, Output, Pair, Which};
use super::place::{Fatal, Left, Locked, Place, first_want, now};
use super::service::{Kind, Service, Target};
use crate::status::Want;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use sys::clock::Instant;
use sys::file::{self, CWD};
use sys::msg::{Level, say};
use sys::orphan::{Orphan, pipe_of};
use sys::poll::PollFlags;
use sys::signal::{self, Signal};
use sys::spawn;
use sys::{Errno, Pid};

/// When an instance wants to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// At this time at the latest, if there is one.
    Until(Option<Instant>),
    /// Never: its supervision has ended.
    Done,
}

/// What depends on whether a process has one instance or many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How<'a> {
    /// Each child gets a session of its own.
    pub(crate) session: bool,
    /// The log's lock is waited for.
    pub(crate) patient: bool,
    /// Where the log service is of a service that has none of its own: an absolute path.
    pub(crate) template: Option<&'a OsStr>,
}

impl How<'_> {
    /// The only one in its process.
    pub(crate) const ALONE: Self = Self { session: false, patient: true, template: None };
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Instance {
    /// `runsv DIR`, for messages.
    program: Vec<u8>,
    /// `PWD=...` for the children of both services.
    pwd: [Option<CString>; 2],
    /// What the log service is told as its argument: the service's name, if it is not its own.
    log_name: Option<CString>,
    main: Place,
    /// Most of many services in one process have none.
    log: Option<Box<Place>>,
    /// Read end for `log/run`, write end for everything else, from the first start to the end: neither side ever sees the
    /// other restart.
    pipe: Option<(OwnedFd, OwnedFd)>,
    pair: Pair,
    session: bool,
    more: bool,
}

impl Instance {
    /// Sets up the service directory `dir` in runit's order (spec runit §1.1). Nothing is started yet. What went wrong has
    /// been said when there is none; the error is the system's, if it had one.
    pub(crate) fn open(
        dir: OwnedFd,
        name: Option<&Path>,
        program: Vec<u8>,
        how: How<'_>,
    ) -> Result<Self, Option<Errno>> {
        match Self::set_up(dir, &program, how) {
            Ok((main, log, pipe, pair)) => {
                let template = how.template.filter(|_| log.as_ref().is_some_and(Place::is_away));
                let log_name = template.and_then(|_| log::name(name, &program));
                let log_pwd = match template {
                    Some(template) => pwd(Path::new(template)),
                    None => log.as_ref().and(name).and_then(|name| pwd(&name.join("log"))),
                };
                let pwd = [name.and_then(pwd), log_pwd];
                let log = log.map(Box::new);
                Ok(Self { program, pwd, log_name, main, log, pipe, pair, session: how.session, more: true })
            }
            Err(Fatal(what, why)) => {
                say(&program, Level::Fatal, &what, why);
                Err(why)
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "the fields of Self but one")]
    fn set_up(
        dir: OwnedFd,
        program: &[u8],
        how: How<'_>,
    ) -> Result<(Place, Option<Place>, Option<(OwnedFd, OwnedFd)>, Pair), Fatal<'static>> {
        let main_want = first_want(dir.as_fd(), Which::Main)?;
        let log = log::find(dir.as_fd(), how.template, program)?;
        let log_want = log.as_ref().map(|log| first_want(log.home(), Which::Log)).transpose()?;
        let mut main = Locked::take(dir, Which::Main, false, program)?;
        let mut log = match log {
            Some(log) => {
                let (dir, home) = log.separate(main.dir())?;
                Some(Locked::take(dir, Which::Log, how.patient, program)?.living_in(home))
            }
            None => None,
        };
        let main_control = main.control()?;
        let log_control = log.as_ref().map(Locked::control).transpose()?;
        let found = main.found(main_want, program);
        let log_found = log.as_mut().zip(log_want).and_then(|(log, want)| log.found(want, program));
        let pipe = match log {
            Some(_) => Some(log_pipe(found.as_ref(), log_found.as_ref())?),
            None => None,
        };
        let inode = pipe.as_ref().and_then(|(reader, _)| pipe_of(reader.as_fd())).unwrap_or(0);
        let (main_service, left) = begin(Kind::Main, main_want, found, inode);
        let (log_service, log_left) = log_want.map(|want| begin(Kind::Log, want, log_found, inode)).unzip();
        let mut pair = Pair::new(main_service, log_service);
        let main = main.open(main_control, program, pair.unwritten(Which::Main), left)?;
        let log = match log.zip(log_control) {
            Some((log, control)) => {
                Some(log.open(control, program, pair.unwritten(Which::Log), log_left.unwrap_or_default())?)
            }
            None => None,
        };
        Ok((main, log, pipe, pair))
    }

    /// Hands out what is to be polled until the next [`Self::settle`], [`WATCHED_MAX`] at most. When any of it has something,
    /// [`Self::take`] is to be called.
    pub(crate) fn watched<'a>(&'a self, mut each: impl FnMut(BorrowedFd<'a>, PollFlags)) {
        for place in [Some(&self.main), self.log.as_deref()].into_iter().flatten() {
            each(place.control(), PollFlags::POLLIN);
            if let Some(notify) = place.notify() {
                each(notify, PollFlags::POLLIN);
            }
            if let Some(events) = place.events() {
                each(events, PollFlags::POLLPRI);
            }
            if let Some(orphan) = place.orphan() {
                each(orphan.as_fd(), PollFlags::POLLIN);
            }
        }
    }

    /// Whether there is more in [`Self::watched`] than when this was last asked. What is gone from there is closed.
    pub(crate) const fn watches_more(&mut self) -> bool {
        core::mem::replace(&mut self.more, false)
    }

    /// All processes it waits for.
    pub(crate) fn children(&self) -> [Option<Pid>; 6] {
        self.pair.children()
    }

    /// Those of the log service.
    pub(crate) fn log_children(&self) -> [Option<Pid>; 3] {
        self.pair.log_children()
    }

    /// Takes what there is: everything in the control fifos, in order, whether a `run` says that it is ready, and whether an
    /// adopted process has ended.
    pub(crate) fn take(&mut self) {
        // Asked first: what it wrote itself comes before its death.
        let ended = [Which::Main, Which::Log].map(|which| self.place(which).is_some_and(|place| place.orphan_ended()));
        for which in [Which::Log, Which::Main] {
            if self.place(which).is_some_and(Place::got_ready) {
                self.feed(Input::Ready(which));
            }
            if self.place(which).is_some_and(Place::cleared) {
                self.feed(Input::Cleared(which));
            }
            let mut buf = [0; CONTROL_CHUNK];
            loop {
                let n = self.read_control(which, &mut buf);
                for &byte in &buf[..n] {
                    self.feed(Input::Control(which, byte));
                }
                if n < buf.len() {
                    break;
                }
            }
        }
        for which in
            [Which::Main, Which::Log].into_iter().zip(ended).filter_map(|(which, ended)| ended.then_some(which))
        {
            self.bury(which);
        }
    }

    /// The adopted process has ended. How, was told to its parent, who is nobody we know.
    fn bury(&mut self, which: Which) {
        if let Some(pid) = self.place(which).and_then(|place| place.orphan().map(Orphan::pid)) {
            self.feed(Input::Dead(pid));
            self.place(which).map(Place::forget_orphan);
            self.feed(Input::Exited(pid, spawn::Status::UNKNOWN));
        }
    }

    /// SIGTERM: stop, then end.
    pub(crate) fn terminate(&mut self) {
        self.feed(Input::Terminate);
    }

    /// The same as `k` in the control fifo.
    pub(crate) fn kill(&mut self) {
        self.feed(Input::Control(Which::Main, b'k'));
    }

    /// A child ended and is not reaped yet. What `run` itself wrote (`sv o .`) comes before its death.
    pub(crate) fn dead(&mut self, pid: Pid) {
        self.take();
        self.feed(Input::Dead(pid));
    }

    /// A child that was [`Self::dead`] is reaped.
    pub(crate) fn exited(&mut self, pid: Pid, status: spawn::Status) {
        self.feed(Input::Exited(pid, status));
    }

    /// Does what time has made due and writes what changed. Called before every wait.
    pub(crate) fn settle(&mut self) -> Rest {
        let rest = self.feed(Input::Time);
        if let Some(record) = self.pair.unwritten(Which::Main) {
            self.main.write(&self.program, &record);
        }
        if let (Some(record), Some(log)) = (self.pair.unwritten(Which::Log), &mut self.log) {
            log.write(&self.program, &record);
        }
        rest
    }

    /// How many bytes there were; a whole buffer means there may be more.
    fn read_control(&mut self, which: Which, buf: &mut [u8]) -> usize {
        self.place(which).and_then(|place| file::read_some(place.control(), buf).ok()).unwrap_or(0)
    }

    fn place(&mut self, which: Which) -> Option<&mut Place> {
        match which {
            Which::Main => Some(&mut self.main),
            Which::Log => self.log.as_deref_mut(),
        }
    }

    /// One input, and everything that follows from it.
    fn feed(&mut self, input: Input) -> Rest {
        self.pair.handle(now(), input);
        loop {
            match self.pair.poll() {
                Output::Start(which, start) => {
                    let result = self.start(which, start);
                    self.pair.handle(now(), Input::Started(which, start, result));
                }
                // It is not reaped yet; that it has ended meanwhile is no error.
                Output::Signal(target, signal) => drop(self.signal(target, signal)),
                Output::Clear(which) => {
                    if self.place(which).is_none_or(Place::clear) {
                        self.pair.handle(now(), Input::Cleared(which));
                    } else {
                        self.more = true;
                    }
                }
                Output::ClosePipe => self.pipe = None,
                Output::Wait(deadline, _) => return Rest::Until(deadline),
                Output::Done => return Rest::Done,
            }
        }
    }

    fn signal(&self, target: Target, signal: Signal) -> Result<(), Errno> {
        let (Target::Process(pid) | Target::Group(pid)) = target;
        let orphans = [self.main.orphan(), self.log.as_deref().and_then(Place::orphan)];
        match (target, orphans.into_iter().flatten().find(|orphan| orphan.pid() == pid)) {
            (Target::Process(_), Some(orphan)) => orphan.signal(signal),
            (Target::Group(_), Some(leader)) => leader.signal_group(signal),
            (Target::Process(pid), None) => signal::kill(pid, signal),
            (Target::Group(leader), None) => signal::kill_group(leader, signal),
        }
    }
}

/// A control fifo, a pipe to notify on, a cgroup's events and an adopted process, for either service.
pub(crate) const WATCHED_MAX: usize = 8;

/// More bytes than anybody writes at once.
const CONTROL_CHUNK: usize = 32;

/// A service that starts, or goes on where a runsv was killed.
fn begin(kind: Kind, want: Want, found: Option<Found>, pipe: u64) -> (Service, Left) {
    match found {
        Some(Found { legacy, orphan, notify, cgroup, .. }) => {
            (Service::adopt(kind, &legacy, now()), Left { orphan, notify, cgroup, pipe })
        }
        None => (Service::new(kind, want, now()), Left { pipe, ..Left::default() }),
    }
}

/// The log pipe: the one that is in use, so that neither side sees the other's supervisor change, or a new one.
fn log_pipe(main: Option<&Found>, log: Option<&Found>) -> Result<(OwnedFd, OwnedFd), Fatal<'static>> {
    let used = main.and_then(|main| main.pipe(&[1, 2])).or_else(|| log.and_then(|log| log.pipe(&[0])));
    used.map_or_else(file::pipe, Ok).map_err(|e| Fatal([b"unable to create log pipe", b"", b""], Some(e)))
}

/// `PWD` of a child. Shells trust it when it names the directory they are in, so `${PWD##*/}` is the name under which a
/// service is supervised, also when that is a symbolic link.
fn pwd(dir: &Path) -> Option<CString> {
    CString::new([b"PWD=", dir.as_os_str().as_bytes()].concat()).ok()
}

/// `path` from the root on, symbolic links kept. None when it goes through `..`: then its children find out by themselves
/// where they are.
pub(crate) fn name(path: &OsStr) -> Option<PathBuf> {
    let mut full = std::env::current_dir().ok()?;
    for component in Path::new(path).components() {
        match component {
            Component::RootDir => full = PathBuf::from("/"),
            Component::Normal(part) => full.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(full)
}

/// Opens the service directory `path`.
pub(crate) fn open_dir(path: &OsStr) -> Result<OwnedFd, Errno> {
    file::open_dir(CWD, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_links_and_are_absolute() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(name(OsStr::new("/var/service/dhcp_eth0/")), Some("/var/service/dhcp_eth0".into()));
        assert_eq!(name(OsStr::new("./dhcp_eth0")), Some(here.join("dhcp_eth0")));
        assert_eq!(name(OsStr::new(".")), Some(here));
        assert_eq!(name(OsStr::new("a/../b")), None);
    }
}
