//! Thousands of random histories, and a witness who only hears what a script or publisher would.

use super::*;

/// What a script or publisher believes, built from nothing but the events it got; and the promises made to it.
struct Witness {
    used: Option<Rc<Lease>>,
    listen: Listen,
    watch: Watch,
}

impl Witness {
    /// Takes all outputs of one step; returns the deadline.
    fn watch(&mut self, m: &mut Machine, now: Instant, link: Option<Link>) -> Option<Instant> {
        loop {
            match m.poll() {
                Output::Listen(l) => {
                    assert_ne!(l, self.listen, "asked twice");
                    self.listen = l;
                }
                Output::Send(_, via) => {
                    assert!(link.is_some_and(|l| l.carrier), "sent while the link is down");
                    match via {
                        Via::Broadcast { from } => {
                            assert_eq!(self.listen, Listen::Broadcast, "no socket");
                            assert!(from.is_unspecified() || self.used.as_ref().is_some_and(|l| l.address() == from));
                        }
                        Via::Unicast { from, .. } => {
                            assert_eq!(self.listen, Listen::Unicast(from), "no socket");
                            assert!(self.used.as_ref().is_some_and(|l| l.address() == from), "not our address");
                        }
                    }
                }
                Output::Watch(w) => {
                    assert_ne!(w, self.watch, "asked twice");
                    self.watch = w;
                }
                Output::Arp(said) => {
                    assert!(link.is_some_and(|l| l.carrier), "said while the link is down");
                    match said {
                        Announcing::Probe(a) => assert_eq!(self.watch, Watch::About(a)),
                        Announcing::Claim(a) => {
                            assert!(self.watch == Watch::About(a) || self.watch == Watch::Claims(a), "deaf");
                            assert_eq!(self.used.as_ref().map(|l| l.address()), Some(a), "announced what is not ours");
                        }
                        Announcing::Ask { from, .. } => assert_eq!(self.watch, Watch::About(from)),
                    }
                }
                Output::Event(Event::Deconfig) => self.used = None,
                Output::Event(Event::Bound { lease, replaces }) => {
                    assert_eq!(replaces, self.used.is_some(), "replaces what is not there, or does not say so");
                    self.used = Some(lease);
                }
                Output::Event(Event::Renew(lease)) => {
                    assert_eq!(
                        self.used.as_ref().map(|l| l.address()),
                        Some(lease.address()),
                        "renews what is not in use"
                    );
                    self.used = Some(lease);
                }
                Output::Event(Event::Nak(_) | Event::LeaseFail(_)) | Output::Save(..) | Output::Forget => {}
                Output::Ignored(_) => {}
                Output::Note(note) => assert!(!note.to_string().is_empty()),
                Output::Done(_) => return None,
                Output::Wait(at, why) => {
                    assert!(at.is_none_or(|a| a > now), "deadline {why} has passed already");
                    assert!(self.used.as_ref().is_none_or(|l| !l.is_over(now)), "used after its end");
                    assert_eq!(
                        self.used.as_ref().map(|l| l.address()),
                        m.lease().map(|l| l.address()),
                        "told otherwise"
                    );
                    if let Some(end) = self.used.as_ref().and_then(|l| l.term) {
                        assert!(at.is_some_and(|a| a <= end.expires_at), "would sleep through the expiry");
                    }
                    return at;
                }
            }
        }
    }
}

/// Thousands of random histories: the promises of the module hold throughout, and at the end a willing server gets us bound.
#[test]
fn random_histories() {
    let mut ends = [0_usize; 2];
    for seed in 0..3000 {
        let mut r = Random::new(seed);
        let config = Config {
            check: (r.below(3) == 0).then(|| Duration::from_millis(500)),
            defend: [None, Some(Defence::GiveUp), Some(Defence::Once), Some(Defence::Always)]
                [usize::try_from(r.below(4)).unwrap()],
            verify_link: r.below(2) == 0,
            fuzz: r.below(2) == 0,
            as_busybox: r.below(4) == 0,
            forcerenew: r.below(2) == 0,
            anonymous: r.below(4) == 0,
            broadcast_fallback: r.below(2) == 0,
            rapid_commit: r.below(2) == 0,
            policy: Policy {
                prefer: if r.below(3) == 0 { vec![Ipv4Addr::new(192, 0, 2, 2)] } else { Vec::new() },
                ..Policy::default()
            },
            ..if r.below(2) == 0 { UDHCPC } else { NATIVE }
        };
        let mut m = Machine::new(Config { exit_without_link: false, ..config }, Random::new(seed));
        let mut w = Witness { used: None, listen: Listen::Nothing, watch: Watch::Nothing };
        let (mut now, mut link, mut mac) = (Instant::from_secs(100), (r.below(4) != 0).then_some(UP), MAC);
        let published = r.below(2) == 0;
        let remembered = match r.below(3) {
            0 => {
                let lease = Rc::new(Lease::new(ack(HOUR), None, now).unwrap());
                w.used = (published).then(|| Rc::clone(&lease));
                Some(Remembered::Lease(Box::new((*lease).clone())))
            }
            1 => Some(Remembered::Address(ADDRESS)),
            _ => None,
        };
        let neighbour = (r.below(2) == 0).then_some(Neighbour { address: SERVER, mac: [8; 6] });
        m.handle(now, Input::Start { link, remembered, neighbour, published });
        let mut deadline = w.watch(&mut m, now, link);
        let mut xid = 0;
        for _ in 0..60 {
            now = match (r.below(4), deadline) {
                (0 | 1, Some(at)) => at,
                (2, _) => now + Duration::from_millis(r.below(5000)),
                (_, _) => now + Duration::from_secs(r.below(4000) * r.below(2)),
            };
            let input = match r.below(10) {
                0 => Input::Timer,
                1 => Input::Woken,
                2 => {
                    link = match r.below(6) {
                        0 => None,
                        1 | 2 => Some(Link { mac, carrier: false }),
                        3 => {
                            mac[5] ^= 1;
                            Some(Link { mac, carrier: true })
                        }
                        _ => Some(Link { mac, carrier: true }),
                    };
                    Input::Link(link)
                }
                3 => Input::Command(if r.below(4) == 0 { Command::Release } else { Command::Renew }),
                4 if r.below(2) == 0 => Input::Arp(Arp { mac: [8; 6], sender: SERVER, target: ADDRESS }),
                4 => Input::Arp(Arp { mac: [9; 6], sender: ADDRESS, target: SERVER }),
                _ => {
                    if let State::Selecting { x, .. }
                    | State::Requesting { x, .. }
                    | State::Rebooting { x, .. }
                    | State::Renewing { x, .. }
                    | State::Rebinding { x, .. } = &m.state
                    {
                        xid = x.xid;
                    }
                    Input::Packet(Box::new(random_reply(&mut r, xid)))
                }
            };
            m.handle(now, input);
            deadline = w.watch(&mut m, now, link);
        }
        // Plug it in, wake it up, answer everything.
        link = Some(Link { mac, carrier: true });
        m.handle(now, Input::Link(link));
        deadline = w.watch(&mut m, now, link);
        if let State::Released { .. } = m.state {
            m.handle(now, Input::Command(Command::Renew));
            deadline = w.watch(&mut m, now, link);
            ends[0] += 1;
        }
        let before = now;
        while !matches!(m.state, State::Bound { .. }) {
            let (kind, xid) = match &m.state {
                State::Selecting { x, .. } => (ReplyKind::Offer, x.xid),
                State::Requesting { x, .. }
                | State::Rebooting { x, .. }
                | State::Renewing { x, .. }
                | State::Rebinding { x, .. } => (ReplyKind::Ack, x.xid),
                State::New
                | State::Absent { .. }
                | State::Init { .. }
                | State::Checking { .. }
                | State::InitReboot { .. }
                | State::Bound { .. }
                | State::Released { .. }
                | State::Done(_) => (ReplyKind::Offer, 0),
            };
            m.handle(now, Input::Packet(Box::new(reply(kind, xid, HOUR))));
            deadline = w.watch(&mut m, now, link);
            let answer_next = kind == ReplyKind::Offer && matches!(m.state, State::Requesting { .. });
            if !answer_next && !matches!(m.state, State::Bound { .. }) {
                now = deadline.unwrap_or_else(|| panic!("seed {seed}: waits for ever in {:?}", m.state));
                m.handle(now, Input::Timer);
                deadline = w.watch(&mut m, now, link);
            }
            let patient = w.used.is_some() || now.since(before) < Duration::from_secs(200);
            assert!(patient, "seed {seed}: no lease in {:?}", m.state);
        }
        assert!(w.used.is_some());
        ends[1] += usize::from(now > before);
    }
    assert!(ends[0] > 100 && ends[1] > 100, "the histories are too tame: {ends:?}");
}

fn random_reply(r: &mut Random, xid: u32) -> Reply {
    let kind = match r.below(5) {
        0 | 1 => ReplyKind::Offer,
        2 | 3 => ReplyKind::Ack,
        _ => ReplyKind::Nak,
    };
    let mut options = Vec::new();
    if r.below(5) != 0 {
        options.extend([54, 4, 192, 0, 2, 1]);
    }
    for (code, max) in [(51, 5), (58, 3), (59, 3)] {
        if r.below(3) != 0 {
            let value = match r.below(max) {
                0 => u32::try_from(r.below(30)).unwrap(),
                1 => 600,
                2 => 3600,
                3 => u32::MAX,
                _ => r.bits32(),
            };
            options.extend([code, 4]);
            options.extend(value.to_be_bytes());
        }
    }
    let xid = if r.below(6) == 0 { r.bits32() } else { xid };
    let mut reply = reply(kind, xid, &options);
    match r.below(8) {
        0 => reply.address = Ipv4Addr::new(192, 0, 2, 8),
        1 => reply.address = Ipv4Addr::from(r.bits32()),
        _ => {}
    }
    reply
}
