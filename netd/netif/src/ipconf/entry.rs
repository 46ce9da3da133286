//! Records with types: what `fw` acts on. Every known key has one type, one range and one text form, here and nowhere else.

use super::{Expected, File, ParseError, Record};
use crate::domain::{DomainName, Host};
use crate::ifname::IfName;
use crate::prefix::Prefix;
use core::fmt::Display;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr};

/// One record, typed. An empty value in the file is an absent one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the record starts, from 1; 0 when it was not read from a file.
    pub line: u32,
    /// `if`, the one key a record must have.
    pub iface: IfName,
    /// `ip` and `ipmask`: the interface's address with its host bits. `ip` alone is a host address (/32, /128).
    pub addr: Option<Prefix>,
    /// `bcast`: the broadcast address, where it is not the last of the network.
    pub bcast: Option<Ipv4Addr>,
    /// `gw`: a router on this link. Of several (busybox's handler copies the server's whole list) the first.
    pub gw: Option<IpAddr>,
    /// `net`: what is reached through `gw`; `0/0` is everything. Host bits are cleared. Of the family of `gw`. Everything
    /// without a `gw` is nothing: busybox's handler writes `0/0` whether there is a router or not.
    pub net: Option<Prefix>,
    /// `routes`: further networks, `NET/LEN ROUTER NET/LEN ROUTER ...` (udhcpc's `staticroutes`).
    pub routes: Vec<Route>,
    /// `metric` of the routes, smaller is preferred.
    pub metric: Option<u32>,
    /// `table`: the routing table of the routes instead of main.
    pub table: Option<u32>,
    /// `weight` among equal uplinks, 1 to 256.
    pub weight: Option<u16>,
    /// `health`: what a prober says of the path; absent means nobody looks.
    pub health: Option<Health>,
    /// `failback`: what becomes of connections through this uplink when another one takes over while this one still works.
    pub failback: Option<Failback>,
    /// `autoconf`: what a DHCP server said of link-local addresses (RFC 2563); absent: nothing.
    pub autoconf: Option<Autoconf>,
    /// `mtu` of the interface in bytes, 68 (RFC 791) to 65535.
    pub mtu: Option<u32>,
    /// `bridge`: the interface is a bridge with these ports. In the administrator's files only.
    pub bridge: Vec<IfName>,
    /// `vlan`: the interface is a VLAN. In the administrator's files only.
    pub vlan: Option<Vlan>,
    /// `dns`: name servers, best first.
    pub dns: Vec<IpAddr>,
    /// `dns_prio`: of all records with servers only those with the highest number count; absent is 0.
    pub dns_prio: Option<u32>,
    /// `domain`: the local domain.
    pub domain: Option<DomainName>,
    /// `search`: the search list, first tried first.
    pub search: Vec<DomainName>,
    /// `dnsmasq`: lines for dnsmasq's servers file, in place of `dns`, for example `server=/example.net/192.0.2.53`.
    pub dnsmasq: Vec<String>,
    /// `ntp`: time servers.
    pub ntp: Vec<Host>,
}

/// A network and how to reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Host bits cleared.
    pub net: Prefix,
    /// None: on the link itself, written `0.0.0.0` or `::` (RFC 3442).
    pub gw: Option<IpAddr>,
}

/// Tagged packets of another interface (IEEE 802.1Q), written `INTERFACE NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// Where the tagged packets are.
    pub below: IfName,
    /// Their tag, 1 to 4094.
    pub id: u16,
}

/// What a prober says of the path through an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Packets come back.
    Up,
    /// They do not: not to be used while another path is up.
    Down,
}

/// Whether hosts may give themselves addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autoconf {
    /// `no`: zcip takes none.
    Forbidden,
}

/// What becomes of connections through an uplink that is not the used one any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// They stay there until they end by themselves.
    Keep,
    /// They are ended and begin anew through the used uplink.
    Drop,
    /// The same, this many seconds later.
    After(u32),
}

/// A key we do not know: kept, and worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// From 1.
    pub line: u32,
    /// The key.
    pub key: String,
}

/// A file with types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// One per record.
    pub entries: Vec<Entry>,
    /// What nobody will use.
    pub unknown: Vec<Unknown>,
}

/// Every key the scheme and we know, in the order we write them.
const KEYS: [&str; 22] = [
    "if", "ip", "ipmask", "bcast", "gw", "net", "routes", "metric", "table", "weight", "health", "failback",
    "autoconf", "mtu", "bridge", "vlan", "dns", "dns_prio", "domain", "search", "dnsmasq", "ntp",
];

impl File {
    /// Types for all records. The first value of the wrong type refuses the file, as a mistake in the grammar does.
    pub fn entries(&self) -> Result<Entries, ParseError> {
        let mut found = Entries::default();
        for record in &self.records {
            found.entries.push(Entry::from_record(record)?);
            let unknown = record.assignments.iter().filter(|a| !KEYS.contains(&a.key.as_str()));
            found.unknown.extend(unknown.map(|a| Unknown { line: a.line, key: a.key.clone() }));
        }
        Ok(found)
    }
}

impl Entry {
    /// An entry that says nothing of `iface` yet.
    pub const fn new(iface: IfName) -> Self {
        Self {
            line: 0,
            iface,
            addr: None,
            bcast: None,
            gw: None,
            net: None,
            routes: Vec::new(),
            metric: None,
            table: None,
            weight: None,
            health: None,
            failback: None,
            autoconf: None,
            mtu: None,
            bridge: Vec::new(),
            vlan: None,
            dns: Vec::new(),
            dns_prio: None,
            domain: None,
            search: Vec::new(),
            dnsmasq: Vec::new(),
            ntp: Vec::new(),
        }
    }

    /// Types for one record.
    pub fn from_record(record: &Record) -> Result<Self, ParseError> {
        let iface = one(record, "if", "an interface name")?
            .ok_or(ParseError { line: record.line, expected: Expected::Key("if") })?;
        let gw = list(record, "gw", ADDRESS)?.first().copied();
        Ok(Self {
            line: record.line,
            iface,
            addr: address(record)?,
            bcast: one(record, "bcast", "an IPv4 address")?,
            gw,
            net: destination(record, gw)?,
            routes: routes(record)?,
            metric: one(record, "metric", "a number")?,
            table: in_range(record, "table", 1..=u32::MAX, "a number from 1")?,
            weight: in_range(record, "weight", 1..=256, "a number from 1 to 256")?,
            health: one(record, "health", "up or down")?,
            failback: one(record, "failback", "keep, drop or a number of seconds")?,
            autoconf: one(record, "autoconf", "no")?,
            mtu: in_range(record, "mtu", 68..=65535, "a number from 68 to 65535")?,
            bridge: list(record, "bridge", "a list of interface names")?,
            vlan: one(record, "vlan", "INTERFACE NUMBER, the number from 1 to 4094")?,
            dns: list(record, "dns", "a list of IPv4 or IPv6 addresses")?,
            dns_prio: one(record, "dns_prio", "a number")?,
            domain: one(record, "domain", "a domain name")?,
            search: list(record, "search", "a list of domain names")?,
            dnsmasq: dnsmasq(record)?,
            ntp: list(record, "ntp", "a list of addresses or host names")?,
        })
    }

    /// The way back: only what is set, in a fixed order. `ip` and `ipmask` are always written together.
    pub fn record(&self) -> Record {
        let mut r = Record::default();
        r.push("if", self.iface);
        if let Some(addr) = self.addr {
            r.push("ip", addr.addr());
            r.push("ipmask", addr);
        }
        push(&mut r, "bcast", self.bcast);
        push(&mut r, "gw", self.gw);
        push(&mut r, "net", self.net.map(Destination));
        push_list(&mut r, "routes", &self.routes);
        push(&mut r, "metric", self.metric);
        push(&mut r, "table", self.table);
        push(&mut r, "weight", self.weight);
        push(&mut r, "health", self.health);
        push(&mut r, "failback", self.failback);
        push(&mut r, "autoconf", self.autoconf);
        push(&mut r, "mtu", self.mtu);
        push_list(&mut r, "bridge", &self.bridge);
        push(&mut r, "vlan", self.vlan);
        push_list(&mut r, "dns", &self.dns);
        push(&mut r, "dns_prio", self.dns_prio);
        push(&mut r, "domain", self.domain.as_ref());
        push_list(&mut r, "search", &self.search);
        push_list(&mut r, "dnsmasq", &self.dnsmasq);
        push_list(&mut r, "ntp", &self.ntp);
        r
    }
}

const ADDRESS: &str = "an IPv4 or IPv6 address";
const ADDRESS_LEN: &str = "the address of ip with its prefix length or netmask";
const NETWORK: &str = "0/0 or a network with its prefix length, of gw's address family";
const ROUTES: &str = "pairs of NET/LEN ROUTER of one address family";

fn push(r: &mut Record, key: &str, value: Option<impl Display>) {
    if let Some(v) = value {
        r.push(key, v);
    }
}

fn push_list(r: &mut Record, key: &str, values: &[impl Display]) {
    if !values.is_empty() {
        let words: Vec<String> = values.iter().map(ToString::to_string).collect();
        r.push(key, words.join(" "));
    }
}

/// The error for `key`, which is there.
fn wrong(record: &Record, key: &'static str, what: &'static str) -> ParseError {
    ParseError { line: record.assignment(key).map_or(record.line, |a| a.line), expected: Expected::Typed(key, what) }
}

fn one<T: FromStr>(record: &Record, key: &'static str, what: &'static str) -> Result<Option<T>, ParseError> {
    record.value(key).map(str::parse).transpose().map_err(|_| wrong(record, key, what))
}

fn in_range<T: FromStr + PartialOrd>(
    record: &Record,
    key: &'static str,
    range: core::ops::RangeInclusive<T>,
    what: &'static str,
) -> Result<Option<T>, ParseError> {
    match one(record, key, what)? {
        Some(n) if !range.contains(&n) => Err(wrong(record, key, what)),
        n => Ok(n),
    }
}

/// The words of a list.
fn words<'r>(record: &'r Record, key: &str) -> impl Iterator<Item = &'r str> {
    record.value(key).unwrap_or("").split_ascii_whitespace()
}

fn list<T: FromStr>(record: &Record, key: &'static str, what: &'static str) -> Result<Vec<T>, ParseError> {
    words(record, key).map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong(record, key, what))
}

/// `ip` and `ipmask`, in the scheme's spelling (address, address/length) or with a bare netmask as `ipmask`.
fn address(record: &Record) -> Result<Option<Prefix>, ParseError> {
    let ip: Option<Prefix> = one(record, "ip", ADDRESS)?;
    let Some(text) = record.value("ipmask") else { return Ok(ip) };
    if let (Some(IpAddr::V4(ip)), Ok(mask)) = (ip.map(Prefix::addr), text.parse()) {
        return Prefix::with_mask(ip, mask).map(Some).ok_or_else(|| wrong(record, "ipmask", ADDRESS_LEN));
    }
    let full: Prefix = text.parse().map_err(|_| wrong(record, "ipmask", ADDRESS_LEN))?;
    if ip.is_some_and(|ip| ip.addr() != full.addr()) {
        return Err(wrong(record, "ipmask", ADDRESS_LEN));
    }
    Ok(Some(full))
}

/// `net`, where `0/0` is of whatever family `gw` is.
fn destination(record: &Record, gw: Option<IpAddr>) -> Result<Option<Prefix>, ParseError> {
    let Some(net) = one::<Prefix>(record, "net", NETWORK)? else { return Ok(None) };
    match gw {
        None if net.is_default() => Ok(None),
        Some(IpAddr::V6(_)) if record.value("net") == Some("0/0") => Ok(Some(Prefix::DEFAULT_V6)),
        Some(gw) if gw.is_ipv4() != net.addr().is_ipv4() => Err(wrong(record, "net", NETWORK)),
        Some(_) | None => Ok(Some(net.network())),
    }
}

fn routes(record: &Record) -> Result<Vec<Route>, ParseError> {
    let words: Vec<&str> = words(record, "routes").collect();
    words.chunks(2).map(Route::from_words).collect::<Option<_>>().ok_or_else(|| wrong(record, "routes", ROUTES))
}

/// Words that go into dnsmasq's own configuration, so only what `server=` takes: `/domain/`, address, `#port`, `@interface`.
/// The `server=` itself may be left out.
fn dnsmasq(record: &Record) -> Result<Vec<String>, ParseError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"./:#@_-".contains(&b);
    let server = |w: &str| w.strip_prefix("server=").unwrap_or(w).bytes().all(allowed);
    if words(record, "dnsmasq").all(server) {
        Ok(words(record, "dnsmasq").map(str::to_owned).collect())
    } else {
        Err(wrong(record, "dnsmasq", "a list of server=/DOMAIN/ADDRESS"))
    }
}

impl Route {
    fn from_words(pair: &[&str]) -> Option<Self> {
        let [net, gw] = pair else { return None };
        let (net, gw): (Prefix, IpAddr) = (net.parse().ok()?, gw.parse().ok()?);
        (net.addr().is_ipv4() == gw.is_ipv4())
            .then_some(Self { net: net.network(), gw: (!gw.is_unspecified()).then_some(gw) })
    }
}

impl Display for Route {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ", self.net)?;
        match self.gw {
            Some(gw) => gw.fmt(f),
            None if self.net.addr().is_ipv4() => f.write_str("0.0.0.0"),
            None => f.write_str("::"),
        }
    }
}

/// `net` as the scheme writes it.
struct Destination(Prefix);

impl Display for Destination {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 == Prefix::DEFAULT_V4 { f.write_str("0/0") } else { self.0.fmt(f) }
    }
}

impl FromStr for Vlan {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        let mut words = s.split_ascii_whitespace();
        let (Some(below), Some(id), None) = (words.next(), words.next(), words.next()) else { return Err(()) };
        let id = id.parse().map_err(drop)?;
        let below = below.parse().map_err(drop)?;
        if (1..=4094).contains(&id) { Ok(Self { below, id }) } else { Err(()) }
    }
}

impl Display for Vlan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}", self.below, self.id)
    }
}

impl FromStr for Autoconf {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        if s == "no" { Ok(Self::Forbidden) } else { Err(()) }
    }
}

impl Display for Autoconf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Forbidden => f.write_str("no"),
        }
    }
}

impl FromStr for Health {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "up" => Ok(Self::Up),
            "down" => Ok(Self::Down),
            _ => Err(()),
        }
    }
}

impl FromStr for Failback {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "keep" => Ok(Self::Keep),
            "drop" => Ok(Self::Drop),
            _ => s.parse().map(Self::After).map_err(drop),
        }
    }
}

impl Display for Failback {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Drop => f.write_str("drop"),
            Self::After(seconds) => seconds.fmt(f),
        }
    }
}

impl Display for Health {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}
