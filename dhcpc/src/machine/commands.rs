//! What the administrator wants: renew, release, stop (spec dhcp a.8).

use super::Machine;
use super::io::{Event, Listen, Output, Via};
use super::note::Note;
use super::state::{Quest, State};
use crate::message::{Body, Request};
use core::time::Duration;
use std::rc::Rc;
use sys::clock::Instant;

/// A renewal asked for by hand turns to all servers after this long; udhcpc allows about as much.
const BY_HAND: Duration = Duration::from_secs(10);

impl Machine {
    /// USR1.
    pub(super) fn renew(&mut self, now: Instant) {
        match &self.state {
            // udhcpc sits out its pauses.
            State::Init { .. } if self.config.as_busybox => {}
            State::Init { quest, .. } => {
                let quest = quest.clone();
                self.acquire(now, quest);
            }
            State::Bound { lease } | State::Renewing { lease, give_up: None, .. } => {
                let lease = Rc::clone(lease);
                self.extend_from(now, lease, Some(now + BY_HAND));
            }
            // Asked again while the first is not answered: take nothing for granted any more.
            State::Renewing { lease, give_up: Some(_), .. } | State::Rebinding { lease, by_hand: true, .. } => {
                let wish = Some(lease.address());
                self.event(Event::Deconfig);
                self.acquire(now, Quest { wish, ..Quest::default() });
            }
            State::Released { wish } if self.link.is_some() => {
                let wish = *wish;
                self.acquire(now, Quest { wish, ..Quest::default() });
            }
            State::Released { .. } => {
                self.note(Note::Absent);
                self.enter(State::Absent { lease: None });
            }
            State::Rebinding { by_hand: false, .. }
            | State::New
            | State::Absent { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Done(_) => {}
        }
    }

    /// USR2: give back what we have and wait.
    pub(super) fn release(&mut self, now: Instant) {
        let wish = if let State::Released { wish } = self.state {
            wish
        } else {
            self.state.held().map(|held| held.lease.address())
        };
        self.give_back(now);
        self.event(Event::Deconfig);
        self.out.push_back(Output::Forget);
        self.neighbour = None;
        self.note(Note::Released);
        self.enter(State::Released { wish });
    }

    /// TERM.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.config.release_on_exit {
            self.give_back(now);
            self.out.push_back(Output::Forget);
        }
        if self.config.release_on_exit || self.config.withdraw_on_exit {
            self.event(Event::Deconfig);
        }
        self.enter(State::Done(0));
    }

    /// Sends a RELEASE if there is a confirmed lease and a way. Before the address is taken away: it is the sender.
    fn give_back(&mut self, now: Instant) {
        match &self.state {
            State::Bound { lease } | State::Renewing { lease, .. } | State::Rebinding { lease, .. } => {
                let (from, Some(to)) = (lease.address(), lease.server) else { return };
                let lease = Rc::clone(lease);
                let (xid, secs) = self.farewell(now, &lease);
                self.listen(Listen::Unicast(from));
                let body = Body::Release { server: to, address: from };
                let request = Request { xid, secs, broadcast: false, body };
                self.send(request, Via::Unicast { from, to });
            }
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Released { .. }
            | State::Done(_) => {}
        }
    }
}
