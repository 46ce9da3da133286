//! Bridges and VLANs: from any state of links to the wanted one, without a touch on those of others.

use super::super::super::desired::{Desired, Hold, Policy, Source, desired};
use super::super::super::object::{Actual, Address, Kind, Link, Member, Owned, Owner};
use super::super::super::text;
use super::super::model::Kernel;
use super::super::{Step, assume, new_links, plan};
use netif::ipconf::{Entry, Vlan};
use netif::random::Random;
use netif::{IfIndex, IfName};

const NAMES: [&str; 7] = ["eth0", "eth1", "eth2", "br0", "br1", "v0", "v1"];

fn name(r: &mut Random, from: &[&str]) -> IfName {
    from[usize::try_from(r.below(from.len() as u64)).unwrap()].parse().unwrap()
}

fn index(n: u32) -> IfIndex {
    IfIndex::new(n).unwrap()
}

/// Bridges have no bridges as ports, which the kernel would refuse, and VLANs are on what is no VLAN.
fn entries(r: &mut Random) -> Vec<Entry> {
    let mut all = Vec::new();
    for line in 1..=r.below(6) {
        let mut e = Entry::new(name(r, &NAMES));
        e.line = u32::try_from(line).unwrap();
        if e.iface.as_str().starts_with("br") {
            e.bridge = (0..r.below(4)).map(|_| name(r, &["eth0", "eth1", "eth2", "eth9", "v0", "v1"])).collect();
        } else if e.iface.as_str().starts_with('v') && r.below(4) > 0 {
            let below = name(r, &["eth0", "eth1", "eth9", "br0", "br1"]);
            e.vlan = Some(Vlan { below, id: 1 + u16::from(e.iface.as_str() == "v1") });
        }
        if r.below(3) == 0 {
            e.addr = format!("10.0.{line}.1/24").parse().ok();
        }
        all.push(e);
    }
    all
}

fn want(entries: &[Entry], links: &[Link]) -> Desired {
    let source = Source { path: "conf/a.ipconf".into(), is_static: true, entries: entries.to_vec() };
    desired(&[source], &Hold::Nowhere, links, &Policy::default())
}

/// Three plain links, and a bridge and a port of somebody else's.
fn start(r: &mut Random) -> Actual {
    let mut links: Vec<Link> =
        (2..).zip(&NAMES[..3]).map(|(n, name)| Link::new(index(n), name.parse().unwrap())).collect();
    if r.below(2) == 0 {
        links.push(Link { kind: Some(Kind::Bridge), ..Link::new(index(7), name(r, &["br0", "br9"])) });
        links[2].member = Some(Member { of: index(7), owner: Owner::Other(0) });
    }
    if r.below(4) == 0 {
        let kind = Some(Kind::Vlan { below: index(2), id: 77 });
        links.push(Link { kind, ..Link::new(index(8), name(r, &["v0", "br1", "x"])) });
    }
    Actual { links, ..Actual::default() }
}

/// What somebody else does between two runs.
fn meddle(r: &mut Random, kernel: &mut Kernel) {
    let bridges: Vec<IfIndex> =
        kernel.state.links.iter().filter(|l| l.kind == Some(Kind::Bridge)).map(|l| l.index).collect();
    if let Some(&of) = bridges.first()
        && r.below(3) == 0
    {
        let n = 2000 + u32::try_from(r.below(1000)).unwrap();
        let member = Some(Member { of, owner: Owner::Other(0) });
        if kernel.state.links.iter().all(|l| l.index != index(n)) {
            kernel.state.links.push(Link { member, ..Link::new(index(n), format!("tap{n}").parse().unwrap()) });
        }
    }
    if let Some(link) = kernel.state.links.iter().find(|l| l.owner == Owner::Us).map(|l| l.index)
        && r.below(4) == 0
    {
        let prefix = "192.0.2.1/24".parse().unwrap();
        let object = Address { link, prefix, broadcast: None, peer: None };
        if kernel.state.addresses.iter().all(|a| a.object.key() != object.key()) {
            kernel.state.addresses.push(Owned { object, owner: Owner::Other(0) });
        }
    }
}

/// Links, memberships and addresses of others.
fn others(actual: &Actual) -> Vec<String> {
    let links = actual.links.iter().filter(|l| l.owner != Owner::Us).map(|l| {
        let member = l.member.filter(|m| m.owner != Owner::Us);
        format!("{} {:?} {member:?}", l.name, l.kind)
    });
    let addresses = actual.addresses.iter().filter(|a| a.owner != Owner::Us).map(|a| format!("{:?}", a.object));
    links.chain(addresses).collect()
}

fn apply(kernel: &mut Kernel, steps: impl Iterator<Item = Step>, story: &str) {
    for step in steps {
        let line = text::step(&step, &kernel.state);
        kernel.apply(&step).unwrap_or_else(|e| panic!("{e} at {line}\n{story}"));
    }
}

fn step_to(kernel: &mut Kernel, entries: &[Entry], story: &str) {
    let before = others(&kernel.state);
    // What a mere look forward says must be what happens.
    let mut assumed = kernel.state.clone();
    loop {
        let new = new_links(&want(entries, &kernel.state.links), &kernel.state);
        if new.is_empty() {
            break;
        }
        for change in new {
            assume(&change.step, &mut assumed);
            apply(kernel, [change.step].into_iter(), story);
        }
    }
    let named = |a: &Actual| a.links.iter().map(|l| (l.name, l.mtu, l.owner)).collect::<Vec<_>>();
    assert_eq!(named(&assumed), named(&kernel.state), "{story}");

    let wanted = want(entries, &kernel.state.links);
    let todo = plan(&wanted, &kernel.state);
    apply(kernel, todo.changes.iter().map(|c| c.step.clone()), story);
    let deletes = |s: &Step| matches!(s, Step::Leave(_) | Step::DeleteLink(_) | Step::DeleteAddress(_));
    let first = todo.changes.iter().position(|c| deletes(&c.step)).unwrap_or(todo.changes.len());
    assert!(todo.changes[first..].iter().all(|c| deletes(&c.step)), "add before delete: {todo:?}\n{story}");
    assert_eq!(others(&kernel.state), before, "{story}");
    let wanted = want(entries, &kernel.state.links);
    assert_eq!(new_links(&wanted, &kernel.state), [], "{story}");
    assert_eq!(plan(&wanted, &kernel.state).changes, [], "{story}");
    for port in &wanted.ports {
        let member = kernel.state.link(port.object.link).unwrap().member;
        let conflict = todo.conflicts.iter().any(|c| c.origin == port.origin);
        assert!(conflict || member.is_some_and(|m| m.of == port.object.bridge), "{port:?}\n{story}");
    }
    for made in &wanted.made {
        let link = kernel.state.links.iter().find(|l| l.name == made.object.name).unwrap();
        let mut told = wanted.problems.iter().chain(&todo.conflicts).map(|p| p.what.as_str());
        let mut told = || told.any(|w| w.contains("another kind") || w.contains("stays what it is"));
        assert!(link.kind == Some(made.object.kind) || told(), "{made:?}\n{story}");
    }
}

#[test]
fn any_links_become_the_wanted_ones() {
    let mut cleaned = 0;
    for seed in 0..3000 {
        let r = &mut Random::new(seed);
        let mut kernel = Kernel::new(start(r));
        for _ in 0..4 {
            let entries = entries(r);
            let links: Vec<String> = kernel.state.links.iter().map(|l| format!("{l:?}\n")).collect();
            let says = |e: &Entry| format!("{} bridge {:?} vlan {:?} addr {:?}\n", e.iface, e.bridge, e.vlan, e.addr);
            let records: Vec<String> = entries.iter().map(says).collect();
            let story = format!("seed {seed}\n{}{}", links.concat(), records.concat());
            step_to(&mut kernel, &entries, &story);
            meddle(r, &mut kernel);
        }
        step_to(&mut kernel, &[], &format!("seed {seed}, nothing wanted"));
        // A link of ours is left only where somebody else uses it.
        let left: Vec<&Link> = kernel.state.links.iter().filter(|l| l.owner == Owner::Us).collect();
        for link in &left {
            let port = |l: &Link| l.member.is_some_and(|m| m.of == link.index && m.owner != Owner::Us);
            let above = |l: &Link| matches!(l.kind, Some(Kind::Vlan { below, .. }) if below == link.index);
            let used = kernel.state.links.iter().any(|l| port(l) || above(l))
                || kernel.state.addresses.iter().any(|a| a.object.link == link.index);
            assert!(used, "seed {seed}: {link:?}");
        }
        cleaned += u32::from(left.is_empty());
        assert!(kernel.state.links.iter().all(|l| l.member.is_none_or(|m| m.owner != Owner::Us)), "seed {seed}");
    }
    assert!(cleaned > 1200, "most worlds have nobody else in them: {cleaned}");
}

fn shown(records: &[Entry], actual: &mut Actual) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let wanted = want(records, &actual.links);
        let new = new_links(&wanted, actual);
        for change in &new {
            lines.push(text::change(change, actual));
            assume(&change.step, actual);
        }
        if new.is_empty() {
            let plan = plan(&wanted, actual);
            lines.extend(plan.changes.iter().map(|c| text::change(c, actual)));
            lines.extend(wanted.problems.iter().chain(&plan.conflicts).map(|p| text::problem(p, actual)));
            return lines;
        }
    }
}

fn record(line: u32, iface: &str) -> Entry {
    Entry { line, ..Entry::new(iface.parse().unwrap()) }
}

fn three_links() -> Actual {
    let links = (2..).zip(&NAMES[..3]).map(|(n, name)| Link::new(index(n), name.parse().unwrap())).collect();
    Actual { links, ..Actual::default() }
}

#[test]
fn a_vlan_on_a_bridge_that_is_made_as_well() {
    let vlan = |below: &str, id| Some(Vlan { below: below.parse().unwrap(), id });
    let records = [
        Entry { vlan: vlan("br0", 10), addr: "10.0.10.1/24".parse().ok(), ..record(1, "guests") },
        Entry { bridge: ["eth0", "eth1"].map(|n| n.parse().unwrap()).into(), mtu: Some(1400), ..record(5, "br0") },
    ];
    let mut actual = three_links();
    actual.links[1].up = false;
    assert_eq!(
        shown(&records, &mut actual),
        [
            "br0: add bridge (a.ipconf:5)",
            "guests: add VLAN 10 of br0 (a.ipconf:1)",
            "br0: set up (a.ipconf:1)",
            "eth1: set up (a.ipconf:5)",
            "br0: set mtu 1400 (a.ipconf:5)",
            "guests: set up (a.ipconf:1)",
            "eth0: make it a port of br0 (a.ipconf:5)",
            "eth1: make it a port of br0 (a.ipconf:5)",
            "guests: add address 10.0.10.1/24 (a.ipconf:1)",
        ]
    );
}

#[test]
fn a_vlan_with_another_number_is_made_anew() {
    let mut actual = three_links();
    actual.links[0].up = false;
    let kind = Some(Kind::Vlan { below: index(2), id: 10 });
    actual.links.push(Link { kind, owner: Owner::Us, ..Link::new(index(9), "v0".parse().unwrap()) });
    let vlan = |id| Some(Vlan { below: "eth0".parse().unwrap(), id });
    let records = [Entry { vlan: vlan(11), ..record(1, "v0") }];
    assert_eq!(
        shown(&records, &mut actual.clone()),
        ["v0: delete", "v0: add VLAN 11 of eth0 (a.ipconf:1)", "eth0: set up (a.ipconf:1)", "v0: set up (a.ipconf:1)"]
    );
    actual.links[3].owner = Owner::Other(0);
    assert_eq!(
        shown(&records, &mut actual)[1..],
        ["conf/a.ipconf:1: v0: somebody else has made another kind of link of that name"]
    );
}

#[test]
fn contradictions_are_told_with_their_line() {
    let bridge = |ports: &[&str]| ports.iter().map(|n| n.parse().unwrap()).collect();
    let vlan = |below: &str| Some(Vlan { below: below.parse().unwrap(), id: 10 });
    let records = [
        Entry { bridge: bridge(&["eth0", "eth9"]), ..record(1, "br0") },
        Entry { bridge: bridge(&["eth0"]), ..record(4, "br1") },
        Entry { vlan: vlan("eth9"), addr: "10.0.0.1/24".parse().ok(), ..record(7, "v0") },
        Entry { vlan: vlan("eth1"), bridge: bridge(&["eth0"]), ..record(11, "v1") },
        Entry { vlan: vlan("eth1"), ..record(15, "br0") },
    ];
    assert_eq!(
        shown(&records, &mut three_links())[2..],
        [
            "br0: set up (a.ipconf:1)",
            "br1: set up (a.ipconf:4)",
            "eth0: make it a port of br0 (a.ipconf:1)",
            "conf/a.ipconf:1: eth9: there is no such interface",
            "conf/a.ipconf:4: br1: port eth0: conf/a.ipconf:1 says otherwise and came first",
            "conf/a.ipconf:7: eth9: there is no such interface",
            "conf/a.ipconf:11: v1: either bridge or vlan",
            "conf/a.ipconf:15: br0: conf/a.ipconf:1 says otherwise and came first",
        ]
    );
}

/// What a service on the network says makes no links.
#[test]
fn only_the_administrator_makes_links() {
    let entry = Entry { bridge: vec!["eth0".parse().unwrap()], ..record(1, "br0") };
    let source = Source { path: "run/x.ipconf".into(), is_static: false, entries: vec![entry] };
    let actual = three_links();
    let wanted = desired(&[source], &Hold::Nowhere, &actual.links, &Policy::default());
    assert!(new_links(&wanted, &actual).is_empty() && plan(&wanted, &actual).changes.is_empty());
    assert_eq!(text::problem(&wanted.problems[0], &actual), "run/x.ipconf:1: br0: there is no such interface");
}

#[test]
fn nothing_is_undone_for_a_file_that_cannot_be_read() {
    let mut actual = three_links();
    let bridge = Link { kind: Some(Kind::Bridge), owner: Owner::Us, ..Link::new(index(9), "br0".parse().unwrap()) };
    actual.links.push(bridge);
    actual.links[0].member = Some(Member { of: index(9), owner: Owner::Us });
    let lines = |hold: &[&str]| {
        let mut wanted = Desired::default();
        if !hold.is_empty() {
            wanted.hold.add(hold.iter().map(|n| n.parse().unwrap()).collect());
        }
        plan(&wanted, &actual).changes.iter().map(|c| text::step(&c.step, &actual)).collect::<Vec<_>>()
    };
    assert_eq!(lines(&[]), ["eth0: no port any more", "br0: delete"]);
    assert_eq!(lines(&["br0"]), [""; 0]);
    assert_eq!(lines(&["eth1"]), ["eth0: no port any more", "br0: delete"]);
}
