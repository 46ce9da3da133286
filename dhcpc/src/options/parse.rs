//! `-x OPT:VAL` and `-O OPT`: options as people write them (spec: udhcpc's grammar). Errors say what was expected.

use super::{Format, Known, by_name};
use crate::message::name;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Most bytes one option may have; a message has to fit a frame.
const MAX_VALUE: usize = 1024;

/// Reads `OPT` of `-O OPT`: a name of the table or a number up to 254, decimal or 0xhex.
pub fn option_code(text: &str) -> Result<u8, String> {
    if let Some(k) = by_name(text) {
        return Ok(k.code);
    }
    match number(text, 254) {
        Some(n @ 1..=254) => Ok(u8::try_from(n).unwrap_or(0)),
        Some(_) | None => Err(format!("{text}: expected the name or number (1-254) of an option")),
    }
}

/// Reads `OPT:VAL`: the code, the value, and whether a repetition appends to the former (lists do).
pub fn assignment(text: &str) -> Result<(u8, Vec<u8>, bool), String> {
    let (opt, val) = text.split_once([' ', '\t', '=', ':']).unwrap_or((text, ""));
    let code = option_code(opt)?;
    // A name goes by its format; a number means "these bytes", whatever the table knows (OpenWrt's `-x 0x3c:HEX`).
    let known = by_name(opt);
    let value = match known {
        Some(k) => typed(*k, val.trim()),
        None => raw(val.trim()),
    }?;
    if value.len() > MAX_VALUE {
        return Err(format!("{opt}: value longer than {MAX_VALUE} bytes"));
    }
    let list = known.is_some_and(|k| match k.format {
        Format::IpList | Format::IpPairs | Format::Names | Format::Routes => true,
        Format::Ip
        | Format::Host
        | Format::Text
        | Format::U8
        | Format::U16
        | Format::U32
        | Format::S32
        | Format::Sip
        | Format::SixRd => false,
    });
    Ok((code, value, list))
}

/// A value by the option's format.
fn typed(k: Known, val: &str) -> Result<Vec<u8>, String> {
    let words = || val.split([' ', '\t', ',']).filter(|w| !w.is_empty());
    let bad = |expected: &str| Err(format!("{}: {val}: expected {expected}", k.name));
    let numeric = |max: u32, size: usize| match number(val, max) {
        Some(n) => Ok(n.to_be_bytes()[4 - size..].to_vec()),
        None => bad("a number"),
    };
    match k.format {
        Format::Ip => match val.parse::<Ipv4Addr>() {
            Ok(a) => Ok(a.octets().to_vec()),
            Err(_) => bad("an address"),
        },
        Format::IpList => match words().map(str::parse::<Ipv4Addr>).collect::<Result<Vec<_>, _>>() {
            Ok(list) if !list.is_empty() => Ok(list.iter().flat_map(Ipv4Addr::octets).collect()),
            Ok(_) | Err(_) => bad("addresses"),
        },
        Format::IpPairs => {
            let words = val.split([' ', '\t', ',', '/']).filter(|w| !w.is_empty());
            match words.map(str::parse::<Ipv4Addr>).collect::<Result<Vec<_>, _>>() {
                Ok(list) if !list.is_empty() && list.len() % 2 == 0 => {
                    Ok(list.iter().flat_map(Ipv4Addr::octets).collect())
                }
                Ok(_) | Err(_) => bad("pairs of addresses"),
            }
        }
        Format::Host | Format::Text => {
            Ok(val.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(val).as_bytes().to_vec())
        }
        Format::U8 => numeric(u32::from(u8::MAX), 1),
        Format::U16 => numeric(u32::from(u16::MAX), 2),
        Format::U32 => numeric(u32::MAX, 4),
        Format::S32 => match val.parse::<i32>() {
            Ok(n) => Ok(n.to_be_bytes().to_vec()),
            Err(_) => numeric(u32::MAX, 4),
        },
        Format::Names => match encode_names(words()) {
            Some(out) => Ok(out),
            None => bad("domain names"),
        },
        Format::Sip => match words().map(str::parse::<Ipv4Addr>).collect::<Result<Vec<_>, _>>() {
            Ok(list) if !list.is_empty() => Ok([1].into_iter().chain(list.iter().flat_map(Ipv4Addr::octets)).collect()),
            Ok(_) | Err(_) => match encode_names(words()) {
                Some(out) => Ok([vec![0], out].concat()),
                None => bad("addresses or domain names"),
            },
        },
        Format::Routes => match encode_routes(words()) {
            Some(out) => Ok(out),
            None => bad("NET/LEN ROUTER pairs"),
        },
        Format::SixRd => match encode_six_rd(words()) {
            Some(out) => Ok(out),
            None => bad("V4MASKLEN V6MASKLEN V6PREFIX V4RELAY"),
        },
    }
}

/// Hex digits with optional colons between bytes, or a quoted string.
fn raw(val: &str) -> Result<Vec<u8>, String> {
    for quote in ['"', '\''] {
        if let Some(quoted) = val.strip_prefix(quote).and_then(|v| v.strip_suffix(quote)) {
            return Ok(quoted.as_bytes().to_vec());
        }
    }
    let digits: Vec<u8> = val.bytes().filter(|&b| b != b':').collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |&[h, l]: &[u8; 2]| {
        let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
        Some(digit(h)? << 4 | digit(l)?)
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    match bytes {
        Some(bytes) if rest.is_empty() => Ok(bytes),
        Some(_) | None => Err(format!("{val}: expected hex digits or a \"string\"")),
    }
}

fn encode_names<'a>(words: impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for word in words {
        if !name::encode(word.as_bytes(), &mut out) {
            return None;
        }
    }
    (!out.is_empty()).then_some(out)
}

fn encode_routes<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while let Some(destination) = words.next() {
        let (net, len) = destination.split_once('/')?;
        let (net, len) = (net.parse::<Ipv4Addr>().ok()?, u8::try_from(number(len, 32)?).ok()?);
        out.push(len);
        out.extend(net.octets().into_iter().take(usize::from(len.div_ceil(8))));
        out.extend(words.next()?.parse::<Ipv4Addr>().ok()?.octets());
    }
    (!out.is_empty()).then_some(out)
}

fn encode_six_rd<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    let mut out = vec![u8::try_from(number(words.next()?, 32)?).ok()?, u8::try_from(number(words.next()?, 128)?).ok()?];
    out.extend(words.next()?.parse::<Ipv6Addr>().ok()?.octets());
    out.extend(words.next()?.parse::<Ipv4Addr>().ok()?.octets());
    words.next().is_none().then_some(out)
}

/// A decimal or 0xhex number up to `max`.
fn number(text: &str, max: u32) -> Option<u32> {
    let n = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    // `parse` would take a sign, which no option has.
    n.ok().filter(|&n| n <= max && !text.contains('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_callers_write() {
        let cases: &[(&str, u8, &[u8])] = &[
            ("hostname:bbox", 12, b"bbox"),
            ("hostname bbox", 12, b"bbox"),
            ("hostname=bbox", 12, b"bbox"),
            ("hostname:\"b box\"", 12, b"b box"),
            ("0x3d:ff00aabb", 61, &[0xff, 0, 0xaa, 0xbb]),
            ("61:00:61:62", 61, b"\0ab"),
            ("0x3c:4d53", 60, b"MS"),
            ("12:'box'", 12, b"box"),
            ("14:\"dump\"", 14, b"dump"),
            ("0x3d:", 61, b""),
            ("router:192.0.2.1,192.0.2.2", 3, &[192, 0, 2, 1, 192, 0, 2, 2]),
            ("lease:3600", 51, &[0, 0, 14, 16]),
            ("mtu:0x5dc", 26, &[5, 0xdc]),
            ("timezone:-18000", 2, &[0xff, 0xff, 0xb9, 0xb0]),
            ("search:a.b c", 119, b"\x01a\x01b\x00\x01c\x00"),
            ("sipsrv:10.0.0.1", 120, &[1, 10, 0, 0, 1]),
            ("sipsrv:a.b", 120, b"\x00\x01a\x01b\x00"),
            ("staticroutes:10.1.2.0/24 10.0.0.1,0.0.0.0/0 10.0.0.2", 121, &[24, 10, 1, 2, 10, 0, 0, 1, 0, 10, 0, 0, 2]),
            ("routes:10.0.0.1/10.0.0.2", 33, &[10, 0, 0, 1, 10, 0, 0, 2]),
            (
                "ip6rd:8 32 2001:db8:: 192.0.2.1",
                212,
                &[8, 32, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1],
            ),
        ];
        for (given, code, value) in cases {
            let (c, v, _) = assignment(given).unwrap_or_else(|e| panic!("{given}: {e}"));
            assert_eq!((c, v.as_slice()), (*code, *value), "{given}");
        }
    }

    #[test]
    fn says_what_it_wanted() {
        for (given, why) in [
            ("nonsense:1", "nonsense: expected the name or number (1-254) of an option"),
            ("255:00", "255: expected the name or number (1-254) of an option"),
            ("router:", "router: : expected addresses"),
            ("subnet:1.2.3", "subnet: 1.2.3: expected an address"),
            ("mtu:65536", "mtu: 65536: expected a number"),
            ("43:0g", "0g: expected hex digits or a \"string\""),
            ("43:0", "0: expected hex digits or a \"string\""),
            ("routes:1.1.1.1", "routes: 1.1.1.1: expected pairs of addresses"),
            ("search:..", "search: ..: expected domain names"),
            ("staticroutes:1.1.1.1/33 1.1.1.1", "staticroutes: 1.1.1.1/33 1.1.1.1: expected NET/LEN ROUTER pairs"),
        ] {
            assert_eq!(assignment(given), Err(why.to_owned()));
        }
        assert_eq!(option_code("staticroutes"), Ok(121));
        assert_eq!(option_code("0xd4"), Ok(212));
        assert_eq!(option_code("212"), Ok(212));
        assert!(option_code("0").is_err() && option_code("+5").is_err());
    }
}
