//! Address conflict detection, RFC 5227: probes before an address is used, announcements when it is, its defence after.
//!
//! The times are the RFC's or, on links whose hosts answer in milliseconds, all of them shrunk by one factor.

use super::io::{Announcing, Arp, Event, Listen, Neighbour, Output, Via, Watch};
use super::note::Note;
use super::state::{Held, State};
use super::{Machine, schedule};
use crate::message::{Body, Request};
use core::time::Duration;
use netif::random::Random;
use std::net::Ipv4Addr;
use sys::clock::Instant;

// RFC 5227 §1.1, in its seconds.
const PROBE_WAIT: u32 = 1;
const PROBE_NUM: u8 = 3;
const PROBE_MIN: u32 = 1;
const PROBE_MAX: u32 = 2;
const ANNOUNCE_WAIT: u32 = 2;
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
const MAX_CONFLICTS: u32 = 10;
const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// The longest that probing takes: the first wait, two between three probes, and the last.
const LONGEST: u32 = PROBE_WAIT + 2 * PROBE_MAX + ANNOUNCE_WAIT;
/// The gateway is asked for its hardware address so often, a second apart.
const ASK_GATEWAY: u8 = 3;
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// Probes under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probing {
    left: u8,
    /// The next probe or, after the last, the address is ours.
    pub(super) at: Instant,
    /// What the RFC calls a second.
    second: Duration,
}

impl Probing {
    fn new(now: Instant, longest: Duration, random: &mut Random) -> Self {
        let second = longest / LONGEST;
        Self { left: PROBE_NUM, at: now + random.between(Duration::ZERO, second * PROBE_WAIT), second }
    }

    /// udhcpc's: one, at once, and all the time for an answer.
    fn single(now: Instant, whole: Duration) -> Self {
        Self { left: 1, at: now, second: whole / ANNOUNCE_WAIT }
    }

    /// Whether the time that has come is that of a probe, which then is the next; else the address is ours.
    fn step(&mut self, now: Instant, random: &mut Random) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.at = now
            + if self.left == 0 {
                self.second * ANNOUNCE_WAIT
            } else {
                random.between(self.second * PROBE_MIN, self.second * PROBE_MAX)
            };
        true
    }
}

/// Looks after an address in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    address: Ipv4Addr,
    since: Instant,
    announced: u8,
    announce_at: Option<Instant>,
    /// When it was defended last.
    defended: Option<Instant>,
    /// The gateway whose hardware address is not known yet.
    gateway: Option<Ipv4Addr>,
    asked: u8,
    ask_at: Option<Instant>,
}

impl Guard {
    pub(super) fn deadline(&self) -> (Option<Instant>, &'static str) {
        match (self.announce_at, self.ask_at) {
            (Some(a), Some(b)) if b < a => (Some(b), "gateway"),
            (Some(a), _) => (Some(a), "announcement"),
            (None, b) => (b, "gateway"),
        }
    }
}

/// RFC 5227 §2.4: what to do when somebody uses our address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defence {
    /// (a) Give it up at once.
    GiveUp,
    /// (b) Announce once, give up when it happens again within ten seconds.
    Once,
    /// (c) Never give up, announce at most every ten seconds.
    Always,
}

impl Machine {
    /// Whether anybody has the address that was just granted.
    pub(super) fn probing(&mut self, now: Instant, longest: Duration) -> Probing {
        if self.config.as_busybox {
            Probing::single(now, longest)
        } else {
            Probing::new(now, longest, &mut self.random)
        }
    }

    /// The time of a probe, or of the end of them. Whether one was sent.
    pub(super) fn probe(&mut self, now: Instant) -> bool {
        let State::Checking { lease, probing, .. } = &mut self.state else { return false };
        let address = lease.address();
        let due = probing.step(now, &mut self.random);
        if due {
            self.watch(Watch::About(address));
            self.out.push_back(Output::Arp(Announcing::Probe(address)));
        }
        due
    }

    /// Begins and ends the guard as the state has it. Last of all: the script knows of the address by now.
    pub(super) fn guard_for_state(&mut self, now: Instant) {
        let held = match &self.state {
            State::Bound { lease } | State::Renewing { lease, .. } | State::Rebinding { lease, .. }
                if self.carrier() =>
            {
                Some(lease.clone())
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
            | State::Renewing { .. }
            | State::Rebinding { .. }
            | State::Released { .. }
            | State::Done(_) => None,
        };
        let Some(lease) = held else {
            self.guard = None;
            return;
        };
        let address = lease.address();
        if self.guard.is_some_and(|g| g.address == address) {
            return;
        }
        let gateway = lease.gateway().filter(|g| self.config.verify_link && *g != address);
        if self.neighbour.is_some_and(|n| Some(n.address) != gateway) {
            self.neighbour = None;
        }
        let gateway = gateway.filter(|_| self.neighbour.is_none());
        self.guard = Some(Guard {
            address,
            since: now,
            announced: 0,
            announce_at: self.config.defend.is_some().then_some(now),
            defended: None,
            gateway,
            asked: 0,
            ask_at: gateway.is_some().then_some(now),
        });
        self.guard_time_out(now);
    }

    /// Announcements and questions whose time has come.
    pub(super) fn guard_time_out(&mut self, now: Instant) {
        let Some(mut guard) = self.guard else { return };
        self.watch_for_guard(&guard);
        if guard.announce_at.is_some_and(|at| at <= now) {
            self.out.push_back(Output::Arp(Announcing::Claim(guard.address)));
            guard.announced += 1;
            guard.announce_at = (guard.announced < ANNOUNCE_NUM).then_some(now + ANNOUNCE_INTERVAL);
        }
        if guard.ask_at.is_some_and(|at| at <= now) {
            if let Some(to) = guard.gateway.filter(|_| guard.asked < ASK_GATEWAY) {
                self.out.push_back(Output::Arp(Announcing::Ask { from: guard.address, to, mac: None }));
                guard.asked += 1;
                guard.ask_at = Some(now + ASK_INTERVAL);
            } else {
                // It does not answer ARP; there is nothing to recognise this link by.
                (guard.gateway, guard.ask_at) = (None, None);
                self.watch_for_guard(&guard);
            }
        }
        self.guard = Some(guard);
    }

    fn watch_for_guard(&mut self, guard: &Guard) {
        self.watch(match (guard.gateway, self.config.defend) {
            (Some(_), _) => Watch::About(guard.address),
            (None, Some(_)) => Watch::Claims(guard.address),
            (None, None) => Watch::Nothing,
        });
    }

    /// ARP while the address is in use: the gateway's answer, or somebody else with our address.
    pub(super) fn arp_in_use(&mut self, now: Instant, arp: Arp) {
        let Some(mut guard) = self.guard else { return };
        if Some(arp.sender) == guard.gateway && arp.target == guard.address {
            (guard.gateway, guard.ask_at) = (None, None);
            self.neighbour = Some(Neighbour { address: arp.sender, mac: arp.mac });
            self.guard = Some(guard);
            self.watch_for_guard(&guard);
            if let Some(Held { lease, .. }) = self.state.held() {
                self.out.push_back(Output::Save(lease, self.neighbour));
            }
        } else if arp.sender == guard.address
            && let Some(policy) = self.config.defend
        {
            let rested = guard.defended.is_none_or(|at| now.since(at) > DEFEND_INTERVAL);
            match policy {
                Defence::Once | Defence::Always if rested => {
                    self.note(Note::Defended { address: arp.sender, against: arp.mac });
                    self.out.push_back(Output::Arp(Announcing::Claim(guard.address)));
                    self.guard = Some(Guard { defended: Some(now), ..guard });
                }
                Defence::Always => {}
                Defence::GiveUp | Defence::Once => {
                    if now.since(guard.since) >= RATE_LIMIT_INTERVAL {
                        self.conflicts = 0;
                    }
                    self.decline(now, arp.mac);
                }
            }
        }
    }

    /// ARP while an address is probed for (RFC 5227 §2.1.1): anybody who sends from it, or probes for it as we do.
    pub(super) fn arp_in_check(&mut self, now: Instant, address: Ipv4Addr, arp: Arp) {
        if arp.sender == address || (arp.sender.is_unspecified() && arp.target == address) {
            self.decline(now, arp.mac);
        }
    }

    /// Somebody else has it: tells the server, and starts over after a pause.
    fn decline(&mut self, now: Instant, with: [u8; 6]) {
        let lease = match &self.state {
            State::Checking { lease, .. }
            | State::Bound { lease }
            | State::Renewing { lease, .. }
            | State::Rebinding { lease, .. } => lease.clone(),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Released { .. }
            | State::Done(_) => return,
        };
        let (address, server) = (lease.address(), lease.server);
        self.note(Note::Conflict { address, with });
        if self.state.held().is_some_and(|h| h.used) {
            self.event(Event::Deconfig);
        }
        self.listen(Listen::Broadcast);
        let body = Body::Decline { server, address };
        let (xid, secs) = self.farewell(now, &lease);
        let request = Request { xid, secs, broadcast: false, body };
        self.send(request, Via::Broadcast { from: Ipv4Addr::UNSPECIFIED });
        self.out.push_back(Output::Forget);
        self.neighbour = None;
        self.conflicts = self.conflicts.saturating_add(1);
        let pause = self.config.schedule.decline_pause(self.config.as_busybox);
        let pause = if self.conflicts < MAX_CONFLICTS { pause } else { pause.max(RATE_LIMIT_INTERVAL) };
        self.rest_then_acquire(now, pause, schedule::AFTER_CONFLICT);
    }
}
