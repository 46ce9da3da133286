//! What the interface does: the first look at it, cable in and out, another hardware address, gone and back.

use super::Machine;
use super::io::{Event, Link, Listen};
use super::note::Note;
use super::state::{Held, Quest, State};
use crate::remember::Remembered;
use core::time::Duration;
use std::rc::Rc;
use sys::clock::Instant;

impl Machine {
    /// The DISCOVER goes out first: the server's answer and the script's `deconfig` take their time side by side.
    pub(super) fn start(&mut self, now: Instant, link: Option<Link>, remembered: Option<Remembered>, published: bool) {
        let (old, wish) = match remembered {
            Some(Remembered::Lease(lease)) => (Some(Held { lease: Rc::new(*lease), used: published }), None),
            Some(Remembered::Address(address)) => (None, Some(address)),
            None => (None, None),
        };
        let keep = link.is_some() && old.as_ref().is_some_and(|o| o.used);
        self.link = link;
        if link.is_some() {
            let wish = self.config.wish.or(wish);
            let quest = Quest { wish, old, ..Quest::default() };
            let delay = self.random.between(Duration::ZERO, self.config.initial_delay);
            if delay.is_zero() || quest.old.is_some() || !self.carrier() {
                self.begin(now, quest);
            } else {
                self.enter(State::Init { quest, at: Some(now + delay), why: "initial delay" });
            }
        } else {
            self.note(Note::Absent);
            self.enter(State::Absent { lease: old.map(|o| o.lease) });
        }
        if !keep {
            self.event(Event::Deconfig);
        }
    }

    pub(super) fn link_is(&mut self, now: Instant, link: Option<Link>) {
        let before = core::mem::replace(&mut self.link, link);
        match (before, link) {
            (None, None) => {}
            (Some(_), None) => self.vanished(),
            (None, Some(_)) => self.appeared(now),
            (Some(a), Some(b)) if a.mac != b.mac => self.renamed(now, b.mac),
            (Some(a), Some(b)) if a.carrier && !b.carrier => self.begin_again(now),
            (Some(a), Some(b)) if !a.carrier && b.carrier => self.carrier_found(now),
            (Some(_), Some(_)) => {}
        }
    }

    /// The interface is gone, and its addresses with it.
    fn vanished(&mut self) {
        let lease = match &self.state {
            State::New | State::Released { .. } | State::Done(_) | State::Absent { .. } => return,
            State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. } => self.state.held(),
        };
        if lease.as_ref().is_some_and(|h| h.used) {
            self.event(Event::Deconfig);
        }
        self.note(Note::Absent);
        self.enter(if self.config.exit_without_link {
            State::Done(0)
        } else {
            State::Absent { lease: lease.map(|h| h.lease) }
        });
    }

    fn appeared(&mut self, now: Instant) {
        match &self.state {
            State::Absent { lease } => {
                let old = lease.clone().map(|lease| Held { lease, used: false });
                self.begin(now, Quest { wish: self.config.wish, old, ..Quest::default() });
            }
            State::New
            | State::Released { .. }
            | State::Done(_)
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. } => {}
        }
    }

    /// Another hardware address is another client: the lease belongs to the old one.
    fn renamed(&mut self, now: Instant, mac: [u8; 6]) {
        match &self.state {
            State::New | State::Released { .. } | State::Done(_) | State::Absent { .. } => {}
            State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. } => {
                self.note(Note::NewMac(mac));
                self.drop_held();
                // The socket's filter may name the old address.
                self.listen(Listen::Nothing);
                self.acquire(now, Quest::default());
            }
        }
    }

    /// After sleep, with a carrier: as if it had been lost and found.
    pub(super) fn woken(&mut self, now: Instant) {
        if self.carrier() {
            self.note(Note::Woken);
            self.begin_again(now);
        }
    }

    /// From the beginning, with what there is; what is in use stays so.
    fn begin_again(&mut self, now: Instant) {
        let next = match &self.state {
            State::New | State::Absent { .. } | State::Released { .. } | State::Done(_) | State::InitReboot { .. } => {
                return;
            }
            State::Init { quest, .. } | State::Selecting { quest, .. } | State::Requesting { quest, .. } => {
                quest.clone()
            }
            // Not in use yet, and the ACK is as good as a remembered one.
            State::Checking { quest, lease, .. } => {
                let new = Held { lease: Rc::clone(lease), used: false };
                Quest { old: quest.old.clone().filter(|o| o.used).or(Some(new)), ..quest.clone() }
            }
            State::Rebooting { old, .. } => Quest { old: Some(old.clone()), ..Quest::default() },
            State::Bound { .. } | State::Renewing { .. } | State::Rebinding { .. } => {
                Quest { old: self.state.held(), ..Quest::default() }
            }
        };
        self.begin(now, next);
    }

    fn carrier_found(&mut self, now: Instant) {
        match &self.state {
            State::Init { quest, .. } | State::Selecting { quest, .. } => {
                let quest = Quest { failed: false, ..quest.clone() };
                self.begin(now, quest);
            }
            State::InitReboot { old } => {
                let old = Some(old.clone());
                self.begin(now, Quest { old, ..Quest::default() });
            }
            State::New
            | State::Absent { .. }
            | State::Released { .. }
            | State::Done(_)
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. } => {}
        }
    }
}
