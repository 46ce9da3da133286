//! From a handler's environment to facts. The variables are udhcpc's (spec dhcp a.6) and zcip's, so the same code serves
//! the packaged daemons' scripts and ours.
//!
//! The values come from whoever answered on the network. Each one is parsed into a real type and written anew from that
//! type; what does not parse, or would send traffic where no honest server sends it, is dropped with a reason and never
//! passed on. Variables we do not publish (`rootpath`, `message`, ...) are not even looked at.

use super::Facts;
use crate::domain::{DomainName, Host};
use crate::ifname::{IfName, IfNameError};
use crate::ipconf::{Entry, Route};
use crate::prefix::{Prefix, mask_len};
use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr};

/// Most addresses or names taken from one list.
const MAX_LIST: usize = 16;
/// Most static routes taken from a server; one packet can hold hundreds.
const MAX_ROUTES: usize = 64;
/// Smallest MTU believed (RFC 791: every host takes 576); below it a server only does harm.
const MIN_MTU: u32 = 576;

/// What an event means for the service's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Publish this.
    Publish(Facts),
    /// Remove the files: any action but `bound`, `renew` (udhcpc) and `config` (zcip), or no usable address.
    Withdraw,
}

/// A value that was not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The variable.
    pub variable: &'static str,
    /// The value, escaped to printable ASCII and cut.
    pub value: String,
    /// What should have been there.
    pub expected: &'static str,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\" not used: expected {}", self.variable, self.value, self.expected)
    }
}

/// Decides what `action` with these variables publishes. The list names every value that was left out.
///
/// The error is for a missing or impossible `interface`, which is the caller's own doing.
pub fn from_environment<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    action: &str,
    variables: impl IntoIterator<Item = (K, V)>,
) -> Result<(Verdict, Vec<Dropped>), IfNameError> {
    let mut reader = Reader::new(variables);
    let iface: IfName = reader.text("interface").unwrap_or("").parse()?;
    if !matches!(action, "bound" | "renew" | "config") {
        return Ok((Verdict::Withdraw, Vec::new()));
    }
    let verdict = reader.facts(iface).map_or(Verdict::Withdraw, Verdict::Publish);
    Ok((verdict, reader.dropped))
}

/// The variables anyone asks for, in no order.
const NAMES: [&str; 16] = [
    "interface",
    "ip",
    "mask",
    "subnet",
    "broadcast",
    "router",
    "routes",
    "staticroutes",
    "msstaticroutes",
    "mtu",
    "metric",
    "dns",
    "domain",
    "search",
    "ntpsrv",
    "lease",
];
/// Asked for only to say where the lease is from.
const SERVER: &str = "serverid";

struct Reader {
    values: Vec<(&'static str, Vec<u8>)>,
    dropped: Vec<Dropped>,
}

impl Reader {
    fn new<K: AsRef<[u8]>, V: AsRef<[u8]>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut values: Vec<(&'static str, Vec<u8>)> = Vec::new();
        for (k, v) in variables {
            let known = NAMES.iter().chain([&SERVER]).find(|n| n.as_bytes() == k.as_ref());
            if let Some(name) = known
                && !v.as_ref().is_empty()
                && values.iter().all(|(n, _)| n != name)
            {
                values.push((name, v.as_ref().to_owned()));
            }
        }
        Self { values, dropped: Vec::new() }
    }

    /// The value of a variable that is there, not empty, and text.
    fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.values.iter().find(|(n, _)| *n == name)?;
        core::str::from_utf8(value).ok()
    }

    /// One value that satisfies `accept`.
    fn one<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        accept: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let (_, raw) = self.values.iter().find(|(n, _)| *n == name)?;
        let found = core::str::from_utf8(raw).ok().and_then(|t| t.parse().ok()).filter(accept);
        if found.is_none() {
            self.dropped.push(Dropped { variable: name, value: printable(raw), expected });
        }
        found
    }

    /// The words of a list that satisfy `accept`, each at its first occurrence only.
    fn list<T: FromStr + PartialEq>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        accept: impl Fn(&T) -> bool,
    ) -> Vec<T> {
        let mut found = Vec::new();
        let Some((_, raw)) = self.values.iter().find(|(n, _)| *n == name) else { return found };
        for word in raw.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()) {
            match core::str::from_utf8(word).ok().and_then(|t| t.parse().ok()).filter(&accept) {
                Some(value) if found.len() < MAX_LIST => {
                    if !found.contains(&value) {
                        found.push(value);
                    }
                }
                Some(_) | None if self.dropped.len() < MAX_LIST => {
                    self.dropped.push(Dropped { variable: name, value: printable(word), expected });
                }
                Some(_) | None => {}
            }
        }
        found
    }

    fn facts(&mut self, iface: IfName) -> Option<Facts> {
        let ip: Ipv4Addr = self.one("ip", "the address of a host", |a| unicast(*a))?;
        let addr = self.prefix(ip)?;
        let mut entry = Entry::new(iface);
        entry.addr = Some(addr);
        let inside = |b: &Ipv4Addr| addr.contains(IpAddr::V4(*b)) || b.is_broadcast();
        entry.bcast =
            self.one("broadcast", "an address of this network", inside).filter(|b| addr.broadcast() != Some(*b));
        self.routing(addr, &mut entry);
        entry.mtu = self.one("mtu", "a number from 576 to 65535", |m| (MIN_MTU..=65535).contains(m));
        entry.metric = self.one("metric", "a number", |_| true);
        let host = |a: &Ipv4Addr| unicast(*a);
        entry.dns = self.list("dns", "the address of a host", host).into_iter().map(IpAddr::V4).collect();
        // "bad" is what udhcpc makes of a name it does not like.
        entry.domain = self.one("domain", "a domain name", |d: &DomainName| d.as_str() != "bad");
        entry.search = self.list("search", "a domain name", |_| true);
        let ntp: Vec<IpAddr> = self.list("ntpsrv", "the address of a host", host).into_iter().map(IpAddr::V4).collect();
        entry.ntp = ntp.iter().copied().map(Host::Addr).collect();
        let comments = self.lease_comment().into_iter().collect();
        Some(Facts { entries: vec![entry], ntp, comments })
    }

    /// The address with its network's length: `mask` (a bit count), `subnet` (dotted), else the customary guess.
    fn prefix(&mut self, ip: Ipv4Addr) -> Option<Prefix> {
        let subnet = self.one("subnet", "a netmask", |m: &Ipv4Addr| mask_len(*m).is_some()).and_then(mask_len);
        let mask = self.one("mask", "a number from 1 to 32", |m: &u8| (1..=32).contains(m));
        Prefix::new(IpAddr::V4(ip), subnet.filter(|l| *l > 0).or(mask).unwrap_or_else(|| guess_len(ip)))
    }

    /// Default route and further routes. Classless routes replace `router` and `routes` altogether (RFC 3442 p. 5).
    fn routing(&mut self, own: Prefix, entry: &mut Entry) {
        let mut routes = self.routes("staticroutes", own);
        if routes.is_empty() {
            routes = self.routes("msstaticroutes", own);
        }
        if routes.is_empty() {
            routes = self.routes("routes", own);
            let router = self.list("router", "the address of a router", |a: &Ipv4Addr| gateway_ok(*a, own));
            let default = |gw: &Ipv4Addr| Route { net: Prefix::DEFAULT_V4, gw: Some(IpAddr::V4(*gw)) };
            routes.extend(router.first().map(default));
        }
        // A default route on the link itself has no gateway to put into `gw`, and stays among the others.
        if let Some(at) = routes.iter().position(|r| r.net.is_default() && r.gw.is_some()) {
            let default = routes.remove(at);
            (entry.net, entry.gw) = (Some(default.net), default.gw);
        }
        entry.routes = routes;
    }

    /// `NET/LEN ROUTER NET/LEN ROUTER` (121, 249) or `DEST/ROUTER DEST/ROUTER` (33, host and classful routes).
    fn routes(&mut self, name: &'static str, own: Prefix) -> Vec<Route> {
        let Some((_, raw)) = self.values.iter().find(|(n, _)| *n == name) else { return Vec::new() };
        let text = String::from_utf8_lossy(raw).into_owned();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let mut found: Vec<Route> = Vec::new();
        for words in words.chunks(if name == "routes" { 1 } else { 2 }) {
            let route = match words {
                [net, gw] => classless(net, gw, own),
                [word] => word.split_once('/').and_then(|(dest, gw)| host_route(dest, gw, own)),
                _ => None,
            };
            match route {
                Some(route) if found.len() < MAX_ROUTES => {
                    // Of two routes to one network the first counts, as in a routing table.
                    if !found.iter().any(|r| r.net == route.net) {
                        found.push(route);
                    }
                }
                Some(_) | None if self.dropped.len() < MAX_LIST => self.dropped.push(Dropped {
                    variable: name,
                    value: printable(words.join(" ").as_bytes()),
                    expected: "a route to a network elsewhere through a router",
                }),
                Some(_) | None => {}
            }
        }
        found
    }

    fn lease_comment(&mut self) -> Option<String> {
        let lease: u32 = self.one("lease", "a number of seconds", |_| true)?;
        let server: Option<Ipv4Addr> = self.one(SERVER, "an IPv4 address", |_| true);
        Some(server.map_or_else(|| format!("lease {lease}"), |s| format!("lease {lease} from {s}")))
    }
}

fn classless(net: &str, gw: &str, own: Prefix) -> Option<Route> {
    let net = net.parse::<Prefix>().ok()?.network();
    route(net, gw.parse().ok()?, own)
}

/// Option 33 has no masks: a host, or a whole network of its class when the host part is zero (RFC 2132 §5.8).
fn host_route(dest: &str, gw: &str, own: Prefix) -> Option<Route> {
    let dest: Ipv4Addr = dest.parse().ok()?;
    let gw: Ipv4Addr = gw.parse().ok()?;
    let class = Prefix::new(IpAddr::V4(dest), class_len(dest))?;
    let net = if class.network() == class { class } else { Prefix::host(IpAddr::V4(dest)) };
    // "The default route (0.0.0.0) is an illegal destination for a static route."
    if dest.is_unspecified() || gw.is_unspecified() { None } else { route(net, gw, own) }
}

/// Refuses networks that are never behind a router, and parts of our own network sent through one: that is how a server
/// would pull traffic of the neighbours to itself.
fn route(net: Prefix, gw: Ipv4Addr, own: Prefix) -> Option<Route> {
    let IpAddr::V4(first) = net.addr() else { return None };
    if !net.is_default() && net.prefix_len() >= 8 && matches!(first.octets()[0], 0 | 127 | 224..) {
        return None;
    }
    if gw.is_unspecified() {
        return Some(Route { net, gw: None });
    }
    let hijack = own.contains(net.addr()) && net.prefix_len() >= own.prefix_len();
    (gateway_ok(gw, own) && !hijack).then_some(Route { net, gw: Some(IpAddr::V4(gw)) })
}

/// A gateway is another host, and not the network's own first or last address.
fn gateway_ok(gw: Ipv4Addr, own: Prefix) -> bool {
    let network = own.broadcast().is_some() && own.network().addr() == IpAddr::V4(gw);
    unicast(gw) && own.addr() != IpAddr::V4(gw) && own.broadcast() != Some(gw) && !network
}

/// An address one host can have: not 0/8, loopback, multicast, class E or broadcast.
fn unicast(a: Ipv4Addr) -> bool {
    !matches!(a.octets()[0], 0 | 127 | 224..)
}

/// Without a mask: the private ranges as the busybox handler does, link-local as zcip does, else the old classes.
fn guess_len(ip: Ipv4Addr) -> u8 {
    match ip.octets() {
        [10, ..] => 8,
        [172, 16..=31, ..] => 12,
        [192, 168, ..] | [169, 254, ..] => 16,
        _ => class_len(ip),
    }
}

/// RFC 791 classes A to C.
fn class_len(ip: Ipv4Addr) -> u8 {
    match ip.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        192.. => 24,
    }
}

/// For a log line.
fn printable(raw: &[u8]) -> String {
    raw[..raw.len().min(64)].escape_ascii().to_string()
}
