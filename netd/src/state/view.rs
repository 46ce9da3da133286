//! The state of the network as a person asks for it: links with their addresses, uplinks in the order in which they are
//! used, name servers; each with the file it is from. Made of the records and of what the kernel has.

use super::desired::{Desired, Origin, Source};
use super::object::{Actual, AddressKey, Link, Owned, Owner, Route};
use netif::ipconf::{Entry, Health};
use netif::{IfIndex, IfName, Prefix};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) uplinks: Vec<Uplink>,
    pub(crate) names: Vec<Names>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkView {
    pub(crate) name: IfName,
    /// Administratively up.
    pub(crate) up: bool,
    /// And its cable is in.
    pub(crate) carrier: bool,
    /// Bytes.
    pub(crate) mtu: u32,
    pub(crate) addresses: Vec<AddressView>,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressView {
    pub(crate) prefix: Prefix,
    /// The file that asks for it, without `.ipconf`; none when nobody does.
    pub(crate) file: Option<String>,
    /// Somebody else has set it.
    pub(crate) foreign: bool,
}

/// How an uplink takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its default route is the one in use.
    Used,
    /// Its default route stands by.
    StandsBy,
    /// A record asks for the default route and the kernel has none.
    Missing,
}

impl Part {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::StandsBy => "standby",
            Self::Missing => "missing",
        }
    }
}

/// A default route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uplink {
    pub(crate) link: String,
    pub(crate) family: Family,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) metric: u32,
    pub(crate) part: Part,
    /// None: nobody looks.
    pub(crate) health: Option<Health>,
    /// As in [`AddressView::file`].
    pub(crate) file: Option<String>,
    /// What the files about the link say in comments: the lease, loss and round trip time.
    pub(crate) notes: Vec<String>,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Name servers and search domains of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) file: String,
    pub(crate) link: IfName,
    pub(crate) priority: u32,
    pub(crate) servers: Vec<IpAddr>,
    pub(crate) search: Vec<String>,
}

/// Puts it together. `notes`: the comments of each file by its path.
pub(crate) fn view(
    sources: &[Source],
    wanted: &Desired,
    actual: &Actual,
    notes: &HashMap<std::rc::Rc<str>, Vec<String>>,
) -> View {
    let entries = || sources.iter().flat_map(|s| s.entries.iter().map(move |e| (s, e)));
    let health = |link: IfIndex| {
        let name = actual.link(link)?.name;
        let of_link: Vec<Health> = entries().filter(|(_, e)| e.iface == name).filter_map(|(_, e)| e.health).collect();
        of_link.iter().find(|h| **h == Health::Down).or_else(|| of_link.first()).copied()
    };
    let notes_of = |link: IfIndex| -> Vec<String> {
        let Some(link) = actual.link(link) else { return Vec::new() };
        let about = |s: &&Source| s.entries.iter().any(|e| e.iface == link.name);
        sources.iter().filter(about).filter_map(|s| notes.get(&s.path)).flatten().cloned().collect()
    };
    let mut uplinks: Vec<Uplink> = Vec::new();
    let mut add = |route: &Route, part: Part, origin: Option<&Origin>| {
        let Some(hop) = route.hops.first() else { return };
        uplinks.push(Uplink {
            link: super::text::link_name(hop.link, actual),
            family: if route.destination.addr().is_ipv4() { Family::V4 } else { Family::V6 },
            gateway: hop.gateway,
            metric: route.metric,
            part,
            health: health(hop.link),
            file: origin.map(|o| stem(&o.path)),
            notes: notes_of(hop.link),
        });
    };
    let is_default = |r: &Route| r.table == super::object::MAIN && r.destination.is_default();
    let mut there: Vec<&Owned<Route>> = actual.routes.iter().filter(|r| is_default(&r.object)).collect();
    there.sort_by_key(|r| (r.object.destination.addr().is_ipv6(), r.object.metric));
    let mut used = [false; 2];
    for route in &there {
        let up = route.object.hops.iter().any(|h| actual.link(h.link).is_some_and(|l| l.carrier));
        let used = &mut used[usize::from(route.object.destination.addr().is_ipv6())];
        let part = if up && !*used { Part::Used } else { Part::StandsBy };
        *used |= up;
        let same = |o: &Route| o.key() == route.object.key() && o.hops == route.object.hops;
        add(&route.object, part, wanted.routes.iter().find(|w| same(&w.object)).map(|w| &w.origin));
    }
    for w in wanted.routes.iter().filter(|w| is_default(&w.object)) {
        if there.iter().all(|r| r.object.key() != w.object.key() || r.object.hops != w.object.hops) {
            add(&w.object, Part::Missing, Some(&w.origin));
        }
    }
    let names = entries().filter(|(_, e)| !e.dns.is_empty() || !e.search.is_empty() || e.domain.is_some());
    View { uplinks, names: names.map(|(s, e)| names_of(s, e)).collect() }
}

/// Every link of the host with its addresses.
pub(crate) fn links(wanted: &Desired, actual: &Actual) -> Vec<LinkView> {
    let asked: HashMap<AddressKey, &Origin> = wanted.addresses.iter().map(|w| (w.object.key(), &w.origin)).collect();
    let mut of_link: HashMap<IfIndex, Vec<AddressView>> = HashMap::new();
    for address in &actual.addresses {
        let file = asked.get(&address.object.key()).map(|origin| stem(&origin.path));
        let foreign = address.owner != Owner::Us;
        let view = AddressView { prefix: address.object.prefix, file, foreign };
        of_link.entry(address.object.link).or_default().push(view);
    }
    let mut view = |l: &Link| LinkView {
        name: l.name,
        up: l.up,
        carrier: l.carrier,
        mtu: l.mtu,
        addresses: of_link.remove(&l.index).unwrap_or_default(),
    };
    actual.links.iter().map(&mut view).collect()
}

fn names_of(source: &Source, entry: &Entry) -> Names {
    let search = if entry.search.is_empty() { entry.domain.as_slice() } else { &entry.search };
    Names {
        file: stem(&source.path),
        link: entry.iface,
        priority: entry.dns_prio.unwrap_or(0),
        servers: entry.dns.clone(),
        search: search.iter().map(ToString::to_string).collect(),
    }
}

/// `dhcp_eth0` of `/var/run/service/fw/dhcp_eth0.ipconf`.
fn stem(path: &str) -> String {
    Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
