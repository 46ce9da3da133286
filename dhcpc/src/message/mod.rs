//! DHCP messages: bytes to meaning and back (RFC 2131 §2, RFC 2132).
//!
//! [`Request`] is what the machine wants to say, [`encode`] writes it; [`decode`] reads what servers say into a [`Reply`].
//! Nothing here decides anything, and no byte from the network can make it panic or allocate more than the packet's size.

pub mod auth;
mod decode;
mod encode;
#[cfg(test)]
pub(crate) mod fixture;
pub mod name;
#[cfg(test)]
mod tests;

pub use decode::{Expect, Options, Refused, Reply, ReplyKind, decode};
pub use encode::{ClientId, Profile, encode};
use std::net::Ipv4Addr;

/// Where the client listens (RFC 2131 §4.1).
pub const CLIENT_PORT: u16 = 68;
/// Where servers and relays listen.
pub const SERVER_PORT: u16 = 67;

/// Option codes this client acts on. The whole list with names and formats is [`crate::options::TABLE`].
pub mod code {
    #![allow(missing_docs, reason = "the names are those of RFC 2132 and the RFC beside each")]
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN: u8 = 15;
    pub const MTU: u8 = 26;
    pub const BROADCAST: u8 = 28;
    pub const STATIC_ROUTES: u8 = 33;
    pub const NTP: u8 = 42;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_SIZE: u8 = 57;
    pub const T1: u8 = 58;
    pub const T2: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    /// RFC 4039.
    pub const RAPID_COMMIT: u8 = 80;
    /// RFC 4702.
    pub const FQDN: u8 = 81;
    /// RFC 3118.
    pub const AUTHENTICATION: u8 = 90;
    /// RFC 4833.
    pub const TIME_ZONE_NAME: u8 = 101;
    /// RFC 8925.
    pub const V6ONLY: u8 = 108;
    /// RFC 8910.
    pub const CAPTIVE_PORTAL: u8 = 114;
    /// RFC 2563.
    pub const AUTOCONF: u8 = 116;
    /// RFC 3397.
    pub const SEARCH: u8 = 119;
    /// RFC 3442.
    pub const CLASSLESS_ROUTES: u8 = 121;
    /// RFC 6704.
    pub const FORCERENEW_NONCE: u8 = 145;
    /// RFC 9463.
    pub const RESOLVERS: u8 = 162;
    /// RFC 3442 as Microsoft numbered it before the RFC.
    pub const MS_CLASSLESS_ROUTES: u8 = 249;
}

/// One message to a server: what it is about. [`Profile`] adds what every message of this client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Transaction id; the answer carries the same.
    pub xid: u32,
    /// Seconds since the client began to acquire or renew.
    pub secs: u16,
    /// Ask for the answer by broadcast, where that makes sense.
    pub broadcast: bool,
    /// Purpose and addresses.
    pub body: Body,
}

/// The seven things a client says, each with the addresses RFC 2131 wants in it (tables 4 and 5, see [`encode`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Who is there? `wish` is an address we once had.
    Discover {
        /// Goes into option 50.
        wish: Option<Ipv4Addr>,
    },
    /// REQUEST in SELECTING: this server's offer is taken.
    Select {
        /// The chosen server.
        server: Option<Ipv4Addr>,
        /// What it offered.
        address: Ipv4Addr,
    },
    /// REQUEST in INIT-REBOOT: is this address still mine here?
    Reboot {
        /// The remembered address.
        address: Ipv4Addr,
    },
    /// REQUEST in RENEWING or REBINDING (they differ only in where it is sent).
    Extend {
        /// The address in use.
        address: Ipv4Addr,
    },
    /// Somebody else uses it.
    Decline {
        /// Who gave it.
        server: Option<Ipv4Addr>,
        /// What it gave.
        address: Ipv4Addr,
    },
    /// We no longer use it.
    Release {
        /// Who gave it.
        server: Ipv4Addr,
        /// The address in use.
        address: Ipv4Addr,
    },
}

impl Body {
    /// The word for the log.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Discover { .. } => "discover",
            Self::Select { .. } | Self::Reboot { .. } | Self::Extend { .. } => "request",
            Self::Decline { .. } => "decline",
            Self::Release { .. } => "release",
        }
    }
}
