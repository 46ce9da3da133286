//! What a udhcpc script finds in its environment (spec: script contract and table of variables).
//!
//! Names come from our own table, never from the wire; values are printable ASCII ([`crate::options::text`]).

use crate::message::{Reply, code};
use crate::options::text::{hex, printable, text};
use crate::options::{TABLE, by_code};
use std::net::Ipv4Addr;

/// Variables of an event that carries a message: `bound`, `renew`, `nak`. Everything received is passed on, asked for or not.
pub fn variables(reply: &Reply) -> Vec<(String, String)> {
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
    for (number, value) in reply.options.iter().filter(|(_, v)| !v.is_empty()) {
        match by_code(number) {
            Some(known) => set(known.name, text(known.format, value)),
            None => set(&format!("opt{number}"), hex(value)),
        }
        if let (code::SUBNET_MASK, Some(mask)) = (number, value.first_chunk::<4>()) {
            set("mask", u32::from_be_bytes(*mask).count_ones().to_string());
        }
    }
    out
}

/// Whether `name` is one that [`variables`] may set; such a name inherited from our own parent is not passed on, so that no
/// script takes yesterday's value for today's.
pub fn is_ours(name: &[u8]) -> bool {
    const FIXED: [&str; 7] = ["interface", "ip", "siaddr", "giaddr", "boot_file", "sname", "mask"];
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
        let got: Vec<String> = variables(&reply).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
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
