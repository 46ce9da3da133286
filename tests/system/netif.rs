//! netif on real interfaces: frames over a cable, checksum offload, VLANs, link events, interfaces that vanish.

use lab::{Lab, PATIENCE};
use netif::Mac;
use netif::frame::{Arp, ArpOp, Ethernet, FrameError, UdpChecksum, UdpDatagram, parse_arp, parse_udp};
use netif::link::{self, Event, Link, LinkError, LinkEvents};
use netif::packet::{Listen, MAX_FRAME, PacketError, PacketSocket};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use sys::clock::monotonic;
use sys::poll::{PollFd, PollFlags, wait};

const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn named(name: &str) -> Link {
    link::query(name.parse().unwrap()).unwrap()
}

/// Waits until the descriptor has something to tell.
fn ready(fd: &impl AsFd) {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let now = monotonic();
    assert_eq!(wait(&mut fds, now, Some(now + PATIENCE)), Ok(1), "nothing came");
}

/// The next frame with what the kernel says of its checksum.
fn frame(socket: &PacketSocket) -> (Vec<u8>, UdpChecksum) {
    loop {
        ready(socket);
        let mut buf = [0; MAX_FRAME];
        if let Some(r) = socket.receive(&mut buf).unwrap() {
            return (r.frame.to_vec(), r.checksum);
        }
    }
}

fn nothing(socket: &PacketSocket) {
    assert_eq!(socket.receive(&mut [0; MAX_FRAME]), Ok(None));
}

/// A cable with both ends in the lab's own namespace.
fn cable(lab: &Lab) -> (Link, Link) {
    lab.cable((&lab.net(), "near"), (&lab.net(), "far"));
    lab.net().wait_carrier("near", true);
    lab.net().wait_carrier("far", true);
    (named("near"), named("far"))
}

fn probe(from: &Link) -> (Ethernet, Arp) {
    let sha = from.mac.unwrap();
    let arp = Arp { op: ArpOp::Request, sha, spa: Ipv4Addr::UNSPECIFIED, tha: Mac::ZERO, tpa: FAR };
    (Ethernet { dst: Mac::BROADCAST, src: sha }, arp)
}

fn send_probe(socket: &PacketSocket, from: &Link) {
    let (ethernet, arp) = probe(from);
    socket.send(&arp.frame(ethernet).unwrap()).unwrap();
}

#[test]
fn arp_there_and_back() {
    lab::test(|lab| {
        let (near, far) = cable(lab);
        let a = PacketSocket::open(near.index, Listen::Arp).unwrap();
        let b = PacketSocket::open(far.index, Listen::Arp).unwrap();
        send_probe(&a, &near);
        assert_eq!(parse_arp(&frame(&b).0), Ok(probe(&near)));
        let (us, them) = (far.mac.unwrap(), near.mac.unwrap());
        let reply = Arp { op: ArpOp::Reply, sha: us, spa: FAR, tha: them, tpa: NEAR };
        let wire = Ethernet { dst: them, src: us };
        b.send(&reply.frame(wire).unwrap()).unwrap();
        assert_eq!(parse_arp(&frame(&a).0), Ok((wire, reply)));
        nothing(&a);
        nothing(&b);
    });
}

#[test]
fn only_what_was_asked_for() {
    lab::test(|lab| {
        let (near, far) = cable(lab);
        let sender = PacketSocket::open(near.index, Listen::Arp).unwrap();
        let receiver = PacketSocket::open(far.index, Listen::Udp(68)).unwrap();
        let wire = Ethernet { dst: Mac::BROADCAST, src: near.mac.unwrap() };
        let to = |dport| UdpDatagram { src: NEAR, dst: Ipv4Addr::BROADCAST, sport: 67, dport, payload: b"x" };
        send_probe(&sender, &near);
        sender.send(&to(69).frame(wire).unwrap()).unwrap();
        let mut fragment = to(68).frame(wire).unwrap();
        fragment[20] |= 0x20;
        sender.send(&fragment).unwrap();
        sender.send(&to(68).frame(wire).unwrap()).unwrap();
        // The wanted frame was sent last, so it being first shows that no other came.
        let (bytes, checksum) = frame(&receiver);
        assert_eq!(checksum, UdpChecksum::Verify);
        assert_eq!(parse_udp(&bytes, checksum), Ok((wire, to(68))));
        nothing(&receiver);
    });
}

#[test]
fn frames_of_a_vlan_are_another_network() {
    lab::test(|lab| {
        let (near, far) = cable(lab);
        let sender = PacketSocket::open(near.index, Listen::Arp).unwrap();
        let receiver = PacketSocket::open(far.index, Listen::Arp).unwrap();
        let (ethernet, arp) = probe(&near);
        // The kernel takes the tag off, so without a look at it the frame would pass for one of this network.
        let tagged = |vlan: u8, op| {
            let mut frame = Arp { op, ..arp }.frame(ethernet).unwrap().to_vec();
            frame.splice(12..12, [0x81, 0, 0xe0, vlan]);
            sender.send(&frame).unwrap();
        };
        tagged(5, ArpOp::Request);
        // VLAN 0 is no VLAN but a priority.
        tagged(0, ArpOp::Reply);
        assert_eq!(parse_arp(&frame(&receiver).0), Ok((ethernet, Arp { op: ArpOp::Reply, ..arp })));
        nothing(&receiver);
    });
}

#[test]
fn checksums_left_to_hardware_that_is_not_there() {
    lab::test(|lab| {
        let (_, far) = cable(lab);
        lab.net().address("near", &format!("{NEAR}/24"));
        let receiver = PacketSocket::open(far.index, Listen::Udp(68)).unwrap();
        let sender = UdpSocket::bind((NEAR, 67)).unwrap();
        sender.set_broadcast(true).unwrap();
        sender.send_to(b"offer", (Ipv4Addr::new(192, 0, 2, 255), 68)).unwrap();
        let (bytes, checksum) = frame(&receiver);
        assert_eq!(checksum, UdpChecksum::NotReady);
        assert_eq!(parse_udp(&bytes, checksum).unwrap().1.payload, b"offer");
        assert_eq!(
            parse_udp(&bytes, UdpChecksum::Verify),
            Err(FrameError::UdpChecksum),
            "offload is on, so it is wrong"
        );
    });
}

#[test]
fn down_is_told_and_passes() {
    lab::test(|lab| {
        let (near, far) = cable(lab);
        let socket = PacketSocket::open(far.index, Listen::Arp).unwrap();
        link::set_up(far.index, false).unwrap();
        ready(&socket);
        assert_eq!(socket.receive(&mut [0; MAX_FRAME]), Err(PacketError::Down));
        assert_eq!(socket.send(&[0; 60]), Err(PacketError::Down));
        // Opening on it works, and tells at once.
        let second = PacketSocket::open(far.index, Listen::Arp).unwrap();
        ready(&second);
        assert_eq!(second.receive(&mut [0; MAX_FRAME]), Err(PacketError::Down));

        link::set_up(far.index, true).unwrap();
        lab.net().wait_carrier("near", true);
        let sender = PacketSocket::open(near.index, Listen::Arp).unwrap();
        send_probe(&sender, &near);
        assert_eq!(parse_arp(&frame(&socket).0), Ok(probe(&near)));
        assert_eq!(parse_arp(&frame(&second).0), Ok(probe(&near)));
    });
}

#[test]
fn a_vanished_interface_is_told_by_name() {
    lab::test(|lab| {
        let (_, far) = cable(lab);
        let socket = PacketSocket::open(far.index, Listen::Arp).unwrap();
        lab.net().ip("link del far");
        ready(&socket);
        assert_eq!(socket.receive(&mut [0; MAX_FRAME]), Err(PacketError::Down));
        assert_eq!(socket.send(&[0; 60]), Err(PacketError::Gone));
        assert_eq!(PacketSocket::open(far.index, Listen::Arp).map(drop), Err(PacketError::Gone));
        assert_eq!(link::query(far.name), Err(LinkError::NoSuchInterface));
        assert_eq!(link::set_up(far.index, true), Err(LinkError::NoSuchInterface));
    });
}

/// The next event that `wanted` takes; others pass by.
fn event<T>(events: &mut LinkEvents, wanted: impl Fn(Event) -> Option<T>) -> T {
    loop {
        while let Some(e) = events.event().unwrap() {
            if let Some(found) = wanted(e) {
                return found;
            }
        }
        ready(events);
    }
}

fn new_state(name: &str, wanted: impl Fn(&Link) -> bool) -> impl Fn(Event) -> Option<Link> {
    move |e| match e {
        Event::New(l) if l.name.as_str() == name && wanted(&l) => Some(l),
        Event::New(_) | Event::Del { .. } | Event::Overrun => None,
    }
}

#[test]
fn every_change_of_a_link_is_an_event() {
    lab::test(|lab| {
        let mut events = LinkEvents::open().unwrap();
        assert_eq!(events.event(), Ok(None));
        let cable = lab.cable((&lab.net(), "near"), (&lab.net(), "far"));
        let near = event(&mut events, new_state("near", Link::running));
        assert_eq!(near, Link { carrier_losses: near.carrier_losses, ..named("near") });
        assert_eq!((near.mtu, near.loopback, near.mac.is_some()), (1500, false, true));

        cable.pull();
        let pulled = event(&mut events, new_state("near", |l| !l.carrier));
        assert!(pulled.up && !pulled.running() && pulled.carrier_losses == near.carrier_losses + 1);
        cable.plug();
        event(&mut events, new_state("near", Link::running));

        lab.net().ip("link set near mtu 1400");
        event(&mut events, new_state("near", |l| l.mtu == 1400));
        link::set_up(near.index, false).unwrap();
        event(&mut events, new_state("near", |l| !l.up && !l.carrier));
        lab.net().ip("link set near name other");
        assert_eq!(event(&mut events, new_state("other", |_| true)).index, near.index);
        lab.net().ip("link del other");
        let gone = |e| match e {
            Event::Del { index, name } => (name.as_str() == "other").then_some(index),
            Event::New(_) | Event::Overrun => None,
        };
        assert_eq!(event(&mut events, gone), near.index);
    });
}

#[test]
fn leaving_a_bridge_is_not_vanishing() {
    lab::test(|lab| {
        let (near, _) = cable(lab);
        lab.net().bridge("br0", &["near"]);
        let mut events = LinkEvents::open().unwrap();
        lab.net().ip("link set near nomaster");
        lab.net().ip("link set near mtu 1400");
        let end = |e| match e {
            Event::New(l) => (l.index == near.index && l.mtu == 1400).then_some(true),
            Event::Del { .. } => Some(false),
            Event::Overrun => None,
        };
        assert!(event(&mut events, end));
    });
}

#[test]
fn too_many_events_are_an_overrun() {
    lab::test(|lab| {
        cable(lab);
        let mut events = LinkEvents::open().unwrap();
        // 212 kB of socket buffer against more than a kilobyte for each event.
        let changes: String = (0..1000).map(|i| format!("link set near mtu {}\n", 1401 + i % 2)).collect();
        lab.cmd("ip").args(["-batch", "-"]).stdin(&changes).ok();
        event(&mut events, |e| (e == Event::Overrun).then_some(()));
        // After that it goes on, and a query tells what was missed.
        lab.net().ip("link set near mtu 1400");
        event(&mut events, new_state("near", |l| l.mtu == 1400));
        assert!(named("near").up);
        assert!(link::dump().unwrap().contains(&named("near")));
    });
}
