//! The verdict machine: is this uplink alive?
//!
//! It works in rounds. In a round every target is probed until it answers, `tries` times within `timeout`; the round is good
//! when `quorum` targets answered and the window of past probes is within the limits for loss and latency. `down` bad rounds
//! in a row turn the verdict down, `up` good ones turn it up again, but not before the hold-down of a flapping uplink is
//! over. No socket, clock or file in here; `driver` owns those.

use core::time::Duration;
use std::collections::VecDeque;
use sys::clock::Instant;

#[cfg(test)]
mod tests;

/// Most targets of one uplink.
pub const MAX_TARGETS: usize = 64;

/// The settings. The defaults are those of the classic dhcp_if_pinger script.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// From the start of a good round to the next.
    pub interval: Duration,
    /// How long a round waits for answers; at most three quarters of `interval`.
    pub timeout: Duration,
    /// From the start of a bad round to the next; at most `interval`.
    pub retry: Duration,
    /// Probes of one target in one round, the later ones only when it did not answer yet.
    pub tries: u8,
    /// Bad rounds in a row for "down".
    pub down: u32,
    /// Good rounds in a row for "up" after "down".
    pub up: u32,
    /// Targets that must answer; fewer when there are fewer.
    pub quorum: usize,
    /// Probes the loss and latency figures are made of.
    pub window: usize,
    /// More lost probes in a full window make a round bad. Per cent.
    pub max_loss: Option<u8>,
    /// A longer mean round trip in a full window makes a round bad.
    pub max_rtt: Option<Duration>,
    /// Hold-down of an uplink that failed twice within `hold_max`; doubles with every further failure.
    pub hold: Duration,
    /// Longest hold-down, and how long an uplink must stay up to be trusted again.
    pub hold_max: Duration,
    /// Shortest time between two restarts of the services behind the uplink.
    pub restart_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(67),
            timeout: Duration::from_secs(1),
            retry: Duration::from_secs(5),
            tries: 3,
            down: 5,
            up: 3,
            quorum: 1,
            window: 30,
            max_loss: None,
            max_rtt: None,
            hold: Duration::from_secs(10),
            hold_max: Duration::from_secs(300),
            restart_pause: Duration::from_secs(67),
        }
    }
}

/// One probe: which target, and what makes it recognisable in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Counts rounds; an answer to an older one is ignored.
    pub round: u32,
    /// Position in the list of targets.
    pub target: usize,
    /// 0 for the first try of the round.
    pub attempt: u8,
}

/// What the world tells the machine.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// So many targets are known from now on; none: nothing can be said. Given again when the list changes.
    Targets(usize),
    /// This probe was answered.
    Answer(Probe),
    /// This probe was not sent: its target was heard of no longer than [`Uplink::fresh`] ago. No figure comes of it.
    Known(Probe),
    /// The time asked for by `Wait` has come.
    Timeout,
}

/// Whether the uplink works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing is known: no target, or the first rounds.
    Unknown,
    /// Enough targets answer.
    Up,
    /// They do not.
    Down,
}

/// Figures of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Lost probes, per cent.
    pub loss: u8,
    /// Mean round trip of the answered ones; none when all are lost.
    pub rtt: Option<Duration>,
}

/// What the machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send it now.
    Send(Probe),
    /// A round is over: so many targets of so many answered.
    Round {
        /// Targets that answered.
        answered: usize,
        /// Targets probed.
        targets: usize,
    },
    /// The verdict changed: publish it and kick `fw`.
    Verdict(Health),
    /// Restart the services behind the uplink.
    Restart,
    /// Nothing to do before an answer, or before this time.
    Wait(Option<Instant>, &'static str),
}

/// The machine.
#[derive(Debug)]
pub struct Uplink {
    settings: Settings,
    targets: usize,
    round: u32,
    state: State,
    verdict: Verdict,
    flaps: u32,
    window: VecDeque<Sample>,
    out: VecDeque<Output>,
}

#[derive(Clone, Debug)]
enum State {
    /// The next round is due at `at`.
    Resting { at: Instant },
    /// Every target was probed `attempts` times or has answered.
    Probing { began: Instant, attempts: u8, progress: Vec<Progress> },
}

/// One target in one round.
#[derive(Clone, Copy, Debug)]
enum Progress {
    Silent,
    Answered,
}

/// How we know that a target is there.
#[derive(Clone, Copy, Debug)]
enum Evidence {
    Answer,
    Kernel,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Unknown { bad: u32 },
    Up { bad: u32, since: Instant },
    Down { good: u32, hold_until: Instant, restarted: Instant },
}

#[derive(Clone, Copy, Debug)]
enum Sample {
    Lost,
    Answered(Duration),
}

impl Uplink {
    /// A machine whose first round is due at once.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let timeout = settings.timeout.min(settings.interval * 3 / 4);
        let retry = settings.retry.min(settings.interval);
        let settings = Settings { timeout, retry, tries: settings.tries.max(1), ..settings };
        Self {
            settings,
            targets: 0,
            round: 0,
            state: State::Resting { at: now },
            verdict: Verdict::Unknown { bad: 0 },
            flaps: 0,
            window: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Targets(count) => self.retarget(now, count.min(MAX_TARGETS)),
            Input::Answer(probe) => self.answer(now, probe, Evidence::Answer),
            Input::Known(probe) => self.answer(now, probe, Evidence::Kernel),
            Input::Timeout => self.timers(now),
        }
    }

    /// The next thing to do; call until it says `Wait`.
    pub fn poll(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| match &self.state {
            State::Resting { at } => Output::Wait(Some(*at), "round"),
            State::Probing { began, attempts, .. } => Output::Wait(Some(self.step(*began, *attempts)), "answers"),
        })
    }

    /// Whether answers are waited for.
    pub const fn probing(&self) -> bool {
        matches!(self.state, State::Probing { .. })
    }

    /// How old news of a target may be to count as an answer. A round waits for three quarters of `interval` at most, so with a
    /// quarter "down" still comes no later than `down` + 1 intervals after a silent death.
    pub fn fresh(&self) -> Duration {
        self.settings.interval / 4
    }

    /// The verdict.
    pub const fn health(&self) -> Health {
        match self.verdict {
            Verdict::Unknown { .. } => Health::Unknown,
            Verdict::Up { .. } => Health::Up,
            Verdict::Down { .. } => Health::Down,
        }
    }

    /// The figures of the window; none before the first probe.
    pub fn quality(&self) -> Option<Quality> {
        let (mut lost, mut answered, mut sum) = (0_usize, 0_u32, Duration::ZERO);
        for sample in &self.window {
            match sample {
                Sample::Lost => lost += 1,
                Sample::Answered(rtt) => {
                    answered += 1;
                    sum += *rtt;
                }
            }
        }
        let loss = (lost * 100).checked_div(self.window.len())?;
        Some(Quality { loss: u8::try_from(loss).unwrap_or(100), rtt: sum.checked_div(answered) })
    }

    /// When attempt number `attempts` is due; after the last, the end of the round.
    fn step(&self, began: Instant, attempts: u8) -> Instant {
        began + self.settings.timeout * u32::from(attempts) / u32::from(self.settings.tries)
    }

    fn retarget(&mut self, now: Instant, count: usize) {
        self.targets = count;
        // Answers to the old list mean nothing for the new one, which deserves a look at once.
        self.state = State::Resting { at: now };
        if count == 0 {
            self.window.clear();
            self.flaps = 0;
            self.judge(Verdict::Unknown { bad: 0 });
        }
    }

    fn timers(&mut self, now: Instant) {
        match &self.state {
            State::Resting { at } if *at <= now => self.begin(now),
            State::Probing { began, attempts, .. } if self.step(*began, *attempts) <= now => {
                if *attempts < self.settings.tries { self.attempt() } else { self.end(now) }
            }
            State::Resting { .. } | State::Probing { .. } => {}
        }
    }

    fn begin(&mut self, now: Instant) {
        if self.targets == 0 {
            self.state = State::Resting { at: now + self.settings.interval };
            return;
        }
        self.round = self.round.wrapping_add(1);
        self.state = State::Probing { began: now, attempts: 0, progress: vec![Progress::Silent; self.targets] };
        self.attempt();
    }

    fn attempt(&mut self) {
        match &mut self.state {
            State::Probing { attempts, progress, .. } => {
                for (target, progress) in progress.iter().enumerate() {
                    match progress {
                        Progress::Silent => {
                            let probe = Probe { round: self.round, target, attempt: *attempts };
                            self.out.push_back(Output::Send(probe));
                        }
                        Progress::Answered => {}
                    }
                }
                *attempts += 1;
            }
            State::Resting { .. } => {}
        }
    }

    fn answer(&mut self, now: Instant, probe: Probe, evidence: Evidence) {
        let State::Probing { began, attempts, progress } = &mut self.state else { return };
        if probe.round != self.round || probe.attempt >= *attempts {
            return;
        }
        let (began, all) = match progress.get_mut(probe.target) {
            Some(slot @ Progress::Silent) => {
                *slot = Progress::Answered;
                (*began, progress.iter().all(|p| matches!(p, Progress::Answered)))
            }
            // A second answer, or a target that does not exist.
            Some(Progress::Answered) | None => return,
        };
        match evidence {
            Evidence::Answer => {
                // Earlier tries were lost; later ones, if any, are still on their way and count neither way.
                for _ in 0..probe.attempt {
                    self.sample(Sample::Lost);
                }
                let sent = self.step(began, probe.attempt);
                self.sample(Sample::Answered(now.since(sent)));
            }
            Evidence::Kernel => {}
        }
        if all {
            self.end(now);
        }
    }

    fn end(&mut self, now: Instant) {
        let next = State::Resting { at: now };
        let (began, progress) = match core::mem::replace(&mut self.state, next) {
            State::Probing { began, progress, .. } => (began, progress),
            State::Resting { .. } => return,
        };
        let answered = progress.iter().filter(|p| matches!(p, Progress::Answered)).count();
        let targets = progress.len();
        for _ in 0..(targets - answered) * usize::from(self.settings.tries) {
            self.sample(Sample::Lost);
        }
        self.out.push_back(Output::Round { answered, targets });
        let good = answered >= self.settings.quorum.clamp(1, targets) && self.quality_is_good();
        self.count(now, good);
        let pause = match self.verdict {
            Verdict::Up { bad: 0, .. } => self.settings.interval,
            Verdict::Up { .. } | Verdict::Unknown { .. } | Verdict::Down { .. } => self.settings.retry,
        };
        self.state = State::Resting { at: (began + pause).max(now) };
    }

    fn quality_is_good(&self) -> bool {
        let Some(quality) = self.quality().filter(|_| self.window.len() >= self.settings.window) else { return true };
        self.settings.max_loss.is_none_or(|max| quality.loss <= max)
            && self.settings.max_rtt.is_none_or(|max| quality.rtt.is_some_and(|rtt| rtt <= max))
    }

    /// Thresholds and hold-down.
    fn count(&mut self, now: Instant, good: bool) {
        match (good, self.verdict) {
            (true, Verdict::Unknown { .. }) => self.judge(Verdict::Up { bad: 0, since: now }),
            (true, Verdict::Up { since, .. }) => self.verdict = Verdict::Up { bad: 0, since },
            (true, Verdict::Down { good, hold_until, restarted }) => {
                let good = good.saturating_add(1);
                if good >= self.settings.up && now >= hold_until {
                    self.judge(Verdict::Up { bad: 0, since: now });
                } else {
                    self.verdict = Verdict::Down { good, hold_until, restarted };
                }
            }
            (false, Verdict::Unknown { bad }) if bad + 1 < self.settings.down => {
                self.verdict = Verdict::Unknown { bad: bad + 1 };
            }
            (false, Verdict::Up { bad, since }) if bad + 1 < self.settings.down => {
                self.verdict = Verdict::Up { bad: bad + 1, since };
            }
            (false, Verdict::Unknown { .. }) => self.fail(now),
            (false, Verdict::Up { since, .. }) => {
                self.flaps = if now.since(since) < self.settings.hold_max { self.flaps.saturating_add(1) } else { 0 };
                self.fail(now);
            }
            (false, Verdict::Down { hold_until, restarted, .. }) => {
                let again = now.since(restarted) >= self.settings.restart_pause;
                let restarted = if again { now } else { restarted };
                self.verdict = Verdict::Down { good: 0, hold_until, restarted };
                if again {
                    self.out.push_back(Output::Restart);
                }
            }
        }
    }

    fn fail(&mut self, now: Instant) {
        // The first failure is held for nothing: 0, hold, 2 hold, 4 hold, ...
        let hold = match self.flaps {
            0 | 1 => Duration::ZERO,
            n => self.settings.hold.saturating_mul(1 << (n - 2).min(20)).min(self.settings.hold_max),
        };
        self.judge(Verdict::Down { good: 0, hold_until: now + hold, restarted: now });
        self.out.push_back(Output::Restart);
    }

    /// The one place that changes the verdict.
    fn judge(&mut self, verdict: Verdict) {
        let before = self.health();
        self.verdict = verdict;
        if self.health() != before {
            self.out.push_back(Output::Verdict(self.health()));
        }
    }

    fn sample(&mut self, sample: Sample) {
        if self.window.len() >= self.settings.window.max(1) {
            self.window.pop_front();
        }
        self.window.push_back(sample);
    }
}
