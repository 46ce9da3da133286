//! Scripts of (time, answer) against simulated uplinks.

use super::*;
use netif::random::Random;

/// An uplink whose targets answer as `answers` says: time and probe in, round trip out.
struct Bench<F> {
    uplink: Uplink,
    answers: F,
    coming: Vec<(Instant, Probe)>,
    verdicts: Vec<(u64, Health)>,
    restarts: Vec<u64>,
    sent: Vec<u64>,
    now: Instant,
}

const fn ms(at: Instant) -> u64 {
    at.as_nanos() / 1_000_000
}

impl<F: FnMut(u64, Probe) -> Option<Duration>> Bench<F> {
    fn new(settings: Settings, targets: usize, answers: F) -> Self {
        let mut uplink = Uplink::new(settings, Instant::ZERO);
        uplink.handle(Instant::ZERO, Input::Targets(targets));
        Self { uplink, answers, coming: vec![], verdicts: vec![], restarts: vec![], sent: vec![], now: Instant::ZERO }
    }

    fn drain(&mut self) -> Instant {
        loop {
            match self.uplink.poll() {
                Output::Send(probe) => {
                    self.sent.push(ms(self.now));
                    match (self.answers)(ms(self.now), probe) {
                        Some(KNOWN) => self.uplink.handle(self.now, Input::Known(probe)),
                        Some(rtt) => self.coming.push((self.now + rtt, probe)),
                        None => {}
                    }
                }
                Output::Verdict(health) => self.verdicts.push((ms(self.now), health)),
                Output::Restart => self.restarts.push(ms(self.now)),
                Output::Round { .. } => {}
                Output::Wait(at, _) => return at.expect("a pinger always has a next round"),
            }
        }
    }

    fn until(&mut self, to: u64) -> &mut Self {
        loop {
            let timer = self.drain();
            self.coming.sort_by_key(|&(at, _)| at);
            let answer = self.coming.first().copied().filter(|&(at, _)| at <= timer);
            let next = answer.map_or(timer, |(at, _)| at);
            if ms(next) > to {
                return self;
            }
            self.now = next;
            match answer {
                Some((_, probe)) => {
                    self.coming.remove(0);
                    self.uplink.handle(next, Input::Answer(probe));
                }
                None => self.uplink.handle(next, Input::Timeout),
            }
        }
    }
}

/// Stands for a target that did not have to be asked.
const KNOWN: Duration = Duration::ZERO;
const RTT: Duration = Duration::from_millis(2);

fn fast() -> Settings {
    Settings { interval: Duration::from_secs(1), down: 3, ..Settings::default() }
}

#[test]
fn classic_defaults() {
    // Answers for ten minutes, then never again.
    let mut b = Bench::new(Settings::default(), 1, |t, _| (t < 600_000).then_some(RTT));
    b.until(600_000);
    assert_eq!(b.verdicts, [(2, Health::Up)]);
    assert_eq!(b.sent, (0..9).map(|n| n * 67_000).collect::<Vec<_>>());
    b.until(1_000_000);
    // The round at 603 s and four more every 5 s; answers are waited for one second.
    assert_eq!(b.verdicts[1..], [(624_000, Health::Down)]);
    assert_eq!(b.restarts[..2], [624_000, 694_000]);
}

#[test]
fn silent_death_is_seen_in_time() {
    for (settings, limit) in [
        (fast(), 4000),
        (Settings { interval: Duration::from_millis(200), timeout: Duration::from_millis(200), ..fast() }, 1000),
    ] {
        for death in 10_000..11_000 {
            if death % 7 == 0 {
                let mut b = Bench::new(settings, 1, |t, _| (t <= death).then_some(RTT));
                b.until(30_000);
                assert_eq!(b.verdicts.len(), 2);
                let (at, health) = b.verdicts[1];
                assert!(health == Health::Down && at - death <= limit, "{death} {at}");
            }
        }
    }
}

/// News from the kernel is as good as an answer, gives no figures, and does not put the verdict off for longer than it may be old.
#[test]
fn the_kernels_news_count() {
    for settings in [fast(), Settings::default()] {
        let fresh = ms(Instant::ZERO + Uplink::new(settings, Instant::ZERO).fresh());
        let interval = ms(Instant::ZERO + settings.interval);
        for death in (10 * interval..11 * interval).step_by(97) {
            let mut b = Bench::new(settings, 1, |t, p| (t <= death + fresh && p.attempt == 0).then_some(KNOWN));
            b.until(death);
            assert_eq!((b.verdicts.as_slice(), b.uplink.quality()), ([(0, Health::Up)].as_slice(), None));
            b.until(20 * interval);
            let (at, health) = b.verdicts[1];
            assert!(health == Health::Down && at - death <= 4 * interval, "{death} {at}");
        }
    }
}

#[test]
fn random_loss_is_no_verdict() {
    let mut random = Random::new(3);
    let mut b = Bench::new(fast(), 1, |_, _| (random.below(100) >= 20).then_some(RTT));
    b.until(3_600_000);
    let kinds: Vec<_> = b.verdicts.iter().map(|&(_, h)| h).collect();
    assert_eq!(kinds, [Health::Up]);
    let loss = b.uplink.quality().unwrap().loss;
    assert!((3..45).contains(&loss), "{loss}");
}

#[test]
fn one_dead_target_of_three_is_no_verdict() {
    for quorum in [1, 2] {
        let mut b = Bench::new(Settings { quorum, ..fast() }, 3, |t, p| (t < 5000 || p.target != 1).then_some(RTT));
        b.until(600_000);
        assert_eq!(b.verdicts, [(2, Health::Up)]);
    }
    // Two dead of three with a quorum of two is one; a quorum above the number of targets means all.
    for (quorum, dead) in [(2, 2), (9, 1)] {
        let answers = |t, p: Probe| (t < 5000 || p.target >= dead).then_some(RTT);
        let mut b = Bench::new(Settings { quorum, ..fast() }, 3, answers);
        b.until(60_000);
        assert_eq!(b.verdicts.last().unwrap().1, Health::Down);
    }
}

#[test]
fn a_bad_window_is_bad() {
    let settings = Settings { max_loss: Some(30), window: 20, ..fast() };
    let mut n = 0;
    let mut b = Bench::new(settings, 1, |t, _| {
        n += 1;
        (t < 60_000 || n % 2 == 0).then_some(RTT)
    });
    b.until(59_000);
    assert_eq!(b.verdicts, [(2, Health::Up)]);
    b.until(120_000);
    assert_eq!(b.verdicts[1].1, Health::Down);
    let settings = Settings { max_rtt: Some(Duration::from_millis(100)), window: 10, ..fast() };
    let slow = |t| Duration::from_millis(if (60_000..120_000).contains(&t) { 150 } else { 20 });
    let mut b = Bench::new(settings, 1, |t, _| Some(slow(t)));
    b.until(300_000);
    let kinds: Vec<_> = b.verdicts.iter().map(|&(_, h)| h).collect();
    assert_eq!(kinds, [Health::Up, Health::Down, Health::Up]);
    assert!((60_000..80_000).contains(&b.verdicts[1].0) && (120_000..140_000).contains(&b.verdicts[2].0));
}

#[test]
fn recovery_needs_several_rounds_and_a_flapping_uplink_is_held_longer() {
    // 20 s good, 10 s dead, again and again.
    let mut b = Bench::new(fast(), 1, |t, _| (t % 30_000 < 20_000).then_some(RTT));
    b.until(400_000);
    let downs: Vec<_> = b.verdicts.iter().filter(|v| v.1 == Health::Down).map(|v| v.0).collect();
    let ups: Vec<_> = b.verdicts.iter().filter(|v| v.1 == Health::Up).map(|v| v.0).collect();
    // First recovery: three good rounds, no hold.
    assert!((30_000 + 2000..30_000 + 4000).contains(&ups[1]), "{ups:?}");
    let held: Vec<_> = downs.iter().zip(&ups[1..]).map(|(d, u)| u - d).collect();
    assert!(held.windows(2).all(|w| w[0] <= w[1] + 3000) && *held.last().unwrap() >= 20_000, "{held:?}");
    // After a calm time it is trusted again.
    let mut b = Bench::new(fast(), 1, |t, _| (t % 1_000_000 < 990_000).then_some(RTT));
    b.until(5_000_000);
    for pair in b.verdicts[1..].chunks_exact(2) {
        assert!(pair[1].0 - pair[0].0 < 12_000, "{pair:?}");
    }
}

#[test]
fn restarts_are_repeated_with_a_pause() {
    let mut b = Bench::new(Settings { restart_pause: Duration::from_secs(30), ..fast() }, 1, |_, _| None);
    b.until(100_000);
    assert_eq!(b.verdicts.len(), 1);
    assert_eq!(b.restarts.len(), 4, "{:?}", b.restarts);
    assert!(b.restarts.windows(2).all(|w| (30_000..32_000).contains(&(w[1] - w[0]))));
}

#[test]
fn stale_foreign_and_repeated_answers_do_not_count() {
    let mut uplink = Uplink::new(fast(), Instant::ZERO);
    let at = Instant::from_millis;
    let drain = |u: &mut Uplink| {
        let mut sent = vec![];
        loop {
            match u.poll() {
                Output::Send(probe) => sent.push(probe),
                Output::Wait(next, _) => return (sent, next.unwrap()),
                Output::Round { .. } | Output::Verdict(_) | Output::Restart => {}
            }
        }
    };
    uplink.handle(at(0), Input::Targets(2));
    uplink.handle(at(0), Input::Timeout);
    let (sent, _) = drain(&mut uplink);
    assert_eq!(sent.len(), 2);
    let first = sent[0];
    for wrong in [
        Probe { round: first.round.wrapping_sub(1), ..first },
        Probe { target: 2, ..first },
        Probe { target: usize::MAX, ..first },
        Probe { attempt: 1, ..first },
    ] {
        uplink.handle(at(1), Input::Answer(wrong));
    }
    assert_eq!(uplink.quality(), None);
    uplink.handle(at(2), Input::Answer(first));
    uplink.handle(at(3), Input::Answer(first));
    assert_eq!(uplink.quality(), Some(Quality { loss: 0, rtt: Some(Duration::from_millis(2)) }));
    // The list changes in the middle of a round: the answers of the old one are void.
    uplink.handle(at(4), Input::Targets(1));
    uplink.handle(at(4), Input::Answer(sent[1]));
    assert_eq!(uplink.health(), Health::Unknown);
    uplink.handle(at(4), Input::Timeout);
    let (sent, _) = drain(&mut uplink);
    uplink.handle(at(5), Input::Answer(sent[0]));
    assert_eq!(uplink.health(), Health::Up);
    // No targets: nothing is known, and nothing is sent.
    uplink.handle(at(6), Input::Targets(0));
    assert_eq!(uplink.health(), Health::Unknown);
    let (_, next) = drain(&mut uplink);
    uplink.handle(next, Input::Timeout);
    assert_eq!(drain(&mut uplink).0, []);
}
