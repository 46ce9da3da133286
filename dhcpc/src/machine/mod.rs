//! The client of RFC 2131 as a pure machine: no socket, no clock, no file.
//!
//! [`Machine::handle`] tells it what happened, [`Machine::poll`] what it wants done, until [`Output::Wait`] or
//! [`Output::Done`]. What each state does with each input is in this file; what a state remembers is in `state.rs`, when to
//! repeat in `schedule.rs`.
//!
//! Three promises hold in every state: nothing is sent while the link is down, an address is given up the moment its lease
//! is over, and every deadline that has come moves things on. `tests.rs` checks them over thousands of random histories.

mod io;
mod note;
mod schedule;
mod state;
#[cfg(test)]
mod tests;

pub use io::{Arp, Command, Config, Event, Input, Link, Listen, Output, Via};
pub use note::Note;
pub use schedule::Schedule;

use crate::lease::{Lease, is_host};
use crate::message::{Body, Reply, ReplyKind, Request, code};
use crate::remember::Remembered;
use core::time::Duration;
use netif::random::Random;
use state::{Exchange, Held, Quest, State};
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::rc::Rc;
use sys::clock::Instant;

/// A renewal asked for by hand turns to all servers after this long; udhcpc allows about as much.
const BY_HAND: Duration = Duration::from_secs(10);
/// What "the rest of the lease" is taken to be when it has no end.
const NO_END: Duration = Duration::from_secs(86_400);

/// One interface's client.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    random: Random,
    link: Option<Link>,
    state: State,
    listen: Listen,
    /// NAKs since the last lease.
    naks: u32,
    ever_bound: bool,
    out: VecDeque<Output>,
}

impl Machine {
    /// A client that waits for [`Input::Start`]. `random` gives transaction ids and jitter.
    pub const fn new(config: Config, random: Random) -> Self {
        Self {
            config,
            random,
            link: None,
            state: State::New,
            listen: Listen::Nothing,
            naks: 0,
            ever_bound: false,
            out: VecDeque::new(),
        }
    }

    /// Something happened at `now` (CLOCK_BOOTTIME).
    pub fn handle(&mut self, now: Instant, input: Input) {
        if let State::Done(_) = self.state {
            return;
        }
        self.expire(now);
        match input {
            Input::Start { link, remembered, published } => self.start(now, link, remembered, published),
            Input::Link(link) => self.link_is(now, link),
            Input::Packet(reply) => self.packet(now, *reply),
            Input::Arp(arp) => self.arp(now, arp),
            Input::Timer => {}
            Input::Command(Command::Renew) => self.renew(now),
            Input::Command(Command::Release) => self.release(),
            Input::Command(Command::Stop) => self.stop(),
        }
        self.expire(now);
        while self.state.deadline().0.is_some_and(|at| at <= now) {
            self.time_out(now);
        }
        self.listen_for_state();
    }

    /// What to do next. After [`Output::Wait`] or [`Output::Done`] there is nothing until the next [`Self::handle`].
    pub fn poll(&mut self) -> Output {
        if let Some(output) = self.out.pop_front() {
            return output;
        }
        if let State::Done(code) = self.state {
            return Output::Done(code);
        }
        let (at, why) = self.state.deadline();
        let expiry = self.state.held().and_then(|h| h.lease.term).map(|t| t.expires_at);
        match (at, expiry) {
            (Some(at), Some(end)) if end < at => Output::Wait(Some(end), "expiry"),
            (None, Some(end)) => Output::Wait(Some(end), "expiry"),
            (at, _) => Output::Wait(at, why),
        }
    }

    /// The lease, while its address may be used.
    pub fn lease(&self) -> Option<Rc<Lease>> {
        self.state.held().filter(|h| h.used).map(|h| h.lease)
    }

    // ---- what happens ----

    /// The DISCOVER goes out first: the server's answer and the script's `deconfig` take their time side by side.
    fn start(&mut self, now: Instant, link: Option<Link>, remembered: Option<Remembered>, published: bool) {
        let (old, wish) = match remembered {
            Some(Remembered::Lease(lease)) => (Some(Held { lease: Rc::new(*lease), used: published }), None),
            Some(Remembered::Address(address)) => (None, Some(address)),
            None => (None, None),
        };
        let keep = link.is_some() && old.as_ref().is_some_and(|o| o.used);
        self.link = link;
        if link.is_some() {
            let wish = self.config.wish.or(wish);
            self.begin(now, Quest { wish, old, ..Quest::default() });
        } else {
            self.note(Note::Absent);
            self.enter(State::Absent { lease: old.map(|o| o.lease) });
        }
        if !keep {
            self.event(Event::Deconfig);
        }
    }

    fn link_is(&mut self, now: Instant, link: Option<Link>) {
        let before = core::mem::replace(&mut self.link, link);
        match (before, link) {
            (None, None) => {}
            (Some(_), None) => self.vanished(),
            (None, Some(_)) => self.appeared(now),
            (Some(a), Some(b)) if a.mac != b.mac => self.renamed(now, b.mac),
            (Some(a), Some(b)) if a.carrier && !b.carrier => self.carrier_lost(now),
            (Some(a), Some(b)) if !a.carrier && b.carrier => self.carrier_found(now),
            (Some(_), Some(_)) => {}
        }
    }

    /// The interface is gone, and its addresses with it.
    fn vanished(&mut self) {
        let lease = match &self.state {
            State::New | State::Released | State::Done(_) | State::Absent { .. } => return,
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
            | State::Released
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
            State::New | State::Released | State::Done(_) | State::Absent { .. } => {}
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

    fn carrier_lost(&mut self, now: Instant) {
        let next = match &self.state {
            State::New | State::Absent { .. } | State::Released | State::Done(_) | State::InitReboot { .. } => return,
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
                let old = old.clone();
                self.reboot(now, old);
            }
            State::New
            | State::Absent { .. }
            | State::Released
            | State::Done(_)
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. } => {}
        }
    }

    fn packet(&mut self, now: Instant, reply: Reply) {
        if !self.carrier() {
            return;
        }
        match reply.kind {
            ReplyKind::Offer => self.offer(now, &reply),
            ReplyKind::Ack => self.ack(now, reply),
            ReplyKind::Nak => self.nak(now, reply),
        }
    }

    /// The first acceptable offer wins.
    fn offer(&mut self, now: Instant, reply: &Reply) {
        match &self.state {
            State::Selecting { quest, x } if x.xid == reply.xid => {
                if !is_host(reply.address) {
                    return self.note(Note::BadAddress(reply.address));
                }
                let server = reply.options.address(code::SERVER_ID).filter(|s| is_host(*s));
                let (quest, x) = (quest.clone(), Exchange { first: now, sent: 0, ..*x });
                self.note(Note::Requesting { address: reply.address, server });
                self.enter(State::Requesting { quest, x, address: reply.address, server });
                self.request(now);
            }
            State::Selecting { .. }
            | State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. }
            | State::Released
            | State::Done(_) => {}
        }
    }

    fn ack(&mut self, now: Instant, reply: Reply) {
        let (x, server, quest) = match &self.state {
            State::Requesting { quest, x, server, .. } => (*x, *server, quest.clone()),
            State::Rebooting { old, x } => (*x, None, Quest { old: Some(old.clone()), ..Quest::default() }),
            State::Renewing { lease, x, .. } => {
                (*x, lease.server, Quest { old: self.state.held(), ..Quest::default() })
            }
            State::Rebinding { x, .. } => (*x, None, Quest { old: self.state.held(), ..Quest::default() }),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Bound { .. }
            | State::Released
            | State::Done(_) => return,
        };
        if x.xid != reply.xid {
            return;
        }
        let address = reply.address;
        let Ok(lease) = Lease::new(reply, server, x.first) else {
            return self.note(Note::BadAddress(address));
        };
        if lease.is_over(now) {
            // The answer took longer than the lease lasts.
            return;
        }
        let lease = Rc::new(lease);
        let known = quest.old.as_ref().is_some_and(|o| o.used && o.lease.address() == address);
        match self.config.check {
            Some(time) if !known => {
                self.note(Note::Checking(address));
                self.listen(Listen::Conflicts(address));
                self.out.push_back(Output::Probe(address));
                self.enter(State::Checking { quest, lease, until: now + time });
            }
            Some(_) | None => self.bound(now, lease, quest.old),
        }
    }

    fn nak(&mut self, now: Instant, reply: Reply) {
        let (xid, chosen) = match &self.state {
            State::Requesting { x, server, .. } => (x.xid, *server),
            State::Rebooting { x, .. } | State::Renewing { x, .. } | State::Rebinding { x, .. } => (x.xid, None),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Bound { .. }
            | State::Released
            | State::Done(_) => return,
        };
        let by = reply.options.address(code::SERVER_ID);
        if xid != reply.xid || (chosen.is_some() && by != chosen) {
            return;
        }
        self.note(Note::refused(&reply));
        self.event(Event::Nak(Box::new(reply)));
        self.drop_held();
        self.naks = self.naks.saturating_add(1);
        self.rest_then_acquire(now, schedule::nak_pause(self.naks), "pause after NAK");
    }

    /// RFC 5227 §2.1.1: anybody who sends from the address, or probes for it as we do, is a conflict.
    fn arp(&mut self, now: Instant, arp: Arp) {
        match &self.state {
            State::Checking { lease, .. } => {
                let (address, server) = (lease.address(), lease.server);
                let ours = self.link.is_some_and(|l| l.mac == arp.mac);
                let claims = arp.sender == address || (arp.sender.is_unspecified() && arp.target == address);
                if ours || !claims {
                    return;
                }
                self.note(Note::Conflict { address, with: arp.mac });
                self.listen(Listen::Broadcast);
                let request = Request { xid: self.random.bits32(), secs: 0, body: Body::Decline { server, address } };
                self.send(request, Via::Broadcast { from: Ipv4Addr::UNSPECIFIED });
                self.drop_held();
                self.rest_then_acquire(now, self.config.schedule.decline_pause(), "pause after a conflict");
            }
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. }
            | State::Released
            | State::Done(_) => {}
        }
    }

    /// USR1.
    fn renew(&mut self, now: Instant) {
        match &self.state {
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
            State::Released if self.link.is_some() => self.acquire(now, Quest::default()),
            State::Released => {
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
    fn release(&mut self) {
        self.give_back();
        self.event(Event::Deconfig);
        self.out.push_back(Output::Forget);
        self.note(Note::Released);
        self.enter(State::Released);
    }

    /// TERM.
    fn stop(&mut self) {
        if self.config.release_on_exit {
            self.give_back();
            self.out.push_back(Output::Forget);
        }
        if self.config.release_on_exit || self.config.withdraw_on_exit {
            self.event(Event::Deconfig);
        }
        self.enter(State::Done(0));
    }

    /// Sends a RELEASE if there is a confirmed lease and a way. Before the address is taken away: it is the sender.
    fn give_back(&mut self) {
        match &self.state {
            State::Bound { lease } | State::Renewing { lease, .. } | State::Rebinding { lease, .. } => {
                let (from, Some(to)) = (lease.address(), lease.server) else { return };
                self.listen(Listen::Unicast(from));
                let body = Body::Release { server: to, address: from };
                let request = Request { xid: self.random.bits32(), secs: 0, body };
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
            | State::Released
            | State::Done(_) => {}
        }
    }

    /// The one place that knows what "too late" means in each state.
    fn time_out(&mut self, now: Instant) {
        match &self.state {
            State::Init { quest, .. } => {
                let quest = quest.clone();
                self.acquire(now, quest);
            }
            State::Selecting { x, quest } => {
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
                let (lease, old) = (Rc::clone(lease), quest.old.clone());
                if lease.is_over(now) {
                    let quest = quest.clone();
                    self.acquire(now, quest);
                } else {
                    self.bound(now, lease, old);
                }
            }
            State::Rebooting { old, x } => {
                let old = old.clone();
                if schedule::reboot_gap(x.sent + 1).is_some() {
                    self.ask_reboot(now);
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
            State::New | State::Absent { .. } | State::InitReboot { .. } | State::Released | State::Done(_) => {}
        }
    }

    /// Gives up an address whose lease is over, whatever the state.
    fn expire(&mut self, now: Instant) {
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
            State::New | State::Released | State::Done(_) => {}
        }
    }

    // ---- what follows ----

    /// The way in: with a lease at hand its verification, else a search. Without a carrier the search is silent, so that
    /// those who wait for `leasefail` get it in time.
    fn begin(&mut self, now: Instant, quest: Quest) {
        if !self.carrier() {
            self.note(Note::CarrierLost);
        }
        match quest.old.clone() {
            Some(old) if self.carrier() => self.reboot(now, old),
            Some(old) if old.used => self.enter(State::InitReboot { old }),
            Some(_) | None => self.acquire(now, quest),
        }
    }

    fn acquire(&mut self, now: Instant, quest: Quest) {
        if quest.failed && !self.carrier() {
            return self.enter(State::Init { quest, at: None, why: "link" });
        }
        let began = quest.began.unwrap_or(now);
        let quest = Quest { began: Some(began), ..quest };
        if self.carrier() {
            self.listen(Listen::Broadcast);
            self.note(Note::Discovering);
        }
        let x = Exchange { xid: self.random.bits32(), began, first: now, secs: 0, sent: 0, next: now };
        self.enter(State::Selecting { quest, x });
        self.discover(now);
    }

    fn reboot(&mut self, now: Instant, old: Held) {
        self.listen(Listen::Broadcast);
        self.note(Note::Verifying(old.lease.address()));
        let x = Exchange { xid: self.random.bits32(), began: now, first: now, secs: 0, sent: 0, next: now };
        self.enter(State::Rebooting { old, x });
        self.ask_reboot(now);
    }

    fn rest_then_acquire(&mut self, now: Instant, pause: Duration, why: &'static str) {
        if pause.is_zero() {
            self.acquire(now, Quest::default());
        } else {
            self.enter(State::Init { quest: Quest::default(), at: Some(now + pause), why });
        }
    }

    /// A round of tries ended. `x` is the running DISCOVER exchange, if it can go on.
    fn nobody_answered(&mut self, now: Instant, quest: Quest, x: Option<Exchange>) {
        if let Some(old) = quest.old.clone().filter(|o| self.carrier() && (o.used || self.config.use_unconfirmed)) {
            if !old.used {
                self.event(Event::Bound { lease: Rc::clone(&old.lease), replaces: false });
            }
            self.note_bound(now, &old.lease, true);
            return self.settle(now, old.lease);
        }
        self.note(Note::NobodyAnswered);
        self.event(Event::LeaseFail);
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
                self.enter(State::Selecting { quest, x });
                self.discover(now);
            }
            Some(_) | None => self.acquire(now, quest),
        }
    }

    fn bound(&mut self, now: Instant, lease: Rc<Lease>, old: Option<Held>) {
        self.naks = 0;
        self.ever_bound = true;
        self.event(match old.filter(|o| o.used) {
            Some(o) if o.lease.address() == lease.address() => Event::Renew(Rc::clone(&lease)),
            Some(_) => Event::Bound { lease: Rc::clone(&lease), replaces: true },
            None => Event::Bound { lease: Rc::clone(&lease), replaces: false },
        });
        self.out.push_back(Output::Save(Rc::clone(&lease)));
        self.note_bound(now, &lease, false);
        self.settle(now, lease);
        if self.config.exit_when_bound {
            self.stop_bound();
        }
    }

    /// `-q`: the script was told; what it set up stays, unless `-R` says to give it back.
    fn stop_bound(&mut self) {
        if self.config.release_on_exit {
            self.stop();
        } else {
            self.enter(State::Done(0));
        }
    }

    /// BOUND, RENEWING or REBINDING, whichever the time says.
    fn settle(&mut self, now: Instant, lease: Rc<Lease>) {
        match lease.term {
            Some(t) if t.rebind_at <= now => self.rebind_from(now, lease, false),
            Some(t) if t.renew_at <= now => self.extend_from(now, lease, None),
            Some(_) | None => self.enter(State::Bound { lease }),
        }
    }

    fn extend_from(&mut self, now: Instant, lease: Rc<Lease>, give_up: Option<Instant>) {
        self.note(Note::Renewing(lease.address()));
        let x = Exchange { xid: 0, began: now, first: now, secs: 0, sent: 0, next: now };
        self.enter(State::Renewing { lease, x, give_up });
        self.ask_extend(now);
    }

    fn rebind_from(&mut self, now: Instant, lease: Rc<Lease>, by_hand: bool) {
        self.note(Note::Rebinding(lease.address()));
        let x = Exchange { xid: 0, began: now, first: now, secs: 0, sent: 0, next: now };
        self.enter(State::Rebinding { lease, x, by_hand });
        self.ask_extend(now);
    }

    /// Whatever is in use goes, and nothing is remembered.
    fn drop_held(&mut self) {
        if self.state.held().is_some_and(|h| h.used) {
            self.event(Event::Deconfig);
        }
        self.out.push_back(Output::Forget);
    }

    // ---- messages ----

    /// The next DISCOVER; counted but not sent while there is no carrier.
    fn discover(&mut self, now: Instant) {
        let carrier = self.carrier();
        let State::Selecting { quest, x } = &mut self.state else { return };
        x.sent = x.sent.saturating_add(1);
        x.secs = elapsed(x.began, now);
        x.next = now + self.config.schedule.discover_gap(x.sent, &mut self.random);
        let request = Request { xid: x.xid, secs: x.secs, body: Body::Discover { wish: quest.wish } };
        if carrier {
            self.send(request, Via::Broadcast { from: Ipv4Addr::UNSPECIFIED });
        }
    }

    /// The next REQUEST for an offer, `secs` as in the DISCOVER (RFC 2131 §4.4.1).
    fn request(&mut self, now: Instant) {
        let State::Requesting { x, address, server, .. } = &mut self.state else { return };
        x.sent += 1;
        x.next = now + self.config.schedule.request_gap(x.sent, &mut self.random);
        let body = Body::Select { server: *server, address: *address };
        let request = Request { xid: x.xid, secs: x.secs, body };
        self.send(request, Via::Broadcast { from: Ipv4Addr::UNSPECIFIED });
    }

    /// The next REQUEST in REBOOTING.
    fn ask_reboot(&mut self, now: Instant) {
        let State::Rebooting { old, x } = &mut self.state else { return };
        x.sent += 1;
        x.secs = elapsed(x.began, now);
        x.next = now + schedule::reboot_gap(x.sent).unwrap_or_default();
        let request = Request { xid: x.xid, secs: x.secs, body: Body::Reboot { address: old.lease.address() } };
        self.send(request, Via::Broadcast { from: Ipv4Addr::UNSPECIFIED });
    }

    /// The next REQUEST in RENEWING or REBINDING. Each is a transaction of its own, so that an ACK tells which one it
    /// answers, and the lease counts from that.
    fn ask_extend(&mut self, now: Instant) {
        let xid = self.random.bits32();
        let (lease, x, end, all) = match &mut self.state {
            State::Renewing { lease, x, .. } => {
                let end = lease.term.map(|t| t.rebind_at);
                (Rc::clone(lease), x, end, false)
            }
            State::Rebinding { lease, x, .. } => {
                let end = lease.term.map(|t| t.expires_at);
                (Rc::clone(lease), x, end, true)
            }
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Released
            | State::Done(_) => return,
        };
        let left = end.map_or(NO_END, |e| e.since(now));
        x.xid = xid;
        x.first = now;
        x.sent = x.sent.saturating_add(1);
        x.secs = elapsed(x.began, now);
        x.next = now + schedule::extend_gap(left);
        let from = lease.address();
        let request = Request { xid, secs: x.secs, body: Body::Extend { address: from } };
        match lease.server.filter(|_| !all) {
            Some(to) => {
                self.listen(Listen::Unicast(from));
                self.send(request, Via::Unicast { from, to });
            }
            None => {
                self.listen(Listen::Broadcast);
                self.send(request, Via::Broadcast { from });
            }
        }
    }

    // ---- small things ----

    fn carrier(&self) -> bool {
        self.link.is_some_and(|l| l.carrier)
    }

    /// The only place where the state changes.
    fn enter(&mut self, state: State) {
        self.state = state;
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn note(&mut self, note: Note) {
        self.out.push_back(Output::Note(note));
    }

    fn note_bound(&mut self, now: Instant, lease: &Rc<Lease>, unconfirmed: bool) {
        let renew_in = lease.term.map(|t| t.renew_at.since(now));
        self.note(Note::Bound { lease: Rc::clone(lease), renew_in, unconfirmed });
    }

    fn send(&mut self, request: Request, via: Via) {
        self.out.push_back(Output::Send(request, via));
    }

    fn listen(&mut self, want: Listen) {
        if self.listen != want {
            self.listen = want;
            self.out.push_back(Output::Listen(want));
        }
    }

    /// Closes what the state no longer needs; last of all, because closing a packet socket waits for the kernel.
    fn listen_for_state(&mut self) {
        let needed = match &self.state {
            State::Requesting { .. }
            | State::Checking { .. }
            | State::Rebooting { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. } => true,
            State::Selecting { .. } => self.carrier(),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::InitReboot { .. }
            | State::Bound { .. }
            | State::Released
            | State::Done(_) => false,
        };
        if !needed {
            self.listen(Listen::Nothing);
        }
    }
}

/// Whole seconds from `began` to `now`, as the `secs` field has room.
fn elapsed(began: Instant, now: Instant) -> u16 {
    u16::try_from(now.since(began).as_secs()).unwrap_or(u16::MAX)
}
