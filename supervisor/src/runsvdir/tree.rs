#![expect(
    clippy::disallowed_methods,
    reason = "driver: joins the machine of runsvdir to the directory and the keepers"
)]
//! The machine of [`super::scan`] joined to the world: the directory, and those who look after the services in it.

use super::directory::{Directory, News};
use super::keepers::Keepers;
use super::scan::{Input, Kept, Output, Scan};
use super::stop::{self, Stop};
use core::time::Duration;
use std::os::fd::BorrowedFd;
use std::path::Path;
use sys::clock::{self, Instant};
use sys::msg::{Dec, Level, say};
use sys::spawn;

/// See the module.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    scan: Scan,
    /// `-g`
    grace: Option<Duration>,
    /// It was told to end, and everything is being stopped.
    stop: Option<Stop>,
    /// What the machine waits for; none when it is to be asked, which costs a look at each service.
    rest: Option<Rest>,
    directory: Directory<'a>,
    keepers: Keepers<'a>,
    program: &'a [u8],
}

/// What there is to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Events, or this moment.
    Until(Option<Instant>),
    /// Nothing: the exit code.
    Done(u8),
}

/// Exit code after HUP.
pub(crate) const HUNG_UP: u8 = 111;

impl<'a> Tree<'a> {
    /// Nothing is looked at before the first [`Self::settle`].
    pub(crate) fn new(path: &'a Path, keepers: Keepers<'a>, grace: Option<Duration>, program: &'a [u8]) -> Self {
        let scan = Scan::new(clock::monotonic());
        let directory = Directory::new(path, program);
        Self { scan, grace, stop: None, rest: None, directory, keepers, program }
    }

    /// Becomes readable when there is [news](Self::news) of the directory.
    pub(crate) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.directory.watch()
    }

    /// Becomes readable when the keepers have something to do.
    pub(crate) fn keepers(&self) -> [BorrowedFd<'_>; 2] {
        self.keepers.ready()
    }

    /// The program is to end, with `input` or, if everything is to be stopped first, with `code`.
    pub(crate) fn leave(&mut self, input: Input, code: u8) {
        let now = clock::monotonic();
        match (self.grace, &self.stop) {
            (None, _) => {
                self.scan.handle(now, input);
                self.rest = None;
            }
            (Some(grace), None) => self.stop = Some(Stop::new(now, grace, code, self.scan.kept())),
            // It is on its way.
            (Some(_), Some(_)) => {}
        }
    }

    /// What the watches tell.
    pub(crate) fn news(&mut self) {
        let Self { scan, directory, rest, .. } = self;
        let now = clock::monotonic();
        directory.news(|news| {
            *rest = None;
            scan.handle(
                now,
                match news {
                    News::Changed => Input::Changed,
                    News::Stirred(id) => Input::Stirred(id),
                },
            );
        });
    }

    /// Lets the keepers work; `child`: a child has ended.
    pub(crate) fn turn(&mut self, child: bool) {
        let Self { scan, stop, keepers, rest, .. } = self;
        let now = clock::monotonic();
        keepers.turn(child, |id| match stop {
            Some(stop) => stop.handle(now, stop::Input::Ended(id)),
            None => {
                *rest = None;
                scan.handle(now, Input::Ended(id));
            }
        });
    }

    /// Does what is to be done, up to the next wait.
    pub(crate) fn settle(&mut self) -> Rest {
        let now = clock::monotonic();
        if let Some(stop) = &mut self.stop {
            return end(stop, &mut self.keepers, now);
        }
        let rest = match self.rest {
            Some(rest @ (Rest::Until(None) | Rest::Done(_))) => rest,
            Some(rest @ Rest::Until(Some(at))) if at > now => rest,
            Some(Rest::Until(Some(_))) | None => {
                let rest = self.act();
                self.keepers.pause();
                rest
            }
        };
        self.rest = Some(rest);
        let keepers = self.keepers.deadline();
        match rest {
            Rest::Until(at) => Rest::Until([at, keepers].into_iter().flatten().min()),
            // Those who were told to stop still have to.
            Rest::Done(HUNG_UP) if !self.keepers.outlive() => Rest::Until(keepers),
            Rest::Done(code) => Rest::Done(code),
        }
    }

    /// Until the machine has nothing more to ask for.
    fn act(&mut self) -> Rest {
        let mut input = Some(Input::Time);
        loop {
            if let Some(input) = input.take() {
                self.scan.handle(clock::monotonic(), input);
            }
            input = match self.scan.poll() {
                Output::Scan => Some(Input::Scanned(self.directory.scan())),
                Output::Look(id, name) => Some(Input::Looked(id, self.directory.complete(name))),
                Output::Start(id, name) => {
                    let kept = self.directory.dir().map_or(Kept::Not, |dir| self.keepers.start(dir, id, name));
                    Some(Input::Started(id, kept))
                }
                Output::Stop(id) => {
                    self.keepers.stop(id);
                    None
                }
                Output::Waits(name, old) => {
                    let what = b": directory replaced, waiting for the old runsv to end";
                    let pid = self.keepers.pid(old).map(|pid| Dec::new(u64::from(pid.as_raw().cast_unsigned())));
                    let tail: [&[u8]; 2] = pid.as_ref().map_or([b"", b""], |pid| [b", pid ", pid.as_bytes()]);
                    say(self.program, Level::Warning, &[name.to_bytes(), what, tail[0], tail[1]], None);
                    None
                }
                Output::Lacks(name) => {
                    say(self.program, Level::Warning, &[name.to_bytes(), b": no ./run yet, not started"], None);
                    None
                }
                Output::Locked(name) => {
                    let what = b": supervise/lock is held by another process, not started";
                    say(self.program, Level::Warning, &[name.to_bytes(), what], None);
                    None
                }
                Output::Wait(deadline) => match self.directory.watch_young(self.scan.young()) {
                    // What cannot be watched is started as it is.
                    Some(id) => Some(Input::Looked(id, true)),
                    None => return Rest::Until(deadline),
                },
                Output::Done(code) => return Rest::Done(code),
            };
        }
    }
}

/// Goes on with the end, up to the next wait.
fn end(stop: &mut Stop, keepers: &mut Keepers<'_>, now: Instant) -> Rest {
    stop.handle(now, stop::Input::Children(spawn::any_child()));
    loop {
        match stop.poll() {
            stop::Output::Stop(id) => keepers.stop(id),
            stop::Output::Kill(id) => keepers.kill(id),
            stop::Output::Sweep(who) => keepers.sweep(who),
            stop::Output::Wait(at) => return Rest::Until([Some(at), keepers.deadline()].into_iter().flatten().min()),
            stop::Output::Done(code) => return Rest::Done(code),
        }
    }
}
