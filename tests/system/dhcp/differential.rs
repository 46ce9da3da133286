//! Generated ACKs, odd ones among them, to our client and to busybox's: the scripts of both see the same. Where they are to
//! differ (docs/compatibility.md) ours is made from busybox's by a rule, never by the value.

use super::server::{ACK, Answer, DISCOVER, OFFER, serve};
use lab::{Lab, Netns, peer};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// ACKs of one test; there are four tests.
const ROUNDS: u64 = 52;
/// Bytes of options in one ACK: busybox does not take packets longer than 656 bytes.
const ROOM: usize = 330;

type Variables = BTreeMap<String, Vec<u8>>;

/// What varies between two ACKs.
#[derive(Clone, Debug, Default)]
struct Content {
    options: Vec<(u8, Vec<u8>)>,
    /// Where padding goes, and a long value is cut in two.
    loose: bool,
    /// The `sname` and `file` fields, and option 52 if they hold options.
    sname: Vec<u8>,
    file: Vec<u8>,
    overload: u8,
    next_server: [u8; 4],
    relay: [u8; 4],
}

#[test]
fn same_environment_1() {
    lab::test_within(Duration::from_secs(110), |lab| same_environment(lab, 1));
}

#[test]
fn same_environment_2() {
    lab::test_within(Duration::from_secs(110), |lab| same_environment(lab, 2));
}

#[test]
fn same_environment_3() {
    lab::test_within(Duration::from_secs(110), |lab| same_environment(lab, 3));
}

#[test]
fn same_environment_4() {
    lab::test_within(Duration::from_secs(110), |lab| same_environment(lab, 4));
}

fn same_environment(lab: &Lab, part: u64) {
    let current = Arc::new(Mutex::new(Content::default()));
    let street = |name: &str, port: &str| {
        let host = lab.netns(name);
        let cable = lab.cable((&host, "eth0"), (&lab.net(), port));
        host.wait_carrier("eth0", true);
        let current = Arc::clone(&current);
        serve(port, move |asked| {
            let kind = if asked.kind == DISCOVER { OFFER } else { ACK };
            vec![current.lock().unwrap().answer(asked, kind)]
        });
        (host, cable)
    };
    let (ours, theirs) = (street("ours", "isp1"), street("theirs", "isp2"));
    let mut differences = String::new();
    for round in 0..ROUNDS {
        let content = Content::generate(&mut Dice(part * 1000 + round));
        current.lock().unwrap().clone_from(&content);
        let a = client(lab, &ours.0, "ours", lab.cmd("udhcpc").args(["--state", ""]));
        let b = client(lab, &theirs.0, "theirs", lab.cmd(peer("busybox")).arg("udhcpc"));
        let (mut a, b) = (a(), expected(&b()));
        // Ours alone: the first beside opt114.
        a.remove("captive_portal");
        a.remove("opt52");
        for name in a.keys().chain(b.keys().filter(|n| !a.contains_key(*n))) {
            let show = |v: &Variables| v.get(name).map(|v| String::from_utf8_lossy(v).into_owned());
            let excused = matches!(name.as_str(), "search" | "sipsrv") && voided(&a, &b, name);
            if show(&a) != show(&b) && !excused {
                differences += &format!("{part}.{round}: {name}: ours {:?}, theirs {:?}\n", show(&a), show(&b));
            }
        }
        if differences.lines().count() > 20 {
            break;
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

/// Starts a client that ends when it is bound; the result waits for that and gives what its script saw.
fn client<'a>(lab: &'a Lab, host: &Netns, name: &str, cmd: lab::Cmd) -> impl FnOnce() -> Variables + 'a {
    let out = lab.path(&format!("seen-{name}"));
    let hook = lab.write(&format!("hook-{name}"), format!("#!/bin/sh\n[ $1 != bound ] || env -0 >{}\n", out.display()));
    lab.cmd("chmod").arg("+x").arg(&hook).ok();
    let _ = std::fs::remove_file(&out);
    let process = cmd.args(["-f", "-q", "-i", "eth0", "-s"]).arg(&hook).netns(host).spawn();
    move || {
        assert_eq!(process.wait(), 0);
        let bytes = std::fs::read(&out).unwrap();
        let pairs = bytes.split(|&b| b == 0).filter_map(|line| {
            let at = line.iter().position(|&b| b == b'=')?;
            let name = String::from_utf8(line[..at].to_vec()).unwrap();
            let ours = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') && name != "_";
            ours.then(|| (name, line[at + 1..].to_vec()))
        });
        pairs.collect()
    }
}

/// The documented differences: what ours is where busybox's is this.
fn expected(theirs: &Variables) -> Variables {
    let words = |v: &[u8]| String::from_utf8_lossy(v).split(' ').map(str::to_owned).collect::<Vec<_>>();
    let host = |a: Ipv4Addr| matches!(a.octets()[0], 1..=126 | 128..=223);
    let subnet: Ipv4Addr = String::from_utf8_lossy(&theirs["subnet"]).parse().unwrap();
    let rule = |name: &str, value: Vec<u8>| -> Vec<u8> {
        let text = match name {
            "timezone" => words(&value).iter().map(|n| signed(n)).collect::<Vec<_>>().join(" "),
            "router" => words(&value).into_iter().filter(|a| a.parse().is_ok_and(host)).collect::<Vec<_>>().join(" "),
            "search" | "sipsrv" => words(&value).into_iter().filter(|n| good_name(n)).collect::<Vec<_>>().join(" "),
            "staticroutes" | "msstaticroutes" => {
                let routes = words(&value);
                let pairs = routes.as_chunks::<2>().0.iter().filter_map(|[net, router]| route(net, router));
                pairs.collect::<Vec<_>>().join(" ")
            }
            // busybox cuts the word that stands for a bad name to the name's length.
            "hostname" | "domain" | "nisdomain" | "tftp" if matches!(value.as_slice(), b"b" | b"ba") => {
                "bad".to_owned()
            }
            // With holes, too, it is the number of bits.
            "mask" => subnet.to_bits().count_ones().to_string(),
            _ => return value.into_iter().filter(|b| (0x20..0x7f).contains(b)).collect(),
        };
        text.into_bytes()
    };
    let escapes = |zone: &[u8]| zone.starts_with(b"/") || zone.windows(2).any(|two| two == b"..");
    let kept = theirs.iter().filter(|(name, value)| *name != "tzdbstr" || !escapes(value));
    kept.map(|(name, value)| (name.clone(), rule(name, value.clone()))).collect()
}

/// One odd name voids busybox's list; ours has what is good.
fn voided(ours: &Variables, theirs: &Variables, name: &str) -> bool {
    let good = |v: &Vec<u8>| String::from_utf8_lossy(v).split(' ').all(good_name);
    theirs.get(name).is_none_or(Vec::is_empty) && ours.get(name).is_none_or(|v| v.is_empty() || good(v))
}

fn good_name(name: &str) -> bool {
    let good = |l: &str| !l.starts_with('-') && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    !name.is_empty() && name.split('.').all(good)
}

/// A time zone west of Greenwich is a negative number.
fn signed(number: &str) -> String {
    number.parse::<u32>().map_or_else(|_| number.to_owned(), |n| n.cast_signed().to_string())
}

/// Host bits masked; none to where no router leads, or through what is none.
fn route(net: &str, router: &str) -> Option<String> {
    let (net, len) = net.split_once('/')?;
    let (net, len): (Ipv4Addr, u32) = (net.parse().ok()?, len.parse().ok()?);
    let net = Ipv4Addr::from(net.to_bits() & u32::MAX.checked_shl(32 - len).unwrap_or(0));
    let via: Ipv4Addr = router.parse().ok()?;
    let first = net.octets()[0];
    let nowhere = len >= 8 && matches!(first, 0 | 127) || len >= 4 && first >= 224;
    let usable = via.is_unspecified() || matches!(via.octets()[0], 1..=126 | 128..=223);
    (!nowhere && usable).then(|| format!("{net}/{len} {router}"))
}

/// A seeded generator (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ z >> 31) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.roll(from.len())]
    }
}

/// Codes by the form of their value (spec: its table of variables).
const LISTS: [u8; 8] = [3, 6, 9, 16, 28, 41, 42, 44];
const HOSTS: [u8; 4] = [12, 15, 40, 66];
const STRINGS: [u8; 9] = [17, 60, 67, 100, 101, 114, 209, 210, 252];
const NUMBERS: [(u8, usize); 11] =
    [(2, 4), (13, 2), (23, 1), (26, 2), (51, 4), (58, 4), (59, 4), (132, 2), (133, 1), (211, 4), (35, 4)];
const UNNAMED: [u8; 12] = [7, 14, 43, 77, 81, 82, 108, 116, 125, 150, 160, 254];

impl Content {
    fn generate(dice: &mut Dice) -> Self {
        let mut content = Self { loose: dice.one_in(3), ..Self::default() };
        content.options.push((51, vec![0, 0, 14, 16]));
        content.options.push((1, if dice.one_in(4) { dice.bytes(4) } else { vec![255, 255, 255, 0] }));
        let mut room = ROOM;
        for _ in 0..dice.roll(24) {
            let (code, value) = option(dice);
            let known = content.options.iter().any(|o| o.0 == code);
            if !known && value.len() + 4 < room {
                room -= value.len() + 4;
                content.options.push((code, value));
            }
        }
        for address in [&mut content.next_server, &mut content.relay] {
            if dice.one_in(3) {
                *address = [10, dice.byte(), dice.byte(), 1];
            }
        }
        match dice.roll(4) {
            0 => content.overload = u8::try_from(1 + dice.roll(3)).unwrap(),
            1 => {}
            _ => {
                content.sname = string(dice);
                content.file = string(dice);
            }
        }
        content
    }

    fn answer(&self, asked: &super::server::Asked, kind: u8) -> Answer {
        let mut areas = [Vec::new(), Vec::new(), Vec::new()];
        if self.overload != 0 {
            areas[0].extend([52, 1, self.overload]);
        }
        for (i, (code, value)) in self.options.iter().enumerate() {
            // A third of the options each, where there is room for them.
            let wanted = [0, 1, 2][i % 3] * usize::from(self.overload != 0);
            let (space, open) = [(400, true), (126, self.overload & 1 != 0), (62, self.overload & 2 != 0)][wanted];
            let area = if open && i > 1 && areas[wanted].len() + value.len() + 5 < space { wanted } else { 0 };
            let area = &mut areas[area];
            if self.loose {
                area.push(0);
            }
            if self.loose && value.len() > 8 {
                let (a, b) = value.split_at(value.len() / 2);
                piece(area, *code, a);
                area.push(0);
                piece(area, *code, b);
            } else {
                piece(area, *code, value);
            }
        }
        let [main, mut file, mut sname] = areas;
        for area in [&mut file, &mut sname] {
            area.push(255);
        }
        let answer = Answer::new(asked, kind).through(self.next_server, self.relay);
        let answer = match self.overload {
            0 => answer.fields(&self.sname[..self.sname.len().min(64)], &self.file[..self.file.len().min(128)]),
            1 => answer.fields(&[], &file),
            2 => answer.fields(&sname, &[]),
            _ => answer.fields(&sname, &file),
        };
        answer.raw(&main).raw(&[255])
    }
}

fn piece(area: &mut Vec<u8>, code: u8, value: &[u8]) {
    area.extend([code, u8::try_from(value.len()).unwrap()]);
    area.extend(value);
}

/// One option: as it should be, or not.
fn option(dice: &mut Dice) -> (u8, Vec<u8>) {
    let odd = dice.one_in(4);
    match dice.roll(8) {
        0 => (LISTS[dice.roll(LISTS.len())], addresses(dice, odd)),
        1 => (HOSTS[dice.roll(HOSTS.len())], host(dice, odd)),
        2 => (STRINGS[dice.roll(STRINGS.len())], string(dice)),
        3 => {
            let (code, len) = NUMBERS[dice.roll(NUMBERS.len())];
            let len = if odd { 1 + dice.roll(2 * len + 1) } else { len };
            (code, dice.bytes(len))
        }
        4 => {
            let code = UNNAMED[dice.roll(UNNAMED.len())];
            let len = 1 + dice.roll(40);
            (code, dice.bytes(len))
        }
        5 => ([121, 249][dice.roll(2)], routes(dice, odd)),
        6 => match dice.roll(3) {
            0 => (119, names(dice, odd)),
            1 => (120, [vec![0], names(dice, odd)].concat()),
            _ => (120, [vec![1], addresses(dice, false)].concat()),
        },
        _ => match dice.roll(2) {
            0 => (33, [addresses(dice, false), addresses(dice, odd)].concat()),
            _ => (212, six_rd(dice, odd)),
        },
    }
}

fn addresses(dice: &mut Dice, odd: bool) -> Vec<u8> {
    let len = 4 * (1 + dice.roll(3));
    if odd {
        let len = len + 1 - dice.roll(3);
        return dice.bytes(len);
    }
    (0..len).map(|_| 1 + dice.byte() % 120).collect()
}

fn host(dice: &mut Dice, odd: bool) -> Vec<u8> {
    if odd {
        return dice
            .pick(&[b"-rf", b"a b", b"x;y", b"a\nb", b"$(id)", b"caf\xc3\xa9", b"a\0b", b"..", b"_x."])
            .to_vec();
    }
    dice.pick(&[b"box", b"box-1.example", b"a_b", b"EXAMPLE.org", b"0", b"nul\0"]).to_vec()
}

fn string(dice: &mut Dice) -> Vec<u8> {
    let from: [&[u8]; 11] = [
        b"/srv/root $x (a) 'b'",
        b"EST5EDT4,M3.2.0/02:00,M11.1.0/02:00",
        b"https://portal.example/?a=b",
        b"line\nline=2",
        b"\x1b[31mred\x07",
        b"\xff\xfe\x80",
        b"cut\0here",
        b"`touch /tmp/x`;\"",
        b" ",
        b"end\r\n",
        b"../../etc/passwd",
    ];
    dice.pick(&from).to_vec()
}

fn routes(dice: &mut Dice, odd: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..1 + dice.roll(4) {
        let len = dice.roll(33);
        out.push(u8::try_from(len).unwrap());
        let net: Vec<u8> = (0..len.div_ceil(8)).map(|_| dice.byte()).collect();
        out.extend(net);
        let router = if dice.one_in(6) { vec![0; 4] } else { dice.bytes(4) };
        out.extend(router);
    }
    if odd {
        let tail = dice.pick(&[&[33, 1, 1, 1, 1, 1, 1, 1, 1, 1], &[24, 10], &[8, 10, 1, 1], &[255]]);
        out.extend(tail);
    }
    out
}

fn names(dice: &mut Dice, odd: bool) -> Vec<u8> {
    let mut out = b"\x03eng\x07example\x03org\x00".to_vec();
    for _ in 0..dice.roll(3) {
        out.extend(dice.pick(&[b"\x03lab\xc0\x04", b"\x01a\x01b\x00", b"\xc0\x00", b"\x05x-y_z\x00"]));
    }
    if odd {
        let tail: [&[u8]; 6] = [b"\x03a;b\x00", b"\xc0\xff", b"\x09cut", b"\x40x", b"\x02-a\x00", b"\xc0"];
        out.extend(dice.pick(&tail));
    }
    out
}

fn six_rd(dice: &mut Dice, odd: bool) -> Vec<u8> {
    let masks = if odd { [33, 200] } else { [8, 32] };
    [masks.to_vec(), vec![0x20, 1, 0xd, 0xb8], dice.bytes(4), vec![0; 8], addresses(dice, false)].concat()
}
