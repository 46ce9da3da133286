//! Which script runs when, and when it is stopped. A pure machine.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::ffi::CString;
use sys::clock::Instant;
use sys::errtext::errtext;
use sys::signal::Signal;
use sys::spawn::Status;
use sys::{Errno, Pid};

/// How long a script has between TERM and KILL.
pub const GRACE: Duration = Duration::from_secs(2);
/// Most hooks waiting. The oldest gives way, because the last event describes the world as it is now.
pub const MAX_WAITING: usize = 64;

/// A script to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The event, for messages and as the name of one of the script's calls: `bound`, `deconfig`, `up`.
    pub event: &'static str,
    /// `NAME=value`, beside what every call of the script finds in its environment.
    pub variables: Vec<CString>,
}

impl Hook {
    /// Without variables.
    pub const fn new(event: &'static str) -> Self {
        Self { event, variables: Vec::new() }
    }

    /// Sets a variable; one with a NUL in it is left out, and nobody's.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.variables.extend(CString::new([name.as_bytes(), b"=", value].concat()));
    }
}

/// A script that will not be heard of again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// [`Hook::event`].
    pub event: &'static str,
    /// What became of it.
    pub ended: Ended,
}

/// What became of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It ended by itself.
    Exited(Status),
    /// It took too long and was stopped.
    TimedOut(Status),
    /// It could not be started.
    NotStarted(Errno),
    /// It never ran: too many later events were waiting behind it.
    Skipped,
}

impl Ended {
    /// It ran and ended with exit code 0.
    pub const fn ok(self) -> bool {
        matches!(self, Self::Exited(Status(0)))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exit {code}"),
                (None, signal) => write!(f, "killed by signal {}", signal.unwrap_or(0)),
            },
            Self::TimedOut(_) => f.write_str("took too long and was stopped"),
            Self::NotStarted(e) => write!(f, "unable to start it: {}", errtext(*e)),
            Self::Skipped => f.write_str("not run, later events came first"),
        }
    }
}

/// What the queue is told.
#[derive(Debug)]
pub enum Input {
    /// Run this after the others.
    Run(Hook),
    /// The hook of the last [`Output::Start`] runs.
    Started(Pid),
    /// It does not.
    NotStarted(Errno),
    /// A child has ended, anyone's.
    Exited(Pid, Status),
    /// Time has passed.
    Tick,
}

/// What the queue wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Start this, then say [`Input::Started`] or [`Input::NotStarted`].
    Start(Hook),
    /// Send the signal to the process group of that name.
    Kill(Pid, Signal),
    /// Tell the daemon.
    Finished(Finished),
    /// Nothing until an input, or that time; the text names the timer.
    Wait(Option<Instant>, &'static str),
}

#[derive(Debug)]
enum State {
    Idle,
    /// The driver has been told to start it.
    Starting {
        event: &'static str,
    },
    Running {
        pid: Pid,
        event: &'static str,
        until: Option<Instant>,
    },
    /// Was sent TERM.
    Stopping {
        pid: Pid,
        event: &'static str,
        until: Instant,
    },
    /// Was sent KILL; the kernel will report the end.
    Killed {
        pid: Pid,
        event: &'static str,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Queue {
    limit: Option<Duration>,
    waiting: VecDeque<Hook>,
    state: State,
    outputs: VecDeque<Output>,
}

impl Queue {
    /// `limit`: how long one script may run before it gets TERM; none: for ever.
    pub const fn new(limit: Option<Duration>) -> Self {
        Self { limit, waiting: VecDeque::new(), state: State::Idle, outputs: VecDeque::new() }
    }

    /// Nothing runs and nothing waits.
    pub fn idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.waiting.is_empty()
    }

    /// The process that is to be reaped.
    pub const fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Idle | State::Starting { .. } => None,
            State::Running { pid, .. } | State::Stopping { pid, .. } | State::Killed { pid, .. } => Some(pid),
        }
    }

    /// Takes an input. Follow with [`Self::poll`] until it says [`Output::Wait`].
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Run(hook) => self.enqueue(hook),
            Input::Started(pid) => self.started(now, pid),
            Input::NotStarted(e) => self.not_started(e),
            Input::Exited(pid, status) => self.exited(pid, status),
            Input::Tick => self.tick(now),
        }
        if matches!(self.state, State::Idle) {
            self.next();
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or(match self.state {
            State::Idle | State::Starting { .. } => Output::Wait(None, "idle"),
            State::Killed { .. } => Output::Wait(None, "script end"),
            State::Running { until, .. } => Output::Wait(until, "script time limit"),
            State::Stopping { until, .. } => Output::Wait(Some(until), "script kill"),
        })
    }

    fn enqueue(&mut self, hook: Hook) {
        if self.waiting.len() == MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.finish(oldest.event, Ended::Skipped);
        }
        self.waiting.push_back(hook);
    }

    fn next(&mut self) {
        if let Some(hook) = self.waiting.pop_front() {
            self.state = State::Starting { event: hook.event };
            self.outputs.push_back(Output::Start(hook));
        }
    }

    fn started(&mut self, now: Instant, pid: Pid) {
        match self.state {
            State::Starting { event } => {
                self.state = State::Running { pid, event, until: self.limit.map(|l| now + l) };
            }
            // Only an answer to Start; nothing was asked.
            State::Idle | State::Running { .. } | State::Stopping { .. } | State::Killed { .. } => {}
        }
    }

    fn not_started(&mut self, e: Errno) {
        match self.state {
            State::Starting { event } => {
                self.state = State::Idle;
                self.finish(event, Ended::NotStarted(e));
            }
            State::Idle | State::Running { .. } | State::Stopping { .. } | State::Killed { .. } => {}
        }
    }

    fn exited(&mut self, who: Pid, status: Status) {
        let (event, ended) = match self.state {
            State::Running { pid, event, .. } if pid == who => (event, Ended::Exited(status)),
            State::Stopping { pid, event, .. } | State::Killed { pid, event } if pid == who => {
                (event, Ended::TimedOut(status))
            }
            // Somebody else's child.
            State::Idle
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Killed { .. } => return,
        };
        self.state = State::Idle;
        self.finish(event, ended);
    }

    fn tick(&mut self, now: Instant) {
        match self.state {
            State::Running { pid, event, until: Some(until) } if now >= until => {
                self.outputs.push_back(Output::Kill(pid, Signal::SIGTERM));
                self.state = State::Stopping { pid, event, until: now + GRACE };
            }
            State::Stopping { pid, event, until } if now >= until => {
                self.outputs.push_back(Output::Kill(pid, Signal::SIGKILL));
                self.state = State::Killed { pid, event };
            }
            State::Idle
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Killed { .. } => {}
        }
    }

    fn finish(&mut self, event: &'static str, ended: Ended) {
        self.outputs.push_back(Output::Finished(Finished { event, ended }));
    }
}
