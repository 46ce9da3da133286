//! The corpus of the fuzz targets and every option with odd lengths, as a server on the wire: the client neither ends nor grows,
//! shows nothing but printable ASCII, and takes a good offer afterwards.

use super::server::{ACK, Answer, Asked, DISCOVER, OFFER, REQUEST, count, send, serve};
use super::{calls, native, net, polite, published, script, udhcpc, wait_call};
use lab::{wait_for, wait_for_within};
use netif::Mac;
use netif::link::query;
use netif::packet::{Listen, PacketSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIFE: Duration = Duration::from_secs(110);
const FLOODS: usize = 12;

/// Messages of strangers, answering what was asked.
fn corpus() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/packet");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|f| std::fs::read(f).unwrap()).collect()
}

/// Resident kilobytes of a process and its children.
fn resident(pid: i32) -> usize {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let all = children.split_whitespace().map(|p| p.parse().unwrap()).chain([pid]);
    let of = |pid: i32| -> usize {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
        line.trim_end_matches("kB").trim().parse().unwrap()
    };
    all.map(of).sum()
}

/// The corpus and 2000 further messages, a part as answers to each DISCOVER: as many as a socket's buffer holds.
#[test]
fn corpus_on_the_wire() {
    lab::test_within(LIFE, |lab| {
        let (host, _cable) = net(lab);
        let corpus = corpus();
        assert!(corpus.len() > 30);
        let client_pid = Arc::new(AtomicI32::new(0));
        let memory = Arc::<Mutex<Vec<usize>>>::default();
        let (pid, sizes) = (Arc::clone(&client_pid), Arc::clone(&memory));
        serve("isp", move |asked| {
            let round = sizes.lock().unwrap().len();
            if asked.kind != DISCOVER || round >= FLOODS {
                return polite(asked);
            }
            sizes.lock().unwrap().push(resident(pid.load(Ordering::SeqCst)));
            let odd = (0..=255_u8).flat_map(|code| (0..8).map(move |i| odd(asked, code, i)));
            corpus.iter().map(|m| Answer::copy(asked, m)).chain(odd).skip(round).step_by(FLOODS).collect()
        });
        let hook = script(lab, "hook");
        let client = udhcpc(lab, &host, &hook, "-t 0 -T 1 --state ''").spawn();
        client_pid.store(client.pid(), Ordering::SeqCst);
        wait_for_within("a lease after the floods", LIFE, || calls(lab, "hook").iter().any(|c| c.action == "bound"));
        assert_eq!(wait_call(lab, "hook", "bound", 1).var("ip"), "192.0.2.7");
        let sizes = memory.lock().unwrap().clone();
        assert_eq!(sizes.len(), FLOODS, "no flood led to a lease");
        // After two floods it has what it will need for any number of them.
        assert!(sizes[FLOODS - 1] <= sizes[2] + 64, "grew: {sizes:?} kB");
        for call in calls(lab, "hook") {
            for (name, value) in call.vars {
                assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{name}={value:?}");
            }
        }
    });
}

/// Offers with every option of every length, sent no faster than they are read: all are heard, nothing grows, and the good offer
/// after them is taken. What such values become in a script, in files and published is looked at by `fuzz/hostile.rs`.
#[test]
fn every_option_with_every_length_on_the_wire() {
    lab::test_within(LIFE, |lab| {
        let (host, _cable) = net(lab);
        let over = Arc::new(AtomicBool::new(false));
        let good = Arc::clone(&over);
        let heard = serve("isp", move |asked| if good.load(Ordering::SeqCst) { polite(asked) } else { vec![] });
        let client = udhcpc(lab, &host, &script(lab, "hook"), "-t 0 -T 1 --state '' --stats stats").spawn();
        wait_for("the DISCOVER", || count(&heard, DISCOVER) > 0);
        let asked = heard.lock().unwrap()[0].clone();
        let mac = Mac(asked.bytes[28..34].try_into().unwrap());
        let socket = PacketSocket::open(query("isp".parse().unwrap()).unwrap().index, Listen::Arp).unwrap();
        let mut sizes = Vec::new();
        for code in 0..=255_u8 {
            let base = Answer::new(&asked, OFFER).to([127, 0, 0, 1]);
            let with = |len: u8| base.clone().raw(&[code, len]).raw(&vec![code ^ len; len.into()]).raw(&[255]);
            let offers: Vec<Answer> = (0..=255).map(with).collect();
            for some in offers.chunks(64) {
                send(&socket, mac, some);
                wait_for("them to be read", || unread(client.pid()) == 0);
            }
            sizes.push(resident(client.pid()));
        }
        assert!(sizes[255] <= sizes[31] + 64, "grew: {sizes:?} kB");
        over.store(true, Ordering::SeqCst);
        assert_eq!(wait_call(lab, "hook", "bound", 1).var("ip"), "192.0.2.7");
        let refused = || -> u32 {
            let text = std::fs::read_to_string(lab.path("stats")).unwrap_or_default();
            let lines = text.lines().filter(|l| l.starts_with("ignored_") || l.starts_with("dropped_"));
            lines.filter_map(|l| l.split(' ').nth(1)?.parse::<u32>().ok()).sum()
        };
        wait_for(&format!("65536 to be counted, not {}", refused()), || refused() == 65536);
    });
}

/// Bytes that wait in the packet sockets of a process's network namespace.
fn unread(pid: i32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/packet")).unwrap();
    text.lines().skip(1).filter_map(|l| l.split_whitespace().nth(6)?.parse::<usize>().ok()).sum()
}

/// Shell metacharacters, control characters and escapes in every option that is a string, and in the two fields.
#[test]
fn hostile_strings() {
    const EVIL: &[u8] = b"$(touch /tmp/pwned)`touch /tmp/pwned`\n'\"\\\x1b]\x07\xff\xa4;|&<>";
    fn evil(asked: &Asked, kind: u8) -> Answer {
        let mut answer = Answer::new(asked, kind).lease(3600);
        for code in [12, 15, 17, 40, 56, 60, 64, 66, 67, 77, 100, 101, 114, 209, 210, 252, 43, 82] {
            answer = answer.with(code, EVIL);
        }
        let name = [&[u8::try_from(EVIL.len()).unwrap()], EVIL, &[0]].concat();
        answer.with(119, &name).with(120, &[&[0], name.as_slice()].concat()).fields(EVIL, EVIL)
    }
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        serve("isp", |asked| match asked.kind {
            DISCOVER => vec![evil(asked, OFFER)],
            REQUEST => vec![evil(asked, ACK)],
            _ => vec![],
        });
        let script = script(lab, "hook");
        let client = udhcpc(lab, &host, &script, "-q").output();
        assert_eq!(client.code, 0, "{}", client.stderr);
        let bound = wait_call(lab, "hook", "bound", 1);
        for (name, value) in &bound.vars {
            assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{name}={value:?}");
        }
        for name in ["hostname", "domain", "nisdomain", "tftp"] {
            assert_eq!(bound.var(name), "bad");
        }
        assert_eq!(bound.var("search"), "");

        let client = native(lab, &host, "--state ''");
        client.wait_line("dhcpc: eth0: bound *");
        client.wait_line("dhcpc: warning: eth0: domain *");
        let text = published(lab).unwrap();
        assert!(!text.contains("touch"), "{text}");
        let file = lab.path("fw/dhcp_eth0.ipconf");
        lab.cmd("bash").args(["-c", ". \"$1\" && echo ${ip[1]}", "bash"]).arg(file).prints("192.0.2.7\n");
        assert!(client.stderr().bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)));
        assert!(!Path::new("/tmp/pwned").exists());
    });
}

/// A thousand offers that nobody wants leave four lines: the first of each kind, and their number once ten seconds are over.
#[test]
fn a_flood_does_not_fill_the_log() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let mut rounds = 0;
        serve("isp", move |asked| {
            rounds += 1;
            if asked.kind != DISCOVER || rounds > 6 {
                return polite(asked);
            }
            let rejected = Answer::from(asked, OFFER, [203, 0, 113, 9]).lease(3600);
            let nowhere = Answer::new(asked, OFFER).to([127, 0, 0, 1]).lease(3600);
            (0..100).flat_map(|_| [rejected.clone(), nowhere.clone()]).collect()
        });
        let options = "--reject-server 203.0.113.0/24 --first-retry 50 --state '' --stats stats";
        let client = udhcpc(lab, &host, &script(lab, "hook"), options).spawn();
        client.wait_line("udhcpc: eth0: bound *");
        client.wait_line("*: not taken: replies from rejected servers: # more in 10 s");
        client.wait_line("*: ignored: addresses that no host can have: # more in 10 s");
        let about = |word: &str| client.stderr().lines().filter(|l| l.contains(word)).count();
        assert_eq!((about("not taken"), about("no host can have"), about("127.0.0.1")), (2, 1, 1));
        let counted = |name: &str| {
            let text = lab.read("stats");
            text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u32>().ok()).unwrap_or(0)
        };
        wait_for("the counters", || counted("ignored_policy") > 300 && counted("ignored_no_host_address") > 300);
    });
}

/// No offer, for its address is none; one option that is longer or shorter than it should be.
fn odd(asked: &Asked, code: u8, i: u8) -> Answer {
    let kind = if i.is_multiple_of(2) { OFFER } else { ACK };
    let base = Answer::new(asked, kind).to([127, 0, 0, 1]).lease(3600);
    match i / 2 {
        0 => base.raw(&[code, i]),
        1 => base.raw(&[code, 255, 1, 2, 3]),
        2 => base.with(code.clamp(1, 254), &[0xff; 600]),
        _ => base.with(code.clamp(1, 254), &vec![code; usize::from(code)]),
    }
}
