//! What follows when a child was started, could not be, or ended: `run`, `finish`, and the scripts that decide about
//! signals.

use super::super::command::Script;
use super::{Clear, Desk, Due, Errand, Exit, History, Job, Kind, NO_FORK, Refused, Service, State, Target};
use core::time::Duration;
use sys::Pid;
use sys::signal::Signal;
use sys::spawn;

impl Service {
    pub(super) fn script_started(&mut self, result: Result<Pid, Refused>) {
        if let Desk::Asked(errand) = self.desk {
            match result {
                Ok(pid) => self.desk = Desk::Busy(pid, errand),
                Err(Refused::Absent | Refused::Broken | Refused::NoRoom) => self.script_ended(errand, false),
            }
        }
    }

    pub(super) fn killer_started(&mut self, result: Result<Pid, Refused>) {
        match result {
            Ok(pid) => self.killer = Desk::Busy(pid, ()),
            Err(Refused::Absent | Refused::Broken | Refused::NoRoom) => self.killer_ended(false),
        }
    }

    fn killer_ended(&mut self, veto: bool) {
        self.killer = Desk::Free;
        match self.state {
            State::Running(_) if !veto => self.signals.push(Signal::SIGKILL),
            State::Running(_)
            | State::Down
            | State::Opening
            | State::Starting
            | State::Clearing(..)
            | State::Ended(..)
            | State::Finishing(_) => {}
        }
    }

    fn script_ended(&mut self, errand: Errand, veto: bool) {
        self.desk = Desk::Free;
        let running = matches!(self.state, State::Running(_));
        match errand {
            Errand::Open => {
                self.state = if self.start_at().is_some() { State::Starting } else { State::Down };
            }
            Errand::Decide(job) => {
                if running {
                    self.carry_out(job, veto);
                }
                match job {
                    Job::Down => self.desk = Desk::Asked(Errand::Tell(Script::Down)),
                    Job::Exit => self.desk = Desk::Asked(Errand::Tell(Script::Exit)),
                    Job::Term | Job::Pause | Job::Continue | Job::Pass(_) => {}
                }
            }
            Errand::Tell(_) => {}
        }
    }

    fn carry_out(&mut self, job: Job, veto: bool) {
        let signal = match job {
            Job::Term | Job::Down | Job::Exit => Signal::SIGTERM,
            Job::Pause => Signal::SIGSTOP,
            Job::Continue => Signal::SIGCONT,
            Job::Pass(pass) => pass.signal(),
        };
        if !veto {
            self.signals.push(signal);
        }
        match job {
            // Also when an `up` meanwhile took back the limit: it cannot take back the TERM.
            Job::Term | Job::Down | Job::Exit if !veto => self.limit_stop(),
            Job::Term | Job::Down | Job::Exit | Job::Pause | Job::Continue | Job::Pass(_) => {}
        }
        match job {
            Job::Term => {
                self.got_term |= !veto;
                if !self.got_term {
                    // Nothing was stopped.
                    self.kill_at = None;
                }
            }
            Job::Down | Job::Exit => {
                self.got_term |= !veto;
                // A stopped process cannot take the TERM.
                self.signals.push(Signal::SIGCONT);
            }
            Job::Pause => self.paused = true,
            Job::Continue => self.paused = false,
            Job::Pass(_) => {}
        }
    }

    pub(super) fn run_started(&mut self, result: Result<Pid, Refused>) {
        match result {
            Ok(pid) => {
                self.begin_run();
                self.state = State::Running(pid);
            }
            // As if it had started and exited 111, which is what runit's child does.
            Err(Refused::Absent | Refused::Broken) => {
                self.begin_run();
                self.run_ended(spawn::Status::exited(111));
            }
            Err(Refused::NoRoom) => {
                self.state = State::Down;
                self.not_before = self.now.mono + NO_FORK;
                self.due = match self.due {
                    Due::Usual => Due::Usual,
                    Due::Owed | Due::AtOnce => Due::Owed,
                };
            }
        }
    }

    fn begin_run(&mut self) {
        self.since = self.now.label;
        self.history =
            History { starts: self.history.starts.saturating_add(1), notifies: self.policy.notifies, ..self.history };
        self.delay = self.delay.clamp(self.policy.delay_min, self.policy.delay_max);
        self.started = self.now.mono;
        self.not_before = self.started + self.delay;
        self.due = Due::Usual;
        self.paused = false;
        self.got_term = false;
    }

    /// Whom the signals of `run` reach.
    pub(super) const fn target(&self, run: Pid) -> Target {
        if self.policy.group { Target::Group(run) } else { Target::Process(run) }
    }

    /// A run that got ready is healthy, however soon it ends.
    pub(super) fn ready(&mut self) {
        match self.state {
            State::Running(_) if self.policy.notifies => {
                self.history.ready = Some(self.since);
                self.delay = Duration::ZERO;
                self.not_before = self.started + self.policy.delay_min;
            }
            State::Running(_)
            | State::Down
            | State::Opening
            | State::Starting
            | State::Clearing(..)
            | State::Ended(..)
            | State::Finishing(_) => {}
        }
    }

    pub(super) fn finish_started(&mut self, result: Result<Pid, Refused>) {
        match (result, self.state) {
            (Ok(pid), _) => {
                self.state = State::Finishing(pid);
                self.paused = false;
                self.got_term = false;
            }
            (Err(Refused::NoRoom), State::Ended(status, _)) => {
                self.state = State::Ended(status, self.now.mono + NO_FORK);
            }
            (Err(Refused::Absent | Refused::Broken | Refused::NoRoom), _) => self.down(),
        }
    }

    pub(super) fn exited(&mut self, pid: Pid, status: spawn::Status) {
        // Only an exit code of 0 vetoes. (runit takes a script that was killed for one that exited 0.)
        let veto = status.code() == Some(0);
        match self.desk {
            Desk::Busy(script, errand) if script == pid => return self.script_ended(errand, veto),
            Desk::Free | Desk::Asked(_) | Desk::Busy(..) => {}
        }
        match self.killer {
            Desk::Busy(script, ()) if script == pid => return self.killer_ended(veto),
            Desk::Free | Desk::Asked(()) | Desk::Busy(..) => {}
        }
        match self.state {
            State::Running(run) if run == pid => self.run_ended(status),
            State::Finishing(finish) if finish == pid => self.down(),
            State::Running(_)
            | State::Finishing(_)
            | State::Down
            | State::Opening
            | State::Starting
            | State::Clearing(..)
            | State::Ended(..) => {}
        }
    }

    /// The group of a `run` that is dead: killed while the dead leader keeps its number from being anybody else's.
    pub(super) fn dead(&mut self, pid: Pid) {
        match self.state {
            State::Running(run) if run == pid && self.policy.group => {
                self.signals.clear();
                self.signals.push(Signal::SIGKILL);
            }
            State::Running(_)
            | State::Down
            | State::Opening
            | State::Starting
            | State::Clearing(..)
            | State::Ended(..)
            | State::Finishing(_) => {}
        }
    }

    pub(super) fn cleared(&mut self) {
        match self.state {
            State::Clearing(status, _) => self.after_run(status),
            State::Running(_)
            | State::Down
            | State::Opening
            | State::Starting
            | State::Ended(..)
            | State::Finishing(_) => {}
        }
    }

    /// A run is healthy when it lives for the greatest delay or gets ready. One that is told to end says nothing about its
    /// health.
    fn judge(&mut self) {
        if self.now.mono.since(self.started) >= self.policy.delay_max {
            self.delay = Duration::ZERO;
        } else if self.history.ready.is_none() && !self.got_term {
            self.delay = self.delay.saturating_mul(2);
        }
    }

    pub(super) fn run_ended(&mut self, status: spawn::Status) {
        self.judge();
        self.history.exit = Some(Exit { code: status.code(), status: status.low_byte() });
        self.history.ready = None;
        self.got_term = false;
        self.kill_at = None;
        self.jobs.clear();
        self.signals.clear();
        if self.policy.group {
            self.state = State::Clearing(status, Clear::Asked);
        } else {
            self.after_run(status);
        }
    }

    pub(super) fn after_run(&mut self, status: spawn::Status) {
        match self.kind {
            Kind::Main => self.state = State::Ended(status, self.now.mono),
            Kind::Log => self.down(),
        }
    }

    fn down(&mut self) {
        self.state = State::Down;
        self.since = self.now.label;
    }
}
