//! What servers and neighbours say: OFFER, ACK, NAK, and ARP while an address is checked.

use super::attach::Attach;
use super::io::{Arp, Event, Ignored, Watch};
use super::note::Note;
use super::state::{Exchange, Quest, State};
use super::{Machine, schedule};
use crate::lease::{Lease, is_host};
use crate::message::{Reply, ReplyKind, code};
use std::rc::Rc;
use sys::clock::Instant;

impl Machine {
    pub(super) fn packet(&mut self, now: Instant, reply: Reply) {
        if !self.carrier() {
            return self.ignore(Ignored::NoLink);
        }
        match reply.kind {
            ReplyKind::Offer => self.offer(now, &reply),
            ReplyKind::Ack => self.ack(now, reply),
            ReplyKind::Nak => self.nak(now, reply),
            ReplyKind::ForceRenew => self.forced(now, &reply),
        }
    }

    /// The first acceptable offer wins, or the first of a preferred server.
    fn offer(&mut self, now: Instant, reply: &Reply) {
        match &self.state {
            State::Selecting { x, .. } if x.xid == reply.xid => {
                if !self.wanted(reply) || self.v6_only(now, reply) || self.no_autoconf(reply) {
                    return;
                }
                if !is_host(reply.address) {
                    self.ignore(Ignored::Address);
                    return self.note(Note::BadAddress(reply.address));
                }
                let server = reply.options.address(code::SERVER_ID).filter(|s| is_host(*s));
                self.consider(now, reply.address, server);
            }
            State::Selecting { .. } => self.ignore(Ignored::Xid),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Requesting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Rebooting { .. }
            | State::Bound { .. }
            | State::Renewing { .. }
            | State::Rebinding { .. }
            | State::Released { .. }
            | State::Done(_) => self.ignore(Ignored::State),
        }
    }

    fn ack(&mut self, now: Instant, reply: Reply) {
        // Whether the address was in use on this very link until now.
        let (x, server, quest, here) = match &self.state {
            State::Selecting { quest, x, .. }
                if self.config.rapid_commit && reply.options.value(code::RAPID_COMMIT).is_some() =>
            {
                (Exchange { first: x.last, ..*x }, None, quest.clone(), false)
            }
            State::Requesting { quest, x, server, .. } => (*x, *server, quest.clone(), false),
            State::Rebooting { old, x, attach } => {
                let here = matches!(attach, Attach::Same);
                (*x, None, Quest { old: Some(old.clone()), ..Quest::default() }, here)
            }
            State::Renewing { lease, x, .. } => {
                (*x, lease.server, Quest { old: self.state.held(), ..Quest::default() }, true)
            }
            State::Rebinding { x, .. } => (*x, None, Quest { old: self.state.held(), ..Quest::default() }, true),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Checking { .. }
            | State::InitReboot { .. }
            | State::Bound { .. }
            | State::Released { .. }
            | State::Done(_) => return self.ignore(Ignored::State),
        };
        if x.xid != reply.xid {
            return self.ignore(Ignored::Xid);
        }
        if !self.wanted(&reply) {
            return;
        }
        // Of a first acquaintance only; a lease in use is not given up for it.
        let first = matches!(self.state, State::Rebooting { .. } | State::Selecting { .. });
        if first && self.v6_only(now, &reply) {
            return;
        }
        let address = reply.address;
        let Ok(lease) = Lease::new(reply, server, x.first) else {
            self.ignore(Ignored::Address);
            return self.note(Note::BadAddress(address));
        };
        let lease = if self.config.server_times { lease } else { lease.default_times(x.first) };
        if lease.is_over(now) {
            // The answer took longer than the lease lasts.
            return self.ignore(Ignored::Late);
        }
        let lease = Rc::new(lease);
        let known = here && quest.old.as_ref().is_some_and(|o| o.used && o.lease.address() == address);
        match self.config.check {
            Some(longest) if !known => {
                self.note(Note::Checking(address));
                let probing = self.probing(now, longest);
                self.watch(Watch::About(address));
                self.enter(State::Checking { quest, lease, probing });
            }
            Some(_) | None => self.bound(now, &lease, quest.old),
        }
    }

    /// RFC 6704: only in BOUND, only of our server, only signed with its nonce.
    fn forced(&mut self, now: Instant, reply: &Reply) {
        match (&self.state, &mut self.nonce) {
            (State::Bound { lease }, Some(nonce)) => {
                let lease = Rc::clone(lease);
                let by = reply.options.address(code::SERVER_ID);
                if by != lease.server || !nonce.accepts(&reply.raw) {
                    return self.ignore(Ignored::Unsigned);
                }
                self.note(Note::Forced(by));
                self.extend_from(now, lease, None);
            }
            (State::Bound { .. }, None)
            | (
                State::New
                | State::Absent { .. }
                | State::Init { .. }
                | State::Selecting { .. }
                | State::Requesting { .. }
                | State::Checking { .. }
                | State::InitReboot { .. }
                | State::Rebooting { .. }
                | State::Renewing { .. }
                | State::Rebinding { .. }
                | State::Released { .. }
                | State::Done(_),
                _,
            ) => self.ignore(Ignored::Unsigned),
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
            | State::Released { .. }
            | State::Done(_) => return self.ignore(Ignored::State),
        };
        let by = reply.options.address(code::SERVER_ID);
        if xid != reply.xid {
            return self.ignore(Ignored::Xid);
        }
        if chosen.is_some() && by != chosen {
            return self.ignore(Ignored::Server);
        }
        if !self.wanted(&reply) {
            return;
        }
        self.note(Note::refused(&reply));
        self.event(Event::Nak(Box::new(reply)));
        self.drop_held();
        self.naks = self.naks.saturating_add(1);
        let pause = schedule::nak_pause(self.naks);
        let pause = if self.config.as_busybox { pause.max(schedule::BUSYBOX_NAK_PAUSE) } else { pause };
        self.rest_then_acquire(now, pause, "pause after NAK");
    }

    pub(super) fn arp(&mut self, now: Instant, arp: Arp) {
        // Our own frames come back on hubs and bridges.
        if self.link.is_none_or(|l| l.mac == arp.mac || !l.carrier) {
            return;
        }
        match &self.state {
            State::Checking { lease, .. } => {
                let address = lease.address();
                self.arp_in_check(now, address, arp);
            }
            State::Rebooting { .. } => self.arp_in_reboot(now, arp),
            State::Bound { .. } | State::Renewing { .. } | State::Rebinding { .. } => self.arp_in_use(now, arp),
            State::New
            | State::Absent { .. }
            | State::Init { .. }
            | State::Selecting { .. }
            | State::Requesting { .. }
            | State::InitReboot { .. }
            | State::Released { .. }
            | State::Done(_) => {}
        }
    }
}
