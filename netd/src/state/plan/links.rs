//! Links: those that are made and those that go, their settings, and the ports of bridges.

use super::super::desired::{Desired, Problem, Setting};
use super::super::object::{Actual, Address, Kind, Link, Owned, Owner, Route};
use super::super::text::link_name;
use super::{Change, Plan, Step, held};
use netif::IfIndex;
use std::net::IpAddr;

/// What the kernel makes by itself: `IFAPROT_KERNEL_LO`, `_RA` and `_LL`; `RTPROT_REDIRECT`, `_KERNEL` and `_RA`.
const KERNEL_ADDRESS: [u8; 3] = [1, 2, 3];
const KERNEL_ROUTE: [u8; 3] = [1, 2, 9];

/// Links that have to be made before anything can be said of what is on them. An own one of the same name that is something
/// else goes first, unless somebody else uses it.
pub(crate) fn new_links(desired: &Desired, actual: &Actual) -> Vec<Change> {
    let mut changes = Vec::new();
    for wanted in &desired.made {
        let there = actual.links.iter().find(|l| l.name == wanted.object.name);
        match there {
            Some(link) if link.kind == Some(wanted.object.kind) || !may_go(link, actual) => continue,
            Some(link) => changes.push(Change { step: Step::DeleteLink(link.index), origin: None }),
            None => {}
        }
        changes.push(Change { step: Step::AddLink(wanted.object.clone()), origin: Some(wanted.origin.clone()) });
    }
    changes
}

/// What the links are after a step of [`new_links`], should it succeed: for those who only want to know what would follow.
pub(crate) fn assume(step: &Step, actual: &mut Actual) {
    if let Step::DeleteLink(index) = step {
        actual.links.retain(|l| l.index != *index);
        actual.addresses.retain(|a| a.object.link != *index);
        actual.routes.retain(|r| r.object.hops.iter().all(|h| h.link != *index));
    } else if let Step::AddLink(made) = step {
        let below = if let Kind::Vlan { below, .. } = made.kind { actual.link(below) } else { None };
        let mtu = below.map_or(1500, |l| l.mtu);
        let last = actual.links.iter().map(|l| l.index.raw()).max().unwrap_or(0);
        let Some(index) = IfIndex::new(last.saturating_add(1)) else { return };
        let link = Link {
            index,
            name: made.name,
            up: false,
            carrier: false,
            mtu,
            kind: Some(made.kind),
            owner: Owner::Us,
            member: None,
        };
        actual.links.push(link);
    }
}

/// Settings of links, ports, and switches.
pub(super) fn settings(desired: &Desired, actual: &Actual, plan: &mut Plan) {
    for switch in &desired.switches {
        plan.changes.push(Change { step: Step::Sysctl(switch.clone()), origin: None });
    }
    // A VLAN comes up after what it is on.
    let vlan = |index| actual.link(index).filter(|l| matches!(l.kind, Some(Kind::Vlan { .. }))).map(|l| l.index);
    let mut links: Vec<_> = desired.links.iter().collect();
    links.sort_by_key(|wanted| vlan(wanted.object.link));
    for wanted in links {
        let Some(link) = actual.link(wanted.object.link) else { continue };
        match wanted.object.setting {
            Setting::Mtu(mtu) if mtu != link.mtu => plan.wanted(Step::SetMtu(link.index, mtu), &wanted.origin),
            Setting::Up if !link.up => plan.wanted(Step::SetUp(link.index), &wanted.origin),
            Setting::Mtu(_) | Setting::Up => {}
        }
    }
    for wanted in &desired.made {
        let other = |l: &&Link| l.name == wanted.object.name && l.kind != Some(wanted.object.kind);
        if let Some(link) = actual.links.iter().find(other).filter(|l| l.owner == Owner::Us && !may_go(l, actual)) {
            let what = "somebody else has an address, a route or a part of it, so it stays what it is".to_owned();
            plan.conflicts.push(Problem { origin: wanted.origin.clone(), link: Some(link.index), what });
        }
    }
    for wanted in &desired.ports {
        let (port, bridge) = (wanted.object.link, wanted.object.bridge);
        match actual.link(port).and_then(|l| l.member) {
            Some(member) if member.of == bridge => {}
            Some(member) if member.owner != Owner::Us => plan.conflicts.push(Problem {
                origin: wanted.origin.clone(),
                link: Some(port),
                what: format!("somebody else has made it a part of {}", link_name(member.of, actual)),
            }),
            Some(_) | None => plan.wanted(Step::Join(port, bridge), &wanted.origin),
        }
    }
}

/// Ports that are none any more, and links that nobody asks for any more: the last of all.
pub(super) fn unwanted(desired: &Desired, actual: &Actual, plan: &mut Plan) {
    let our_port = |l: &&Link| l.member.is_some_and(|m| m.owner == Owner::Us);
    for port in actual.links.iter().filter(our_port) {
        let wanted = desired.ports.iter().any(|w| w.object.link == port.index);
        let bridge_held = port.member.is_some_and(|m| held(&desired.hold, m.of, actual));
        if !wanted && !bridge_held && !held(&desired.hold, port.index, actual) {
            plan.unwanted(Step::Leave(port.index));
        }
    }
    // What is above goes before what is below: it was made later.
    let mut ours: Vec<&Link> = actual.links.iter().filter(|l| may_go(l, actual)).collect();
    ours.sort_by_key(|l| std::cmp::Reverse(l.index));
    for link in ours {
        let wanted = desired.made.iter().any(|w| w.object.name == link.name);
        if !wanted && !held(&desired.hold, link.index, actual) {
            plan.unwanted(Step::DeleteLink(link.index));
        }
    }
}

/// It is ours, and nobody else has a port, a VLAN, an address or a route there, which would go with it.
fn may_go(link: &Link, actual: &Actual) -> bool {
    let index = link.index;
    let foreign = |owner: Owner, kernel: [u8; 3]| match owner {
        Owner::Us => false,
        Owner::Other(protocol) => !kernel.contains(&protocol),
    };
    let above = |l: &Link| matches!(l.kind, Some(Kind::Vlan { below, .. }) if below == index) && l.owner != Owner::Us;
    let port = |l: &Link| l.member.is_some_and(|m| m.of == index && m.owner != Owner::Us);
    // A kernel before 5.18 does not say that it made fe80:: addresses.
    let address = |a: &Owned<Address>| {
        let made_by_kernel = matches!(a.object.prefix.addr(), IpAddr::V6(a) if a.is_unicast_link_local());
        a.object.link == index && foreign(a.owner, KERNEL_ADDRESS) && !made_by_kernel
    };
    let route = |r: &Owned<Route>| foreign(r.owner, KERNEL_ROUTE) && r.object.hops.iter().any(|h| h.link == index);
    link.owner == Owner::Us
        && !actual.links.iter().any(|l| above(l) || port(l))
        && !actual.addresses.iter().any(address)
        && !actual.routes.iter().any(route)
}
