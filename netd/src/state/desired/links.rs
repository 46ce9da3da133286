//! Links: which are up and with what MTU, and those that are there only because a record says what they are, bridges (key
//! `bridge`, with their ports) and VLANs (key `vlan`).
//!
//! Only the administrator's files are asked. Of several records the first one says what a link is; the ports of a bridge add
//! up. A link that is not there yet has no number, so the records that speak of it wait until it is made, see
//! [`crate::state::plan::new_links`].

use super::{Build, LinkSetting, Origin, Record, Setting, Source, Wanted};
use crate::state::object::{Kind, Link, Owner};
use netif::ipconf::{Entry, Vlan};
use netif::{IfIndex, IfName};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// A link that a record says is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) name: IfName,
    pub(crate) kind: Kind,
}

/// A port of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) link: IfIndex,
    pub(crate) bridge: IfIndex,
}

/// The names of the links that records make. Whether they are there is another question.
pub(super) fn named(sources: &[Source]) -> HashSet<IfName> {
    of_administrator(sources).filter(|(_, e)| makes(e)).map(|(_, e)| e.iface).collect()
}

fn of_administrator(sources: &[Source]) -> impl Iterator<Item = (&Source, &Entry)> {
    sources.iter().filter(|s| s.is_static).flat_map(|s| s.entries.iter().map(move |e| (s, e)))
}

fn makes(entry: &Entry) -> bool {
    entry.vlan.is_some() || !entry.bridge.is_empty()
}

impl Build<'_> {
    /// Bridges, VLANs and ports.
    pub(super) fn made(&mut self, sources: &[Source]) {
        let mut said: HashMap<IfName, (Option<Vlan>, Origin)> = HashMap::new();
        for (source, entry) in of_administrator(sources).filter(|(_, e)| makes(e)) {
            let origin = Origin { path: Rc::clone(&source.path), line: entry.line };
            let first = said.get(&entry.iface).cloned();
            if let Some((vlan, first)) = &first
                && *vlan != entry.vlan
            {
                let what = format!("{}: {first} says otherwise and came first", entry.iface);
                self.problem(&origin, None, what);
                continue;
            }
            said.entry(entry.iface).or_insert_with(|| (entry.vlan, origin.clone()));
            let Some(kind) = self.kind(entry, &origin) else { continue };
            if first.is_none() {
                let object = Made { name: entry.iface, kind };
                self.out.made.push(Wanted { object, origin: origin.clone() });
            }
            let there = self.links.iter().find(|l| l.name == entry.iface);
            match there {
                Some(link) if link.kind == Some(kind) => self.ports(entry, link.index, &origin),
                Some(Link { owner: Owner::Other(_), .. }) => {
                    let what = format!("{}: somebody else has made another kind of link of that name", entry.iface);
                    self.problem(&origin, None, what);
                }
                // It is made anew, or for the first time.
                Some(Link { owner: Owner::Us, .. }) | None => {}
            }
        }
    }

    /// None: the record contradicts itself, or its link waits for the one below.
    fn kind(&mut self, entry: &Entry, origin: &Origin) -> Option<Kind> {
        match entry.vlan {
            None => Some(Kind::Bridge),
            Some(_) if !entry.bridge.is_empty() => {
                self.problem(origin, None, format!("{}: either bridge or vlan", entry.iface));
                None
            }
            Some(vlan) => {
                let below = self.link_or_problem(vlan.below, origin)?;
                self.setting(below, Setting::Up, origin);
                Some(Kind::Vlan { below, id: vlan.id })
            }
        }
    }

    fn ports(&mut self, entry: &Entry, bridge: IfIndex, origin: &Origin) {
        for &name in &entry.bridge {
            let Some(link) = self.link_or_problem(name, origin) else { continue };
            let port = Port { link, bridge };
            match self.out.ports.iter().find(|w| w.object.link == link) {
                Some(first) if first.object != port => {
                    let what = format!("port {name}: {} says otherwise and came first", first.origin);
                    self.problem(origin, Some(bridge), what);
                }
                Some(_) => {}
                None => {
                    self.out.ports.push(Wanted { object: port, origin: origin.clone() });
                    self.setting(link, Setting::Up, origin);
                }
            }
        }
    }

    /// A link that is not there is a problem, unless it is about to be made.
    fn link_or_problem(&mut self, name: IfName, origin: &Origin) -> Option<IfIndex> {
        let there = self.known.get(&name).copied();
        if there.is_none() && !self.named.contains(&name) {
            self.problem(origin, None, format!("{name}: there is no such interface"));
        }
        there
    }

    /// What the administrator's records say of their links besides that.
    pub(super) fn settings(&mut self, record: &Record<'_>) {
        if record.is_static {
            let settings = record.entry.mtu.map(Setting::Mtu).into_iter().chain([Setting::Up]);
            settings.for_each(|setting| self.setting(record.link, setting, &record.origin));
        }
    }

    fn setting(&mut self, link: IfIndex, setting: Setting, origin: &Origin) {
        let same = |w: &Wanted<LinkSetting>| {
            w.object.link == link && matches!(w.object.setting, Setting::Up) == (setting == Setting::Up)
        };
        match self.out.links.iter().find(|w| same(w)) {
            None => {
                let object = LinkSetting { link, setting };
                self.out.links.push(Wanted { object, origin: origin.clone() });
            }
            Some(first) if first.object.setting != setting => {
                let what = format!("mtu: {} says otherwise and came first", first.origin);
                self.problem(origin, Some(link), what);
            }
            Some(_) => {}
        }
    }
}
