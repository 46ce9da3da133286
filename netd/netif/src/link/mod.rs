//! Interfaces as the kernel tells of them over rtnetlink: ask for one, list all, set up or down, and hear of every change.
//!
//! Only the few attributes in [`Link`] are looked at, each by itself: an attribute this version does not understand never
//! costs the message. Used by every daemon for its one interface and by linkwatch; addresses and routes are `netd apply`'s.

mod events;
mod exchange;
mod neighbour;

use crate::ifname::{IfIndex, IfName, Mac};
use core::fmt;
pub use events::{Event, LinkEvents};
pub(crate) use exchange::error;
pub use exchange::{Questions, dump, query, set_up};
use netlink_packet_core::NlasIterator;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{LinkFlags, LinkHeader, LinkLayerType, State};
use nix::sys::socket::{
    AddressFamily as Family, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvfrom, sendto, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};
use sys::Errno;

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: IfIndex,
    /// Its name, which may change.
    pub name: IfName,
    /// Its hardware address; none where it is not an Ethernet one.
    pub mac: Option<Mac>,
    /// In bytes.
    pub mtu: u32,
    /// Set up by someone (IFF_UP).
    pub up: bool,
    /// The cable is in (IFF_LOWER_UP). Never while it is not up.
    pub carrier: bool,
    /// The carrier is there but the link waits for something, such as 802.1X (IFF_DORMANT).
    pub dormant: bool,
    /// RFC 2863's operational state is up, or unknown (drivers that do not tell).
    pub oper_up: bool,
    /// How often the carrier was lost since the interface exists; 0 before Linux 4.16. Shows what merged events hide.
    pub carrier_losses: u32,
    /// `lo`.
    pub loopback: bool,
}

impl Link {
    /// Whether packets can pass: up, with a carrier, and nothing above the carrier is waited for.
    pub const fn running(&self) -> bool {
        self.up && self.carrier && !self.dormant && self.oper_up
    }
}

/// Why the kernel did not answer as hoped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// Not there, or not any more.
    NoSuchInterface,
    /// No CAP_NET_ADMIN.
    Denied,
    /// The answer is none we understand.
    Malformed,
    /// Anything else.
    Other(Errno),
}

// Attributes of a link message (linux/if_link.h).
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_CARRIER_DOWN_COUNT: u16 = 48;
// Messages (linux/rtnetlink.h).
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
/// Longest datagram read: the kernel fills dumps up to this size, and one link with all its statistics is far shorter.
const DATAGRAM: usize = 32 * 1024;

/// The link a message's payload describes; none for what is no interface of its own (bridge ports, wireless events).
fn parse(payload: &[u8]) -> Option<Link> {
    let header = LinkHeader::parse(payload).ok()?;
    if header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let flags = header.flags;
    let ethernet = matches!(header.link_layer_type, LinkLayerType::Ether | LinkLayerType::Loopback);
    let mut name = None;
    let mut link = Link {
        index: IfIndex::new(header.index)?,
        name: "?".parse().ok()?,
        mac: None,
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        dormant: flags.contains(LinkFlags::Dormant),
        oper_up: true,
        carrier_losses: 0,
        loopback: flags.contains(LinkFlags::Loopback),
    };
    for attribute in NlasIterator::new(payload.get(LINK_HEADER..)?).map_while(Result::ok) {
        let value = attribute.value();
        match attribute.kind() {
            IFLA_IFNAME => name = text(value).and_then(|t| t.parse().ok()),
            IFLA_ADDRESS if ethernet => link.mac = value.try_into().ok().map(Mac),
            IFLA_MTU => link.mtu = number(value).unwrap_or(0),
            IFLA_OPERSTATE => {
                link.oper_up = matches!(value.first().copied().map(State::from), Some(State::Up | State::Unknown));
            }
            IFLA_CARRIER_DOWN_COUNT => link.carrier_losses = number(value).unwrap_or(0),
            _ => {}
        }
    }
    link.name = name?;
    Some(link)
}

/// Length of `struct nlmsghdr`.
pub(crate) const MESSAGE_HEADER: usize = 16;
/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value.strip_suffix(b"\0").unwrap_or(value)).ok()
}

/// A non-blocking rtnetlink socket.
fn open() -> Result<OwnedFd, Errno> {
    open_to(SockProtocol::NetlinkRoute)
}

/// A non-blocking socket to a part of the kernel.
pub(crate) fn open_to(part: SockProtocol) -> Result<OwnedFd, Errno> {
    socket(Family::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, part)
}

/// Sends to the kernel.
pub(crate) fn send(socket: &OwnedFd, message: &[u8]) -> Result<(), Errno> {
    sendto(socket.as_raw_fd(), message, &NetlinkAddr::new(0, 0), MsgFlags::empty()).map(drop)
}

/// The next datagram the kernel itself sent; those of other processes are thrown away.
pub(crate) fn receive<'b>(socket: &OwnedFd, buf: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    loop {
        match recvfrom::<NetlinkAddr>(socket.as_raw_fd(), buf) {
            Ok((len, Some(from))) if from.pid() == 0 => return Ok(&buf[..len.min(buf.len())]),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// The messages in a datagram: type and payload. What is cut or has a lying length ends the iteration.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let (kind, payload, len) = message(datagram)?;
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, payload))
    })
}

/// Type, payload and whole length of the first message in `datagram`.
fn message(datagram: &[u8]) -> Option<(u16, &[u8], usize)> {
    let buffer = netlink_packet_core::NetlinkBuffer::new_checked(datagram).ok()?;
    let len = usize::try_from(buffer.length()).ok()?;
    Some((buffer.message_type(), datagram.get(MESSAGE_HEADER..len)?, len))
}

impl From<Errno> for LinkError {
    fn from(e: Errno) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "three of a hundred error numbers have a meaning here")]
        match e {
            Errno::ENODEV | Errno::ENXIO => Self::NoSuchInterface,
            Errno::EPERM | Errno::EACCES => Self::Denied,
            other => Self::Other(other),
        }
    }
}

impl From<LinkError> for Errno {
    fn from(e: LinkError) -> Self {
        match e {
            LinkError::NoSuchInterface => Self::ENODEV,
            LinkError::Denied => Self::EPERM,
            LinkError::Malformed => Self::EBADMSG,
            LinkError::Other(e) => e,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchInterface => "no such interface",
            Self::Denied => "no right to change interfaces",
            Self::Malformed => "unexpected answer from the kernel",
            Self::Other(e) => sys::errtext::errtext(*e),
        })
    }
}

impl core::error::Error for LinkError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len() + 4).unwrap();
        let mut a = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
        a.extend(value);
        a.resize(a.len().next_multiple_of(4), 0);
        a
    }

    fn payload(family: u8, index: u32, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut p = vec![family, 0, 1, 0];
        p.extend([index.to_ne_bytes(), flags.to_ne_bytes(), [0; 4]].concat());
        p.extend(attributes.concat());
        p
    }

    fn eth0() -> Vec<Vec<u8>> {
        vec![
            attribute(IFLA_IFNAME, b"eth0\0"),
            attribute(46, &[1, 2, 3]),
            attribute(IFLA_MTU, &1500u32.to_ne_bytes()),
            attribute(IFLA_OPERSTATE, &[6]),
            attribute(IFLA_CARRIER_DOWN_COUNT, &3u32.to_ne_bytes()),
            attribute(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 7]),
        ]
    }

    const UP: u32 = 1;
    const LOWER_UP: u32 = 1 << 16;
    const DORMANT: u32 = 1 << 17;

    #[test]
    fn reads_what_it_needs() {
        let link = parse(&payload(0, 7, UP | LOWER_UP, &eth0())).unwrap();
        assert_eq!(
            link,
            Link {
                index: IfIndex::new(7).unwrap(),
                name: "eth0".parse().unwrap(),
                mac: Some(Mac([2, 0, 0, 0, 0, 7])),
                mtu: 1500,
                up: true,
                carrier: true,
                dormant: false,
                oper_up: true,
                carrier_losses: 3,
                loopback: false,
            }
        );
        assert!(link.running());
    }

    #[test]
    fn running_needs_everything() {
        let running = |flags, state| {
            let mut a = eth0();
            a.push(attribute(IFLA_OPERSTATE, &[state]));
            parse(&payload(0, 7, flags, &a)).unwrap().running()
        };
        assert!(running(UP | LOWER_UP, 0));
        for (flags, state) in [
            (LOWER_UP, 6),
            (UP, 6),
            (UP | LOWER_UP | DORMANT, 6),
            (UP | LOWER_UP, 5),
            (UP | LOWER_UP, 3),
            (UP | LOWER_UP, 2),
        ] {
            assert!(!running(flags, state), "{flags:x} {state}");
        }
    }

    #[test]
    fn other_messages_are_no_interfaces() {
        assert_eq!(parse(&payload(7, 7, UP, &eth0())), None, "a bridge port");
        assert_eq!(parse(&payload(0, 7, UP, &[attribute(11, b"wireless")])), None, "no name");
        assert_eq!(parse(&payload(0, 0, UP, &eth0())), None, "no number");
        assert_eq!(parse(&payload(0, 7, UP, &[attribute(IFLA_IFNAME, b"a/b\0")])), None, "no possible name");
    }

    #[test]
    fn hostile_datagrams_never_panic() {
        let mut random = Random::new(5);
        let mut below = |n: usize| usize::try_from(random.below(n as u64)).unwrap();
        let inner = payload(0, 7, UP, &eth0());
        let mut good = u32::try_from(inner.len() + 16).unwrap().to_ne_bytes().to_vec();
        good.extend(RTM_NEWLINK.to_ne_bytes());
        good.extend([0; 10]);
        good.extend(&inner);
        let two = [good.clone(), good].concat();
        assert_eq!(messages(&two).filter_map(|(_, p)| parse(p)).count(), 2);
        for _ in 0..50_000 {
            let mut bytes = two.clone();
            for _ in 0..=below(3) {
                let at = below(bytes.len());
                bytes[at] = u8::try_from(below(256)).unwrap();
            }
            bytes.truncate(bytes.len() - below(2) * below(bytes.len()));
            assert!(messages(&bytes).filter_map(|(_, p)| parse(p)).count() <= 2);
        }
    }
}
