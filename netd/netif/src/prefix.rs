//! An address with a prefix length: an interface's address (`192.0.2.7/24`) as well as a network (`192.0.2.0/24`).

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and how many of its leading bits name the network. Host bits are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    addr: IpAddr,
    len: u8,
}

/// Why a text is no [`Prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// The part before the `/`.
    Address,
    /// The part after the `/`: not a number up to 32 or 128, nor (IPv4) a mask of leading ones.
    Length,
}

impl Prefix {
    /// `0.0.0.0/0`, written `0/0` in `.ipconf` files.
    pub const DEFAULT_V4: Self = Self { addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED), len: 0 };
    /// `::/0`.
    pub const DEFAULT_V6: Self = Self { addr: IpAddr::V6(Ipv6Addr::UNSPECIFIED), len: 0 };

    /// None when `len` is more than the address has bits.
    pub fn new(addr: IpAddr, len: u8) -> Option<Self> {
        (len <= bits(addr)).then_some(Self { addr, len })
    }

    /// The address alone: /32 or /128.
    pub fn host(addr: IpAddr) -> Self {
        Self { addr, len: bits(addr) }
    }

    /// None when `mask` is not leading ones followed by zeros.
    pub fn with_mask(addr: Ipv4Addr, mask: Ipv4Addr) -> Option<Self> {
        Some(Self { addr: IpAddr::V4(addr), len: mask_len(mask)? })
    }

    /// The address with its host bits.
    pub const fn addr(self) -> IpAddr {
        self.addr
    }

    /// The prefix length in bits.
    pub const fn prefix_len(self) -> u8 {
        self.len
    }

    /// The same with the host bits cleared.
    pub fn network(self) -> Self {
        let addr = match self.addr {
            IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & ones_v4(self.len))),
            IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & ones_v6(self.len))),
        };
        Self { addr, len: self.len }
    }

    /// Whether `other` lies in this network; never across address families.
    pub fn contains(self, other: IpAddr) -> bool {
        match (self.addr, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()) & ones_v4(self.len) == 0,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()) & ones_v6(self.len) == 0,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// `0.0.0.0/0` or `::/0`.
    pub const fn is_default(self) -> bool {
        self.len == 0
    }

    /// The netmask of an IPv4 prefix.
    pub fn mask(self) -> Option<Ipv4Addr> {
        match self.addr {
            IpAddr::V4(_) => Some(Ipv4Addr::from_bits(ones_v4(self.len))),
            IpAddr::V6(_) => None,
        }
    }

    /// The directed broadcast address of an IPv4 network that has one: up to /30 (RFC 3021).
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        match self.addr {
            IpAddr::V4(a) if self.len <= 30 => Some(Ipv4Addr::from_bits(a.to_bits() | !ones_v4(self.len))),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

const fn bits(addr: IpAddr) -> u8 {
    match addr {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

const fn ones_v4(len: u8) -> u32 {
    match len {
        0 => 0,
        1..=32 => u32::MAX << (32 - len),
        _ => u32::MAX,
    }
}

const fn ones_v6(len: u8) -> u128 {
    match len {
        0 => 0,
        1..=128 => u128::MAX << (128 - len),
        _ => u128::MAX,
    }
}

/// The length a netmask stands for, none when its ones are not all in front.
pub fn mask_len(mask: Ipv4Addr) -> Option<u8> {
    let len = mask.to_bits().leading_ones();
    let len = u8::try_from(len).ok()?;
    (ones_v4(len) == mask.to_bits()).then_some(len)
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// `a.b.c.d/len`, `a.b.c.d/m.a.s.k`, `v6/len`, an address alone (a host), or `0/0`.
    fn from_str(s: &str) -> Result<Self, PrefixError> {
        if s == "0/0" {
            return Ok(Self::DEFAULT_V4);
        }
        let (addr, len) = s.split_once('/').map_or((s, None), |(a, l)| (a, Some(l)));
        let addr: IpAddr = addr.parse().map_err(|_| PrefixError::Address)?;
        let Some(len) = len else { return Ok(Self::host(addr)) };
        if let (IpAddr::V4(a), Ok(mask)) = (addr, len.parse::<Ipv4Addr>()) {
            return Self::with_mask(a, mask).ok_or(PrefixError::Length);
        }
        // u8's own parser would take "+8".
        if !len.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PrefixError::Length);
        }
        len.parse().ok().and_then(|l| Self::new(addr, l)).ok_or(PrefixError::Length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "an IPv4 or IPv6 address",
            Self::Length => "a prefix length up to 32 or 128, or an IPv4 netmask",
        })
    }
}

impl core::error::Error for PrefixError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(s: &str) -> Prefix {
        s.parse().unwrap()
    }

    #[test]
    fn reads_every_spelling() {
        for (text, shown) in [
            ("192.0.2.7/24", "192.0.2.7/24"),
            ("192.0.2.7/255.255.255.0", "192.0.2.7/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0/0", "0.0.0.0/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("10.0.0.1/0.0.0.0", "10.0.0.1/0"),
            ("2001:db8::7/64", "2001:db8::7/64"),
            ("::/0", "::/0"),
            ("2001:db8::7", "2001:db8::7/128"),
        ] {
            assert_eq!(p(text).to_string(), shown);
        }
        for (text, why) in [
            ("", PrefixError::Address),
            ("eth0", PrefixError::Address),
            ("/24", PrefixError::Address),
            ("10/8", PrefixError::Address),
            ("192.0.2.7/", PrefixError::Length),
            ("192.0.2.7/33", PrefixError::Length),
            ("192.0.2.7/+8", PrefixError::Length),
            ("192.0.2.7/255.0.255.0", PrefixError::Length),
            ("2001:db8::7/129", PrefixError::Length),
            ("2001:db8::7/255.255.255.0", PrefixError::Length),
            ("192.0.2.7/24/1", PrefixError::Length),
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(p("192.0.2.7/24").network(), p("192.0.2.0/24"));
        assert_eq!(p("192.0.2.7/0").network(), Prefix::DEFAULT_V4);
        assert_eq!(p("2001:db8::7/64").network(), p("2001:db8::/64"));
        assert!(p("192.0.2.7/24").contains("192.0.2.255".parse().unwrap()));
        assert!(!p("192.0.2.7/24").contains("192.0.3.0".parse().unwrap()));
        assert!(!Prefix::DEFAULT_V4.contains("::1".parse().unwrap()));
        assert!(Prefix::DEFAULT_V6.contains("2001:db8::1".parse().unwrap()));
        assert_eq!(p("192.0.2.7/24").broadcast(), Some(Ipv4Addr::new(192, 0, 2, 255)));
        assert_eq!((p("192.0.2.7/31").broadcast(), p("192.0.2.7/32").broadcast()), (None, None));
        assert_eq!(p("192.0.2.7/20").mask(), Some(Ipv4Addr::new(255, 255, 240, 0)));
        assert_eq!(mask_len(Ipv4Addr::new(255, 255, 255, 255)), Some(32));
        assert_eq!(mask_len(Ipv4Addr::new(0, 255, 0, 0)), None);
    }
}
