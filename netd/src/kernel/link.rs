//! Links as messages. Their attributes are taken and put as bytes: the library's reader of links knows each of the many kinds
//! of virtual link, we need to know two.

use crate::state::desired::Made;
use crate::state::object::{Kind, Link, Member, Owner, PROTOCOL};
use netif::IfIndex;
use rtnetlink::packet_core::{DecodeError, DefaultNla, Emitable, NLA_HEADER_SIZE, NlasIterator};
use rtnetlink::packet_route::link::{LinkFlags, LinkHeader};

// linux/if_link.h
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_GROUP: u16 = 27;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
/// RTEXT_FILTER_SKIP_STATS: a kilobyte less per link.
const SKIP_STATISTICS: u32 = 1 << 3;

const BRIDGE: &[u8] = b"bridge\0";
const VLAN: &[u8] = b"vlan\0";

/// What the kernel is asked, told or tells about one link, or about all.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkMessage {
    header: LinkHeader,
    /// As they are on the wire.
    attributes: Vec<u8>,
}

impl LinkMessage {
    /// Nothing but which one.
    pub(super) fn of(index: IfIndex) -> Self {
        let mut m = Self::default();
        m.header.index = index.raw();
        m
    }

    /// A question: all, without their statistics.
    pub(super) fn all() -> Self {
        Self::default().with(IFLA_EXT_MASK, &SKIP_STATISTICS.to_ne_bytes())
    }

    pub(super) fn up(index: IfIndex) -> Self {
        let mut m = Self::of(index);
        m.header.flags = LinkFlags::Up;
        m.header.change_mask = LinkFlags::Up;
        m
    }

    pub(super) fn mtu(index: IfIndex, mtu: u32) -> Self {
        Self::of(index).with(IFLA_MTU, &mtu.to_ne_bytes())
    }

    /// A port of this bridge, or of none.
    pub(super) fn member(port: IfIndex, bridge: Option<IfIndex>) -> Self {
        Self::of(port).with(IFLA_MASTER, &bridge.map_or(0, IfIndex::raw).to_ne_bytes())
    }

    /// The mark is there with the link: one that is not marked could never be told from somebody else's. A bridge without the
    /// spanning tree protocol need not wait for it either.
    pub(super) fn new(made: &Made) -> Self {
        let m = Self::default().with(IFLA_IFNAME, &[made.name.as_bytes(), b"\0"].concat());
        let m = m.with(IFLA_GROUP, &u32::from(PROTOCOL).to_ne_bytes());
        let (m, kind, data) = match made.kind {
            Kind::Bridge => (m, BRIDGE, attribute(IFLA_BR_FORWARD_DELAY, &0u32.to_ne_bytes())),
            Kind::Vlan { below, id } => {
                (m.with(IFLA_LINK, &below.raw().to_ne_bytes()), VLAN, attribute(IFLA_VLAN_ID, &id.to_ne_bytes()))
            }
        };
        m.with(IFLA_LINKINFO, &[attribute(IFLA_INFO_KIND, kind), attribute(IFLA_INFO_DATA, &data)].concat())
    }

    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.attributes.extend(attribute(kind, value));
        self
    }

    pub(super) fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let header = LinkHeader::parse(payload)?;
        let attributes = payload.get(header.buffer_len()..).unwrap_or(&[]).to_vec();
        Ok(Self { header, attributes })
    }

    /// The link it tells of. A name that is no file name can be in no record: none.
    pub(super) fn object(&self) -> Option<Link> {
        let value = |kind| find(&self.attributes, kind);
        let index = |kind| value(kind).and_then(number).and_then(IfIndex::new);
        Some(Link {
            index: IfIndex::new(self.header.index)?,
            name: text(value(IFLA_IFNAME)?)?.parse().ok()?,
            up: self.header.flags.contains(LinkFlags::Up),
            carrier: self.header.flags.contains(LinkFlags::LowerUp),
            mtu: value(IFLA_MTU).and_then(number).unwrap_or(0),
            kind: value(IFLA_LINKINFO).and_then(|info| what(info, index(IFLA_LINK))),
            owner: if value(IFLA_GROUP).and_then(number) == Some(PROTOCOL.into()) {
                Owner::Us
            } else {
                Owner::Other(0)
            },
            // Whose doing it is nobody marks, see `host`.
            member: index(IFLA_MASTER).map(|of| Member { of, owner: Owner::Other(0) }),
        })
    }
}

impl Emitable for LinkMessage {
    fn buffer_len(&self) -> usize {
        self.header.buffer_len() + self.attributes.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        let (header, attributes) = buffer.split_at_mut(self.header.buffer_len());
        self.header.emit(header);
        attributes.copy_from_slice(&self.attributes);
    }
}

/// What a link is by its IFLA_LINKINFO, where that is something records can ask for.
fn what(info: &[u8], below: Option<IfIndex>) -> Option<Kind> {
    match find(info, IFLA_INFO_KIND)? {
        BRIDGE => Some(Kind::Bridge),
        VLAN => {
            let id = find(find(info, IFLA_INFO_DATA)?, IFLA_VLAN_ID)?;
            Some(Kind::Vlan { below: below?, id: u16::from_ne_bytes(id.try_into().ok()?) })
        }
        _ => None,
    }
}

/// One attribute, padded.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let attribute = DefaultNla::new(kind, value.to_vec());
    let mut bytes = vec![0; attribute.buffer_len()];
    attribute.emit(&mut bytes);
    bytes
}

/// The value of the first attribute of this kind.
fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let found = NlasIterator::new(attributes).map_while(Result::ok).find(|a| a.kind() == kind)?;
    let len = usize::from(found.length());
    found.into_inner().get(NLA_HEADER_SIZE..len)
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value.strip_suffix(b"\0").unwrap_or(value)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(n: u32) -> IfIndex {
        IfIndex::new(n).unwrap()
    }

    fn bytes(message: &LinkMessage) -> Vec<u8> {
        let mut bytes = vec![0xff; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    #[test]
    fn wishes_are_well_formed() {
        // struct ifinfomsg, then attributes.
        let up = [&[0; 4][..], &[7, 0, 0, 0], &[1, 0, 0, 0], &[1, 0, 0, 0]].concat();
        assert_eq!(bytes(&LinkMessage::up(index(7))), up);
        let mtu = [&[0; 4][..], &[7, 0, 0, 0], &[0; 8], &[8, 0, 4, 0, 0xdc, 5, 0, 0]].concat();
        assert_eq!(bytes(&LinkMessage::mtu(index(7), 1500)), mtu);
        let all = [&[0; 16][..], &[8, 0, 29, 0, 8, 0, 0, 0]].concat();
        assert_eq!(bytes(&LinkMessage::all()), all);
    }

    /// What is made is read again as what it is.
    #[test]
    fn both_ways() {
        for kind in [Kind::Bridge, Kind::Vlan { below: index(3), id: 4094 }] {
            let made = Made { name: "lan".parse().unwrap(), kind };
            let mut told = LinkMessage::new(&made);
            assert_eq!(told.object(), None, "without a number");
            told.header.index = 9;
            let bytes = bytes(&told.with(IFLA_MASTER, &[2, 0, 0, 0]).with(IFLA_MTU, &[0, 5, 0, 0]));
            let member = Some(Member { of: index(2), owner: Owner::Other(0) });
            let (name, kind) = (made.name, Some(kind));
            let link =
                Link { index: index(9), name, up: false, carrier: false, mtu: 1280, kind, owner: Owner::Us, member };
            assert_eq!(LinkMessage::parse(&bytes).unwrap().object(), Some(link));
            for len in 0..bytes.len() {
                let _ = LinkMessage::parse(&bytes[..len]).map(|m| m.object());
            }
        }
    }
}
