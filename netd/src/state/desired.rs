//! What the records ask for, in the kernel's terms.
//!
//! `if` and `ipmask` make an address; `net`, `gw` and `routes` make routes; files of the static directory also set their
//! links up and their `mtu`, and make bridges and VLANs (what a server on the network says of links is not obeyed). Several
//! default routes are no mistake: the best gets the smallest metric, the others stand by behind it.

mod links;
mod uplinks;

use super::object::{Address, AddressKey, Hop, Link, MAIN, Owner, Route, RouteKey, Rule, UNICAST, V6_METRIC};
pub(crate) use links::{Made, Port};
use netif::ipconf::{Entry, Health};
use netif::{IfIndex, IfName, Prefix};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

/// Metric of the best default route when its record names none, and the distance to the next: room for others in between.
const DEFAULT_METRIC: u32 = 100;

/// A file that was read without error.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As the administrator would open it.
    pub(crate) path: Rc<str>,
    /// Of the static directory: written by the administrator, not by a service.
    pub(crate) is_static: bool,
    pub(crate) entries: Vec<Entry>,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) path: Rc<str>,
    /// From 1.
    pub(crate) line: u32,
}

impl Origin {
    /// `dhcp_eth0.ipconf:3`, without the directory.
    pub(crate) fn short(&self) -> String {
        let name = self.path.rsplit_once('/').map_or(&*self.path, |(_, n)| n);
        format!("{name}:{}", self.line)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// Something a record asks for that will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) origin: Origin,
    pub(crate) link: Option<IfIndex>,
    pub(crate) what: String,
}

/// Wanted, and by which record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted<T> {
    pub(crate) object: T,
    pub(crate) origin: Origin,
}

/// A property of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Up,
    /// Bytes.
    Mtu(u32),
}

/// A property and its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkSetting {
    pub(crate) link: IfIndex,
    pub(crate) setting: Setting,
}

/// A switch of the host, below `/proc/sys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) path: Cow<'static, str>,
    pub(crate) value: &'static str,
    /// Only where this is its value now; whatever else somebody has chosen stays.
    pub(crate) instead_of: Option<&'static str>,
}

impl Switch {
    pub(crate) fn new(path: impl Into<Cow<'static, str>>, value: &'static str) -> Self {
        Self { path: path.into(), value, instead_of: None }
    }

    /// Whether there is nothing to do when this is its value.
    pub(crate) fn is_served_by(&self, now: &[u8]) -> bool {
        now == self.value.as_bytes() || self.instead_of.is_some_and(|old| now != old.as_bytes())
    }
}

/// Where nothing is deleted, because a file that may have asked for it cannot be read just now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    #[default]
    Nowhere,
    On(HashSet<IfName>),
    Everywhere,
}

impl Hold {
    pub(crate) fn covers(&self, name: IfName) -> bool {
        match self {
            Self::Nowhere => false,
            Self::On(names) => names.contains(&name),
            Self::Everywhere => true,
        }
    }

    /// Another such file; it names `links`, or nobody knows which when that is empty.
    pub(crate) fn add(&mut self, links: HashSet<IfName>) {
        match self {
            Self::Everywhere => {}
            _ if links.is_empty() => *self = Self::Everywhere,
            Self::Nowhere => *self = Self::On(links),
            Self::On(all) => all.extend(links),
        }
    }
}

/// Everything the records ask for. Keys are unique in `addresses` and `routes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Desired {
    /// Bridges and VLANs.
    pub(crate) made: Vec<Wanted<Made>>,
    pub(crate) ports: Vec<Wanted<Port>>,
    pub(crate) links: Vec<Wanted<LinkSetting>>,
    pub(crate) addresses: Vec<Wanted<Address>>,
    pub(crate) routes: Vec<Wanted<Route>>,
    pub(crate) rules: Vec<Wanted<Rule>>,
    pub(crate) switches: Vec<Switch>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) hold: Hold,
}

/// What the administrator decides besides the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Its default route wins while it has one.
    pub(crate) prefer: Option<IfName>,
    /// Be a router.
    pub(crate) forward: bool,
    /// The links towards the internet; each has its own table where there are several, see [`uplinks`].
    pub(crate) wan: Vec<IfName>,
}

/// The tables the records mention, main among them: what has to be looked at in the kernel.
pub(crate) fn tables(sources: &[Source]) -> Vec<u32> {
    let mut tables: Vec<u32> = sources.iter().flat_map(|s| &s.entries).filter_map(|e| e.table).collect();
    tables.push(MAIN);
    tables.sort_unstable();
    tables.dedup();
    tables
}

/// The links that a prober calls dead.
pub(crate) fn dead_links(sources: &[Source], links: &[Link]) -> HashSet<IfIndex> {
    let dead = dead_names(sources);
    links.iter().filter(|l| dead.contains(&l.name)).map(|l| l.index).collect()
}

/// Their names, whether they are there or not.
pub(crate) fn dead_names(sources: &[Source]) -> HashSet<IfName> {
    let dead = sources.iter().flat_map(|s| &s.entries).filter(|e| e.health == Some(Health::Down));
    dead.map(|e| e.iface).collect()
}

/// Puts the records together. `hold` comes of the files that could not be read.
pub(crate) fn desired(sources: &[Source], hold: &Hold, links: &[Link], policy: &Policy) -> Desired {
    let named = links::named(sources);
    // What was made for a record that is there no longer is as good as gone.
    let stays = |l: &&Link| l.owner != Owner::Us || named.contains(&l.name) || hold.covers(l.name);
    let known = links.iter().filter(stays).map(|l| (l.name, l.index)).collect();
    let mut build = Build { out: Desired { hold: hold.clone(), ..Desired::default() }, links, known, named };
    build.made(sources);
    let records = build.records(sources);
    for record in &records {
        build.settings(record);
        build.address(record);
    }
    build.routes(&records, policy);
    if policy.forward {
        build.out.switches.push(Switch::new("net/ipv4/ip_forward", "1"));
        build.out.switches.push(Switch::new("net/ipv6/conf/all/forwarding", "1"));
        // A router does not listen to other routers, unless it is told to: an uplink lives by them.
        for name in policy.wan.iter().filter(|name| build.known.contains_key(name)) {
            let path = format!("net/ipv6/conf/{name}/accept_ra");
            build.out.switches.push(Switch { instead_of: Some("1"), ..Switch::new(path, "2") });
        }
    }
    build.out
}

/// A record whose interface exists.
struct Record<'a> {
    link: IfIndex,
    is_static: bool,
    entry: &'a Entry,
    origin: Origin,
}

impl Record<'_> {
    /// Asks for neither an address nor a route.
    fn speaks_of_the_link(&self) -> bool {
        self.entry.addr.is_none() && self.entry.net.is_none() && self.entry.routes.is_empty()
    }

    fn is_dead(&self) -> bool {
        self.entry.health == Some(Health::Down)
    }
}

struct Build<'l> {
    out: Desired,
    links: &'l [Link],
    known: HashMap<IfName, IfIndex>,
    /// The links that records make.
    named: HashSet<IfName>,
}

impl Build<'_> {
    fn problem(&mut self, origin: &Origin, link: Option<IfIndex>, what: String) {
        self.out.problems.push(Problem { origin: origin.clone(), link, what });
    }

    fn records<'a>(&mut self, sources: &'a [Source]) -> Vec<Record<'a>> {
        let mut records = Vec::new();
        for source in sources {
            let mut missing = HashSet::new();
            for entry in &source.entries {
                let origin = Origin { path: Rc::clone(&source.path), line: entry.line };
                match self.known.get(&entry.iface) {
                    Some(&link) => records.push(Record { link, is_static: source.is_static, entry, origin }),
                    // About to be made; if that is not possible it is said there.
                    None if self.named.contains(&entry.iface) => {}
                    // Once per file, at its first record.
                    None if missing.insert(entry.iface) => {
                        self.problem(&origin, None, format!("{}: there is no such interface", entry.iface));
                    }
                    None => {}
                }
            }
        }
        records
    }

    fn address(&mut self, record: &Record<'_>) {
        let Some(prefix) = record.entry.addr else { return };
        let broadcast = record.entry.bcast.filter(|_| prefix.addr().is_ipv4()).or_else(|| prefix.broadcast());
        let object = Address { link: record.link, prefix, broadcast, peer: None };
        self.out.addresses.push(Wanted { object, origin: record.origin.clone() });
    }

    fn routes(&mut self, records: &[Record<'_>], policy: &Policy) {
        self.unique_addresses();
        let networks = Networks::of(&self.out.addresses, records);
        // A prober says of a link whether it is alive, in a file of its own; the routes through it are others' records.
        let dead: HashSet<IfIndex> =
            records.iter().filter(|r| r.speaks_of_the_link() && r.is_dead()).map(|r| r.link).collect();
        let mut ways: Vec<Way<'_>> =
            records.iter().flat_map(|r| ways(r, policy, &dead)).filter(|w| !networks.is_connected(w)).collect();
        // The sort is stable: equal ones stay in the order of the files.
        ways.sort_by_key(Way::rank);
        let uplinks = uplinks::of(&ways, &networks, policy);
        let mut seen = HashSet::new();
        let mut taken: HashSet<RouteKey> = HashSet::new();
        let mut last_default: HashMap<(u32, bool), u32> = HashMap::new();
        for (way, others) in uplinks::shared(ways) {
            let mut route = way.route(&networks);
            if !others.is_empty() {
                let weighed = |way: &Way<'_>| {
                    let weight = way.record.entry.weight.unwrap_or(1);
                    way.route(&networks).hops.into_iter().map(move |hop| Hop { weight, ..hop })
                };
                route.hops = weighed(&way).chain(others.iter().flat_map(weighed)).collect();
            }
            // The same way to the same place, asked for twice, is one route.
            if !seen.insert((route.table, way.destination, way.record.link, way.gateway)) {
                continue;
            }
            let family = (route.table, way.destination.addr().is_ipv4());
            if way.destination.is_default() {
                route.metric = default_metric(way.record.entry.metric, last_default.get(&family).copied());
            }
            if route.destination.addr().is_ipv6() && route.metric == 0 {
                route.metric = V6_METRIC;
            }
            // Another way to the same place stands by. (After the largest metric there is only the smallest.)
            while !taken.insert(route.key()) {
                route.metric = route.metric.wrapping_add(1).max(1);
            }
            if way.destination.is_default() {
                last_default.insert(family, route.metric);
            }
            self.out.routes.push(Wanted { object: route, origin: way.record.origin.clone() });
        }
        self.out.routes.extend(uplinks.routes.into_iter().filter(|w| taken.insert(w.object.key())));
        self.out.rules = uplinks.rules;
        self.out.switches.extend(uplinks.switches);
    }

    /// The same address asked for twice is one address; a second one in its place is a mistake.
    fn unique_addresses(&mut self) {
        let mut first: HashMap<AddressKey, Wanted<Address>> = HashMap::new();
        for wanted in core::mem::take(&mut self.out.addresses) {
            match first.get(&wanted.object.key()) {
                None => {
                    first.insert(wanted.object.key(), wanted.clone());
                    self.out.addresses.push(wanted);
                }
                Some(other) if other.object != wanted.object => {
                    let what =
                        format!("address {}: {} asks for another form of it", wanted.object.prefix, other.origin);
                    self.problem(&wanted.origin, Some(wanted.object.link), what);
                }
                Some(_) => {}
            }
        }
    }
}

/// A larger metric than the one before, the record's own where that fits.
const fn default_metric(asked: Option<u32>, before: Option<u32>) -> u32 {
    match (asked, before) {
        (Some(m), None) => m,
        (Some(m), Some(before)) if m > before => m,
        (Some(_), Some(before)) => before.saturating_add(1),
        (None, None) => DEFAULT_METRIC,
        (None, Some(before)) => (before / DEFAULT_METRIC).saturating_add(1).saturating_mul(DEFAULT_METRIC),
    }
}

/// One route a record asks for.
struct Way<'a> {
    record: &'a Record<'a>,
    destination: Prefix,
    gateway: Option<IpAddr>,
    preferred: bool,
    dead: bool,
}

fn ways<'a>(record: &'a Record<'a>, policy: &Policy, dead: &HashSet<IfIndex>) -> Vec<Way<'a>> {
    let entry = record.entry;
    let preferred = policy.prefer == Some(entry.iface);
    let dead = record.is_dead() || dead.contains(&record.link);
    let main = entry.net.map(|destination| Way { record, destination, gateway: entry.gw, preferred, dead });
    let more = entry.routes.iter().map(|r| Way { record, destination: r.net, gateway: r.gw, preferred, dead });
    main.into_iter().chain(more).collect()
}

impl Way<'_> {
    /// Smaller comes first and wins. A path that is known to be dead is the last to be used.
    fn rank(&self) -> (bool, bool, u32) {
        let entry = self.record.entry;
        if self.destination.is_default() {
            (self.dead, !self.preferred, entry.metric.unwrap_or(DEFAULT_METRIC))
        } else {
            (self.dead, false, entry.metric.unwrap_or(0))
        }
    }

    /// Takes part in sharing the load: a default route of main that says its weight, works, and is not the preferred one.
    fn shares(&self) -> bool {
        let entry = self.record.entry;
        self.destination.is_default()
            && entry.weight.is_some()
            && in_main(entry)
            && !self.dead
            && !self.preferred
            && self.gateway.is_some()
    }

    fn route(&self, networks: &Networks) -> Route {
        let entry = self.record.entry;
        let onlink = self.gateway.is_some_and(|g| !networks.reach(self.record.link, g));
        // An address that says nothing of the gateway's network would not be chosen for packets to it.
        let source =
            entry.addr.map(Prefix::addr).filter(|a| onlink && a.is_ipv4() && self.destination.addr().is_ipv4());
        Route {
            table: entry.table.unwrap_or(MAIN),
            destination: self.destination,
            tos: 0,
            metric: entry.metric.unwrap_or(0),
            kind: UNICAST,
            source,
            hops: vec![Hop { link: self.record.link, gateway: self.gateway, onlink, weight: 1 }],
        }
    }
}

/// Which networks are on which link once everything is in place.
struct Networks {
    /// From addresses: the kernel makes their routes.
    connected: HashSet<(IfIndex, Prefix)>,
    /// Those, and routes without a gateway.
    on_link: HashSet<(IfIndex, Prefix)>,
    /// The prefix lengths that occur in `on_link`: a look-up for each instead of a walk over thousands of networks.
    lengths: BTreeSet<u8>,
}

impl Networks {
    fn of(addresses: &[Wanted<Address>], records: &[Record<'_>]) -> Self {
        let connected: HashSet<_> = addresses.iter().map(|w| (w.object.link, w.object.prefix.network())).collect();
        let mut on_link = connected.clone();
        for record in records.iter().filter(|r| in_main(r.entry)) {
            let nets = record.entry.routes.iter().filter(|r| r.gw.is_none()).map(|r| r.net);
            let net = record.entry.net.filter(|n| record.entry.gw.is_none() && !n.is_default());
            on_link.extend(nets.chain(net).map(|n| (record.link, n)));
        }
        let lengths = on_link.iter().map(|(_, n)| n.prefix_len()).collect();
        Self { connected, on_link, lengths }
    }

    /// The scheme's static files name their own network as `net`; the kernel has made that route already.
    fn is_connected(&self, way: &Way<'_>) -> bool {
        way.gateway.is_none()
            && in_main(way.record.entry)
            && self.connected.contains(&(way.record.link, way.destination))
    }

    /// Whether the kernel will find `gateway` on `link` by itself.
    fn reach(&self, link: IfIndex, gateway: IpAddr) -> bool {
        let link_local = match gateway {
            IpAddr::V6(a) => a.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        };
        let network = |&len: &u8| Prefix::new(gateway, len).map(Prefix::network);
        link_local || self.lengths.iter().filter_map(network).any(|n| self.on_link.contains(&(link, n)))
    }
}

fn in_main(entry: &Entry) -> bool {
    entry.table.is_none_or(|t| t == MAIN)
}

#[cfg(test)]
mod tests;
