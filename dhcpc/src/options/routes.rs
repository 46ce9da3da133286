//! Classless routes, options 121 and 249 (RFC 3442). Which routes win over which is for whoever publishes them.
#![deny(clippy::indexing_slicing)]

use crate::lease::is_host;
use std::net::Ipv4Addr;

/// One route. A router of 0.0.0.0 means that the destination is on the link itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination with its host bits cleared.
    pub net: Ipv4Addr,
    /// Destination as it was sent.
    pub sent: Ipv4Addr,
    /// 0..=32.
    pub len: u8,
    /// Next hop.
    pub router: Ipv4Addr,
}

impl Route {
    fn new(net: u32, len: u8, router: Ipv4Addr) -> Self {
        let mask = u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0);
        Self { net: Ipv4Addr::from(net & mask), sent: Ipv4Addr::from(net), len, router }
    }
}

/// Reads RFC 3442's form; stops at what cannot be right.
pub fn classless(data: &[u8]) -> impl Iterator<Item = Route> {
    let mut rest = data;
    core::iter::from_fn(move || {
        let (&len, after) = rest.split_first()?;
        if len > 32 {
            return None;
        }
        let (significant, after) = after.split_at_checked(usize::from(len.div_ceil(8)))?;
        let (router, after) = after.split_first_chunk::<4>()?;
        rest = after;
        let net = significant.iter().chain([0; 4].iter()).take(4).fold(0, |n, &b| n << 8 | u32::from(b));
        Some(Route::new(net, len, Ipv4Addr::from(*router)))
    })
}

impl Route {
    /// Whether traffic can go that way: not to networks that are never behind a router, nor through what is no host.
    pub fn is_sane(&self) -> bool {
        let nowhere =
            self.len >= 8 && matches!(self.net.octets()[0], 0 | 127) || self.len >= 4 && self.net.octets()[0] >= 224;
        !nowhere && (self.router.is_unspecified() || is_host(self.router))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data: &[u8]) -> Vec<String> {
        classless(data).map(|r| format!("{}/{} {}", r.net, r.len, r.router)).collect()
    }

    #[test]
    fn d20_rfc_3442_examples() {
        assert_eq!(of(&[0, 10, 0, 0, 1]), ["0.0.0.0/0 10.0.0.1"]);
        assert_eq!(of(&[8, 10, 1, 2, 3, 4]), ["10.0.0.0/8 1.2.3.4"]);
        assert_eq!(
            of(&[24, 10, 17, 0, 1, 2, 3, 4, 25, 10, 229, 0, 128, 0, 0, 0, 0]),
            ["10.17.0.0/24 1.2.3.4", "10.229.0.128/25 0.0.0.0"]
        );
        assert_eq!(of(&[32, 10, 198, 122, 47, 1, 1, 1, 1]), ["10.198.122.47/32 1.1.1.1"]);
        assert_eq!(of(&[12, 172, 31, 1, 1, 1, 1]), ["172.16.0.0/12 1.1.1.1"], "host bits are masked");
    }

    #[test]
    fn d20_wrong_ones_end_the_list() {
        assert_eq!(of(&[0, 1, 1, 1, 1, 33, 1, 1, 1, 1, 1, 1, 1, 1, 1]), ["0.0.0.0/0 1.1.1.1"]);
        assert_eq!(of(&[24, 10, 17]), [""; 0]);
        assert_eq!(of(&[8, 10, 1, 1, 1]), [""; 0]);
    }
}
