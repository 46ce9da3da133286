//! The client of RFC 2131 as a pure machine: no socket, no clock, no file.
//!
//! [`Machine::handle`] tells it what happened, [`Machine::poll`] what it wants done, until [`Output::Wait`] or
//! [`Output::Done`]. What each state does with an input is in the file named after the input: `link`, `replies`, `commands`,
//! and time in `time`. `phases` leads from state to state, `requests` says what is sent in each, `schedule` when again;
//! `state` is what each remembers.
//!
//! Three promises hold in every state: nothing is sent while the link is down, an address is given up the moment its lease
//! is over, and every deadline that has come moves things on. `tests.rs` checks them over thousands of random histories.

mod attach;
mod claim;
mod commands;
mod io;
mod link;
mod note;
mod phases;
mod policy;
mod replies;
mod requests;
mod schedule;
mod state;
#[cfg(test)]
mod tests;
mod time;

pub use claim::Defence;
pub use io::{Announcing, Arp, Command, Config, Event, Ignored, Input, Link, Listen, Neighbour, Output, Via, Watch};
pub use note::Note;
pub use policy::{Policy, Unwanted};
pub use schedule::{RFC_FIRST, Schedule};

use crate::lease::Lease;
use crate::message::Request;
use crate::message::auth::Nonce;
use attach::Attach;
use claim::Guard;
use netif::random::Random;
use state::State;
use std::collections::VecDeque;
use std::rc::Rc;
use sys::clock::Instant;

/// One interface's client.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    random: Random,
    link: Option<Link>,
    state: State,
    listen: Listen,
    watch: Watch,
    /// While an address is in use and the link is up.
    guard: Option<Guard>,
    /// By which the link of the lease is recognised.
    neighbour: Option<Neighbour>,
    /// With which the server signs a FORCERENEW.
    nonce: Option<Nonce>,
    /// When the last search or renewal began.
    began: Instant,
    /// Addresses declined in a row.
    conflicts: u32,
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
            watch: Watch::Nothing,
            guard: None,
            neighbour: None,
            nonce: None,
            began: Instant::ZERO,
            conflicts: 0,
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
            Input::Start { link, remembered, neighbour, published } => {
                self.neighbour = neighbour;
                self.start(now, link, remembered, published);
            }
            Input::Link(link) => self.link_is(now, link),
            Input::Packet(reply) => self.packet(now, *reply),
            Input::Arp(arp) => self.arp(now, arp),
            Input::Woken => self.woken(now),
            Input::Timer => {}
            Input::Command(Command::Renew) => self.renew(now),
            Input::Command(Command::Release) => self.release(now),
            Input::Command(Command::Stop) => self.stop(now),
        }
        self.expire(now);
        while self.state.deadline().0.is_some_and(|at| at <= now) {
            self.time_out(now);
        }
        self.guard_for_state(now);
        while self.guard.is_some_and(|g| g.deadline().0.is_some_and(|at| at <= now)) {
            self.guard_time_out(now);
        }
        self.listen_for_state();
        self.watch_for_state();
    }

    /// What to do next. After [`Output::Wait`] or [`Output::Done`] there is nothing until the next [`Self::handle`].
    pub fn poll(&mut self) -> Output {
        if let Some(output) = self.out.pop_front() {
            return output;
        }
        if let State::Done(code) = self.state {
            return Output::Done(code);
        }
        let expiry = self.state.held().and_then(|h| h.lease.term).map(|t| t.expires_at);
        let guard = self.guard.map_or((None, ""), |g| g.deadline());
        let (mut at, mut why) = self.state.deadline();
        for (other, name) in [(expiry, "expiry"), guard] {
            if other.is_some_and(|o| at.is_none_or(|a| o < a)) {
                (at, why) = (other, name);
            }
        }
        Output::Wait(at, why)
    }

    /// The lease, while its address may be used.
    pub fn lease(&self) -> Option<Rc<Lease>> {
        self.state.held().filter(|h| h.used).map(|h| h.lease)
    }

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

    fn ignore(&mut self, why: Ignored) {
        self.out.push_back(Output::Ignored(why));
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

    fn watch(&mut self, want: Watch) {
        if self.watch != want {
            self.watch = want;
            self.out.push_back(Output::Watch(want));
        }
    }

    /// Stops hearing ARP that nobody needs.
    fn watch_for_state(&mut self) {
        let needed = match &self.state {
            State::Checking { .. } => true,
            State::Rebooting { attach, .. } => matches!(attach, Attach::Asking { .. }),
            State::Bound { .. } | State::Renewing { .. } | State::Rebinding { .. } => self.guard.is_some(),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::InitReboot { .. }
            | State::Released { .. }
            | State::Done(_) => false,
        };
        if !needed {
            self.watch(Watch::Nothing);
        }
    }

    /// Closes what the state no longer needs; last of all, because closing a packet socket waits for the kernel.
    fn listen_for_state(&mut self) {
        if let (State::Bound { lease }, true, true) = (&self.state, self.nonce.is_some(), self.carrier()) {
            let address = lease.address();
            return self.listen(Listen::Unicast(address));
        }
        let needed = match &self.state {
            State::Requesting { .. } | State::Rebooting { .. } | State::Renewing { .. } | State::Rebinding { .. } => {
                true
            }
            State::Selecting { .. } => self.carrier(),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Bound { .. }
            | State::Released { .. }
            | State::Done(_) => false,
        };
        if !needed {
            self.listen(Listen::Nothing);
        }
    }
}
