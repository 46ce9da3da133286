//! The kernel as far as the plan depends on it: what it refuses, and what it drops by itself. The system tests run the same
//! plans against the real one.

use super::super::desired::Made;
use super::super::object::{Actual, Address, Kind, Link, Member, Owned, Owner, Route, Rule};
use super::Step;
use netif::IfIndex;
use std::collections::HashSet;
use std::net::IpAddr;

pub(super) struct Kernel {
    pub(super) state: Actual,
    promoting: HashSet<IfIndex>,
    /// Links so far.
    made: u32,
}

impl Kernel {
    pub(super) fn new(state: Actual) -> Self {
        Self { state, promoting: HashSet::new(), made: 0 }
    }

    pub(super) fn apply(&mut self, step: &Step) -> Result<(), &'static str> {
        match step {
            Step::AddLink(made) => self.add_link(made)?,
            Step::DeleteLink(index) => self.delete_link(*index)?,
            Step::Join(port, bridge) => self.join(*port, *bridge)?,
            Step::Leave(port) => self.link(*port)?.member = None,
            Step::SetUp(index) => {
                if let Some(Kind::Vlan { below, .. }) = self.link(*index)?.kind
                    && !self.link(below)?.up
                {
                    return Err("ENETDOWN");
                }
                self.link(*index)?.up = true;
            }
            Step::SetMtu(index, mtu) => self.link(*index)?.mtu = *mtu,
            Step::Promote(index) => {
                self.promoting.insert(*index);
            }
            Step::Sysctl(..) => {}
            Step::AddAddress(a) => {
                if self.state.addresses.iter().any(|o| o.object.key() == a.key()) {
                    return Err("EEXIST");
                }
                self.state.addresses.push(Owned { object: a.clone(), owner: Owner::Us });
            }
            Step::DeleteAddress(a) => self.delete_address(a)?,
            Step::AddRoute(r) => {
                self.check_route(r)?;
                if self.state.routes.iter().any(|o| o.object.key() == r.key()) {
                    return Err("EEXIST");
                }
                self.state.routes.push(Owned { object: r.clone(), owner: Owner::Us });
            }
            Step::ReplaceRoute(r) => {
                self.check_route(r)?;
                let new = Owned { object: r.clone(), owner: Owner::Us };
                match self.state.routes.iter_mut().find(|o| o.object.key() == r.key()) {
                    Some(first) => *first = new,
                    None => self.state.routes.push(new),
                }
            }
            Step::DeleteRoute(r) => {
                let mine = |o: &Owned<Route>| o.owner == Owner::Us && o.object == *r;
                let at = self.state.routes.iter().position(mine).ok_or("ESRCH")?;
                self.state.routes.remove(at);
            }
            Step::AddRule(r) => {
                if self.state.rules.iter().any(|o| o.object == *r) {
                    return Err("EEXIST");
                }
                self.state.rules.push(Owned { object: r.clone(), owner: Owner::Us });
            }
            Step::DeleteRule(r) => {
                let mine = |o: &Owned<Rule>| o.owner == Owner::Us && o.object == *r;
                let at = self.state.rules.iter().position(mine).ok_or("ENOENT")?;
                self.state.rules.remove(at);
            }
        }
        Ok(())
    }

    fn link(&mut self, index: IfIndex) -> Result<&mut Link, &'static str> {
        self.state.links.iter_mut().find(|l| l.index == index).ok_or("ENODEV")
    }

    fn add_link(&mut self, made: &Made) -> Result<(), &'static str> {
        if self.state.links.iter().any(|l| l.name == made.name) {
            return Err("EEXIST");
        }
        let mut mtu = 1500;
        if let Kind::Vlan { below, .. } = made.kind {
            mtu = self.link(below)?.mtu;
            if self.state.links.iter().any(|l| l.kind == Some(made.kind)) {
                return Err("EEXIST");
            }
        }
        self.made += 1;
        let (kind, owner) = (Some(made.kind), Owner::Us);
        let index = IfIndex::new(1000 + self.made).ok_or("ENOMEM")?;
        self.state.links.push(Link {
            index,
            name: made.name,
            up: false,
            carrier: false,
            mtu,
            kind,
            owner,
            member: None,
        });
        Ok(())
    }

    /// Ports are set free, VLANs go along.
    fn delete_link(&mut self, index: IfIndex) -> Result<(), &'static str> {
        self.link(index)?;
        self.state.links.retain(|l| l.index != index);
        self.state.addresses.retain(|a| a.object.link != index);
        self.state.routes.retain(|r| r.object.hops.iter().all(|h| h.link != index));
        for link in self.state.links.iter_mut().filter(|l| l.member.is_some_and(|m| m.of == index)) {
            link.member = None;
        }
        let above = |l: &&Link| matches!(l.kind, Some(Kind::Vlan { below, .. }) if below == index);
        let above: Vec<IfIndex> = self.state.links.iter().filter(above).map(|l| l.index).collect();
        above.into_iter().try_for_each(|index| self.delete_link(index))
    }

    fn join(&mut self, port: IfIndex, bridge: IfIndex) -> Result<(), &'static str> {
        if self.link(bridge)?.kind != Some(Kind::Bridge) {
            return Err("EOPNOTSUPP");
        }
        if self.link(port)?.kind == Some(Kind::Bridge) {
            return Err("ELOOP");
        }
        self.link(port)?.member = Some(Member { of: bridge, owner: Owner::Us });
        Ok(())
    }

    fn delete_address(&mut self, a: &Address) -> Result<(), &'static str> {
        let all = &mut self.state.addresses;
        let at = all.iter().position(|o| o.object.key() == a.key()).ok_or("EADDRNOTAVAIL")?;
        let same_network = |o: &Owned<Address>| {
            o.object.link == a.link
                && o.object.prefix.network() == a.prefix.network()
                && o.object.prefix.addr().is_ipv4()
        };
        let primary = all.iter().position(same_network) == Some(at);
        all.remove(at);
        if a.prefix.addr().is_ipv6() {
            return Ok(());
        }
        if primary && !self.promoting.contains(&a.link) {
            all.retain(|o| !same_network(o));
        }
        let last = !all.iter().any(|o| o.object.link == a.link && o.object.prefix.addr().is_ipv4());
        let gone = !all.iter().any(|o| o.object.prefix.addr() == a.prefix.addr());
        self.state.routes.retain(|o| {
            let r = &o.object;
            let on_link = r.hops.iter().any(|h| h.link == a.link);
            r.destination.addr().is_ipv6() || !((last && on_link) || (gone && r.source == Some(a.prefix.addr())))
        });
        Ok(())
    }

    fn check_route(&self, r: &Route) -> Result<(), &'static str> {
        for hop in &r.hops {
            let link = self.state.link(hop.link).ok_or("ENODEV")?;
            if !link.up {
                return Err("ENETDOWN");
            }
            let Some(gateway) = hop.gateway else { continue };
            let link_local = matches!(gateway, IpAddr::V6(g) if g.is_unicast_link_local());
            let by_address =
                self.state.addresses.iter().any(|o| o.object.link == hop.link && o.object.prefix.contains(gateway));
            let by_route = self.state.routes.iter().any(|o| {
                o.object.is_direct() && o.object.hops[0].link == hop.link && o.object.destination.contains(gateway)
            });
            if !(hop.onlink || link_local || by_address || by_route) {
                return Err("ENETUNREACH");
            }
        }
        match r.source {
            Some(s) if !self.state.addresses.iter().any(|o| o.object.prefix.addr() == s) => Err("EINVAL"),
            Some(_) | None => Ok(()),
        }
    }
}
