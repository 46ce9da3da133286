//! What the client says in each state, and when it will say it again.

use super::io::{Listen, Via};
use super::state::State;
use super::{Machine, schedule};
use crate::lease::Lease;
use crate::message::{Body, Request};
use core::time::Duration;
use std::net::Ipv4Addr;
use std::rc::Rc;
use sys::clock::Instant;

/// What "the rest of the lease" is taken to be when it has no end.
const NO_END: Duration = Duration::from_secs(86_400);

/// Every so manieth DISCOVER asks for answers by broadcast.
const FLAG_EVERY: u32 = 3;

impl Machine {
    /// The next DISCOVER; counted but not sent while there is no carrier.
    pub(super) fn discover(&mut self, now: Instant) {
        let carrier = self.carrier();
        let fallback = self.config.broadcast_fallback;
        let State::Selecting { quest, x, .. } = &mut self.state else { return };
        x.sent = x.sent.saturating_add(1);
        x.secs = elapsed(x.began, now);
        x.last = now;
        // Relays and access points that lose unicast to a host without an address; and some that lose the flagged ones.
        x.broadcast = fallback && x.sent.is_multiple_of(FLAG_EVERY);
        x.next = now + self.config.schedule.discover_gap(x.sent, &mut self.random);
        let body = Body::Discover { wish: quest.wish.filter(|_| !self.config.anonymous) };
        let request = Request { xid: x.xid, secs: x.secs, broadcast: x.broadcast, body };
        if carrier {
            self.send(request, Via::Broadcast { from: Ipv4Addr::UNSPECIFIED });
        }
    }

    /// The next REQUEST for an offer, `secs` as in the DISCOVER (RFC 2131 §4.4.1).
    pub(super) fn request(&mut self, now: Instant) {
        let State::Requesting { x, address, server, .. } = &mut self.state else { return };
        x.sent += 1;
        x.next = now + self.config.schedule.request_gap(x.sent, &mut self.random);
        let body = Body::Select { server: *server, address: *address };
        let request = Request { xid: x.xid, secs: x.secs, broadcast: x.broadcast, body };
        self.send(request, Via::Broadcast { from: Ipv4Addr::UNSPECIFIED });
    }

    /// The next REQUEST in REBOOTING.
    pub(super) fn ask_reboot(&mut self, now: Instant) {
        let State::Rebooting { old, x, .. } = &mut self.state else { return };
        x.sent += 1;
        x.secs = elapsed(x.began, now);
        x.next = now + schedule::reboot_gap(x.sent).unwrap_or_default();
        let body = Body::Reboot { address: old.lease.address() };
        let request = Request { xid: x.xid, secs: x.secs, broadcast: false, body };
        self.send(request, Via::Broadcast { from: Ipv4Addr::UNSPECIFIED });
    }

    /// The next REQUEST in RENEWING or REBINDING. Each is a transaction of its own, so that an ACK tells which one it
    /// answers, and the lease counts from that.
    pub(super) fn ask_extend(&mut self, now: Instant) {
        let fresh = self.random.bits32();
        let as_busybox = self.config.as_busybox;
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
            | State::Released { .. }
            | State::Done(_) => return,
        };
        let left = end.map_or(NO_END, |e| e.since(now));
        let xid = if as_busybox { lease.ack.xid } else { fresh };
        x.xid = xid;
        x.first = now;
        x.sent = x.sent.saturating_add(1);
        x.secs = elapsed(x.began, now);
        x.next = now + schedule::extend_gap(left);
        let from = lease.address();
        let request = Request { xid, secs: x.secs, broadcast: false, body: Body::Extend { address: from } };
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

    /// `xid` and `secs` of a DECLINE or RELEASE: a transaction of its own that has just begun (RFC 2131 table 5).
    pub(super) fn farewell(&mut self, now: Instant, lease: &Lease) -> (u32, u16) {
        if self.config.as_busybox { (lease.ack.xid, elapsed(self.began, now)) } else { (self.random.bits32(), 0) }
    }
}

/// Whole seconds from `began` to `now`, as the `secs` field has room.
fn elapsed(began: Instant, now: Instant) -> u16 {
    u16::try_from(now.since(began).as_secs()).unwrap_or(u16::MAX)
}
