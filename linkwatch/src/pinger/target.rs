//! What is probed, and how: `192.0.2.1`, `arp:192.0.2.1`, `icmp:192.0.2.1`, `tcp:192.0.2.1:443`, `dns:192.0.2.53`.

use core::fmt;
use core::str::FromStr;
use std::net::Ipv4Addr;

/// Something that should answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where.
    pub address: Ipv4Addr,
    /// How it is asked.
    pub how: How,
}

/// How a target is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// By ARP first, then by ICMP echo, in turn: a router on the link. Many drop ICMP; none can drop ARP.
    Router,
    /// By ARP alone.
    Arp,
    /// By ICMP echo.
    Icmp,
    /// By a connection to this port; refused is an answer too.
    Tcp(u16),
    /// By a question for the root's name servers to this UDP port.
    Dns(u16),
}

/// One way of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// ARP request.
    Arp,
    /// ICMP echo request.
    Icmp,
    /// TCP connection.
    Tcp(u16),
    /// DNS query over UDP.
    Dns(u16),
}

impl How {
    /// What attempt number `attempt` (from 0) of a round does.
    pub const fn method(self, attempt: u8) -> Method {
        match self {
            Self::Router if attempt % 2 == 1 => Method::Icmp,
            Self::Router | Self::Arp => Method::Arp,
            Self::Icmp => Method::Icmp,
            Self::Tcp(port) => Method::Tcp(port),
            Self::Dns(port) => Method::Dns(port),
        }
    }

    /// Whether ARP is among the methods.
    pub const fn needs_arp(self) -> bool {
        matches!(self, Self::Router | Self::Arp)
    }
}

/// Not a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetError;

impl FromStr for Target {
    type Err = TargetError;
    fn from_str(s: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = s.split_once(':').unwrap_or(("icmp", s));
        let (address, port) = rest.split_once(':').map_or((rest, None), |(a, p)| (a, Some(p)));
        let port: Option<u16> = port.map(str::parse).transpose().map_err(|_| TargetError)?.filter(|p| *p > 0);
        let how = match (scheme, port) {
            ("arp", None) => How::Arp,
            ("icmp", None) => How::Icmp,
            ("tcp", Some(port)) => How::Tcp(port),
            ("dns", port) => How::Dns(port.unwrap_or(53)),
            (_, _) => return Err(TargetError),
        };
        let address: Ipv4Addr = address.parse().map_err(|_| TargetError)?;
        match address.octets()[0] {
            0 | 127 | 224.. => Err(TargetError),
            1..=223 => Ok(Self { address, how }),
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected IP, arp:IP, icmp:IP, tcp:IP:PORT or dns:IP")
    }
}

impl core::error::Error for TargetError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let ip = Ipv4Addr::new(192, 0, 2, 1);
        for (text, how) in [
            ("192.0.2.1", How::Icmp),
            ("icmp:192.0.2.1", How::Icmp),
            ("arp:192.0.2.1", How::Arp),
            ("tcp:192.0.2.1:443", How::Tcp(443)),
            ("dns:192.0.2.1", How::Dns(53)),
            ("dns:192.0.2.1:5353", How::Dns(5353)),
        ] {
            assert_eq!(text.parse(), Ok(Target { address: ip, how }), "{text}");
        }
        for bad in [
            "",
            "x",
            "tcp:192.0.2.1",
            "tcp:192.0.2.1:0",
            "tcp:192.0.2.1:99999",
            "arp:192.0.2.1:1",
            "udp:192.0.2.1",
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "2001:db8::1",
        ] {
            assert_eq!(bad.parse::<Target>(), Err(TargetError), "{bad}");
        }
    }

    #[test]
    fn routers_are_asked_both_ways() {
        let ways: Vec<_> = (0..4).map(|n| How::Router.method(n)).collect();
        assert_eq!(ways, [Method::Arp, Method::Icmp, Method::Arp, Method::Icmp]);
    }
}
