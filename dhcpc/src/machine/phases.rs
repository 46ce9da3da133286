//! The ways from one state to the next: a search, a verification, a lease and its three phases.

use super::Machine;
use super::io::{Event, Listen, Output};
use super::note::Note;
use super::state::{Exchange, Held, Quest, State};
use crate::lease::Lease;
use crate::message::auth::Nonce;
use core::time::Duration;
use std::rc::Rc;
use sys::clock::Instant;

impl Machine {
    /// The way in: with a lease at hand its verification, else a search. Without a carrier the search is silent, so that
    /// those who wait for `leasefail` get it in time.
    pub(super) fn begin(&mut self, now: Instant, quest: Quest) {
        if !self.carrier() {
            self.note(Note::CarrierLost);
        }
        match quest.old.clone() {
            // RFC 7844 §3.5: INIT-REBOOT would tell every network where we were before.
            Some(old) if self.carrier() && self.config.anonymous => {
                if old.used {
                    self.event(Event::Deconfig);
                }
                self.acquire(now, Quest::default());
            }
            Some(old) if self.carrier() => self.reboot(now, old),
            Some(old) if old.used => self.enter(State::InitReboot { old }),
            Some(_) | None => self.acquire(now, quest),
        }
    }

    pub(super) fn acquire(&mut self, now: Instant, quest: Quest) {
        if quest.failed && !self.carrier() {
            return self.enter(State::Init { quest, at: None, why: "link" });
        }
        let began = quest.began.unwrap_or(now);
        let quest = Quest { began: Some(began), ..quest };
        self.began = began;
        if self.carrier() {
            self.listen(Listen::Broadcast);
            self.note(Note::Discovering);
        }
        let x = Exchange::new(self.random.bits32(), began, now);
        self.enter(State::Selecting { quest, x, put_by: None });
        self.discover(now);
    }

    pub(super) fn reboot(&mut self, now: Instant, old: Held) {
        self.listen(Listen::Broadcast);
        self.note(Note::Verifying(old.lease.address()));
        let x = Exchange::new(self.random.bits32(), now, now);
        let attach = self.attach(now);
        self.enter(State::Rebooting { old, x, attach });
        self.ask_neighbour(now);
        self.ask_reboot(now);
    }

    pub(super) fn rest_then_acquire(&mut self, now: Instant, pause: Duration, why: &'static str) {
        if pause.is_zero() {
            self.acquire(now, Quest::default());
        } else {
            self.enter(State::Init { quest: Quest::default(), at: Some(now + pause), why });
        }
    }

    /// A round of tries ended. `x` is the running DISCOVER exchange, if it can go on.
    pub(super) fn nobody_answered(&mut self, now: Instant, quest: Quest, x: Option<Exchange>) {
        if let Some(old) = quest.old.clone().filter(|o| self.carrier() && (o.used || self.config.use_unconfirmed)) {
            if !old.used {
                self.event(Event::Bound { lease: Rc::clone(&old.lease), replaces: false });
            }
            self.note_bound(now, &old.lease, true);
            return self.settle(now, old.lease);
        }
        self.note(Note::NobodyAnswered);
        self.event(Event::LeaseFail(None));
        if self.config.exit_without_lease && !self.ever_bound {
            return self.enter(State::Done(1));
        }
        let quest = Quest { failed: true, ..quest };
        let pause = self.config.schedule.pause();
        match x {
            _ if !pause.is_zero() => {
                self.enter(State::Init { quest, at: Some(now + pause), why: "pause after a round of tries" });
            }
            Some(x) if self.carrier() => {
                self.enter(State::Selecting { quest, x, put_by: None });
                self.discover(now);
            }
            Some(_) | None => self.acquire(now, quest),
        }
    }

    pub(super) fn bound(&mut self, now: Instant, granted: &Rc<Lease>, old: Option<Held>) {
        let lease = if self.config.fuzz { Rc::new(granted.fuzzed(&mut self.random)) } else { Rc::clone(granted) };
        self.naks = 0;
        // Not every ACK repeats it.
        let given = Nonce::of(&lease.ack.options).filter(|_| self.config.forcerenew);
        self.nonce = match (self.nonce, given) {
            (Some(old), Some(given)) => Some(old.followed_by(given)),
            (old, given) => given.or(old),
        };
        self.ever_bound = true;
        self.event(match old.filter(|o| o.used) {
            Some(o) if o.lease.address() == lease.address() => Event::Renew(Rc::clone(&lease)),
            Some(_) => Event::Bound { lease: Rc::clone(&lease), replaces: true },
            None => Event::Bound { lease: Rc::clone(&lease), replaces: false },
        });
        let neighbour = self.neighbour.filter(|n| Some(n.address) == lease.gateway());
        self.out.push_back(Output::Save(Rc::clone(&lease), neighbour));
        self.note_bound(now, granted, false);
        self.settle(now, lease);
        if self.config.exit_when_bound {
            self.stop_bound(now);
        }
    }

    /// `-q`: the script was told; what it set up stays, unless `-R` says to give it back.
    pub(super) fn stop_bound(&mut self, now: Instant) {
        if self.config.release_on_exit {
            self.stop(now);
        } else {
            self.enter(State::Done(0));
        }
    }

    /// BOUND, RENEWING or REBINDING, whichever the time says.
    pub(super) fn settle(&mut self, now: Instant, lease: Rc<Lease>) {
        match lease.term {
            Some(t) if t.rebind_at <= now => self.rebind_from(now, lease, false),
            Some(t) if t.renew_at <= now => self.extend_from(now, lease, None),
            Some(_) | None => self.enter(State::Bound { lease }),
        }
    }

    pub(super) fn extend_from(&mut self, now: Instant, lease: Rc<Lease>, give_up: Option<Instant>) {
        self.note(Note::Renewing(lease.address()));
        let x = Exchange::new(0, now, now);
        self.began = now;
        self.enter(State::Renewing { lease, x, give_up });
        self.ask_extend(now);
    }

    pub(super) fn rebind_from(&mut self, now: Instant, lease: Rc<Lease>, by_hand: bool) {
        self.note(Note::Rebinding(lease.address()));
        let x = Exchange::new(0, now, now);
        self.enter(State::Rebinding { lease, x, by_hand });
        self.ask_extend(now);
    }

    /// Whatever is in use goes, and nothing is remembered.
    pub(super) fn drop_held(&mut self) {
        if self.state.held().is_some_and(|h| h.used) {
            self.event(Event::Deconfig);
        }
        self.out.push_back(Output::Forget);
        (self.neighbour, self.nonce) = (None, None);
    }
}
