//! Why packets go where they go, and what became of a file: the records and the kernel's routes put side by side.

use super::desired::{Desired, Origin, Wanted};
use super::object::{Actual, Link, MAIN, Owned, Owner, Route};
use super::text;
use netif::{IfIndex, Prefix};
use std::collections::HashSet;
use std::net::IpAddr;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The default routes of both families.
    Default,
    /// The way to an address.
    To(IpAddr),
    /// What became of the records of a file: its path, or its name with or without `.ipconf`.
    File(String),
}

/// The protocol number of routes the kernel makes for its addresses (`RTPROT_KERNEL`).
const KERNEL: u8 = 2;

/// The answer, a line each. `dead`: links whose health is `down`.
pub(crate) fn why(question: &Question, wanted: &Desired, actual: &Actual, dead: &HashSet<IfIndex>) -> Vec<String> {
    let view = View { wanted, actual, dead };
    match question {
        Question::Default => {
            let v4 = view.ways("default", |p| p.is_default() && p.addr().is_ipv4());
            let v6 = view.ways("::/0", |p| p.is_default() && p.addr().is_ipv6());
            v4.into_iter().chain(v6).collect()
        }
        Question::To(to) => view.ways(&to.to_string(), |p| p.contains(*to)),
        Question::File(name) => view.file(name),
    }
}

struct View<'a> {
    wanted: &'a Desired,
    actual: &'a Actual,
    dead: &'a HashSet<IfIndex>,
}

impl View<'_> {
    /// The routes of the main table whose destination is `right`, the one that is used first.
    fn ways(&self, what: &str, right: impl Fn(Prefix) -> bool) -> Vec<String> {
        let fits = |r: &Route| r.table == MAIN && right(r.destination);
        let mut there: Vec<&Owned<Route>> = self.actual.routes.iter().filter(|r| fits(&r.object)).collect();
        there.sort_by_key(|r| (u8::MAX - r.object.destination.prefix_len(), r.object.metric));
        let on = |r: &Route, what: fn(&Link) -> bool| r.hops.iter().any(|h| self.actual.link(h.link).is_some_and(what));
        let up = |r: &Route| on(r, |l| l.carrier);
        let used = there.iter().position(|r| up(&r.object));
        let mut lines = Vec::new();
        match used.and_then(|at| there.get(at)) {
            Some(r) => lines.push(format!("{what}: {}", self.there(r))),
            None => lines.push(format!("{what}: no way")),
        }
        for (at, r) in there.iter().enumerate().filter(|(at, _)| Some(*at) != used) {
            let down = match (up(&r.object), on(&r.object, |l| l.up)) {
                (true, _) => "",
                (false, true) => "; its cable is out",
                (false, false) => "; its link is down",
            };
            let place = if used.is_some_and(|used| at > used) { "stands by" } else { "not used" };
            lines.push(format!("  {place}: {}{down}", self.there(r)));
        }
        let missing = self.wanted.routes.iter().filter(|w| fits(&w.object) && !self.has(&w.object));
        lines.extend(missing.map(|w| format!("  not there: {}; {}", self.shown(&w.object), self.asked(&w.origin))));
        lines
    }

    /// A route the kernel has, and by whom.
    fn there(&self, route: &Owned<Route>) -> String {
        let by = match (route.owner, self.origin(&route.object)) {
            (Owner::Us, Some(origin)) => self.asked(origin),
            (Owner::Us, None) => "of an earlier run; no record asks for it now".to_owned(),
            (Owner::Other(KERNEL), _) => match self.address_of(&route.object) {
                Some(origin) => format!("comes with the address of {origin}"),
                None => "made by the kernel".to_owned(),
            },
            (Owner::Other(proto), Some(origin)) => {
                format!("somebody else's (proto {proto}), as {}", self.asked(origin))
            }
            (Owner::Other(proto), None) => format!("somebody else's (proto {proto})"),
        };
        let dead = route.object.hops.iter().any(|h| self.dead.contains(&h.link));
        format!("{}; {by}{}", self.shown(&route.object), if dead { "; health is down" } else { "" })
    }

    fn file(&self, name: &str) -> Vec<String> {
        let stem = |path: &str| {
            let file = path.rsplit_once('/').map_or(path, |(_, n)| n);
            file.strip_suffix(".ipconf").unwrap_or(file).to_owned()
        };
        let of = |o: &Origin| if name.contains('/') { *o.path == *name } else { stem(&o.path) == stem(name) };
        let mut lines = Vec::new();
        for w in self.wanted.made.iter().filter(|w| of(&w.origin)) {
            let there = self.actual.links.iter().find(|l| l.name == w.object.name && l.kind == Some(w.object.kind));
            let fate = match there.map(|l| l.owner) {
                Some(Owner::Us) => "there",
                Some(Owner::Other(_)) => "there, made by somebody else",
                None => "not there",
            };
            lines.push(format!("{}: {}: {}: {fate}", w.origin, w.object.name, text::kind(w.object.kind, self.actual)));
        }
        for w in self.wanted.ports.iter().filter(|w| of(&w.origin)) {
            let (port, bridge) = (w.object.link, w.object.bridge);
            let joined = self.actual.link(port).and_then(|l| l.member).is_some_and(|m| m.of == bridge);
            let fate = if joined { "there" } else { "not there" };
            let name = |index| text::link_name(index, self.actual);
            lines.push(format!("{}: {}: port {}: {fate}", w.origin, name(bridge), name(port)));
        }
        for w in self.wanted.addresses.iter().filter(|w| of(&w.origin)) {
            let have = self.actual.addresses.iter().find(|a| a.object.key() == w.object.key());
            let fate = match have.map(|a| a.owner) {
                Some(Owner::Us) => "there",
                Some(Owner::Other(_)) => "there, set by somebody else",
                None => "not there",
            };
            let link = text::link_name(w.object.link, self.actual);
            lines.push(format!("{}: {link}: address {}: {fate}", w.origin, w.object.prefix));
        }
        for w in self.wanted.routes.iter().filter(|w| of(&w.origin)) {
            lines.push(format!("{}: route {}: {}", w.origin, self.shown(&w.object), self.fate(w)));
        }
        let problems = self.wanted.problems.iter().filter(|p| of(&p.origin));
        lines.extend(problems.map(|p| text::problem(p, self.actual)));
        lines
    }

    fn fate(&self, w: &Wanted<Route>) -> String {
        let better = |r: &&Owned<Route>| {
            let o = &r.object;
            (o.table, o.destination) == (w.object.table, w.object.destination) && o.metric < w.object.metric
        };
        let first = self.actual.routes.iter().filter(better).min_by_key(|r| r.object.metric);
        match (self.has(&w.object), first) {
            (false, _) => "not there".to_owned(),
            (true, None) => "in use".to_owned(),
            (true, Some(first)) => format!("stands by behind {}", self.shown(&first.object)),
        }
    }

    fn has(&self, wanted: &Route) -> bool {
        self.actual.routes.iter().any(|r| r.object.key() == wanted.key() && r.object.hops == wanted.hops)
    }

    fn origin(&self, route: &Route) -> Option<&Origin> {
        let same = |w: &&Wanted<Route>| w.object.key() == route.key() && w.object.hops == route.hops;
        self.wanted.routes.iter().find(same).map(|w| &w.origin)
    }

    /// The record whose address made the kernel's own route.
    fn address_of(&self, route: &Route) -> Option<&Origin> {
        let link = route.hops.first()?.link;
        let made = |w: &&Wanted<super::object::Address>| {
            w.object.link == link && w.object.prefix.network() == route.destination
        };
        self.wanted.addresses.iter().find(made).map(|w| &w.origin)
    }

    fn shown(&self, route: &Route) -> String {
        let link = route.hops.first().map(|h| text::link_name(h.link, self.actual)).unwrap_or_default();
        format!("{} dev {link}", text::route(route, self.actual))
    }

    fn asked(&self, origin: &Origin) -> String {
        format!("asked for by {origin}")
    }
}
