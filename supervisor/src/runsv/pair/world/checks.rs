//! What must always hold, whatever the world does.

use super::{Followers, World, index};
use crate::runsv::pair::Which;
use crate::runsv::policy::Policy;
use crate::runsv::service::{CLEAR_LIMIT, Record, Start};
use crate::status::State;

impl World {
    /// Never two at once, never beside `finish`, never sooner than a second after the last unless asked.
    pub(super) fn check_run(&self, which: Which) {
        assert!(!self.running(which), "two runs");
        assert!(which == Which::Log || (!self.finishing() && self.unfinished.is_none()), "run beside finish");
        self.check_followers(which);
        if let Some(last) = self.last_run[index(which)] {
            let last_call = which == Which::Log && self.leaving;
            let Policy { delay_min, delay_max, .. } = self.current[index(which)];
            let grown = delay_min.saturating_mul(1 << self.quick[index(which)].saturating_sub(1).min(16));
            assert!(
                self.now >= last + grown.min(delay_max) || self.asked[index(which)] || last_call,
                "{which:?} started after {:?}, {} quick, {:?}",
                self.now.since(last),
                self.quick[index(which)],
                self.current[index(which)]
            );
        }
    }

    /// Neither `finish` nor the next `run` comes before the rest of the last one is gone, or was given up.
    pub(super) fn check_followers(&self, which: Which) {
        match self.followers[index(which)] {
            Followers::None => {}
            Followers::Going(since) => assert!(self.now >= since + CLEAR_LIMIT, "did not wait"),
            followers @ (Followers::Alive | Followers::Killed) => panic!("{followers:?}"),
        }
    }

    /// A run that was sent TERM is killed when its time is over, and the machine wakes for that.
    pub(super) fn check_limits(&self) {
        for which in [Which::Main, Which::Log] {
            let at = index(which);
            let (Some(limit), Some(term)) = (self.current[at].stop_limit, self.term[at]) else { continue };
            if self.running(which) && !self.kill[at] {
                assert!(self.deadline.is_some_and(|deadline| deadline <= term + limit), "TERM without an end");
            }
        }
    }

    /// What others read is what is: the living child's pid, and the state it means.
    pub(super) fn check_status(&self) {
        for which in [Which::Main, Which::Log] {
            let Record { status, history } = self.written[index(which)];
            assert_eq!(history.ready(status.since), self.ready[index(which)] && self.running(which));
            assert!(!self.running(which) || history.notifies == self.current[index(which)].notifies);
            let child = self.children.iter().find(|c| c.which == which && !matches!(c.start, Start::Script(..)));
            assert_eq!(status.pid, child.map_or(0, |c| c.pid.as_raw().cast_unsigned()));
            match child.map(|c| c.start) {
                Some(Start::Run) => assert_eq!(status.state, State::Run),
                Some(Start::Finish(_)) => assert_eq!(status.state, State::Finish),
                Some(Start::Script(..)) | None => assert_ne!(status.state, State::Run),
            }
        }
    }
}
