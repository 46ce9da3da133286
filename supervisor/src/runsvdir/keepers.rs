//! Who looks after the services: a runsv for each, or this process itself.

use super::hosted::Hosted;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use sys::clock::Instant;
use sys::msg::{Level, say};
use sys::signal::{Signal, kill};
use sys::spawn::{Spawn, reap};
use sys::{Errno, Pid};

/// See the module. A keeper is known by a pid: a runsv's own, or with [`Hosted`] a number in its place.
#[derive(Debug)]
pub(crate) enum Keepers {
    /// Children.
    Runsv {
        /// Each in a session of its own.
        session: bool,
    },
    /// In this process.
    Hosted(Box<Hosted>),
}

impl Keepers {
    pub(crate) fn new(session: bool, host: bool) -> Result<Self, Errno> {
        Ok(if host { Self::Hosted(Box::new(Hosted::new(session)?)) } else { Self::Runsv { session } })
    }

    /// One for the service `name` in the services directory `dir`. None if it cannot be started.
    pub(crate) fn start(&mut self, program: &[u8], dir: BorrowedFd<'_>, name: &CStr) -> Option<Pid> {
        let session = match self {
            Self::Runsv { session } => *session,
            Self::Hosted(hosted) => return Some(hosted.start(dir, name)),
        };
        let args = [c"runsv", name];
        let spawn = Spawn::new(c"runsv", &args).search_path().dir_fd(dir);
        match if session { spawn.session() } else { spawn }.start() {
            Ok(pid) => Some(pid),
            Err(e) => {
                say(program, Level::Fatal, &[b"unable to start runsv ", name.to_bytes()], Some(e));
                None
            }
        }
    }

    /// TERM.
    pub(crate) fn stop(&mut self, keeper: Pid) {
        match self {
            // Not reaped yet, so the pid is its own; that it may have ended is no error.
            Self::Runsv { .. } => drop(kill(keeper, Signal::SIGTERM)),
            Self::Hosted(hosted) => hosted.stop(keeper),
        }
    }

    /// Its process, if it has one of its own.
    pub(crate) const fn pid(&self, keeper: Pid) -> Option<Pid> {
        match self {
            Self::Runsv { .. } => Some(keeper),
            Self::Hosted(_) => None,
        }
    }

    /// Readable when [`Self::turn`] has something to do.
    pub(crate) fn ready(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Runsv { .. } => None,
            Self::Hosted(hosted) => Some(hosted.as_fd()),
        }
    }

    /// When [`Self::turn`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Runsv { .. } => None,
            Self::Hosted(hosted) => hosted.deadline(),
        }
    }

    /// Does what they have to do themselves, and looks after children if one has ended.
    pub(crate) fn turn(&mut self, child: bool) {
        match self {
            Self::Runsv { .. } => {}
            Self::Hosted(hosted) => hosted.turn(child),
        }
    }

    /// One that has ended since the last call.
    pub(crate) fn ended(&mut self) -> Option<Pid> {
        match self {
            Self::Runsv { .. } => reap().map(|(pid, _)| pid),
            Self::Hosted(hosted) => hosted.ended(),
        }
    }

    /// Whether they go on when this process has ended.
    pub(crate) fn outlive(&self) -> bool {
        match self {
            Self::Runsv { .. } => true,
            Self::Hosted(hosted) => hosted.is_empty(),
        }
    }
}
