//! `sv list`: all services at a glance, for people ([`table`]) and for programs ([`json`]). This module and those two decide and
//! are pure; [`gather`] looks.

mod gather;
mod json;
mod table;

pub(crate) use gather::run;

use super::report::{Normally, Trouble};
use crate::history::{Exit, History, Readiness};
use crate::status::{State, Status};
use sys::clock::{Tai64n, Wall};
use sys::errtext::errtext;
use sys::signal::Signal;

/// One service.
#[derive(Clone, Debug)]
struct Entry {
    /// As it can be given to `sv`.
    name: Vec<u8>,
    service: Result<Facts, Trouble>,
    /// None without a log service.
    log: Option<Result<Facts, Trouble>>,
}

/// What is known about a service or a log service.
#[derive(Clone, Copy, Debug)]
struct Facts {
    status: Status,
    normally: Normally,
    /// None under a runsv that is not ours.
    history: Option<History>,
}

impl Facts {
    fn readiness(&self) -> Readiness {
        match (self.status.state, self.history) {
            (State::Run, Some(history)) => history.readiness(self.status.since),
            (State::Run, None) | (State::Down | State::Finish, _) => Readiness::Untold,
        }
    }

    /// Whether the run is ready; none if it does not say or is not there.
    fn ready(&self) -> Option<bool> {
        match self.readiness() {
            Readiness::Untold => None,
            Readiness::NotYet => Some(false),
            Readiness::Ready => Some(true),
        }
    }

    /// Starts after the first.
    fn restarts(&self) -> Option<u64> {
        self.history.map(|h| h.starts.saturating_sub(1).into())
    }

    fn exit(&self) -> Option<Exit> {
        self.history.and_then(|h| h.exit)
    }

    /// Seconds, 0 when it began in the future.
    fn age(&self, now: Wall) -> u64 {
        Tai64n::from(now).label.saturating_sub(self.status.since.label)
    }
}

const fn state(state: State) -> &'static [u8] {
    match state {
        State::Down => b"down",
        State::Run => b"run",
        State::Finish => b"finish",
    }
}

/// The signal of a run that did not exit, and whether it left a core. The name is without `SIG`; real-time signals have none.
fn signal(exit: Exit) -> (u8, Option<&'static str>, bool) {
    let number = exit.status & 0x7f;
    let name = Signal::try_from(i32::from(number)).ok().map(Signal::as_str);
    (number, name.map(|n| n.strip_prefix("SIG").unwrap_or(n)), exit.status & 0x80 != 0)
}

/// `WHAT[: WHY]`, as `sv status` has it behind the name.
fn problem(trouble: Trouble) -> Vec<u8> {
    let (_, what, why) = trouble.words();
    match why {
        Some(e) => [what, b": ", errtext(e).as_bytes()].concat(),
        None => what.to_vec(),
    }
}

#[cfg(test)]
mod fixture {
    //! Services for the tests of both forms.
    use super::*;
    use crate::status::Want;
    use sys::Errno;

    pub(super) const NOW: Wall = Wall { secs: 1_000_000, nanos: 5 };

    pub(super) fn since(seconds: i64) -> Tai64n {
        Tai64n::from(Wall { secs: NOW.secs - seconds, nanos: 250_000_000 })
    }

    pub(super) fn facts(pid: u32, seconds: i64) -> Facts {
        let state = if pid == 0 { State::Down } else { State::Run };
        let status = Status { since: since(seconds), pid, want: Want::Up, state, ..Status::default() };
        Facts { status, normally: Normally::Up, history: None }
    }

    /// One of every kind.
    pub(super) fn all() -> Vec<Entry> {
        let entry = |name: &[u8], service, log| Entry { name: name.to_vec(), service, log };
        let history = |starts, exit| Some(History { starts, exit, ..History::default() });
        let killed = Exit { code: None, status: 9 };
        let crashing = Facts { history: history(7, Some(Exit { code: Some(1), status: 0 })), ..facts(0, 3) };
        let slow =
            Facts { history: Some(History { starts: 1, notifies: true, ..History::default() }), ..facts(33, 70) };
        let ready = History { starts: 3, exit: Some(killed), notifies: true, ready: Some(since(100_000)) };
        vec![
            entry(b"crash", Ok(crashing), None),
            entry(b"legacy", Ok(facts(77, 4000)), Some(Err(Trouble::NotRunning))),
            entry(b"n\xc3\xa4me", Ok(Facts { history: Some(ready), ..facts(9, 100_000) }), Some(Ok(facts(8, 100_001)))),
            entry(b"odd\x1b\"\xff", Err(Trouble::File(b"unable to open supervise/ok", Errno::ENOENT)), None),
            entry(b"slow", Ok(slow), None),
        ]
    }
}
