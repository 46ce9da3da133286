//! The machine of `runsvdir`: which services there are, and one `runsv` for each.
//!
//! It owns nothing. The driver looks at the directory when asked and says what is there; starts and deaths of children come
//! as inputs. A service is a directory, known by device and inode, not by name: two links to one directory are one service,
//! a renamed link goes on with the runsv it has, and another directory under an old name is another service, which is
//! started when the old one's runsv is gone (they may share a lock behind a link).

use core::time::Duration;
use std::ffi::{CStr, CString};
use sys::clock::Instant;

/// A runsv that lived shorter than this waits for the rest of it before it is started again.
pub(crate) const SHORT_LIFE: Duration = Duration::from_secs(1);
/// Until another try when a runsv could not be started at all.
pub(crate) const NO_START: Duration = Duration::from_secs(5);
/// Changes that come in quick succession are looked at together.
pub(crate) const GATHER: Duration = Duration::from_millis(5);
/// A directory that was made in place is filled after it was made. It is left alone until nothing has been added to it for
/// this long: runsv looks for `log` and `down` once, at its start.
pub(crate) const QUIET: Duration = Duration::from_millis(50);
/// Between looks at a lock that somebody unknown holds.
pub(crate) const LOCKED: Duration = Duration::from_secs(5);
/// Between scans when changes cannot be watched, or reading the directory failed for want of resources.
pub(crate) const BLIND: Duration = Duration::from_secs(5);

/// A directory's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    /// Device.
    pub(crate) dev: u64,
    /// Inode.
    pub(crate) ino: u64,
}

/// One service directory found by a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which directory it is.
    pub(crate) id: Id,
    /// Its name in the services directory.
    pub(crate) name: CString,
    /// It was made in place a moment ago.
    pub(crate) young: bool,
}

/// What a scan came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// All services, in the order the directory has them. `watched`: any change will be told.
    Services {
        /// The entries.
        seen: Vec<Seen>,
        /// Whether changes will be told.
        watched: bool,
    },
    /// The directory could not be read. Services go on as they are.
    Nothing {
        /// Whether changes will be told.
        watched: bool,
    },
}

/// What became of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A runsv was started.
    New,
    /// There was one already.
    Taken,
    /// Somebody holds the lock who cannot be watched.
    Locked,
    /// It could not be started.
    Not,
}

/// What the world can tell.
#[derive(Debug)]
pub(crate) enum Input {
    /// The directory, or a link on the way to it or to a service, has changed.
    Changed,
    /// Something was added to a directory that was made in place.
    Stirred(Id),
    /// The answer to [`Output::Scan`].
    Scanned(Found),
    /// The answer to [`Output::Look`]: whether there is a `run`.
    Looked(Id, bool),
    /// The answer to [`Output::Start`].
    Started(Id, Kept),
    /// What kept the service has ended.
    Ended(Id),
    /// SIGTERM: leave, and leave everything running.
    Terminate,
    /// SIGHUP: tell every runsv to stop its service, and leave.
    Hangup,
    /// Time went by.
    Time,
}

/// What can be asked for. Answer before polling again where an input says "the answer to".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output<'a> {
    /// Read the directory.
    Scan,
    /// See whether the service has a `run`.
    Look(Id, &'a CStr),
    /// Keep the service from now on: `runsv NAME`.
    Start(Id, &'a CStr),
    /// Stop the service, and what keeps it: TERM.
    Stop(Id),
    /// Tell the user: the new directory of that name waits for the end of the old one's runsv, which keeps the second.
    Waits(&'a CStr, Id),
    /// Tell the user: that directory has no `run` and is not started before it has.
    Lacks(&'a CStr),
    /// Tell the user: somebody else holds that service's lock.
    Locked(&'a CStr),
    /// Nothing to do until an input or the deadline.
    Wait(Option<Instant>),
    /// The program ends with this code.
    Done(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// To be started.
    Due,
    /// To be started when the old runsv of that name is gone; the user knows.
    Behind,
    /// Made in place; is looked at when it was quiet until then.
    Young(Instant),
    /// Made in place, and there was no `run`. `told`: the user knows.
    Empty { told: bool },
    /// Runs since then.
    Running(Instant),
    /// Was told to stop.
    Stopping,
    /// Is not to be started before that time.
    Resting(Instant),
    /// Somebody else holds its lock; is tried again at that time. `told`: the user knows.
    Locked { until: Instant, told: bool },
}

#[derive(Clone, Debug)]
struct Service {
    id: Id,
    name: CString,
    /// Seen by the last scan.
    here: bool,
    run: Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Everybody is told to stop, then the end.
    HangingUp,
    Over(u8),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Scan {
    now: Instant,
    /// Sorted by id.
    services: Vec<Service>,
    /// Some of them are gone from the directory, their runsv not yet.
    leaving: bool,
    /// The services before this one have nothing to do until the next input.
    next: usize,
    /// When the directory is to be read.
    scan_at: Option<Instant>,
    last_scan: Option<Instant>,
    phase: Phase,
}

impl Scan {
    /// No service yet; the first poll asks for a scan.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            now,
            services: Vec::new(),
            leaving: false,
            next: 0,
            scan_at: Some(now),
            last_scan: None,
            phase: Phase::Serving,
        }
    }

    /// Takes one input. An answer comes directly after the question; other inputs may come several at a time.
    pub(crate) fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Changed => {
                let at = self.last_scan.map_or(now, |last| now.max(last + GATHER));
                self.scan_at = Some(self.scan_at.map_or(at, |planned| planned.min(at)));
            }
            Input::Stirred(id) => self.stirred(id),
            Input::Scanned(found) => self.scanned(found),
            Input::Looked(id, complete) => {
                if let Some(service) = self.find(id) {
                    service.run = if complete { Run::Due } else { Run::Empty { told: false } };
                }
            }
            Input::Started(id, kept) => {
                if let Some(service) = self.find(id) {
                    let told = matches!(service.run, Run::Locked { .. });
                    service.run = match kept {
                        Kept::New => Run::Running(now),
                        // When it ends it has lived long enough.
                        Kept::Taken => Run::Running(Instant::ZERO),
                        Kept::Locked => Run::Locked { until: now + LOCKED, told },
                        Kept::Not => Run::Resting(now + NO_START),
                    };
                }
            }
            Input::Ended(id) => self.ended(id),
            Input::Terminate => self.phase = Phase::Over(0),
            Input::Hangup => {
                self.phase = Phase::HangingUp;
                self.next = 0;
            }
            Input::Time => self.next = 0,
        }
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Output<'_> {
        match self.phase {
            Phase::Serving => {}
            Phase::HangingUp => return self.hang_up(),
            Phase::Over(code) => return Output::Done(code),
        }
        if self.scan_at.is_some_and(|at| at <= self.now) {
            return Output::Scan;
        }
        while self.next < self.services.len() {
            if let Some(act) = self.step(self.next) {
                return self.output(self.next, act);
            }
            self.next += 1;
        }
        Output::Wait(self.deadline())
    }

    /// The services that are watched for something to be added.
    pub(crate) fn young(&self) -> impl Iterator<Item = (Id, &CStr)> {
        let young = |s: &&Service| matches!(s.run, Run::Young(_) | Run::Empty { .. });
        self.services.iter().filter(young).map(|s| (s.id, s.name.as_c_str()))
    }

    /// The services that somebody looks after.
    pub(crate) fn kept(&self) -> impl Iterator<Item = Id> {
        self.services.iter().filter(|s| matches!(s.run, Run::Running(_) | Run::Stopping)).map(|s| s.id)
    }

    /// What the service at `at` needs now.
    fn step(&mut self, at: usize) -> Option<Act> {
        let now = self.now;
        let Service { run, here, .. } = self.services[at];
        match (run, here) {
            (Run::Running(_), false) => {
                self.services[at].run = Run::Stopping;
                Some(Act::Stop)
            }
            (Run::Running(_), true) | (Run::Stopping, _) => None,
            // Forgotten already.
            (
                Run::Due | Run::Behind | Run::Young(_) | Run::Empty { .. } | Run::Resting(_) | Run::Locked { .. },
                false,
            ) => None,
            (Run::Young(quiet), true) => (quiet <= now).then_some(Act::Look),
            (Run::Empty { told: true }, true) => None,
            (Run::Empty { told: false }, true) => {
                self.services[at].run = Run::Empty { told: true };
                Some(Act::Lacks)
            }
            (Run::Locked { until, told: false }, true) => {
                self.services[at].run = Run::Locked { until, told: true };
                Some(Act::Locked)
            }
            (Run::Resting(until) | Run::Locked { until, told: true }, true) if until > now => None,
            (Run::Due | Run::Resting(_) | Run::Locked { told: true, .. }, true) => match self.predecessor(at) {
                Some(old) => {
                    self.services[at].run = Run::Behind;
                    Some(Act::Waits(old))
                }
                None => Some(Act::Start),
            },
            (Run::Behind, true) => self.predecessor(at).is_none().then_some(Act::Start),
        }
    }

    fn output(&self, at: usize, act: Act) -> Output<'_> {
        let Service { id, name, .. } = &self.services[at];
        match act {
            Act::Start => Output::Start(*id, name),
            Act::Look => Output::Look(*id, name),
            Act::Stop => Output::Stop(*id),
            Act::Waits(old) => Output::Waits(name, old),
            Act::Lacks => Output::Lacks(name),
            Act::Locked => Output::Locked(name),
        }
    }

    /// Another directory of that name whose runsv has not ended.
    fn predecessor(&self, at: usize) -> Option<Id> {
        if !self.leaving {
            return None;
        }
        let name = &self.services[at].name;
        self.services.iter().find_map(|s| match (s.run, s.here) {
            (Run::Running(_) | Run::Stopping, false) if s.name == *name => Some(s.id),
            (Run::Running(_) | Run::Stopping, _)
            | (Run::Due | Run::Behind | Run::Young(_) | Run::Empty { .. } | Run::Resting(_) | Run::Locked { .. }, _) => None,
        })
    }

    fn hang_up(&mut self) -> Output<'_> {
        while self.next < self.services.len() {
            self.next += 1;
            let Service { id, run, .. } = self.services[self.next - 1];
            match run {
                Run::Running(_) | Run::Stopping => return Output::Stop(id),
                Run::Due | Run::Behind | Run::Young(_) | Run::Empty { .. } | Run::Resting(_) | Run::Locked { .. } => {}
            }
        }
        self.phase = Phase::Over(111);
        Output::Done(111)
    }

    fn deadline(&self) -> Option<Instant> {
        let waiting = |s: &Service| match s.run {
            Run::Young(at) | Run::Resting(at) | Run::Locked { until: at, .. } => Some(at),
            Run::Due | Run::Behind | Run::Empty { .. } | Run::Running(_) | Run::Stopping => None,
        };
        self.services.iter().filter_map(waiting).chain(self.scan_at).min()
    }

    fn stirred(&mut self, id: Id) {
        let quiet = self.now + QUIET;
        self.next = 0;
        if let Some(service) = self.find(id) {
            match service.run {
                Run::Young(_) | Run::Empty { .. } => service.run = Run::Young(quiet),
                Run::Due | Run::Behind | Run::Running(_) | Run::Stopping | Run::Resting(_) | Run::Locked { .. } => {}
            }
        }
    }

    fn ended(&mut self, id: Id) {
        self.next = 0;
        let now = self.now;
        if let Some(service) = self.find(id) {
            match service.run {
                Run::Running(since) => {
                    let rested = since + SHORT_LIFE;
                    service.run = if rested > now { Run::Resting(rested) } else { Run::Due };
                }
                // It has come back meanwhile, or is forgotten below.
                Run::Stopping => service.run = Run::Due,
                Run::Due | Run::Behind | Run::Young(_) | Run::Empty { .. } | Run::Resting(_) | Run::Locked { .. } => {}
            }
        }
        self.forget();
    }

    fn scanned(&mut self, found: Found) {
        self.next = 0;
        self.last_scan = Some(self.now);
        let (seen, watched) = match found {
            Found::Services { seen, watched } => (Some(seen), watched),
            Found::Nothing { watched } => (None, watched),
        };
        self.scan_at = (!watched).then_some(self.now + BLIND);
        if let Some(mut seen) = seen {
            // Stable: of several names of one directory the first in the directory's order stays first.
            seen.sort_by_key(|s| s.id);
            self.merge(seen);
            self.forget();
        }
    }

    /// Drops what is neither in the directory nor has a runsv.
    fn forget(&mut self) {
        self.services.retain(|s| match s.run {
            Run::Running(_) | Run::Stopping => true,
            Run::Due | Run::Behind | Run::Young(_) | Run::Empty { .. } | Run::Resting(_) | Run::Locked { .. } => s.here,
        });
        self.leaving = self.services.iter().any(|s| !s.here);
    }

    /// Both lists are sorted by id.
    fn merge(&mut self, seen: Vec<Seen>) {
        let quiet = self.now + QUIET;
        let mut merged = Vec::with_capacity(self.services.len().max(seen.len()));
        let mut known = core::mem::take(&mut self.services).into_iter().peekable();
        let mut seen = seen.into_iter().peekable();
        while let Some(first) = seen.next() {
            while let Some(gone) = known.next_if(|s| s.id < first.id) {
                merged.push(Service { here: false, ..gone });
            }
            let old = known.next_if(|s| s.id == first.id);
            let mut name = first.name;
            while let Some(other) = seen.next_if(|s| s.id == first.id) {
                if old.as_ref().is_some_and(|old| old.name == other.name) {
                    name = other.name;
                }
            }
            merged.push(match old {
                Some(old) => Service { name, here: true, ..old },
                None => {
                    let run = if first.young { Run::Young(quiet) } else { Run::Due };
                    Service { id: first.id, name, here: true, run }
                }
            });
        }
        merged.extend(known.map(|gone| Service { here: false, ..gone }));
        self.services = merged;
    }

    fn find(&mut self, id: Id) -> Option<&mut Service> {
        self.services.binary_search_by_key(&id, |s| s.id).ok().map(|at| &mut self.services[at])
    }
}

/// [`Output`] of one service, before it borrows the name.
#[derive(Clone, Copy, Debug)]
enum Act {
    Look,
    Start,
    Stop,
    Waits(Id),
    Lacks,
    Locked,
}

#[cfg(test)]
mod tests;
