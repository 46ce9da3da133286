//! Two providers: what comes in by one is answered through it, whichever has the default route; connections follow their
//! uplink when it goes and when it comes back.

use super::{INTERNET, World, edit};
use lab::{Netns, udp, wait_for};
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::time::Duration;

/// A customer of the second provider, somewhere in the internet.
const STRANGER: &str = "198.51.100.200";

/// The second provider, on eth2, and `wan` naming both. The first has the default route.
fn two_providers(world: &World<'_>) -> Netns {
    let lab = world.lab;
    let other = lab.netns("other");
    lab.cable((&lab.net(), "eth2"), (&other, "cable"));
    lab.net().wait_carrier("eth2", true);
    other.address("cable", "203.0.113.1/24");
    other.address("lo", &format!("{STRANGER}/32"));
    edit("run", "wan=\"eth0\" ", "wan=\"eth0, eth2\" ");
    world.publish("dhcp_eth0", "if=eth0 ipmask=192.0.2.7/24 gw=192.0.2.1 net=0/0");
    world.publish("dhcp_eth2", "if=eth2 ipmask=203.0.113.7/24 gw=203.0.113.1 net=0/0");
    other
}

/// A socket of a namespace that waits for an answer as long as a test does.
fn socket(ns: &Netns, local: &str) -> UdpSocket {
    let socket = udp(ns, local);
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Receives one datagram.
fn heard(socket: &UdpSocket) -> io::Result<(String, String)> {
    let mut buf = [0; 64];
    let (n, from) = socket.recv_from(&mut buf)?;
    Ok((String::from_utf8_lossy(&buf[..n]).into_owned(), from.to_string()))
}

#[test]
fn replies_leave_by_the_uplink_the_question_came_in_on() {
    lab::test(|lab| {
        let world = World::new(lab);
        let other = two_providers(&world);
        edit(
            "ruleset",
            "# iifname @wan tcp dport 8080 dnat ip to 192.168.1.10:80",
            "iifname @wan udp dport 8080 dnat ip to 192.168.1.10:80",
        );
        let _runsvdir = world.supervise();
        let ping = |to: &str| other.cmd(lab, "ping").args(["-n", "-c1", "-W2", "-I", STRANGER, to]).output().code;
        assert_eq!(ping("203.0.113.7"), 0, "the gateway itself: {}", lab.net().ip("rule"));

        // A port forward: the answer comes from a host that knows nothing of uplinks.
        let (stranger, host) = (socket(&other, &format!("{STRANGER}:5000")), socket(&world.host, "192.168.1.10:80"));
        stranger.send_to(b"question", "203.0.113.7:8080").unwrap();
        let (question, from) = heard(&host).unwrap();
        assert_eq!((question.as_str(), from.as_str()), ("question", "198.51.100.200:5000"));
        host.send_to(b"answer", from).unwrap();
        assert_eq!(heard(&stranger).unwrap(), ("answer".to_owned(), "203.0.113.7:8080".to_owned()));

        // What the host begins takes the default route.
        assert!(world.host_reaches_internet());
        // Others' rules stay, ours go when there is nothing to choose any more.
        lab.net().ip("rule add priority 8001 from 10.1.2.3 lookup 8001");
        fs::remove_file("/run/service/fw/dhcp_eth2.ipconf").unwrap();
        world.kick();
        let rules: Vec<String> = lab.net().ip("rule").lines().map(|l| l.trim_end().to_owned()).collect();
        assert_eq!(
            rules,
            [
                "0:\tfrom all lookup local",
                "8001:\tfrom 10.1.2.3 lookup 8001",
                "32766:\tfrom all lookup main",
                "32767:\tfrom all lookup default"
            ]
        );
    });
}

/// A host's connection to a server that both providers reach: it goes where the default route goes, at once, both ways.
#[test]
fn connections_follow_the_used_uplink() {
    lab::test(|lab| {
        let world = World::new(lab);
        let other = two_providers(&world);
        other.address("lo", &format!("{INTERNET}/32"));
        world.publish("dhcp_eth0", "if=eth0 ipmask=192.0.2.7/24 gw=192.0.2.1 net=0/0 metric=10");
        let _runsvdir = world.supervise();
        let server = |net: &Netns| socket(net, &format!("{INTERNET}:7"));
        let (first, second) = (server(&world.provider), server(&other));
        let host = socket(&world.host, "192.168.1.10:5000");
        // A connection of the other uplink, which nobody may touch.
        let stranger = socket(&other, &format!("{STRANGER}:5001"));
        let gateway = UdpSocket::bind("203.0.113.7:5353").unwrap();
        edit("run", "open_udp=\"\"", "open_udp=\"5353\"");
        world.kick();
        stranger.send_to(b"x", "203.0.113.7:5353").unwrap();
        heard(&gateway).unwrap();
        let connections = || lab.cmd("conntrack").args(["-L", "-p", "udp"]).ok();
        let untouched = || assert!(connections().contains(&format!("src={STRANGER} dst=203.0.113.7")));
        untouched();

        let arrives = |at: &UdpSocket, address: &str| {
            at.set_nonblocking(true).unwrap();
            while at.recv(&mut [0; 8]).is_ok() {}
            wait_for(&format!("datagrams from {address}"), || {
                host.send_to(b"x", format!("{INTERNET}:7")).unwrap();
                heard(at).is_ok_and(|(_, from)| from.starts_with(address))
            });
        };
        arrives(&first, "192.0.2.7:");
        // Silent loss: the prober says so, and fw is kicked.
        world.publish("pinger_eth0", "if=eth0 health=down");
        world.kick();
        arrives(&second, "203.0.113.7:");
        world.publish("pinger_eth0", "if=eth0 health=up");
        world.kick();
        arrives(&first, "192.0.2.7:");
        untouched();
        assert!(world.log().contains("eth0: connections from 192.0.2.7 ended"), "{}", world.log());

        // The second uplink asks for its connections to be kept: nothing moves until they end by themselves.
        world.publish("dhcp_eth2", "if=eth2 ipmask=203.0.113.7/24 gw=203.0.113.1 net=0/0 failback=keep");
        world.publish("pinger_eth0", "if=eth0 health=down");
        world.kick();
        arrives(&second, "203.0.113.7:");
        world.publish("pinger_eth0", "if=eth0 health=up");
        world.kick();
        arrives(&second, "203.0.113.7:");
        // Or for a while.
        world.publish("dhcp_eth2", "if=eth2 ipmask=203.0.113.7/24 gw=203.0.113.1 net=0/0 failback=1");
        world.publish("pinger_eth0", "if=eth0 health=down");
        world.kick();
        world.publish("pinger_eth0", "if=eth0 health=up");
        world.kick();
        arrives(&first, "192.0.2.7:");
    });
}
