//! Several uplinks at once: replies leave by the uplink the question came in on.
//!
//! The n-th link of the policy's list has table 8000 + n with its default route in it. A packet goes there when its source
//! is the address of that uplink, or when it bears the table's number as its mark, which `fw/ruleset` gives to forwarded
//! connections that came in there. Everything that is not a default route in main is looked up before (priority 8000).
//! A connection that left by an uplink whose `failback` lets it stay bears the mark 9000 + n and goes on there as long as the
//! uplink works. With a single uplink there is nothing to choose and no rule.
//!
//! A strict reverse path filter drops what comes in on a link that is not the best way back; uplinks get a loose one
//! (`rp_filter` 2). And the kernel itself passes over the routes of an uplink whose cable is out
//! (`ignore_routes_with_linkdown`), long before anybody takes the routes away.

use super::{Networks, Policy, Switch, Wanted, Way, in_main};
use crate::state::object::{MAIN, Route, Rule, V6_METRIC};
use netif::ipconf::Failback;
use std::net::IpAddr;

/// The priority of the look-up in main; what chooses an uplink's table comes right after it. Also the number below the first
/// table.
const BASE: u32 = 8000;

/// Above a table's number: the mark of connections that left by its uplink.
const STAYS: u32 = 1000;

/// What several uplinks need.
#[derive(Default)]
pub(super) struct Uplinks {
    /// Of their tables.
    pub(super) routes: Vec<Wanted<Route>>,
    /// They lead there.
    pub(super) rules: Vec<Wanted<Rule>>,
    pub(super) switches: Vec<Switch>,
}

/// `ways` come in the order in which they are used.
pub(super) fn of(ways: &[Way<'_>], networks: &Networks, policy: &Policy) -> Uplinks {
    let Uplinks { mut routes, mut rules, mut switches } = Uplinks::default();
    for v4 in [true, false] {
        let default = |way: &&Way<'_>| {
            way.destination.is_default() && way.destination.addr().is_ipv4() == v4 && in_main(way.record.entry)
        };
        let uplinks: Vec<(u32, &Way<'_>)> = (BASE + 1..)
            .zip(&policy.wan)
            .filter_map(|(table, name)| {
                let mut ways = ways.iter().filter(default);
                ways.find(|way| way.record.entry.iface == *name).map(|way| (table, way))
            })
            .collect();
        let [(_, first), _, ..] = uplinks.as_slice() else { continue };
        let rule = Rule { v4, priority: BASE, from: None, mark: None, table: MAIN, no_default: true };
        rules.push(Wanted { object: rule, origin: first.record.origin.clone() });
        for (table, way) in uplinks {
            let origin = || way.record.origin.clone();
            let route = Route { table, metric: if v4 { 0 } else { V6_METRIC }, ..way.route(networks) };
            routes.push(Wanted { object: route, origin: origin() });
            let to_it = Rule { v4, priority: BASE + 1, from: None, mark: None, table, no_default: false };
            let address: Option<IpAddr> = way.record.entry.addr.map(netif::Prefix::addr).filter(|a| a.is_ipv4() == v4);
            let from = address.map(|a| Rule { from: Some(a), ..to_it.clone() });
            let marked = Rule { mark: Some(table), ..to_it.clone() };
            let stays = match way.record.entry.failback {
                Some(Failback::Keep | Failback::After(_)) if !way.dead => Some(STAYS + table),
                Some(Failback::Keep | Failback::After(_) | Failback::Drop) | None => None,
            };
            let stays = stays.map(|mark| Rule { mark: Some(mark), ..to_it });
            let link = way.record.entry.iface;
            let family = if v4 { "ipv4" } else { "ipv6" };
            switches.push(Switch::new(format!("net/{family}/conf/{link}/ignore_routes_with_linkdown"), "1"));
            if v4 {
                switches.push(Switch::new(format!("net/ipv4/conf/{link}/rp_filter"), "2"));
            }
            let all = from.into_iter().chain([marked]).chain(stays);
            rules.extend(all.map(|object| Wanted { object, origin: origin() }));
        }
    }
    Uplinks { routes, rules, switches }
}

/// The ways in order, each with those it shares its route with (`weight`): the first of a family takes in all others, on
/// other links, that share as well.
pub(super) fn shared(ways: Vec<Way<'_>>) -> Vec<(Way<'_>, Vec<Way<'_>>)> {
    let mut groups: Vec<(Way<'_>, Vec<Way<'_>>)> = Vec::new();
    for way in ways {
        let fits = |(first, _): &&mut (Way<'_>, Vec<Way<'_>>)| {
            first.shares() && way.shares() && first.destination == way.destination
        };
        match groups.iter_mut().find(fits) {
            Some((first, others)) => {
                let link = way.record.link;
                if first.record.link != link && others.iter().all(|o| o.record.link != link) {
                    others.push(way);
                }
            }
            None => groups.push((way, Vec::new())),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::super::tests::{show, source};
    use super::*;

    const BOTH: &str = "if=eth0;ipmask=192.0.2.7/24;gw=192.0.2.1;net=0/0\n\
        if=ppp0;ipmask=198.51.100.7/32;gw=203.0.113.1;net=0/0";

    fn with_wan(text: &str, wan: &[&str]) -> Vec<String> {
        let policy = Policy { wan: wan.iter().map(|n| n.parse().unwrap()).collect(), ..Policy::default() };
        let lines = show(&[source("run/a.ipconf", false, text)], &policy);
        lines.into_iter().filter(|line| line.contains("800") || line.contains("900")).collect()
    }

    #[test]
    fn each_of_several_uplinks_has_a_table_and_rules() {
        assert_eq!(
            with_wan(BOTH, &["eth0", "wlan0", "ppp0"]),
            [
                "eth0: add route default via 192.0.2.1 table 8001",
                "ppp0: add route default via 203.0.113.1 onlink src 198.51.100.7 table 8003",
                "add rule priority 8000 lookup main suppress_prefixlength 0",
                "add rule priority 8001 from 192.0.2.7 lookup 8001",
                "add rule priority 8001 fwmark 8001 lookup 8001",
                "add rule priority 8001 from 198.51.100.7 lookup 8003",
                "add rule priority 8001 fwmark 8003 lookup 8003",
            ]
        );
    }

    #[test]
    fn connections_stay_where_they_may() {
        let marks = |more: &str| {
            let lines = with_wan(&format!("{BOTH};failback=keep{more}"), &["eth0", "ppp0"]);
            lines.into_iter().filter(|line| line.contains("fwmark 900")).collect::<Vec<_>>()
        };
        assert_eq!(marks(""), ["add rule priority 8001 fwmark 9002 lookup 8002"]);
        assert_eq!(marks("\nif=ppp0;health=down"), [""; 0]);
    }

    #[test]
    fn one_uplink_needs_none() {
        assert_eq!(with_wan(BOTH, &["eth0", "wlan0"]), [""; 0]);
        assert_eq!(with_wan(BOTH, &[]), [""; 0]);
        let lan = "if=eth0;ipmask=192.0.2.7/24;gw=192.0.2.1;net=0/0\nif=eth1;ipmask=10.0.0.1/24";
        assert_eq!(with_wan(lan, &["eth0", "eth1"]), [""; 0]);
    }

    #[test]
    fn weights_share_the_load() {
        let three = "if=eth0;ipmask=192.0.2.7/24;gw=192.0.2.1;net=0/0;weight=3\n\
            if=ppp0;ipmask=198.51.100.7/24;gw=198.51.100.1;net=0/0;weight=1\n\
            if=eth1;ipmask=203.0.113.7/24;gw=203.0.113.1;net=0/0";
        let routes = |more: &str, prefer: Option<&str>| -> Vec<String> {
            let policy = Policy { prefer: prefer.map(|p| p.parse().unwrap()), ..Policy::default() };
            let lines = show(&[source("run/a.ipconf", false, &format!("{three}{more}"))], &policy);
            lines.into_iter().filter_map(|l| l.split_once("add route ").map(|(link, r)| format!("{link}{r}"))).collect()
        };
        assert_eq!(
            routes("", None),
            [
                "eth0: default via 192.0.2.1 weight 3 dev ppp0 via 198.51.100.1 weight 1 metric 100",
                "eth1: default via 203.0.113.1 metric 200",
            ]
        );
        // A dead one does not take part, and what is preferred has it all.
        assert_eq!(
            routes("\nif=ppp0;health=down", None),
            [
                "eth0: default via 192.0.2.1 metric 100",
                "eth1: default via 203.0.113.1 metric 200",
                "ppp0: default via 198.51.100.1 metric 300",
            ]
        );
        assert_eq!(
            routes("", Some("ppp0")),
            [
                "ppp0: default via 198.51.100.1 metric 100",
                "eth0: default via 192.0.2.1 metric 200",
                "eth1: default via 203.0.113.1 metric 300",
            ]
        );
    }
}
