//! What happens when a deadline has come, and when a lease is over.

use super::attach::Attach;
use super::io::Event;
use super::note::Note;
use super::state::{Quest, State};
use super::{Machine, schedule};
use std::rc::Rc;
use sys::clock::Instant;

impl Machine {
    /// The one place that knows what "too late" means in each state.
    pub(super) fn time_out(&mut self, now: Instant) {
        match &self.state {
            State::Init { quest, .. } => {
                let quest = quest.clone();
                self.acquire(now, quest);
            }
            State::Selecting { x, quest, put_by } => {
                if let Some(offer) = put_by.filter(|o| o.until <= now) {
                    return self.take(now, offer);
                }
                if x.next > now {
                    return;
                }
                let round = self.config.schedule.discovers();
                if round.is_some_and(|n| x.sent % n.max(1) == 0) {
                    let (quest, x) = (quest.clone(), *x);
                    self.nobody_answered(now, quest, Some(x));
                } else {
                    self.discover(now);
                }
            }
            State::Requesting { x, quest, .. } => {
                if x.sent < self.config.schedule.requests() {
                    self.request(now);
                } else {
                    let quest = quest.clone();
                    self.nobody_answered(now, quest, None);
                }
            }
            State::Checking { quest, lease, .. } => {
                let (quest, lease) = (quest.clone(), Rc::clone(lease));
                if self.probe(now) {
                    return;
                }
                if lease.is_over(now) {
                    self.acquire(now, quest);
                } else {
                    self.bound(now, &lease, quest.old);
                }
            }
            State::Rebooting { old, x, attach } => {
                if x.next > now {
                    return self.ask_neighbour(now);
                }
                let (old, attach) = (old.clone(), *attach);
                if schedule::reboot_gap(x.sent + 1).is_some() {
                    self.ask_reboot(now);
                } else if matches!(attach, Attach::Same) {
                    self.settle(now, old.lease);
                } else {
                    // Silence: perhaps another network, whose server does not know us. Look around, keep the lease in mind.
                    let wish = Some(old.lease.address());
                    self.acquire(now, Quest { wish, old: Some(old), ..Quest::default() });
                }
            }
            State::Bound { lease } => {
                let lease = Rc::clone(lease);
                self.settle(now, lease);
            }
            State::Renewing { lease, give_up, .. } => {
                let over = lease.term.is_some_and(|t| t.rebind_at <= now);
                let by_hand = give_up.is_some_and(|at| at <= now);
                if over || by_hand {
                    let lease = Rc::clone(lease);
                    self.rebind_from(now, lease, by_hand);
                } else {
                    self.ask_extend(now);
                }
            }
            State::Rebinding { .. } => self.ask_extend(now),
            State::New | State::Absent { .. } | State::InitReboot { .. } | State::Released { .. } | State::Done(_) => {}
        }
    }

    /// Gives up an address whose lease is over, whatever the state.
    pub(super) fn expire(&mut self, now: Instant) {
        let Some(old) = self.state.held().filter(|h| h.lease.is_over(now)) else { return };
        let wish = Some(old.lease.address());
        self.note(Note::Expired(old.lease.address()));
        if old.used {
            self.event(Event::Deconfig);
        }
        match &mut self.state {
            State::Init { quest, .. }
            | State::Selecting { quest, .. }
            | State::Requesting { quest, .. }
            | State::Checking { quest, .. } => quest.old = None,
            State::Absent { lease } => *lease = None,
            State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. } => {
                // Not yet a DISCOVER: what is about to be handled may be that the link is down.
                let quest = Quest { wish, ..Quest::default() };
                self.enter(State::Init { quest, at: Some(now), why: "expiry" });
            }
            State::New | State::Released { .. } | State::Done(_) => {}
        }
    }
}
