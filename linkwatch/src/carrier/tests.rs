//! Scripts of (time, input) and what the handler hears.

use super::*;
use core::time::Duration;

/// What a script sees, without the log and the waiting.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Call(u64, &'static str),
    Done(u64),
}
use Heard::{Call as Called, Done};

/// A machine with a virtual clock; handlers take `handler_ms` and succeed unless told otherwise.
struct Bench {
    carrier: Carrier,
    now: u64,
    handler_ms: Option<u64>,
    handler_ok: bool,
    ends: Option<u64>,
    seen: Vec<Heard>,
    notes: Vec<Note>,
}

fn words(call: Call) -> &'static str {
    // ACTION PREVIOUS CURRENT
    match (call.action, call.previous, call.current) {
        (Status::Up, None, Some(Status::Up)) => "up error up",
        (Status::Down, None, Some(Status::Down)) => "down error down",
        (Status::Up, Some(Status::Down), Some(Status::Up)) => "up down up",
        (Status::Down, Some(Status::Up), Some(Status::Down)) => "down up down",
        (Status::Down, Some(Status::Up), None) => "down up error",
        other => panic!("{other:?}"),
    }
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self {
            carrier: Carrier::new(settings),
            now: 0,
            handler_ms: Some(0),
            handler_ok: true,
            ends: None,
            seen: vec![],
            notes: vec![],
        }
    }

    fn drain(&mut self) -> Option<u64> {
        loop {
            match self.carrier.poll() {
                Output::Note(note) => self.notes.push(note),
                Output::Call(call) => {
                    assert!(self.ends.is_none(), "two handlers at once");
                    self.seen.push(Called(self.now, words(call)));
                    self.ends = Some(self.handler_ms.map_or(u64::MAX, |ms| self.now + ms));
                }
                Output::Wait(at, _) => return at.map(|at| at.as_nanos() / 1_000_000),
                Output::Done => {
                    if !matches!(self.seen.last(), Some(Done(_))) {
                        self.seen.push(Done(self.now));
                    }
                    return None;
                }
            }
        }
    }

    fn give(&mut self, input: Input) {
        self.carrier.handle(Instant::from_millis(self.now), input);
    }

    /// Lets time pass until `to`, handlers and timers included.
    fn until(&mut self, to: u64) -> &mut Self {
        loop {
            let timer = self.drain();
            let next = [timer, self.ends].into_iter().flatten().min().unwrap_or(u64::MAX);
            if next > to {
                self.now = to;
                return self;
            }
            self.now = self.now.max(next);
            if self.ends == Some(next) {
                self.ends = None;
                let ok = core::mem::replace(&mut self.handler_ok, true);
                self.give(Input::Finished { ok });
            } else {
                self.give(Input::Timeout);
            }
        }
    }

    fn at(&mut self, ms: u64, input: Input) -> &mut Self {
        self.until(ms);
        self.give(input);
        self.drain();
        self
    }

    fn link(&mut self, ms: u64, up: bool, losses: u32) -> &mut Self {
        self.at(ms, Input::Link(Link::Present { index: 3, up, losses }))
    }
}

fn delays(up: u64, down: u64) -> Settings {
    Settings { up_delay: Duration::from_secs(up), down_delay: Duration::from_secs(down), ..Settings::default() }
}

#[test]
fn a_short_flap_calls_nothing() {
    let mut b = Bench::new(delays(0, 5));
    b.link(0, true, 0).link(10_000, false, 1).link(12_000, true, 1).until(60_000);
    assert_eq!(b.seen, [Called(0, "up error up")]);
    assert_eq!(b.notes[1..], [Note::Changed(Status::Down, Duration::from_secs(5)), Note::Flap(Status::Up)]);
    // And it still works: a real loss is told exactly after the delay.
    b.link(60_000, false, 2).until(70_000);
    assert_eq!(b.seen[1..], [Called(65_000, "down up down")]);
    b.link(70_000, true, 2).until(80_000);
    assert_eq!(b.seen[2..], [Called(70_000, "up down up")]);
}

#[test]
fn up_delay_counts_from_the_last_blink() {
    let mut b = Bench::new(delays(2, 0));
    b.link(0, false, 0).link(1000, true, 0).until(2999);
    assert_eq!(b.seen, []);
    b.until(3000);
    assert_eq!(b.seen, [Called(3000, "up down up")]);
    // Lost and back within one event, while the delay runs: it starts anew.
    b.link(5000, false, 1).link(6000, true, 1).link(7500, true, 2).until(20_000);
    assert_eq!(b.seen[1..], [Called(5000, "down up down"), Called(9500, "up down up")]);
}

#[test]
fn start_and_exit_rules() {
    for (p, l, up, expect) in [
        (false, false, true, Some("up error up")),
        (false, false, false, None),
        (true, false, true, None),
        (false, true, false, Some("down error down")),
        (true, true, true, Some("up error up")),
    ] {
        let mut b = Bench::new(Settings { quiet_start: p, always_start: l, ..delays(8, 8) });
        b.link(0, up, 0).until(100_000);
        assert_eq!(b.seen, expect.map(|w| Called(0, w)).into_iter().collect::<Vec<_>>(), "-p {p} -l {l}");
    }
    // TERM tells "down" when up, or down not yet told; -q never; QUIT never.
    let up = |quiet_exit| {
        let mut b = Bench::new(Settings { quiet_exit, ..delays(0, 5) });
        b.link(0, true, 0).until(1000);
        b.seen.clear();
        b
    };
    let mut b = up(false);
    b.at(1000, Input::Stop).until(2000);
    assert_eq!(b.seen, [Called(1000, "down up error"), Done(1000)]);
    let mut b = up(false);
    b.link(1000, false, 1).at(2000, Input::Stop).until(9000);
    assert_eq!(b.seen, [Called(2000, "down up error"), Done(2000)]);
    let mut b = up(false);
    b.link(1000, false, 1).at(7000, Input::Stop).until(9000);
    assert_eq!(b.seen, [Called(6000, "down up down"), Done(7000)]);
    let mut b = up(true);
    b.at(1000, Input::Stop).until(2000);
    assert_eq!(b.seen, [Done(1000)]);
    let mut b = up(false);
    b.at(1000, Input::Quit).until(2000);
    assert_eq!(b.seen, [Done(1000)]);
    let mut b = Bench::new(Settings::default());
    b.at(0, Input::Stop);
    assert_eq!(b.seen, [Done(0)]);
}

#[test]
fn stop_waits_for_the_running_handler() {
    let mut b = Bench::new(delays(0, 0));
    b.handler_ms = Some(500);
    b.link(0, true, 0).at(100, Input::Stop).at(200, Input::Stop).until(5000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(500, "down up error"), Done(1000)]);
    let mut b = Bench::new(delays(0, 0));
    b.handler_ms = Some(500);
    b.link(0, true, 0).link(1000, false, 1).at(1100, Input::Stop).until(5000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(1000, "down up down"), Done(1500)]);
}

#[test]
fn edges_during_a_run_are_told_after_it() {
    let mut b = Bench::new(delays(0, 0));
    b.handler_ms = Some(1000);
    b.link(0, true, 0).link(100, false, 1).until(10_000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(1000, "down up down")]);
    // A whole flap: the services must be restarted, not left with addresses of the old network.
    b.seen.clear();
    b.link(10_000, true, 1).link(10_100, false, 2).link(10_200, true, 2).until(20_000);
    assert_eq!(b.seen, [Called(10_000, "up down up"), Called(11_000, "down up down"), Called(12_000, "up down up")]);
    // A longer row keeps its parity and never grows.
    b.seen.clear();
    for i in 0..101_u64 {
        b.link(20_000 + i, i % 2 == 1, 3);
    }
    b.until(30_000);
    assert_eq!(b.seen, [Called(20_000, "down up down"), Called(21_000, "up down up"), Called(22_000, "down up down")]);
    b.link(30_000, true, 3).until(40_000);
    assert_eq!(b.seen[3..], [Called(30_000, "up down up")]);
}

#[test]
fn a_flap_hidden_by_the_kernel_is_told_when_there_is_no_delay() {
    let mut b = Bench::new(delays(0, 0));
    b.link(0, true, 4).link(100, true, 4).link(1000, true, 5).until(2000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(1000, "down up down"), Called(1000, "up down up")]);
    let mut b = Bench::new(delays(0, 5));
    b.link(0, true, 4).link(1000, true, 5).until(20_000);
    assert_eq!(b.seen, [Called(0, "up error up")]);
}

#[test]
fn another_interface_of_the_same_name_is_a_loss() {
    let other = |up| Input::Link(Link::Present { index: 9, up, losses: 0 });
    let missing = Settings { missing: Missing::Down, ..delays(1, 5) };
    // Back within the delay, seen or unseen missing.
    let mut b = Bench::new(missing);
    b.link(0, true, 0).at(1000, Input::Link(Link::Missing)).at(2000, other(true)).until(20_000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(2000, "down up down"), Called(3000, "up down up")]);
    let mut b = Bench::new(missing);
    b.link(0, true, 0).at(2000, other(true)).until(20_000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(2000, "down up down"), Called(3000, "up down up")]);
    let mut b = Bench::new(missing);
    b.link(0, true, 0).at(2000, other(false)).until(20_000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(2000, "down up down")]);
    // Missing for longer: the down delay counts, and an interface that appears is a plain "up".
    let mut b = Bench::new(missing);
    b.at(0, Input::Link(Link::Missing)).link(1000, true, 0).at(5000, Input::Link(Link::Missing)).until(20_000);
    assert_eq!(b.seen, [Called(2000, "up down up"), Called(10_000, "down up down")]);
}

#[test]
fn missing_can_be_fatal_or_up() {
    let mut b = Bench::new(Settings::default());
    b.at(0, Input::Link(Link::Missing));
    assert_eq!((&b.seen[..], &b.notes[..]), (&[Done(0)][..], &[Note::Lost][..]));
    let mut b = Bench::new(Settings::default());
    b.link(0, true, 0).at(1000, Input::Link(Link::Missing)).until(2000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(1000, "down up error"), Done(1000)]);
    let mut b = Bench::new(Settings { missing: Missing::Up, ..Settings::default() });
    b.at(0, Input::Link(Link::Missing)).link(1000, true, 7).until(2000);
    assert_eq!(b.seen, [Called(0, "up error up")]);
}

#[test]
fn failing_handlers() {
    let mut b = Bench::new(delays(0, 0));
    b.handler_ok = false;
    b.link(0, true, 0).until(1000);
    assert_eq!(b.seen, [Called(0, "up error up"), Done(0)]);
    let mut b = Bench::new(Settings { ignore_failure: true, ..delays(0, 0) });
    b.handler_ok = false;
    b.link(0, true, 0).link(1000, false, 0).until(2000);
    assert_eq!(b.seen, [Called(0, "up error up"), Called(1000, "down up down")]);
}
