//! What goes into the link-local machine and what comes out.

use netif::Mac;
use netif::frame::{Arp, ArpOp};
use netif::random::Random;
use std::net::Ipv4Addr;
use sys::clock::Instant;

/// The /16 addresses are chosen from, RFC 3927's or another (`-l`). Its first and last 256 addresses are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net([u8; 2]);

impl Net {
    /// 169.254.0.0/16.
    pub const LINK_LOCAL: Self = Self([169, 254]);

    /// None unless the low 16 bits are zero and the high ones name unicast hosts.
    pub const fn new(net: Ipv4Addr) -> Option<Self> {
        match net.octets() {
            [a @ (1..=126 | 128..=223), b, 0, 0] => Some(Self([a, b])),
            _ => None,
        }
    }

    /// Whether a host may choose `ip`.
    pub const fn allows(self, ip: Ipv4Addr) -> bool {
        let [a, b, c, _] = ip.octets();
        a == self.0[0] && b == self.0[1] && c >= 1 && c <= 254
    }

    /// Uniform over what [`Self::allows`] (section 2.1).
    pub(super) fn pick(self, random: &mut Random) -> Ipv4Addr {
        let base = u32::from_be_bytes([self.0[0], self.0[1], 1, 0]);
        // 254 * 256 addresses: below 2^32.
        Ipv4Addr::from_bits(base + random.below(254 * 256) as u32)
    }
}

/// What is asked and remembered at start.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Our hardware address.
    pub mac: Mac,
    /// Where addresses come from.
    pub net: Net,
    /// Tried first: `-r`, or the last good one.
    pub first: Option<Ipv4Addr>,
    /// `-q`: done when the address is claimed and announced.
    pub quit: bool,
    /// Seed of the timers.
    pub seed: u64,
}

/// What the world tells the machine.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// The carrier is there.
    LinkUp,
    /// It is gone.
    LinkDown,
    /// No link-local address may be had on this link (RFC 2563). `LinkUp` ends it.
    Forbidden,
    /// An ARP packet came in.
    Arp(Arp),
    /// TERM.
    Stop,
    /// The time asked for by `Wait` has come.
    Timeout,
}

/// A frame to send, to the broadcast address whatever it is (section 2.5, last paragraph).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// ARP request for the candidate, from nobody.
    Probe(Ipv4Addr),
    /// ARP request for our own address.
    Announce(Ipv4Addr),
    /// From our address to this one.
    Reply(Ipv4Addr, (Mac, Ipv4Addr)),
}

impl Frame {
    /// The packet, sent from `mac`.
    pub const fn arp(self, mac: Mac) -> Arp {
        match self {
            Self::Probe(ip) => {
                Arp { op: ArpOp::Request, sha: mac, spa: Ipv4Addr::UNSPECIFIED, tha: Mac::ZERO, tpa: ip }
            }
            Self::Announce(ip) => Arp { op: ArpOp::Request, sha: mac, spa: ip, tha: Mac::ZERO, tpa: ip },
            Self::Reply(ip, (tha, tpa)) => Arp { op: ArpOp::Reply, sha: mac, spa: ip, tha, tpa },
        }
    }
}

/// What the log hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Probing begins.
    Probing(Ipv4Addr),
    /// Somebody has or wants the address.
    Conflict(Ipv4Addr, Mac),
    /// The address was announced again because of a conflict.
    Defending(Ipv4Addr, Mac),
    /// Too many conflicts: the next candidate comes in [`super::RATE_LIMIT_INTERVAL`].
    RateLimited,
    /// No carrier.
    NoCarrier,
}

/// What the machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send it now.
    Send(Frame),
    /// The address is ours: set it, remember it.
    Config(Ipv4Addr),
    /// It is not ours any more.
    Deconfig(Ipv4Addr),
    /// Write a line.
    Note(Note),
    /// Nothing to do before an event, or before this time.
    Wait(Option<Instant>, &'static str),
    /// End.
    Done,
}
