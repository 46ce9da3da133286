//! What strangers can send, through the same functions that are fuzzed: the corpus, every option with every length, and the
//! mistakes that other clients are known for, by name. No file, no network, no clock.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests: a panic is how they report"
)]

mod parse;

use dhcpc::environment::{Export, variables};
use dhcpc::lease::Lease;
use dhcpc::message::{Expect, Reply, decode};
use netif::publish::environment::{Verdict, from_environment};
use std::path::{Path, PathBuf};
use sys::clock::Instant;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
/// Server, an hour, a mask: what makes an ACK a lease.
const GOOD: [u8; 18] = [54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0];
const EVIL: &[u8] = b"$(touch /x)`id`\n'\"\\\x1b]0;\x07\xff;|&<>() { :;};";

/// An ACK for [`MAC`]: the fixed part, its fields, `options` after the message type.
fn ack(sname: &[u8], file: &[u8], options: &[u8]) -> Vec<u8> {
    let mut m = vec![2, 1, 6, 0, 0, 0, 0, 5];
    m.resize(16, 0);
    m.extend([192, 0, 2, 7]);
    m.resize(28, 0);
    m.extend(MAC);
    m.resize(44, 0);
    m.extend(sname);
    m.resize(108, 0);
    m.extend(file);
    m.resize(236, 0);
    m.extend([99, 130, 83, 99, 53, 1, 5]);
    m.extend(options);
    m
}

fn option(code: u8, value: &[u8]) -> Vec<u8> {
    [&[code, u8::try_from(value.len()).unwrap()], value].concat()
}

fn reply(message: &[u8]) -> Reply {
    decode(message, &Expect { mac: MAC, client_id: None }).unwrap()
}

/// What a script gets from an ACK with these options, after every check of the fuzz targets.
fn shown(options: &[u8]) -> Vec<(String, String)> {
    let message = ack(&[], &[], options);
    parse::packet(&message);
    parse::environment(&[&[0], options].concat());
    variables(&reply(&message), &Export::default())
}

fn value(options: &[u8], name: &str) -> Option<String> {
    shown(options).into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
}

/// What is published natively for an ACK with these options.
fn published(options: &[u8]) -> String {
    let own = [("interface".to_owned(), "eth0".to_owned())];
    match from_environment("bound", own.into_iter().chain(shown(options))) {
        Ok((Verdict::Publish(facts), _)) => {
            let records: Vec<_> = facts.entries.iter().map(netif::ipconf::Entry::record).collect();
            String::from_utf8(netif::ipconf::write(&records, &[]).unwrap()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The files of one target's corpus.
fn corpus(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 9, "{}: {}", dir.display(), files.len());
    files
}

fn replay(target: &str, run: fn(&[u8])) {
    for file in corpus(target) {
        let data = std::fs::read(&file).unwrap();
        if let Err(panic) = std::panic::catch_unwind(|| run(&data)) {
            eprintln!("with {}", file.display());
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn corpus_of_packets() {
    replay("packet", parse::packet);
}

#[test]
fn corpus_of_environments() {
    replay("environment", parse::environment);
}

#[test]
fn corpus_of_lease_files() {
    replay("lease_file", parse::lease_file);
}

#[test]
fn corpus_of_ipconf_files() {
    replay("ipconf", parse::ipconf);
}

/// Every code with every length and three kinds of bytes; some of them also cut by the packet's end, kept, and published.
#[test]
fn every_option_with_every_length() {
    for code in 0..=255_u8 {
        for len in 0..=255_u8 {
            let fill = [0, 0xff, code.wrapping_mul(31).wrapping_add(len)][usize::from(len % 3)];
            let options = [&GOOD[..], &[code, len], &vec![fill; usize::from(len)], &[255]].concat();
            // A second message type makes it none of ours; 0 is padding, and its length the code of what follows.
            let Ok(reply) = decode(&ack(&[], &[], &options), &Expect { mac: MAC, client_id: None }) else {
                assert!(code == 53 || (code == 0 && len == 53), "{code}, {len}");
                continue;
            };
            for (name, value) in variables(&reply, &Export::default()) {
                assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{code}, {len}: {name}={value:?}");
                assert!(value.len() <= 16 * 256, "{code}, {len}: {name} has {}", value.len());
            }
            if len % 16 == code % 16 {
                parse::environment(&[&[0][..], &options].concat());
                parse::packet(&ack(&[], &[], &options[..options.len() - usize::from(len / 2)]));
            }
        }
    }
}

/// A packet cut anywhere is a packet or none.
#[test]
fn every_cut() {
    let long: Vec<u8> = (0..40).flat_map(|i| option(i, &[i; 20])).collect();
    let whole = ack(EVIL, EVIL, &[&GOOD[..], &long].concat());
    for n in 0..whole.len() {
        parse::packet(&whole[..n]);
    }
}

/// dhclient CVE-2011-0997, busybox CVE-2011-2716, CVE-2018-1111, Shellshock CVE-2014-6271: commands in strings.
#[test]
fn shell_injection() {
    for code in [12, 14, 15, 17, 40, 56, 60, 64, 66, 67, 100, 101, 114, 119, 120, 209, 210, 252] {
        let options = [&GOOD[..], &option(code, EVIL)].concat();
        let text = published(&options);
        assert!(!text.contains("touch") && !text.contains("id`"), "{code}: {text}");
        for (name, value) in shown(&options) {
            assert!(!value.contains(['\n', '\x1b', '\x07']), "{name}={value:?}");
        }
    }
    for code in [12, 15, 40, 66] {
        let known = dhcpc::options::by_code(code).unwrap();
        assert_eq!(value(&[&GOOD[..], &option(code, EVIL)].concat(), known.name).as_deref(), Some("bad"));
    }
}

/// FreeBSD CVE-2026-42511, CVE-2021-25217: a value that ends its line or its quotes in the lease file.
#[test]
fn lease_file_injection() {
    let message =
        ack(b"\"; }\nlease {", b"x\";\n  option script \"/tmp/x\";\n", &[&GOOD[..], &option(12, EVIL)].concat());
    parse::packet(&message);
    let shown = variables(&reply(&message), &Export::default());
    assert!(shown.iter().all(|(_, v)| v.bytes().all(|b| (0x20..0x7f).contains(&b))));
}

/// FreeBSD CVE-2025-14558: a search list that becomes lines of a resolv.conf.
#[test]
fn search_list_injection() {
    let list = b"\x0da\nnameserver \x00\x04$(x)\x00\x04good\x07example\x00";
    let options = [&GOOD[..], &option(119, list)].concat();
    assert_eq!(value(&options, "search").as_deref(), Some("good.example"));
}

/// dhclient CVE-2009-0692: a mask of any length.
#[test]
fn long_mask() {
    for len in [0, 1, 3, 5, 8, 64, 255] {
        let options = [&GOOD[..12], &option(1, &vec![255; len])].concat();
        let lease = Lease::new(reply(&ack(&[], &[], &options)), None, Instant::ZERO).unwrap();
        assert_eq!(lease.prefix_len(), None, "{len}");
        let _ = shown(&options);
    }
}

/// dhclient CVE-2018-5732, udhcpc CVE-2018-20679 and CVE-2019-5747: fixed-size options that are shorter than their size.
#[test]
fn short_fixed_options() {
    for code in [1, 3, 6, 28, 51, 54, 58, 59] {
        for len in 0..4 {
            let options = [&option(code, &vec![9; len]), &GOOD[..]].concat();
            parse::environment(&[&[0], &options[..]].concat());
            parse::packet(&ack(&[], &[], &options));
        }
    }
    assert_eq!(value(&option(3, &[192, 0, 2]), "router").as_deref(), Some(""));
}

/// dhclient CVE-2015-8605: a UDP length that says more, or less, than there is.
#[test]
fn udp_length_lies() {
    use netif::frame::{Ethernet, UdpDatagram, parse_udp};
    let (src, dst) = ([192, 0, 2, 1].into(), [192, 0, 2, 7].into());
    let payload = ack(&[], &[], &GOOD);
    let datagram = UdpDatagram { src, dst, sport: 67, dport: 68, payload: &payload };
    let hardware = Ethernet { dst: netif::Mac::ZERO, src: netif::Mac::ZERO };
    let frame = datagram.frame(hardware).unwrap();
    for at in [16, 17, 38, 39] {
        for lie in 0..=255 {
            let mut bad = frame.clone();
            bad[at] = lie;
            if let Ok((_, udp)) = parse_udp(&bad, netif::frame::UdpChecksum::NotReady) {
                assert!(udp.payload.len() <= payload.len());
            }
        }
    }
    for n in 0..frame.len() {
        let _ = parse_udp(&frame[..n], netif::frame::UdpChecksum::NotReady);
    }
}

/// busybox CVE-2016-2148: 6rd with masks that make a negative length.
#[test]
fn six_rd() {
    for (v4, v6) in [(33, 0), (255, 255), (0, 97), (0, 128)] {
        let options = option(212, &[&[v4, v6][..], &[0; 20]].concat());
        assert_eq!(value(&options, "ip6rd").as_deref(), Some(""), "{v4} {v6}");
    }
    for len in 0..60 {
        let _ = shown(&option(212, &vec![8; len]));
    }
}

/// busybox CVE-2016-2147, FreeBSD CVE-2020-7461: names that point at themselves, forward, and at each other.
#[test]
fn name_decompression() {
    for list in [&[0xc0, 0][..], &[0xc0, 2, 0xc0, 0], &[1, b'a', 0xc0, 0], &[0xff, 0xff], &[0x3f], &[0x80, 0]] {
        assert_eq!(value(&option(119, list), "search").as_deref(), Some(""), "{list:?}");
    }
}

/// connman CVE-2021-26675 and -26676: what is shown is what was sent, never what memory held.
#[test]
fn nothing_beyond_the_packet() {
    let message = ack(&[b'A'; 64], &[b'B'; 128], &GOOD);
    let shown = variables(&reply(&message), &Export::default());
    let of = |name: &str| shown.iter().find(|(n, _)| n == name).map(|(_, v)| v.len());
    assert_eq!((of("sname"), of("boot_file")), (Some(64), Some(128)), "fields without an end stop at theirs");
}

/// CVE-2022-2929, dhcpcd CVE-2026-14258: thousands of empty or tiny options cost no more than their bytes.
#[test]
fn empty_options() {
    for one in [[82, 0].as_slice(), &[81, 1, 0], &[119, 1, 0], &[121, 1, 0], &[0]] {
        let options = [&GOOD[..], &one.repeat(20_000)].concat();
        let reply = reply(&ack(&[], &[], &options));
        assert!(reply.options.iter().map(|(_, v)| v.len()).sum::<usize>() <= options.len());
        assert!(variables(&reply, &Export::default()).iter().all(|(_, v)| v.len() <= 2 * options.len()));
    }
}

/// The DHCP crate's own: an `hlen` beyond its field.
#[test]
fn hardware_address_length() {
    for hlen in 0..=255 {
        let mut message = ack(&[], &[], &GOOD);
        message[2] = hlen;
        parse::packet(&message);
    }
}

/// T1, T2 and the lease at their extremes: never a client that asks without end, never an overflow.
#[test]
fn absurd_times() {
    let number = |code, n: u32| option(code, &n.to_be_bytes());
    for lease in [0, 1, 9, 10, 100, i32::MAX.unsigned_abs(), u32::MAX - 1, u32::MAX] {
        for (t1, t2) in [(0, 0), (0, 1), (1, 0), (u32::MAX, u32::MAX), (50, 60)] {
            let options = [number(51, lease), number(58, t1), number(59, t2)].concat();
            parse::packet(&ack(&[], &[], &options));
            let lease = Lease::new(reply(&ack(&[], &[], &options)), None, Instant::ZERO).unwrap();
            assert!(lease.term.is_none_or(|t| t.renew_at >= Instant::from_secs(5)), "{options:?}");
        }
    }
}

/// TunnelVision CVE-2024-3661 and kin: routes that lead loopback, multicast, or everything through nobody.
#[test]
fn routes_astray() {
    let list = [8, 127, 192, 0, 2, 1, 4, 224, 192, 0, 2, 1, 8, 10, 127, 0, 0, 1, 8, 11, 255, 255, 255, 255];
    for (code, name) in [(121, "staticroutes"), (249, "msstaticroutes")] {
        let options = [&GOOD[..], &option(code, &list)].concat();
        assert_eq!(value(&options, name).as_deref(), Some(""));
        assert!(!published(&options).contains("routes["));
    }
    let options = [&GOOD[..], &option(3, &[127, 0, 0, 1, 224, 0, 0, 1])].concat();
    assert_eq!(value(&options, "router").as_deref(), Some(""));
    assert!(!published(&options).contains("gw["));
}

/// dhcpcd's time zone hook: the name of a zone is the name of a file.
#[test]
fn path_traversal() {
    for (zone, seen) in
        [("Europe/Berlin", true), ("../../../etc/passwd", false), ("/etc/passwd", false), ("a/../../b", false)]
    {
        let options = [&GOOD[..], &option(101, zone.as_bytes())].concat();
        assert_eq!(value(&options, "tzdbstr"), seen.then(|| zone.to_owned()));
        assert!(!published(&options).contains(zone));
    }
}
