//! Golden packets, fixtures for each rule of the reader, and hostile bytes.

use super::*;
use netif::random::Random;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const EXPECT: Expect<'static> = Expect { mac: MAC, client_id: Some(&[1, 2, 0, 0, 0, 0, 7]) };

fn profile() -> Profile {
    Profile {
        client_id: ClientId::Mac,
        max_size: 1500,
        requested: vec![1, 121, 3],
        options: vec![(12, b"bbox".to_vec()), (60, b"v".to_vec()), (77, b"z".to_vec())],
        broadcast: false,
        rapid_commit: false,
    }
}

/// The fixed part up to the options.
fn header(op: u8, xid: u32, secs: u16, flags: u16, ciaddr: Ipv4Addr) -> Vec<u8> {
    let mut h = vec![op, 1, 6, 0];
    h.extend(xid.to_be_bytes());
    h.extend(secs.to_be_bytes());
    h.extend(flags.to_be_bytes());
    h.extend(ciaddr.octets());
    h.resize(28, 0);
    h.extend(MAC);
    h.resize(236, 0);
    h.extend([0x63, 0x82, 0x53, 0x63]);
    h
}

/// What [`profile`] adds to a DISCOVER or REQUEST after the addresses.
const COMMON: &[u8] = &[
    57, 2, 5, 0xdc, 55, 3, 1, 121, 3, 12, 4, b'b', b'b', b'o', b'x', 60, 1, b'v', 61, 7, 1, 2, 0, 0, 0, 0, 7, 77, 1,
    b'z', 255,
];

#[track_caller]
fn golden(body: Body, ciaddr: Ipv4Addr, secs: u16, options: &[u8]) {
    let sent = encode(&Request { xid: 0x0102_0304, secs: 9, broadcast: false, body }, &profile(), MAC);
    let mut want = header(1, 0x0102_0304, secs, 0, ciaddr);
    want.extend_from_slice(options);
    want.resize(want.len().max(300), 0);
    assert_eq!(sent, want);
}

#[test]
fn golden_discover() {
    golden(Body::Discover { wish: None }, Ipv4Addr::UNSPECIFIED, 9, &[&[53, 1, 1], COMMON].concat());
    golden(
        Body::Discover { wish: Some(ADDRESS) },
        Ipv4Addr::UNSPECIFIED,
        9,
        &[&[53, 1, 1, 50, 4, 192, 0, 2, 7], COMMON].concat(),
    );
}

/// D24: option 80 in DISCOVER only, in its place.
#[test]
fn golden_d24_rapid_commit() {
    let p = Profile { rapid_commit: true, options: vec![(60, b"v".to_vec()), (81, b"z".to_vec())], ..profile() };
    let ask = |body| encode(&Request { xid: 1, secs: 0, broadcast: false, body }, &p, MAC);
    let common = [57, 2, 5, 0xdc, 55, 3, 1, 121, 3, 60, 1, b'v', 61, 7, 1, 2, 0, 0, 0, 0, 7];
    let discover = ask(Body::Discover { wish: None });
    assert_eq!(discover[240..272], [[53, 1, 1].as_slice(), &common, &[80, 0, 81, 1, b'z', 255, 0, 0]].concat()[..32]);
    let request = ask(Body::Reboot { address: ADDRESS });
    assert!(!request.windows(2).any(|w| w == [80, 0]));
}

/// D15: the parameter list is the same in every message that has one.
#[test]
fn d15_same_parameter_list() {
    let list = |body| {
        let m = encode(&Request { xid: 1, secs: 0, broadcast: false, body }, &profile(), MAC);
        m.windows(5).any(|w| w == [55, 3, 1, 121, 3])
    };
    assert!(list(Body::Discover { wish: None }));
    assert!(list(Body::Select { server: Some(SERVER), address: ADDRESS }));
    assert!(list(Body::Reboot { address: ADDRESS }) && list(Body::Extend { address: ADDRESS }));
    assert!(!list(Body::Release { server: SERVER, address: ADDRESS }));
}

/// D04: SELECTING carries the chosen server and address, ciaddr zero, the same parameter list.
#[test]
fn golden_d04_select() {
    golden(
        Body::Select { server: Some(SERVER), address: ADDRESS },
        Ipv4Addr::UNSPECIFIED,
        9,
        &[&[53, 1, 3, 50, 4, 192, 0, 2, 7, 54, 4, 192, 0, 2, 1], COMMON].concat(),
    );
}

/// D05: INIT-REBOOT carries the address and no server.
#[test]
fn golden_d05_reboot() {
    golden(
        Body::Reboot { address: ADDRESS },
        Ipv4Addr::UNSPECIFIED,
        9,
        &[&[53, 1, 3, 50, 4, 192, 0, 2, 7], COMMON].concat(),
    );
}

/// D06: RENEWING and REBINDING carry ciaddr and neither 50 nor 54.
#[test]
fn golden_d06_extend() {
    golden(Body::Extend { address: ADDRESS }, ADDRESS, 9, &[&[53, 1, 3], COMMON].concat());
}

/// D11: DECLINE and RELEASE: secs and flags zero, nothing but the addresses and the client id.
#[test]
fn golden_d11_decline_and_release() {
    let id = [61, 7, 1, 2, 0, 0, 0, 0, 7, 255];
    golden(
        Body::Decline { server: Some(SERVER), address: ADDRESS },
        Ipv4Addr::UNSPECIFIED,
        0,
        &[[53, 1, 4, 50, 4, 192, 0, 2, 7, 54, 4, 192, 0, 2, 1].as_slice(), &id].concat(),
    );
    golden(
        Body::Release { server: SERVER, address: ADDRESS },
        ADDRESS,
        0,
        &[[53, 1, 7, 54, 4, 192, 0, 2, 1].as_slice(), &id].concat(),
    );
}

#[test]
fn broadcast_flag_only_without_an_address() {
    let p = Profile { broadcast: true, client_id: ClientId::None, requested: vec![], options: vec![], ..profile() };
    let flags = |body| {
        let m = encode(&Request { xid: 1, secs: 0, broadcast: false, body }, &p, MAC);
        assert_eq!(m.len(), 300);
        u16::from_be_bytes([m[10], m[11]])
    };
    assert_eq!(flags(Body::Discover { wish: None }), 0x8000);
    assert_eq!(flags(Body::Extend { address: ADDRESS }), 0);
    assert_eq!(flags(Body::Decline { server: None, address: ADDRESS }), 0);
    let p = Profile { broadcast: false, ..p };
    let m = encode(&Request { xid: 1, secs: 0, broadcast: true, body: Body::Discover { wish: None } }, &p, MAC);
    assert_eq!(m[10..12], [0x80, 0], "this once");
}

#[test]
fn long_options_are_sent_in_pieces() {
    let p = Profile { options: vec![(43, vec![7; 600])], ..profile() };
    let m = encode(&Request { xid: 1, secs: 0, broadcast: false, body: Body::Discover { wish: None } }, &p, MAC);
    let mut o = Options::default();
    let mut reply = m.clone();
    reply[0] = 2;
    let at = reply.windows(3).position(|w| w == [53, 1, 1]).unwrap();
    reply[at + 2] = 2;
    o.clone_from(&decode(&reply, &EXPECT).unwrap().options);
    assert_eq!(o.value(43), Some(vec![7; 600].as_slice()));
}

fn reply(options: &[u8]) -> Vec<u8> {
    let mut m = header(2, 5, 0, 0, Ipv4Addr::UNSPECIFIED);
    m[16..20].copy_from_slice(&ADDRESS.octets());
    m.extend_from_slice(options);
    m
}

fn read(options: &[u8]) -> Options {
    decode(&reply(options), &EXPECT).unwrap().options
}

#[test]
fn reads_an_ack() {
    let mut m = reply(&[53, 1, 5, 54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 255]);
    m[20..24].copy_from_slice(&[10, 0, 0, 1]);
    m[24..28].copy_from_slice(&[10, 0, 0, 2]);
    m[44..48].copy_from_slice(b"srv\0");
    m[108..112].copy_from_slice(b"boot");
    let r = decode(&m, &EXPECT).unwrap();
    assert_eq!((r.kind, r.xid, r.address), (ReplyKind::Ack, 5, ADDRESS));
    assert_eq!((r.next_server, r.relay), (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)));
    assert_eq!((r.server_name.as_slice(), r.boot_file.as_slice()), (b"srv".as_slice(), b"boot".as_slice()));
    assert_eq!(r.options.address(code::SERVER_ID), Some(SERVER));
    assert_eq!(r.options.u32(code::LEASE_TIME), Some(3600));
    assert_eq!(*r.raw, *m);
}

/// D36: each checked field wrong once, and the same message right again.
#[test]
fn d36_replies_for_others_are_refused() {
    let good = reply(&[53, 1, 2, 255]);
    let wrong = |at: usize, value: u8| {
        let mut m = good.clone();
        m[at] = value;
        decode(&m, &EXPECT).err()
    };
    assert_eq!(wrong(0, 1), Some(Refused::Op));
    assert_eq!(wrong(1, 6), Some(Refused::Hardware));
    assert_eq!(wrong(2, 16), Some(Refused::Hardware));
    assert_eq!(wrong(2, 255), Some(Refused::Hardware));
    assert_eq!(wrong(33, 8), Some(Refused::Address));
    assert_eq!(wrong(236, 0), Some(Refused::Cookie));
    assert_eq!(wrong(242, 1), Some(Refused::Type));
    assert_eq!(wrong(241, 2), Some(Refused::Type));
    for n in 0..240 {
        assert_eq!(decode(&good[..n], &EXPECT), Err(Refused::Short));
    }
    assert_eq!(decode(&good[..240], &EXPECT), Err(Refused::Type));
    assert!(decode(&good, &EXPECT).is_ok());
}

/// D22: an echoed client id must be ours (RFC 6842 §3), none at all is fine.
#[test]
fn d22_client_id_echo() {
    let echo = |id: &[u8]| {
        let mut o = vec![53, 1, 2, 61, u8::try_from(id.len()).unwrap()];
        o.extend_from_slice(id);
        decode(&reply(&o), &EXPECT).err()
    };
    assert_eq!(echo(&[1, 2, 0, 0, 0, 0, 7]), None);
    assert_eq!(echo(&[1, 2, 0, 0, 0, 0, 8]), Some(Refused::ClientId));
    assert_eq!(echo(&[1]), Some(Refused::ClientId));
}

/// D14: overload, in the order options, file, sname.
#[test]
fn d14_overload() {
    for (overload, want) in [(1, b"ab".as_slice()), (2, b"ac"), (3, b"abc"), (4, b"a")] {
        let mut m = reply(&[53, 1, 5, 52, 1, overload, 15, 1, b'a', 255]);
        m[108..112].copy_from_slice(&[15, 1, b'b', 255]);
        m[44..48].copy_from_slice(&[15, 1, b'c', 255]);
        let r = decode(&m, &EXPECT).unwrap();
        assert_eq!(r.options.value(code::DOMAIN), Some(want), "overload {overload}");
        assert_eq!(r.boot_file.is_empty(), overload & 1 != 0 && overload < 4);
        assert_eq!(r.server_name.is_empty(), overload & 2 != 0 && overload < 4);
    }
    // The type may itself sit in the overloaded field.
    let mut m = reply(&[52, 1, 1, 255]);
    m[108..112].copy_from_slice(&[53, 1, 2, 255]);
    assert_eq!(decode(&m, &EXPECT).map(|r| r.kind), Ok(ReplyKind::Offer));
}

/// D19, D18: pointers count from the start of the joined option, also across its pieces.
#[test]
fn d19_names_over_two_pieces() {
    let o = read(&[53, 1, 5, 119, 6, 1, b'a', 2, b'e', b'x', 0, 0, 119, 4, 1, b'b', 0xc0, 2, 255]);
    assert_eq!(name::decode_list(o.value(code::SEARCH).unwrap()), ["a.ex", "b.ex"]);
}

/// D38: what relays add for themselves changes nothing.
#[test]
fn d38_relay_options_are_ignored() {
    let plain = decode(&reply(&[53, 1, 5, 54, 4, 192, 0, 2, 1, 255]), &EXPECT).unwrap();
    let relayed =
        decode(&reply(&[53, 1, 5, 54, 4, 192, 0, 2, 1, 82, 12, 5, 4, 10, 0, 0, 1, 11, 4, 10, 0, 0, 2, 255]), &EXPECT);
    let relayed = relayed.unwrap();
    assert_eq!((relayed.kind, relayed.address), (plain.kind, plain.address));
    let lease = |r: Reply| crate::lease::Lease::new(r, None, sys::clock::Instant::ZERO).unwrap();
    let (a, b) = (lease(plain), lease(relayed));
    assert_eq!((a.server, a.term, a.gateway()), (b.server, b.term, b.gateway()));
}

/// D18: pieces of one option are joined, with padding and other options between.
#[test]
fn d18_joining() {
    let o = read(&[53, 1, 5, 121, 2, 24, 10, 0, 0, 121, 3, 17, 0, 1, 6, 4, 9, 9, 9, 9, 121, 3, 2, 3, 4, 255]);
    assert_eq!(o.value(121), Some([24, 10, 17, 0, 1, 2, 3, 4].as_slice()));
    assert_eq!(o.addresses(code::DNS), [Ipv4Addr::new(9, 9, 9, 9)]);
}

/// D16: wrong lengths void one option only; a missing END and an unknown option are fine.
#[test]
fn d16_lengths() {
    let o = read(&[53, 1, 5, 51, 3, 1, 2, 3, 6, 5, 9, 9, 9, 9, 1, 54, 4, 1, 1, 1, 1, 200, 0, 26, 2, 5, 0xdc]);
    assert_eq!(o.u32(code::LEASE_TIME), None);
    assert!(o.addresses(code::DNS).is_empty());
    assert_eq!(o.address(code::SERVER_ID), Some(Ipv4Addr::new(1, 1, 1, 1)));
    assert_eq!(o.value(200), Some([].as_slice()));
    assert_eq!(o.u16(code::MTU), Some(1500));
    // Cut in the middle of an option: what came before counts.
    assert_eq!(read(&[53, 1, 5, 54, 4, 1, 1]).address(code::SERVER_ID), None);
}

/// dhcproto's code type maps every number there and back; the reader relies on it.
#[test]
fn every_code_survives() {
    for c in 1..=254_u8 {
        if c != code::MESSAGE_TYPE && c != code::OVERLOAD && c != code::CLIENT_ID {
            assert_eq!(read(&[53, 1, 5, c, 1, 77]).value(c), Some([77].as_slice()), "{c}");
        }
    }
}

/// Mutated and random packets through everything that touches them: no panic, and values never exceed the packet.
#[test]
fn hostile_packets() {
    let mut random = Random::new(1);
    let mut seed = reply(&[
        53, 1, 5, 54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 121, 8, 24, 10, 17, 0, 1, 2, 3, 4,
        119, 9, 1, b'a', 1, b'b', 0, 1, b'c', 0xc0, 0, 52, 1, 3, 120, 3, 0, 1, b'x', 81, 3, 0, 0, 0, 212, 2, 8, 8, 255,
    ]);
    seed.resize(400, 0);
    let mut accepted = 0;
    for round in 0..200_000_u32 {
        let mut m = if round % 8 == 0 {
            (0..random.below(700)).map(|_| random.bits32().to_le_bytes()[0]).collect()
        } else {
            seed.clone()
        };
        for _ in 0..random.below(6) {
            if let Some(byte) = m.get_mut(usize::try_from(random.below(400)).unwrap()) {
                *byte = random.bits32().to_le_bytes()[0];
            }
        }
        if round % 16 == 0 {
            m.truncate(usize::try_from(random.below(400)).unwrap());
        } else if round % 3 == 0 && m.len() > 300 {
            // Concentrate on the options.
            let at = 240 + usize::try_from(random.below(60)).unwrap();
            m[at] = random.bits32().to_le_bytes()[0];
        }
        if let Ok(r) = decode(&m, &EXPECT) {
            accepted += 1;
            assert!(r.options.iter().map(|(_, v)| v.len()).sum::<usize>() <= m.len());
            for (name, value) in crate::environment::variables(&r, &crate::environment::Export::default()) {
                assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{name}={value:?}");
            }
        }
    }
    assert!(accepted > 50_000, "only {accepted} got past the border");
}
