//! One supervised process: `./run`, after its death `./finish`, and the scripts of `control/` around them.
//!
//! The main service and its log service are both this machine. It owns nothing: the driver starts what [`Service::poll`]
//! asks for, says how that went, and reports deaths. Delays are deadlines and scripts are children, so a command is taken at
//! any time, in any state.
//!
//! Every stretch of a service's life is one [`State`]; `Starting` and `Ended` are asked again until the driver has answered.

mod children;
mod commands;
mod legacy;

pub(crate) use legacy::{Legacy, Remains};

use super::command::{Command, Pass, Script};
use super::policy::Policy;
use super::ring::Ring;
use crate::history::{Exit, History};
use crate::status::{self, Status, Want};
use core::time::Duration;
use sys::Pid;
use sys::clock::{Instant, Tai64n};
use sys::signal::Signal;
use sys::spawn;

/// Least time between two starts of `./run`, unless somebody asks for one (runit: `sleep(1)`).
pub(crate) const THROTTLE: Duration = Duration::from_secs(1);
/// Time until another start goes ahead although what a run left behind has been killed and is still there: it hangs in the
/// kernel, and nobody can help that.
pub(crate) const CLEAR_LIMIT: Duration = Duration::from_secs(5);
/// Time until another try when the system has no room for a process (runit's).
pub(crate) const NO_FORK: Duration = Duration::from_secs(5);

/// The time of an event: on the clock of delays, and as written into `supervise/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// CLOCK_MONOTONIC.
    pub(crate) mono: Instant,
    /// Wall clock.
    pub(crate) label: Tai64n,
}

/// A child to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// `./run`
    Run,
    /// `./finish CODE STATUS`, if there is one.
    Finish(spawn::Status),
    /// `control/C PID`, if there is one; PID is the service's, 0 when it does not run.
    Script(Script, Pid),
}

/// Why there is no child now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such script.
    Absent,
    /// The file cannot be executed.
    Broken,
    /// The system has no room for a process at the moment.
    NoRoom,
}

/// What the world can tell a service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// A byte of its control fifo.
    Command(Command),
    /// What holds for the run that is about to be started; given before the answer to its start.
    Policy(Policy),
    /// The run says that it is ready.
    Ready,
    /// The answer to [`Output::Start`], given before anything else.
    Started(Start, Result<Pid, Refused>),
    /// A child ended and is not reaped yet, so its pid is nobody else's.
    Dead(Pid),
    /// Nothing is left of the last run: the answer to [`Output::Clear`].
    Cleared,
    /// A child ended and was reaped. Whose it was is for the machine to know.
    Exited(Pid, spawn::Status),
    /// Time went by.
    Time,
}

/// What a service can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Start a child; answer with [`Input::Started`].
    Start(Start),
    /// Send a signal to `run`. Its pid is not reaped yet, so it is nobody else's.
    Signal(Target, Signal),
    /// Kill whatever else the last run left behind; answer with [`Input::Cleared`], also later.
    Clear,
    /// Nothing to do until an input or, if one is named, the deadline.
    Wait(Option<Instant>, &'static str),
}

/// Which of the two kinds of service this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Has `finish` and `control/`.
    Main,
    /// `log/run` only.
    Log,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing runs.
    Down,
    /// `control/u` runs, or is asked for.
    Opening,
    /// `run` is asked for.
    Starting,
    /// `run` runs.
    Running(Pid),
    /// `run` ended so; what it left behind goes before anything else comes.
    Clearing(spawn::Status, Clear),
    /// `run` ended so; `finish` is asked for from the given moment on.
    Ended(spawn::Status, Instant),
    /// `finish` runs.
    Finishing(Pid),
}

/// How far that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clear {
    /// The driver is asked to see to it.
    Asked,
    /// It does; from this moment on nobody waits for it any more.
    Until(Instant),
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// This process.
    Process(Pid),
    /// The process group it leads.
    Group(Pid),
}

/// Whether somebody waits for the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// No: it comes if the service is wanted up, when the delay is over.
    Usual,
    /// One start is owed even if the service is not to stay up (`o`), when the delay is over.
    Owed,
    /// A command asked for it: at once.
    AtOnce,
}

/// What `supervise/` is to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// `pid`, `stat` and `status`
    pub(crate) status: Status,
    /// `history`
    pub(crate) history: History,
}

/// What becomes of a running service; each is decided by a script of `control/`, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// TERM, if `control/t` allows.
    Term,
    /// TERM, if `control/t` allows; then CONT, and `control/d` is told.
    Down,
    /// TERM, if `control/t` allows; then CONT, and `control/x` is told.
    Exit,
    /// STOP, if `control/p` allows.
    Pause,
    /// CONT, if `control/c` allows.
    Continue,
    /// The signal, if its script allows.
    Pass(Pass),
}

/// Different jobs there are.
const JOBS: usize = 11;

/// What a script of `control/` is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    /// `control/u`, before `run`.
    Open,
    /// To decide about a job.
    Decide(Job),
    /// `control/d` or `control/x`, after the signals.
    Tell(Script),
}

/// Where one script at a time is run, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Desk<T> {
    /// None runs.
    Free,
    /// The driver is asked to start it.
    Asked(T),
    /// It runs.
    Busy(Pid, T),
}

impl<T: Copy> Desk<T> {
    const fn busy(self) -> Option<Pid> {
        match self {
            Self::Busy(pid, _) => Some(pid),
            Self::Free | Self::Asked(_) => None,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    kind: Kind,
    now: Moment,
    state: State,
    want: Want,
    due: Due,
    /// What the directory said at the last start of `run`.
    policy: Policy,
    /// Least time from the start of this run to the next. Grows while runs end quickly, up to the policy's greatest.
    delay: Duration,
    /// The last start of `run`.
    started: Instant,
    /// End of the delay: no usual start before.
    not_before: Instant,
    since: Tai64n,
    paused: bool,
    got_term: bool,
    /// When a run that was told to end is killed.
    kill_at: Option<Instant>,
    /// Decisions that wait for the desk. They are about the running process and go with it.
    jobs: Ring<Job, JOBS>,
    desk: Desk<Errand>,
    /// `control/k` has a desk of its own: KILL must not queue behind a script that hangs.
    killer: Desk<()>,
    /// Sent by the next polls, before anything else happens. One decision makes TERM and CONT, the killer KILL.
    signals: Ring<Signal, 4>,
    history: History,
    written: Option<Record>,
}

impl Service {
    /// A service that is down; it is started by the first [`Self::poll`] if it is wanted up.
    pub(crate) fn new(kind: Kind, want: Want, now: Moment) -> Self {
        Self {
            kind,
            now,
            state: State::Down,
            want,
            due: Due::Usual,
            policy: Policy::default(),
            delay: Duration::ZERO,
            started: now.mono,
            not_before: now.mono,
            since: now.label,
            paused: false,
            got_term: false,
            kill_at: None,
            jobs: Ring::new(),
            desk: Desk::Free,
            killer: Desk::Free,
            signals: Ring::new(),
            history: History::default(),
            written: None,
        }
    }

    /// Takes one input. Drain [`Self::poll`] before the next.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) {
        self.now = now;
        match input {
            Input::Command(command) => self.command(command),
            Input::Policy(policy) => self.policy = policy,
            Input::Ready => self.ready(),
            Input::Started(Start::Run, result) => self.run_started(result),
            Input::Started(Start::Finish(_), result) => self.finish_started(result),
            Input::Started(Start::Script(Script::Kill, _), result) => self.killer_started(result),
            Input::Started(Start::Script(..), result) => self.script_started(result),
            Input::Dead(pid) => self.dead(pid),
            Input::Cleared => self.cleared(),
            Input::Exited(pid, status) => self.exited(pid, status),
            Input::Time => {}
        }
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Output {
        loop {
            if let Some(output) = self.step() {
                return output;
            }
        }
    }

    /// What others may know, if it is something else than what this function returned last.
    pub(crate) fn unwritten(&mut self) -> Option<Record> {
        let record = Record { status: self.status(), history: self.history };
        (self.written != Some(record)).then(|| *self.written.insert(record))
    }

    /// Told to exit, and no child is left.
    pub(crate) fn over(&self) -> bool {
        self.want == Want::Exit && self.state == State::Down && self.desk == Desk::Free && self.killer == Desk::Free
    }

    /// `run` or `finish`, and scripts.
    pub(crate) const fn children(&self) -> [Option<Pid>; 3] {
        let main = match self.state {
            State::Running(pid) | State::Finishing(pid) => Some(pid),
            State::Down | State::Opening | State::Starting | State::Clearing(..) | State::Ended(..) => None,
        };
        [main, self.desk.busy(), self.killer.busy()]
    }

    /// A log service that waits out its delay is started now: the pipe may hold lines, and nobody will read them later.
    pub(crate) fn last_call(&mut self) {
        if self.want == Want::Up && self.state == State::Down {
            self.due = Due::AtOnce;
        }
    }

    /// No further start; `run` is left to end by itself, within its limit if it has one.
    pub(crate) fn close(&mut self) {
        self.want = Want::Exit;
        self.limit_stop();
    }

    fn status(&self) -> Status {
        let (state, pid) = match self.state {
            State::Down | State::Opening | State::Starting => (status::State::Down, 0),
            State::Running(pid) => (status::State::Run, pid.as_raw()),
            State::Clearing(..) | State::Ended(..) => (status::State::Finish, 0),
            State::Finishing(pid) => (status::State::Finish, pid.as_raw()),
        };
        Status {
            since: self.since,
            pid: pid.cast_unsigned(),
            paused: self.paused,
            want: self.want,
            got_term: self.got_term,
            state,
        }
    }

    /// From when on `run` is to be started; none if it is not wanted.
    fn start_at(&self) -> Option<Instant> {
        match (self.want, self.due) {
            (Want::Exit, Due::Usual | Due::Owed | Due::AtOnce) => None,
            (Want::Up | Want::Down | Want::Once, Due::AtOnce) => Some(self.now.mono),
            (Want::Up, Due::Usual | Due::Owed) | (Want::Down | Want::Once, Due::Owed) => Some(self.not_before),
            (Want::Down | Want::Once, Due::Usual) => None,
        }
    }

    /// One step; none when something inside moved and there is more to do.
    fn step(&mut self) -> Option<Output> {
        let running = match self.state {
            State::Running(pid) => Some(pid),
            State::Down
            | State::Opening
            | State::Starting
            | State::Clearing(..)
            | State::Ended(..)
            | State::Finishing(_) => None,
        };
        if let (Some(signal), Some(pid)) = (self.signals.pop(), running) {
            return Some(Output::Signal(self.target(pid), signal));
        }
        if let Desk::Asked(()) = self.killer {
            return self.ask(Script::Kill);
        }
        match self.desk {
            Desk::Asked(errand) => return self.ask(errand.script()),
            Desk::Busy(..) => {}
            Desk::Free => {
                if let Some(job) = self.jobs.pop() {
                    self.desk = Desk::Asked(Errand::Decide(job));
                    return None;
                }
            }
        }
        match self.state {
            State::Down => self.step_down(),
            State::Starting => Some(Output::Start(Start::Run)),
            State::Clearing(status, Clear::Asked) => {
                self.state = State::Clearing(status, Clear::Until(self.now.mono + CLEAR_LIMIT));
                Some(Output::Clear)
            }
            State::Clearing(status, Clear::Until(at)) if at <= self.now.mono => {
                self.after_run(status);
                None
            }
            State::Clearing(_, Clear::Until(at)) => Some(Output::Wait(Some(at), "what run left behind")),
            State::Ended(status, at) if at <= self.now.mono => Some(Output::Start(Start::Finish(status))),
            State::Ended(_, at) => Some(Output::Wait(Some(at), "no room for finish")),
            State::Opening => Some(Output::Wait(None, "control/u")),
            State::Running(_) => match self.kill_at {
                Some(at) if at <= self.now.mono => {
                    self.kill_at = None;
                    self.signals.push(Signal::SIGKILL);
                    None
                }
                Some(at) => Some(Output::Wait(Some(at), "timeout-stop")),
                None => Some(Output::Wait(None, "run")),
            },
            State::Finishing(_) => Some(Output::Wait(None, "finish")),
        }
    }

    /// A start waits for the scripts of the run before: what they do to it must not hit the next one.
    fn step_down(&mut self) -> Option<Output> {
        let quiet = self.desk == Desk::Free && self.killer == Desk::Free;
        match self.start_at() {
            None => Some(Output::Wait(None, "down")),
            Some(_) if !quiet => Some(Output::Wait(None, "control script")),
            Some(at) if at > self.now.mono => Some(Output::Wait(Some(at), "restart delay")),
            Some(_) => {
                self.state = State::Opening;
                self.desk = Desk::Asked(Errand::Open);
                None
            }
        }
    }

    /// Asks for a script. The log service has none, which is as good as one that does not object.
    fn ask(&mut self, script: Script) -> Option<Output> {
        let pid = match self.state {
            State::Running(pid) => pid,
            State::Down
            | State::Opening
            | State::Starting
            | State::Clearing(..)
            | State::Ended(..)
            | State::Finishing(_) => Pid::from_raw(0),
        };
        match (self.kind, script) {
            (Kind::Main, _) => return Some(Output::Start(Start::Script(script, pid))),
            (Kind::Log, Script::Kill) => self.killer_started(Err(Refused::Absent)),
            (Kind::Log, _) => self.script_started(Err(Refused::Absent)),
        }
        None
    }
}

impl Errand {
    const fn script(self) -> Script {
        match self {
            Self::Open => Script::Up,
            Self::Decide(Job::Term | Job::Down | Job::Exit) => Script::Term,
            Self::Decide(Job::Pause) => Script::Pause,
            Self::Decide(Job::Continue) => Script::Continue,
            Self::Decide(Job::Pass(pass)) => Script::Pass(pass),
            Self::Tell(script) => script,
        }
    }
}
