mod links;

use super::super::desired::{Policy, Source, desired};
use super::super::object::{Hop, Link, MAIN, Owned, UNICAST, V6_METRIC};
use super::super::text;
use super::model::Kernel;
use super::*;
use netif::ipconf::Entry;
use netif::random::Random;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

const LINKS: u64 = 4;

fn index(n: u64) -> IfIndex {
    IfIndex::new(u32::try_from(n).unwrap() + 1).unwrap()
}

fn links(r: &mut Random) -> Vec<Link> {
    let name = |n| format!("eth{n}").parse().unwrap();
    // All up: a route through a link that is down is the kernel's to refuse, not the plan's to avoid.
    (0..LINKS)
        .map(|n| Link { mtu: 1400 + 100 * u32::try_from(r.below(2)).unwrap(), ..Link::new(index(n), name(n)) })
        .collect()
}

/// Addresses from a small world, so that collisions of every kind happen.
fn address(r: &mut Random) -> Prefix {
    if r.below(3) == 0 {
        let addr = Ipv6Addr::new(
            0x2001,
            0xdb8,
            0,
            u16::try_from(r.below(2)).unwrap(),
            0,
            0,
            0,
            1 + u16::try_from(r.below(3)).unwrap(),
        );
        Prefix::new(addr.into(), [64, 64, 48][usize::try_from(r.below(3)).unwrap()]).unwrap()
    } else {
        let byte = |n: u64| u8::try_from(n).unwrap();
        let addr = Ipv4Addr::new(10, 0, byte(r.below(2)), 1 + byte(r.below(4)));
        Prefix::new(addr.into(), [24, 24, 25, 32][usize::try_from(r.below(4)).unwrap()]).unwrap()
    }
}

fn network(r: &mut Random, v4: bool) -> Prefix {
    match (v4, r.below(2)) {
        (true, 0) => Prefix::DEFAULT_V4,
        (false, 0) => Prefix::DEFAULT_V6,
        (true, _) => format!("172.16.{}.0/24", r.below(3)).parse().unwrap(),
        (false, _) => format!("2001:db8:{}::/48", 1 + r.below(3)).parse().unwrap(),
    }
}

fn entries(r: &mut Random) -> Vec<Entry> {
    (0..r.below(7)).map(|line| entry(r, u32::try_from(line).unwrap())).collect()
}

fn entry(r: &mut Random, line: u32) -> Entry {
    let mut e = Entry::new(format!("eth{}", r.below(LINKS + 1)).parse().unwrap());
    e.line = line + 1;
    if r.below(4) > 0 {
        e.addr = Some(address(r));
    }
    if r.below(4) > 0 {
        let v4 = r.below(3) > 0;
        e.net = Some(network(r, v4));
        let gateway: IpAddr = match (v4, r.below(2)) {
            (true, n) => Ipv4Addr::new(10, 0, u8::try_from(n).unwrap(), 254).into(),
            (false, 0) => "fe80::1".parse().unwrap(),
            (false, _) => "2001:db8::ff".parse().unwrap(),
        };
        e.gw = (r.below(4) > 0).then_some(gateway);
        e.metric = (r.below(4) == 0).then(|| u32::try_from(r.below(3)).unwrap());
        e.table = (r.below(5) == 0).then_some(100);
    }
    e.bcast = (r.below(6) == 0).then_some(Ipv4Addr::new(10, 0, 0, 0));
    e.mtu = (r.below(4) == 0).then_some(1400);
    e
}

fn want(r: &mut Random, links: &[Link]) -> Desired {
    let (fixed, moving) = (entries(r), entries(r));
    let name = |n: u64| format!("eth{n}").parse().unwrap();
    let wan = (0..LINKS).filter(|_| r.below(2) == 0).map(name).collect();
    let prefer = (r.below(2) == 0).then(|| format!("eth{}", r.below(LINKS)).parse().unwrap());
    desired(
        &[
            Source { path: "conf/a.ipconf".into(), is_static: true, entries: fixed },
            Source { path: "run/b.ipconf".into(), is_static: false, entries: moving },
        ],
        &Hold::Nowhere,
        links,
        &Policy { prefer, forward: false, wan },
    )
}

/// Objects of others, made so that the kernel itself has no reason to drop them: on link 0, which has an address of
/// somebody else's that nobody wants in another form.
fn foreign(r: &mut Random, kernel: &mut Actual) {
    let other = |r: &mut Random| Owner::Other([0, 3, 4, 16][usize::try_from(r.below(4)).unwrap()]);
    let fixed = Address { link: index(0), prefix: "192.0.2.1/24".parse().unwrap(), broadcast: None, peer: None };
    kernel.addresses.push(Owned { object: fixed, owner: other(r) });
    for _ in 0..r.below(3) {
        let object = Address { link: index(r.below(LINKS)), prefix: address(r), broadcast: None, peer: None };
        if kernel.addresses.iter().all(|o| o.object.key() != object.key()) {
            kernel.addresses.push(Owned { object, owner: other(r) });
        }
    }
    for _ in 0..r.below(4) {
        let v4 = r.below(2) == 0;
        let route = Route {
            table: MAIN,
            destination: network(r, v4),
            tos: 0,
            metric: if v4 { u32::try_from(r.below(2)).unwrap() * 100 } else { V6_METRIC },
            kind: UNICAST,
            source: None,
            hops: vec![Hop { link: index(0), gateway: None, onlink: false, weight: 1 }],
        };
        if kernel.routes.iter().all(|o| o.object.key() != route.key()) {
            kernel.routes.push(Owned { object: route, owner: other(r) });
        }
    }
    // One that is like ours, and one that is not.
    for priority in [8000, 5210] {
        let rule = Rule { v4: true, priority, from: None, mark: None, table: MAIN, no_default: true };
        kernel.rules.push(Owned { object: rule, owner: other(r) });
    }
}

/// What only a failure prints.
fn story(seed: u64, plan: &Plan, before: &Actual, desired: &Desired) -> String {
    let mut s = format!("seed {seed}\n");
    for o in &before.addresses {
        writeln!(s, "had {:?} {}", o.owner, text::step(&Step::AddAddress(o.object.clone()), before)).unwrap();
    }
    for o in &before.routes {
        writeln!(s, "had {:?} {}", o.owner, text::step(&Step::AddRoute(o.object.clone()), before)).unwrap();
    }
    for w in &desired.addresses {
        writeln!(s, "want {}", text::step(&Step::AddAddress(w.object.clone()), before)).unwrap();
    }
    for w in &desired.routes {
        writeln!(s, "want {}", text::step(&Step::AddRoute(w.object.clone()), before)).unwrap();
    }
    for c in &plan.changes {
        writeln!(s, "plan {}", text::change(c, before)).unwrap();
    }
    s
}

fn is_delete(step: &Step) -> bool {
    matches!(step, Step::DeleteAddress(_) | Step::DeleteRoute(_) | Step::DeleteRule(_))
}

#[test]
fn any_state_becomes_the_wanted_one() {
    let mut full = 0;
    for seed in 0..6000 {
        let r = &mut Random::new(seed);
        let mut start = Actual { links: links(r), ..Actual::default() };
        foreign(r, &mut start);
        let mut kernel = Kernel::new(start);
        // Three configurations after each other: from others' objects only, then from what we made ourselves.
        for _ in 0..3 {
            let wanted = want(r, &kernel.state.links);
            full += u32::from(step_to(seed, &mut kernel, &wanted));
        }
        // And nothing of ours is left when nothing is wanted.
        step_to(seed, &mut kernel, &Desired::default());
    }
    assert!(full > 12_000, "most worlds are free of impossible wishes: {full}");
}

/// Plans, applies and checks. False, and nothing done, when somebody else's address is in the place of a wanted one:
/// gateways that are only reachable by it are then refused by the kernel, and reported.
fn step_to(seed: u64, kernel: &mut Kernel, wanted: &Desired) -> bool {
    let before = kernel.state.clone();
    let todo = plan(wanted, &before);
    if todo.conflicts.iter().any(|c| c.what.starts_with("address")) {
        return false;
    }
    let story = || story(seed, &todo, &before, wanted);
    let conflicting: Vec<RouteKey> =
        wanted.routes.iter().map(|w| w.object.key()).filter(|k| in_the_way(&before, k, wanted)).collect();
    for change in &todo.changes {
        if let Err(e) = kernel.apply(&change.step) {
            panic!("{e} at {}\n{}", text::change(change, &before), story());
        }
        reachable_throughout(&before, kernel, wanted, &conflicting, &story);
    }
    order(&todo, &story);
    let foreign = |a: &Actual| (others(&a.addresses), others(&a.routes), others(&a.rules));
    assert_eq!(foreign(&kernel.state), foreign(&before), "others' objects\n{}", story());
    let mut again = plan(wanted, &kernel.state);
    // The kernel's state does not tell of switches.
    again.changes.retain(|c| !matches!(c.step, Step::Sysctl(..)));
    assert_eq!(again.changes, [], "not finished\n{}", story());
    // An empty plan alone could be a blind one: look ourselves.
    for o in kernel.state.addresses.iter().filter(|o| o.owner == Owner::Us) {
        assert!(wanted.addresses.iter().any(|w| w.object == o.object), "{o:?}\n{}", story());
    }
    for o in kernel.state.rules.iter().filter(|o| o.owner == Owner::Us) {
        assert!(wanted.rules.iter().any(|w| w.object == o.object), "{o:?}\n{}", story());
    }
    for w in &wanted.rules {
        assert!(kernel.state.rules.iter().any(|o| o.object == w.object), "{w:?}\n{}", story());
    }
    for o in kernel.state.routes.iter().filter(|o| o.owner == Owner::Us) {
        assert!(wanted.routes.iter().any(|w| w.object == o.object), "{o:?}\n{}", story());
    }
    for w in &wanted.addresses {
        assert!(kernel.state.addresses.iter().any(|o| o.object.key() == w.object.key()), "{w:?}\n{}", story());
    }
    for w in wanted.routes.iter().filter(|w| !conflicting.contains(&w.object.key())) {
        assert!(kernel.state.routes.iter().any(|o| o.object.key() == w.object.key()), "{w:?}\n{}", story());
    }
    true
}

fn others<T: Clone>(objects: &[Owned<T>]) -> Vec<T> {
    objects.iter().filter(|o| o.owner != Owner::Us).map(|o| o.object.clone()).collect()
}

fn in_the_way(before: &Actual, key: &RouteKey, wanted: &Desired) -> bool {
    let there = before.routes.iter().find(|o| o.object.key() == *key && o.owner != Owner::Us);
    let ours = wanted.routes.iter().find(|w| w.object.key() == *key);
    there.zip(ours).is_some_and(|(o, w)| !serves(&o.object, &w.object))
}

/// A destination that has a route before and after has one at every moment between, unless the kernel takes it along with
/// the last address of its link.
fn reachable_throughout(
    before: &Actual,
    kernel: &Kernel,
    wanted: &Desired,
    conflicting: &[RouteKey],
    story: &dyn Fn() -> String,
) {
    let v4_links: HashSet<IfIndex> = wanted
        .addresses
        .iter()
        .map(|w| &w.object)
        .chain(before.addresses.iter().filter(|o| o.owner != Owner::Us).map(|o| &o.object))
        .filter(|a| a.prefix.addr().is_ipv4() && !recreated(a, before))
        .map(|a| a.link)
        .collect();
    let stays = |r: &Route| {
        r.destination.addr().is_ipv6() || (r.source.is_none() && r.hops.iter().all(|h| v4_links.contains(&h.link)))
    };
    let place = |r: &Route| (r.table, r.destination);
    for w in wanted.routes.iter().filter(|w| stays(&w.object) && !conflicting.contains(&w.object.key())) {
        let had = before.routes.iter().filter(|o| place(&o.object) == place(&w.object));
        if had.clone().count() > 0 && had.clone().all(|o| stays(&o.object)) {
            let has = kernel.state.routes.iter().any(|o| place(&o.object) == place(&w.object));
            assert!(has, "{:?} without a route\n{}", w.object.destination, story());
        }
    }
}

fn recreated(a: &Address, before: &Actual) -> bool {
    before.addresses.iter().any(|o| o.owner == Owner::Us && o.object.key() == a.key() && o.object != *a)
}

/// Nothing is deleted before everything that can be added is there. Exempt are pairs that replace an address by one with
/// the same key, further routes of one key, and what only fits after an address has gone.
fn order(plan: &Plan, story: &dyn Fn() -> String) {
    let mut deleting = false;
    for (i, change) in plan.changes.iter().enumerate() {
        let next = plan.changes.get(i + 1).map(|c| &c.step);
        match (&change.step, next) {
            (Step::DeleteAddress(old), Some(Step::AddAddress(new))) if old.key() == new.key() => {}
            (step, _) if is_delete(step) => deleting = true,
            (Step::ReplaceRoute(_), _) => {}
            (step, _) => assert!(!deleting, "{step:?} after a deletion\n{}", story()),
        }
    }
}

fn ours(prefix: &str) -> Owned<Address> {
    let prefix: Prefix = prefix.parse().unwrap();
    let object = Address { link: index(0), prefix, broadcast: prefix.broadcast(), peer: None };
    Owned { object, owner: Owner::Us }
}

fn lines(plan: &Plan, actual: &Actual) -> Vec<String> {
    plan.changes.iter().map(|c| text::step(&c.step, actual)).collect()
}

fn lease(text: &str) -> Desired {
    let mut e = Entry::new("eth0".parse().unwrap());
    e.addr = Some(text.parse().unwrap());
    e.net = Some(Prefix::DEFAULT_V4);
    e.gw = Some("10.0.0.254".parse().unwrap());
    let source = Source { path: "run/dhcp_eth0.ipconf".into(), is_static: false, entries: vec![e] };
    desired(&[source], &Hold::Nowhere, &links(&mut Random::new(0)), &Policy::default())
}

#[test]
fn another_address_from_the_same_network() {
    let actual =
        Actual { links: links(&mut Random::new(0)), addresses: vec![ours("10.0.0.1/24")], ..Actual::default() };
    assert_eq!(
        lines(&plan(&lease("10.0.0.2/24"), &actual), &actual),
        [
            "eth0: let other addresses outlive the first of their network",
            "eth0: add address 10.0.0.2/24",
            "eth0: add route default via 10.0.0.254 metric 100",
            "eth0: delete address 10.0.0.1/24",
        ]
    );
}

#[test]
fn routes_that_go_with_the_last_address() {
    let mut wanted = lease("10.0.0.2/24");
    wanted.addresses.clear();
    wanted.routes[0].object.hops[0].onlink = true;
    let mut actual =
        Actual { links: links(&mut Random::new(0)), addresses: vec![ours("10.0.0.1/24")], ..Actual::default() };
    let expected = ["eth0: delete address 10.0.0.1/24", "eth0: replace route default via 10.0.0.254 onlink metric 100"];
    assert_eq!(lines(&plan(&wanted, &actual), &actual), expected);
    actual.routes.push(Owned { object: wanted.routes[0].object.clone(), owner: Owner::Us });
    assert_eq!(lines(&plan(&wanted, &actual), &actual), expected);
}

#[test]
fn an_address_with_a_peer_serves() {
    let mut actual = Actual { links: links(&mut Random::new(0)), ..Actual::default() };
    let mut theirs = ours("10.0.0.2/32");
    theirs.owner = Owner::Other(0);
    theirs.object.peer = Some("10.0.0.254".parse().unwrap());
    actual.addresses.push(theirs);
    let found = lines(&plan(&lease("10.0.0.2/32"), &actual), &actual);
    assert_eq!(found, ["eth0: add route default via 10.0.0.254 onlink src 10.0.0.2 metric 100"]);
}

#[test]
fn an_ipv6_address_of_another_length() {
    let actual =
        Actual { links: links(&mut Random::new(0)), addresses: vec![ours("2001:db8::1/64")], ..Actual::default() };
    let mut wanted = lease("2001:db8::1/48");
    wanted.routes.clear();
    assert_eq!(
        lines(&plan(&wanted, &actual), &actual),
        ["eth0: delete address 2001:db8::1/64", "eth0: add address 2001:db8::1/48"]
    );
    let mut foreign = actual;
    foreign.addresses[0].owner = Owner::Other(0);
    let found = plan(&wanted, &foreign);
    assert_eq!(found.changes, []);
    assert_eq!(
        text::problem(&found.conflicts[0], &foreign),
        "run/dhcp_eth0.ipconf:0: eth0: address 2001:db8::1/48: somebody else has set 2001:db8::1/64 there"
    );
}

#[test]
fn nothing_is_deleted_on_the_links_of_a_bad_file() {
    let mut actual = Actual { links: links(&mut Random::new(0)), ..Actual::default() };
    actual.addresses.push(ours("10.0.0.1/24"));
    let route = lease("10.0.0.2/24").routes.remove(0).object;
    actual.routes.push(Owned { object: Route { metric: 7, ..route }, owner: Owner::Us });
    let mut wanted = lease("10.0.0.2/24");
    let all = [
        "eth0: let other addresses outlive the first of their network",
        "eth0: add address 10.0.0.2/24",
        "eth0: add route default via 10.0.0.254 metric 100",
        "eth0: delete route default via 10.0.0.254 metric 7",
        "eth0: delete address 10.0.0.1/24",
    ];
    wanted.hold.add(["eth1".parse().unwrap()].into());
    assert_eq!(lines(&plan(&wanted, &actual), &actual), all);
    wanted.hold.add(["eth0".parse().unwrap()].into());
    assert_eq!(lines(&plan(&wanted, &actual), &actual), all[1..3]);
    wanted.hold = Hold::Nowhere;
    wanted.hold.add(HashSet::new());
    assert_eq!(lines(&plan(&wanted, &actual), &actual), all[1..3]);
}
