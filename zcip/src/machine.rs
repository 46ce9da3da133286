//! The IPv4 link-local machine: RFC 3927, section 2, with the constants of section 9.
//!
//! It picks a candidate, probes for it, announces it and defends it. It is told the time, the carrier and every ARP packet of
//! the link, and asks for frames to be sent and for the address to be set or taken away. Nothing here reads a clock, a
//! socket or a file; randomness comes from two seeded generators: the addresses' one is seeded with the hardware address
//! (section 2.1: one host repeats its choice, two hosts differ), the timers' one by the driver.

use core::time::Duration;
use netif::Mac;
use netif::frame::{Arp, ArpOp};
use netif::random::Random;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use sys::clock::Instant;

mod io;
#[cfg(test)]
mod tests;

pub use io::{Frame, Input, Net, Note, Output, Settings};

/// Initial random delay, 0 to this.
pub const PROBE_WAIT: Duration = Duration::from_secs(1);
/// Probes sent.
pub const PROBE_NUM: u8 = 3;
/// Shortest gap between two probes.
pub const PROBE_MIN: Duration = Duration::from_secs(1);
/// Longest gap between two probes.
pub const PROBE_MAX: Duration = Duration::from_secs(2);
/// From the last probe to the first announcement.
pub const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);
/// Announcements sent.
pub const ANNOUNCE_NUM: u8 = 2;
/// Gap between two announcements.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// Conflicts before candidates are rationed.
pub const MAX_CONFLICTS: u32 = 10;
/// The ration: one candidate in so long.
pub const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);
/// An address is defended at most once in so long.
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Not the RFC's: our broadcast answers to requests for our address, at most one in so long. One reaches everybody.
pub const REPLY_INTERVAL: Duration = Duration::from_secs(1);

/// The machine.
#[derive(Debug)]
pub struct Machine {
    mac: Mac,
    net: Net,
    quit: bool,
    /// The addresses' generator.
    addresses: Random,
    /// The timers' generator.
    timing: Random,
    /// What to try when the carrier comes.
    next: Ipv4Addr,
    /// Conflicts on this link since an address was held for [`RATE_LIMIT_INTERVAL`].
    conflicts: u32,
    state: State,
    out: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No carrier, or not to be used.
    Idle,
    /// After too many conflicts; probing begins at `at`.
    RateLimited {
        candidate: Ipv4Addr,
        at: Instant,
    },
    /// `sent` probes are out; at `at` the next one is due or, after the last, the wait for conflicts is over.
    Probing {
        candidate: Ipv4Addr,
        sent: u8,
        at: Instant,
    },
    /// The address is in use; `sent` announcements are out.
    Announcing {
        claim: Claim,
        sent: u8,
        at: Instant,
    },
    /// Claimed and announced.
    Bound {
        claim: Claim,
    },
    Done,
}

/// An address of ours.
#[derive(Clone, Copy, Debug)]
struct Claim {
    address: Ipv4Addr,
    since: Instant,
    /// The conflict we answered last.
    conflict: Option<Instant>,
    /// Our last answer to a request.
    replied: Option<Instant>,
}

impl Machine {
    /// A machine that waits for the carrier.
    pub fn new(settings: Settings) -> Self {
        let Settings { mac, net, first, quit, seed } = settings;
        let [a, b, c, d, e, f] = mac.0;
        let mut addresses = Random::new(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        let next = first.filter(|&ip| net.allows(ip)).unwrap_or_else(|| net.pick(&mut addresses));
        Self {
            mac,
            net,
            quit,
            addresses,
            timing: Random::new(seed),
            next,
            conflicts: 0,
            state: State::Idle,
            out: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::LinkUp => self.link_up(now),
            Input::LinkDown if self.leave() => self.note(Note::NoCarrier),
            Input::LinkDown => {}
            Input::Forbidden => _ = self.leave(),
            Input::Arp(arp) => self.arp(now, arp),
            Input::Stop => self.stop(),
            Input::Timeout => {}
        }
        self.timers(now);
    }

    /// The next thing to do; call until it says `Wait` or `Done`.
    pub fn poll(&mut self) -> Output {
        self.out.pop_front().unwrap_or(match self.state {
            State::Idle => Output::Wait(None, "link"),
            State::RateLimited { at, .. } => Output::Wait(Some(at), "RATE_LIMIT_INTERVAL"),
            State::Probing { sent: 0, at, .. } => Output::Wait(Some(at), "PROBE_WAIT"),
            State::Probing { sent: PROBE_NUM, at, .. } => Output::Wait(Some(at), "ANNOUNCE_WAIT"),
            State::Probing { at, .. } => Output::Wait(Some(at), "probe gap"),
            State::Announcing { at, .. } => Output::Wait(Some(at), "ANNOUNCE_INTERVAL"),
            State::Bound { .. } => Output::Wait(None, "conflict"),
            State::Done => Output::Done,
        })
    }

    /// The one address whose ARP packets matter now.
    pub const fn watched(&self) -> Option<Ipv4Addr> {
        match self.state {
            State::Probing { candidate, .. } => Some(candidate),
            State::Announcing { claim, .. } | State::Bound { claim } => Some(claim.address),
            State::Idle | State::RateLimited { .. } | State::Done => None,
        }
    }

    /// Section 2.2: an interface that becomes active knows nothing of the link, so a former address is probed like a new one.
    fn link_up(&mut self, now: Instant) {
        match self.state {
            State::Idle => {
                self.conflicts = 0;
                self.probe(now, self.next);
            }
            State::RateLimited { .. }
            | State::Probing { .. }
            | State::Announcing { .. }
            | State::Bound { .. }
            | State::Done => {}
        }
    }

    /// Gives up what it has or wants; whether there was something.
    fn leave(&mut self) -> bool {
        match self.state {
            State::Idle | State::Done => return false,
            State::RateLimited { candidate, .. } | State::Probing { candidate, .. } => self.next = candidate,
            State::Announcing { claim, .. } | State::Bound { claim } => {
                self.next = claim.address;
                self.out.push_back(Output::Deconfig(claim.address));
            }
        }
        self.state = State::Idle;
        true
    }

    fn stop(&mut self) {
        match self.state {
            State::Announcing { claim, .. } | State::Bound { claim } => {
                self.out.push_back(Output::Deconfig(claim.address));
            }
            State::Idle | State::RateLimited { .. } | State::Probing { .. } | State::Done => {}
        }
        self.state = State::Done;
    }

    fn arp(&mut self, now: Instant, arp: Arp) {
        // Our own frames come back on hubs and bridges (T-LL5).
        if arp.sha == self.mac {
            return;
        }
        match self.state {
            State::Idle | State::RateLimited { .. } | State::Done => {}
            // Section 2.2.1: somebody has it, or probes for it as we do.
            State::Probing { candidate, .. } => {
                if arp.spa == candidate || (is_probe(arp) && arp.tpa == candidate) {
                    self.note(Note::Conflict(candidate, arp.sha));
                    self.next_candidate(now);
                }
            }
            State::Announcing { claim, sent, at } => {
                if let Some(claim) = self.in_use(now, claim, arp) {
                    self.state = State::Announcing { claim, sent, at };
                }
            }
            State::Bound { claim } => {
                if let Some(claim) = self.in_use(now, claim, arp) {
                    self.state = State::Bound { claim };
                }
            }
        }
    }

    /// Section 2.5, behaviour (b): defend once, give up at the second conflict within [`DEFEND_INTERVAL`]. None: given up.
    fn in_use(&mut self, now: Instant, claim: Claim, arp: Arp) -> Option<Claim> {
        if arp.spa == claim.address {
            if claim.conflict.is_some_and(|before| now.since(before) <= DEFEND_INTERVAL) {
                self.note(Note::Conflict(claim.address, arp.sha));
                self.out.push_back(Output::Deconfig(claim.address));
                if now.since(claim.since) >= RATE_LIMIT_INTERVAL {
                    self.conflicts = 0;
                }
                self.next_candidate(now);
                return None;
            }
            self.note(Note::Defending(claim.address, arp.sha));
            self.out.push_back(Output::Send(Frame::Announce(claim.address)));
            return Some(Claim { conflict: Some(now), ..claim });
        }
        // The kernel answers by unicast once the address is set; section 2.5 wants broadcast, and an answer at once.
        let rested = claim.replied.is_none_or(|before| now.since(before) >= REPLY_INTERVAL);
        if arp.op == ArpOp::Request && arp.tpa == claim.address && rested {
            self.out.push_back(Output::Send(Frame::Reply(claim.address, (arp.sha, arp.spa))));
            return Some(Claim { replied: Some(now), ..claim });
        }
        Some(claim)
    }

    /// After a conflict.
    fn next_candidate(&mut self, now: Instant) {
        self.conflicts = self.conflicts.saturating_add(1);
        let candidate = self.net.pick(&mut self.addresses);
        if self.conflicts < MAX_CONFLICTS {
            self.probe(now, candidate);
        } else {
            self.note(Note::RateLimited);
            self.state = State::RateLimited { candidate, at: now + RATE_LIMIT_INTERVAL };
        }
    }

    fn probe(&mut self, now: Instant, candidate: Ipv4Addr) {
        self.note(Note::Probing(candidate));
        let at = now + self.timing.between(Duration::ZERO, PROBE_WAIT);
        self.state = State::Probing { candidate, sent: 0, at };
    }

    fn timers(&mut self, now: Instant) {
        match self.state {
            State::RateLimited { candidate, at } if at <= now => self.probe(now, candidate),
            State::Probing { candidate, sent: PROBE_NUM, at } if at <= now => {
                let claim = Claim { address: candidate, since: now, conflict: None, replied: None };
                // Usable from here on (RFC 5227 section 2.3).
                self.out.push_back(Output::Send(Frame::Announce(candidate)));
                self.out.push_back(Output::Config(candidate));
                self.state = State::Announcing { claim, sent: 1, at: now + ANNOUNCE_INTERVAL };
            }
            State::Probing { candidate, sent, at } if at <= now => {
                self.out.push_back(Output::Send(Frame::Probe(candidate)));
                let sent = sent + 1;
                let gap = if sent == PROBE_NUM { ANNOUNCE_WAIT } else { self.timing.between(PROBE_MIN, PROBE_MAX) };
                self.state = State::Probing { candidate, sent, at: now + gap };
            }
            State::Announcing { claim, sent, at } if at <= now => {
                self.out.push_back(Output::Send(Frame::Announce(claim.address)));
                self.state = match (sent + 1 < ANNOUNCE_NUM, self.quit) {
                    (true, _) => State::Announcing { claim, sent: sent + 1, at: now + ANNOUNCE_INTERVAL },
                    (false, true) => State::Done,
                    (false, false) => State::Bound { claim },
                };
            }
            State::Idle
            | State::RateLimited { .. }
            | State::Probing { .. }
            | State::Announcing { .. }
            | State::Bound { .. }
            | State::Done => {}
        }
    }

    fn note(&mut self, note: Note) {
        self.out.push_back(Output::Note(note));
    }
}

/// Section 1.3: a request with an all-zero sender address.
const fn is_probe(arp: Arp) -> bool {
    matches!(arp.op, ArpOp::Request) && arp.spa.is_unspecified()
}
