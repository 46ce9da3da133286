//! What a daemon asks of its steward, as bytes: one datagram per order, one per answer, both bounded. The reader trusts
//! nothing, because the daemon is what strangers' packets may have taken over.

use crate::ifname::IfIndex;
use crate::packet::Listen;
use std::net::Ipv4Addr;
use sys::signal::Signal;

/// Longest order: a script's variables, made of one DHCP message.
pub(super) const LONGEST: usize = 128 * 1024;

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A packet socket on the daemon's interface.
    Packet(IfIndex, Listen),
    /// A UDP socket on this address and the daemon's port; true: also before it is on the interface.
    Udp(Ipv4Addr, bool),
    /// An ICMP socket for echo replies with this identifier.
    Icmp(u16),
    /// A TCP or UDP socket that is not bound to a port.
    Outbound(Outbound),
    /// Set the interface up.
    SetUp(IfIndex),
    /// Send this command byte to a service of the list.
    Tell(u16, u8),
    /// Call the script: number of the call, and `NAME=value` for each variable.
    Start(u8, Vec<Vec<u8>>),
    /// Send this to the script that runs.
    Signal(Signal),
    /// Remove the pid file.
    RemovePidFile,
    /// Let go of the terminal.
    Detach,
}

/// What an unbound socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// A TCP connection.
    Tcp,
    /// UDP datagrams.
    Udp,
}

impl Order {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Packet(index, listen) => {
                out.push(b'P');
                out.extend(index.raw().to_ne_bytes());
                match listen {
                    Listen::Udp(port) => {
                        out.push(b'u');
                        out.extend(port.to_ne_bytes());
                    }
                    Listen::Arp => out.push(b'a'),
                    Listen::ArpAbout(ip) => {
                        out.push(b'i');
                        out.extend(ip.octets());
                    }
                    Listen::ArpFrom(ip) => {
                        out.push(b'f');
                        out.extend(ip.octets());
                    }
                }
            }
            Self::Udp(ip, early) => {
                out.push(if *early { b'E' } else { b'U' });
                out.extend(ip.octets());
            }
            Self::Icmp(identifier) => {
                out.push(b'I');
                out.extend(identifier.to_ne_bytes());
            }
            Self::Outbound(kind) => out.extend([
                b'O',
                match kind {
                    Outbound::Tcp => b't',
                    Outbound::Udp => b'u',
                },
            ]),
            Self::SetUp(index) => {
                out.push(b'L');
                out.extend(index.raw().to_ne_bytes());
            }
            Self::Tell(service, command) => {
                out.push(b'T');
                out.extend(service.to_ne_bytes());
                out.push(*command);
            }
            Self::Start(call, variables) => {
                out.extend([b'S', *call]);
                for variable in variables {
                    out.extend(variable);
                    out.push(0);
                }
            }
            Self::Signal(signal) => {
                out.push(b'K');
                out.extend((*signal as i32).to_ne_bytes());
            }
            Self::RemovePidFile => out.push(b'R'),
            Self::Detach => out.push(b'D'),
        }
        out
    }

    /// None: no order of ours.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        let rest = &mut rest;
        let order = match kind {
            b'P' => {
                let index = IfIndex::new(number(rest)?)?;
                let listen = match take(rest)? {
                    [b'u'] => Listen::Udp(u16::from_ne_bytes(take(rest)?)),
                    [b'a'] => Listen::Arp,
                    [b'i'] => Listen::ArpAbout(Ipv4Addr::from(take::<4>(rest)?)),
                    [b'f'] => Listen::ArpFrom(Ipv4Addr::from(take::<4>(rest)?)),
                    _ => return None,
                };
                Self::Packet(index, listen)
            }
            b'U' | b'E' => Self::Udp(Ipv4Addr::from(take::<4>(rest)?), *kind == b'E'),
            b'I' => Self::Icmp(u16::from_ne_bytes(take(rest)?)),
            b'O' => match take(rest)? {
                [b't'] => Self::Outbound(Outbound::Tcp),
                [b'u'] => Self::Outbound(Outbound::Udp),
                _ => return None,
            },
            b'L' => Self::SetUp(IfIndex::new(number(rest)?)?),
            b'T' => {
                let service = u16::from_ne_bytes(take(rest)?);
                let [command] = take(rest)?;
                Self::Tell(service, command)
            }
            b'S' => {
                let [call] = take(rest)?;
                let text = core::mem::take(rest);
                let mut variables: Vec<Vec<u8>> = text.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
                // After the last terminator there is nothing.
                if variables.pop()?.is_empty() { Self::Start(call, variables) } else { return None }
            }
            b'K' => Self::Signal(Signal::try_from(i32::from_ne_bytes(take(rest)?)).ok()?),
            b'R' => Self::RemovePidFile,
            b'D' => Self::Detach,
            _ => return None,
        };
        rest.is_empty().then_some(order)
    }
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_ne_bytes)
}

/// The next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn all() -> Vec<Order> {
        let index = IfIndex::new(7).unwrap();
        let ip = Ipv4Addr::new(192, 0, 2, 7);
        vec![
            Order::Packet(index, Listen::Udp(68)),
            Order::Packet(index, Listen::Arp),
            Order::Packet(index, Listen::ArpAbout(ip)),
            Order::Packet(index, Listen::ArpFrom(ip)),
            Order::Udp(ip, false),
            Order::Udp(ip, true),
            Order::Icmp(0x1234),
            Order::Outbound(Outbound::Tcp),
            Order::Outbound(Outbound::Udp),
            Order::SetUp(index),
            Order::Tell(3, b'u'),
            Order::Start(2, vec![b"ip=192.0.2.7".to_vec(), b"x=".to_vec()]),
            Order::Start(0, Vec::new()),
            Order::Signal(Signal::SIGTERM),
            Order::RemovePidFile,
            Order::Detach,
        ]
    }

    #[test]
    fn orders_come_through() {
        for order in all() {
            let bytes = order.encode();
            assert_eq!(Order::decode(&bytes).as_ref(), Some(&order));
            assert_eq!(Order::decode(&[&bytes[..], b"x"].concat()), None, "{order:?} and more");
        }
        assert_eq!(Order::decode(b""), None);
    }

    #[test]
    fn anything_else_is_refused() {
        let mut random = Random::new(5);
        let orders = all();
        for _ in 0..20_000 {
            let mut bytes = orders[usize::try_from(random.below(16)).unwrap()].encode();
            let at = usize::try_from(random.below(u64::try_from(bytes.len()).unwrap())).unwrap();
            bytes[at] = random.bits32().to_ne_bytes()[0];
            bytes.truncate(usize::try_from(random.below(20)).unwrap());
            if let Some(order) = Order::decode(&bytes) {
                assert_eq!(order.encode(), bytes);
            }
        }
    }
}
