//! Links, addresses and routes as the kernel tells them apart, and who put them there.
//!
//! Two objects are the same object when their keys are equal; only then may one replace the other. The keys are the
//! kernel's, not the configuration's: an IPv4 address is (link, address, prefix length), an IPv6 one (link, address), a
//! route (table, destination, TOS, metric).

use netif::{IfIndex, IfName, Prefix};
use std::net::{IpAddr, Ipv4Addr};

/// What we mark routes (`rtm_protocol`), addresses (`IFA_PROTO`, Linux 5.18) and links (`IFLA_GROUP`) with: the letter P,
/// assigned to nobody in `/etc/iproute2/rt_protos`. `ip route show proto 80`, (iproute2 6.3) `ip addr show proto 80` and
/// `ip link show group 80` list what is ours.
pub(crate) const PROTOCOL: u8 = 80;

/// The main routing table.
pub(crate) const MAIN: u32 = 254;

/// The metric IPv6 gives a route that asks for none (`IP6_RT_PRIO_USER`).
pub(crate) const V6_METRIC: u32 = 1024;

/// The route type of everything we make (`RTN_UNICAST`).
pub(crate) const UNICAST: u8 = 1;

/// Whose object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Made by an earlier run: may be changed and deleted.
    Us,
    /// Somebody else's, with its protocol number: never touched.
    Other(u8),
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: IfIndex,
    pub(crate) name: IfName,
    /// Administratively up (`IFF_UP`).
    pub(crate) up: bool,
    /// Up, and the cable is in (`IFF_LOWER_UP`).
    pub(crate) carrier: bool,
    /// Bytes.
    pub(crate) mtu: u32,
    /// None: hardware, and whatever else is taken as it is.
    pub(crate) kind: Option<Kind>,
    /// Us: made because a record said so.
    pub(crate) owner: Owner,
    /// What it is a part of.
    pub(crate) member: Option<Member>,
}

#[cfg(test)]
impl Link {
    /// Hardware, up.
    pub(crate) const fn new(index: IfIndex, name: IfName) -> Self {
        Self { index, name, up: true, carrier: true, mtu: 1500, kind: None, owner: Owner::Other(0), member: None }
    }
}

/// What a link is that records can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bridge,
    /// The packets of the link below that bear this tag (IEEE 802.1Q).
    Vlan {
        below: IfIndex,
        id: u16,
    },
}

/// A link's membership of another, a port's of its bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) of: IfIndex,
    /// Us: made a port because a record said so.
    pub(crate) owner: Owner,
}

/// An address on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) link: IfIndex,
    /// The address itself (host bits kept) and its network's length.
    pub(crate) prefix: Prefix,
    /// IPv4 only.
    pub(crate) broadcast: Option<Ipv4Addr>,
    /// The other end of a point-to-point link, when it differs from the address. Never ours.
    pub(crate) peer: Option<IpAddr>,
}

/// What makes an address the same address to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AddressKey {
    link: IfIndex,
    addr: IpAddr,
    /// Part of the key in IPv4 only.
    len: Option<u8>,
    peer: Option<IpAddr>,
}

impl Address {
    pub(crate) const fn key(&self) -> AddressKey {
        let addr = self.prefix.addr();
        let len = match addr {
            IpAddr::V4(_) => Some(self.prefix.prefix_len()),
            IpAddr::V6(_) => None,
        };
        AddressKey { link: self.link, addr, len, peer: self.peer }
    }
}

/// One way a route leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) link: IfIndex,
    pub(crate) gateway: Option<IpAddr>,
    /// The gateway is on the link although no address of ours says so.
    pub(crate) onlink: bool,
    /// Share among several hops, from 1.
    pub(crate) weight: u16,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) table: u32,
    /// Host bits are zero.
    pub(crate) destination: Prefix,
    /// 0 except for others' routes.
    pub(crate) tos: u8,
    /// Never 0 in IPv6.
    pub(crate) metric: u32,
    /// `RTN_*`.
    pub(crate) kind: u8,
    /// Preferred source address.
    pub(crate) source: Option<IpAddr>,
    /// At least one in a unicast route.
    pub(crate) hops: Vec<Hop>,
}

/// What makes a route the same route to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RouteKey {
    pub(crate) table: u32,
    pub(crate) destination: Prefix,
    pub(crate) tos: u8,
    pub(crate) metric: u32,
}

impl Route {
    pub(crate) const fn key(&self) -> RouteKey {
        RouteKey { table: self.table, destination: self.destination, tos: self.tos, metric: self.metric }
    }

    /// Whether all hops are neighbours themselves: such routes make gateways reachable and come first.
    pub(crate) fn is_direct(&self) -> bool {
        self.hops.iter().all(|h| h.gateway.is_none())
    }
}

/// A rule that chooses the routing table (`ip rule`). Two with the same fields are the same rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// IPv4; else IPv6.
    pub(crate) v4: bool,
    /// Smaller is asked first.
    pub(crate) priority: u32,
    /// Packets with this source address.
    pub(crate) from: Option<IpAddr>,
    /// Packets with this mark.
    pub(crate) mark: Option<u32>,
    pub(crate) table: u32,
    /// The table's default routes do not count (`suppress_prefixlength 0`).
    pub(crate) no_default: bool,
}

/// An object and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned<T> {
    pub(crate) object: T,
    pub(crate) owner: Owner,
}

/// What the kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Actual {
    pub(crate) links: Vec<Link>,
    pub(crate) addresses: Vec<Owned<Address>>,
    /// Of the tables somebody asked for, and ours wherever they are.
    pub(crate) routes: Vec<Owned<Route>>,
    /// Those that say no more than ours can.
    pub(crate) rules: Vec<Owned<Rule>>,
}

impl Actual {
    pub(crate) fn link(&self, index: IfIndex) -> Option<&Link> {
        self.links.iter().find(|l| l.index == index)
    }
}
