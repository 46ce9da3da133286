//! One request, one answer, on a socket of its own or one that is kept. The kernel has answered by the time the request is sent, so nothing
//! here waits; a missing answer is an error.

use super::{
    DATAGRAM, IFLA_EXT_MASK, IFLA_IFNAME, LINK_HEADER, Link, LinkError, MESSAGE_HEADER, RTM_GETLINK, RTM_NEWLINK,
    messages, neighbour, open, parse, receive, send,
};
use crate::ifname::{IfIndex, IfName};
use core::time::Duration;
use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer,
};
use netlink_packet_route::link::{LinkFlags, LinkHeader};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use sys::Errno;

/// RTEXT_FILTER_SKIP_STATS: a kilobyte less per link.
const SKIP_STATISTICS: u32 = 1 << 3;

/// A socket for questions that is kept, for those who cannot open one later.
#[derive(Debug)]
pub struct Questions(OwnedFd);

impl Questions {
    /// Ready to be asked.
    pub fn open() -> Result<Self, LinkError> {
        Ok(Self(open()?))
    }

    /// The interface of that name.
    pub fn query(&self, name: IfName) -> Result<Link, LinkError> {
        self.clear();
        query_on(&self.0, name)
    }

    /// How long ago the kernel heard from this neighbour; none when it is not sure that it is reachable.
    pub fn confirmed(&self, index: IfIndex, ip: Ipv4Addr) -> Result<Option<Duration>, LinkError> {
        self.clear();
        neighbour::confirmed(&self.0, &mut [0; 1024], index, ip)
    }

    /// Throws away what an answer that was not understood may have left.
    fn clear(&self) {
        let mut buf = [0; 16];
        while receive(&self.0, &mut buf).is_ok() {}
    }
}

/// The interface of that name.
pub fn query(name: IfName) -> Result<Link, LinkError> {
    query_on(&open()?, name)
}

fn query_on(socket: &OwnedFd, name: IfName) -> Result<Link, LinkError> {
    let mut text = name.as_bytes().to_vec();
    text.push(0);
    let attributes = [DefaultNla::new(IFLA_IFNAME, text), skip_statistics()];
    let message = request(RTM_GETLINK, 0, &LinkHeader::default(), &attributes);
    exchange(socket, &message)?.into_iter().next().ok_or(LinkError::Malformed)
}

/// All interfaces.
pub fn dump() -> Result<Vec<Link>, LinkError> {
    exchange(&open()?, &request(RTM_GETLINK, NLM_F_DUMP, &LinkHeader::default(), &[skip_statistics()]))
}

/// Sets the interface up or down.
pub fn set_up(index: IfIndex, up: bool) -> Result<(), LinkError> {
    let flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    let header = LinkHeader { index: index.raw(), flags, change_mask: LinkFlags::Up, ..LinkHeader::default() };
    exchange(&open()?, &request(RTM_NEWLINK, NLM_F_ACK, &header, &[])).map(drop)
}

fn skip_statistics() -> DefaultNla {
    DefaultNla::new(IFLA_EXT_MASK, SKIP_STATISTICS.to_ne_bytes().to_vec())
}

fn request(kind: u16, flags: u16, header: &LinkHeader, attributes: &[DefaultNla]) -> Vec<u8> {
    let len = MESSAGE_HEADER + LINK_HEADER + attributes.buffer_len();
    let mut bytes = vec![0; len];
    let mut buffer = NetlinkBuffer::new(&mut bytes);
    // At most a name and a mask: far below 4 GiB.
    buffer.set_length(len as u32);
    buffer.set_message_type(kind);
    buffer.set_flags(NLM_F_REQUEST | flags);
    header.emit(&mut bytes[MESSAGE_HEADER..]);
    attributes.emit(&mut bytes[MESSAGE_HEADER + LINK_HEADER..]);
    bytes
}

/// Sends `message` and collects the links of the answer, up to its end: the error or acknowledgement, the end of the dump,
/// or the one link of a question that is neither.
fn exchange(socket: &OwnedFd, message: &[u8]) -> Result<Vec<Link>, LinkError> {
    send(socket, message)?;
    let dump = NetlinkBuffer::new(message).flags() & NLM_F_DUMP == NLM_F_DUMP;
    let mut buf = vec![0; DATAGRAM];
    let mut links = Vec::new();
    loop {
        for (kind, payload) in messages(receive(socket, &mut buf)?) {
            match kind {
                NLMSG_ERROR => return error(payload).map(|()| links),
                NLMSG_DONE => return Ok(links),
                RTM_NEWLINK if dump => links.extend(parse(payload)),
                RTM_NEWLINK => return parse(payload).map(|link| vec![link]).ok_or(LinkError::Malformed),
                _ => {}
            }
        }
    }
}

/// The number in an error message: 0 acknowledges, otherwise a negative errno.
pub(crate) fn error(payload: &[u8]) -> Result<(), LinkError> {
    let code = payload.get(..4).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes).ok_or(LinkError::Malformed)?;
    if code == 0 { Ok(()) } else { Err(Errno::from_raw(code.saturating_neg()).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_need_no_rights() {
        let lo = query("lo".parse().unwrap()).unwrap();
        assert!(lo.loopback && lo.name.as_str() == "lo" && lo.mtu > 0);
        assert_eq!(query("no-such-if".parse().unwrap()), Err(LinkError::NoSuchInterface));
        assert!(dump().unwrap().iter().any(|l| l.index == lo.index && l.name == lo.name));
    }

    #[test]
    fn requests_are_well_formed() {
        let bytes = request(RTM_GETLINK, 0, &LinkHeader::default(), &[DefaultNla::new(IFLA_IFNAME, b"e\0".to_vec())]);
        let expected = [&40u32.to_ne_bytes()[..], &[18, 0, 1, 0], &[0; 24], &[6, 0, 3, 0, b'e', 0, 0, 0]].concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn errors() {
        assert_eq!(error(&[0; 20]), Ok(()));
        assert_eq!(error(&(-19i32).to_ne_bytes()), Err(LinkError::NoSuchInterface));
        assert_eq!(error(&i32::MIN.to_ne_bytes()), Err(LinkError::Other(Errno::UnknownErrno)));
        assert_eq!(error(&[1]), Err(LinkError::Malformed));
    }
}
