//! The kernel as far as the plan depends on it: what it refuses, and what it drops by itself. The system tests run the same
//! plans against the real one.

use super::super::object::{Actual, Address, Owned, Owner, Route, Rule};
use super::Step;
use netif::IfIndex;
use std::collections::HashSet;
use std::net::IpAddr;

pub(super) struct Kernel {
    pub(super) state: Actual,
    promoting: HashSet<IfIndex>,
}

impl Kernel {
    pub(super) fn new(state: Actual) -> Self {
        Self { state, promoting: HashSet::new() }
    }

    pub(super) fn apply(&mut self, step: &Step) -> Result<(), &'static str> {
        match step {
            Step::SetUp(index) => self.state.links.iter_mut().find(|l| l.index == *index).ok_or("ENODEV")?.up = true,
            Step::SetMtu(index, mtu) => {
                self.state.links.iter_mut().find(|l| l.index == *index).ok_or("ENODEV")?.mtu = *mtu;
            }
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
