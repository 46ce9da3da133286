#![expect(clippy::disallowed_methods, reason = "driver: looks for the processes of a runsv that was killed")]
//! What a runsv that was killed has left: its service goes on under the next one as if nothing had happened.
//!
//! `run` or `finish` that still lives is adopted, found by [`super::record`]; the status files say the rest. A `run` that
//! ended while nobody looked still gets its `finish`. What was wanted last counts, not the `down` file: commands survive.

use super::cgroup::Cgroup;
use super::pair::Which;
use super::place::prefix;
use super::policy::Policy;
use super::record::{Entry, Kind};
use super::service::{Legacy, Moment, Remains};
use super::settings::{Reader, Told};
use crate::history::{self, History};
use crate::service;
use crate::status::{self, State, Status, Want};
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::clock::{self, Tai64n, Wall};
use sys::file;
use sys::msg::{Dec, Level, say};
use sys::orphan::{Lost, Orphan};
use sys::signal::{self, Signal};

/// A service that was supervised before in this boot, by somebody who did not come to an end.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) legacy: Legacy,
    /// What [`Legacy::remains`] says runs.
    pub(crate) orphan: Option<Orphan>,
    /// Where it may still say that it is ready.
    pub(crate) notify: Option<OwnedFd>,
    /// Where it is, or where it was and left others.
    pub(crate) cgroup: Option<Cgroup>,
    pipe: u64,
}

/// Looks for what the record names in the directory `dir`; `reader` reads its settings. `want` is for a status that cannot be read.
pub(crate) fn look(
    dir: BorrowedFd<'_>,
    reader: &Reader<'_>,
    told: &mut Told,
    entry: &Entry,
    want: Want,
    now: Moment,
) -> Found {
    let Reader { which, program, .. } = *reader;
    let status = status(dir);
    let mut buf = [0; history::LEN_MAX];
    let history = file::read_into(dir, service::HISTORY, &mut buf).map_or_else(|_| History::default(), History::parse);
    let want = match (which, status.map(|s| s.want)) {
        (_, None | Some(Want::Once)) => want,
        // It is told by its main service.
        (Which::Log, Some(Want::Exit)) => want,
        (_, Some(want)) => want,
    };
    let (orphan, remains) = remains(which, entry, status, program, now);
    // As they are now; how it was started is not known any more.
    let (policy, notify) =
        reader.read(told).map_or_else(|_| (Policy::default(), None), |settings| (settings.policy, settings.notify));
    let notify = orphan.as_ref().zip(notify).and_then(|(orphan, fd)| {
        let (reader, _) = orphan.pipe(u8::try_from(fd).ok()?, entry.notify)?;
        file::set_nonblocking(reader.as_fd()).ok()?;
        Some(reader)
    });
    let cgroup = if policy.group { Cgroup::left(dir) } else { None };
    Found { legacy: Legacy { want, history, policy, remains }, orphan, notify, cgroup, pipe: entry.pipe }
}

impl Found {
    /// Both ends of the log pipe, if the process has one under one of these descriptors.
    pub(crate) fn pipe(&self, fds: &[u8]) -> Option<(OwnedFd, OwnedFd)> {
        let orphan = self.orphan.as_ref()?;
        fds.iter().find_map(|&fd| orphan.pipe(fd, self.pipe))
    }
}

fn remains(
    which: Which,
    entry: &Entry,
    status: Option<Status>,
    program: &[u8],
    now: Moment,
) -> (Option<Orphan>, Remains) {
    let name: &[u8] = match entry.kind {
        Kind::Run => b"run",
        Kind::Finish => b"finish",
        Kind::None => return (None, Remains::Nothing),
    };
    let pid = Dec::new(entry.pid.as_raw().unsigned_abs().into());
    let tell = |verb: &[u8], why| {
        let what = [verb, prefix(which), name, b", pid ", pid.as_bytes(), b", of a runsv that was killed"];
        say(program, Level::Warning, &what, why);
    };
    let started = before(now, clock::boottime().since(entry.born.1));
    let orphan = match Orphan::find(entry.pid, entry.born) {
        Ok(orphan) => {
            tell(b"adopted ", None);
            Some(orphan)
        }
        Err(Lost::Gone) => None,
        // Better none than two.
        Err(Lost::Here(why)) => {
            tell(b"unable to adopt, killing ", Some(why));
            let _ = signal::kill(entry.pid, Signal::SIGKILL);
            None
        }
    };
    // Written after the start; this may be the status before it.
    let its = status.filter(|s| s.pid == entry.pid.as_raw().unsigned_abs());
    let same_run = status.filter(|s| its.is_some() || s.state != State::Down);
    let remains = match (entry.kind, orphan.is_some()) {
        (Kind::Run, true) => Remains::Run {
            pid: entry.pid,
            started: Moment { label: its.map_or(started.label, |s| s.since), ..started },
            paused: its.is_some_and(|s| s.paused),
            got_term: its.is_some_and(|s| s.got_term),
        },
        (Kind::Run, false) => {
            Remains::Ended { started: Moment { label: its.map_or(started.label, |s| s.since), ..started } }
        }
        (Kind::Finish, true) => Remains::Finish {
            pid: entry.pid,
            started: Moment { label: same_run.map_or(started.label, |s| s.since), ..started },
        },
        (Kind::Finish, false) | (Kind::None, _) => Remains::Nothing,
    };
    (orphan, remains)
}

fn before(now: Moment, age: Duration) -> Moment {
    let Wall { secs, nanos } = now.label.into();
    let back = i64::try_from(age.as_secs()).unwrap_or(0);
    let label = match nanos.checked_sub(age.subsec_nanos()) {
        Some(nanos) => Wall { secs: secs.saturating_sub(back), nanos },
        None => Wall { secs: secs.saturating_sub(back.saturating_add(1)), nanos: nanos + NANOS - age.subsec_nanos() },
    };
    Moment { mono: now.mono - age, label: Tai64n::from(label) }
}

const NANOS: u32 = 1_000_000_000;

/// `supervise/status`, and whether `supervise/stat` knows that the end was wanted.
fn status(dir: BorrowedFd<'_>) -> Option<Status> {
    let (mut bytes, mut text) = ([0; status::LEN + 1], [0; 64]);
    let status = Status::unpack(file::read_into(dir, service::STATUS, &mut bytes).ok()?)?;
    let stat = file::read_into(dir, service::STAT, &mut text).unwrap_or_default();
    let exit = status.want == Want::Down && stat.ends_with(b", want exit\n");
    Some(if exit { Status { want: Want::Exit, ..status } } else { status })
}
