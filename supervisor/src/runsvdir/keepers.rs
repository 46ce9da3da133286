//! Who looks after the services: a runsv for each, or this process itself.

use super::hosted::{Hosted, Number};
use super::scan::Id;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use sys::clock::Instant;
use sys::msg::{Level, say};
use sys::signal::{Signal, kill};
use sys::spawn::{Spawn, reap};
use sys::{Errno, Pid};

/// See the module. A service is known by its directory.
#[derive(Debug)]
pub(crate) struct Keepers<'a> {
    program: &'a [u8],
    /// `runsv` in sessions of their own.
    session: bool,
    /// No `runsv`, but this process.
    hosted: Option<Box<Hosted>>,
    keepers: BTreeMap<Id, Keeper>,
    services: BTreeMap<Keeper, Id>,
}

/// One that looks after a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Keeper {
    /// A child of ours.
    Runsv(Pid),
    /// This process.
    Hosted(Number),
}

impl<'a> Keepers<'a> {
    pub(crate) fn new(session: bool, host: bool, program: &'a [u8]) -> Result<Self, Errno> {
        let hosted = if host { Some(Box::new(Hosted::new(session)?)) } else { None };
        Ok(Self { program, session, hosted, keepers: BTreeMap::new(), services: BTreeMap::new() })
    }

    /// Begins to look after the service `name` in the services directory `dir`; whether that worked. What did not has been said.
    pub(crate) fn start(&mut self, dir: BorrowedFd<'_>, id: Id, name: &CStr) -> bool {
        let keeper = match &mut self.hosted {
            Some(hosted) => Some(Keeper::Hosted(hosted.start(dir, name))),
            None => self.runsv(dir, name).map(Keeper::Runsv),
        };
        if let Some(keeper) = keeper {
            self.keepers.insert(id, keeper);
            self.services.insert(keeper, id);
        }
        keeper.is_some()
    }

    fn runsv(&self, dir: BorrowedFd<'_>, name: &CStr) -> Option<Pid> {
        let args = [c"runsv", name];
        let spawn = Spawn::new(c"runsv", &args).search_path().dir_fd(dir);
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
            None => {}
        }
    }

    /// The process that looks after the service, if it has one of its own.
    pub(crate) fn pid(&self, id: Id) -> Option<Pid> {
        match self.keepers.get(&id)? {
            Keeper::Runsv(pid) => Some(*pid),
            Keeper::Hosted(_) => None,
        }
    }

    /// Readable when [`Self::turn`] has something to do.
    pub(crate) fn ready(&self) -> Option<BorrowedFd<'_>> {
        self.hosted.as_ref().map(|hosted| hosted.as_fd())
    }

    /// When [`Self::turn`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.hosted.as_ref().and_then(|hosted| hosted.deadline())
    }

    /// Does what they have to do themselves, and looks after children if one has ended. `ended` is told each service nobody
    /// looks after any more.
    pub(crate) fn turn(&mut self, child: bool, mut ended: impl FnMut(Id)) {
        let Self { hosted, keepers, services, .. } = self;
        let mut gone = |keeper| {
            if let Some(id) = services.remove(&keeper) {
                keepers.remove(&id);
                ended(id);
            }
        };
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
