//! Sends probes and hears their answers, all bound to the one interface: an answer through another uplink never arrives here.
//! Driver part: owns the sockets.

use super::icmp;
use super::target::{Method, Target};
use super::verdict::Probe;
use core::time::Duration;
use netif::frame::{Arp, ArpOp, Ethernet, parse_arp};
use netif::link::{Link, LinkError, Questions};
use netif::packet::{Listen, PacketError, PacketSocket};
use netif::sandbox::{Outbound, Rights};
use netif::{IfName, Mac};
use socket2::{SockAddr, Socket};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::rc::Rc;
use sys::Errno;
use sys::poll::{PollFd, PollFlags};

/// Longest answer looked at.
const ANSWER: usize = 512;
/// Most probes on their way that need a socket each.
const MAX_FLIGHTS: usize = 256;

#[derive(Debug)]
pub(super) struct Probes {
    interface: IfName,
    secret: u64,
    questions: Questions,
    rights: Rc<Rights>,
    /// The interface and its ARP socket, none while no target needs one.
    arp: Option<(Link, PacketSocket)>,
    icmp: Option<Socket>,
    /// Where the routers' answers came from; the next request goes there alone.
    macs: HashMap<Ipv4Addr, Mac>,
    /// Latest ARP request of each target of this round.
    asked: Vec<(Ipv4Addr, Probe)>,
    flights: Vec<Flight>,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is on its way.
    Asked,
    /// Nobody had to be asked: the kernel has just heard from the target, on this interface.
    Known,
}

#[derive(Debug)]
struct Flight {
    probe: Probe,
    socket: Socket,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tcp,
    Dns,
}

impl Probes {
    pub(super) fn new(interface: IfName, secret: u64, rights: Rc<Rights>) -> Result<Self, LinkError> {
        Ok(Self {
            interface,
            secret,
            questions: Questions::open()?,
            rights,
            arp: None,
            icmp: None,
            macs: HashMap::new(),
            asked: Vec::new(),
            flights: Vec::new(),
        })
    }

    /// The list of targets has changed: what is known of the old ones is void.
    pub(super) fn forget(&mut self) {
        self.macs.clear();
        self.round_over();
    }

    /// Answers that come from now on are too late.
    pub(super) fn round_over(&mut self) {
        self.asked.clear();
        self.flights.clear();
    }

    /// `own` is our address on the link, if we have one; `fresh`: how old news from the kernel may be.
    pub(super) fn send(
        &mut self,
        probe: Probe,
        target: Target,
        own: Option<Ipv4Addr>,
        fresh: Duration,
    ) -> Result<Sent, Errno> {
        match target.how.method(probe.attempt) {
            Method::Arp if probe.attempt == 0 && self.known(target.address, fresh) => return Ok(Sent::Known),
            Method::Arp => self.send_arp(probe, target.address, own),
            Method::Icmp => self.send_icmp(probe, target.address),
            Method::Tcp(port) => self.send_tcp(probe, SocketAddrV4::new(target.address, port)),
            Method::Dns(port) => self.send_dns(probe, SocketAddrV4::new(target.address, port)),
        }
        .map(|()| Sent::Asked)
    }

    /// Whether the kernel has heard from it lately. It says so only for what was asked or acknowledged on this interface.
    fn known(&self, address: Ipv4Addr, fresh: Duration) -> bool {
        let link = self.questions.query(self.interface);
        let age = link.and_then(|link| self.questions.confirmed(link.index, address));
        age.is_ok_and(|age| age.is_some_and(|age| age <= fresh))
    }

    fn send_arp(&mut self, probe: Probe, address: Ipv4Addr, own: Option<Ipv4Addr>) -> Result<(), Errno> {
        // The first look of a round also sees whether the interface is still the same.
        if probe.attempt == 0 || self.arp.is_none() {
            let link = self.questions.query(self.interface)?;
            if self.arp.as_ref().is_none_or(|(old, _)| old.index != link.index) {
                self.arp = Some((link, self.rights.packet(link.index, Listen::Arp)?));
                self.macs.clear();
            }
        }
        let Some((link, socket)) = &self.arp else { return Err(Errno::ENODEV) };
        let mac = link.mac.ok_or(Errno::EAFNOSUPPORT)?;
        // Unicast first: 42 bytes that bother nobody. A router that moved to another address answers the next try.
        let dst = self.macs.get(&address).copied().filter(|_| probe.attempt == 0).unwrap_or(Mac::BROADCAST);
        let spa = own.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let arp = Arp { op: ArpOp::Request, sha: mac, spa, tha: Mac::ZERO, tpa: address };
        let frame = arp.frame(Ethernet { dst, src: mac }).map_err(|_| Errno::EINVAL)?;
        socket.send(&frame)?;
        self.asked.retain(|(a, p)| *a != address || p.target != probe.target);
        self.asked.push((address, probe));
        Ok(())
    }

    fn send_icmp(&mut self, probe: Probe, address: Ipv4Addr) -> Result<(), Errno> {
        let socket = match &mut self.icmp {
            Some(socket) => socket,
            none => none.insert(self.rights.icmp(icmp::identifier(self.secret))?),
        };
        let to = SockAddr::from(SocketAddrV4::new(address, 0));
        match socket.send_to(&icmp::request(self.secret, probe), &to) {
            Ok(_) => Ok(()),
            Err(e) => {
                // Bound to an interface that is gone, perhaps; the next one gets a new socket.
                self.icmp = None;
                Err(errno(&e))
            }
        }
    }

    fn send_tcp(&mut self, probe: Probe, to: SocketAddrV4) -> Result<(), Errno> {
        let socket = self.rights.outbound(Outbound::Tcp)?;
        match socket.connect(&SockAddr::from(to)) {
            Ok(()) => {}
            Err(e) if errno(&e) == Errno::EINPROGRESS => {}
            Err(e) => return Err(errno(&e)),
        }
        self.fly(Flight { probe, socket, kind: Kind::Tcp });
        Ok(())
    }

    fn send_dns(&mut self, probe: Probe, to: SocketAddrV4) -> Result<(), Errno> {
        let mut socket = self.rights.outbound(Outbound::Udp)?;
        socket.connect(&SockAddr::from(to)).map_err(|e| errno(&e))?;
        socket.write(&self.query(probe)).map_err(|e| errno(&e))?;
        self.fly(Flight { probe, socket, kind: Kind::Dns });
        Ok(())
    }

    fn fly(&mut self, flight: Flight) {
        if self.flights.len() < MAX_FLIGHTS {
            self.flights.push(flight);
        }
    }

    /// `. NS IN`, recursion desired: any server has an answer, be it a refusal.
    fn query(&self, probe: Probe) -> [u8; 17] {
        let [a, b] = self.dns_id(probe).to_be_bytes();
        [a, b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]
    }

    fn dns_id(&self, probe: Probe) -> u16 {
        icmp::identifier(self.secret) ^ (probe.round as u16).rotate_left(3) ^ u16::from(probe.attempt)
    }

    /// What to poll while a round is on.
    pub(super) fn descriptors(&self) -> Vec<PollFd<'_>> {
        let mut fds = Vec::with_capacity(2 + self.flights.len());
        fds.extend(self.arp.as_ref().map(|(_, s)| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.icmp.as_ref().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.flights.iter().map(|f| {
            let events = match f.kind {
                Kind::Tcp => PollFlags::POLLOUT,
                Kind::Dns => PollFlags::POLLIN,
            };
            PollFd::new(f.socket.as_fd(), events)
        }));
        fds
    }

    /// Every answer that is there now. `targets` is the list the probes were sent for.
    pub(super) fn answers(&mut self, targets: &[Target]) -> Vec<Probe> {
        let mut answers = Vec::new();
        self.arp_answers(&mut answers);
        self.icmp_answers(targets, &mut answers);
        let mut flights = core::mem::take(&mut self.flights);
        flights.retain_mut(|flight| match flight.kind {
            Kind::Tcp => match tcp_result(&flight.socket) {
                Progress::Pending => true,
                Progress::Answered => {
                    answers.push(flight.probe);
                    false
                }
                Progress::Failed => false,
            },
            Kind::Dns => {
                let mut buf = [0; ANSWER];
                match flight.socket.read(&mut buf) {
                    Ok(len) => {
                        // Our number, and a response.
                        let ours =
                            len >= 12 && buf[..2] == self.dns_id(flight.probe).to_be_bytes() && buf[2] & 0x80 != 0;
                        if ours {
                            answers.push(flight.probe);
                        }
                        !ours
                    }
                    Err(e) => errno(&e) == Errno::EAGAIN,
                }
            }
        });
        self.flights = flights;
        answers
    }

    fn arp_answers(&mut self, answers: &mut Vec<Probe>) {
        let Some((link, socket)) = &self.arp else { return };
        let mut buf = [0; 128];
        loop {
            match socket.receive(&mut buf) {
                Ok(Some(received)) => {
                    let Ok((_, arp)) = parse_arp(received.frame) else { continue };
                    let to_us = arp.op == ArpOp::Reply && Some(arp.tha) == link.mac && Some(arp.sha) != link.mac;
                    for (address, probe) in &self.asked {
                        if to_us && arp.spa == *address && !arp.sha.is_multicast() {
                            self.macs.insert(*address, arp.sha);
                            answers.push(*probe);
                        }
                    }
                }
                Ok(None) => return,
                Err(PacketError::Down) => return,
                Err(PacketError::Gone | PacketError::Denied | PacketError::Other(_)) => {
                    self.arp = None;
                    return;
                }
            }
        }
    }

    fn icmp_answers(&mut self, targets: &[Target], answers: &mut Vec<Probe>) {
        let Some(socket) = &mut self.icmp else { return };
        let mut buf = [0; ANSWER];
        loop {
            match socket.read(&mut buf) {
                Ok(len) => {
                    if let Some((from, probe)) = icmp::reply(self.secret, &buf[..len])
                        && targets.get(probe.target).is_some_and(|t| t.address == from)
                    {
                        answers.push(probe);
                    }
                }
                Err(e) => {
                    if errno(&e) != Errno::EAGAIN {
                        self.icmp = None;
                    }
                    return;
                }
            }
        }
    }
}

enum Progress {
    Pending,
    Answered,
    Failed,
}

fn tcp_result(socket: &Socket) -> Progress {
    match socket.take_error() {
        // Without an error it is connected or still on its way; only the first has a peer.
        Ok(None) if socket.peer_addr().is_ok() => Progress::Answered,
        Ok(None) => Progress::Pending,
        // Somebody is there to refuse.
        Ok(Some(e)) if e.kind() == io::ErrorKind::ConnectionRefused => Progress::Answered,
        Ok(Some(_)) | Err(_) => Progress::Failed,
    }
}

fn errno(e: &io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
