//! One line per change of state, as the log shows it after the interface's name.

use super::policy::Unwanted;
use crate::lease::Lease;
use crate::message::Reply;
use crate::message::code;
use crate::options::text::printable;
use core::fmt;
use core::time::Duration;
use netif::Mac;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// For rounding.
const HALF_SECOND: Duration = Duration::from_millis(500);

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// SELECTING begins.
    Discovering,
    /// An offer was taken.
    Requesting {
        /// What was offered.
        address: Ipv4Addr,
        /// By whom.
        server: Option<Ipv4Addr>,
    },
    /// REBOOTING begins.
    Verifying(Ipv4Addr),
    /// The address is looked for on the link before it is used.
    Checking(Ipv4Addr),
    /// A lease.
    Bound {
        /// The lease.
        lease: Rc<Lease>,
        /// Until T1; none for a lease without end.
        renew_in: Option<Duration>,
        /// Nobody confirmed it, but it is not over.
        unconfirmed: bool,
    },
    /// The server wants us to renew.
    Forced(Option<Ipv4Addr>),
    /// T1, or told to.
    Renewing(Ipv4Addr),
    /// T2, or nobody answered when told to.
    Rebinding(Ipv4Addr),
    /// The lease is over.
    Expired(Ipv4Addr),
    /// A server said no.
    Refused {
        /// Who.
        server: Option<Ipv4Addr>,
        /// Its words, printable.
        message: String,
    },
    /// A round of tries for nothing.
    NobodyAnswered,
    /// Somebody else has it.
    Conflict {
        /// The address.
        address: Ipv4Addr,
        /// Whose hardware says so.
        with: [u8; 6],
    },
    /// Somebody else used it, and was told that it is ours.
    Defended {
        /// The address.
        address: Ipv4Addr,
        /// Whose hardware.
        against: [u8; 6],
    },
    /// The gateway is the one the lease came with.
    SameNetwork {
        /// The lease's address.
        address: Ipv4Addr,
        /// Who answered.
        gateway: Ipv4Addr,
    },
    /// A reply that the administrator does not want.
    Unwanted {
        /// Whose.
        server: Option<Ipv4Addr>,
        /// Why.
        why: Unwanted,
    },
    /// The network does without IPv4; not asked again for so many seconds.
    V6Only(u32),
    /// A server has no address for us, and wants no link-local one.
    NoAutoconf,
    /// USR2.
    Released,
    /// Link down.
    CarrierLost,
    /// The machine has slept.
    Woken,
    /// The interface is not there.
    Absent,
    /// The interface has another hardware address.
    NewMac([u8; 6]),
    /// An offer or ACK with an address that no host can have.
    BadAddress(Ipv4Addr),
}

impl Note {
    pub(super) fn refused(reply: &Reply) -> Self {
        let message = printable(reply.options.value(code::MESSAGE).unwrap_or_default());
        Self::Refused { server: reply.options.address(code::SERVER_ID), message }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = |f: &mut fmt::Formatter<'_>, server: Option<Ipv4Addr>| match server {
            Some(s) => write!(f, " from {s}"),
            None => Ok(()),
        };
        match self {
            Self::Discovering => f.write_str("looking for a server"),
            Self::Requesting { address, server } => {
                write!(f, "requesting {address}")?;
                from(f, *server)
            }
            Self::Verifying(address) => write!(f, "asking whether {address} is still ours"),
            Self::Checking(address) => write!(f, "checking that nobody uses {address}"),
            Self::Bound { lease, renew_in, unconfirmed } => {
                write!(f, "bound {}", lease.address())?;
                if let Some(len) = lease.prefix_len() {
                    write!(f, "/{len}")?;
                }
                from(f, lease.server)?;
                match renew_in {
                    // Milliseconds after the REQUEST, half an hour is still 1800 s.
                    Some(d) => write!(f, ", renew in {} s", (*d + HALF_SECOND).as_secs())?,
                    None => f.write_str(", for ever")?,
                }
                if *unconfirmed { f.write_str(" (unconfirmed: nobody answers)") } else { Ok(()) }
            }
            Self::Forced(server) => {
                f.write_str("told to renew")?;
                from(f, *server)
            }
            Self::Renewing(address) => write!(f, "renewing {address}"),
            Self::Rebinding(address) => write!(f, "rebinding {address}, asking any server"),
            Self::Expired(address) => write!(f, "lease of {address} is over"),
            Self::Refused { server, message } => {
                f.write_str("refused")?;
                if let Some(s) = server {
                    write!(f, " by {s}")?;
                }
                if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
            }
            Self::NobodyAnswered => f.write_str("no lease: nobody answered"),
            Self::Conflict { address, with } => write!(f, "declined {address}: in use by {}", Mac(*with)),
            Self::Defended { address, against } => write!(f, "defended {address} against {}", Mac(*against)),
            Self::SameNetwork { address, gateway } => write!(f, "kept {address}: {gateway} is the same gateway"),
            Self::Unwanted { server, why } => {
                f.write_str("not taken: a reply")?;
                from(f, *server)?;
                match why {
                    Unwanted::Rejected => f.write_str(", a rejected server"),
                    Unwanted::Lacks(code) => write!(f, " without option {code}"),
                    Unwanted::Short(secs) => write!(f, " for {secs} s only"),
                }
            }
            Self::V6Only(secs) => write!(f, "the network wants no IPv4, asking again in {secs} s"),
            Self::NoAutoconf => f.write_str("no address here, and no link-local one wanted"),
            Self::Released => f.write_str("released, waiting to be told to renew"),
            Self::Woken => f.write_str("back from sleep, looking around"),
            Self::CarrierLost => f.write_str("link is down, waiting for it"),
            Self::Absent => f.write_str("no such interface, waiting for it"),
            Self::NewMac(mac) => write!(f, "hardware address is now {}, starting over", Mac(*mac)),
            Self::BadAddress(address) => write!(f, "ignored a server that gives {address}"),
        }
    }
}
