//! Detecting network attachment, RFC 4436: a lease is known to hold on this link when the gateway of it answers with the
//! hardware address it had. Asked beside INIT-REBOOT; the first answer counts, and a server's word over the gateway's.

use super::Machine;
use super::io::{Announcing, Arp, Event, Neighbour, Output, Watch};
use super::note::Note;
use super::state::{Held, State};
use core::time::Duration;
use std::rc::Rc;
use sys::clock::Instant;

/// RFC 4436 §2.1: at most two retransmissions, at most one a second.
const TRIES: u8 = 3;
const INTERVAL: Duration = Duration::from_secs(1);

/// A question to the gateway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attach {
    /// Nothing to recognise the link by, or no answer.
    Unknown,
    /// Asked `sent` times.
    Asking { neighbour: Neighbour, sent: u8, next: Instant },
    /// It answered: this is the network the lease is from.
    Same,
}

impl Attach {
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Unknown | Self::Same => None,
            Self::Asking { next, .. } => Some(*next),
        }
    }
}

impl Machine {
    /// How REBOOTING begins.
    pub(super) fn attach(&self, now: Instant) -> Attach {
        match self.neighbour.filter(|_| self.config.verify_link) {
            Some(neighbour) => Attach::Asking { neighbour, sent: 0, next: now },
            None => Attach::Unknown,
        }
    }

    /// The next question, if its time has come.
    pub(super) fn ask_neighbour(&mut self, now: Instant) {
        let State::Rebooting { old, attach, .. } = &mut self.state else { return };
        let Attach::Asking { neighbour, sent, next } = attach else { return };
        if *next > now {
            return;
        }
        let (from, to) = (old.lease.address(), *neighbour);
        if *sent == TRIES {
            *attach = Attach::Unknown;
            return;
        }
        *sent += 1;
        *next = now + INTERVAL;
        self.watch(Watch::About(from));
        self.out.push_back(Output::Arp(Announcing::Ask { from, to: to.address, mac: Some(to.mac) }));
    }

    /// ARP in REBOOTING: the gateway is the one we know. One that has the same address and another hardware is no proof of
    /// anything; the server will tell.
    pub(super) fn arp_in_reboot(&mut self, now: Instant, arp: Arp) {
        let State::Rebooting { old, attach, .. } = &mut self.state else { return };
        let Attach::Asking { neighbour, .. } = *attach else { return };
        if (neighbour != Neighbour { address: arp.sender, mac: arp.mac }) || arp.target != old.lease.address() {
            return;
        }
        *attach = Attach::Same;
        let lease = Rc::clone(&old.lease);
        let used = core::mem::replace(old, Held { lease: Rc::clone(&lease), used: true }).used;
        self.note(Note::SameNetwork { address: lease.address(), gateway: neighbour.address });
        self.event(if used { Event::Renew(lease) } else { Event::Bound { lease, replaces: false } });
        self.ever_bound = true;
        if self.config.exit_when_bound {
            self.stop_bound(now);
        }
    }
}
