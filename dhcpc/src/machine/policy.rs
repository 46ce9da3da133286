//! Whose offers are taken: what the administrator says about servers and leases, and what a network says about IPv4 (RFC 8925).

use super::Machine;
use super::io::{Event, Ignored};
use super::note::Note;
use super::state::{Exchange, Quest, State};
use crate::message::{Reply, ReplyKind, code};
use core::time::Duration;
use std::net::Ipv4Addr;
use sys::clock::Instant;

/// An offer that is good enough waits so long for one of a preferred server. Servers that ping first take a second.
const PREFER_WAIT: Duration = Duration::from_secs(2);
/// RFC 8925 §3.4, MIN_V6ONLY_WAIT.
const MIN_V6ONLY_WAIT: u32 = 300;
/// The timer of RFC 8925.
pub(super) const V6ONLY: &str = "a network with IPv6 only";

/// What the administrator says about servers and leases. By default everything is acceptable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Networks (address, prefix length) of servers that are not listened to at all.
    pub reject: Vec<(Ipv4Addr, u8)>,
    /// Servers that are waited for a little when others offer.
    pub prefer: Vec<Ipv4Addr>,
    /// Options without which an offer is not taken.
    pub require: Vec<u8>,
    /// Shortest lease taken, in seconds.
    pub min_lease: u32,
}

/// Why a reply is not for us, though it is addressed to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// A server that is not listened to.
    Rejected,
    /// Without this option.
    Lacks(u8),
    /// For so few seconds.
    Short(u32),
}

/// An offer put by while a better one may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) address: Ipv4Addr,
    pub(super) server: Option<Ipv4Addr>,
    pub(super) until: Instant,
}

impl Policy {
    /// Whether the reply may be used.
    pub fn judge(&self, reply: &Reply) -> Result<(), Unwanted> {
        let server = reply.options.address(code::SERVER_ID);
        let inside = |s: Ipv4Addr, (net, len): (Ipv4Addr, u8)| {
            let mask = u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0);
            (s.to_bits() ^ net.to_bits()) & mask == 0
        };
        if server.is_some_and(|s| self.reject.iter().any(|r| inside(s, *r))) {
            return Err(Unwanted::Rejected);
        }
        match reply.kind {
            ReplyKind::Nak | ReplyKind::ForceRenew => return Ok(()),
            ReplyKind::Offer | ReplyKind::Ack => {}
        }
        if let Some(missing) = self.require.iter().find(|c| reply.options.value(**c).is_none()) {
            return Err(Unwanted::Lacks(*missing));
        }
        match reply.options.u32(code::LEASE_TIME) {
            Some(secs) if secs < self.min_lease => Err(Unwanted::Short(secs)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether to wait for somebody better.
    fn prefers_others(&self, server: Option<Ipv4Addr>) -> bool {
        !self.prefer.is_empty() && !server.is_some_and(|s| self.prefer.contains(&s))
    }
}

impl Machine {
    /// Whether the reply is to be looked at. What holds a lease already is extended on any terms: less time is better than
    /// none.
    pub(super) fn wanted(&mut self, reply: &Reply) -> bool {
        let Err(why) = self.config.policy.judge(reply) else { return true };
        let holding = matches!(self.state, State::Renewing { .. } | State::Rebinding { .. });
        if why != Unwanted::Rejected && holding {
            return true;
        }
        self.note(Note::Unwanted { server: reply.options.address(code::SERVER_ID), why });
        self.ignore(Ignored::Policy);
        false
    }

    /// An acceptable offer came: takes it, or waits a little for one of a preferred server.
    pub(super) fn consider(&mut self, now: Instant, address: Ipv4Addr, server: Option<Ipv4Addr>) {
        if !self.config.policy.prefers_others(server) {
            return self.take(now, Offer { address, server, until: now });
        }
        if let State::Selecting { put_by: put_by @ None, .. } = &mut self.state {
            *put_by = Some(Offer { address, server, until: now + PREFER_WAIT });
        }
    }

    /// REQUESTING.
    pub(super) fn take(&mut self, now: Instant, Offer { address, server, .. }: Offer) {
        let State::Selecting { quest, x, .. } = &self.state else { return };
        let (quest, x) = (quest.clone(), Exchange { first: now, sent: 0, ..*x });
        self.note(Note::Requesting { address, server });
        self.enter(State::Requesting { quest, x, address, server });
        self.request(now);
    }

    /// RFC 2563 §2: no address, and no link-local one wanted either. Told once a search, which goes on.
    pub(super) fn no_autoconf(&mut self, reply: &Reply) -> bool {
        let refused = reply.address.is_unspecified() && reply.options.value(code::AUTOCONF) == Some(&[0]);
        let State::Selecting { quest, .. } = &mut self.state else { return false };
        if !refused || !self.config.autoconf {
            return false;
        }
        if !core::mem::replace(&mut quest.failed, true) {
            self.note(Note::NoAutoconf);
            self.event(Event::LeaseFail(Some(Box::new(reply.clone()))));
            if self.config.exit_without_lease && !self.ever_bound {
                self.enter(State::Done(1));
            }
        }
        true
    }

    /// RFC 8925 §3.2: the network does without IPv4 and says how long not to ask again. Only if we asked, and only when it
    /// says it properly.
    pub(super) fn v6_only(&mut self, now: Instant, reply: &Reply) -> bool {
        let Some(secs) = reply.options.u32(code::V6ONLY).filter(|_| self.config.v6_only) else { return false };
        let secs = secs.max(MIN_V6ONLY_WAIT);
        self.note(Note::V6Only(secs));
        self.drop_held();
        self.event(Event::LeaseFail(Some(Box::new(reply.clone()))));
        let at = Some(now + Duration::from_secs(u64::from(secs)));
        let over = self.config.exit_without_lease && !self.ever_bound;
        self.enter(if over { State::Done(1) } else { State::Init { quest: Quest::default(), at, why: V6ONLY } });
        true
    }
}
