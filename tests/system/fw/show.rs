//! Three namespaces and 2000 packets a second: what gets lost and what gets through while fw runs, and how the same looks
//! with a script that flushes.

use super::{INTERNET, World, edit};
use lab::{Delivery, Stream, udp, wait_for};
use std::time::Duration;

/// Runs of fw in each act.
const RUNS: u32 = 8;

/// Packets a second from the host through the gateway.
const RATE: u32 = 2000;

/// What became of the streams of one act.
#[derive(Debug)]
struct Act {
    /// From the host to the internet.
    passing: Delivery,
    /// From the internet to a closed port of the gateway, and to the host, which nobody asked in.
    closed: [Delivery; 2],
}

impl Act {
    const fn got_through(&self) -> u32 {
        self.closed[0].received + self.closed[1].received
    }
}

/// The gateway with an address from the provider, and an interface nobody needs.
fn gateway<'l>(world: &World<'l>) {
    let lab = world.lab;
    world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
    lab.cable((&lab.net(), "other"), (&world.host, "other"));
    world.provider.ip("route add 192.168.1.0/24 via 192.0.2.7");
}

/// Streams while `change` is made and fw is kicked, [`RUNS`] times.
fn act(world: &World<'_>, what: &str, mut change: impl FnMut(u32)) -> Act {
    let address = |text: &str| text.parse().unwrap();
    let internet = format!("{INTERNET}:7");
    let passing = Stream::start(
        udp(&world.host, "192.168.1.10:5000"),
        &[address(&internet)],
        udp(&world.provider, &internet),
        RATE,
    );
    // Each from a port of its own: what the firewall has refused once it would refuse again for the same reason.
    let closed = [
        (udp(&world.lab.net(), "0.0.0.0:9999"), &[address("192.0.2.7:9999"), address("192.0.2.8:9999")][..]),
        (udp(&world.host, "192.168.1.10:9999"), &[address("192.168.1.10:9999")][..]),
    ];
    let closed = closed.map(|(at, to)| Stream::start(udp(&world.provider, "192.0.2.1:0"), to, at, RATE / 2));
    wait_for("all streams", || passing.sent() > 200 && closed.iter().all(|s| s.sent() > 100));
    for run in 0..RUNS {
        change(run);
        world.kick();
    }
    wait_for("a second of packets", || passing.sent() > RATE);
    let act = Act { passing: passing.stop(), closed: closed.map(Stream::stop) };
    world.lab.note(format!("{what}: {}; {} through", act.passing, act.got_through()));
    assert!(act.closed.iter().all(|d| d.sent > RATE / 4), "{what}: {act:?}");
    act
}

#[test]
fn nothing_is_lost_and_nothing_gets_through() {
    lab::test_within(Duration::from_secs(120), |lab| {
        let world = World::new(lab);
        gateway(&world);
        let _runsvdir = world.supervise();
        assert!(world.host_reaches_internet());
        let clean = |what: &str, act: &Act| {
            assert_eq!((act.passing.lost(), act.got_through()), (0, 0), "{what}: {act:?}");
        };
        clean("nothing changed", &act(&world, "nothing changed", |_| {}));
        clean(
            "an unrelated interface",
            &act(&world, "an unrelated interface", |run| {
                world
                    .publish("b", &format!("if=other ipmask=10.0.0.{}/24 routes=172.16.{run}.0/24 10.0.0.99", run + 1));
            }),
        );
        let ports = |run: u32| format!("open_tcp=\"22, {}\"", 8000 + run);
        edit("run", "open_tcp=\"22\"", &ports(0));
        clean(
            "the rules",
            &act(&world, "the rules", |run| {
                edit("run", &ports(run), &ports(run + 1));
                edit("ruleset", "\tchain hide {", &format!("\tchain more{run} {{ }}\n\tchain hide {{"));
            }),
        );
        assert!(lab.cmd("nft").args(["list", "table", "inet", "portreeve"]).ok().contains("chain more7"));
        // The uplink's own address: the connection has another one from then on, and the rules stay what they are.
        let own = act(&world, "the uplink's address", |run| {
            let ip = ["192.0.2.8", "192.0.2.7"][run as usize % 2];
            world.publish("a", &format!("if=eth0 ip={ip} ipmask={ip}/24 net=0/0 gw=192.0.2.1"));
        });
        assert_eq!(own.got_through(), 0, "{own:?}");
        assert!(own.passing.lost() < own.passing.sent / 100, "{own:?}");
        assert!(world.has_address("192.0.2.7/24") && world.host_reaches_internet());
    });
}

/// The same with a script in the old style, so that the figures above mean something: it loses packets, and while its rules
/// are gone others get in.
#[test]
fn a_script_that_flushes_loses_packets_and_lets_others_in() {
    lab::test(|lab| {
        let world = World::new(lab);
        gateway(&world);
        super::legacy::install();
        let _runsvdir = world.supervise();
        assert!(world.host_reaches_internet());
        let act = act(&world, "nothing changed, but flushed", |_| {});
        assert!(act.passing.lost() > 0 && act.got_through() > 0, "{act:?}");
    });
}
