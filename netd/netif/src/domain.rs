//! Host and domain names as they may leave this program: letters, digits, `-`, `_` and dots (RFC 952, 1123; `_` as in use).
//!
//! Whatever comes from a server or a file passes through here before it is written anywhere.

use core::fmt;
use core::str::FromStr;
use std::net::IpAddr;

/// Longest name in text (RFC 1035 §3.1: 255 bytes on the wire).
const MAX_NAME: usize = 253;
/// Longest label.
const MAX_LABEL: usize = 63;

/// A domain or host name, without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

/// Not such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainNameError;

impl DomainName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    /// A final dot is taken off. No label is empty, longer than 63 bytes, or starts with `-`.
    fn from_str(s: &str) -> Result<Self, DomainNameError> {
        let name = s.strip_suffix('.').unwrap_or(s);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let label_ok = |l: &str| (1..=MAX_LABEL).contains(&l.len()) && !l.starts_with('-') && l.bytes().all(allowed);
        if name.len() <= MAX_NAME && name.split('.').all(label_ok) {
            Ok(Self(name.to_owned()))
        } else {
            Err(DomainNameError)
        }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for DomainNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a domain name of letters, digits, '-' and '_'")
    }
}

impl core::error::Error for DomainNameError {}

/// A server given by address or by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// By address.
    Addr(IpAddr),
    /// By name.
    Name(DomainName),
}

impl FromStr for Host {
    type Err = DomainNameError;
    fn from_str(s: &str) -> Result<Self, DomainNameError> {
        match s.parse() {
            Ok(addr) => Ok(Self::Addr(addr)),
            // "300.1.1.1" is a mistyped address, not a name: no top-level domain is a number (RFC 3696 §2).
            Err(_) if s.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit())) => {
                Err(DomainNameError)
            }
            Err(_) => s.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(a) => a.fmt(f),
            Self::Name(n) => n.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, name) in [("example.net.", "example.net"), ("a", "a"), ("_tcp.x-y.Z9", "_tcp.x-y.Z9"), ("10", "10")]
        {
            assert_eq!(text.parse::<DomainName>().unwrap().as_str(), name);
        }
        let long = format!("{}.x", "a".repeat(64));
        let deep = "a.".repeat(127) + "a";
        for bad in ["", ".", "a..b", "-a", "a.-b", "a b", "a;b", "$(x)", "a\n", "ä", "a'", long.as_str(), deep.as_str()]
        {
            assert_eq!(bad.parse::<DomainName>(), Err(DomainNameError), "{bad:?}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!("192.0.2.1".parse(), Ok(Host::Addr(IpAddr::from([192, 0, 2, 1]))));
        assert_eq!("::1".parse::<Host>().unwrap().to_string(), "::1");
        assert!(matches!("ntp.example.net".parse(), Ok(Host::Name(_))));
        assert_eq!("300.1.1.1".parse::<Host>(), Err(DomainNameError));
    }
}
