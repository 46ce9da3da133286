//! Names and numbers of interfaces, and hardware addresses: parsed once at the border, trusted inside.
//!
//! The kernel takes any name of 1 to 15 bytes without `/`, `:` and white space; we also want it to be text without control
//! characters, because names end up in file names, log lines and `.ipconf` files.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

/// Longest name in bytes: IFNAMSIZ without its NUL.
const MAX: usize = 15;

/// An interface's name. Small and `Copy`; unused bytes are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName {
    bytes: [u8; MAX],
    len: u8,
}

/// Why a text is no [`IfName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfNameError {
    /// Nothing there.
    Empty,
    /// More than 15 bytes.
    TooLong,
    /// `.`, `..`, or a `/`, `:`, space or control character in it.
    Forbidden,
    /// [`IfName::from_service`] only: no `_` in the service's name.
    NoSuffix,
}

impl IfName {
    /// The interface a service is for: what follows the first `_` of its directory's name (`dhcp_eth0` is for `eth0`).
    pub fn from_service(service: &str) -> Result<Self, IfNameError> {
        service.split_once('_').ok_or(IfNameError::NoSuffix)?.1.parse()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // Made from a str and cut nowhere, so always text.
        core::str::from_utf8(self.as_bytes()).unwrap_or("?")
    }

    /// The name as bytes, without a NUL.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl FromStr for IfName {
    type Err = IfNameError;
    fn from_str(s: &str) -> Result<Self, IfNameError> {
        match s.len() {
            0 => return Err(IfNameError::Empty),
            1..=MAX => {}
            _ => return Err(IfNameError::TooLong),
        }
        if matches!(s, "." | "..")
            || s.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':'))
        {
            return Err(IfNameError::Forbidden);
        }
        let mut bytes = [0; MAX];
        bytes[..s.len()].copy_from_slice(s.as_bytes());
        Ok(Self { bytes, len: u8::try_from(s.len()).map_err(|_| IfNameError::TooLong)? })
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for IfNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an interface name is missing",
            Self::TooLong => "an interface name has at most 15 bytes",
            Self::Forbidden => "an interface name has no '/', ':', space or control character and is not '.' or '..'",
            Self::NoSuffix => "the service's name has no '_' followed by an interface name",
        })
    }
}

impl core::error::Error for IfNameError {}

/// The kernel's number of an interface, positive. It changes when an interface is deleted and made again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfIndex(NonZeroU32);

impl IfIndex {
    /// None for 0 and for what the kernel's `int` cannot hold.
    pub const fn new(raw: u32) -> Option<Self> {
        match NonZeroU32::new(raw) {
            Some(n) if raw <= i32::MAX.cast_unsigned() => Some(Self(n)),
            _ => None,
        }
    }

    /// The number.
    pub const fn raw(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Everybody.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// Nobody: the target hardware address of an ARP probe.
    pub const ZERO: Self = Self([0; 6]);

    /// The group bit; broadcast is one of them. Never a sender.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

/// Not six pairs of hex digits with colons between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacError;

impl FromStr for Mac {
    type Err = MacError;
    fn from_str(s: &str) -> Result<Self, MacError> {
        let mut mac = [0; 6];
        let mut parts = s.split(':');
        for byte in &mut mac {
            let part = parts.next().ok_or(MacError)?;
            // from_str_radix alone would take "+f".
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(MacError);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| MacError)?;
        }
        if parts.next().is_some() { Err(MacError) } else { Ok(Self(mac)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hardware address is six pairs of hex digits with colons between them")
    }
}

impl core::error::Error for MacError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["e", "eth0", "eth0.5", "wlp0s20f3", "123456789012345", "a_b", "wän"] {
            assert_eq!(good.parse::<IfName>().unwrap().to_string(), good);
        }
        for (bad, why) in [
            ("", IfNameError::Empty),
            ("1234567890123456", IfNameError::TooLong),
            (".", IfNameError::Forbidden),
            ("..", IfNameError::Forbidden),
            ("../x", IfNameError::Forbidden),
            ("a b", IfNameError::Forbidden),
            ("a\n", IfNameError::Forbidden),
            ("a\u{7f}", IfNameError::Forbidden),
            ("a\u{a0}", IfNameError::Forbidden),
            ("eth0:1", IfNameError::Forbidden),
        ] {
            assert_eq!(bad.parse::<IfName>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn service_suffix() {
        assert_eq!(IfName::from_service("dhcp_eth0").unwrap().as_str(), "eth0");
        assert_eq!(IfName::from_service("dhcp_my_if").unwrap().as_str(), "my_if");
        assert_eq!(IfName::from_service("fw"), Err(IfNameError::NoSuffix));
        assert_eq!(IfName::from_service("dhcp_"), Err(IfNameError::Empty));
    }

    #[test]
    fn indices() {
        assert_eq!(IfIndex::new(0), None);
        assert_eq!(IfIndex::new(1).unwrap().raw(), 1);
        assert_eq!(IfIndex::new(u32::MAX), None);
    }

    #[test]
    fn hardware_addresses() {
        let mac: Mac = "02:00:5e:0a:Ff:01".parse().unwrap();
        assert_eq!(mac, Mac([2, 0, 0x5e, 10, 255, 1]));
        assert_eq!(mac.to_string(), "02:00:5e:0a:ff:01");
        assert!(!mac.is_multicast() && Mac::BROADCAST.is_multicast());
        for bad in
            ["", "02:00:5e:0a:ff", "02:00:5e:0a:ff:01:02", "2:0:5e:a:ff:1", "+2:00:5e:0a:ff:01", "02-00-5e-0a-ff-01"]
        {
            assert_eq!(bad.parse::<Mac>(), Err(MacError), "{bad:?}");
        }
    }
}
