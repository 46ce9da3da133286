//! A service that goes on under a new supervisor, the one before having been killed.

use super::super::policy::Policy;
use super::{Job, Kind, Moment, Service, State};
use crate::history::History;
use crate::status::Want;
use sys::Pid;
use sys::spawn;

/// What the killed supervisor left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Legacy {
    /// The last command.
    pub(crate) want: Want,
    pub(crate) history: History,
    /// What its directory says.
    pub(crate) policy: Policy,
    pub(crate) remains: Remains,
}

/// What it was doing. `started` is the start of the process; its label is what `supervise/status` is dated from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remains {
    /// Nothing.
    Nothing,
    /// `run` runs.
    Run { pid: Pid, started: Moment, paused: bool, got_term: bool },
    /// `run` has ended, nobody knows how, and its `finish` was not run.
    Ended { started: Moment },
    /// `finish` runs.
    Finish { pid: Pid, started: Moment },
}

impl Service {
    /// Goes on with it. `now` as for [`Self::new`].
    pub(crate) fn adopt(kind: Kind, legacy: &Legacy, now: Moment) -> Self {
        let mut service = Self::new(kind, legacy.want, now);
        service.history = legacy.history;
        service.policy = legacy.policy;
        match legacy.remains {
            Remains::Nothing => {}
            Remains::Run { pid, started, paused, got_term } => {
                service.go_on(started);
                service.state = State::Running(pid);
                service.paused = paused;
                service.got_term = got_term;
                if got_term {
                    service.limit_stop();
                }
                // Who is to exit is told again: the signals may have been about to be sent.
                if legacy.want == Want::Exit {
                    service.jobs.push(Job::Exit);
                }
            }
            Remains::Ended { started } => {
                service.go_on(started);
                service.run_ended(spawn::Status::UNKNOWN);
            }
            Remains::Finish { pid, started } => {
                service.go_on(started);
                service.state = State::Finishing(pid);
            }
        }
        service
    }

    fn go_on(&mut self, started: Moment) {
        self.since = started.label;
        self.started = started.mono;
        self.delay = self.policy.delay_min;
        self.not_before = self.started + self.delay;
    }
}
