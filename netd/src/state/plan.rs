//! The least set of changes that turns what the kernel has into what the records ask for.
//!
//! Order: links, new addresses, new and changed routes, and only then what is no longer wanted, so that traffic always has
//! somewhere to go. After that come routes the kernel itself drops when an address goes: IPv4 flushes every route of a link that
//! loses its last address, and every route whose preferred source goes away. Objects of others are compared with and
//! reported when they stand in the way; no step ever names one.

mod links;

use super::desired::{Desired, Hold, Made, Origin, Problem, Switch};
use super::object::{Actual, Address, AddressKey, Owned, Owner, Route, RouteKey, Rule};
pub(crate) use links::{assume, new_links};
use netif::{IfIndex, Prefix};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// One request to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    AddLink(Made),
    /// With all that is on it.
    DeleteLink(IfIndex),
    /// The first becomes a port of the second.
    Join(IfIndex, IfIndex),
    /// A port is one no longer.
    Leave(IfIndex),
    SetUp(IfIndex),
    SetMtu(IfIndex, u32),
    /// Let the next address of a network take the place of a deleted one instead of going with it
    /// (`net.ipv4.conf.LINK.promote_secondaries`; off in a kernel nobody configured).
    Promote(IfIndex),
    Sysctl(Switch),
    AddAddress(Address),
    DeleteAddress(Address),
    AddRoute(Route),
    /// In one piece: the old route of that key carries traffic until the new one does.
    ReplaceRoute(Route),
    DeleteRoute(Route),
    AddRule(Rule),
    DeleteRule(Rule),
}

/// A step and the record that asked for it; none when the step is a deletion, which no record asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) step: Step,
    pub(crate) origin: Option<Origin>,
}

/// What to do, in order, and what cannot be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    /// Wanted objects in whose place somebody else's is.
    pub(crate) conflicts: Vec<Problem>,
}

impl Plan {
    fn wanted(&mut self, step: Step, origin: &Origin) {
        self.changes.push(Change { step, origin: Some(origin.clone()) });
    }

    fn unwanted(&mut self, step: Step) {
        self.changes.push(Change { step, origin: None });
    }
}

/// Compares and decides. Links that have to be made first are [`new_links`]'s.
pub(crate) fn plan(desired: &Desired, actual: &Actual) -> Plan {
    let mut plan = Plan::default();
    links::settings(desired, actual, &mut plan);
    let addresses = compare_addresses(desired, actual, &mut plan);
    let routes = compare_routes(desired, actual, &addresses, &mut plan);
    promote(actual, &addresses, &mut plan);
    for (address, origin) in &addresses.add {
        plan.wanted(Step::AddAddress(address.clone()), origin);
    }
    for (old, new, origin) in &addresses.recreate {
        plan.unwanted(Step::DeleteAddress(old.clone()));
        plan.wanted(Step::AddAddress(new.clone()), origin);
    }
    plan.changes.extend(routes.duplicates);
    plan.changes.extend(routes.add);
    rules(desired, actual, &mut plan);
    plan.changes.extend(routes.delete);
    for address in addresses.delete {
        plan.unwanted(Step::DeleteAddress(address));
    }
    plan.changes.extend(routes.again);
    links::unwanted(desired, actual, &mut plan);
    plan
}

/// What has to be done about addresses.
#[derive(Default)]
struct Addresses {
    add: Vec<(Address, Origin)>,
    /// Old, new: the same key, a property only a new address can have.
    recreate: Vec<(Address, Address, Origin)>,
    delete: Vec<Address>,
}

fn compare_addresses(desired: &Desired, actual: &Actual, plan: &mut Plan) -> Addresses {
    let have: HashMap<AddressKey, &Owned<Address>> = actual.addresses.iter().map(|a| (a.object.key(), a)).collect();
    // The peer of a point-to-point link is part of the key, but nobody wants the address a second time without it.
    let with_peer: HashSet<(IfIndex, IpAddr)> = actual
        .addresses
        .iter()
        .filter(|a| a.object.peer.is_some())
        .map(|a| (a.object.link, a.object.prefix.addr()))
        .collect();
    let mut todo = Addresses::default();
    let mut keep = HashSet::new();
    for wanted in &desired.addresses {
        let new = &wanted.object;
        match have.get(&new.key()) {
            None if with_peer.contains(&(new.link, new.prefix.addr())) => {}
            None => todo.add.push((new.clone(), wanted.origin.clone())),
            Some(Owned { object: old, owner: Owner::Us }) => {
                keep.insert(new.key());
                if old != new {
                    todo.recreate.push((old.clone(), new.clone(), wanted.origin.clone()));
                }
            }
            Some(Owned { object: old, owner: Owner::Other(_) }) => {
                if old.prefix != new.prefix {
                    plan.conflicts.push(Problem {
                        origin: wanted.origin.clone(),
                        link: Some(new.link),
                        what: format!("address {}: somebody else has set {} there", new.prefix, old.prefix),
                    });
                }
            }
        }
    }
    // Backwards: the kernel lists the first address of a network before those that would go with it.
    todo.delete = actual
        .addresses
        .iter()
        .rev()
        .filter(|a| a.owner == Owner::Us && !keep.contains(&a.object.key()))
        .filter(|a| !held(&desired.hold, a.object.link, actual))
        .map(|a| a.object.clone())
        .collect();
    todo
}

/// An IPv4 address that goes takes the others of its network with it when they were added after it, ours and foreign
/// ones alike, unless the link promotes them.
fn promote(actual: &Actual, addresses: &Addresses, plan: &mut Plan) {
    let going: HashMap<(IfIndex, Prefix), Option<&Origin>> = addresses
        .delete
        .iter()
        .map(|a| (a, None))
        .chain(addresses.recreate.iter().map(|(old, _, origin)| (old, Some(origin))))
        .filter(|(a, _)| a.prefix.addr().is_ipv4())
        .map(|(a, origin)| ((a.link, a.prefix.network()), origin))
        .collect();
    if going.is_empty() {
        return;
    }
    let gone: HashSet<AddressKey> = addresses.delete.iter().map(Address::key).collect();
    let mut done = HashSet::new();
    let staying = actual.addresses.iter().map(|a| &a.object).chain(addresses.add.iter().map(|(a, _)| a));
    let recreated: HashSet<AddressKey> = addresses.recreate.iter().map(|(old, _, _)| old.key()).collect();
    for address in staying.filter(|a| !gone.contains(&a.key())) {
        let network = (address.link, address.prefix.network());
        // One that is recreated alone in its network takes nobody along.
        let alone = recreated.contains(&address.key())
            && actual
                .addresses
                .iter()
                .filter(|o| (o.object.link, o.object.prefix.network()) == network)
                .all(|o| o.object.key() == address.key());
        if going.contains_key(&network) && !alone && done.insert(address.link) {
            plan.unwanted(Step::Promote(address.link));
        }
    }
}

/// New rules find their table filled, and a table is emptied when no rule leads there any more.
fn rules(desired: &Desired, actual: &Actual, plan: &mut Plan) {
    for wanted in &desired.rules {
        if actual.rules.iter().all(|r| r.object != wanted.object) {
            plan.wanted(Step::AddRule(wanted.object.clone()), &wanted.origin);
        }
    }
    let unwanted = |r: &&Owned<Rule>| r.owner == Owner::Us && desired.rules.iter().all(|w| w.object != r.object);
    for rule in actual.rules.iter().filter(unwanted) {
        plan.unwanted(Step::DeleteRule(rule.object.clone()));
    }
}

/// What has to be done about routes.
#[derive(Default)]
struct Routes {
    /// Deleted first: further routes of ours with the key of one that is replaced.
    duplicates: Vec<Change>,
    add: Vec<Change>,
    delete: Vec<Change>,
    /// Wanted ones that go with the addresses that are deleted.
    again: Vec<Change>,
}

fn compare_routes(desired: &Desired, actual: &Actual, addresses: &Addresses, plan: &mut Plan) -> Routes {
    let lost_between = Lost::by_recreation(actual, addresses);
    let lost_at_end = Lost::by_deletion(actual, addresses);
    let mut have: HashMap<RouteKey, Vec<&Owned<Route>>> = HashMap::new();
    for route in actual.routes.iter().filter(|r| !lost_between.takes(&r.object)) {
        have.entry(route.object.key()).or_default().push(route);
    }
    let mut todo = Routes::default();
    // Those that make gateways reachable come before those that have gateways.
    let mut wanted: Vec<_> = desired.routes.iter().collect();
    wanted.sort_by_key(|w| !w.object.is_direct());
    for wanted in wanted {
        let (new, origin) = (&wanted.object, &wanted.origin);
        let change = |step| Change { step, origin: Some(origin.clone()) };
        let there = have.remove(&new.key()).unwrap_or_default();
        let (ours, foreign): (Vec<_>, Vec<_>) = there.into_iter().partition(|r| r.owner == Owner::Us);
        let mut spare: Vec<&Owned<Route>> = Vec::new();
        // Whether it survives until the addresses are deleted does not matter when they take it along.
        let lost = lost_at_end.takes(new);
        if let Some(at) = ours.iter().position(|r| r.object == *new) {
            spare.extend(ours.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, r)| *r));
        } else if foreign.iter().any(|r| serves(&r.object, new)) {
            todo.delete.extend(ours.iter().map(|r| unwanted(r)));
            continue;
        } else if let Some(other) = foreign.first() {
            todo.delete.extend(ours.iter().map(|r| unwanted(r)));
            plan.conflicts.push(in_the_way(other, wanted.origin.clone(), new));
            continue;
        } else if let Some((_, more)) = ours.split_first() {
            spare.extend(more);
            if !lost {
                todo.add.push(change(Step::ReplaceRoute(new.clone())));
            }
        } else if !lost {
            todo.add.push(change(Step::AddRoute(new.clone())));
        }
        todo.duplicates.extend(spare.into_iter().map(unwanted));
        if lost {
            todo.again.push(change(Step::ReplaceRoute(new.clone())));
        }
    }
    // What the deletion of addresses takes along needs no request of its own, but a request costs nothing and is exact.
    let left = actual.routes.iter().filter(|r| r.owner == Owner::Us && !lost_between.takes(&r.object));
    let held = |r: &Route| r.hops.iter().any(|h| held(&desired.hold, h.link, actual));
    todo.delete.extend(left.filter(|r| have.contains_key(&r.object.key()) && !held(&r.object)).map(unwanted));
    todo
}

fn held(hold: &Hold, index: IfIndex, actual: &Actual) -> bool {
    actual.link(index).map_or(*hold == Hold::Everywhere, |l| hold.covers(l.name))
}

fn unwanted(route: &Owned<Route>) -> Change {
    Change { step: Step::DeleteRoute(route.object.clone()), origin: None }
}

/// Whether somebody else's route does what ours would.
fn serves(theirs: &Route, ours: &Route) -> bool {
    let same_way = |(a, b): (&super::object::Hop, &super::object::Hop)| a.link == b.link && a.gateway == b.gateway;
    theirs.kind == ours.kind
        && theirs.hops.len() == ours.hops.len()
        && theirs.hops.iter().zip(&ours.hops).all(same_way)
        && (ours.source.is_none() || theirs.source == ours.source)
}

fn in_the_way(other: &Owned<Route>, origin: Origin, new: &Route) -> Problem {
    let protocol = match other.owner {
        Owner::Other(p) => p,
        Owner::Us => super::object::PROTOCOL,
    };
    Problem {
        origin,
        link: new.hops.first().map(|h| h.link),
        what: format!(
            "route {} metric {}: a route that is not ours (proto {protocol}) is in its place",
            new.destination, new.metric
        ),
    }
}

/// The IPv4 routes that go when addresses go: those of links left without an IPv4 address (`fib_disable_ip`), and those
/// whose preferred source is nobody's any more (`fib_sync_down_addr`).
#[derive(Default)]
struct Lost {
    links: HashSet<IfIndex>,
    sources: HashSet<IpAddr>,
}

impl Lost {
    /// When old addresses are replaced by new ones of the same key, one after the other.
    fn by_recreation(actual: &Actual, addresses: &Addresses) -> Self {
        if addresses.recreate.is_empty() {
            return Self::default();
        }
        let mut lost = Self::default();
        for (old, _, _) in addresses.recreate.iter().filter(|(old, _, _)| old.prefix.addr().is_ipv4()) {
            let others = actual.addresses.iter().map(|a| &a.object).filter(|a| a.key() != old.key());
            lost.note(std::slice::from_ref(old), others.chain(addresses.add.iter().map(|(a, _)| a)));
        }
        lost
    }

    /// When what is no longer wanted is deleted at the end.
    fn by_deletion(actual: &Actual, addresses: &Addresses) -> Self {
        let mut lost = Self::default();
        if !addresses.delete.is_empty() {
            let gone: HashSet<AddressKey> = addresses.delete.iter().map(Address::key).collect();
            let others = actual.addresses.iter().map(|a| &a.object).filter(|a| !gone.contains(&a.key()));
            lost.note(&addresses.delete, others.chain(addresses.add.iter().map(|(a, _)| a)));
        }
        lost
    }

    fn note<'a>(&mut self, gone: &[Address], staying: impl Iterator<Item = &'a Address>) {
        let gone = gone.iter().filter(|a| a.prefix.addr().is_ipv4());
        let (mut links, mut sources): (HashSet<_>, HashSet<_>) = gone.map(|a| (a.link, a.prefix.addr())).unzip();
        for address in staying.filter(|a| a.prefix.addr().is_ipv4()) {
            links.remove(&address.link);
            sources.remove(&address.prefix.addr());
        }
        self.links.extend(links);
        self.sources.extend(sources);
    }

    fn takes(&self, route: &Route) -> bool {
        route.destination.addr().is_ipv4()
            && (route.hops.iter().any(|h| self.links.contains(&h.link))
                || route.source.is_some_and(|s| self.sources.contains(&s)))
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
