//! Steps as the kernel's messages.

use crate::state::desired::Made;
use crate::state::object::{Address, Hop, Kind, PROTOCOL, Route, Rule};
use crate::state::plan::Step;
use netif::{IfIndex, Prefix};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use rtnetlink::packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop, RouteNextHopFlags, RouteScope,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;

/// The request and its flags beyond "request, acknowledge"; none for steps that are no netlink requests.
pub(super) fn step(step: &Step) -> Option<(RouteNetlinkMessage, u16)> {
    Some(match step {
        Step::AddLink(made) => (RouteNetlinkMessage::NewLink(new_link(made)), NLM_F_CREATE | NLM_F_EXCL),
        Step::DeleteLink(index) => (RouteNetlinkMessage::DelLink(link(*index)), 0),
        Step::Join(port, bridge) => (RouteNetlinkMessage::SetLink(member(*port, bridge.raw())), 0),
        Step::Leave(port) => (RouteNetlinkMessage::SetLink(member(*port, 0)), 0),
        Step::SetUp(index) => {
            let mut m = link(*index);
            m.header.flags = LinkFlags::Up;
            m.header.change_mask = LinkFlags::Up;
            (RouteNetlinkMessage::SetLink(m), 0)
        }
        Step::SetMtu(index, mtu) => {
            let mut m = link(*index);
            m.attributes.push(LinkAttribute::Mtu(*mtu));
            (RouteNetlinkMessage::SetLink(m), 0)
        }
        Step::AddAddress(a) => (RouteNetlinkMessage::NewAddress(address(a)), NLM_F_CREATE | NLM_F_EXCL),
        Step::DeleteAddress(a) => (RouteNetlinkMessage::DelAddress(address(a)), 0),
        Step::AddRoute(r) => (RouteNetlinkMessage::NewRoute(route(r)), NLM_F_CREATE | NLM_F_EXCL),
        Step::ReplaceRoute(r) => (RouteNetlinkMessage::NewRoute(route(r)), NLM_F_CREATE | NLM_F_REPLACE),
        Step::DeleteRoute(r) => {
            let mut m = route(r);
            // Any scope: what it is follows from the rest.
            m.header.scope = RouteScope::NoWhere;
            (RouteNetlinkMessage::DelRoute(m), 0)
        }
        Step::AddRule(r) => (RouteNetlinkMessage::NewRule(rule(r)), NLM_F_CREATE | NLM_F_EXCL),
        Step::DeleteRule(r) => (RouteNetlinkMessage::DelRule(rule(r)), 0),
        Step::Promote(_) | Step::Sysctl(..) => return None,
    })
}

fn link(index: IfIndex) -> LinkMessage {
    let mut m = LinkMessage::default();
    m.header.index = index.raw();
    m
}

/// The mark is there with the link: one that is not marked could never be told from somebody else's. A bridge without the
/// spanning tree protocol need not wait for it either.
fn new_link(made: &Made) -> LinkMessage {
    let mut m = LinkMessage::default();
    m.attributes.push(LinkAttribute::IfName(made.name.to_string()));
    m.attributes.push(LinkAttribute::Group(PROTOCOL.into()));
    let info = match made.kind {
        Kind::Bridge => (InfoKind::Bridge, InfoData::Bridge(vec![InfoBridge::ForwardDelay(0)])),
        Kind::Vlan { below, id } => {
            m.attributes.push(LinkAttribute::Link(below.raw()));
            (InfoKind::Vlan, InfoData::Vlan(vec![InfoVlan::Id(id)]))
        }
    };
    m.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(info.0), LinkInfo::Data(info.1)]));
    m
}

/// `bridge` 0 is none.
fn member(port: IfIndex, bridge: u32) -> LinkMessage {
    let mut m = link(port);
    m.attributes.push(LinkAttribute::Controller(bridge));
    m
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
