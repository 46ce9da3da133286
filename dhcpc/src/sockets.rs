#![expect(clippy::disallowed_types, reason = "driver: owns the UDP socket of renewals; made with socket2")]
//! The sockets of a client: one for DHCP while an answer is awaited, one for ARP while somebody may contest the address.

use crate::machine::{Announcing, Watch};
use crate::message::{Expect, Refused, Reply, decode};
use netif::Mac;
use netif::frame::{Arp, ArpOp, Ethernet, FrameError, UdpDatagram, parse_arp, parse_udp};
use netif::link::Link;
use netif::packet::{MAX_FRAME, PacketError, PacketSocket, Received};
use netif::sandbox::Rights;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use sys::Errno;

/// Room for Ethernet, IP and UDP headers above the MTU's worth.
const HEADERS: usize = 18;

/// What is open.
#[derive(Debug)]
pub(crate) enum Ears {
    /// Nothing.
    Closed,
    /// DHCP replies as frames.
    Raw(PacketSocket, Vec<u8>),
    /// DHCP replies to our address.
    Udp(UdpSocket, Vec<u8>),
    /// ARP.
    Arp(PacketSocket),
}

/// One thing heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A reply for us.
    Reply(Box<Reply>),
    /// A reply that is not, or no reply.
    Refused(Refused),
    /// A frame that is damaged.
    Damaged(FrameError),
    /// Of other ports, or an error about what we sent.
    Foreign,
    /// ARP.
    Arp(crate::machine::Arp),
}

/// The two ports, which `-P` moves together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    pub(crate) server: u16,
}

impl Ears {
    pub(crate) fn raw(rights: &Rights, link: &Link, ports: Ports) -> Result<Self, PacketError> {
        let socket = rights.packet(link.index, netif::packet::Listen::Udp(ports.client))?;
        Ok(Self::Raw(socket, buffer(link.mtu)))
    }

    /// None for hearing nothing.
    pub(crate) fn arp(rights: &Rights, link: &Link, watch: Watch) -> Result<Self, PacketError> {
        let listen = match watch {
            Watch::Nothing => return Ok(Self::Closed),
            Watch::About(address) => netif::packet::Listen::ArpAbout(address),
            Watch::Claims(address) => netif::packet::Listen::ArpFrom(address),
        };
        rights.packet(link.index, listen).map(Self::Arp)
    }

    /// On our own address (`early`: which the script may not have set yet), for one interface: the kernel does routing, ARP and
    /// checksums.
    pub(crate) fn udp(rights: &Rights, mtu: u32, address: Ipv4Addr, early: bool) -> Result<Self, Errno> {
        Ok(Self::Udp(rights.udp(address, early)?.into(), buffer(mtu)))
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Closed => None,
            Self::Raw(socket, _) | Self::Arp(socket) => Some(socket.as_fd()),
            Self::Udp(socket, _) => Some(socket.as_fd()),
        }
    }

    /// The next thing heard, none when there is nothing now.
    pub(crate) fn hear(&mut self, expect: &Expect<'_>, ports: Ports) -> Result<Option<Heard>, PacketError> {
        match self {
            Self::Closed => Ok(None),
            Self::Raw(socket, buf) => Ok(socket.receive(buf)?.map(|r| from_frame(&r, expect, ports))),
            Self::Udp(socket, buf) => match socket.recv_from(buf) {
                Ok((len, SocketAddr::V4(from))) if from.port() == ports.server => {
                    Ok(Some(read(buf.get(..len).unwrap_or_default(), expect)))
                }
                Ok(_) => Ok(Some(Heard::Foreign)),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
                // An ICMP error for what we sent; it says nothing that silence does not.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(Some(Heard::Foreign)),
                Err(e) => Err(PacketError::Other(errno(&e))),
            },
            Self::Arp(socket) => {
                let mut buf = [0; 128];
                Ok(socket.receive(&mut buf)?.map(|r| match parse_arp(r.frame) {
                    Ok((_, arp)) => {
                        Heard::Arp(crate::machine::Arp { mac: arp.sha.0, sender: arp.spa, target: arp.tpa })
                    }
                    Err(why) => Heard::Damaged(why),
                }))
            }
        }
    }

    /// Sends a DHCP message to everybody on the link.
    pub(crate) fn broadcast(&self, payload: &[u8], from: Ipv4Addr, mac: Mac, ports: Ports) -> Result<(), PacketError> {
        let Self::Raw(socket, _) = self else { return Err(PacketError::Down) };
        let datagram =
            UdpDatagram { src: from, dst: Ipv4Addr::BROADCAST, sport: ports.client, dport: ports.server, payload };
        let frame = datagram.frame(Ethernet { dst: Mac::BROADCAST, src: mac });
        socket.send(&frame.map_err(|_| PacketError::Other(Errno::EMSGSIZE))?)
    }

    /// Sends a DHCP message to a server.
    pub(crate) fn unicast(&self, payload: &[u8], to: Ipv4Addr, ports: Ports) -> Result<(), Errno> {
        let Self::Udp(socket, _) = self else { return Err(Errno::ENETDOWN) };
        socket.send_to(payload, SocketAddrV4::new(to, ports.server)).map(drop).map_err(|e| errno(&e))
    }

    /// Sends an ARP request.
    pub(crate) fn ask(&self, what: Announcing, mac: Mac) -> Result<(), PacketError> {
        let Self::Arp(socket) = self else { return Err(PacketError::Down) };
        let (spa, tpa, dst) = match what {
            Announcing::Probe(address) => (Ipv4Addr::UNSPECIFIED, address, Mac::BROADCAST),
            Announcing::Claim(address) => (address, address, Mac::BROADCAST),
            Announcing::Ask { from, to, mac } => (from, to, mac.map_or(Mac::BROADCAST, Mac)),
        };
        let request = Arp { op: ArpOp::Request, sha: mac, spa, tha: Mac::ZERO, tpa };
        let frame = request.frame(Ethernet { dst, src: mac });
        socket.send(&frame.map_err(|_| PacketError::Other(Errno::EMSGSIZE))?)
    }
}

/// Allocated for one exchange; the kernel fills only what came.
fn buffer(mtu: u32) -> Vec<u8> {
    vec![0; usize::try_from(mtu).unwrap_or(MAX_FRAME).saturating_add(HEADERS).clamp(1500 + HEADERS, MAX_FRAME)]
}

fn from_frame(received: &Received<'_>, expect: &Expect<'_>, ports: Ports) -> Heard {
    match parse_udp(received.frame, received.checksum) {
        Ok((_, udp)) if udp.sport == ports.server && udp.dport == ports.client => read(udp.payload, expect),
        Ok(_) => Heard::Foreign,
        Err(why) => Heard::Damaged(why),
    }
}

fn read(payload: &[u8], expect: &Expect<'_>) -> Heard {
    decode(payload, expect).map_or_else(Heard::Refused, |reply| Heard::Reply(Box::new(reply)))
}

fn errno(e: &io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
