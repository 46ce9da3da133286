//! What each command means in each state (spec runit §1.5).

use super::super::command::Command;
use super::{Desk, Due, Job, Service, State};
use crate::status::Want;
use core::time::Duration;

impl Service {
    /// The table of spec runit §1.5. The last of `u d o` counts; `x` is never taken back, so that who asked for the end gets
    /// it (runit lets a `u` undo it, even when the log pipe is closed already).
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Up => self.up(),
            Command::Once => self.once(),
            Command::Down => {
                self.want(Want::Down);
                self.due = Due::Usual;
                match self.want {
                    Want::Exit => self.decide(Job::Exit),
                    Want::Up | Want::Down | Want::Once => self.decide(Job::Down),
                }
            }
            Command::Exit => {
                self.want = Want::Exit;
                self.due = Due::Usual;
                self.decide(Job::Exit);
            }
            Command::Term => self.decide(match self.want {
                Want::Up | Want::Once => Job::Term,
                Want::Down => Job::Down,
                Want::Exit => Job::Exit,
            }),
            Command::Kill => self.kill(),
            Command::Pause => match self.state {
                State::Running(_) => self.jobs.push(Job::Pause),
                State::Down
                | State::Opening
                | State::Starting
                | State::Clearing(..)
                | State::Ended(..)
                | State::Finishing(_) => {
                    self.paused = true;
                }
            },
            Command::Continue => match self.state {
                State::Running(_) => self.jobs.push(Job::Continue),
                State::Down
                | State::Opening
                | State::Starting
                | State::Clearing(..)
                | State::Ended(..)
                | State::Finishing(_) => {
                    self.paused = false;
                }
            },
            Command::Pass(pass) => self.decide(Job::Pass(pass)),
        }
    }

    fn want(&mut self, want: Want) {
        if self.want != Want::Exit {
            self.want = want;
        }
    }

    /// Who asks for a start does not wait for the delay. `run` that goes on as wanted is what was asked for; one that was
    /// told to go (`d`, `o`, `t`) is to be followed by another at once.
    fn up(&mut self) {
        self.due = match (self.state, self.want) {
            (State::Running(_), Want::Up) if !self.got_term => self.due,
            (_, Want::Up | Want::Down | Want::Once) => Due::AtOnce,
            (_, Want::Exit) => Due::Usual,
        };
        if self.due == Due::AtOnce {
            self.delay = Duration::ZERO;
        }
        if !self.got_term {
            // A stop that was only asked for is taken back; one that was begun goes on to its end.
            self.kill_at = None;
        }
        self.want(Want::Up);
    }

    /// While `run` or `finish` runs: that was the once (runit, and what a one-shot's `sv o .` relies on).
    fn once(&mut self) {
        self.want(Want::Down);
        self.due = match self.state {
            State::Down | State::Opening | State::Starting => {
                self.delay = Duration::ZERO;
                Due::AtOnce
            }
            State::Running(_) | State::Clearing(..) | State::Ended(..) | State::Finishing(_) => Due::Usual,
        };
    }

    /// Signals are for `run` only. The limit of a stop counts from here, so that no script can hold it up.
    fn decide(&mut self, job: Job) {
        match self.state {
            State::Running(_) => {
                self.jobs.push(job);
                match job {
                    Job::Term | Job::Down | Job::Exit => self.limit_stop(),
                    Job::Pause | Job::Continue | Job::Pass(_) => {}
                }
            }
            State::Down
            | State::Opening
            | State::Starting
            | State::Clearing(..)
            | State::Ended(..)
            | State::Finishing(_) => {}
        }
    }

    /// A stop that goes on already keeps its limit.
    pub(super) fn limit_stop(&mut self) {
        if let (State::Running(_), None, Some(limit)) = (self.state, self.kill_at, self.policy.stop_limit) {
            self.kill_at = Some(self.now.mono + limit);
        }
    }

    /// The state stays until the process is reaped. (runit says "down" at once and so may run two of them.)
    fn kill(&mut self) {
        match self.state {
            State::Running(_) => {
                if self.killer == Desk::Free {
                    self.killer = Desk::Asked(());
                }
            }
            State::Down
            | State::Opening
            | State::Starting
            | State::Clearing(..)
            | State::Ended(..)
            | State::Finishing(_) => {}
        }
    }
}
