//! Steps as the `ip` commands that do the same, one line of shell each.
//!
//! What iproute2 cannot say on every version is the mark of an address (`proto` came with 6.3): an address set by hand is
//! somebody else's to us, is left alone, and counts as there.

use super::desired::Made;
use super::object::{Actual, Address, Hop, Kind, MAIN, PROTOCOL, Route, Rule, UNICAST};
use super::plan::{Change, Step};
use super::text;
use netif::IfIndex;
use std::net::IpAddr;

/// The command, and in a comment the record that asked for it.
pub(crate) fn line(change: &Change, actual: &Actual) -> String {
    let mut line = command(&change.step, actual);
    if let Some(origin) = &change.origin {
        // A file's name can be anything; a comment ends with its line.
        line += &format!("  # {}", origin.short().replace(char::is_control, "?"));
    }
    line
}

fn command(step: &Step, actual: &Actual) -> String {
    let link = |index: IfIndex| name(index, actual);
    match step {
        Step::AddLink(made) => add_link(made, actual),
        Step::DeleteLink(index) => format!("ip link delete dev {}", link(*index)),
        Step::Join(port, bridge) => format!("ip link set dev {} master {}", link(*port), link(*bridge)),
        Step::Leave(port) => format!("ip link set dev {} nomaster", link(*port)),
        Step::SetUp(index) => format!("ip link set dev {} up", link(*index)),
        Step::SetMtu(index, mtu) => format!("ip link set dev {} mtu {mtu}", link(*index)),
        Step::Promote(index) => {
            format!("echo 1 >/proc/sys/net/ipv4/conf/{}/promote_secondaries", link(*index))
        }
        Step::Sysctl(switch) => format!("echo {} >/proc/sys/{}", switch.value, switch.path),
        Step::AddAddress(a) => {
            let mut line = format!("ip address add {}{}", address(a, actual), broadcast(a));
            if let IpAddr::V4(v4) = a.prefix.addr()
                && v4.is_link_local()
            {
                line += " scope link";
            }
            line
        }
        Step::DeleteAddress(a) => format!("ip address delete {}", address(a, actual)),
        Step::AddRoute(r) => format!("{} add {}", ip_route(r), route(r, actual)),
        Step::ReplaceRoute(r) => format!("{} replace {}", ip_route(r), route(r, actual)),
        Step::DeleteRoute(r) => format!("{} delete {}", ip_route(r), route(r, actual)),
        Step::AddRule(r) => format!("{} add {} protocol {PROTOCOL}", ip_rule(r), text::rule(r)),
        Step::DeleteRule(r) => format!("{} delete {} protocol {PROTOCOL}", ip_rule(r), text::rule(r)),
    }
}

fn add_link(made: &Made, actual: &Actual) -> String {
    let (below, kind) = match made.kind {
        Kind::Bridge => (String::new(), "bridge forward_delay 0".to_owned()),
        Kind::Vlan { below, id } => (format!("link {} ", name(below, actual)), format!("vlan id {id}")),
    };
    format!("ip link add {below}name {} group {PROTOCOL} type {kind}", word(&made.name.to_string()))
}

fn address(a: &Address, actual: &Actual) -> String {
    format!("{} dev {}", a.prefix, name(a.link, actual))
}

fn broadcast(a: &Address) -> String {
    a.broadcast.map(|b| format!(" broadcast {b}")).unwrap_or_default()
}

const fn ip_route(r: &Route) -> &'static str {
    match r.destination.addr() {
        IpAddr::V4(_) => "ip route",
        IpAddr::V6(_) => "ip -6 route",
    }
}

const fn ip_rule(r: &Rule) -> &'static str {
    if r.v4 { "ip rule" } else { "ip -6 rule" }
}

fn route(r: &Route, actual: &Actual) -> String {
    let kind = if r.kind == UNICAST { String::new() } else { format!("type {} ", r.kind) };
    let mut text = format!("{kind}{}", r.destination);
    if r.table != MAIN {
        text += &format!(" table {}", r.table);
    }
    text += &format!(" proto {PROTOCOL}");
    if r.metric != 0 {
        text += &format!(" metric {}", r.metric);
    }
    if let Some(source) = r.source {
        text += &format!(" src {source}");
    }
    match r.hops.as_slice() {
        [hop] => text += &self::hop(hop, actual),
        hops => hops.iter().for_each(|hop| {
            text += &format!(" nexthop{} weight {}", self::hop(hop, actual), hop.weight);
        }),
    }
    text
}

fn hop(hop: &Hop, actual: &Actual) -> String {
    let via = hop.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
    let onlink = if hop.onlink { " onlink" } else { "" };
    format!("{via} dev {}{onlink}", name(hop.link, actual))
}

fn name(index: IfIndex, actual: &Actual) -> String {
    actual.link(index).map_or_else(|| format!("if{index}"), |link| word(&link.name.to_string()))
}

/// As a word of shell.
fn word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::desired::{Origin, Switch};
    use crate::state::object::Link;

    fn actual() -> Actual {
        let link = |(i, name): (u32, &str)| Link::new(IfIndex::new(i).unwrap(), name.parse().unwrap());
        Actual { links: [(2, "eth0"), (3, "it's;x")].map(link).into(), ..Actual::default() }
    }

    fn index(i: u32) -> IfIndex {
        IfIndex::new(i).unwrap()
    }

    #[test]
    fn each_step() {
        let prefix = |t: &str| t.parse::<netif::Prefix>().unwrap();
        let addr = |p: &str, link| {
            let prefix = prefix(p);
            Address { link: index(link), prefix, broadcast: prefix.broadcast(), peer: None }
        };
        let hop = |gateway: Option<&str>, onlink, weight| Hop {
            link: index(2),
            gateway: gateway.map(|g| g.parse().unwrap()),
            onlink,
            weight,
        };
        let route = |to: &str, hops| Route {
            table: MAIN,
            destination: prefix(to),
            tos: 0,
            metric: 100,
            kind: UNICAST,
            source: None,
            hops,
        };
        let odd = Route {
            table: 7,
            source: Some("192.0.2.7".parse().unwrap()),
            ..route("10.0.0.0/8", vec![hop(Some("192.0.2.1"), true, 1)])
        };
        let many = route("0.0.0.0/0", vec![hop(Some("192.0.2.1"), false, 1), hop(Some("192.0.2.2"), false, 3)]);
        let steps = [
            (
                Step::AddLink(Made { name: "br0".parse().unwrap(), kind: Kind::Bridge }),
                "ip link add name br0 group 80 type bridge forward_delay 0",
            ),
            (
                Step::AddLink(Made { name: "v;0".parse().unwrap(), kind: Kind::Vlan { below: index(2), id: 10 } }),
                "ip link add link eth0 name 'v;0' group 80 type vlan id 10",
            ),
            (Step::Join(index(2), index(3)), r"ip link set dev eth0 master 'it'\''s;x'"),
            (Step::Leave(index(2)), "ip link set dev eth0 nomaster"),
            (Step::DeleteLink(index(2)), "ip link delete dev eth0"),
            (Step::SetUp(index(2)), "ip link set dev eth0 up"),
            (Step::SetMtu(index(3), 1400), r"ip link set dev 'it'\''s;x' mtu 1400"),
            (Step::Sysctl(Switch::new("net/ipv4/ip_forward", "1")), "echo 1 >/proc/sys/net/ipv4/ip_forward"),
            (Step::AddAddress(addr("192.0.2.7/24", 2)), "ip address add 192.0.2.7/24 dev eth0 broadcast 192.0.2.255"),
            (
                Step::AddAddress(addr("169.254.3.4/16", 2)),
                "ip address add 169.254.3.4/16 dev eth0 broadcast 169.254.255.255 scope link",
            ),
            (Step::DeleteAddress(addr("2001:db8::1/64", 2)), "ip address delete 2001:db8::1/64 dev eth0"),
            (
                Step::AddRoute(odd),
                "ip route add 10.0.0.0/8 table 7 proto 80 metric 100 src 192.0.2.7 via 192.0.2.1 dev eth0 onlink",
            ),
            (
                Step::ReplaceRoute(many),
                "ip route replace 0.0.0.0/0 proto 80 metric 100 nexthop via 192.0.2.1 dev eth0 weight 1 \
                nexthop via 192.0.2.2 dev eth0 weight 3",
            ),
            (
                Step::DeleteRoute(route("2001:db8::/32", vec![hop(None, false, 1)])),
                "ip -6 route delete 2001:db8::/32 proto 80 metric 100 dev eth0",
            ),
        ];
        for (step, wanted) in steps {
            assert_eq!(command(&step, &actual()), wanted);
        }
    }

    #[test]
    fn a_file_name_cannot_leave_its_comment() {
        let origin = Some(Origin { path: "run/a\nreboot .ipconf".into(), line: 3 });
        let change = Change { step: Step::SetUp(index(2)), origin };
        assert_eq!(line(&change, &actual()), "ip link set dev eth0 up  # a?reboot .ipconf:3");
    }
}
