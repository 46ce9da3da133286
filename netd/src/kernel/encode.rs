//! Steps as the kernel's messages.

use super::link::LinkMessage;
use super::message::Message;
use crate::state::object::{Address, Hop, PROTOCOL, Route, Rule};
use crate::state::plan::Step;
use netif::Prefix;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop, RouteNextHopFlags, RouteScope,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use std::net::IpAddr;

/// The request and its flags beyond "request, acknowledge"; none for steps that are no netlink requests.
pub(super) fn step(step: &Step) -> Option<(Message, u16)> {
    Some(match step {
        Step::AddLink(made) => (Message::NewLink(LinkMessage::new(made)), NLM_F_CREATE | NLM_F_EXCL),
        Step::DeleteLink(index) => (Message::DelLink(LinkMessage::of(*index)), 0),
        Step::Join(port, bridge) => (Message::SetLink(LinkMessage::member(*port, Some(*bridge))), 0),
        Step::Leave(port) => (Message::SetLink(LinkMessage::member(*port, None)), 0),
        Step::SetUp(index) => (Message::SetLink(LinkMessage::up(*index)), 0),
        Step::SetMtu(index, mtu) => (Message::SetLink(LinkMessage::mtu(*index, *mtu)), 0),
        Step::AddAddress(a) => (Message::NewAddress(address(a)), NLM_F_CREATE | NLM_F_EXCL),
        Step::DeleteAddress(a) => (Message::DelAddress(address(a)), 0),
        Step::AddRoute(r) => (Message::NewRoute(route(r)), NLM_F_CREATE | NLM_F_EXCL),
        Step::ReplaceRoute(r) => (Message::NewRoute(route(r)), NLM_F_CREATE | NLM_F_REPLACE),
        Step::DeleteRoute(r) => {
            let mut m = route(r);
            // Any scope: what it is follows from the rest.
            m.header.scope = RouteScope::NoWhere;
            (Message::DelRoute(m), 0)
        }
        Step::AddRule(r) => (Message::NewRule(rule(r)), NLM_F_CREATE | NLM_F_EXCL),
        Step::DeleteRule(r) => (Message::DelRule(rule(r)), 0),
        Step::Promote(_) | Step::Sysctl(..) => return None,
    })
}

fn address(a: &Address) -> AddressMessage {
    let mut m = AddressMessage::default();
    let addr = a.prefix.addr();
    m.header.family = family(addr);
    m.header.prefix_len = a.prefix.prefix_len();
    m.header.index = a.link.raw();
    m.header.scope = scope(addr);
    m.attributes.push(AddressAttribute::Local(addr));
    m.attributes.push(AddressAttribute::Address(a.peer.unwrap_or(addr)));
    if let Some(broadcast) = a.broadcast {
        m.attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    m.attributes.push(AddressAttribute::Protocol(PROTOCOL.into()));
    m
}

/// IPv6 works it out by itself. A link-local IPv4 source must not be chosen for packets that are routed (RFC 3927 §2.7).
const fn scope(addr: IpAddr) -> AddressScope {
    match addr {
        IpAddr::V4(a) if a.is_loopback() => AddressScope::Host,
        IpAddr::V4(a) if a.is_link_local() => AddressScope::Link,
        IpAddr::V4(_) | IpAddr::V6(_) => AddressScope::Universe,
    }
}

fn route(r: &Route) -> RouteMessage {
    let mut m = RouteMessage::default();
    let to = r.destination.addr();
    m.header.address_family = family(to);
    m.header.destination_prefix_length = r.destination.prefix_len();
    m.header.tos = r.tos;
    m.header.table = u8::try_from(r.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    m.header.protocol = PROTOCOL.into();
    m.header.kind = r.kind.into();
    m.header.scope = if to.is_ipv4() && r.is_direct() { RouteScope::Link } else { RouteScope::Universe };
    if !r.destination.is_default() {
        m.attributes.push(RouteAttribute::Destination(to.into()));
    }
    m.attributes.push(RouteAttribute::Table(r.table));
    m.attributes.push(RouteAttribute::Priority(r.metric));
    if let Some(source) = r.source {
        m.attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    match r.hops.as_slice() {
        [hop] => {
            m.attributes.push(RouteAttribute::Oif(hop.link.raw()));
            m.attributes.extend(hop.gateway.map(|g| RouteAttribute::Gateway(g.into())));
            if hop.onlink {
                m.header.flags |= RouteFlags::Onlink;
            }
        }
        hops => m.attributes.push(RouteAttribute::MultiPath(hops.iter().map(next_hop).collect())),
    }
    m
}

fn rule(r: &Rule) -> RuleMessage {
    let mut m = RuleMessage::default();
    m.header.family = if r.v4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
    m.header.table = u8::try_from(r.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    m.header.action = RuleAction::ToTable;
    if let Some(from) = r.from {
        m.header.src_len = Prefix::host(from).prefix_len();
        m.attributes.push(RuleAttribute::Source(from));
    }
    m.attributes.extend(r.mark.map(RuleAttribute::FwMark));
    m.attributes.push(RuleAttribute::Table(r.table));
    m.attributes.push(RuleAttribute::Priority(r.priority));
    if r.no_default {
        m.attributes.push(RuleAttribute::SuppressPrefixLen(0));
    }
    m.attributes.push(RuleAttribute::Protocol(PROTOCOL.into()));
    m
}

fn next_hop(hop: &Hop) -> RouteNextHop {
    let mut n = RouteNextHop::default();
    n.interface_index = hop.link.raw();
    n.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    if hop.onlink {
        n.flags = RouteNextHopFlags::Onlink;
    }
    n.attributes.extend(hop.gateway.map(|g| RouteAttribute::Gateway(g.into())));
    n
}

const fn family(addr: IpAddr) -> AddressFamily {
    match addr {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
