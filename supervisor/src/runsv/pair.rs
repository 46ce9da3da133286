//! A service and its log service, from the first start to the end of the supervisor.
//!
//! The log service is started first and ends last: when the main service is gone for good the pipe is closed, so the log
//! service reads what is left, sees the end of its input and ends by itself; no signal is sent to it (spec runit §1.8).

use super::command::Command;
use super::policy::Policy;
use super::service::{self, Moment, Record, Refused, Service, Start, Target};
use sys::Pid;
use sys::clock::Instant;
use sys::signal::Signal;
use sys::spawn;

/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// `./run`
    Main,
    /// `log/run`
    Log,
}

/// What the world can tell a supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// One byte of a control fifo; bytes that mean nothing are passed over.
    Control(Which, u8),
    /// SIGTERM: the same as `x`.
    Terminate,
    /// What holds for the run that is about to be started; given before the answer to its start.
    Policy(Which, Policy),
    /// The run says that it is ready.
    Ready(Which),
    /// The answer to [`Output::Start`], given before anything else.
    Started(Which, Start, Result<Pid, Refused>),
    /// A child ended and is not reaped yet.
    Dead(Pid),
    /// Nothing is left of the last run.
    Cleared(Which),
    /// A child ended and was reaped.
    Exited(Pid, spawn::Status),
    /// Time went by.
    Time,
}

/// What a supervisor can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Start a child; answer with [`Input::Started`].
    Start(Which, Start),
    /// Send a signal.
    Signal(Target, Signal),
    /// Kill whatever else the last run left behind; answer with [`Input::Cleared`], also later.
    Clear(Which),
    /// Close both ends of the log pipe.
    ClosePipe,
    /// Nothing to do until an input or, if there is one, the deadline, named by the text.
    Wait(Option<Instant>, &'static str),
    /// The supervisor ends. Nothing runs any more.
    Done,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The main service is looked after.
    Serving,
    /// It is gone for good; the log service has had its chance to run once more.
    LastCall,
    /// The pipe is closed; the log service reads on to its end.
    Draining,
    /// Nothing is left.
    Over,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    main: Service,
    log: Option<Box<Service>>,
    phase: Phase,
}

impl Pair {
    /// The log service is of [`service::Kind::Log`], the other of [`service::Kind::Main`].
    pub(crate) fn new(main: Service, log: Option<Service>) -> Self {
        Self { main, log: log.map(Box::new), phase: Phase::Serving }
    }

    /// Takes one input. Drain [`Self::poll`] before the next.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) {
        match input {
            Input::Control(which, byte) => {
                if let Some(command) = Command::from_byte(byte) {
                    self.command(now, which, command);
                }
            }
            Input::Terminate => self.command(now, Which::Main, Command::Exit),
            Input::Started(which, start, result) => {
                self.tell(now, which, service::Input::Started(start, result));
            }
            Input::Policy(which, policy) => self.tell(now, which, service::Input::Policy(policy)),
            Input::Ready(which) => self.tell(now, which, service::Input::Ready),
            Input::Cleared(which) => self.tell(now, which, service::Input::Cleared),
            Input::Dead(pid) => {
                self.tell(now, Which::Main, service::Input::Dead(pid));
                self.tell(now, Which::Log, service::Input::Dead(pid));
            }
            Input::Exited(pid, status) => {
                // Each knows its own children.
                self.tell(now, Which::Main, service::Input::Exited(pid, status));
                self.tell(now, Which::Log, service::Input::Exited(pid, status));
            }
            Input::Time => {
                self.tell(now, Which::Main, service::Input::Time);
                self.tell(now, Which::Log, service::Input::Time);
            }
        }
    }

    /// The next thing to do; [`Output::Wait`] and [`Output::Done`] mean that there is nothing else.
    pub(crate) fn poll(&mut self) -> Output {
        loop {
            let mut wait = (None, "log");
            if let Some(log) = &mut self.log {
                match log.poll() {
                    service::Output::Start(start) => return Output::Start(Which::Log, start),
                    service::Output::Signal(target, signal) => return Output::Signal(target, signal),
                    service::Output::Clear => return Output::Clear(Which::Log),
                    service::Output::Wait(at, why) => wait = (at, why),
                }
            }
            match self.main.poll() {
                service::Output::Start(start) => return Output::Start(Which::Main, start),
                service::Output::Signal(target, signal) => return Output::Signal(target, signal),
                service::Output::Clear => return Output::Clear(Which::Main),
                service::Output::Wait(at, why) => wait = earlier(wait, (at, why)),
            }
            if let Some(output) = self.advance(wait) {
                return output;
            }
        }
    }

    /// What `supervise/` is to say, if it says something else. Asked before waiting, so that a service that ended and was
    /// restarted at once is written once.
    pub(crate) fn unwritten(&mut self, which: Which) -> Option<Record> {
        match which {
            Which::Main => self.main.unwritten(),
            Which::Log => self.log.as_deref_mut().and_then(Service::unwritten),
        }
    }

    /// The children of both.
    pub(crate) fn children(&self) -> [Option<Pid>; 6] {
        let [a, b, c] = self.main.children();
        let [d, e, f] = self.log_children();
        [a, b, c, d, e, f]
    }

    /// The children of the log service.
    pub(crate) fn log_children(&self) -> [Option<Pid>; 3] {
        self.log.as_deref().map(Service::children).unwrap_or_default()
    }

    /// Both services have nothing to do but wait.
    fn advance(&mut self, wait: (Option<Instant>, &'static str)) -> Option<Output> {
        match self.phase {
            Phase::Serving if !self.main.over() => return Some(Output::Wait(wait.0, wait.1)),
            Phase::Serving => match &mut self.log {
                None => self.phase = Phase::Over,
                Some(log) => {
                    log.last_call();
                    self.phase = Phase::LastCall;
                }
            },
            Phase::LastCall => {
                if let Some(log) = &mut self.log {
                    log.close();
                }
                self.phase = Phase::Draining;
                return Some(Output::ClosePipe);
            }
            Phase::Draining if self.log.as_ref().is_some_and(|log| !log.over()) => {
                return Some(Output::Wait(wait.0, "log service ends"));
            }
            Phase::Draining => self.phase = Phase::Over,
            Phase::Over => return Some(Output::Done),
        }
        None
    }

    fn command(&mut self, now: Moment, which: Which, command: Command) {
        match (which, command) {
            // The log service ends with the main service only.
            (Which::Log, Command::Exit) => {}
            (Which::Log | Which::Main, _) => self.tell(now, which, service::Input::Command(command)),
        }
    }

    fn tell(&mut self, now: Moment, which: Which, input: service::Input) {
        match which {
            Which::Main => self.main.handle(now, input),
            Which::Log => {
                if let Some(log) = &mut self.log {
                    log.handle(now, input);
                }
            }
        }
    }
}

/// Of two waits the one that ends first; the second if neither ends by itself.
fn earlier(a: (Option<Instant>, &'static str), b: (Option<Instant>, &'static str)) -> (Option<Instant>, &'static str) {
    match (a.0, b.0) {
        (Some(at), Some(bt)) if at <= bt => a,
        (Some(_), None) => a,
        (Some(_), Some(_)) | (None, Some(_) | None) => b,
    }
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod end_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
