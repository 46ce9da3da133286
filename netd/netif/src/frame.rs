//! Ethernet II frames with ARP or IPv4/UDP inside, to and from bytes. The only place that names pnet.
//!
//! pnet finds the fields and sums; it clamps lying lengths silently, so every length is compared here. A frame is either
//! whole and right or refused with the reason; nothing panics and nothing is allocated while parsing. DHCP and ARP never
//! need fragments or IP options' content: the first are refused, the second skipped.

use crate::ifname::Mac;
use core::fmt;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{self, Ipv4Packet, MutableIpv4Packet};
use pnet::packet::udp::{self, MutableUdpPacket, UdpPacket};
use pnet::util::MacAddr;
use std::net::Ipv4Addr;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const ARP: usize = 28;
/// Length of every ARP frame we build; the hardware pads it to 60.
pub const ARP_FRAME: usize = ETHERNET + ARP;

/// Who sends a frame to whom on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// The receiver, possibly [`Mac::BROADCAST`].
    pub dst: Mac,
    /// The sender.
    pub src: Mac,
}

/// A UDP datagram over IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// Sender's address, 0.0.0.0 while it has none.
    pub src: Ipv4Addr,
    /// Receiver's address.
    pub dst: Ipv4Addr,
    /// Sender's port.
    pub sport: u16,
    /// Receiver's port.
    pub dport: u16,
    /// The content, at most 65507 bytes.
    pub payload: &'a [u8],
}

/// Whether the UDP checksum in a received frame is there to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpChecksum {
    /// Check it, unless the sender left it out (zero, RFC 768).
    Verify,
    /// The sender's kernel left it to hardware the frame never passed (`TP_STATUS_CSUMNOTREADY`: veth, virtio).
    NotReady,
}

/// An ARP packet for IPv4 over Ethernet (RFC 826), in the letters of RFC 5227.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// What it is.
    pub op: ArpOp,
    /// Sender hardware address.
    pub sha: Mac,
    /// Sender protocol address, 0.0.0.0 in a probe.
    pub spa: Ipv4Addr,
    /// Target hardware address, zero in a request.
    pub tha: Mac,
    /// Target protocol address.
    pub tpa: Ipv4Addr,
}

/// The two operations of RFC 826.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOp {
    /// Who has `tpa`?
    Request,
    /// `spa` is at `sha`.
    Reply,
}

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Fewer bytes than the headers need.
    Short,
    /// Ethernet carries something else.
    EtherType,
    /// Not IPv4 over Ethernet with 6 and 4 byte addresses, or no request or reply.
    ArpFormat,
    /// Not version 4.
    IpVersion,
    /// IPv4 header length or total length does not fit the frame.
    IpLength,
    /// IPv4 header checksum.
    IpChecksum,
    /// Part of a fragmented datagram.
    Fragment,
    /// IPv4 carries something else than UDP.
    Protocol,
    /// UDP length is not what IPv4 carries.
    UdpLength,
    /// UDP checksum.
    UdpChecksum,
    /// Building only: more than a datagram holds.
    TooLong,
}

/// The datagram in a frame, and who sent it on the wire. Trailing padding is cut off.
pub fn parse_udp(frame: &[u8], checksum: UdpChecksum) -> Result<(Ethernet, UdpDatagram<'_>), FrameError> {
    let (ethernet, packet) = parse_ethernet(frame, EtherTypes::Ipv4.0)?;
    let ip = Ipv4Packet::new(packet).ok_or(FrameError::Short)?;
    if ip.get_version() != 4 {
        return Err(FrameError::IpVersion);
    }
    let header = usize::from(ip.get_header_length()) * 4;
    let total = usize::from(ip.get_total_length());
    if header < IPV4 || header > total || total > packet.len() {
        return Err(FrameError::IpLength);
    }
    // pnet sums the header by its own length field, which now lies within the frame.
    if ip.get_checksum() != ipv4::checksum(&ip) {
        return Err(FrameError::IpChecksum);
    }
    // Bit 0 of pnet's three flag bits is "more fragments".
    if ip.get_flags() & 1 != 0 || ip.get_fragment_offset() != 0 {
        return Err(FrameError::Fragment);
    }
    if ip.get_next_level_protocol() != IpNextHeaderProtocols::Udp {
        return Err(FrameError::Protocol);
    }
    let segment = &packet[header..total];
    let udp = UdpPacket::new(segment).ok_or(FrameError::Short)?;
    if usize::from(udp.get_length()) != segment.len() {
        return Err(FrameError::UdpLength);
    }
    let sum = match (checksum, udp.get_checksum()) {
        (UdpChecksum::Verify, sum @ 1..) => Some(sum),
        (UdpChecksum::Verify, 0) | (UdpChecksum::NotReady, _) => None,
    };
    if sum.is_some_and(|sum| sum != never_zero(udp::ipv4_checksum(&udp, &ip.get_source(), &ip.get_destination()))) {
        return Err(FrameError::UdpChecksum);
    }
    let datagram = UdpDatagram {
        src: Ipv4Addr::from(ip.get_source().octets()),
        dst: Ipv4Addr::from(ip.get_destination().octets()),
        sport: udp.get_source(),
        dport: udp.get_destination(),
        payload: &segment[UDP..],
    };
    Ok((ethernet, datagram))
}

/// The ARP packet in a frame.
pub fn parse_arp(frame: &[u8]) -> Result<(Ethernet, Arp), FrameError> {
    let (ethernet, packet) = parse_ethernet(frame, EtherTypes::Arp.0)?;
    let arp = ArpPacket::new(packet).ok_or(FrameError::Short)?;
    let ipv4_over_ethernet = arp.get_hardware_type() == ArpHardwareTypes::Ethernet
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && (arp.get_hw_addr_len(), arp.get_proto_addr_len()) == (6, 4);
    let op = match arp.get_operation() {
        ArpOperations::Request => ArpOp::Request,
        ArpOperations::Reply => ArpOp::Reply,
        _ => return Err(FrameError::ArpFormat),
    };
    if !ipv4_over_ethernet {
        return Err(FrameError::ArpFormat);
    }
    let found = Arp {
        op,
        sha: mac(arp.get_sender_hw_addr()),
        spa: Ipv4Addr::from(arp.get_sender_proto_addr().octets()),
        tha: mac(arp.get_target_hw_addr()),
        tpa: Ipv4Addr::from(arp.get_target_proto_addr().octets()),
    };
    Ok((ethernet, found))
}

impl UdpDatagram<'_> {
    /// The frame that carries it: TTL 64, both checksums filled in.
    pub fn frame(&self, ethernet: Ethernet) -> Result<Vec<u8>, FrameError> {
        let udp_length = u16::try_from(UDP + self.payload.len()).map_err(|_| FrameError::TooLong)?;
        let total = udp_length.checked_add(IPV4 as u16).ok_or(FrameError::TooLong)?;
        let mut bytes = vec![0; ETHERNET + usize::from(total)];
        let (head, packet) = bytes.split_at_mut(ETHERNET);
        emit_ethernet(head, ethernet, EtherTypes::Ipv4.0)?;
        let (head, segment) = packet.split_at_mut(IPV4);

        let mut ip = MutableIpv4Packet::new(head).ok_or(FrameError::Short)?;
        ip.set_version(4);
        ip.set_header_length(5);
        ip.set_total_length(total);
        ip.set_ttl(64);
        ip.set_next_level_protocol(IpNextHeaderProtocols::Udp);
        ip.set_source(self.src.octets().into());
        ip.set_destination(self.dst.octets().into());
        ip.set_checksum(ipv4::checksum(&ip.to_immutable()));

        let mut udp = MutableUdpPacket::new(segment).ok_or(FrameError::Short)?;
        udp.set_source(self.sport);
        udp.set_destination(self.dport);
        udp.set_length(udp_length);
        udp.set_payload(self.payload);
        let sum = udp::ipv4_checksum(&udp.to_immutable(), &self.src.octets().into(), &self.dst.octets().into());
        udp.set_checksum(never_zero(sum));
        Ok(bytes)
    }
}

impl Arp {
    /// The frame that carries it.
    pub fn frame(&self, ethernet: Ethernet) -> Result<[u8; ARP_FRAME], FrameError> {
        let mut bytes = [0; ARP_FRAME];
        let (head, packet) = bytes.split_at_mut(ETHERNET);
        emit_ethernet(head, ethernet, EtherTypes::Arp.0)?;
        let mut arp = MutableArpPacket::new(packet).ok_or(FrameError::Short)?;
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(match self.op {
            ArpOp::Request => ArpOperations::Request,
            ArpOp::Reply => ArpOperations::Reply,
        });
        arp.set_sender_hw_addr(self.sha.0.into());
        arp.set_sender_proto_addr(self.spa.octets().into());
        arp.set_target_hw_addr(self.tha.0.into());
        arp.set_target_proto_addr(self.tpa.octets().into());
        Ok(bytes)
    }
}

fn parse_ethernet(frame: &[u8], ethertype: u16) -> Result<(Ethernet, &[u8]), FrameError> {
    let ethernet = EthernetPacket::new(frame).ok_or(FrameError::Short)?;
    if ethernet.get_ethertype().0 != ethertype {
        return Err(FrameError::EtherType);
    }
    let header = Ethernet { dst: mac(ethernet.get_destination()), src: mac(ethernet.get_source()) };
    Ok((header, &frame[ETHERNET..]))
}

fn emit_ethernet(head: &mut [u8], header: Ethernet, ethertype: u16) -> Result<(), FrameError> {
    let mut ethernet = MutableEthernetPacket::new(head).ok_or(FrameError::Short)?;
    ethernet.set_destination(header.dst.0.into());
    ethernet.set_source(header.src.0.into());
    ethernet.set_ethertype(pnet::packet::ethernet::EtherType(ethertype));
    Ok(())
}

fn mac(m: MacAddr) -> Mac {
    Mac(m.octets())
}

/// A UDP checksum of zero means "none", so a sum that comes out as zero is sent as its other form (RFC 768).
const fn never_zero(sum: u16) -> u16 {
    if sum == 0 { 0xffff } else { sum }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "frame too short",
            Self::EtherType => "other ethertype",
            Self::ArpFormat => "not an IPv4 ARP request or reply",
            Self::IpVersion => "not IPv4",
            Self::IpLength => "wrong IPv4 length",
            Self::IpChecksum => "wrong IPv4 checksum",
            Self::Fragment => "IPv4 fragment",
            Self::Protocol => "not UDP",
            Self::UdpLength => "wrong UDP length",
            Self::UdpChecksum => "wrong UDP checksum",
            Self::TooLong => "too long for a datagram",
        })
    }
}

impl core::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const WIRE: Ethernet = Ethernet { dst: Mac::BROADCAST, src: Mac([2, 0, 0, 0, 0, 7]) };
    const DISCOVER: UdpDatagram<'_> =
        UdpDatagram { src: Ipv4Addr::UNSPECIFIED, dst: Ipv4Addr::BROADCAST, sport: 68, dport: 67, payload: b"hello" };

    /// Puts the IPv4 checksum right after a test changed the header.
    fn resum(frame: &mut [u8]) {
        let mut ip = MutableIpv4Packet::new(&mut frame[ETHERNET..]).unwrap();
        let sum = ipv4::checksum(&ip.to_immutable());
        ip.set_checksum(sum);
    }

    #[test]
    fn udp_golden() {
        let frame = DISCOVER.frame(WIRE).unwrap();
        let expected: &[u8] = &[
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 0, // Ethernet
            0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0x7a, 0xcd, 0, 0, 0, 0, 255, 255, 255, 255, // IPv4
            0, 68, 0, 67, 0, 13, 0xbb, 0x7b, b'h', b'e', b'l', b'l', b'o', // UDP
        ];
        assert_eq!(frame, expected);
    }

    #[test]
    fn udp_round_trip_with_padding_and_options() {
        let mut frame = DISCOVER.frame(WIRE).unwrap();
        assert_eq!(parse_udp(&frame, UdpChecksum::Verify), Ok((WIRE, DISCOVER)));
        frame.resize(60, 0);
        assert_eq!(parse_udp(&frame, UdpChecksum::Verify), Ok((WIRE, DISCOVER)));
        // Four bytes of IP options (no operation) between the headers.
        frame.splice(34..34, [1; 4]);
        frame[14] = 0x46;
        frame[17] += 4;
        resum(&mut frame);
        assert_eq!(parse_udp(&frame, UdpChecksum::Verify), Ok((WIRE, DISCOVER)));
    }

    #[test]
    fn each_field_wrong_once() {
        let good = DISCOVER.frame(WIRE).unwrap();
        for (at, value, why) in [
            (12, 0x86, FrameError::EtherType),
            (14, 0x65, FrameError::IpVersion),
            (14, 0x44, FrameError::IpLength),
            (14, 0x4f, FrameError::IpLength),
            (17, 34, FrameError::IpLength),
            (17, 12, FrameError::IpLength),
            (17, 27, FrameError::Short),
            (17, 32, FrameError::UdpLength),
            (20, 0x20, FrameError::Fragment),
            (21, 1, FrameError::Fragment),
            (23, 6, FrameError::Protocol),
            (39, 12, FrameError::UdpLength),
            (39, 200, FrameError::UdpLength),
            (42, b'H', FrameError::UdpChecksum),
            (30, 1, FrameError::UdpChecksum),
        ] {
            let mut frame = good.clone();
            frame[at] = value;
            resum(&mut frame);
            assert_eq!(parse_udp(&frame, UdpChecksum::Verify).map(drop), Err(why), "byte {at} = {value}");
        }
        let mut frame = good.clone();
        frame[24] ^= 1;
        assert_eq!(parse_udp(&frame, UdpChecksum::Verify).map(drop), Err(FrameError::IpChecksum));
        for len in 0..good.len() {
            assert!(parse_udp(&good[..len], UdpChecksum::NotReady).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn checksums_left_out_or_not_ready() {
        let mut frame = DISCOVER.frame(WIRE).unwrap();
        frame[40..42].copy_from_slice(&[0x12, 0x34]);
        assert_eq!(parse_udp(&frame, UdpChecksum::Verify), Err(FrameError::UdpChecksum));
        assert_eq!(parse_udp(&frame, UdpChecksum::NotReady), Ok((WIRE, DISCOVER)));
        frame[40..42].copy_from_slice(&[0, 0]);
        assert_eq!(parse_udp(&frame, UdpChecksum::Verify), Ok((WIRE, DISCOVER)));
    }

    #[test]
    fn a_sum_of_zero_is_sent_as_ones() {
        // Of all two-byte payloads one makes the sum zero.
        let zero = (0..=u16::MAX).find_map(|n| {
            let payload = n.to_be_bytes();
            let datagram = UdpDatagram { payload: &payload, ..DISCOVER };
            let frame = datagram.frame(WIRE).unwrap();
            (frame[40..42] == [0xff, 0xff]).then_some(frame)
        });
        assert!(parse_udp(&zero.unwrap(), UdpChecksum::Verify).is_ok());
    }

    #[test]
    fn sizes() {
        let big = vec![7; 65507];
        let frame = UdpDatagram { payload: &big, ..DISCOVER }.frame(WIRE).unwrap();
        assert_eq!(parse_udp(&frame, UdpChecksum::Verify).unwrap().1.payload, big);
        assert_eq!(UdpDatagram { payload: &[7; 65508], ..DISCOVER }.frame(WIRE), Err(FrameError::TooLong));
        let empty = UdpDatagram { payload: b"", ..DISCOVER };
        assert_eq!(parse_udp(&empty.frame(WIRE).unwrap(), UdpChecksum::Verify), Ok((WIRE, empty)));
    }

    #[test]
    fn arp_golden_and_back() {
        let probe = Arp {
            op: ArpOp::Request,
            sha: WIRE.src,
            spa: Ipv4Addr::UNSPECIFIED,
            tha: Mac::ZERO,
            tpa: Ipv4Addr::new(169, 254, 7, 8),
        };
        let frame = probe.frame(WIRE).unwrap();
        let expected: &[u8] = &[
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 6, // Ethernet
            0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 169, 254, 7, 8,
        ];
        assert_eq!(frame, expected);
        let mut padded = frame.to_vec();
        padded.resize(60, 0xaa);
        assert_eq!(parse_arp(&padded), Ok((WIRE, probe)));
        let reply = Arp { op: ArpOp::Reply, tha: Mac([2, 0, 0, 0, 0, 9]), ..probe };
        assert_eq!(parse_arp(&reply.frame(WIRE).unwrap()), Ok((WIRE, reply)));
        for (at, value) in [(15, 6), (16, 0), (18, 8), (19, 16), (21, 3), (21, 0)] {
            let mut bad = frame;
            bad[at] = value;
            assert_eq!(parse_arp(&bad), Err(FrameError::ArpFormat), "byte {at}");
        }
        assert_eq!(parse_arp(&frame[..41]), Err(FrameError::Short));
        assert_eq!(parse_udp(&frame, UdpChecksum::Verify).map(drop), Err(FrameError::EtherType));
    }

    #[test]
    fn hostile_frames_never_panic() {
        let mut random = Random::new(4);
        let mut below = |n: usize| usize::try_from(random.below(n as u64)).unwrap();
        let good = [DISCOVER.frame(WIRE).unwrap(), {
            let arp =
                Arp { op: ArpOp::Reply, sha: WIRE.src, spa: DISCOVER.dst, tha: WIRE.src, tpa: Ipv4Addr::LOCALHOST };
            arp.frame(WIRE).unwrap().to_vec()
        }];
        let mut accepted = 0;
        for round in 0..200_000 {
            let mut frame = good[round % 2].clone();
            for _ in 0..=below(3) {
                let at = below(frame.len());
                frame[at] = u8::try_from(below(256)).unwrap();
            }
            if round % 4 == 0 {
                // Right again after the change, so that the checks behind the checksum are reached.
                resum(&mut frame);
            }
            frame.truncate(frame.len() - below(2) * below(frame.len()));
            accepted += usize::from(parse_udp(&frame, UdpChecksum::NotReady).is_ok());
            accepted += usize::from(parse_arp(&frame).is_ok());
            let _ = parse_udp(&frame, UdpChecksum::Verify);
            let noise: Vec<u8> = (0..below(80)).map(|_| u8::try_from(below(256)).unwrap()).collect();
            let _ = parse_udp(&noise, UdpChecksum::Verify);
            let _ = parse_arp(&noise);
        }
        assert!(accepted > 1000, "{accepted}");
    }
}
