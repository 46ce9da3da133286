//! ICMP echo (RFC 792): the request we send and the reply we know again. Pure.

use super::verdict::Probe;
use std::net::Ipv4Addr;

/// Header and payload of a request.
pub const REQUEST: usize = 8 + PAYLOAD;
/// Secret, round, target, attempt: what makes a reply an answer to one probe of ours and of nobody else.
const PAYLOAD: usize = 8 + 4 + 2 + 1;

/// The request for `probe`. `secret` is random and the same for all.
pub fn request(secret: u64, probe: Probe) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    bytes[0] = 8;
    bytes[4..6].copy_from_slice(&identifier(secret).to_be_bytes());
    // The sequence number is for those who look at the wire.
    bytes[6..8].copy_from_slice(&probe.round.to_be_bytes()[2..]);
    bytes[8..16].copy_from_slice(&secret.to_be_bytes());
    bytes[16..20].copy_from_slice(&probe.round.to_be_bytes());
    bytes[20..22].copy_from_slice(&u16::try_from(probe.target).unwrap_or(u16::MAX).to_be_bytes());
    bytes[22] = probe.attempt;
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The identifier field of our requests.
pub const fn identifier(secret: u64) -> u16 {
    (secret >> 48) as u16
}

/// The sender and the probe of an IPv4 packet that is an echo reply to us; none for anything else.
pub fn reply(secret: u64, packet: &[u8]) -> Option<(Ipv4Addr, Probe)> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let message = packet.get(header.max(20)..)?;
    let ours = message.first() == Some(&0) && message.get(8..16)? == secret.to_be_bytes() && checksum(message) == 0;
    if !ours || message.len() != REQUEST {
        return None;
    }
    let probe = Probe {
        round: u32::from_be_bytes(message.get(16..20)?.try_into().ok()?),
        target: usize::from(u16::from_be_bytes(message.get(20..22)?.try_into().ok()?)),
        attempt: *message.get(22)?,
    };
    Some((Ipv4Addr::from(source), probe))
}

/// RFC 1071; zero over a message with its own checksum in it.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded after every step: below 2^16.
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: u64 = 0x1234_5678_9abc_def0;
    const PROBE: Probe = Probe { round: 70_000, target: 3, attempt: 2 };

    fn packet(options: usize) -> Vec<u8> {
        let mut packet = vec![0; 20 + options];
        packet[0] = 0x45 + u8::try_from(options / 4).unwrap();
        packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
        let mut echo = request(SECRET, PROBE);
        echo[0] = 0;
        echo[2..4].fill(0);
        let sum = checksum(&echo);
        echo[2..4].copy_from_slice(&sum.to_be_bytes());
        packet.extend(echo);
        packet
    }

    #[test]
    fn requests_are_whole() {
        let bytes = request(SECRET, PROBE);
        assert_eq!((bytes[0], bytes[1], checksum(&bytes)), (8, 0, 0));
        assert_eq!(bytes[4..8], [0x12, 0x34, 0x11, 0x70]);
        // RFC 1071's example.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn only_our_replies_count() {
        for options in [0, 4, 40] {
            assert_eq!(reply(SECRET, &packet(options)), Some((Ipv4Addr::new(192, 0, 2, 1), PROBE)));
        }
        assert_eq!(reply(SECRET + 1, &packet(0)), None);
        for at in [20, 22, 28, 36, 40, 42] {
            let mut bad = packet(0);
            bad[at] ^= 1;
            assert_eq!(reply(SECRET, &bad), None, "byte {at}");
        }
        let good = packet(0);
        for len in 0..good.len() {
            assert_eq!(reply(SECRET, &good[..len]), None);
        }
        let mut long = good.clone();
        long.extend([0; 2]);
        assert_eq!(reply(SECRET, &long), None);
        for first in 0..=255 {
            let mut odd = good.clone();
            odd[0] = first;
            let _ = reply(SECRET, &odd);
        }
    }
}
