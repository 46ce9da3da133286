//! The machine of `runsvdir -g SEC` once it was told to end: everything is asked to stop at the same time, and what does not
//! is ended by force. Nothing is left behind.
//!
//! | after | what happens |
//! |---|---|
//! | 0 | each service is stopped as by TERM to its runsv, orphans get TERM |
//! | all services ended | orphans they left get TERM |
//! | SEC | `k` to each service that is left |
//! | + [`CLEAR`] | KILL to all that is neither runsv nor log service: what keeps a log pipe open is gone, so log services read to the end |
//! | + [`LAST`] | KILL to all that is left |
//!
//! No signal goes to a log service before the last moment: it ends when it has read everything.

use super::scan::Id;
use core::time::Duration;
use std::collections::BTreeSet;
use sys::clock::Instant;

/// A service that got `k` ends by itself, and its `control/k` and `finish` run.
pub(crate) const CLEAR: Duration = Duration::from_millis(200);
/// For log services to read what is left.
pub(crate) const LAST: Duration = Duration::from_millis(500);

/// What the world can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nobody looks after the service any more, it is down.
    Ended(Id),
    /// Time went by, and there is a child left or not.
    Children(bool),
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Stop the service, and what keeps it.
    Stop(Id),
    /// The same by force.
    Kill(Id),
    /// A signal to many.
    Sweep(Sweep),
    /// Nothing to do until an input or that time.
    Wait(Instant),
    /// The program ends with this code.
    Done(u8),
}

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// TERM to orphans and what they started.
    Orphans,
    /// KILL to all but runsv and log services.
    Services,
    /// KILL to all.
    All,
}

/// How far it has come. Each has been done when the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begun,
    Told,
    OrphansTold,
    Killed,
    Cleared,
    AllKilled,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stop {
    now: Instant,
    grace_ends: Instant,
    code: u8,
    /// Those that run.
    services: BTreeSet<Id>,
    /// Of these, those that are yet to be told in this step.
    untold: Vec<Id>,
    /// There are children: services' runsv, or orphans.
    children: bool,
    /// The orphans that the services left were told.
    last_orphans_told: bool,
    step: Step,
}

impl Stop {
    /// These services run and are to be stopped within `grace`, then the program ends with `code`.
    pub(crate) fn new(now: Instant, grace: Duration, code: u8, services: impl Iterator<Item = Id>) -> Self {
        let services: BTreeSet<Id> = services.collect();
        let untold = services.iter().copied().collect();
        let step = Step::Begun;
        Self { now, grace_ends: now + grace, code, services, untold, children: true, last_orphans_told: false, step }
    }

    /// Takes one input.
    pub(crate) fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Ended(id) => drop(self.services.remove(&id)),
            Input::Children(any) => self.children = any,
        }
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Output {
        while let Some(id) = self.untold.pop() {
            if self.services.contains(&id) {
                return if self.step < Step::Killed { Output::Stop(id) } else { Output::Kill(id) };
            }
        }
        if self.services.is_empty() {
            if !self.children {
                return Output::Done(self.code);
            }
            if self.step > Step::Told && !self.last_orphans_told {
                self.last_orphans_told = true;
                return Output::Sweep(Sweep::Orphans);
            }
        }
        let (at, next) = match self.step {
            Step::Begun => (self.now, Step::Told),
            Step::Told => (self.now, Step::OrphansTold),
            Step::OrphansTold => (self.grace_ends, Step::Killed),
            Step::Killed => (self.grace_ends + CLEAR, Step::Cleared),
            Step::Cleared => (self.grace_ends + CLEAR + LAST, Step::AllKilled),
            Step::AllKilled => (self.grace_ends + CLEAR + LAST + LAST, Step::AllKilled),
        };
        if at > self.now {
            return Output::Wait(at);
        }
        match (self.step, next) {
            // Not even KILL ends them: they wait for a device.
            (Step::AllKilled, _) => Output::Done(self.code),
            (_, Step::Begun | Step::Told) => {
                self.step = next;
                self.poll()
            }
            (_, Step::OrphansTold) => {
                self.step = next;
                self.last_orphans_told = self.services.is_empty();
                Output::Sweep(Sweep::Orphans)
            }
            (_, Step::Killed) => {
                self.step = next;
                self.untold = self.services.iter().copied().collect();
                self.poll()
            }
            (_, Step::Cleared) => {
                self.step = next;
                Output::Sweep(Sweep::Services)
            }
            (_, Step::AllKilled) => {
                self.step = next;
                Output::Sweep(Sweep::All)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Output::{Done, Kill, Wait};

    const START: Instant = Instant::from_secs(100);

    const fn id(ino: u64) -> Id {
        Id { dev: 1, ino }
    }

    fn at(ms: u64) -> Instant {
        START + Duration::from_millis(ms)
    }

    fn stop(services: impl IntoIterator<Item = u64>) -> Stop {
        Stop::new(START, Duration::from_secs(5), 0, services.into_iter().map(id))
    }

    /// All it wants at that time, up to the wait or the end.
    fn feed(stop: &mut Stop, ms: u64, input: Input) -> Vec<Output> {
        stop.handle(at(ms), input);
        let mut all = Vec::new();
        loop {
            all.push(stop.poll());
            assert!(all.len() < 20, "spins: {all:?}");
            if matches!(all.last(), Some(Wait(_) | Done(_))) {
                return all;
            }
        }
    }

    #[test]
    fn everybody_ends_when_told() {
        let mut it = stop([1, 2]);
        let told = [Output::Stop(id(2)), Output::Stop(id(1)), Output::Sweep(Sweep::Orphans), Wait(at(5000))];
        assert_eq!(feed(&mut it, 0, Input::Children(true)), told);
        assert_eq!(feed(&mut it, 10, Input::Ended(id(1))), [Wait(at(5000))]);
        // What they leave is told, too.
        assert_eq!(feed(&mut it, 20, Input::Ended(id(2))), [Output::Sweep(Sweep::Orphans), Wait(at(5000))]);
        assert_eq!(feed(&mut it, 30, Input::Children(false)), [Done(0)]);
    }

    #[test]
    fn who_does_not_end_is_ended_in_three_steps() {
        let mut it = stop([1, 2, 3]);
        feed(&mut it, 0, Input::Children(true));
        feed(&mut it, 10, Input::Ended(id(2)));
        assert_eq!(feed(&mut it, 4999, Input::Children(true)), [Wait(at(5000))]);
        assert_eq!(feed(&mut it, 5000, Input::Children(true)), [Kill(id(3)), Kill(id(1)), Wait(at(5200))]);
        assert_eq!(feed(&mut it, 5100, Input::Ended(id(1))), [Wait(at(5200))]);
        assert_eq!(feed(&mut it, 5200, Input::Children(true)), [Output::Sweep(Sweep::Services), Wait(at(5700))]);
        assert_eq!(feed(&mut it, 5700, Input::Children(true)), [Output::Sweep(Sweep::All), Wait(at(6200))]);
        assert_eq!(feed(&mut it, 6200, Input::Children(true)), [Done(0)]);
    }

    #[test]
    fn orphans_alone_get_all_the_time_there_is() {
        let mut it = stop([]);
        assert_eq!(feed(&mut it, 0, Input::Children(true)), [Output::Sweep(Sweep::Orphans), Wait(at(5000))]);
        assert_eq!(feed(&mut it, 5000, Input::Children(true)), [Wait(at(5200))]);
        assert_eq!(feed(&mut it, 5200, Input::Children(true)), [Output::Sweep(Sweep::Services), Wait(at(5700))]);
        assert_eq!(feed(&mut it, 5201, Input::Children(false)), [Done(0)]);
    }

    #[test]
    fn without_anybody_it_ends_at_once() {
        let mut it = stop([]);
        it.handle(at(0), Input::Children(false));
        assert_eq!(it.poll(), Done(0));
        let mut it = Stop::new(START, Duration::ZERO, 111, [id(1)].into_iter());
        let all = feed(&mut it, 0, Input::Children(true));
        assert_eq!(all.last(), Some(&Wait(at(200))));
        assert!(all.contains(&Output::Stop(id(1))) && all.contains(&Kill(id(1))));
        feed(&mut it, 10, Input::Ended(id(1)));
        assert_eq!(feed(&mut it, 20, Input::Children(false)), [Done(111)]);
    }
}
