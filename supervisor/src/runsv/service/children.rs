//! What follows when a child was started, could not be, or ended: `run`, `finish`, and the scripts that decide about
//! signals.

use super::super::command::Script;
use super::{Desk, Due, Errand, Exit, History, Job, Kind, Moment, NO_FORK, Refused, Service, State, THROTTLE};
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
            Job::Term => self.got_term |= !veto,
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

    pub(super) fn run_started(&mut self, now: Moment, result: Result<Pid, Refused>) {
        match result {
            Ok(pid) => {
                self.begin_run(now);
                self.state = State::Running(pid);
            }
            // As if it had started and exited 111, which is what runit's child does.
            Err(Refused::Absent | Refused::Broken) => {
                self.begin_run(now);
                self.run_ended(now, spawn::Status::exited(111));
            }
            Err(Refused::NoRoom) => {
                self.state = State::Down;
                self.not_before = now.mono + NO_FORK;
                self.due = match self.due {
                    Due::Usual => Due::Usual,
                    Due::Owed | Due::AtOnce => Due::Owed,
                };
            }
        }
    }

    fn begin_run(&mut self, now: Moment) {
        self.since = now.label;
        self.history = History { starts: self.history.starts.saturating_add(1), ready: None, ..self.history };
        self.not_before = now.mono + THROTTLE;
        self.due = Due::Usual;
        self.paused = false;
        self.got_term = false;
    }

    pub(super) fn finish_started(&mut self, now: Moment, result: Result<Pid, Refused>) {
        match (result, self.state) {
            (Ok(pid), _) => {
                self.state = State::Finishing(pid);
                self.paused = false;
                self.got_term = false;
            }
            (Err(Refused::NoRoom), State::Ended(status, _)) => {
                self.state = State::Ended(status, now.mono + NO_FORK);
            }
            (Err(Refused::Absent | Refused::Broken | Refused::NoRoom), _) => self.down(now),
        }
    }

    pub(super) fn exited(&mut self, now: Moment, pid: Pid, status: spawn::Status) {
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
            State::Running(run) if run == pid => self.run_ended(now, status),
            State::Finishing(finish) if finish == pid => self.down(now),
            State::Running(_)
            | State::Finishing(_)
            | State::Down
            | State::Opening
            | State::Starting
            | State::Ended(..) => {}
        }
    }

    fn run_ended(&mut self, now: Moment, status: spawn::Status) {
        self.history.exit = Some(Exit { code: status.code(), status: status.low_byte() });
        self.got_term = false;
        self.jobs.clear();
        self.signals.clear();
        match self.kind {
            Kind::Main => self.state = State::Ended(status, now.mono),
            Kind::Log => self.down(now),
        }
    }

    const fn down(&mut self, now: Moment) {
        self.state = State::Down;
        self.since = now.label;
    }
}
