//! Option values as udhcpc's environment shows them (spec: its table of variables), with the server's bytes made harmless.
//!
//! Deliberate differences from udhcpc, each because a script ends up with the value: bytes outside printable ASCII are left
//! out of strings (udhcpc passes newlines and quotes' friends on), host bits of routes are masked, a negative time zone is
//! negative, and one odd name in a search list does not void the others.
#![deny(clippy::indexing_slicing)]

use super::{Format, routes};
use crate::lease::is_host;
use crate::message::name;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The value of an option as text. Empty if the bytes are too few for the format.
pub fn text(format: Format, data: &[u8]) -> String {
    match format {
        Format::Ip | Format::IpList => units(data, |b| Ipv4Addr::from(*b)),
        Format::IpPairs => units(data, |&[a, b, c, d, e, f, g, h]: &[u8; 8]| {
            format!("{}/{}", Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h))
        }),
        Format::Host => host(data),
        Format::Text => printable(data),
        Format::U8 => units(data, |&[b]: &[u8; 1]| b),
        Format::U16 => units(data, |b| u16::from_be_bytes(*b)),
        Format::U32 => units(data, |b| u32::from_be_bytes(*b)),
        Format::S32 => units(data, |b| i32::from_be_bytes(*b)),
        Format::Names => name::decode_list(data).join(" "),
        Format::Sip => match data.split_first() {
            Some((0, names)) => name::decode_list(names).join(" "),
            Some((1, list)) => units(list, |b| Ipv4Addr::from(*b)),
            Some(_) | None => String::new(),
        },
        Format::Routes => {
            let sane = routes::classless(data).filter(routes::Route::is_sane);
            join(sane.map(|r| format!("{}/{} {}", r.net, r.len, r.router)))
        }
        Format::SixRd => six_rd(data),
    }
}

/// Routes with the host bits that were sent, as busybox shows them.
pub fn raw_routes(data: &[u8]) -> String {
    let sane = routes::classless(data).filter(routes::Route::is_sane);
    join(sane.map(|r| format!("{}/{} {}", r.sent, r.len, r.router)))
}

/// Those addresses of a list that a host can have.
pub fn hosts(data: &[u8]) -> String {
    let all = data.as_chunks::<4>().0.iter().map(|b| Ipv4Addr::from(*b));
    join(all.filter(|a| is_host(*a)).map(|a| a.to_string()))
}

/// Lower-case hex without separators, for options without a name.
pub fn hex(data: &[u8]) -> String {
    data.iter().fold(String::with_capacity(2 * data.len()), |mut out, b| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Printable ASCII up to the first NUL; other bytes are left out.
pub fn printable(data: &[u8]) -> String {
    let end = data.split(|&b| b == 0).next().unwrap_or_default();
    end.iter().copied().filter(|b| (0x20..0x7f).contains(b)).map(char::from).collect()
}

/// A host or domain name, or `bad`.
fn host(data: &[u8]) -> String {
    let name = data.split(|&b| b == 0).next().unwrap_or_default();
    let good = |&b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.iter().all(good) && name.first() != Some(&b'-') { printable(name) } else { "bad".to_owned() }
}

/// All whole units of `N` bytes, separated by spaces.
fn units<const N: usize, T: ToString>(data: &[u8], show: impl Fn(&[u8; N]) -> T) -> String {
    join(data.as_chunks().0.iter().map(|unit| show(unit).to_string()))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}

/// `v4masklen v6masklen prefix BR...`; the prefix always with all eight groups.
fn six_rd(data: &[u8]) -> String {
    let Some((&[v4, v6], rest)) = data.split_first_chunk() else { return String::new() };
    let Some((prefix, relays)) = rest.split_first_chunk::<16>() else { return String::new() };
    if v4 > 32 || u32::from(v6) + 32 - u32::from(v4) > 128 || relays.len() < 4 {
        return String::new();
    }
    let groups = Ipv6Addr::from(*prefix).segments().map(|g| format!("{g:04x}")).join(":");
    format!("{v4} {v6} {groups} {}", units(relays, |b| Ipv4Addr::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let cases: &[(Format, &[u8], &str)] = &[
            (Format::Ip, &[255, 255, 255, 0], "255.255.255.0"),
            (Format::Ip, &[1, 1, 1, 1, 2, 2, 2, 2, 3], "1.1.1.1 2.2.2.2"),
            (Format::IpList, &[1, 1, 1], ""),
            (Format::IpPairs, &[10, 0, 0, 0, 1, 1, 1, 1, 9], "10.0.0.0/1.1.1.1"),
            (Format::Host, b"a-b_c.d\0junk", "a-b_c.d"),
            (Format::Host, b"-rf", "bad"),
            (Format::Host, b"a b", "bad"),
            (Format::Host, b"a;reboot", "bad"),
            (Format::Text, b"$(reboot)\n`x`\x1b[0m\xff'\"", "$(reboot)`x`[0m'\""),
            (Format::U8, &[64], "64"),
            (Format::U16, &[5, 0xdc], "1500"),
            (Format::U32, &[0, 0, 14, 16], "3600"),
            (Format::S32, &[0xff, 0xff, 0xb9, 0xb0], "-18000"),
            (Format::Names, b"\x01a\x01b\x00\x01c\xc0\x02", "a.b c.b"),
            (Format::Sip, b"\x00\x01a\x01b\x00", "a.b"),
            (Format::Sip, &[1, 9, 9, 9, 9], "9.9.9.9"),
            (Format::Sip, &[2, 9], ""),
            (Format::Routes, &[8, 10, 1, 1, 1, 1, 0, 2, 2, 2, 2], "10.0.0.0/8 1.1.1.1 0.0.0.0/0 2.2.2.2"),
            (
                Format::SixRd,
                &[8, 32, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1],
                "8 32 2001:0db8:0000:0000:0000:0000:0000:0000 192.0.2.1",
            ),
            (Format::SixRd, &[33; 22], ""),
        ];
        for (format, data, want) in cases {
            assert_eq!(text(*format, data), *want, "{format:?} {data:?}");
        }
        assert_eq!(hex(&[0, 0xab, 5]), "00ab05");
    }
}
