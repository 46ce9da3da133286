//! The kernel's messages as objects. What cannot be ours and can never be in our way (multicast, cloned and source-specific
//! routes, families that are not IP) is left out.

use super::message::Message;
use crate::state::object::{Address, Hop, Link, Owned, Owner, PROTOCOL, Route, Rule};
use netif::{IfIndex, Prefix};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn link(message: Message) -> Option<Link> {
    let Message::NewLink(m) = message else { return None };
    m.object()
}

pub(super) fn address(message: Message) -> Option<Owned<Address>> {
    let Message::NewAddress(AddressMessage { header, attributes, .. }) = message else { return None };
    let (mut local, mut other, mut broadcast, mut protocol) = (None, None, None, 0);
    for attribute in attributes {
        if let AddressAttribute::Local(a) = attribute {
            local = Some(a);
        } else if let AddressAttribute::Address(a) = attribute {
            other = Some(a);
        } else if let AddressAttribute::Broadcast(b) = attribute {
            broadcast = Some(b);
        } else if let AddressAttribute::Protocol(p) = attribute {
            protocol = p.into();
        }
    }
    // IPv6 sends IFA_LOCAL for point-to-point addresses only.
    let addr = local.or(other)?;
    let object = Address {
        link: IfIndex::new(header.index)?,
        prefix: Prefix::new(addr, header.prefix_len)?,
        broadcast,
        peer: other.filter(|o| *o != addr),
    };
    Some(Owned { object, owner: owner(protocol) })
}

pub(super) fn route(message: Message) -> Option<Owned<Route>> {
    let Message::NewRoute(RouteMessage { header, attributes, .. }) = message else { return None };
    if header.flags.contains(RouteFlags::Cloned) || header.source_prefix_length != 0 {
        return None;
    }
    let any: IpAddr = if header.address_family == AddressFamily::Inet {
        Ipv4Addr::UNSPECIFIED.into()
    } else if header.address_family == AddressFamily::Inet6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        return None;
    };
    let (mut to, mut table, mut metric, mut source) = (any, u32::from(header.table), 0, None);
    let (mut link, mut gateway, mut hops) = (None, None, Vec::new());
    for attribute in attributes {
        if let RouteAttribute::Destination(a) = attribute {
            to = ip(&a)?;
        } else if let RouteAttribute::Table(t) = attribute {
            table = t;
        } else if let RouteAttribute::Priority(m) = attribute {
            metric = m;
        } else if let RouteAttribute::PrefSource(a) = attribute {
            source = ip(&a);
        } else if let RouteAttribute::Oif(index) = attribute {
            link = IfIndex::new(index);
        } else if let RouteAttribute::Gateway(a) = attribute {
            gateway = ip(&a);
        } else if let RouteAttribute::MultiPath(all) = attribute {
            hops = all.iter().filter_map(hop).collect();
        }
    }
    if let Some(link) = link.filter(|_| hops.is_empty()) {
        hops.push(Hop { link, gateway, onlink: header.flags.contains(RouteFlags::Onlink), weight: 1 });
    }
    let object = Route {
        table,
        destination: Prefix::new(to, header.destination_prefix_length)?,
        tos: header.tos,
        metric,
        kind: header.kind.into(),
        source,
        hops,
    };
    Some(Owned { object, owner: owner(header.protocol.into()) })
}

/// A rule that says no more than [`Rule`] can; every other is somebody else's and cannot be mistaken for ours.
pub(super) fn rule(message: Message) -> Option<Owned<Rule>> {
    let Message::NewRule(RuleMessage { header, attributes, .. }) = message else { return None };
    let v4 = header.family == AddressFamily::Inet;
    let host = if v4 { 32 } else { 128 };
    let plain = header.action == RuleAction::ToTable && header.flags.is_empty() && header.tos == 0;
    if !plain || header.dst_len != 0 || !matches!(header.src_len, 0 | 128 | 32) || header.src_len > host {
        return None;
    }
    let (mut protocol, mut object) =
        (0, Rule { v4, priority: 0, from: None, mark: None, table: u32::from(header.table), no_default: false });
    for attribute in attributes {
        if let RuleAttribute::Source(a) = attribute {
            object.from = Some(a).filter(|_| header.src_len == host);
        } else if let RuleAttribute::FwMark(m) = attribute {
            object.mark = Some(m).filter(|m| *m != 0);
        } else if let RuleAttribute::Table(t) = attribute {
            object.table = t;
        } else if let RuleAttribute::Priority(p) = attribute {
            object.priority = p;
        } else if let RuleAttribute::SuppressPrefixLen(len) = attribute {
            object.no_default = len == 0;
        } else if let RuleAttribute::Protocol(p) = attribute {
            protocol = p.into();
        } else if !matches!(attribute, RuleAttribute::FwMask(u32::MAX) | RuleAttribute::SuppressIfGroup(u32::MAX)) {
            return None;
        }
    }
    Some(Owned { object, owner: owner(protocol) })
}

fn hop(hop: &RouteNextHop) -> Option<Hop> {
    let gateway = hop.attributes.iter().find_map(|a| if let RouteAttribute::Gateway(g) = a { ip(g) } else { None });
    Some(Hop {
        link: IfIndex::new(hop.interface_index)?,
        gateway,
        onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
        weight: u16::from(hop.hops) + 1,
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(a) = address {
        Some((*a).into())
    } else if let RouteAddress::Inet6(a) = address {
        Some((*a).into())
    } else {
        None
    }
}

const fn owner(protocol: u8) -> Owner {
    if protocol == PROTOCOL { Owner::Us } else { Owner::Other(protocol) }
}
