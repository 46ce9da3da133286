//! The messages we exchange with the kernel, four families of the dozens there are. rtnetlink's own type of message knows all,
//! traffic control and every kind of virtual link included; reading any of them links three hundred kilobytes of readers.

use super::link::LinkMessage;
use rtnetlink::packet_core::{
    DecodeError, Emitable, NLMSG_NOOP, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, Parseable,
};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleMessage;

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;

/// What the kernel is asked, told or tells.
#[derive(Clone, Debug)]
pub(super) enum Message {
    GetLink(LinkMessage),
    NewLink(LinkMessage),
    SetLink(LinkMessage),
    DelLink(LinkMessage),
    GetAddress(AddressMessage),
    NewAddress(AddressMessage),
    DelAddress(AddressMessage),
    GetRoute(RouteMessage),
    NewRoute(RouteMessage),
    DelRoute(RouteMessage),
    GetRule(RuleMessage),
    NewRule(RuleMessage),
    DelRule(RuleMessage),
    /// Of another family.
    Other,
}

impl Message {
    /// Its type, and what follows the header.
    fn parts(&self) -> (u16, Option<&dyn Emitable>) {
        match self {
            Self::GetLink(m) => (RTM_GETLINK, Some(m)),
            Self::NewLink(m) => (RTM_NEWLINK, Some(m)),
            Self::SetLink(m) => (RTM_SETLINK, Some(m)),
            Self::DelLink(m) => (RTM_DELLINK, Some(m)),
            Self::GetAddress(m) => (RTM_GETADDR, Some(m)),
            Self::NewAddress(m) => (RTM_NEWADDR, Some(m)),
            Self::DelAddress(m) => (RTM_DELADDR, Some(m)),
            Self::GetRoute(m) => (RTM_GETROUTE, Some(m)),
            Self::NewRoute(m) => (RTM_NEWROUTE, Some(m)),
            Self::DelRoute(m) => (RTM_DELROUTE, Some(m)),
            Self::GetRule(m) => (RTM_GETRULE, Some(m)),
            Self::NewRule(m) => (RTM_NEWRULE, Some(m)),
            Self::DelRule(m) => (RTM_DELRULE, Some(m)),
            Self::Other => (NLMSG_NOOP, None),
        }
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.parts().0
    }

    fn buffer_len(&self) -> usize {
        self.parts().1.map_or(0, Emitable::buffer_len)
    }

    fn serialize(&self, buffer: &mut [u8]) {
        if let Some(content) = self.parts().1 {
            content.emit(buffer);
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(match header.message_type {
            RTM_NEWLINK => Self::NewLink(LinkMessage::parse(payload)?),
            RTM_NEWADDR => Self::NewAddress(AddressMessage::parse(payload)?),
            RTM_NEWROUTE => Self::NewRoute(RouteMessage::parse(payload)?),
            RTM_NEWRULE => Self::NewRule(RuleMessage::parse(payload)?),
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(message: &Message) -> Vec<u8> {
        let mut bytes = vec![0xff; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn read(message_type: u16, payload: &[u8]) -> Result<Message, DecodeError> {
        let mut header = NetlinkHeader::default();
        header.message_type = message_type;
        Message::deserialize(&header, payload)
    }

    #[test]
    fn only_our_families_are_read() {
        let link = bytes(&Message::GetLink(LinkMessage::all()));
        assert!(matches!(read(RTM_NEWLINK, &link), Ok(Message::NewLink(_))));
        let route = bytes(&Message::NewRoute(RouteMessage::default()));
        assert!(matches!(read(RTM_NEWROUTE, &route), Ok(Message::NewRoute(m)) if m == RouteMessage::default()));
        assert!(read(RTM_NEWROUTE, &route[1..]).is_err());
        // A neighbour.
        assert!(matches!(read(28, &route), Ok(Message::Other)));
    }
}
