//! What is fuzzed: each function takes any bytes, and panics if something that must hold does not.
//!
//! Shared by the libFuzzer targets (`targets/`, started by `run`) and by the test that replays the corpus (`replay.rs`).

use dhcpc::environment::{Export, is_ours, variables};
use dhcpc::lease::{Lease, is_host};
use dhcpc::message::{Expect, Reply, ReplyKind, decode};
use dhcpc::options::routes::classless;
use dhcpc::remember::{self, Now, Remembered};
use netif::ipconf::{Entry, File, write};
use netif::publish::environment::{Verdict, from_environment};
use std::net::Ipv4Addr;
use std::time::Duration;
use sys::clock::{Instant, Wall};

/// The clocks of every run: nothing here depends on the time of day.
const NOW: Now = Now { boot: Instant::from_secs(1000), wall: Wall { secs: 1_700_000_000, nanos: 0 }, boot_id: [7; 16] };
/// Of the client in the lease files.
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

/// A server's message as a UDP payload -> a reply -> a lease.
///
/// The client is the one the message is for, or the filter in front would be all that is ever tested.
pub(crate) fn packet(data: &[u8]) {
    let Some(reply) = read(data) else { return };
    let held: usize = reply.options.iter().map(|(_, value)| value.len()).sum();
    assert!(held + reply.boot_file.len() + reply.server_name.len() <= data.len(), "values out of nothing");
    assert_eq!(*reply.raw, *data);
    for (code, value) in reply.options.iter() {
        assert_eq!(reply.options.value(code), Some(value), "each code once");
        assert!(classless(value).all(|r| r.len <= 32));
    }
    let kind = reply.kind;
    let Ok(lease) = Lease::new(reply, Some(Ipv4Addr::new(192, 0, 2, 1)), NOW.boot) else { return };
    assert!(is_host(lease.address()));
    assert!(lease.server.is_none_or(is_host) && lease.gateway().is_none_or(is_host));
    assert!(lease.prefix_len().is_none_or(|len| (1..=32).contains(&len)));
    in_order(&lease);
    in_order(&lease.clone().default_times(NOW.boot));
    in_order(&lease.fuzzed(&mut netif::random::Random::new(1)));
    // What is kept for the next start comes back.
    let mac = mac_of(data);
    if kind == ReplyKind::Ack && lease.ack.raw.len() <= usize::from(u16::MAX) {
        let file = remember::encode(&lease, None, mac, &NOW);
        match remember::read(&file, &Expect { mac, client_id: None }, &NOW) {
            Ok((Remembered::Lease(again), _)) => {
                assert_eq!((again.address(), &again.ack), (lease.address(), &lease.ack));
            }
            other => panic!("a lease just written is read as {other:?}"),
        }
    }
}

/// The options (and, where the first byte says so, `sname` and `file`) of an ACK -> the script's environment -> what is
/// published natively.
pub(crate) fn environment(data: &[u8]) {
    let Some((&flags, rest)) = data.split_first() else { return };
    let mut m = vec![2, 1, 6, 0, 0, 0, 0, 5];
    m.resize(16, 0);
    m.extend([192, 0, 2, 7]);
    m.resize(28, 0);
    m.extend(MAC);
    m.resize(44, 0);
    let fields = if flags & 1 == 1 { rest.len().min(192) } else { 0 };
    m.extend(&rest[..fields]);
    m.resize(236, 0);
    m.extend([99, 130, 83, 99, 53, 1, 5]);
    m.extend(&rest[fields..]);
    let Some(reply) = read(&m) else { return };
    for as_busybox in [false, true] {
        let only = if flags & 2 == 2 { Some(vec![1, 3, 6, 12, 15, 121]) } else { None };
        let set = variables(&reply, &Export { only, as_busybox, ..Export::default() });
        for (name, value) in &set {
            assert!(is_ours(name.as_bytes()), "{name}: no name of ours");
            assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{name}={value:?}");
            // A name of one byte per label takes two on the wire and is at most 255 long; 64 of them are taken.
            assert!(value.len() <= 64 * 256 + 8 * m.len(), "{name} grows to {}", value.len());
        }
        let mut names: Vec<_> = set.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), set.len(), "a variable twice");
        let own = [("interface".to_owned(), "eth0".to_owned())];
        let Ok((Verdict::Publish(facts), _)) = from_environment("bound", own.into_iter().chain(set)) else { continue };
        let records: Vec<_> = facts.entries.iter().map(Entry::record).collect();
        let text = write(&records, &[]).expect("what is published can be written");
        let file = File::parse(&text).expect("what is written can be read");
        assert_eq!(file.records, records);
        let typed: Vec<_> = file.records.iter().map(|r| Entry::from_record(r).map(|e| e.record())).collect();
        assert_eq!(typed, records.into_iter().map(Ok).collect::<Vec<_>>());
    }
}

/// A lease file, with the right checksum behind it: it is there against accidents, not against strangers.
pub(crate) fn lease_file(data: &[u8]) {
    let expect = Expect { mac: MAC, client_id: None };
    let _ = remember::read(data, &expect, &NOW);
    let whole = [data, &crc32(data).to_be_bytes()].concat();
    match remember::read(&whole, &expect, &NOW) {
        Ok((Remembered::Lease(lease), neighbour)) => {
            assert!(is_host(lease.address()) && !lease.is_over(NOW.boot));
            in_order(&lease);
            assert!(neighbour.is_none_or(|n| Some(n.address) == lease.gateway()));
            let granted = Lease::new(lease.ack.clone(), None, NOW.boot).expect("it was one").term;
            match (lease.term, granted) {
                (Some(left), Some(all)) => assert!(left.expires_at <= all.expires_at, "more time than granted"),
                (None, None) => {}
                (left, all) => panic!("{left:?} of {all:?}"),
            }
        }
        Ok((Remembered::Address(address), _)) => assert!(is_host(address)),
        Err(_) => {}
    }
}

/// An `.ipconf` file: what is read can be written, and then reads the same.
pub(crate) fn ipconf(data: &[u8]) {
    let Ok(file) = File::parse(data) else { return };
    let Ok(text) = write(&file.records, &["a comment"]) else { return };
    let again = File::parse(&text).expect("what is written can be read");
    assert_eq!(again, file);
    for record in &file.records {
        if let Ok(entry) = Entry::from_record(record) {
            let typed = entry.record();
            let text = write(std::slice::from_ref(&typed), &[]).expect("typed values can be written");
            let file = File::parse(&text).expect("what is written can be read");
            assert_eq!(Entry::from_record(&file.records[0]).map(|e| e.record()), Ok(typed));
        }
    }
    let _ = file.entries();
}

fn read(data: &[u8]) -> Option<Reply> {
    decode(data, &Expect { mac: mac_of(data), client_id: None }).ok()
}

/// `chaddr`.
fn mac_of(data: &[u8]) -> [u8; 6] {
    data.get(28..34).and_then(|b| b.try_into().ok()).unwrap_or_default()
}

/// T1 before T2 before the end, none of them before now and none beyond what 32 bits of seconds can say.
fn in_order(lease: &Lease) {
    if let Some(t) = lease.term {
        assert!(NOW.boot <= t.renew_at && t.renew_at <= t.rebind_at && t.rebind_at <= t.expires_at, "{t:?}");
        assert!(t.expires_at.since(NOW.boot) <= Duration::from_secs(u64::from(u32::MAX)));
    }
}

/// As in the lease file.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}
