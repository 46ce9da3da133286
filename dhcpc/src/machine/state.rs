//! The states of RFC 2131 figure 5, each with exactly the data that exists in it.

use super::attach::Attach;
use super::claim::Probing;
use super::policy::Offer;
use crate::lease::Lease;
use std::net::Ipv4Addr;
use std::rc::Rc;
use sys::clock::Instant;

/// Where the client is.
#[derive(Debug)]
pub(super) enum State {
    /// Before `Start`.
    New,
    /// The interface does not exist. The lease may hold when it returns.
    Absent { lease: Option<Rc<Lease>> },
    /// INIT: resting before the next DISCOVER; `at: None` until something happens.
    Init { quest: Quest, at: Option<Instant>, why: &'static str },
    /// SELECTING: DISCOVERs are out. An offer may be put by while a preferred server's is waited for.
    Selecting { quest: Quest, x: Exchange, put_by: Option<Offer> },
    /// REQUESTING: an offer was taken.
    Requesting { quest: Quest, x: Exchange, address: Ipv4Addr, server: Option<Ipv4Addr> },
    /// The server agreed; whether a neighbour does is being found out.
    Checking { quest: Quest, lease: Rc<Lease>, probing: Probing },
    /// INIT-REBOOT: a lease, and no link to verify it on.
    InitReboot { old: Held },
    /// REBOOTING: asking servers whether the lease holds here, and the gateway whether this is where it is from.
    Rebooting { old: Held, x: Exchange, attach: Attach },
    /// BOUND.
    Bound { lease: Rc<Lease> },
    /// RENEWING: asking our server. `give_up` is set when somebody asked for it by hand: rebind then already.
    Renewing { lease: Rc<Lease>, x: Exchange, give_up: Option<Instant> },
    /// REBINDING: asking any server.
    Rebinding { lease: Rc<Lease>, x: Exchange, by_hand: bool },
    /// Given back by USR2; waits for USR1, and then wishes for the same address.
    Released { wish: Option<Ipv4Addr> },
    /// The end.
    Done(u8),
}

/// A search for a lease, over all its rounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Quest {
    /// First DISCOVER, from which `secs` counts.
    pub(super) began: Option<Instant>,
    /// What to ask for.
    pub(super) wish: Option<Ipv4Addr>,
    /// A lease that nobody confirmed or refused here: good enough if no server shows up (RFC 2131 §3.2 (4)).
    pub(super) old: Option<Held>,
    /// A round has ended without an answer; without a carrier there is no point in another.
    pub(super) failed: bool,
}

/// A lease and whether its address is in use, that is, the script was told so.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) lease: Rc<Lease>,
    pub(super) used: bool,
}

/// One transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    pub(super) xid: u32,
    /// When the search or renewal it is part of began.
    pub(super) began: Instant,
    /// First message of it, from which a lease counts.
    pub(super) first: Instant,
    /// `secs` of the last message.
    pub(super) secs: u16,
    /// Messages sent.
    pub(super) sent: u32,
    /// Last message of it.
    pub(super) last: Instant,
    /// Whether it asked for an answer by broadcast.
    pub(super) broadcast: bool,
    /// When to send the next, or give up.
    pub(super) next: Instant,
}

impl Exchange {
    /// Nothing sent yet.
    pub(super) const fn new(xid: u32, began: Instant, now: Instant) -> Self {
        Self { xid, began, first: now, secs: 0, sent: 0, last: now, broadcast: false, next: now }
    }
}

impl State {
    /// The lease this state knows and whether its address is in use.
    pub(super) fn held(&self) -> Option<Held> {
        let used = |lease: &Rc<Lease>| Some(Held { lease: Rc::clone(lease), used: true });
        match self {
            Self::New | Self::Released { .. } | Self::Done(_) => None,
            Self::Absent { lease } => lease.as_ref().map(|l| Held { lease: Rc::clone(l), used: false }),
            Self::Init { quest, .. }
            | Self::Selecting { quest, .. }
            | Self::Requesting { quest, .. }
            | Self::Checking { quest, .. } => quest.old.clone(),
            Self::InitReboot { old } | Self::Rebooting { old, .. } => Some(old.clone()),
            Self::Bound { lease } | Self::Renewing { lease, .. } | Self::Rebinding { lease, .. } => used(lease),
        }
    }

    /// The next moment at which something has to be done, and its name. Expiry is apart, see [`super::Machine`].
    pub(super) fn deadline(&self) -> (Option<Instant>, &'static str) {
        match self {
            Self::New => (None, "start"),
            Self::Absent { .. } => (None, "interface"),
            Self::Init { at, why, .. } => (*at, why),
            Self::Selecting { x, put_by, .. } => (earlier(Some(x.next), put_by.map(|o| o.until)), "offer"),
            Self::Requesting { x, .. } => (Some(x.next), "ack"),
            Self::Rebooting { x, attach, .. } => (earlier(Some(x.next), attach.deadline()), "ack"),
            Self::Checking { probing, .. } => (Some(probing.at), "address check"),
            Self::InitReboot { .. } => (None, "link"),
            Self::Bound { lease } => (lease.term.map(|t| t.renew_at), "T1"),
            Self::Renewing { lease, x, give_up } => {
                let phase_end = earlier(lease.term.map(|t| t.rebind_at), *give_up);
                match phase_end {
                    Some(end) if end <= x.next => (Some(end), "T2"),
                    Some(_) | None => (Some(x.next), "renew again"),
                }
            }
            Self::Rebinding { x, .. } => (Some(x.next), "rebind again"),
            Self::Released { .. } => (None, "renew command"),
            Self::Done(_) => (None, "end"),
        }
    }
}

/// The earlier of two moments that may not exist.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, None) => a,
        (None, b) => b,
    }
}
