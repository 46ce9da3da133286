//! A world for the machine to live in: it starts every child it is asked for, keeps the clock, and checks at every step what
//! must always hold. Tests tell it which scripts exist, when children end and what comes through the fifos.

mod checks;

use super::super::command::Script;
use super::super::policy::Policy;
use super::super::service::{Kind, Legacy, Moment, NO_FORK, Record, Refused, Remains, Service, Start, Target};
use super::{Input, Output, Pair, Which};
use crate::status::Want;
use core::time::Duration;
use sys::Pid;
use sys::clock::{Instant, Tai64n, Wall};
use sys::signal::Signal;
use sys::spawn;

/// A living child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) which: Which,
    pub(super) start: Start,
}

pub(super) struct World {
    pub(super) pair: Pair,
    has_log: bool,
    pub(super) now: Instant,
    /// Seconds the wall clock was set forward.
    pub(super) warp: i64,
    next_pid: i32,
    /// Letters of the scripts there are.
    pub(super) scripts: Vec<u8>,
    pub(super) has_finish: bool,
    /// Answers to the next starts instead of a child.
    pub(super) refusals: Vec<Refused>,
    pub(super) children: Vec<Child>,
    /// What the directories say, main and log.
    pub(super) policy: [Policy; 2],
    /// What they said when the run was started.
    current: [Policy; 2],
    /// Whether what a run leaves behind takes its time to go.
    pub(super) lingers: bool,
    /// Members of a run's group other than the run, from its start to when they are known to be gone.
    followers: [Followers; 2],
    /// Last written, main and log.
    pub(super) written: [Record; 2],
    pub(super) deadline: Option<Instant>,
    pub(super) reason: &'static str,
    pub(super) pipe_closed: bool,
    pub(super) done: bool,
    /// Per service: the last start of `run`, and whether a `u` or `o` came since.
    last_run: [Option<Instant>; 2],
    asked: [bool; 2],
    /// Runs in a row that ended early, unready and untold.
    quick: [u32; 2],
    /// TERM was sent to the run, then; KILL was.
    term: [Option<Instant>; 2],
    kill: [bool; 2],
    /// The run said that it is ready.
    ready: [bool; 2],
    /// Was told `x` or TERM.
    leaving: bool,
    /// A death of the main `run` whose `finish` has not been asked for.
    unfinished: Option<spawn::Status>,
    trace: Vec<String>,
    /// Nobody reads what is told.
    pub(super) quiet: bool,
}

const fn index(which: Which) -> usize {
    match which {
        Which::Main => 0,
        Which::Log => 1,
    }
}

/// What a run started besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followers {
    None,
    Alive,
    /// They were sent KILL; the moment tells when the machine was told to see to it.
    Killed,
    /// As before, and the machine waits to be told that they are gone.
    Going(Instant),
}

impl World {
    pub(super) fn new(main: Want, log: Option<Want>) -> Self {
        let now = Instant::from_secs(100);
        let mut world = Self {
            pair: Pair::new(
                Service::new(Kind::Main, main, moment(now, 0)),
                log.map(|want| Service::new(Kind::Log, want, moment(now, 0))),
            ),
            has_log: log.is_some(),
            now,
            warp: 0,
            next_pid: 1000,
            scripts: Vec::new(),
            has_finish: false,
            refusals: Vec::new(),
            children: Vec::new(),
            policy: [Policy::default(); 2],
            current: [Policy::default(); 2],
            lingers: false,
            followers: [Followers::None; 2],
            written: [Record::default(); 2],
            deadline: None,
            reason: "",
            pipe_closed: false,
            done: false,
            last_run: [None; 2],
            asked: [false; 2],
            quick: [0; 2],
            term: [None; 2],
            kill: [false; 2],
            ready: [false; 2],
            leaving: false,
            unfinished: None,
            trace: Vec::new(),
            quiet: false,
        };
        world.write();
        world
    }

    /// Wanted up, without log, started.
    pub(super) fn up() -> Self {
        let mut world = Self::new(Want::Up, None);
        assert_eq!(world.pass(0), "run");
        world
    }

    /// With these scripts in `control/`; `control/u` makes the first start wait.
    pub(super) fn with_scripts(letters: &[u8]) -> Self {
        let mut world = Self::new(Want::Up, None);
        world.scripts = letters.to_vec();
        world.pass(0);
        world
    }

    /// Bytes in the main service's fifo.
    pub(super) fn send(&mut self, bytes: &str) -> String {
        self.control(Which::Main, bytes)
    }

    /// Bytes in a fifo; returns what they led to.
    pub(super) fn control(&mut self, which: Which, bytes: &str) -> String {
        for byte in bytes.bytes() {
            if byte == b'u' || byte == b'o' {
                self.asked[index(which)] = true;
                self.quick[index(which)] = 0;
            }
            self.leaving |= (which, byte) == (Which::Main, b'x');
            self.feed(Input::Control(which, byte));
        }
        self.told()
    }

    pub(super) fn terminate(&mut self) -> String {
        self.leaving = true;
        self.feed(Input::Terminate);
        self.told()
    }

    /// Milliseconds go by; returns what happened.
    pub(super) fn pass(&mut self, ms: u64) -> String {
        self.now = self.now + Duration::from_millis(ms);
        self.feed(Input::Time);
        self.told()
    }

    /// The only child `which` matches ends.
    pub(super) fn end(&mut self, which: Which, what: &str, status: spawn::Status) -> String {
        let mut found = self.children.iter().copied().filter(|c| c.which == which && name(c.start).starts_with(what));
        let Some(child) = found.next() else { panic!("no {what} among {:?}", self.children) };
        assert_eq!(found.next(), None);
        self.exit(child, status);
        self.told()
    }

    /// `run` of the main service exits 0, or `finish` does, or a script.
    pub(super) fn ends(&mut self, what: &str) -> String {
        self.end(Which::Main, what, spawn::Status::exited(0))
    }

    /// The run of `which` writes a line end to its descriptor.
    pub(super) fn notify(&mut self, which: Which) -> String {
        self.ready[index(which)] |= self.running(which) && self.current[index(which)].notifies;
        self.feed(Input::Ready(which));
        self.told()
    }

    /// What a run left behind is gone now.
    pub(super) fn followers_go(&mut self, which: Which) -> String {
        if let Followers::Going(_) = self.followers[index(which)] {
            self.followers[index(which)] = Followers::None;
            self.feed(Input::Cleared(which));
        }
        self.told()
    }

    pub(super) fn exit(&mut self, child: Child, status: spawn::Status) {
        self.feed(Input::Dead(child.pid));
        self.children.retain(|c| *c != child);
        if child.start == Start::Run {
            self.judge(child.which);
            assert_ne!(self.followers[index(child.which)], Followers::Alive, "left alive by {child:?}");
        }
        if (child.which, child.start) == (Which::Main, Start::Run) {
            assert_eq!(self.unfinished, None);
            self.unfinished = Some(status);
        }
        self.feed(Input::Exited(child.pid, status));
    }

    /// The supervisor is killed, and another finds what is left; children that `die` have ended in between.
    pub(super) fn crash(&mut self, die: impl Fn(&Child) -> bool) -> String {
        // Scripts are on their own.
        self.children.retain(|c| !matches!(c.start, Start::Script(..)));
        let [main, log] = [Which::Main, Which::Log].map(|which| self.legacy(which, &die));
        self.children.retain(|c| !die(c));
        let now = self.moment();
        let log = self.has_log.then(|| Service::adopt(Kind::Log, &log, now));
        self.pair = Pair::new(Service::adopt(Kind::Main, &main, now), log);
        self.feed(Input::Time);
        self.told()
    }

    /// As the driver finds it.
    fn legacy(&mut self, which: Which, die: impl Fn(&Child) -> bool) -> Legacy {
        let at = index(which);
        let Record { status, history } = self.written[at];
        let started = Moment { mono: self.last_run[at].unwrap_or(self.now), label: status.since };
        let owed = (which == Which::Main && self.unfinished.is_some()) || self.followers[at] != Followers::None;
        let child = self.children.iter().find(|c| c.which == which);
        let remains = match child.map(|c| (c.start, c.pid, die(c))) {
            Some((Start::Run, pid, false)) => {
                Remains::Run { pid, started, paused: status.paused, got_term: status.got_term }
            }
            Some((Start::Run, _, true)) => Remains::Ended { started },
            Some((Start::Finish(_), pid, false)) => Remains::Finish { pid, started },
            None if owed => Remains::Ended { started },
            Some((Start::Finish(_) | Start::Script(..), ..)) | None => Remains::Nothing,
        };
        self.asked[at] = false;
        self.quick[at] = 0;
        self.kill[at] = false;
        self.term[at] = None;
        match remains {
            // The delay is not known any more.
            Remains::Nothing => self.last_run[at] = None,
            Remains::Run { got_term, .. } => self.term[at] = got_term.then_some(self.now),
            Remains::Ended { .. } => {
                self.ready[at] = false;
                self.followers[at] = if self.current[at].group { Followers::Killed } else { Followers::None };
                if which == Which::Main {
                    self.unfinished = Some(spawn::Status::UNKNOWN);
                }
            }
            Remains::Finish { .. } => {}
        }
        Legacy { want: status.want, history, policy: self.current[at], remains }
    }

    pub(super) fn stat(&self) -> String {
        String::from_utf8(self.written[0].status.text().as_bytes().to_vec()).unwrap().trim_end().to_owned()
    }

    pub(super) fn running(&self, which: Which) -> bool {
        self.children.iter().any(|c| c.which == which && c.start == Start::Run)
    }

    /// How long until the machine wants to be woken, in milliseconds.
    pub(super) fn waits(&self) -> Option<u128> {
        self.deadline.map(|at| at.since(self.now).as_millis())
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if !self.quiet {
            self.trace.push(what());
        }
    }

    fn told(&mut self) -> String {
        core::mem::take(&mut self.trace).join(" ")
    }

    fn feed(&mut self, input: Input) {
        self.pair.handle(self.moment(), input);
        for step in 0.. {
            assert!(step < 100, "spins");
            match self.pair.poll() {
                Output::Start(which, start) => {
                    let result = self.start(which, start);
                    self.pair.handle(self.moment(), Input::Started(which, start, result));
                }
                Output::Signal(target, signal) => self.signal(target, signal),
                Output::Clear(which) => {
                    assert!(!self.running(which));
                    let followers = &mut self.followers[index(which)];
                    assert!(matches!(followers, Followers::Killed), "{followers:?} are to be cleared");
                    if self.lingers {
                        *followers = Followers::Going(self.now);
                    } else {
                        *followers = Followers::None;
                        self.pair.handle(self.moment(), Input::Cleared(which));
                    }
                }
                Output::ClosePipe => {
                    assert!(!self.pipe_closed);
                    self.pipe_closed = true;
                    self.tell(|| "close".to_owned());
                }
                Output::Wait(deadline, reason) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "{reason} is over");
                    (self.deadline, self.reason) = (deadline, reason);
                    self.check_limits();
                    break;
                }
                Output::Done => {
                    assert_eq!(self.children, [], "left behind");
                    if !self.done {
                        self.tell(|| "done".to_owned());
                    }
                    self.done = true;
                    break;
                }
            }
        }
        self.write();
        self.check_status();
    }

    fn start(&mut self, which: Which, start: Start) -> Result<Pid, Refused> {
        assert!(!self.done && !self.pipe_closed, "{start:?} after the end");
        let prefix = if which == Which::Log { "log " } else { "" };
        match start {
            Start::Run => {
                self.check_run(which);
                self.current[index(which)] = self.policy[index(which)];
                self.pair.handle(self.moment(), Input::Policy(which, self.policy[index(which)]));
            }
            Start::Finish(status) => {
                assert_eq!((which, self.unfinished), (Which::Main, Some(status)));
                assert!(!self.running(which) && !self.finishing());
                self.check_followers(which);
                if !self.has_finish {
                    self.unfinished = None;
                    return Err(Refused::Absent);
                }
            }
            Start::Script(script, pid) => {
                assert_eq!(which, Which::Main, "log/control is not used");
                assert!(pid.as_raw() == 0 || self.children.iter().any(|c| c.pid == pid && c.start == Start::Run));
                if !self.scripts.contains(&letter(script)) {
                    return Err(Refused::Absent);
                }
            }
        }
        let refusal = self.refusals.pop();
        self.tell(|| {
            let shown = format!("{prefix}{}", name(start));
            refusal.map_or_else(|| shown.clone(), |r| format!("{shown}:{r:?}"))
        });
        match (start, refusal) {
            (Start::Run, None | Some(Refused::Broken | Refused::Absent)) => {
                self.last_run[index(which)] = Some(self.now);
                if core::mem::take(&mut self.asked[index(which)]) {
                    self.quick[index(which)] = 0;
                }
                self.term[index(which)] = None;
                self.kill[index(which)] = false;
                self.ready[index(which)] = false;
                // A run that could not be executed had no time to start anybody, but nobody can tell.
                let group = self.current[index(which)].group;
                self.followers[index(which)] = match refusal {
                    None if group => Followers::Alive,
                    Some(_) if group => Followers::Killed,
                    None | Some(_) => Followers::None,
                };
                if refusal.is_some() {
                    self.judge(which);
                    if which == Which::Main {
                        self.unfinished = Some(spawn::Status::exited(111));
                    }
                }
            }
            (Start::Run, Some(Refused::NoRoom)) | (Start::Script(..), _) => {}
            (Start::Finish(_), Some(Refused::NoRoom)) => {}
            (Start::Finish(_), None | Some(Refused::Broken | Refused::Absent)) => self.unfinished = None,
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None => {
                let pid = Pid::from_raw(self.next_pid);
                self.next_pid += 1;
                self.children.push(Child { pid, which, start });
                Ok(pid)
            }
        }
    }

    fn moment(&self) -> Moment {
        moment(self.now, self.warp)
    }

    fn finishing(&self) -> bool {
        self.children.iter().any(|c| matches!(c.start, Start::Finish(_)))
    }

    fn signal(&mut self, target: Target, signal: Signal) {
        let (pid, group) = match target {
            Target::Process(pid) => (pid, false),
            Target::Group(pid) => (pid, true),
        };
        let child = self.children.iter().find(|c| c.pid == pid);
        assert_eq!(child.map(|c| c.start), Some(Start::Run), "{signal} goes to {pid}");
        let which = child.map_or(Which::Main, |c| c.which);
        assert_eq!(group, self.current[index(which)].group);
        if signal == Signal::SIGTERM {
            self.term[index(which)].get_or_insert(self.now);
        }
        if signal == Signal::SIGKILL {
            self.kill[index(which)] = true;
            if group {
                self.followers[index(which)] = Followers::Killed;
            }
        }
        let prefix = if which == Which::Log { "log " } else { "" };
        self.tell(|| format!("{prefix}{}", &signal.as_str()[3..]));
    }

    /// A run ends.
    fn judge(&mut self, which: Which) {
        let lived = self.last_run[index(which)].map_or(Duration::ZERO, |start| self.now.since(start));
        if self.ready[index(which)] || lived >= self.current[index(which)].delay_max {
            self.quick[index(which)] = 0;
        } else if self.term[index(which)].is_none() {
            self.quick[index(which)] += 1;
        }
    }

    fn write(&mut self) {
        for which in [Which::Main, Which::Log] {
            if let Some(record) = self.pair.unwritten(which) {
                self.written[index(which)] = record;
            }
        }
    }
}

/// The most a deadline can be away.
pub(super) const LONGEST_WAIT: Duration = NO_FORK;

fn letter(script: Script) -> u8 {
    script.path().to_bytes().last().copied().unwrap()
}

fn name(start: Start) -> String {
    match start {
        Start::Run => "run".to_owned(),
        Start::Finish(s) => format!("finish({} {})", s.code().map_or(-1, i32::from), s.low_byte()),
        Start::Script(script, _) => script.path().to_str().unwrap().to_owned(),
    }
}

/// The label follows the clock, so that tests can compare them.
fn moment(mono: Instant, warp: i64) -> Moment {
    let secs = i64::try_from(mono.as_nanos() / 1_000_000_000).unwrap() + warp;
    Moment { mono, label: Tai64n::from(Wall { secs, nanos: u32::try_from(mono.as_nanos() % 1_000_000_000).unwrap() }) }
}
