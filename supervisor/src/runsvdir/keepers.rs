//! Who looks after the services: a runsv for each, or this process itself; or a runsv that did so before we came.

use super::hosted::{Hosted, Number};
use super::scan::{Id, Kept};
use super::stop::Sweep;
use super::sweep::{self, Spared};
use super::takeover::{self, Holder, Holders};
use crate::service;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::clock::Instant;
use sys::file::{self, CWD};
use sys::msg::{Dec, Level, say};
use sys::orphan::Orphan;
use sys::ready::Ready;
use sys::signal::{Signal, kill};
use sys::spawn::{Spawn, reap};
use sys::{Errno, Pid, fifo};

/// See the module. A service is known by its directory.
#[derive(Debug)]
pub(crate) struct Keepers<'a> {
    program: &'a [u8],
    /// `runsv` in sessions of their own.
    session: bool,
    /// See [`How::template`](crate::runsv::How).
    template: Option<CString>,
    /// No `runsv`, but this process.
    hosted: Option<Box<Hosted>>,
    keepers: BTreeMap<Id, Keeper>,
    services: BTreeMap<Keeper, Id>,
    taken: BTreeMap<Pid, Orphan>,
    /// Readable when one of them has ended.
    taken_ended: Ready,
    /// Who holds the locks, as long as services are started one after the other.
    holders: Option<Holders>,
}

/// One that looks after a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Keeper {
    /// A child of ours.
    Runsv(Pid),
    /// This process.
    Hosted(Number),
    /// A runsv that is not our child, or became it later.
    Taken(Pid),
}

impl<'a> Keepers<'a> {
    /// `template` is an absolute path.
    pub(crate) fn new(session: bool, host: bool, template: Option<&Path>, program: &'a [u8]) -> Result<Self, Errno> {
        let hosted = if host { Some(Box::new(Hosted::new(session, template.map(Into::into))?)) } else { None };
        let template = template.map(|t| CString::new(t.as_os_str().as_bytes())).transpose();
        let template = template.map_err(|_| Errno::EINVAL)?;
        Ok(Self {
            program,
            session,
            template,
            hosted,
            keepers: BTreeMap::new(),
            services: BTreeMap::new(),
            taken: BTreeMap::new(),
            taken_ended: Ready::new()?,
            holders: None,
        })
    }

    /// Begins to look after the service `name` in the services directory `dir`. What did not work has been said.
    pub(crate) fn start(&mut self, dir: BorrowedFd<'_>, id: Id, name: &CStr) -> Kept {
        let (keeper, kept) = match takeover::holder(dir, name, id, &mut self.holders) {
            Holder::Unknown => return Kept::Locked,
            Holder::Runsv(runsv) => match self.take_over(runsv, name) {
                Ok(keeper) => (keeper, Kept::Taken),
                Err(_) => return Kept::Locked,
            },
            Holder::None => {
                let keeper = match &mut self.hosted {
                    Some(hosted) => hosted.start(dir, name).map(Keeper::Hosted),
                    None => self.runsv(dir, name).map(Keeper::Runsv),
                };
                let Some(keeper) = keeper else { return Kept::Not };
                (keeper, Kept::New)
            }
        };
        self.keepers.insert(id, keeper);
        self.services.insert(keeper, id);
        kept
    }

    /// No more starts for a while: what is known of others grows old.
    pub(crate) fn pause(&mut self) {
        self.holders = None;
    }

    fn take_over(&mut self, runsv: Orphan, name: &CStr) -> Result<Keeper, Errno> {
        let pid = runsv.pid();
        let number = u64::from(pid.as_raw().cast_unsigned());
        self.taken_ended.add(runsv.as_fd(), number)?;
        self.taken.insert(pid, runsv);
        let digits = Dec::new(number);
        let what: [&[u8]; 4] = [b"taken over runsv ", name.to_bytes(), b", pid ", digits.as_bytes()];
        say(self.program, Level::Info, &what, None);
        Ok(Keeper::Taken(pid))
    }

    fn runsv(&self, dir: BorrowedFd<'_>, name: &CStr) -> Option<Pid> {
        let (with, without);
        let args: &[&CStr] = match &self.template {
            Some(template) => {
                with = [c"runsv", c"-l", template, name];
                &with
            }
            None => {
                without = [c"runsv", name];
                &without
            }
        };
        let spawn = Spawn::new(c"runsv", args).search_path().dir_fd(dir);
        match if self.session { spawn.session() } else { spawn }.start() {
            Ok(pid) => Some(pid),
            Err(e) => {
                say(self.program, Level::Fatal, &[b"unable to start runsv ", name.to_bytes()], Some(e));
                None
            }
        }
    }

    /// TERM.
    pub(crate) fn stop(&mut self, id: Id) {
        match self.keepers.get(&id) {
            // Not reaped yet, so the pid is its own; that it may have ended is no error.
            Some(Keeper::Runsv(pid)) => drop(kill(*pid, Signal::SIGTERM)),
            Some(Keeper::Hosted(number)) => {
                if let Some(hosted) = &mut self.hosted {
                    hosted.stop(*number);
                }
            }
            Some(Keeper::Taken(pid)) => {
                if let Some(runsv) = self.taken.get(pid) {
                    let _ = runsv.signal(Signal::SIGTERM);
                }
            }
            None => {}
        }
    }

    /// `k`, as to a runsv: KILL, if `control/k` allows.
    pub(crate) fn kill(&mut self, id: Id) {
        match self.keepers.get(&id) {
            Some(Keeper::Runsv(pid) | Keeper::Taken(pid)) => {
                let control = below(*pid, service::CONTROL);
                // It may have ended. What is left is ended in another way a moment later.
                let _ = fifo::writer(CWD, control.as_slice()).and_then(|fd| file::write_some(fd.as_fd(), b"k"));
            }
            Some(Keeper::Hosted(number)) => {
                if let Some(hosted) = &mut self.hosted {
                    hosted.kill(*number);
                }
            }
            None => {}
        }
    }

    /// A signal to all who are meant.
    pub(crate) fn sweep(&self, who: Sweep) {
        let runsv: Vec<Pid> = self.keepers.keys().filter_map(|id| self.pid(*id)).collect();
        let taken: Vec<Pid> = self.taken.keys().copied().collect();
        match who {
            Sweep::Orphans => {
                let hosted = self.hosted.iter().flat_map(|hosted| hosted.children());
                let spared = Spared { alone: Vec::new(), trees: runsv.into_iter().chain(hosted).collect() };
                sweep::sweep(Signal::SIGTERM, &taken, &spared);
            }
            Sweep::Services => {
                let logs = runsv.iter().flat_map(|runsv| logs(*runsv));
                let trees = logs.chain(self.hosted.iter().flat_map(|hosted| hosted.logs())).collect();
                sweep::sweep(Signal::SIGKILL, &taken, &Spared { alone: runsv, trees });
            }
            Sweep::All => sweep::sweep(Signal::SIGKILL, &taken, &Spared::default()),
        }
    }

    /// The process that looks after the service, if it has one of its own.
    pub(crate) fn pid(&self, id: Id) -> Option<Pid> {
        match self.keepers.get(&id)? {
            Keeper::Runsv(pid) | Keeper::Taken(pid) => Some(*pid),
            Keeper::Hosted(_) => None,
        }
    }

    /// Readable when [`Self::turn`] has something to do.
    pub(crate) fn ready(&self) -> [BorrowedFd<'_>; 2] {
        let taken = self.taken_ended.as_fd();
        [taken, self.hosted.as_ref().map_or(taken, |hosted| hosted.as_fd())]
    }

    /// When [`Self::turn`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.hosted.as_ref().and_then(|hosted| hosted.deadline())
    }

    /// Does what they have to do themselves, and looks after children if one has ended. `ended` is told each service nobody
    /// looks after any more.
    pub(crate) fn turn(&mut self, child: bool, mut ended: impl FnMut(Id)) {
        let Self { hosted, keepers, services, taken, taken_ended, .. } = self;
        let mut gone = |keeper| {
            if let Some(id) = services.remove(&keeper) {
                keepers.remove(&id);
                ended(id);
            }
        };
        taken_ended.take(|number| {
            if let Ok(pid) = i32::try_from(number).map(Pid::from_raw) {
                taken.remove(&pid);
                gone(Keeper::Taken(pid));
            }
        });
        match hosted {
            Some(hosted) => {
                hosted.turn(child);
                while let Some(number) = hosted.ended() {
                    gone(Keeper::Hosted(number));
                }
            }
            None => {
                while let Some((pid, _)) = if child { reap() } else { None } {
                    gone(Keeper::Runsv(pid));
                }
            }
        }
    }

    /// Whether they go on when this process has ended.
    pub(crate) fn outlive(&self) -> bool {
        self.hosted.as_ref().is_none_or(|hosted| hosted.is_empty())
    }
}

/// A path in the directory that a runsv looks after, wherever that is now.
fn below(runsv: Pid, path: &CStr) -> Vec<u8> {
    let pid = Dec::new(u64::from(runsv.as_raw().cast_unsigned()));
    [b"/proc/", pid.as_bytes(), b"/cwd/", path.to_bytes()].concat()
}

/// The log service of a runsv.
fn logs(runsv: Pid) -> Option<Pid> {
    [service::LOG_PID, service::TEMPLATE_LOG_PID].into_iter().find_map(|path| {
        let mut buf = [0; 16];
        let text = file::read_into(CWD, below(runsv, path).as_slice(), &mut buf).ok()?;
        core::str::from_utf8(text).ok()?.trim_end().parse().ok().map(Pid::from_raw)
    })
}
