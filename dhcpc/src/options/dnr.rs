//! Encrypted resolvers, option 162 (RFC 9463 §5.1): for each its priority, its name, its addresses and how to talk to it.
#![deny(clippy::indexing_slicing)]

use crate::lease::is_host;
use crate::message::name;
use std::net::Ipv4Addr;

/// Most resolvers taken from one option.
const MAX: usize = 16;
// Keys of service parameters (RFC 9460 §14.3.2, RFC 9461 §5).
const ALPN: u16 = 1;
const PORT: u16 = 3;
const DOHPATH: u16 = 7;

/// The resolvers as words for a script, in the order sent: `PRIORITY NAME ADDRESS,... alpn=dot,h2 port=853 dohpath=/q{?dns}`,
/// with ` | ` between two. One that breaks a rule is left out; what cannot be skipped ends the list.
pub fn text(data: &[u8]) -> String {
    let mut rest = data;
    let mut found = Vec::new();
    while let Some((instance, after)) = prefixed::<2>(rest)
        && found.len() < MAX
    {
        rest = after;
        found.extend(resolver(instance));
    }
    found.join(" | ")
}

/// A length of `N` bytes, and so many bytes.
fn prefixed<const N: usize>(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = data.split_first_chunk::<N>()?;
    rest.split_at_checked(len.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
}

fn number(data: &[u8]) -> Option<u16> {
    data.try_into().ok().map(u16::from_be_bytes)
}

fn resolver(data: &[u8]) -> Option<String> {
    let (priority, rest) = data.split_first_chunk::<2>()?;
    let (name, rest) = prefixed::<1>(rest)?;
    // One name, uncompressed, and nothing behind it.
    let mut names = name::decode_list(name).into_iter();
    let name = names.next().filter(|_| names.next().is_none())?;
    let mut words = vec![u16::from_be_bytes(*priority).to_string(), name];
    // The name alone is a whole instance ("ADN-only mode").
    if !rest.is_empty() {
        let (addresses, parameters) = prefixed::<1>(rest)?;
        let (addresses, odd) = addresses.as_chunks::<4>();
        let addresses: Vec<Ipv4Addr> = addresses.iter().map(|a| Ipv4Addr::from(*a)).collect();
        if addresses.is_empty() || !odd.is_empty() || !addresses.iter().all(|a| is_host(*a)) {
            return None;
        }
        words.push(addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(","));
        words.extend(service(parameters)?);
    }
    Some(words.join(" "))
}

/// Keys in ascending order, each once (RFC 9460 §2.2); those we do not know are skipped.
fn service(mut data: &[u8]) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut last = None;
    while !data.is_empty() {
        let (key, rest) = data.split_first_chunk::<2>()?;
        let key = u16::from_be_bytes(*key);
        let (value, rest) = prefixed::<2>(rest)?;
        if last >= Some(key) {
            return None;
        }
        (last, data) = (Some(key), rest);
        match key {
            ALPN => words.push(format!("alpn={}", protocols(value)?.join(","))),
            PORT => words.push(format!("port={}", number(value)?)),
            DOHPATH => words.push(format!("dohpath={}", word(value)?)),
            _ => {}
        }
    }
    Some(words)
}

fn protocols(mut value: &[u8]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    while !value.is_empty() {
        let (protocol, rest) = prefixed::<1>(value)?;
        found.push(word(protocol)?);
        value = rest;
    }
    Some(found)
}

/// Letters, digits and what paths are made of; nothing a shell or a list could stumble over.
fn word(bytes: &[u8]) -> Option<String> {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~/{}?%&=:@+".contains(b);
    (!bytes.is_empty() && bytes.iter().all(allowed)).then(|| bytes.iter().map(|b| char::from(*b)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use netif::random::Random;

    fn instance(body: &[u8]) -> Vec<u8> {
        [&u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    const FULL: &[u8] = b"\x00\x01\x05\x03dns\x00\x08\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x07\x03dot\x02h2\
        \x00\x03\x00\x02\x03\x55\x00\x07\x00\x08/q{?dns}";

    /// D35: a whole one, one with a name alone, and one after the other.
    #[test]
    fn d35_resolvers() {
        let full = "1 dns 192.0.2.1,192.0.2.2 alpn=dot,h2 port=853 dohpath=/q{?dns}";
        assert_eq!(text(&instance(FULL)), full);
        let name = instance(b"\x00\x02\x05\x01a\x01b\x00");
        assert_eq!(text(&name), "2 a.b");
        assert_eq!(text(&[instance(FULL), name].concat()), format!("{full} | 2 a.b"));
    }

    /// D35: no address, half an address, no host's address, keys twice or not in order, odd bytes: that one is left out.
    #[test]
    fn d35_broken_ones() {
        let good = instance(b"\x00\x02\x03\x01a\x00");
        for bad in [
            b"\x00\x01\x03\x01a\x00\x00".as_slice(),
            b"\x00\x01\x03\x01a\x00\x03\xc0\x00\x02",
            b"\x00\x01\x03\x01a\x00\x04\x7f\x00\x00\x01",
            b"\x00\x01\x03\x01a\x00\x04\xc0\x00\x02\x01\x00\x03\x00\x02\x03\x55\x00\x03\x00\x02\x03\x55",
            b"\x00\x01\x03\x01a\x00\x04\xc0\x00\x02\x01\x00\x07\x00\x02/`",
            b"\x00\x01\x03\x01a\x00\x04\xc0\x00\x02\x01\x00\x01\x00\x09\x03dot",
            b"\x00\x01\x06\x01a\x00\x01b\x00",
            b"\x00\x01\x00",
        ] {
            assert_eq!(text(&[instance(bad), good.clone()].concat()), "2 a", "{bad:?}");
        }
        assert_eq!(text(&[0, 200, 1]), "");
    }

    #[test]
    fn d35_hostile() {
        let mut random = Random::new(1);
        let seed = instance(FULL);
        for _ in 0..50_000 {
            let mut m = seed.clone();
            for _ in 0..=random.below(3) {
                let at = usize::try_from(random.below(u64::try_from(m.len()).unwrap())).unwrap();
                if let Some(b) = m.get_mut(at) {
                    *b = random.bits32().to_le_bytes()[0];
                }
            }
            assert!(text(&m).bytes().all(|b| (0x20..0x7f).contains(&b)));
        }
        assert!(text(&instance(b"\x00\x02\x03\x01a\x00").repeat(100)).split(" | ").count() == MAX);
    }
}
