//! Whether somebody else uses the address (RFC 5227).

use super::*;

const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
const ZERO: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// -a7000: the RFC's own seconds.
fn checked() -> Config {
    Config { check: Some(Duration::from_secs(7)), defend: Some(Defence::Once), ..UDHCPC }
}

fn arp(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Input {
    Input::Arp(Arp { mac, sender, target })
}

fn checking(config: Config) -> Script {
    let mut s = Script::started(config);
    s.offer(0);
    assert_eq!(s.ack(0, HOUR), ["watch 192.0.2.7", "listen nothing"]);
    assert_eq!(s.wait.1, "address check");
    s
}

/// Lets all probes pass; when the address was used and when each probe was sent.
fn wait_out(s: &mut Script) -> (u64, Vec<u64>) {
    let mut probes = Vec::new();
    loop {
        let at = s.wait.0.unwrap();
        let did = s.timer(at);
        if did.first().is_some_and(|d| d.starts_with("bound")) {
            assert_eq!(did[..4], ["bound 192.0.2.7", "save", "guard 192.0.2.7", "announce 192.0.2.7"]);
            return (at, probes);
        }
        assert_eq!(did, ["probe 192.0.2.7"]);
        probes.push(at);
    }
}

/// D25: up to 1 s, three probes 1-2 s apart, 2 s, then two announcements 2 s apart.
#[test]
fn d25_timeline_of_the_rfc() {
    for seed in 0..200 {
        let mut s = Script { machine: Machine::new(checked(), Random::new(seed)), ..Script::new(checked()) };
        s.at(0, Input::Start { link: Some(UP), remembered: None, neighbour: None, published: false });
        s.offer(0);
        s.ack(0, HOUR);
        let (used, probes) = wait_out(&mut s);
        assert_eq!(probes.len(), 3);
        assert!(probes[0] <= 1000, "{probes:?}");
        assert!(probes.windows(2).all(|w| (1000..=2001).contains(&(w[1] - w[0]))), "{probes:?}");
        assert!((2000..=2001).contains(&(used - probes[2])), "{probes:?} {used}");
        assert_eq!(s.wait.1, "announcement");
        assert!((2000..=2001).contains(&(s.wait.0.unwrap() - used)));
        assert_eq!(s.timer(s.wait.0.unwrap()), ["announce 192.0.2.7"]);
        assert_eq!(s.wait, (Some(1_800_000), "T1"), "no timer until then");
    }
}

/// D25: the knob is the longest it may take.
#[test]
fn d25_total_time() {
    for ms in [100, 200, 2000] {
        let mut s = checking(Config { check: Some(Duration::from_millis(ms)), ..checked() });
        let (used, probes) = wait_out(&mut s);
        assert!(used <= ms + 4 && probes.len() == 3, "{used} {probes:?}");
    }
}

#[test]
fn d25_what_is_no_conflict() {
    let mut s = checking(checked());
    assert!(s.at(0, arp(MAC, ZERO, ADDRESS)).is_empty(), "our own probe, reflected");
    assert!(s.at(0, arp([9; 6], OTHER, ADDRESS)).is_empty(), "somebody asks for us");
    let (used, _) = wait_out(&mut s);
    assert!(s.at(used, arp(MAC, ADDRESS, ADDRESS)).is_empty(), "our own announcement, reflected");
    assert!(s.at(used, arp([9; 6], ZERO, ADDRESS)).is_empty(), "a probe: the kernel answers it");
}

/// D26: not again on renewal; again when the link was away and nobody vouches for it.
#[test]
fn d26_when_to_check() {
    let mut s = checking(checked());
    wait_out(&mut s);
    s.timer(1_800_000);
    assert_eq!(s.ack(1_800_000, HOUR), ["renew 192.0.2.7", "save", "listen nothing"]);
    s.link(1_900_000, Some(DOWN));
    s.link(1_900_001, Some(UP));
    assert_eq!(s.ack(1_900_002, HOUR), ["watch 192.0.2.7", "listen nothing"]);
    assert!(s.machine.lease().is_some(), "in use meanwhile");
    let did = s.at(1_900_003, arp([9; 6], ADDRESS, OTHER));
    assert_eq!(did[..3], ["deconfig", "listen all", "decline 192.0.2.7 @192.0.2.1 >all"]);
}

/// D11, D12: conflict: DECLINE by broadcast, a pause, and then it works again.
#[test]
fn d12_conflict() {
    for (sender, target) in [(ADDRESS, SERVER), (ADDRESS, ADDRESS), (ZERO, ADDRESS)] {
        let mut s = checking(checked());
        let did = s.at(500, arp([9; 6], sender, target));
        assert_eq!(
            did,
            ["listen all", "decline 192.0.2.7 @192.0.2.1 >all", "forget", "listen nothing", "watch nothing"]
        );
        assert_eq!(s.wait, (Some(20_500), "pause after a conflict"));
        assert_eq!(s.notes.last().unwrap(), "declined 192.0.2.7: in use by 09:09:09:09:09:09");
        s.timer(20_500);
        s.offer(20_500);
        s.ack(20_500, HOUR);
        wait_out(&mut s);
    }
}

/// D12: the shortest pause is ten seconds, also with `-A 1`.
#[test]
fn d12_at_least_ten_seconds() {
    let fixed = Schedule::Fixed { tries: 3, gap: Duration::from_secs(3), pause: Duration::from_secs(1) };
    for schedule in [fixed, Schedule::Rfc { first: RFC_FIRST }] {
        let mut s = checking(Config { schedule, ..checked() });
        s.at(0, arp([9; 6], ADDRESS, ADDRESS));
        assert_eq!(s.wait, (Some(10_000), "pause after a conflict"));
    }
}

/// D25: after ten conflicts a try a minute.
#[test]
fn d25_rate_limit() {
    let mut s = Script::started(checked());
    let mut now = 0;
    for n in 1..=12 {
        s.offer(now);
        s.ack(now, HOUR);
        s.at(now, arp([9; 6], ADDRESS, ADDRESS));
        let pause = s.wait.0.unwrap() - now;
        assert_eq!(pause, if n < 10 { 20_000 } else { 60_000 }, "{n}");
        now += pause;
        s.timer(now);
    }
}

fn defending(policy: Defence) -> Script {
    let mut s = checking(Config { defend: Some(policy), ..checked() });
    let (used, _) = wait_out(&mut s);
    s.timer(used + 2000);
    s
}

/// D25: (b) the address is defended once, and given up when it happens again within ten seconds.
#[test]
fn d25_defend_once() {
    let mut s = defending(Defence::Once);
    assert_eq!(s.at(20_000, arp([9; 6], ADDRESS, OTHER)), ["announce 192.0.2.7"]);
    assert_eq!(s.notes.last().unwrap(), "defended 192.0.2.7 against 09:09:09:09:09:09");
    assert_eq!(s.at(30_001, arp([9; 6], ADDRESS, OTHER)), ["announce 192.0.2.7"], "long enough after");
    let did = s.at(40_000, arp([9; 6], ADDRESS, OTHER));
    assert_eq!(did[..4], ["deconfig", "listen all", "decline 192.0.2.7 @192.0.2.1 >all", "forget"]);
    s.still_works(60_000);
}

/// D25: (a) and (c).
#[test]
fn d25_give_up_or_never() {
    let mut s = defending(Defence::GiveUp);
    assert_eq!(s.at(20_000, arp([9; 6], ADDRESS, OTHER))[0], "deconfig");
    let mut s = defending(Defence::Always);
    let mut said = 0;
    for ms in 0..600 {
        said += s.at(20_000 + ms * 100, arp([9; 6], ADDRESS, OTHER)).len();
    }
    assert_eq!(said, 6, "a minute of it: not more often than every ten seconds");
    assert!(s.machine.lease().is_some());
}

/// Without `-a` the address is used at once; whoever has it objects to the announcement.
#[test]
fn d25_found_by_announcing() {
    let mut s = Script::started(Config { check: None, ..checked() });
    s.offer(0);
    let did = s.ack(0, HOUR);
    assert_eq!(did, ["bound 192.0.2.7", "save", "guard 192.0.2.7", "announce 192.0.2.7", "listen nothing"]);
    assert_eq!(s.at(1, arp([9; 6], ADDRESS, OTHER)), ["announce 192.0.2.7"]);
    assert_eq!(s.at(2, arp([9; 6], ADDRESS, OTHER))[0], "deconfig");
}

/// --busybox-compat: one probe at once, the whole time for an answer, no announcement; after a conflict the pause of -A.
#[test]
fn a_single_probe_as_busybox() {
    let config = Config { as_busybox: true, check: Some(Duration::from_secs(2)), ..UDHCPC };
    let checking = || {
        let mut s = Script::started(config.clone());
        s.offer(0);
        assert_eq!(s.ack(0, HOUR), ["watch 192.0.2.7", "probe 192.0.2.7", "listen nothing"]);
        s
    };
    let mut s = checking();
    assert_eq!(s.wait, (Some(2000), "address check"));
    assert_eq!(s.timer(2000), ["bound 192.0.2.7", "save", "watch nothing"]);
    let mut s = checking();
    let did = s.at(1000, arp([9; 6], ADDRESS, ADDRESS));
    assert!(did.iter().any(|d| d.starts_with("decline")), "{did:?}");
    let pause = Duration::from_secs(4);
    let schedule = Schedule::Fixed { tries: 3, gap: Duration::from_secs(3), pause };
    assert_eq!((s.wait, schedule.decline_pause(true)), ((Some(21_000), "pause after a conflict"), pause));
    assert!(schedule.decline_pause(false) > pause);
}

/// --busybox-compat: three seconds after a NAK, the first included.
#[test]
fn pause_after_a_nak_as_busybox() {
    let mut s = Script::started(Config { as_busybox: true, ..UDHCPC });
    s.offer(0);
    s.nak(0);
    assert_eq!(s.wait, (Some(3000), "pause after NAK"));
}
