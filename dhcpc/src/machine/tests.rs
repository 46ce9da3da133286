//! Scripts of (time, what happens) and what the machine wants done, on a virtual clock.
//!
//! A message to everybody reads `discover >all`, one to the server `request >192.0.2.1`; `request 192.0.2.7 @192.0.2.1 >all`
//! asks for that address (option 50) of that server (54), `request from 192.0.2.7` carries ciaddr.

mod acquire;
mod attach;
mod cable;
mod commands;
mod conflict;
mod extend;
mod forced;
mod histories;
mod policy;
mod reboot;

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
    initial_delay: Duration::ZERO,
    fuzz: false,
    server_times: true,
    as_busybox: false,
    broadcast_fallback: false,
    rapid_commit: false,
    v6_only: false,
    autoconf: false,
    forcerenew: false,
    anonymous: false,
    policy: Policy { reject: Vec::new(), prefer: Vec::new(), require: Vec::new(), min_lease: 0 },
    schedule: Schedule::Fixed { tries: 3, gap: Duration::from_secs(3), pause: Duration::from_secs(20) },
    wish: None,
    check: None,
    defend: None,
    verify_link: false,
    exit_without_lease: false,
    exit_when_bound: false,
    release_on_exit: false,
    withdraw_on_exit: false,
    use_unconfirmed: false,
    exit_without_link: true,
};
/// Without a script.
const NATIVE: Config = Config {
    initial_delay: Duration::ZERO,
    fuzz: false,
    server_times: true,
    as_busybox: false,
    broadcast_fallback: false,
    rapid_commit: false,
    v6_only: false,
    autoconf: false,
    forcerenew: false,
    anonymous: false,
    policy: Policy { reject: Vec::new(), prefer: Vec::new(), require: Vec::new(), min_lease: 0 },
    schedule: Schedule::Rfc { first: RFC_FIRST },
    wish: None,
    check: None,
    defend: None,
    verify_link: false,
    exit_without_lease: false,
    exit_when_bound: false,
    release_on_exit: false,
    withdraw_on_exit: true,
    use_unconfirmed: true,
    exit_without_link: false,
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
        s.at(0, Input::Start { link: Some(UP), remembered: None, neighbour: None, published: false });
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
                Output::Watch(Watch::Nothing) => did.push("watch nothing".to_owned()),
                Output::Watch(Watch::About(a)) => did.push(format!("watch {a}")),
                Output::Watch(Watch::Claims(a)) => did.push(format!("guard {a}")),
                Output::Send(request, via) => {
                    self.xid = request.xid;
                    did.push(show(&request, via));
                }
                Output::Arp(Announcing::Probe(a)) => did.push(format!("probe {a}")),
                Output::Arp(Announcing::Claim(a)) => did.push(format!("announce {a}")),
                Output::Arp(Announcing::Ask { from, to, mac: None }) => did.push(format!("{from} asks all for {to}")),
                Output::Arp(Announcing::Ask { from, to, mac: Some(_) }) => did.push(format!("{from} asks {to}")),
                Output::Event(Event::Deconfig) => did.push("deconfig".to_owned()),
                Output::Event(Event::Bound { lease, replaces: false }) => {
                    did.push(format!("bound {}", lease.address()));
                }
                Output::Event(Event::Bound { lease, replaces: true }) => {
                    did.push(format!("rebound {}", lease.address()));
                }
                Output::Event(Event::Renew(lease)) => did.push(format!("renew {}", lease.address())),
                Output::Event(Event::Nak(_)) => did.push("nak".to_owned()),
                Output::Event(Event::LeaseFail(_)) => did.push("leasefail".to_owned()),
                Output::Save(_, None) => did.push("save".to_owned()),
                Output::Save(_, Some(n)) => did.push(format!("save with {}", n.address)),
                Output::Forget => did.push("forget".to_owned()),
                Output::Ignored(_) => {}
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

/// A lease for an hour, as the file gives it back.
fn remembered(published: bool) -> Input {
    let lease = Lease::new(ack(HOUR), None, Instant::ZERO).unwrap();
    Input::Start { link: Some(UP), remembered: Some(Remembered::Lease(Box::new(lease))), neighbour: None, published }
}
