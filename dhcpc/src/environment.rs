//! What a udhcpc script finds in its environment (spec: script contract and table of variables).
//!
//! Names come from our own table, never from the wire; values are printable ASCII ([`crate::options::text`]).

use crate::message::{Reply, code};
use crate::options::text::{hex, hosts, printable, raw_routes, text};
use crate::options::{Format, Known, TABLE, by_code, dnr};
use std::net::Ipv4Addr;

/// What of a message a script gets to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// Only these options, and what is in every reply (type, lease, server). None: everything received.
    pub only: Option<Vec<u8>>,
    /// Which routes are shown.
    pub routes: Routes,
    /// Where busybox differs without being dangerous, as busybox does it.
    pub as_busybox: bool,
}

/// Which routes of a server's are taken. A server that nobody vouches for can lead single networks past a VPN (33, 121, 249)
/// where it cannot replace the default route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routes {
    /// All.
    #[default]
    All,
    /// The routers of option 3, by which the default route goes.
    Default,
    /// None.
    None,
}

impl Routes {
    /// Whether the option is asked for and shown.
    pub const fn admits(self, option: u8) -> bool {
        match (self, option) {
            (Self::All, _) => true,
            (Self::Default, code::ROUTER) => true,
            (
                Self::Default | Self::None,
                code::ROUTER | code::STATIC_ROUTES | code::CLASSLESS_ROUTES | code::MS_CLASSLESS_ROUTES,
            ) => false,
            (Self::Default | Self::None, _) => true,
        }
    }
}

/// Variables of an event that carries a message: `bound`, `renew`, `nak`.
pub fn variables(reply: &Reply, export: &Export) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut set = |name: &str, value: String| out.push((name.to_owned(), value));
    set("ip", reply.address.to_string());
    for (name, address) in [("siaddr", reply.next_server), ("giaddr", reply.relay)] {
        if address != Ipv4Addr::UNSPECIFIED {
            set(name, address.to_string());
        }
    }
    for (name, bytes) in [("boot_file", &reply.boot_file), ("sname", &reply.server_name)] {
        if !bytes.is_empty() {
            set(name, printable(bytes));
        }
    }
    let wanted = |c| {
        let always = matches!(c, code::MESSAGE_TYPE | code::LEASE_TIME | code::SERVER_ID | code::MESSAGE);
        export.routes.admits(c) && (always || export.only.as_ref().is_none_or(|only| only.contains(&c)))
    };
    for (number, value) in reply.options.iter().filter(|(c, v)| !v.is_empty() && wanted(*c)) {
        // The name of a time zone is a file's name to most: none that leads out of the directory of zones.
        if number == code::TIME_ZONE_NAME && (value.starts_with(b"/") || value.windows(2).any(|two| two == b"..")) {
            continue;
        }
        match by_code(number) {
            // A gateway that no host can be would only be an error in the script.
            Some(known) if number == code::ROUTER => set(known.name, hosts(value)),
            Some(Known { name, format: Format::S32, .. }) if export.as_busybox => set(name, text(Format::U32, value)),
            Some(Known { name, format: Format::Routes, .. }) if export.as_busybox => set(name, raw_routes(value)),
            Some(known) => set(known.name, text(known.format, value)),
            None => set(&format!("opt{number}"), hex(value)),
        }
        if let (code::SUBNET_MASK, Some(mask)) = (number, value.first_chunk::<4>()) {
            set("mask", u32::from_be_bytes(*mask).count_ones().to_string());
        }
        if number == code::RESOLVERS && !export.as_busybox {
            set("dnr", dnr::text(value));
        }
        if number == code::CAPTIVE_PORTAL
            && !export.as_busybox
            && let Some(uri) = portal(value)
        {
            set("captive_portal", uri);
        }
    }
    out
}

/// RFC 8910: where to ask for access. None for the word that says that nobody has to ask, and for what is no such address.
fn portal(value: &[u8]) -> Option<String> {
    let uri = core::str::from_utf8(value).ok()?;
    let web = ["https://", "http://"].iter().any(|scheme| uri.starts_with(scheme));
    // RFC 3986 §2: these and nothing else; quotes, blanks and backquotes are not among them.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!&()*+,;=%".contains(&b);
    (web && uri.len() <= 255 && uri.bytes().all(allowed)).then(|| uri.to_owned())
}

/// Whether `name` is one that [`variables`] may set; such a name inherited from our own parent is not passed on, so that no
/// script takes yesterday's value for today's.
pub fn is_ours(name: &[u8]) -> bool {
    const FIXED: [&str; 9] =
        ["interface", "ip", "siaddr", "giaddr", "boot_file", "sname", "mask", "captive_portal", "dnr"];
    FIXED.iter().any(|f| f.as_bytes() == name)
        || TABLE.iter().any(|k| k.name.as_bytes() == name)
        || name.strip_prefix(b"opt").is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Expect, decode};

    #[test]
    fn an_ack_becomes_variables() {
        let mut m = vec![2, 1, 6, 0, 0, 0, 0, 5];
        m.resize(240, 0);
        m[16..24].copy_from_slice(&[192, 0, 2, 7, 10, 0, 0, 1]);
        m[44..47].copy_from_slice(b"srv");
        m[108..112].copy_from_slice(b"b\n$x");
        m[236..240].copy_from_slice(&[99, 130, 83, 99]);
        m.extend_from_slice(&[53, 1, 5, 1, 4, 255, 255, 255, 0, 12, 4, b'a', b'`', b'b', b'`', 81, 3, 0, 0, 1, 43, 0]);
        let reply = decode(&m, &Expect { mac: [0; 6], client_id: None }).unwrap();
        let got: Vec<String> =
            variables(&reply, &Export::default()).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            got,
            [
                "ip=192.0.2.7",
                "siaddr=10.0.0.1",
                "boot_file=b$x",
                "sname=srv",
                "opt53=05",
                "subnet=255.255.255.0",
                "mask=24",
                "hostname=bad",
                "opt81=000001",
            ]
        );
    }

    fn of(options: &[u8], export: &Export) -> Vec<String> {
        let reply = crate::message::fixture::ack(options);
        variables(&reply, export).into_iter().skip(1).map(|(k, v)| format!("{k}={v}")).collect()
    }

    /// D29: only an address one can go to; the option itself is seen as any other.
    #[test]
    fn d29_captive_portal() {
        let portal = |uri: &[u8]| {
            let options = [&[114, u8::try_from(uri.len()).unwrap()], uri].concat();
            of(&options, &Export::default()).into_iter().find(|v| v.starts_with("captive_portal="))
        };
        let good = "https://portal.example/api?a=b&c=[1]";
        assert_eq!(portal(good.as_bytes()), Some(format!("captive_portal={good}")));
        for bad in
            ["urn:ietf:params:capport:unrestricted", "https://a/$(reboot)", "http://a/ b", "file:///etc", "https://a/'"]
        {
            assert_eq!(portal(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(portal(b"https://a/\n"), None);
    }

    /// Only what was asked for, with what is in every reply.
    #[test]
    fn strict() {
        let options = [51, 4, 0, 0, 0, 60, 54, 4, 192, 0, 2, 1, 3, 4, 192, 0, 2, 1, 43, 1, 9, 15, 1, b'd'];
        let export = Export { only: Some(vec![3]), ..Export::default() };
        assert_eq!(of(&options, &export), ["opt53=05", "lease=60", "serverid=192.0.2.1", "router=192.0.2.1"]);
    }

    /// D20: gateways and networks that are none are left out; host bits are masked unless busybox is wanted.
    #[test]
    fn d20_routers_and_routes() {
        let options = [
            3, 12, 127, 0, 0, 1, 192, 0, 2, 1, 255, 255, 255, 255, 121, 27, 8, 10, 192, 0, 2, 1, 8, 127, 192, 0, 2, 1,
            8, 224, 192, 0, 2, 1, 8, 11, 127, 0, 0, 1, 24, 10, 1, 0, 0, 0, 0, 0,
        ];
        // The last one is on the link itself: length, three bytes, no router.
        let routes = "staticroutes=10.0.0.0/8 192.0.2.1";
        let got = of(&options, &Export::default());
        assert!(got.contains(&"router=192.0.2.1".to_owned()), "{got:?}");
        assert!(got.iter().any(|v| v.starts_with(routes) && !v.contains("127.") && !v.contains("224.")), "{got:?}");
        let host_bits = [121, 7, 17, 10, 1, 0x80, 192, 0, 2, 121, 1, 1, 2, 4, 0xff, 0xff, 0xb9, 0xb0];
        let ours = of(&host_bits, &Export::default());
        assert_eq!(ours[1..], ["staticroutes=10.1.128.0/17 192.0.2.1", "timezone=-18000"]);
        let busybox = Export { as_busybox: true, ..Export::default() };
        let host_bits = [121, 7, 16, 10, 1, 192, 0, 2, 1];
        assert_eq!(of(&host_bits, &busybox)[1..], ["staticroutes=10.1.0.0/16 192.0.2.1"]);
        assert_eq!(of(&[121, 6, 4, 0x1f, 192, 0, 2, 1], &busybox)[1..], ["staticroutes=31.0.0.0/4 192.0.2.1"]);
        assert_eq!(of(&[2, 4, 0xff, 0xff, 0xb9, 0xb0], &busybox)[1..], ["timezone=4294949296"]);
    }

    /// A tunnel is not led past by a server that the administrator gives no say in routes.
    #[test]
    fn routes_that_are_shown() {
        let options = [
            3, 4, 192, 0, 2, 1, 33, 8, 10, 0, 0, 0, 192, 0, 2, 9, 121, 6, 1, 128, 192, 0, 2, 9, 249, 6, 1, 0, 192, 0,
            2, 9,
        ];
        let names = |routes| {
            let all = of(&options, &Export { routes, only: Some(vec![3, 33, 121, 249]), ..Export::default() });
            all.iter().filter_map(|v| v.split('=').next()).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names(Routes::All), ["opt53", "router", "routes", "staticroutes", "msstaticroutes"]);
        assert_eq!(names(Routes::Default), ["opt53", "router"]);
        assert_eq!(names(Routes::None), ["opt53"]);
    }

    #[test]
    fn our_names() {
        for name in ["interface", "ip", "router", "opt53", "mask"] {
            assert!(is_ours(name.as_bytes()), "{name}");
        }
        for name in ["metric", "INTERFACE", "opt", "optx", "PATH"] {
            assert!(!is_ours(name.as_bytes()), "{name}");
        }
    }
}
