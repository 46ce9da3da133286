//! Steps and problems as a person reads them.

use super::desired::Problem;
use super::object::{Actual, Address, Kind, MAIN, Route, Rule};
use super::plan::{Change, Step};
use netif::IfIndex;

/// `eth0: add address 192.0.2.7/24 (dhcp_eth0.ipconf:3)`.
pub(crate) fn change(change: &Change, actual: &Actual) -> String {
    let what = step(&change.step, actual);
    change.origin.as_ref().map_or_else(|| what.clone(), |o| format!("{what} ({})", o.short()))
}

/// `FILE:LINE: eth0: add address 192.0.2.7/24`, to be followed by why it was not.
pub(crate) fn asked(change: &Change, actual: &Actual) -> String {
    let origin = change.origin.as_ref().map(|o| format!("{o}: ")).unwrap_or_default();
    format!("{origin}{}", step(&change.step, actual))
}

/// `eth0: add address 192.0.2.7/24`.
pub(crate) fn step(step: &Step, actual: &Actual) -> String {
    let link = |index: IfIndex| link_name(index, actual);
    match step {
        Step::AddLink(made) => format!("{}: add {}", made.name, kind(made.kind, actual)),
        Step::DeleteLink(index) => format!("{}: delete", link(*index)),
        Step::Join(port, bridge) => format!("{}: make it a port of {}", link(*port), link(*bridge)),
        Step::Leave(port) => format!("{}: no port any more", link(*port)),
        Step::SetUp(index) => format!("{}: set up", link(*index)),
        Step::SetMtu(index, mtu) => format!("{}: set mtu {mtu}", link(*index)),
        Step::Promote(index) => format!("{}: let other addresses outlive the first of their network", link(*index)),
        Step::Sysctl(switch) => format!("set {} to {}", switch.path, switch.value),
        Step::AddAddress(a) => format!("{}: add address {}", link(a.link), address(a)),
        Step::DeleteAddress(a) => format!("{}: delete address {}", link(a.link), address(a)),
        Step::AddRoute(r) => format!("{}: add route {}", first_link(r, actual), route(r, actual)),
        Step::ReplaceRoute(r) => format!("{}: replace route {}", first_link(r, actual), route(r, actual)),
        Step::DeleteRoute(r) => format!("{}: delete route {}", first_link(r, actual), route(r, actual)),
        Step::AddRule(r) => format!("add rule {}", rule(r)),
        Step::DeleteRule(r) => format!("delete rule {}", rule(r)),
    }
}

/// `VLAN 10 of eth0`.
pub(crate) fn kind(kind: Kind, actual: &Actual) -> String {
    match kind {
        Kind::Bridge => "bridge".to_owned(),
        Kind::Vlan { below, id } => format!("VLAN {id} of {}", link_name(below, actual)),
    }
}

/// `conf/lan.ipconf:3: eth1: what is wrong`.
pub(crate) fn problem(problem: &Problem, actual: &Actual) -> String {
    let link = problem.link.map(|l| format!("{}: ", link_name(l, actual))).unwrap_or_default();
    format!("{}: {link}{}", problem.origin, problem.what)
}

fn address(a: &Address) -> String {
    match (a.broadcast, a.prefix.broadcast()) {
        (Some(b), usual) if usual != Some(b) => format!("{} broadcast {b}", a.prefix),
        (Some(_) | None, _) => a.prefix.to_string(),
    }
}

/// Destination, then what `ip route` shows, without the first link, which is named in front.
pub(crate) fn route(r: &Route, actual: &Actual) -> String {
    let mut text = if r.destination.is_default() && r.destination.addr().is_ipv4() {
        "default".to_owned()
    } else {
        r.destination.to_string()
    };
    for (i, hop) in r.hops.iter().enumerate() {
        if i > 0 {
            text += &format!(" dev {}", link_name(hop.link, actual));
        }
        if let Some(gateway) = hop.gateway {
            text += &format!(" via {gateway}");
        }
        if hop.onlink {
            text += " onlink";
        }
        if r.hops.len() > 1 {
            text += &format!(" weight {}", hop.weight);
        }
    }
    if let Some(source) = r.source {
        text += &format!(" src {source}");
    }
    if r.metric != 0 {
        text += &format!(" metric {}", r.metric);
    }
    if r.table != MAIN {
        text += &format!(" table {}", r.table);
    }
    text
}

/// As `ip rule` has it.
pub(crate) fn rule(r: &Rule) -> String {
    let mut text = format!("priority {}", r.priority);
    if let Some(from) = r.from {
        text += &format!(" from {from}");
    }
    if let Some(mark) = r.mark {
        text += &format!(" fwmark {mark}");
    }
    text += &if r.table == MAIN { " lookup main".to_owned() } else { format!(" lookup {}", r.table) };
    if r.no_default {
        text += " suppress_prefixlength 0";
    }
    text
}

fn first_link(r: &Route, actual: &Actual) -> String {
    r.hops.first().map_or_else(|| "-".to_owned(), |h| link_name(h.link, actual))
}

/// The link's name; its number when it has gone meanwhile.
pub(crate) fn link_name(index: IfIndex, actual: &Actual) -> String {
    actual.link(index).map_or_else(|| format!("link {index}"), |l| l.name.to_string())
}
