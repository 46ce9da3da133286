//! The carrier machine: what ifplugd decides (spec dhcp.md c).
//!
//! It is told what the kernel says about one interface and decides when the handler has to hear of it. A change arms the
//! timer of its direction; when the link returns before the timer ends nobody hears of it (the flap filter). Handlers run
//! one at a time and the machine stays awake meanwhile, so an edge that becomes due during a run is told after it.
//!
//! No socket, clock or process in here; `driver` owns those.

mod io;
#[cfg(test)]
mod tests;

pub use io::{Call, Input, Link, Missing, Note, Output, Settings, Status};
use std::collections::VecDeque;
use sys::clock::Instant;

/// The machine.
#[derive(Debug)]
pub struct Carrier {
    settings: Settings,
    state: State,
    out: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The interface was not looked at yet.
    Start,
    Watching {
        debounce: Debounce,
        seen: Seen,
        calls: Calls,
    },
    /// Told to stop; the handler that runs comes to its end first. `tell` when a last "down" is owed.
    Stopping {
        tell: bool,
    },
    /// The last "down" call.
    LastCall,
    Done,
}

/// The flap filter. The link itself has two states; "missing" was mapped before.
#[derive(Clone, Copy, Debug)]
enum Debounce {
    /// The link is what everyone was told.
    Steady(Status),
    /// The link left `from` and counts as changed at `at`.
    Changing { from: Status, at: Instant },
}

/// Which interface it was, and its counter, when last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    index: u32,
    losses: u32,
}

/// The handler. What it was told last is `told`.
#[derive(Clone, Copy, Debug)]
enum Calls {
    Idle,
    Running { told: Status, queue: Queue },
}

/// Edges due while the handler runs. Only the parity of a longer row matters.
#[derive(Clone, Copy, Debug)]
enum Queue {
    Empty,
    /// The opposite of what is being told.
    Opposite,
    /// The opposite, then the same again.
    Flap,
}

impl Carrier {
    /// A machine that waits for its first look at the interface.
    pub const fn new(settings: Settings) -> Self {
        Self { settings, state: State::Start, out: VecDeque::new() }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Link(link) => self.link(now, link),
            Input::Finished { ok } => self.finished(ok),
            Input::Stop => self.stop(),
            Input::Quit => self.state = State::Done,
            Input::Timeout => {}
        }
        self.timers(now);
    }

    /// The next thing to do; call until it says `Wait` or `Done`.
    pub fn poll(&mut self) -> Output {
        self.out.pop_front().unwrap_or(match self.state {
            State::Start => Output::Wait(None, "first look"),
            State::Watching { debounce: Debounce::Steady(_), .. } => Output::Wait(None, "link"),
            State::Watching { debounce: Debounce::Changing { at, .. }, .. } => Output::Wait(Some(at), "delay"),
            State::Stopping { .. } | State::LastCall => Output::Wait(None, "handler"),
            State::Done => Output::Done,
        })
    }

    fn link(&mut self, now: Instant, link: Link) {
        let Some((status, seen)) = self.read(link) else {
            return match self.state {
                State::Start | State::Watching { .. } => {
                    self.note(Note::Lost);
                    self.stop();
                }
                State::Stopping { .. } | State::LastCall | State::Done => {}
            };
        };
        match self.state {
            State::Start => self.first_look(status, seen),
            State::Watching { debounce, seen: before, calls } => {
                // A missing interface has no number; the old one stays to be compared with the next.
                let seen = seen.unwrap_or(before);
                self.state = State::Watching { debounce, seen, calls };
                self.observe(now, debounce, status, before, seen);
            }
            State::Stopping { .. } | State::LastCall | State::Done => {}
        }
    }

    /// What the kernel's view means; none when a missing interface is fatal.
    const fn read(&self, link: Link) -> Option<(Status, Option<Seen>)> {
        match link {
            Link::Present { index, up: true, losses } => Some((Status::Up, Some(Seen { index, losses }))),
            Link::Present { index, up: false, losses } => Some((Status::Down, Some(Seen { index, losses }))),
            Link::Missing => match self.settings.missing {
                Missing::Fatal => None,
                Missing::Down => Some((Status::Down, None)),
                Missing::Up => Some((Status::Up, None)),
            },
        }
    }

    fn first_look(&mut self, status: Status, seen: Option<Seen>) {
        let tell = self.settings.always_start || (status == Status::Up && !self.settings.quiet_start);
        self.note(Note::Starting(status));
        let calls = if tell { self.call(status, None) } else { Calls::Idle };
        let seen = seen.unwrap_or(Seen { index: 0, losses: 0 });
        self.state = State::Watching { debounce: Debounce::Steady(status), seen, calls };
    }

    /// The flap filter proper.
    fn observe(&mut self, now: Instant, debounce: Debounce, status: Status, before: Seen, seen: Seen) {
        let replaced = before.index != 0 && before.index != seen.index;
        let blinked = before.losses != seen.losses;
        match debounce {
            Debounce::Steady(Status::Up) => match status {
                // Nothing configured on the old interface is on the new one: the loss is real, however short.
                Status::Up if replaced => self.missed(now),
                // Shorter than what the kernel reports, so shorter than any whole-second delay.
                Status::Up if blinked && self.settings.down_delay.is_zero() => self.missed(now),
                Status::Up => {}
                Status::Down if replaced => self.settle(Status::Down),
                Status::Down => self.change(now, Status::Down),
            },
            Debounce::Steady(Status::Down) => match status {
                Status::Up => self.change(now, Status::Up),
                Status::Down => {}
            },
            Debounce::Changing { from: Status::Up, .. } => match status {
                Status::Up if replaced => self.missed(now),
                Status::Up => self.restored(Status::Up),
                Status::Down if replaced => self.settle(Status::Down),
                // Up and down again in between: the delay starts anew, as if both events had come.
                Status::Down if blinked => self.change(now, Status::Down),
                Status::Down => {}
            },
            Debounce::Changing { from: Status::Down, .. } => match status {
                Status::Up if replaced || blinked => self.change(now, Status::Up),
                Status::Up => {}
                Status::Down => self.restored(Status::Down),
            },
        }
    }

    fn change(&mut self, now: Instant, to: Status) {
        let delay = match to {
            Status::Up => self.settings.up_delay,
            Status::Down => self.settings.down_delay,
        };
        self.note(Note::Changed(to, delay));
        self.debounce(Debounce::Changing { from: to.other(), at: now + delay });
    }

    fn restored(&mut self, to: Status) {
        self.note(Note::Flap(to));
        self.debounce(Debounce::Steady(to));
    }

    /// The link was lost and is up again, both unseen.
    fn missed(&mut self, now: Instant) {
        self.note(Note::Missed);
        self.settle(Status::Down);
        self.change(now, Status::Up);
    }

    /// The link counts as `status` from now on and the handler hears it.
    fn settle(&mut self, status: Status) {
        self.debounce(Debounce::Steady(status));
        match self.state {
            State::Watching { debounce, seen, calls } => {
                let calls = match calls {
                    Calls::Idle => self.call(status, Some(status.other())),
                    Calls::Running { told, queue } => Calls::Running { told, queue: queue.then_edge() },
                };
                self.state = State::Watching { debounce, seen, calls };
            }
            State::Start | State::Stopping { .. } | State::LastCall | State::Done => {}
        }
    }

    fn debounce(&mut self, to: Debounce) {
        match &mut self.state {
            State::Watching { debounce, .. } => *debounce = to,
            State::Start | State::Stopping { .. } | State::LastCall | State::Done => {}
        }
    }

    fn call(&mut self, action: Status, previous: Option<Status>) -> Calls {
        self.out.push_back(Output::Call(Call { action, previous, current: Some(action) }));
        Calls::Running { told: action, queue: Queue::Empty }
    }

    fn finished(&mut self, ok: bool) {
        match self.state {
            State::Watching { debounce, seen, calls: Calls::Running { told, queue, .. } } => {
                if !ok && !self.settings.ignore_failure {
                    self.note(Note::HandlerFailed);
                    self.state = State::Done;
                    return;
                }
                let calls = match queue {
                    Queue::Empty => Calls::Idle,
                    Queue::Opposite => self.call(told.other(), Some(told)),
                    Queue::Flap => match self.call(told.other(), Some(told)) {
                        Calls::Running { told, .. } => Calls::Running { told, queue: Queue::Opposite },
                        Calls::Idle => Calls::Idle,
                    },
                };
                self.state = State::Watching { debounce, seen, calls };
            }
            State::Stopping { tell: true, .. } => self.last_call(),
            State::Stopping { tell: false, .. } | State::LastCall => self.state = State::Done,
            // Nothing runs in these.
            State::Start | State::Watching { calls: Calls::Idle, .. } | State::Done => {}
        }
    }

    fn stop(&mut self) {
        match self.state {
            State::Start => self.state = State::Done,
            State::Watching { debounce, calls, .. } => match calls {
                Calls::Running { told, .. } => {
                    // What is being told is what the handler knows, whatever became due since.
                    let tell = told == Status::Up && !self.settings.quiet_exit;
                    self.state = State::Stopping { tell };
                }
                Calls::Idle if debounce.told() == Status::Up && !self.settings.quiet_exit => self.last_call(),
                Calls::Idle => self.state = State::Done,
            },
            State::Stopping { .. } | State::LastCall | State::Done => {}
        }
    }

    /// "down" with CURRENT=error: nobody watches the link from here on.
    fn last_call(&mut self) {
        self.out.push_back(Output::Call(Call { action: Status::Down, previous: Some(Status::Up), current: None }));
        self.state = State::LastCall;
    }

    fn timers(&mut self, now: Instant) {
        match self.state {
            State::Watching { debounce: Debounce::Changing { from, at }, .. } if at <= now => {
                self.settle(from.other());
            }
            State::Watching { .. } | State::Start | State::Stopping { .. } | State::LastCall | State::Done => {}
        }
    }

    fn note(&mut self, note: Note) {
        self.out.push_back(Output::Note(note));
    }
}

impl Debounce {
    /// What was told last, or would have been without `-p`.
    const fn told(self) -> Status {
        match self {
            Self::Steady(status) | Self::Changing { from: status, .. } => status,
        }
    }
}

impl Queue {
    const fn then_edge(self) -> Self {
        match self {
            Self::Empty | Self::Flap => Self::Opposite,
            Self::Opposite => Self::Flap,
        }
    }
}
