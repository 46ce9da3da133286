//! Scripts of (time, what happens) and what the machine wants done, on a virtual clock.
//!
//! A message to everybody reads `discover >all`, one to the server `request >192.0.2.1`; `request 192.0.2.7 @192.0.2.1 >all`
//! asks for that address (option 50) of that server (54), `request from 192.0.2.7` carries ciaddr.

mod histories;

use super::*;
use crate::message::fixture::{ADDRESS, MAC, SERVER, ack, reply};
use crate::message::{Body, Reply, ReplyKind};
use crate::remember::Remembered;
use core::time::Duration;
use std::net::Ipv4Addr;

const UP: Link = Link { mac: MAC, carrier: true };
const DOWN: Link = Link { mac: MAC, carrier: false };
const HOUR: &[u8] = &[54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0];

/// udhcpc's own defaults.
const UDHCPC: Config = Config {
    schedule: Schedule::Fixed { tries: 3, gap: Duration::from_secs(3), pause: Duration::from_secs(20) },
    wish: None,
    check: None,
    exit_without_lease: false,
    exit_when_bound: false,
    release_on_exit: false,
    withdraw_on_exit: false,
    use_unconfirmed: false,
    exit_without_link: true,
};
/// Without a script.
const NATIVE: Config = Config {
    schedule: Schedule::Rfc,
    withdraw_on_exit: true,
    use_unconfirmed: true,
    exit_without_link: false,
    ..UDHCPC
};

struct Script {
    machine: Machine,
    xid: u32,
    /// Everything said, for the log tests.
    notes: Vec<String>,
    /// The last wait: milliseconds, rounded up, and name.
    wait: (Option<u64>, &'static str),
}

impl Script {
    fn new(config: Config) -> Self {
        let machine = Machine::new(config, Random::new(7));
        Self { machine, xid: 0, notes: Vec::new(), wait: (None, "") }
    }

    fn started(config: Config) -> Self {
        let mut s = Self::new(config);
        s.at(0, Input::Start { link: Some(UP), remembered: None, published: false });
        s
    }

    /// Bound at 0 for an hour.
    fn bound(config: Config) -> Self {
        let mut s = Self::started(config);
        s.offer(0);
        let got = s.ack(0, HOUR);
        assert_eq!(got, ["bound 192.0.2.7", "save", "listen nothing"]);
        s
    }

    fn at(&mut self, ms: u64, input: Input) -> Vec<String> {
        self.machine.handle(Instant::from_millis(ms), input);
        let mut did = Vec::new();
        loop {
            match self.machine.poll() {
                Output::Listen(Listen::Nothing) => did.push("listen nothing".to_owned()),
                Output::Listen(Listen::Broadcast) => did.push("listen all".to_owned()),
                Output::Listen(Listen::Unicast(a)) => did.push(format!("listen {a}")),
                Output::Listen(Listen::Conflicts(a)) => did.push(format!("listen arp {a}")),
                Output::Send(request, via) => {
                    self.xid = request.xid;
                    did.push(show(&request, via));
                }
                Output::Probe(a) => did.push(format!("probe {a}")),
                Output::Event(Event::Deconfig) => did.push("deconfig".to_owned()),
                Output::Event(Event::Bound { lease, replaces: false }) => {
                    did.push(format!("bound {}", lease.address()));
                }
                Output::Event(Event::Bound { lease, replaces: true }) => {
                    did.push(format!("rebound {}", lease.address()));
                }
                Output::Event(Event::Renew(lease)) => did.push(format!("renew {}", lease.address())),
                Output::Event(Event::Nak(_)) => did.push("nak".to_owned()),
                Output::Event(Event::LeaseFail) => did.push("leasefail".to_owned()),
                Output::Save(_) => did.push("save".to_owned()),
                Output::Forget => did.push("forget".to_owned()),
                Output::Note(note) => self.notes.push(note.to_string()),
                Output::Wait(at, why) => {
                    self.wait = (at.map(|a| a.as_nanos().div_ceil(1_000_000)), why);
                    return did;
                }
                Output::Done(code) => {
                    did.push(format!("exit {code}"));
                    return did;
                }
            }
        }
    }

    fn timer(&mut self, ms: u64) -> Vec<String> {
        self.at(ms, Input::Timer)
    }

    fn offer(&mut self, ms: u64) -> Vec<String> {
        self.reply(ms, ReplyKind::Offer, HOUR)
    }

    fn ack(&mut self, ms: u64, options: &[u8]) -> Vec<String> {
        self.reply(ms, ReplyKind::Ack, options)
    }

    fn nak(&mut self, ms: u64) -> Vec<String> {
        self.reply(ms, ReplyKind::Nak, &[54, 4, 192, 0, 2, 1, 56, 2, b'n', b'o'])
    }

    fn reply(&mut self, ms: u64, kind: ReplyKind, options: &[u8]) -> Vec<String> {
        self.at(ms, Input::Packet(Box::new(reply(kind, self.xid, options))))
    }

    fn link(&mut self, ms: u64, link: Option<Link>) -> Vec<String> {
        self.at(ms, Input::Link(link))
    }

    fn command(&mut self, ms: u64, command: Command) -> Vec<String> {
        self.at(ms, Input::Command(command))
    }

    /// Whatever happened, an hour's lease can be had from a server that now answers everything.
    fn still_works(&mut self, mut ms: u64) {
        for _ in 0..10 {
            let did = self.reply(ms, ReplyKind::Ack, HOUR);
            if did.iter().any(|d| d.starts_with("bound") || d.starts_with("renew")) {
                return;
            }
            let did = self.offer(ms);
            if !did.iter().any(|d| d.starts_with("request")) {
                ms = self.wait.0.unwrap_or_else(|| panic!("waits for ever: {}", self.wait.1));
                self.timer(ms);
            }
        }
        panic!("no lease from a willing server; last: {:?}", self.notes.last());
    }
}

fn show(request: &Request, via: Via) -> String {
    let mut s = request.body.verb().to_owned();
    match request.body {
        Body::Discover { wish: None } => {}
        Body::Discover { wish: Some(a) } | Body::Reboot { address: a } => s += &format!(" {a}"),
        Body::Select { server: Some(b), address: a } | Body::Decline { server: Some(b), address: a } => {
            s += &format!(" {a} @{b}");
        }
        Body::Select { server: None, address: a } | Body::Decline { server: None, address: a } => s += &format!(" {a}"),
        Body::Extend { address: a } | Body::Release { address: a, .. } => s += &format!(" from {a}"),
    }
    match via {
        Via::Broadcast { from } => {
            let claimed = match request.body {
                Body::Extend { address } => address,
                Body::Discover { .. }
                | Body::Select { .. }
                | Body::Reboot { .. }
                | Body::Decline { .. }
                | Body::Release { .. } => Ipv4Addr::UNSPECIFIED,
            };
            assert_eq!(from, claimed, "IP source");
            s + " >all"
        }
        Via::Unicast { to, .. } => s + &format!(" >{to}"),
    }
}

#[test]
fn bind_renew_and_bind_again() {
    let mut s = Script::new(UDHCPC);
    let start = Input::Start { link: Some(UP), remembered: None, published: false };
    assert_eq!(s.at(0, start), ["listen all", "discover >all", "deconfig"], "no delay before the first DISCOVER");
    assert_eq!(s.wait, (Some(3000), "offer"));
    assert_eq!(s.offer(100), ["request 192.0.2.7 @192.0.2.1 >all"]);
    assert_eq!(s.wait, (Some(3100), "ack"));
    assert_eq!(s.ack(200, HOUR), ["bound 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(1_800_100), "T1"), "counted from the sending of the REQUEST");
    assert_eq!(s.timer(1_800_100), ["listen 192.0.2.7", "request from 192.0.2.7 >192.0.2.1"]);
    assert_eq!(s.ack(1_800_150, HOUR), ["renew 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(3_600_100), "T1"));
    assert_eq!(
        s.notes,
        [
            "looking for a server",
            "requesting 192.0.2.7 from 192.0.2.1",
            "bound 192.0.2.7/24 from 192.0.2.1, renew in 1800 s",
            "renewing 192.0.2.7",
            "bound 192.0.2.7/24 from 192.0.2.1, renew in 1800 s",
        ]
    );
}

/// D02, D10: the RFC's rhythm, and what comes after a round.
#[test]
fn d02_silent_server_rfc() {
    let mut s = Script::started(NATIVE);
    let mut last = 0;
    for (i, base) in [4, 8, 16, 32, 64, 64, 64].into_iter().enumerate() {
        let next = s.wait.0.unwrap();
        assert!((base * 1000 - 1000..=base * 1000 + 1000).contains(&(next - last)), "gap {i}: {}", next - last);
        assert!(s.timer(next - 1).is_empty());
        let did = s.timer(next);
        assert_eq!(did, if i == 4 { vec!["leasefail", "discover >all"] } else { vec!["discover >all"] });
        last = next;
    }
    s.still_works(last);
}

/// udhcpc's own: 0, 3, 6 s, `leasefail` at 9, pause of 20.
#[test]
fn silent_server_udhcpc() {
    let mut s = Script::started(UDHCPC);
    let first = s.xid;
    assert_eq!(s.timer(3000), ["discover >all"]);
    assert_eq!(s.timer(6000), ["discover >all"]);
    assert_eq!(s.xid, first, "one transaction per round");
    assert_eq!(s.timer(9000), ["leasefail", "listen nothing"]);
    assert_eq!(s.wait, (Some(29_000), "pause after a round of tries"));
    assert_eq!(s.timer(29_000), ["listen all", "discover >all"]);
    assert_ne!(s.xid, first);
    s.still_works(29_000);
}

#[test]
fn no_end_of_tries() {
    let fixed = Schedule::Fixed { tries: 0, gap: Duration::from_secs(1), pause: Duration::from_secs(20) };
    let mut s = Script::started(Config { schedule: fixed, ..UDHCPC });
    for n in 1..500 {
        assert_eq!(s.timer(n * 1000), ["discover >all"]);
    }
    s.still_works(500_000);
}

#[test]
fn exits_without_lease_when_told() {
    let mut s = Script::started(Config { exit_without_lease: true, ..UDHCPC });
    s.timer(3000);
    s.timer(6000);
    assert_eq!(s.timer(9000), ["leasefail", "listen nothing", "exit 1"]);
    assert_eq!(s.timer(99_000), ["exit 1"]);
    // Also with the cable out: the boot must not hang.
    let mut s = Script::new(Config { exit_without_lease: true, ..UDHCPC });
    let start = Input::Start { link: Some(DOWN), remembered: None, published: false };
    assert_eq!(s.at(0, start), ["deconfig"]);
    s.timer(3000);
    s.timer(6000);
    assert_eq!(s.timer(9000), ["leasefail", "exit 1"]);
    // But not once there was a lease.
    let mut s = Script::bound(Config { exit_without_lease: true, ..UDHCPC });
    s.timer(3_600_000);
    for t in [3_603_000, 3_606_000, 3_609_000] {
        s.timer(t);
    }
    assert_eq!(s.wait.1, "pause after a round of tries");
}

#[test]
fn exits_when_bound_when_told() {
    let mut s = Script::started(Config { exit_when_bound: true, ..UDHCPC });
    s.offer(0);
    assert_eq!(s.ack(0, HOUR), ["bound 192.0.2.7", "save", "listen nothing", "exit 0"]);
    let mut s = Script::started(Config { exit_when_bound: true, release_on_exit: true, ..UDHCPC });
    s.offer(0);
    assert_eq!(
        s.ack(0, HOUR),
        [
            "bound 192.0.2.7",
            "save",
            "listen 192.0.2.7",
            "release from 192.0.2.7 >192.0.2.1",
            "forget",
            "deconfig",
            "listen nothing",
            "exit 0"
        ]
    );
}

/// D03: `secs` in the REQUEST equals that of its DISCOVER; xids differ between transactions.
#[test]
fn d03_secs_and_xid() {
    let mut m = Machine::new(UDHCPC, Random::new(1));
    let sent = |m: &mut Machine, ms: u64, input: Input| {
        m.handle(Instant::from_millis(ms), input);
        let mut last = None;
        loop {
            match m.poll() {
                Output::Send(r, _) => last = Some(r),
                Output::Wait(..) | Output::Done(_) => return last,
                Output::Listen(_)
                | Output::Probe(_)
                | Output::Event(_)
                | Output::Save(_)
                | Output::Forget
                | Output::Note(_) => {}
            }
        }
    };
    sent(&mut m, 0, Input::Start { link: Some(UP), remembered: None, published: false });
    sent(&mut m, 3000, Input::Timer);
    let discover = sent(&mut m, 6000, Input::Timer).unwrap();
    assert_eq!(discover.secs, 6);
    let offer = Box::new(reply(ReplyKind::Offer, discover.xid, HOUR));
    let request = sent(&mut m, 8000, Input::Packet(offer)).unwrap();
    assert_eq!((request.secs, request.xid), (6, discover.xid));
    let again = sent(&mut m, 11_000, Input::Timer).unwrap();
    assert_eq!((again.secs, again.xid), (6, discover.xid));

    let mut seen = std::collections::HashSet::new();
    for seed in 0..100_000 {
        let mut m = Machine::new(UDHCPC, Random::new(seed));
        let first = sent(&mut m, 0, Input::Start { link: Some(UP), remembered: None, published: false }).unwrap();
        seen.insert(first.xid);
    }
    // The birthday bound: about one pair among 100 000 numbers of 32 bits.
    assert!(seen.len() > 99_990, "{}", seen.len());
}

/// D05: restart with a lease file; the server agrees.
#[test]
fn d05_init_reboot_ack() {
    let mut s = Script::new(UDHCPC);
    assert_eq!(s.at(0, remembered(false)), ["listen all", "request 192.0.2.7 >all", "deconfig"]);
    assert_eq!(s.ack(10, HOUR), ["bound 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
}

/// D05: ... refuses: the network is another one, look around at once.
#[test]
fn d05_init_reboot_nak() {
    let mut s = Script::new(UDHCPC);
    s.at(0, remembered(false));
    assert_eq!(s.nak(10), ["nak", "forget", "discover >all"]);
    assert_eq!(s.notes.get(1).map(String::as_str), Some("refused by 192.0.2.1: no"));
    s.still_works(10);
    // The same when the address was published from the last run: nothing is withdrawn before somebody says no.
    let mut s = Script::new(NATIVE);
    assert_eq!(s.at(0, remembered(true)), ["listen all", "request 192.0.2.7 >all"]);
    assert_eq!(s.nak(10), ["nak", "deconfig", "forget", "discover >all"]);
    s.still_works(10);
}

/// D05: ... is silent: after 3 s a search, in which a server that knows nothing of us can offer; else the lease is kept.
#[test]
fn d05_init_reboot_silence() {
    let mut s = Script::new(NATIVE);
    s.at(0, remembered(false));
    assert_eq!(s.timer(1000), ["request 192.0.2.7 >all"]);
    assert_eq!(s.timer(3000), ["discover 192.0.2.7 >all"]);
    let mut events = Vec::new();
    while events.is_empty() {
        events = s.timer(s.wait.0.unwrap());
        events.retain(|e| !e.starts_with("discover"));
    }
    assert_eq!(events, ["bound 192.0.2.7", "listen nothing"]);
    assert!(s.notes.last().unwrap().ends_with("(unconfirmed: nobody answers)"));
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
    s.still_works(1_800_000);

    // A script that counts on `leasefail` gets it.
    let mut s = Script::new(UDHCPC);
    s.at(0, remembered(false));
    for t in [1000, 3000, 6000, 9000] {
        s.timer(t);
    }
    assert_eq!(s.timer(12_000), ["leasefail", "listen nothing"]);
    s.still_works(12_000);
}

/// D06, D07: 24 h lease and a mute server: every send at its exact second.
#[test]
fn d07_renew_and_rebind_times() {
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    s.ack(0, &[54, 4, 192, 0, 2, 1, 51, 4, 0, 1, 0x51, 0x80]);
    let (t1, t2, end) = (43_200_000_u64, 75_600_000_u64, 86_400_000_u64);
    let (mut at, mut sends) = (t1, Vec::new());
    while at < end {
        assert_eq!(s.wait.0, Some(at));
        let did = s.timer(at);
        let to = if at < t2 { "request from 192.0.2.7 >192.0.2.1" } else { "request from 192.0.2.7 >all" };
        assert_eq!(did.last().map(String::as_str), Some(to), "at {at}");
        sends.push(at);
        // Half of what remains of the phase, at least a minute, and the phase's end if that is sooner.
        let phase_end = if at < t2 { t2 } else { end };
        at = (at + (phase_end - at).div_ceil(2).max(60_000)).min(phase_end);
    }
    assert_eq!(s.wait, (Some(end), "expiry"));
    assert_eq!(sends.len(), 20);
    assert!(s.timer(end - 1).is_empty());
    let over = s.timer(end);
    assert_eq!(over, ["deconfig", "discover 192.0.2.7 >all"], "the listener is open from rebinding");
    s.still_works(end);
}

/// D08: the lease counts from the sending of the REQUEST, and is over exactly then.
#[test]
fn d08_lease_counts_from_the_request() {
    let mut s = Script::started(UDHCPC);
    s.offer(1000);
    assert_eq!(s.timer(4000), ["request 192.0.2.7 @192.0.2.1 >all"]);
    // An ACK to either; the first may be the one answered.
    s.ack(5000, &[54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 0, 100]);
    assert_eq!(s.wait, (Some(51_000), "T1"));
    s.timer(51_000);
    s.timer(88_500);
    assert!(s.machine.lease().is_some());
    assert_eq!(s.wait, (Some(101_000), "expiry"));
    s.timer(100_999);
    assert!(s.machine.lease().is_some());
    assert!(s.timer(101_000).contains(&"deconfig".to_owned()));
    assert!(s.machine.lease().is_none());
}

#[test]
fn d08_for_ever() {
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    s.ack(0, &[54, 4, 192, 0, 2, 1, 51, 4, 255, 255, 255, 255, 1, 4, 255, 255, 255, 0]);
    assert_eq!(s.wait.0, None);
    assert!(s.timer(u64::MAX / 2_000_000).is_empty());
    assert_eq!(s.notes.last().unwrap(), "bound 192.0.2.7/24 from 192.0.2.1, for ever");
}

/// D09: the lease ended in suspend; not a packet is sent from the old address.
#[test]
fn d09_suspend_beyond_the_end() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(s.timer(999_999_000), ["deconfig", "listen all", "discover 192.0.2.7 >all"]);
    // A late answer to something from before is no lease.
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    let did = s.ack(999_999_000, HOUR);
    assert!(!did.iter().any(|d| d.starts_with("bound")), "{did:?}");
    s.still_works(999_999_000);
}

/// D10: REQUESTs that nobody answers end, in both rhythms.
#[test]
fn d10_request_tries() {
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    for t in [3000, 6000] {
        assert_eq!(s.timer(t), ["request 192.0.2.7 @192.0.2.1 >all"]);
    }
    assert_eq!(s.timer(9000), ["leasefail", "listen nothing"]);
    s.still_works(29_000);

    let mut s = Script::started(NATIVE);
    s.offer(0);
    let mut requests = 1;
    loop {
        let did = s.timer(s.wait.0.unwrap());
        if did[0].starts_with("leasefail") {
            assert_eq!(did, ["leasefail", "discover >all"]);
            break;
        }
        requests += 1;
    }
    assert_eq!(requests, 4);
    assert!((56_000..=64_000).contains(&(s.wait.0.unwrap() - 4000)), "{:?}", s.wait);
}

/// D10: a server that refuses its own offers is asked about once a minute in the end.
#[test]
fn d10_nak_storm() {
    let mut s = Script::started(UDHCPC);
    let (mut now, mut sent_in_minute) = (0, [0; 60]);
    for _ in 0..60 {
        let did = s.offer(now);
        assert_eq!(did, ["request 192.0.2.7 @192.0.2.1 >all"]);
        sent_in_minute[usize::try_from(now / 60_000).unwrap()] += 2;
        let did = s.nak(now);
        assert_eq!(&did[..2], ["nak", "forget"], "no deconfig: nothing was configured");
        if s.wait.1 == "pause after NAK" {
            now = s.wait.0.unwrap();
            s.timer(now);
        }
        if now > 3_000_000 {
            break;
        }
    }
    assert!(sent_in_minute[0] <= 14, "{sent_in_minute:?}");
    assert!(sent_in_minute[5..].iter().all(|&n| n <= 4), "{sent_in_minute:?}");
    s.still_works(now);
}

#[test]
fn nak_of_another_server_is_not_ours() {
    let mut s = Script::started(UDHCPC);
    s.offer(0);
    let other = reply(ReplyKind::Nak, s.xid, &[54, 4, 192, 0, 2, 99]);
    assert!(s.at(0, Input::Packet(Box::new(other))).is_empty());
    assert!(s.at(0, Input::Packet(Box::new(reply(ReplyKind::Nak, s.xid ^ 1, &[])))).is_empty());
    assert_eq!(s.ack(0, HOUR)[0], "bound 192.0.2.7");
}

/// D10: NAK while renewing and while rebinding: the address goes at once.
#[test]
fn d10_nak_while_extending() {
    for t in [1_800_000, 3_150_000] {
        let mut s = Script::bound(UDHCPC);
        s.timer(t);
        assert_eq!(s.nak(t)[..3], ["nak", "deconfig", "forget"]);
        assert_eq!(s.machine.lease(), None);
        s.still_works(t);
    }
}

#[test]
fn ack_with_another_address_replaces() {
    let mut s = Script::bound(UDHCPC);
    s.timer(1_800_000);
    let other = Reply { address: Ipv4Addr::new(192, 0, 2, 8), ..reply(ReplyKind::Ack, s.xid, HOUR) };
    assert_eq!(s.at(1_800_000, Input::Packet(Box::new(other)))[0], "rebound 192.0.2.8");
}

#[test]
fn stray_replies_change_nothing() {
    let mut s = Script::started(UDHCPC);
    let before = s.xid;
    assert!(s.ack(0, HOUR).is_empty(), "an ACK that nobody asked for");
    assert!(s.nak(0).is_empty());
    s.xid ^= 1;
    assert!(s.offer(0).is_empty(), "another transaction");
    s.xid = before;
    let zero = Reply { address: Ipv4Addr::UNSPECIFIED, ..reply(ReplyKind::Offer, s.xid, HOUR) };
    assert!(s.at(0, Input::Packet(Box::new(zero))).is_empty());
    assert_eq!(s.notes.last().unwrap(), "ignored a server that gives 0.0.0.0");
    s.offer(0);
    assert!(s.offer(0).is_empty(), "the first offer won");
    s.still_works(0);
}

/// A server that never names itself is renewed with by broadcast.
#[test]
fn server_without_id() {
    let mut s = Script::started(UDHCPC);
    assert_eq!(s.reply(0, ReplyKind::Offer, &[51, 4, 0, 0, 14, 16]), ["request 192.0.2.7 >all"]);
    s.ack(0, &[51, 4, 0, 0, 14, 16]);
    assert_eq!(s.timer(1_800_000), ["listen all", "request from 192.0.2.7 >all"]);
    assert_eq!(s.ack(1_800_000, HOUR)[0], "renew 192.0.2.7");
}

/// D39: link down keeps the lease and stops sending; link up verifies.
#[test]
fn d39_flap() {
    let mut s = Script::bound(UDHCPC);
    assert!(s.link(1000, Some(DOWN)).is_empty());
    assert_eq!(s.wait, (Some(3_600_000), "expiry"));
    assert!(s.timer(1_900_000).is_empty(), "T1 passes in silence");
    assert!(s.machine.lease().is_some());
    assert_eq!(s.link(2_000_000, Some(UP)), ["listen all", "request 192.0.2.7 >all"]);
    assert_eq!(s.ack(2_000_001, HOUR), ["renew 192.0.2.7", "save", "listen nothing"]);

    // On another network: refused, and a new lease at once.
    s.link(2_100_000, Some(DOWN));
    s.link(2_200_000, Some(UP));
    assert_eq!(s.nak(2_200_001), ["nak", "deconfig", "forget", "discover >all"]);
    s.still_works(2_200_001);
}

/// D39: nobody answers after the flap: the lease is kept, in its phase.
#[test]
fn d39_flap_and_silence() {
    let mut s = Script::bound(UDHCPC);
    s.link(1000, Some(DOWN));
    s.link(2000, Some(UP));
    let mut said = Vec::new();
    while s.wait.1 != "T1" {
        said.extend(s.timer(s.wait.0.unwrap()));
    }
    assert_eq!(said.last().map(String::as_str), Some("listen nothing"));
    assert!(!said.iter().any(|d| d == "deconfig" || d == "leasefail" || d.starts_with("bound")), "{said:?}");
    assert!(s.machine.lease().is_some());
    // An offer in that search means a server that does not know us: take it.
    let mut s = Script::bound(UDHCPC);
    s.link(1000, Some(DOWN));
    s.link(2000, Some(UP));
    s.timer(3000);
    assert_eq!(s.timer(5000), ["discover 192.0.2.7 >all"]);
    s.offer(5000);
    assert_eq!(s.ack(5000, HOUR)[0], "renew 192.0.2.7", "the same address: nothing to take away");
}

#[test]
fn d39_lease_ends_while_the_cable_is_out() {
    let mut s = Script::bound(UDHCPC);
    s.link(1000, Some(DOWN));
    assert_eq!(s.timer(3_600_000), ["deconfig"]);
    assert_eq!(s.link(4_000_000, Some(UP)), ["listen all", "discover 192.0.2.7 >all"]);
    s.still_works(4_000_000);
}

#[test]
fn cable_out_at_start() {
    let mut s = Script::new(UDHCPC);
    s.at(0, Input::Start { link: Some(DOWN), remembered: None, published: false });
    for t in [3000, 6000] {
        assert!(s.timer(t).is_empty());
    }
    assert_eq!(s.timer(9000), ["leasefail"]);
    s.timer(29_000);
    assert_eq!(s.wait, (None, "link"), "one `leasefail`, then no wake-up until the cable is in");
    assert_eq!(s.link(50_000, Some(UP)), ["listen all", "discover >all"]);
    s.still_works(50_000);
}

#[test]
fn cable_pulled_in_every_state() {
    // Selecting, requesting, rebooting, renewing, rebinding, resting.
    let mut selecting = Script::started(UDHCPC);
    selecting.timer(1);
    let mut requesting = Script::started(UDHCPC);
    requesting.offer(1);
    let mut rebooting = Script::new(UDHCPC);
    rebooting.at(1, remembered(false));
    let mut renewing = Script::bound(UDHCPC);
    renewing.timer(1_800_000);
    let mut rebinding = Script::bound(UDHCPC);
    rebinding.timer(3_150_000);
    let mut resting = Script::started(UDHCPC);
    for t in [3000, 6000, 9000] {
        resting.timer(t);
    }
    for (mut s, t) in [
        (selecting, 10),
        (requesting, 10),
        (rebooting, 10),
        (renewing, 1_800_010),
        (rebinding, 3_150_010),
        (resting, 9010),
    ] {
        let did = s.link(t, Some(DOWN));
        assert!(!did.iter().any(|d| d.contains('>')), "{did:?}");
        let did = s.link(t + 10, Some(UP));
        assert!(did.iter().any(|d| d.contains(">all")), "{did:?}");
        s.still_works(t + 10);
    }
}

#[test]
fn interface_gone() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(s.link(1000, None), ["deconfig", "exit 0"]);

    let mut s = Script::bound(NATIVE);
    assert_eq!(s.link(1000, None), ["deconfig"]);
    assert_eq!(s.wait, (Some(3_600_000), "expiry"));
    assert_eq!(s.link(2000, Some(UP)), ["listen all", "request 192.0.2.7 >all"], "plugged back: the lease may hold");
    assert_eq!(s.ack(2000, HOUR)[0], "bound 192.0.2.7", "its address went with it");
    s.link(3000, None);
    s.timer(9_000_000);
    assert_eq!(s.link(9_000_000, Some(UP)), ["listen all", "discover >all"]);
    s.still_works(9_000_000);
}

#[test]
fn interface_not_there_yet() {
    let mut s = Script::new(NATIVE);
    let start = Input::Start { link: None, remembered: None, published: false };
    assert_eq!(s.at(0, start), ["deconfig"]);
    assert_eq!(s.wait, (None, "interface"));
    s.link(5, Some(DOWN));
    assert_eq!(s.link(10, Some(UP)), ["listen all", "discover >all"]);
    s.still_works(10);
}

#[test]
fn another_mac_is_another_client() {
    let mut s = Script::bound(UDHCPC);
    let did = s.link(1000, Some(Link { mac: [9; 6], carrier: true }));
    assert_eq!(did, ["deconfig", "forget", "listen all", "discover >all"]);
    assert!(s.link(1000, Some(Link { mac: [9; 6], carrier: true })).is_empty());
}

#[test]
fn usr1_renews_then_rebinds_then_starts_over() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(s.command(1000, Command::Renew), ["listen 192.0.2.7", "request from 192.0.2.7 >192.0.2.1"]);
    assert_eq!(s.ack(1001, HOUR)[0], "renew 192.0.2.7");
    s.command(2000, Command::Renew);
    assert_eq!(s.timer(12_000), ["listen all", "request from 192.0.2.7 >all"], "no answer in 10 s");
    assert_eq!(s.ack(12_001, HOUR)[0], "renew 192.0.2.7");
    s.command(20_000, Command::Renew);
    let did = s.command(21_000, Command::Renew);
    assert_eq!(did, ["deconfig", "listen all", "discover 192.0.2.7 >all"]);
    s.still_works(21_000);
}

#[test]
fn usr1_elsewhere() {
    let mut s = Script::started(UDHCPC);
    assert!(s.command(0, Command::Renew).is_empty());
    s.offer(0);
    assert!(s.command(0, Command::Renew).is_empty());
    let mut s = Script::started(UDHCPC);
    for t in [3000, 6000, 9000] {
        s.timer(t);
    }
    assert_eq!(s.command(9001, Command::Renew), ["listen all", "discover >all"], "does not sit out the pause");
}

#[test]
fn usr2_releases_and_usr1_starts_again() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(
        s.command(1000, Command::Release),
        ["listen 192.0.2.7", "release from 192.0.2.7 >192.0.2.1", "deconfig", "forget", "listen nothing"]
    );
    assert_eq!(s.wait, (None, "renew command"));
    assert_eq!(s.command(1500, Command::Release), ["deconfig", "forget"]);
    assert!(s.link(1600, Some(DOWN)).is_empty());
    assert!(s.link(1700, Some(UP)).is_empty());
    assert_eq!(s.command(2000, Command::Renew), ["listen all", "discover >all"]);
    s.still_works(2000);
    let mut s = Script::started(UDHCPC);
    assert_eq!(s.command(0, Command::Release), ["deconfig", "forget", "listen nothing"], "nothing to release");
}

#[test]
fn term() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(s.command(1, Command::Stop), ["exit 0"], "udhcpc leaves the address");
    let mut s = Script::bound(Config { release_on_exit: true, ..UDHCPC });
    assert_eq!(
        s.command(1, Command::Stop),
        ["listen 192.0.2.7", "release from 192.0.2.7 >192.0.2.1", "forget", "deconfig", "listen nothing", "exit 0"]
    );
    let mut s = Script::bound(NATIVE);
    assert_eq!(s.command(1, Command::Stop), ["deconfig", "exit 0"], "the lease itself is kept for the next start");
}

fn checking() -> Script {
    let mut s = Script::started(Config { check: Some(Duration::from_secs(2)), ..UDHCPC });
    s.offer(0);
    assert_eq!(s.ack(0, HOUR), ["listen arp 192.0.2.7", "probe 192.0.2.7"]);
    assert_eq!(s.wait, (Some(2000), "address check"));
    s
}

#[test]
fn address_check_without_conflict() {
    let mut s = checking();
    let arp = |mac, sender, target| Input::Arp(Arp { mac, sender, target });
    let (zero, other) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(192, 0, 2, 50));
    assert!(s.at(100, arp(MAC, zero, ADDRESS)).is_empty(), "our own probe, reflected");
    assert!(s.at(100, arp([9; 6], other, ADDRESS)).is_empty(), "somebody asks for us");
    assert_eq!(s.timer(2000), ["bound 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
    // D26: not again on renewal.
    s.timer(1_800_000);
    assert_eq!(s.ack(1_800_000, HOUR)[0], "renew 192.0.2.7");
}

/// D11, D12: conflict: DECLINE by broadcast, a pause, and then it works again.
#[test]
fn d12_conflict() {
    let zero = Ipv4Addr::UNSPECIFIED;
    for (sender, target) in [(ADDRESS, SERVER), (ADDRESS, ADDRESS), (zero, ADDRESS)] {
        let mut s = checking();
        let did = s.at(500, Input::Arp(Arp { mac: [9; 6], sender, target }));
        assert_eq!(did, ["listen all", "decline 192.0.2.7 @192.0.2.1 >all", "forget", "listen nothing"]);
        assert_eq!(s.wait, (Some(20_500), "pause after a conflict"));
        assert_eq!(s.notes.last().unwrap(), "declined 192.0.2.7: in use by 09:09:09:09:09:09");
        s.timer(20_500);
        s.offer(20_500);
        s.ack(20_500, HOUR);
        assert_eq!(s.timer(22_500)[0], "bound 192.0.2.7");
    }
}

/// A lease for an hour, as the file gives it back.
fn remembered(published: bool) -> Input {
    let lease = Lease::new(ack(HOUR), None, Instant::ZERO).unwrap();
    Input::Start { link: Some(UP), remembered: Some(Remembered::Lease(Box::new(lease))), published }
}
