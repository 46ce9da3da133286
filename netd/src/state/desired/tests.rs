use super::*;
use crate::state::object::{Actual, Owned, Owner};
use crate::state::text;
use netif::ipconf::File;

fn links() -> Vec<Link> {
    [(1, "lo"), (2, "eth0"), (3, "eth1"), (4, "ppp0")]
        .map(|(i, name)| Link::new(IfIndex::new(i).unwrap(), name.parse().unwrap()))
        .into()
}

/// `text` uses the short form `KEY=VALUE ...` per record, one record per line.
pub(super) fn source(path: &str, is_static: bool, text: &str) -> Source {
    let mut file = String::new();
    for record in text.lines() {
        file += "let cfg=cfg+1\n";
        for word in record.split(';') {
            let (key, value) = word.trim().split_once('=').unwrap();
            file += &format!("{key}[$cfg]='{value}'\n");
        }
    }
    let entries = File::parse(file.as_bytes()).unwrap().entries().unwrap().entries;
    Source { path: path.into(), is_static, entries }
}

/// The desired state as log lines, in order.
pub(super) fn show(sources: &[Source], policy: &Policy) -> Vec<String> {
    let d = desired(sources, &Hold::Nowhere, &links(), policy);
    let actual = Actual { links: links().into_iter().map(|l| Link { up: false, ..l }).collect(), ..Actual::default() };
    let plan = crate::state::plan::plan(&d, &actual);
    let changes = plan.changes.iter().map(|c| text::step(&c.step, &actual));
    let problems = d.problems.iter().map(|p| text::problem(p, &actual));
    changes.chain(problems).collect()
}

fn dynamic(text: &str) -> Vec<String> {
    show(&[source("run/a.ipconf", false, text)], &Policy::default())
}

#[test]
fn a_lease() {
    assert_eq!(
        dynamic("if=eth0; ip=192.0.2.7; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0; mtu=576"),
        ["eth0: add address 192.0.2.7/24", "eth0: add route default via 192.0.2.1 metric 100"]
    );
    assert_eq!(
        dynamic("if=eth0; ip=2001:db8::7; ipmask=2001:db8::7/64; gw=fe80::1; net=0/0"),
        ["eth0: add address 2001:db8::7/64", "eth0: add route ::/0 via fe80::1 metric 100"]
    );
    assert_eq!(dynamic("if=eth0; gw=192.0.2.1; dns=192.0.2.1"), [""; 0]);
}

#[test]
fn a_static_file_sets_up_its_link() {
    let lan = source(
        "conf/lan",
        true,
        "if=eth1; ip=10.0.0.1; ipmask=10.0.0.1/24; net=10.0.0.0/24; mtu=1400\nif=eth1; mtu=9000",
    );
    assert_eq!(
        show(&[lan], &Policy { forward: true, ..Policy::default() }),
        [
            "set net/ipv4/ip_forward to 1",
            "set net/ipv6/conf/all/forwarding to 1",
            "eth1: set mtu 1400",
            "eth1: set up",
            "eth1: add address 10.0.0.1/24",
            "conf/lan:7: eth1: mtu: conf/lan:1 says otherwise and came first"
        ]
    );
}

#[test]
fn gateways_outside_every_network() {
    assert_eq!(
        dynamic("if=eth0; ip=203.0.113.9; gw=192.0.2.1; net=0/0"),
        ["eth0: add address 203.0.113.9/32", "eth0: add route default via 192.0.2.1 onlink src 203.0.113.9 metric 100"]
    );
    // A route to the gateway itself is as good as an address; it comes first.
    assert_eq!(
        dynamic("if=eth0; gw=192.0.2.1; net=0/0; routes=192.0.2.1/32 0.0.0.0 10.0.0.0/8 192.0.2.9"),
        [
            "eth0: add route 192.0.2.1/32",
            "eth0: add route 10.0.0.0/8 via 192.0.2.9 onlink",
            "eth0: add route default via 192.0.2.1 metric 100"
        ]
    );
    assert_eq!(
        dynamic("if=eth0; routes=10.0.0.0/8 192.0.2.1 192.0.2.1/32 0.0.0.0"),
        ["eth0: add route 192.0.2.1/32", "eth0: add route 10.0.0.0/8 via 192.0.2.1"]
    );
    assert_eq!(dynamic("if=ppp0; routes=0.0.0.0/0 0.0.0.0"), ["ppp0: add route default metric 100"]);
}

#[test]
fn several_defaults() {
    let two = "if=eth0; gw=192.0.2.1; net=0/0; ipmask=192.0.2.7/24\nif=eth1; gw=10.0.0.1; net=0/0; ipmask=10.0.0.7/24";
    let routes = |text: &str, prefer: Option<&str>| -> Vec<String> {
        let policy = Policy { prefer: prefer.map(|p| p.parse().unwrap()), ..Policy::default() };
        show(&[source("x", false, text)], &policy).into_iter().filter(|l| l.contains("route")).collect()
    };
    assert_eq!(
        routes(two, None),
        ["eth0: add route default via 192.0.2.1 metric 100", "eth1: add route default via 10.0.0.1 metric 200"]
    );
    assert_eq!(
        routes(two, Some("eth1")),
        ["eth1: add route default via 10.0.0.1 metric 100", "eth0: add route default via 192.0.2.1 metric 200"]
    );
    assert_eq!(routes(two, Some("wlan0")), routes(two, None));
    let own = two.replacen("net=0/0", "net=0/0; metric=300", 1);
    assert_eq!(
        routes(&own, None),
        ["eth1: add route default via 10.0.0.1 metric 100", "eth0: add route default via 192.0.2.1 metric 300"]
    );
    // Preferred means preferred, whatever metrics say.
    assert_eq!(
        routes(&own, Some("eth0")),
        ["eth0: add route default via 192.0.2.1 metric 300", "eth1: add route default via 10.0.0.1 metric 400"]
    );
    let dead = two.replacen("net=0/0", "net=0/0; health=down", 1);
    assert_eq!(
        routes(&dead, Some("eth0")),
        ["eth1: add route default via 10.0.0.1 metric 100", "eth0: add route default via 192.0.2.1 metric 200"]
    );
    // The same said by a prober, in a record of its own.
    let prober = format!("{two}\nif=eth0; health=down");
    assert_eq!(routes(&prober, Some("eth0")), routes(&dead, Some("eth0")));
    assert_eq!(routes(&format!("{two}\nif=eth0; health=up"), None), routes(two, None));
    // The same default twice is one; another way to the same network stands by.
    assert_eq!(
        routes("if=ppp0; routes=0.0.0.0/0 0.0.0.0\nif=ppp0; routes=0.0.0.0/0 0.0.0.0; metric=100", None).len(),
        1
    );
    assert_eq!(
        routes(
            "if=ppp0; net=10.0.0.0/8\nif=eth0; net=10.0.0.0/8\nif=ppp0; net=2001:db8::/32\nif=eth0; net=2001:db8::/32",
            None
        ),
        [
            "ppp0: add route 10.0.0.0/8",
            "eth0: add route 10.0.0.0/8 metric 1",
            "ppp0: add route 2001:db8::/32 metric 1024",
            "eth0: add route 2001:db8::/32 metric 1025"
        ]
    );
}

#[test]
fn tables_of_their_own() {
    let text = "if=eth0; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0; table=100\nif=eth0; gw=192.0.2.1; net=0/0\nif=eth0; net=192.0.2.0/24; table=100";
    assert_eq!(
        dynamic(text),
        [
            "eth0: add address 192.0.2.7/24",
            "eth0: add route 192.0.2.0/24 table 100",
            "eth0: add route default via 192.0.2.1 metric 100 table 100",
            "eth0: add route default via 192.0.2.1 metric 100"
        ]
    );
    assert_eq!(tables(&[source("x", false, text)]), [100, MAIN]);
}

#[test]
fn what_cannot_be() {
    assert_eq!(
        dynamic("if=eth7; ip=192.0.2.7\nif=eth7; ip=192.0.2.8\nif=eth0; ip=192.0.2.9"),
        ["eth0: add address 192.0.2.9/32", "run/a.ipconf:1: eth7: there is no such interface"]
    );
    assert_eq!(
        dynamic("if=eth0; ipmask=2001:db8::1/64\nif=eth0; ipmask=2001:db8::1/48\nif=eth0; ipmask=2001:db8::1/64"),
        [
            "eth0: add address 2001:db8::1/64",
            "run/a.ipconf:4: eth0: address 2001:db8::1/48: run/a.ipconf:1 asks for another form of it"
        ]
    );
    assert_eq!(
        dynamic("if=eth0; ipmask=192.0.2.7/24; bcast=192.0.2.0"),
        ["eth0: add address 192.0.2.7/24 broadcast 192.0.2.0"]
    );
}

#[test]
fn others_objects_count_when_they_serve() {
    let d = desired(
        &[source("x", false, "if=eth0; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0; metric=0")],
        &Hold::Nowhere,
        &links(),
        &Policy::default(),
    );
    let there = Actual {
        links: links(),
        addresses: d.addresses.iter().map(|w| Owned { object: w.object.clone(), owner: Owner::Other(0) }).collect(),
        routes: d.routes.iter().map(|w| Owned { object: w.object.clone(), owner: Owner::Other(3) }).collect(),
        rules: Vec::new(),
    };
    let plan = crate::state::plan::plan(&d, &there);
    assert_eq!((plan.changes, plan.conflicts), (Vec::new(), Vec::new()));
    let mut other = there.clone();
    other.routes[0].object.hops[0].gateway = Some("192.0.2.2".parse().unwrap());
    let plan = crate::state::plan::plan(&d, &other);
    assert_eq!(plan.changes, []);
    assert_eq!(
        text::problem(&plan.conflicts[0], &other),
        "x:1: eth0: route 0.0.0.0/0 metric 0: a route that is not ours (proto 3) is in its place"
    );
}
