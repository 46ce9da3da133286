#![expect(
    clippy::disallowed_methods,
    reason = "driver: joins the machine of runsvdir to the directory and the keepers"
)]
//! The machine of [`super::scan`] joined to the world: the directory, and those who look after the services in it.

use super::directory::{Directory, News};
use super::keepers::Keepers;
use super::scan::{Input, Kept, Output, Scan};
use std::os::fd::BorrowedFd;
use std::path::Path;
use sys::clock::{self, Instant};
use sys::msg::{Dec, Level, say};

/// See the module.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    scan: Scan,
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
const HUNG_UP: u8 = 111;

impl<'a> Tree<'a> {
    /// Nothing is looked at before the first [`Self::settle`].
    pub(crate) fn new(path: &'a Path, keepers: Keepers<'a>, program: &'a [u8]) -> Self {
        let scan = Scan::new(clock::monotonic());
        Self { scan, rest: None, directory: Directory::new(path, program), keepers, program }
    }

    /// Becomes readable when there is [news](Self::news) of the directory.
    pub(crate) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.directory.watch()
    }

    /// Becomes readable when the keepers have something to do.
    pub(crate) fn keepers(&self) -> [BorrowedFd<'_>; 2] {
        self.keepers.ready()
    }

    /// A signal.
    pub(crate) fn tell(&mut self, input: Input) {
        self.scan.handle(clock::monotonic(), input);
        self.rest = None;
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
        let Self { scan, keepers, rest, .. } = self;
        let now = clock::monotonic();
        keepers.turn(child, |id| {
            *rest = None;
            scan.handle(now, Input::Ended(id));
        });
    }

    /// Does what is to be done, up to the next wait.
    pub(crate) fn settle(&mut self) -> Rest {
        let now = clock::monotonic();
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
