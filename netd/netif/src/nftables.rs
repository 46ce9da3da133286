//! One question to nftables: whether a table is there, and whether it is still the one it was. Everything else is `nft`'s.

use crate::link::{MESSAGE_HEADER, error, messages, open_to, receive, send};
use core::str::FromStr;
use netlink_packet_core::{DefaultNla, Emitable, NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer, NlasIterator};
use nix::sys::socket::SockProtocol;
use std::os::fd::OwnedFd;
use sys::Errno;

// linux/netfilter/nfnetlink.h, nf_tables.h
const SUBSYSTEM: u16 = 10 << 8;
const NEWTABLE: u16 = SUBSYSTEM;
const GETTABLE: u16 = SUBSYSTEM | 1;
const TABLE_NAME: u16 = 1;
const TABLE_HANDLE: u16 = 4;
/// Length of `struct nfgenmsg`.
const HEADER: usize = 4;

/// What a table is for (`NFPROTO_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family(u8);

/// A table's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// As nft has it.
    pub family: Family,
    /// Within the family.
    pub name: String,
}

impl Family {
    /// IPv4 and IPv6 at once.
    pub const INET: Self = Self(1);
}

impl FromStr for Family {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "inet" => Ok(Self::INET),
            "ip" => Ok(Self(2)),
            "arp" => Ok(Self(3)),
            "netdev" => Ok(Self(5)),
            "bridge" => Ok(Self(7)),
            "ip6" => Ok(Self(10)),
            _ => Err(()),
        }
    }
}

impl Table {
    /// The number the kernel gave to this table when it was made; a table that is made anew gets another one. None: there
    /// is no such table. Takes the right to change the network.
    pub fn handle(&self) -> Result<Option<u64>, Errno> {
        let socket = open_to(SockProtocol::NetlinkNetFilter)?;
        send(&socket, &self.question())?;
        match answer(&socket) {
            Err(Errno::ENOENT) => Ok(None),
            other => other.map(Some),
        }
    }

    fn question(&self) -> Vec<u8> {
        let attribute = DefaultNla::new(TABLE_NAME, [self.name.as_bytes(), b"\0"].concat());
        let len = MESSAGE_HEADER + HEADER + attribute.buffer_len();
        let mut bytes = vec![0; len];
        let mut buffer = NetlinkBuffer::new(&mut bytes);
        buffer.set_length(u32::try_from(len).unwrap_or(u32::MAX));
        buffer.set_message_type(GETTABLE);
        buffer.set_flags(NLM_F_REQUEST);
        bytes[MESSAGE_HEADER] = self.family.0;
        attribute.emit(&mut bytes[MESSAGE_HEADER + HEADER..]);
        bytes
    }
}

/// The kernel has answered by the time the question is sent.
fn answer(socket: &OwnedFd) -> Result<u64, Errno> {
    let mut buf = [0; 4096];
    for (kind, payload) in messages(receive(socket, &mut buf)?) {
        match kind {
            NLMSG_ERROR => error(payload).map_err(Errno::from)?,
            NEWTABLE => return Ok(handle_in(payload).unwrap_or(0)),
            _ => {}
        }
    }
    Err(Errno::EBADMSG)
}

fn handle_in(payload: &[u8]) -> Option<u64> {
    let attributes = NlasIterator::new(payload.get(HEADER..)?).map_while(Result::ok);
    let value = |a: netlink_packet_core::NlaBuffer<&[u8]>| a.value().try_into().ok().map(u64::from_be_bytes);
    attributes.filter(|a| a.kind() == TABLE_HANDLE).find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_well_formed() {
        let table = Table { family: "inet".parse().unwrap(), name: "t".to_owned() };
        let header = [&28u32.to_ne_bytes()[..], &GETTABLE.to_ne_bytes(), &[1, 0], &[0; 8], &[1, 0, 0, 0]].concat();
        assert_eq!(table.question(), [&header[..], &[6, 0, 1, 0, b't', 0, 0, 0]].concat());
        assert_eq!("nat".parse::<Family>(), Err(()));
    }

    #[test]
    fn the_answer_may_be_anything() {
        let name = [6, 0, 1, 0, b't', 0, 0, 0];
        let handle = [&[12, 0, 4, 0][..], &7u64.to_be_bytes()].concat();
        assert_eq!(handle_in(&[&[1, 0, 0, 0][..], &name, &handle].concat()), Some(7));
        assert_eq!(handle_in(&[&[1, 0, 0, 0][..], &name].concat()), None);
        for cut in 0..12 {
            assert_eq!(handle_in(&[&[1, 0, 0, 0][..], &handle[..cut]].concat()), None);
        }
        assert_eq!(handle_in(&[]), None);
    }
}
