//! What servers and neighbours say: OFFER, ACK, NAK, and ARP while an address is checked.

use super::io::{Arp, Event, Listen, Output, Via};
use super::note::Note;
use super::state::{Exchange, Quest, State};
use super::{Machine, schedule};
use crate::lease::{Lease, is_host};
use crate::message::{Body, Reply, ReplyKind, Request, code};
use std::net::Ipv4Addr;
use std::rc::Rc;
use sys::clock::Instant;

impl Machine {
    pub(super) fn packet(&mut self, now: Instant, reply: Reply) {
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
    pub(super) fn arp(&mut self, now: Instant, arp: Arp) {
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
}
