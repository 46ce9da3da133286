//! Waiting for what was sent to come true: by the change of `supervise/status` and `history` (inotify), by the end of runsv (the last
//! reader of `supervise/ok` is gone), by the end of `./check`, and by one deadline.
//!
//! Where inotify is refused (no instance or watch left) or descriptors run short, the services concerned are looked at every
//! 420 ms, as runit does for all.
#![expect(clippy::disallowed_methods, reason = "driver: waits")]

use super::command::{Late, Order};
use super::goal::{ASK_AGAIN, Availability, Next, Seen, Waiting};
use super::look;
use super::place::Place;
use super::report::{Report, Trouble, Whose};
use crate::history::Readiness;
use crate::service;
use crate::status::Status;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::clock::{Instant, monotonic, wall};
use sys::errtext::errtext;
use sys::file::{CWD, exists};
use sys::poll::{PollFd, PollFlags, readable, wait};
use sys::signal::{Signal, Signals, kill};
use sys::spawn::{Spawn, reap};
use sys::watch::{Change, Interest, Mark, Watch};
use sys::{Errno, Pid, msg};

/// Most runsv whose end is watched by an open descriptor; others are looked at every 420 ms.
const MAX_HELD: usize = 512;

/// Descriptors shared by all services of one `sv`.
pub(crate) struct Waiter<'a> {
    watch: Option<Watch>,
    signals: Option<Signals>,
    dev_null: Option<OwnedFd>,
    targets: Vec<Target<'a>>,
}

/// A service waited for.
struct Target<'a> {
    name: &'a [u8],
    place: Place,
    waiting: Waiting,
    alive: Option<OwnedFd>,
    mark: Option<Mark>,
    /// For `exit`: where the reader of `supervise/ok` is seen to leave even if the next one comes before we look.
    leaving: Option<Mark>,
    check: Option<Pid>,
    last: Status,
    ready: Readiness,
    changed: bool,
    again: Option<Instant>,
}

impl<'a> Waiter<'a> {
    pub(crate) fn new() -> Self {
        Self { watch: Watch::new().ok(), signals: None, dev_null: None, targets: Vec::new() }
    }

    /// Sends `order` and adds the service to those waited for. What is wrong is reported at once.
    #[inline(never)] // so that `status` needs none of its stack
    pub(crate) fn send(&mut self, name: &'a [u8], mut place: Place, order: Order, report: &mut Report) {
        // Watched before the first look, so that no change falls in between.
        let mark = self.watch.as_ref().and_then(|w| w.add(place.file(service::SUPERVISE), Interest::Content).ok());
        let leaving = match &self.watch {
            Some(w) if order.ends_runsv() => w.add(place.file(service::OK), Interest::ReaderLeft).ok(),
            Some(_) | None => None,
        };
        let alive = match look::alive(&mut place) {
            Ok(fd) => fd,
            Err(trouble) => return failed(name, &order, trouble, report),
        };
        let before = match look::status(&mut place) {
            Ok(status) => status,
            Err(trouble) => return failed(name, &order, trouble, report),
        };
        if !order.send.is_empty()
            && let Err(trouble) = look::send(&mut place, order.send)
        {
            return failed(name, &order, trouble, report);
        }
        self.targets.push(Target {
            name,
            place,
            waiting: Waiting::new(order, before),
            alive: (self.targets.len() < MAX_HELD).then_some(alive),
            mark,
            leaving,
            check: None,
            last: before,
            ready: Readiness::Untold,
            changed: true,
            again: None,
        });
    }

    /// Returns when every service has reached its goal or failed to, `deadline` at the latest.
    #[inline(never)] // so that `status` needs none of its stack
    pub(crate) fn run(mut self, deadline: Instant, report: &mut Report) {
        loop {
            let now = monotonic();
            let mut targets = core::mem::take(&mut self.targets);
            targets.retain_mut(|t| !self.advance(t, now, report));
            self.targets = targets;
            report.flush();
            if self.targets.is_empty() {
                return;
            }
            if now >= deadline {
                self.targets.iter_mut().for_each(|t| t.late(report));
                return report.flush();
            }
            self.pause(now, deadline);
        }
    }

    /// Moves one service on; whether it is done with.
    fn advance(&mut self, t: &mut Target<'a>, now: Instant, report: &mut Report) -> bool {
        if core::mem::take(&mut t.changed)
            && let Err(trouble) = t.look(now)
        {
            failed(t.name, t.waiting.order(), trouble, report);
            return true;
        }
        loop {
            match t.waiting.poll(now) {
                Next::Wait(until) => {
                    t.again = until;
                    return false;
                }
                Next::Ask => {
                    if let Some(answer) = self.start_check(t) {
                        t.waiting.handle(now, Seen::Checked(answer));
                    }
                }
                Next::Lost => {
                    failed(t.name, t.waiting.order(), Trouble::NotRunning, report);
                    return true;
                }
                Next::Reached if t.waiting.order().ends_runsv() => {
                    report.ended(t.name);
                    return true;
                }
                Next::Reached => {
                    report.put(b"ok: ");
                    t.unit(report);
                    return true;
                }
            }
        }
    }

    /// Starts `./check`; the answer if it is known without. runit takes one that cannot be executed for a yes.
    fn start_check(&mut self, t: &mut Target<'_>) -> Option<Availability> {
        match exists(CWD, t.place.file(service::CHECK)) {
            Ok(true) => {}
            Ok(false) => return Some(Availability::Yes),
            Err(e) => {
                warn(b"unable to stat ", t.name, e);
                return Some(Availability::No);
            }
        }
        match self.spawn_check(t) {
            Ok(pid) => {
                t.check = Some(pid);
                None
            }
            Err(e @ (Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE)) => {
                warn(b"unable to fork for ", t.name, e);
                Some(Availability::No)
            }
            Err(e) => {
                warn(b"unable to run ", t.name, e);
                Some(Availability::Yes)
            }
        }
    }

    /// What the script prints is nobody's; runit closes its standard output instead, and its next file becomes that.
    fn spawn_check(&mut self, t: &Target<'_>) -> Result<Pid, Errno> {
        if self.signals.is_none() {
            self.signals = Some(Signals::take(&[Signal::SIGCHLD])?);
        }
        if self.dev_null.is_none() {
            self.dev_null = Some(sys::file::open_write(CWD, c"/dev/null")?);
        }
        let dir = CString::new(t.place.dir()).map_err(|_| Errno::EINVAL)?;
        let args = [service::CHECK];
        // runit executes `check` as `./check`: a script sees the former as $0.
        let spawn = Spawn::new(c"check", &args).dir(&dir);
        match &self.dev_null {
            Some(null) => spawn.stdout(null.as_fd()).start(),
            None => spawn.start(),
        }
    }

    /// Waits for the next event and notes whom it concerns.
    fn pause(&mut self, now: Instant, deadline: Instant) {
        let mut until = self.targets.iter().filter_map(|t| t.again).fold(deadline, Instant::min);
        if self.targets.iter().any(Target::needs_looking) {
            until = until.min(now + ASK_AGAIN);
        }
        let mut fds = Vec::with_capacity(self.targets.len() + 2);
        fds.extend(self.watch.as_ref().map(|w| PollFd::new(w.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.signals.as_ref().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        let shared = fds.len();
        fds.extend(
            self.targets.iter().filter_map(|t| t.alive.as_ref()).map(|fd| PollFd::new(fd.as_fd(), PollFlags::empty())),
        );
        let _ = wait(&mut fds, now, Some(until));
        let dead: Vec<bool> = fds[shared..].iter().map(readable).collect();
        drop(fds);
        let now = monotonic();
        for (t, dead) in self.targets.iter_mut().filter(|t| t.alive.is_some()).zip(dead) {
            if dead {
                t.runsv_ended(now);
            }
        }
        for t in &mut self.targets {
            t.changed |= t.needs_looking();
        }
        self.collect_changes(now);
        self.collect_checks(now);
    }

    fn collect_changes(&mut self, now: Instant) {
        let Some(watch) = &self.watch else { return };
        watch.changes(|mark, change| match change {
            Change::Came(name) if name == OsStr::from_bytes(STATUS_NAME) || name == OsStr::from_bytes(HISTORY_NAME) => {
                self.targets.iter_mut().filter(|t| t.mark == Some(mark)).for_each(|t| t.changed = true);
            }
            Change::Itself => {
                self.targets.iter_mut().filter(|t| t.leaving == Some(mark)).for_each(|t| t.runsv_ended(now));
            }
            Change::Came(_) | Change::Made(_) | Change::Went(_) => {}
            Change::Overflow => self.targets.iter_mut().for_each(|t| t.changed = true),
        });
    }

    fn collect_checks(&mut self, now: Instant) {
        let Some(signals) = &self.signals else { return };
        while signals.next().is_some() {}
        while let Some((pid, status)) = reap() {
            let answer = if status.code() == Some(0) { Availability::Yes } else { Availability::No };
            for t in self.targets.iter_mut().filter(|t| t.check == Some(pid)) {
                t.check = None;
                t.waiting.handle(now, Seen::Checked(answer));
            }
        }
    }
}

/// Replaced by rename for every change: the state, and when a run says that it is ready.
const STATUS_NAME: &[u8] = b"status";
const HISTORY_NAME: &[u8] = b"history";

impl Target<'_> {
    fn look(&mut self, now: Instant) -> Result<(), Trouble> {
        match look::alive(&mut self.place) {
            Ok(fd) if self.alive.is_none() && self.mark.is_some() => self.alive = Some(fd),
            Ok(_) => {}
            Err(Trouble::NotRunning) => {
                self.waiting.handle(now, Seen::Gone);
                return Ok(());
            }
            Err(trouble) => return Err(trouble),
        }
        self.last = look::status(&mut self.place)?;
        self.ready = look::readiness(&mut self.place, &self.last);
        self.waiting.handle(now, Seen::Status(self.last, self.ready));
        Ok(())
    }

    /// Whether there is no event for it.
    fn needs_looking(&self) -> bool {
        self.mark.is_none() || self.alive.is_none()
    }

    /// The runsv that was told has ended. For `exit` that is all; otherwise another one may be there already.
    fn runsv_ended(&mut self, now: Instant) {
        self.alive = None;
        self.changed = !self.waiting.order().ends_runsv();
        if !self.changed {
            self.waiting.handle(now, Seen::Gone);
        }
    }

    fn late(&mut self, report: &mut Report) {
        if let Some(pid) = self.check {
            let _ = kill(pid, Signal::SIGTERM);
        }
        report.late();
        report.put(match self.waiting.order().late {
            Late::Timeout => b"timeout: ",
            Late::Kill => b"kill: ",
        });
        self.last = look::status(&mut self.place).unwrap_or(self.last);
        self.ready = look::readiness(&mut self.place, &self.last);
        self.unit(report);
        match self.waiting.order().late {
            Late::Timeout => {}
            Late::Kill => {
                if let Err(trouble) = look::send(&mut self.place, b"k") {
                    failed(self.name, self.waiting.order(), trouble, report);
                }
            }
        }
    }

    fn unit(&mut self, report: &mut Report) {
        let normally = look::normally(&mut self.place, self.name);
        report.unit(self.name, &self.last, normally, self.ready, wall());
        report.put(b"\n");
    }
}

/// A line for what went wrong; that no runsv is there is what `exit` is for.
pub(crate) fn failed(name: &[u8], order: &Order, trouble: Trouble, report: &mut Report) {
    if trouble == Trouble::NotRunning && order.ends_runsv() {
        return report.ended(name);
    }
    report.trouble(name, Whose::Service, trouble);
    report.put(b"\n");
}

fn warn(what: &[u8], name: &[u8], why: Errno) {
    msg::eprint(&[b"warning: ", what, name, b"/check: ", errtext(why).as_bytes(), b"\n"]);
}
