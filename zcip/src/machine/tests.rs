//! The eleven points of the specification (dhcp.md b.3) as scripts on a virtual clock.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn mac(n: u64) -> Mac {
    let [_, _, a, b, c, d, e, f] = n.to_be_bytes();
    Mac([a, b, c, d, e, f])
}

fn settings(n: u64) -> Settings {
    Settings { mac: mac(n), net: Net::LINK_LOCAL, first: None, quit: false, seed: n.wrapping_mul(77) }
}

impl Machine {
    /// The address in use.
    const fn address(&self) -> Option<Ipv4Addr> {
        match self.state {
            State::Announcing { claim, .. } | State::Bound { claim } => Some(claim.address),
            State::Idle | State::RateLimited { .. } | State::Probing { .. } | State::Done => None,
        }
    }
}

/// One host with the times of what it did.
struct Host {
    machine: Machine,
    seen: Vec<(Instant, Output)>,
}

impl Host {
    fn new(settings: Settings) -> Self {
        Self { machine: Machine::new(settings), seen: vec![] }
    }

    fn up(settings: Settings) -> Self {
        let mut host = Self::new(settings);
        host.give(Instant::ZERO, Input::LinkUp);
        host
    }

    fn give(&mut self, now: Instant, input: Input) {
        self.machine.handle(now, input);
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) -> Option<Instant> {
        loop {
            match self.machine.poll() {
                Output::Wait(at, _) => return at,
                Output::Done => return None,
                other @ (Output::Send(_) | Output::Config(_) | Output::Deconfig(_) | Output::Note(_)) => {
                    self.seen.push((now, other));
                }
            }
        }
    }

    /// Lets time pass up to and including `to`.
    fn until(&mut self, to: Instant) -> &mut Self {
        while let Some(at) = self.drain(Instant::ZERO).filter(|&at| at <= to) {
            self.give(at, Input::Timeout);
        }
        self
    }

    fn times(&self, want: impl Fn(&Output) -> bool) -> Vec<Instant> {
        self.seen.iter().filter(|(_, o)| want(o)).map(|&(at, _)| at).collect()
    }

    fn probes(&self) -> Vec<Instant> {
        self.times(|o| matches!(o, Output::Send(Frame::Probe(_))))
    }

    fn announcements(&self) -> Vec<Instant> {
        self.times(|o| matches!(o, Output::Send(Frame::Announce(_))))
    }

    /// Addresses in the order they were probed for.
    fn candidates(&self) -> Vec<(Instant, Ipv4Addr)> {
        self.seen
            .iter()
            .filter_map(|&(at, o)| if let Output::Note(Note::Probing(ip)) = o { Some((at, ip)) } else { None })
            .collect()
    }

    fn candidate(&self) -> Ipv4Addr {
        self.candidates().last().unwrap().1
    }

    /// Claims its address; returns it and the time.
    fn claim(&mut self) -> (Ipv4Addr, Instant) {
        self.until(Instant::from_secs(20));
        (self.machine.address().unwrap(), *self.announcements().last().unwrap())
    }
}

fn reply(from: u64, ip: Ipv4Addr) -> Input {
    Input::Arp(Arp { op: ArpOp::Reply, sha: mac(from), spa: ip, tha: Mac::ZERO, tpa: ip })
}

fn request(from: u64, ip: Ipv4Addr, to: Ipv4Addr) -> Input {
    Input::Arp(Arp { op: ArpOp::Request, sha: mac(from), spa: ip, tha: Mac::ZERO, tpa: to })
}

fn probe(from: u64, ip: Ipv4Addr) -> Input {
    request(from, Ipv4Addr::UNSPECIFIED, ip)
}

#[test]
fn d33_a_thousand_starts_keep_the_limits() {
    let (mut earliest, mut latest, mut sum) = (Duration::MAX, Duration::ZERO, Duration::ZERO);
    for n in 0..1000 {
        let mut host = Host::up(settings(0x0200_0000_0000 + n));
        host.until(Instant::from_secs(20));
        let (probes, announcements) = (host.probes(), host.announcements());
        let [p0, p1, p2] = probes[..] else { panic!("{probes:?}") };
        let [a0, a1] = announcements[..] else { panic!("{announcements:?}") };
        assert!(p0.since(Instant::ZERO) <= PROBE_WAIT);
        for gap in [p1.since(p0), p2.since(p1)] {
            assert!((PROBE_MIN..=PROBE_MAX).contains(&gap), "{gap:?}");
        }
        assert_eq!((a0.since(p2), a1.since(a0)), (ANNOUNCE_WAIT, ANNOUNCE_INTERVAL));
        let config = host.times(|o| matches!(o, Output::Config(_)));
        assert_eq!(config, [a0]);
        let took = a0.since(Instant::ZERO);
        assert!((Duration::from_secs(4)..=Duration::from_secs(7)).contains(&took));
        (earliest, latest, sum) = (earliest.min(took), latest.max(took), sum + took);
        assert!(Net::LINK_LOCAL.allows(host.machine.address().unwrap()));
    }
    // Really random, with the mean of the RFC's own arithmetic.
    assert!(earliest < Duration::from_millis(4400) && latest > Duration::from_millis(6600), "{earliest:?} {latest:?}");
    let mean = sum / 1000;
    assert!(mean > Duration::from_millis(5400) && mean < Duration::from_millis(5600), "{mean:?}");
}

#[test]
fn addresses_are_spread_over_the_whole_range() {
    let mut random = Random::new(1);
    let mut thirds = [0_u32; 256];
    for _ in 0..254_000 {
        let ip = Net::LINK_LOCAL.pick(&mut random);
        assert!(Net::LINK_LOCAL.allows(ip), "{ip}");
        thirds[usize::from(ip.octets()[2])] += 1;
    }
    assert_eq!((thirds[0], thirds[255]), (0, 0));
    assert!(thirds[1..255].iter().all(|&n| (800..1200).contains(&n)), "{thirds:?}");
}

#[test]
fn one_host_repeats_and_two_differ() {
    let first = |n, seed| Host::up(Settings { seed, ..settings(n) }).candidate();
    assert_eq!(first(0x0200_5e00_0001, 1), first(0x0200_5e00_0001, 2));
    assert_ne!(first(0x0200_5e00_0001, 1), first(0x0200_5e00_0002, 1));
}

#[test]
fn a_given_or_remembered_address_comes_first() {
    let wanted = Ipv4Addr::new(169, 254, 7, 8);
    assert_eq!(Host::up(Settings { first: Some(wanted), ..settings(5) }).candidate(), wanted);
    for bad in [[169, 254, 0, 9], [169, 254, 255, 9], [10, 0, 1, 1]] {
        let host = Host::up(Settings { first: Some(bad.into()), ..settings(5) });
        assert_eq!(host.candidate(), Host::up(settings(5)).candidate());
    }
    // After a conflict the own sequence follows.
    let mut host = Host::up(Settings { first: Some(wanted), ..settings(5) });
    host.give(Instant::ZERO, reply(9, wanted));
    assert_eq!(host.candidate(), Host::up(settings(5)).candidate());
}

#[test]
fn other_networks() {
    let net = Net::new(Ipv4Addr::new(10, 7, 0, 0)).unwrap();
    let host = Host::up(Settings { net, ..settings(5) });
    assert!(net.allows(host.candidate()) && host.candidate().octets()[..2] == [10, 7]);
    for bad in [[169, 254, 1, 0], [169, 254, 0, 1], [0, 0, 0, 0], [127, 0, 0, 0], [224, 0, 0, 0], [255, 255, 0, 0]] {
        assert_eq!(Net::new(bad.into()), None, "{bad:?}");
    }
}

#[test]
fn d33_conflicts_while_claiming() {
    // Until the wait after the last probe is over, by every kind of packet.
    for ms in [0, 900, 2500, 3999] {
        type Kind = fn(Ipv4Addr) -> Input;
        let kinds: [(Kind, bool); 6] = [
            (|ip| reply(9, ip), true),
            (|ip| request(9, ip, Ipv4Addr::new(169, 254, 9, 9)), true),
            (|ip| probe(9, ip), true),
            (|ip| request(9, Ipv4Addr::new(169, 254, 9, 9), ip), false),
            (|ip| reply(5, ip), false),
            (|ip| probe(5, ip), false),
        ];
        for (i, (kind, conflict)) in kinds.into_iter().enumerate() {
            let mut host = Host::up(settings(5));
            let now = Instant::from_millis(ms);
            host.until(now);
            let before = host.candidate();
            host.give(now, kind(before));
            assert_eq!(host.candidates().len(), if conflict { 2 } else { 1 }, "kind {i} at {ms}");
            assert_eq!(host.candidate() != before, conflict);
            let (address, _) = host.claim();
            assert_eq!(address, host.candidate());
        }
    }
}

#[test]
fn d33_eleven_conflicts_are_rate_limited() {
    let mut host = Host::up(settings(5));
    let mut now = Instant::ZERO;
    for n in 0..14 {
        let begun = host.candidates();
        assert_eq!(begun.len(), n + 1);
        if n >= 10 {
            assert!(begun[n].0.since(begun[n - 1].0) >= RATE_LIMIT_INTERVAL, "{begun:?}");
        } else {
            assert!(begun[n].0.since(Instant::ZERO) < Duration::from_secs(30));
        }
        now = now.max(begun[n].0) + 300 * MS;
        host.until(now);
        host.give(now, reply(9, begun[n].1));
        // Let it start on the next one.
        while host.candidates().len() == n + 1 {
            let at = host.drain(now).unwrap();
            host.until(at);
        }
    }
    // It still gets an address.
    host.until(now + Duration::from_secs(100));
    assert_eq!(host.machine.address(), Some(host.candidate()));
}

#[test]
fn d33_defends_once_then_gives_up() {
    let mut host = Host::up(settings(5));
    let (address, t0) = host.claim();
    let t1 = t0 + Duration::from_secs(30);
    host.give(t1, reply(9, address));
    assert_eq!(host.announcements().last(), Some(&t1));
    // Not "recent" after DEFEND_INTERVAL: defended again.
    let t2 = t1 + DEFEND_INTERVAL + MS;
    host.give(t2, request(9, address, address));
    assert_eq!((host.announcements().last(), host.machine.address()), (Some(&t2), Some(address)));
    // A second one within the interval ends it, also at its last moment.
    let t3 = t2 + DEFEND_INTERVAL;
    host.give(t3, reply(9, address));
    assert_eq!(host.announcements().last(), Some(&t2));
    assert_eq!(host.times(|o| matches!(o, Output::Deconfig(_))), [t3]);
    assert_ne!(host.candidate(), address);
    host.until(t3 + Duration::from_secs(10));
    assert_eq!(host.machine.address(), Some(host.candidate()));
}

#[test]
fn own_frames_and_probes_are_no_attack_on_a_bound_address() {
    let mut host = Host::up(settings(5));
    let (address, t0) = host.claim();
    let n = host.seen.len();
    for input in [reply(5, address), request(5, address, address), probe(5, address)] {
        host.give(t0 + MS, input);
    }
    assert_eq!(host.seen.len(), n);
    // A foreign probe or request is answered by broadcast, at most once a second.
    for ms in [1, 2, 999, 1001, 1002] {
        host.give(t0 + Duration::from_millis(ms), probe(9, address));
    }
    host.give(t0 + Duration::from_secs(5), request(8, Ipv4Addr::new(169, 254, 3, 3), address));
    assert_eq!(host.times(|o| matches!(o, Output::Send(Frame::Reply(..)))).len(), 3);
    assert_eq!(host.machine.address(), Some(address));
}

#[test]
fn d33_carrier_loss_takes_the_address_and_the_same_is_probed_again() {
    let mut host = Host::up(settings(5));
    let (address, t0) = host.claim();
    host.give(t0 + MS, Input::LinkDown);
    assert_eq!(host.times(|o| *o == Output::Deconfig(address)), [t0 + MS]);
    host.until(t0 + Duration::from_secs(100));
    let probes = host.probes().len();
    host.give(t0 + Duration::from_secs(100), Input::LinkUp);
    host.until(t0 + Duration::from_secs(120));
    assert_eq!((host.candidate(), host.machine.address(), host.probes().len()), (address, Some(address), probes + 3));
    // Nothing is sent without a carrier, and probing starts anew after a loss.
    let mut host = Host::up(settings(5));
    host.until(Instant::from_secs(2));
    host.give(Instant::from_secs(2), Input::LinkDown);
    let sent = host.probes().len();
    host.until(Instant::from_secs(50));
    assert_eq!(host.probes().len(), sent);
    host.give(Instant::from_secs(50), Input::LinkUp);
    host.until(Instant::from_secs(70));
    assert_eq!(host.probes().len(), sent + 3);
}

/// RFC 2563: in every state the address goes at once and nothing is sent; allowed again, the same is probed for.
#[test]
fn forbidden_by_the_dhcp_server() {
    for (ms, held) in [(100, false), (3000, false), (9000, true), (60_000, true)] {
        let at = Instant::ZERO + MS * ms;
        let mut host = Host::up(settings(9));
        let candidate = host.until(at).candidate();
        let before = host.seen.len();
        host.give(at, Input::Forbidden);
        host.until(at + Duration::from_secs(600));
        let after: Vec<_> = host.seen[before..].iter().map(|&(_, o)| o).collect();
        assert_eq!(after, if held { vec![Output::Deconfig(candidate)] } else { vec![] });
        host.give(at, Input::Forbidden);
        host.give(at + Duration::from_secs(601), Input::LinkUp);
        assert_eq!(host.candidate(), candidate);
    }
}

#[test]
fn stopping() {
    let mut host = Host::up(settings(5));
    let (address, t0) = host.claim();
    host.give(t0 + MS, Input::Stop);
    assert_eq!(host.seen.last(), Some(&(t0 + MS, Output::Deconfig(address))));
    assert_eq!(host.machine.poll(), Output::Done);
    let mut host = Host::up(settings(5));
    host.give(Instant::from_secs(1), Input::Stop);
    assert!(host.times(|o| matches!(o, Output::Deconfig(_))).is_empty());
    // -q: done after the last announcement, address kept.
    let mut host = Host::up(Settings { quit: true, ..settings(5) });
    host.until(Instant::from_secs(20));
    assert_eq!((host.announcements().len(), host.machine.poll()), (2, Output::Done));
    assert!(host.times(|o| matches!(o, Output::Deconfig(_))).is_empty());
}

/// A shared medium: what one sends everybody hears, the sender included, a little later.
struct Wire {
    hosts: Vec<Host>,
    heard: Vec<usize>,
}

impl Wire {
    fn run(&mut self, to: Instant) {
        loop {
            let next = self.hosts.iter_mut().filter_map(|h| h.drain(Instant::ZERO)).min();
            let Some(at) = next.filter(|&at| at <= to) else { return };
            for host in &mut self.hosts {
                if host.drain(Instant::ZERO).is_some_and(|due| due <= at) {
                    host.give(at, Input::Timeout);
                }
            }
            self.deliver(at);
        }
    }

    fn deliver(&mut self, now: Instant) {
        loop {
            let mut frames = vec![];
            for (host, heard) in self.hosts.iter().zip(&mut self.heard) {
                for (_, output) in &host.seen[*heard..] {
                    if let Output::Send(frame) = *output {
                        frames.push(frame.arp(host.machine.mac));
                    }
                }
                *heard = host.seen.len();
            }
            if frames.is_empty() {
                return;
            }
            for host in &mut self.hosts {
                for &arp in &frames {
                    host.give(now, Input::Arp(arp));
                }
            }
        }
    }
}

#[test]
fn hosts_that_want_one_address_end_with_one_holder() {
    let wanted = Some(Ipv4Addr::new(169, 254, 7, 8));
    for round in 0..200 {
        let count = 2 + round % 5;
        let hosts = (0..count).map(|n| Host::up(Settings { first: wanted, ..settings(1000 * round + n) })).collect();
        let mut wire = Wire { hosts, heard: vec![0; usize::try_from(count).unwrap()] };
        wire.run(Instant::from_secs(300));
        let mut held: Vec<_> = wire.hosts.iter().map(|h| h.machine.address().unwrap()).collect();
        held.sort();
        held.dedup();
        assert_eq!(held.len(), wire.hosts.len(), "round {round}");
    }
}

#[test]
fn joined_links_end_with_one_holder() {
    // Two claimed the same address on links that are joined afterwards (section 2.5's case).
    let wanted = Ipv4Addr::new(169, 254, 7, 8);
    let mut hosts: Vec<_> = (0..2).map(|n| Host::up(Settings { first: Some(wanted), ..settings(n) })).collect();
    for host in &mut hosts {
        assert_eq!(host.claim().0, wanted);
    }
    let heard = hosts.iter().map(|h| h.seen.len()).collect();
    let mut wire = Wire { hosts, heard };
    // One of them speaks.
    wire.hosts[1].give(Instant::from_secs(60), request(0, wanted, Ipv4Addr::new(169, 254, 1, 1)));
    wire.deliver(Instant::from_secs(60));
    wire.run(Instant::from_secs(120));
    let held: Vec<_> = wire.hosts.iter().map(|h| h.machine.address().unwrap()).collect();
    // The one attacked first defends, the other defends too, the first hears its second conflict and gives up.
    assert_eq!(held[0], wanted);
    assert!(held[1] != wanted && Net::LINK_LOCAL.allows(held[1]), "{held:?}");
}
