//! What the kernel knows of a neighbour: when it last heard from it (neighbour unreachability detection, RFC 4861 section 7.3,
//! which Linux does for ARP too). A TCP acknowledgement confirms a neighbour as an ARP answer does, so this costs no packet.

use super::{LinkError, MESSAGE_HEADER, messages, number, receive, send};
use crate::ifname::IfIndex;
use core::time::Duration;
use netlink_packet_core::{DefaultNla, Emitable, NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer, NlasIterator};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

// linux/neighbour.h and linux/rtnetlink.h.
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const NDA_DST: u16 = 1;
const NDA_CACHEINFO: u16 = 3;
const NUD_REACHABLE: u16 = 2;
const AF_INET: u8 = 2;
/// Length of `struct ndmsg`.
const HEADER: usize = 12;
/// The kernel tells times in hundredths of a second (USER_HZ), whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

/// How long ago the reachable neighbour was heard of; none when there is no such neighbour or the kernel is not sure of it.
/// Kernels before 5.0 do not answer.
pub(super) fn confirmed(
    socket: &OwnedFd,
    buf: &mut [u8],
    index: IfIndex,
    ip: Ipv4Addr,
) -> Result<Option<Duration>, LinkError> {
    send(socket, &request(index, ip))?;
    for (kind, payload) in messages(receive(socket, buf)?) {
        match kind {
            RTM_NEWNEIGH => return Ok(parse(payload, index, ip)),
            // Not there, or a kernel that does not know the question.
            NLMSG_ERROR => return Ok(None),
            _ => {}
        }
    }
    Err(LinkError::Malformed)
}

fn request(index: IfIndex, ip: Ipv4Addr) -> Vec<u8> {
    let attribute = [DefaultNla::new(NDA_DST, ip.octets().to_vec())];
    let len = MESSAGE_HEADER + HEADER + attribute.as_slice().buffer_len();
    let mut bytes = vec![0; len];
    let mut buffer = NetlinkBuffer::new(&mut bytes);
    // One address: far below 4 GiB.
    buffer.set_length(len as u32);
    buffer.set_message_type(RTM_GETNEIGH);
    buffer.set_flags(NLM_F_REQUEST);
    bytes[MESSAGE_HEADER] = AF_INET;
    bytes[MESSAGE_HEADER + 4..MESSAGE_HEADER + 8].copy_from_slice(&index.raw().to_ne_bytes());
    attribute.as_slice().emit(&mut bytes[MESSAGE_HEADER + HEADER..]);
    bytes
}

fn parse(payload: &[u8], index: IfIndex, ip: Ipv4Addr) -> Option<Duration> {
    let state = u16::from_ne_bytes(payload.get(8..10)?.try_into().ok()?);
    if number(payload.get(4..8)?)? != index.raw() || state & NUD_REACHABLE == 0 {
        return None;
    }
    let (mut ours, mut age) = (false, None);
    for attribute in NlasIterator::new(payload.get(HEADER..)?).map_while(Result::ok) {
        match attribute.kind() {
            NDA_DST => ours = attribute.value() == ip.octets(),
            NDA_CACHEINFO => age = attribute.value().get(..4).and_then(number).map(|ticks| TICK * ticks),
            _ => {}
        }
    }
    age.filter(|_| ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn answer(index: u32, state: u16, ip: [u8; 4], ticks: u32) -> Vec<u8> {
        let mut p = vec![AF_INET, 0, 0, 0];
        p.extend(index.to_ne_bytes());
        p.extend(state.to_ne_bytes());
        p.extend([0, 1, 8, 0, 1, 0]);
        p.extend(ip);
        p.extend([20, 0, 3, 0]);
        p.extend(ticks.to_ne_bytes());
        p.extend([0; 12]);
        p
    }

    #[test]
    fn only_a_reachable_neighbour_counts() {
        let index = IfIndex::new(7).unwrap();
        let age = |bytes: &[u8]| parse(bytes, index, IP);
        assert_eq!(age(&answer(7, NUD_REACHABLE, [192, 0, 2, 1], 150)), Some(Duration::from_millis(1500)));
        for other in [
            answer(8, NUD_REACHABLE, [192, 0, 2, 1], 1),
            answer(7, NUD_REACHABLE, [192, 0, 2, 2], 1),
            // Stale, permanent.
            answer(7, 4, [192, 0, 2, 1], 1),
            answer(7, 0x80, [192, 0, 2, 1], 1),
        ] {
            assert_eq!(age(&other), None);
        }
        let good = answer(7, NUD_REACHABLE, [192, 0, 2, 1], 1);
        for len in 0..good.len() {
            let _ = age(&good[..len]);
        }
    }

    #[test]
    fn questions_are_well_formed() {
        let expected = [
            &36u32.to_ne_bytes()[..],
            &[30, 0, 1, 0],
            &[0; 8],
            &[2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
            &[8, 0, 1, 0],
            &[192, 0, 2, 1],
        ]
        .concat();
        assert_eq!(request(IfIndex::new(7).unwrap(), IP), expected);
    }
}
