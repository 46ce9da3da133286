//! Has it happened? One waited-for service as a machine: statuses and `./check` results in, what to do next out.
//!
//! "Since it was asked" is told by the whole label (nanoseconds) and the pid of the status read just before sending, never by
//! the second: runit takes a service started in the same second for restarted (spec runit §2.5).

use super::command::{Goal, Order};
use crate::history::Readiness;
use crate::status::{State, Status, Want};
use core::time::Duration;
use sys::clock::Instant;

/// `./check` has no event to wait for, so it is asked again this long after it said no (runit's own interval).
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(420);

/// What the world tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// `supervise/status` now, and what `supervise/history`, read after it, says about its run.
    Status(Status, Readiness),
    /// The `./check` that was asked for said so.
    Checked(Availability),
    /// The runsv that was told has ended, and no other one is there.
    Gone,
}

/// What `./check` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// Exit code 0, or there is no `./check`.
    Yes,
    /// Any other code. Ended by a signal counts as no: runit looks at the exit-code byte only and so takes a crashed
    /// `./check` for a yes.
    No,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// All goals hold.
    Reached,
    /// runsv has ended and that was not the goal.
    Lost,
    /// Run `./check` and tell its answer.
    Ask,
    /// Nothing until the next event, or until this time.
    Wait(Option<Instant>),
}

/// A service that was sent something.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    order: Order,
    before: Status,
    state: Latest,
    check: Check,
}

#[derive(Clone, Copy, Debug)]
enum Latest {
    Unknown,
    Known(Status, Readiness),
    Gone,
}

/// Answers hold for one process of the service only.
#[derive(Clone, Copy, Debug)]
enum Check {
    Due,
    Running { outdated: bool },
    Failed { again: Instant },
    Passed,
}

impl Waiting {
    /// `before` was read just before `order` was sent.
    pub(crate) fn new(order: Order, before: Status) -> Self {
        Self { order, before, state: Latest::Unknown, check: Check::Due }
    }

    /// The order it is about.
    pub(crate) fn order(&self) -> &Order {
        &self.order
    }

    /// Takes note.
    pub(crate) fn handle(&mut self, now: Instant, seen: Seen) {
        // Whatever comes now is its successor's.
        if let Latest::Gone = self.state {
            return;
        }
        match seen {
            Seen::Gone => self.state = Latest::Gone,
            Seen::Status(status, ready) => {
                if let Latest::Known(last, _) = self.state
                    && another_process(&last, &status)
                {
                    self.forget_answer();
                }
                self.state = Latest::Known(status, ready);
            }
            Seen::Checked(answer) => {
                self.check = match (self.check, answer) {
                    (Check::Running { outdated: true }, Availability::Yes | Availability::No) => Check::Due,
                    (_, Availability::Yes) => Check::Passed,
                    (_, Availability::No) => Check::Failed { again: now + ASK_AGAIN },
                }
            }
        }
    }

    fn forget_answer(&mut self) {
        self.check = match self.check {
            Check::Running { .. } => Check::Running { outdated: true },
            Check::Due | Check::Failed { .. } | Check::Passed => Check::Due,
        }
    }

    /// What to do. [`Next::Ask`] is said once per question.
    pub(crate) fn poll(&mut self, now: Instant) -> Next {
        let (status, ready) = match self.state {
            Latest::Unknown => return Next::Wait(None),
            Latest::Gone if self.order.ends_runsv() => return Next::Reached,
            Latest::Gone => return Next::Lost,
            Latest::Known(status, ready) => (status, ready),
        };
        let mut available = true;
        for goal in self.order.until {
            match holds(*goal, &self.before, &status, ready) {
                Holds::Yes => {}
                Holds::No => return Next::Wait(None),
                Holds::IfAvailable => available = false,
            }
        }
        if available {
            return Next::Reached;
        }
        match self.check {
            Check::Passed => Next::Reached,
            Check::Running { .. } => Next::Wait(None),
            Check::Failed { again } if now < again => Next::Wait(Some(again)),
            Check::Failed { .. } | Check::Due => {
                self.check = Check::Running { outdated: false };
                Next::Ask
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    IfAvailable,
}

impl From<bool> for Holds {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// The table of spec runit §2.5, `check` as in 2.3.0. Where it says that `./check` is asked, readiness comes first.
///
/// Stricter in one thing: what is wanted must be what was asked for. A status that says otherwise is older than the command, and
/// a service that has just been started, say, may still look down in it.
fn holds(goal: Goal, before: &Status, now: &Status, ready: Readiness) -> Holds {
    let wants_down = now.want == Want::Down;
    match goal {
        Goal::Up if wants_down => Holds::No,
        Goal::Up | Goal::Ready => available(now, ready),
        Goal::Running => (now.pid != 0 && now.state == State::Run).into(),
        Goal::Down => (is_down(now) && now.want != Want::Up).into(),
        Goal::Settled if wants_down => is_down(now).into(),
        Goal::Settled => available(now, ready),
        Goal::Fresh if now.pid == 0 && wants_down => Holds::Yes,
        Goal::Fresh if another_process(before, now) && !now.got_term => available(now, ready),
        Goal::Fresh => Holds::No,
        Goal::Once if now.pid == 0 => another_process(before, now).into(),
        Goal::Once => wants_down.into(),
        Goal::Paused => (now.pid == 0 || now.paused).into(),
        Goal::Continued => (now.pid == 0 || !now.paused).into(),
        // Told by `Seen::Gone`; while there is a status there is a runsv.
        Goal::Gone => Holds::No,
    }
}

fn is_down(s: &Status) -> bool {
    s.pid == 0 && s.state == State::Down
}

/// It runs and, if it is one that says when it is ready, has said so; then `./check` is asked.
fn available(s: &Status, ready: Readiness) -> Holds {
    match ready {
        Readiness::Untold | Readiness::Ready if s.pid != 0 && s.state == State::Run => Holds::IfAvailable,
        Readiness::Untold | Readiness::Ready | Readiness::NotYet => Holds::No,
    }
}

fn another_process(a: &Status, b: &Status) -> bool {
    (a.since, a.pid) != (b.since, b.pid)
}

#[cfg(test)]
mod tests {
    use super::super::command::{Action, Manner, parse};
    use super::*;
    use sys::clock::Tai64n;

    const T0: Instant = Instant::from_secs(100);

    fn order(word: &str) -> Order {
        match parse(word.as_bytes(), Manner::Sv).unwrap() {
            Action::Send(o) => o,
            Action::Status | Action::List(_) | Action::Log(_) | Action::Enable(_) | Action::Disable => {
                panic!("not a command that is sent")
            }
        }
    }

    fn at(nanos: u32) -> Tai64n {
        Tai64n { label: 1 << 62, nanos }
    }

    fn running(pid: u32, nanos: u32) -> Status {
        Status { pid, since: at(nanos), want: Want::Up, state: State::Run, ..Status::default() }
    }

    fn down(nanos: u32) -> Status {
        Status { since: at(nanos), want: Want::Down, ..Status::default() }
    }

    /// What a series of statuses comes to when `./check` says yes.
    fn outcome(word: &str, before: Status, seen: &[Status]) -> Next {
        let mut w = Waiting::new(order(word), before);
        let mut next = Next::Wait(None);
        for s in seen {
            w.handle(T0, Seen::Status(*s, Readiness::Untold));
            next = w.poll(T0);
            if next == Next::Ask {
                w.handle(T0, Seen::Checked(Availability::Yes));
                next = w.poll(T0);
            }
        }
        next
    }

    const NOT_YET: Next = Next::Wait(None);

    #[test]
    fn restart_within_the_second_needs_another_process() {
        let old = running(7, 5);
        assert_eq!(outcome("restart", old, &[old]), NOT_YET);
        assert_eq!(outcome("restart", old, &[Status { got_term: true, ..old }]), NOT_YET);
        assert_eq!(outcome("restart", old, &[Status { want: Want::Up, ..down(6) }]), NOT_YET);
        assert_eq!(outcome("restart", old, &[running(8, 6)]), Next::Reached);
        assert_eq!(outcome("restart", old, &[running(7, 6)]), Next::Reached);
        assert_eq!(outcome("restart", old, &[Status { paused: true, ..running(8, 6) }]), NOT_YET);
        // The clock stepping back changes nothing.
        assert_eq!(outcome("restart", old, &[running(8, 1)]), Next::Reached);
        // The dying process's finish keeps its start.
        assert_eq!(outcome("term", old, &[Status { state: State::Finish, pid: 9, ..old }]), NOT_YET);
        assert_eq!(outcome("try-restart", down(3), &[down(3)]), Next::Reached);
        assert_eq!(outcome("restart", down(3), &[down(3)]), NOT_YET);
        assert_eq!(outcome("kill", old, &[down(6)]), Next::Reached);
    }

    #[test]
    fn up_and_down() {
        assert_eq!(outcome("start", down(1), &[down(1)]), NOT_YET);
        assert_eq!(outcome("start", down(1), &[running(2, 2)]), Next::Reached);
        assert_eq!(outcome("start", down(1), &[Status { state: State::Finish, ..running(2, 2) }]), NOT_YET);
        assert_eq!(outcome("stop", running(2, 2), &[Status { got_term: true, ..running(2, 2) }]), NOT_YET);
        // Between run's death and finish's start there is no pid, but it is not down yet.
        assert_eq!(
            outcome("stop", running(2, 2), &[Status { state: State::Finish, pid: 0, ..running(2, 2) }]),
            NOT_YET
        );
        assert_eq!(outcome("stop", running(2, 2), &[down(3)]), Next::Reached);
        // Older than the command.
        assert_eq!(outcome("stop", down(1), &[Status { want: Want::Up, ..down(1) }]), NOT_YET);
        assert_eq!(outcome("start", down(1), &[Status { want: Want::Down, ..running(2, 2) }]), NOT_YET);
    }

    #[test]
    fn check_looks_at_what_is_wanted() {
        let crashing = Status { want: Want::Up, ..down(1) };
        assert_eq!(outcome("check", crashing, &[crashing]), NOT_YET);
        assert_eq!(outcome("check", down(1), &[down(1)]), Next::Reached);
        assert_eq!(outcome("check", running(1, 1), &[running(1, 1)]), Next::Reached);
        let stopping = Status { want: Want::Down, ..running(1, 1) };
        assert_eq!(outcome("check", stopping, &[stopping]), NOT_YET);
    }

    #[test]
    fn once() {
        let one_shot = Status { want: Want::Down, ..running(4, 4) };
        assert_eq!(outcome("once", down(1), &[down(1)]), NOT_YET);
        assert_eq!(outcome("once", down(1), &[one_shot]), Next::Reached);
        assert_eq!(outcome("once", down(1), &[down(9)]), Next::Reached);
        assert_eq!(outcome("once", running(4, 4), &[running(4, 4)]), NOT_YET);
        assert_eq!(outcome("once", running(4, 4), &[one_shot]), Next::Reached);
    }

    #[test]
    fn pause_and_signals() {
        let paused = Status { paused: true, ..running(2, 2) };
        assert_eq!(outcome("pause", running(2, 2), &[running(2, 2)]), NOT_YET);
        assert_eq!(outcome("pause", running(2, 2), &[paused]), Next::Reached);
        assert_eq!(outcome("cont", paused, &[paused]), NOT_YET);
        assert_eq!(outcome("cont", paused, &[running(2, 2)]), Next::Reached);
        assert_eq!(outcome("pause", down(1), &[down(1)]), Next::Reached);
        assert_eq!(outcome("hup", running(2, 2), &[running(2, 2)]), Next::Reached);
    }

    #[test]
    fn readiness_comes_before_check() {
        for word in ["start", "restart", "try-restart", "check", "force-restart", "up", "term"] {
            let mut w = Waiting::new(order(word), running(1, 1));
            w.handle(T0, Seen::Status(running(2, 2), Readiness::NotYet));
            assert_eq!(w.poll(T0), NOT_YET, "{word}");
            w.handle(T0, Seen::Status(running(2, 2), Readiness::Ready));
            assert_eq!(w.poll(T0), Next::Ask, "{word}");
            // It dies before `./check` has answered.
            w.handle(T0, Seen::Status(running(3, 3), Readiness::NotYet));
            w.handle(T0, Seen::Checked(Availability::Yes));
            assert_eq!(w.poll(T0), NOT_YET, "{word}");
        }
        for word in ["pause", "hup", "stop"] {
            let mut w = Waiting::new(order(word), running(1, 1));
            let done = if word == "stop" { down(3) } else { Status { paused: true, ..running(1, 1) } };
            w.handle(T0, Seen::Status(done, Readiness::NotYet));
            assert_eq!(w.poll(T0), Next::Reached, "{word}");
        }
    }

    #[test]
    fn waiting_without_an_order_is_about_what_is() {
        let once = Status { want: Want::Down, ..running(4, 4) };
        let wait = |until| Order { send: b"", until, ..order("check") };
        for (until, s, ready, next) in [
            (&[Goal::Running], once, Readiness::NotYet, Next::Reached),
            (&[Goal::Running], Status { state: State::Finish, ..once }, Readiness::Untold, NOT_YET),
            (&[Goal::Ready], once, Readiness::NotYet, NOT_YET),
            (&[Goal::Ready], once, Readiness::Untold, Next::Ask),
            (&[Goal::Down], down(1), Readiness::Untold, Next::Reached),
            (&[Goal::Down], Status { want: Want::Up, ..down(1) }, Readiness::Untold, NOT_YET),
        ] {
            let mut w = Waiting::new(wait(until), s);
            w.handle(T0, Seen::Status(s, ready));
            assert_eq!(w.poll(T0), next, "{until:?} {s:?}");
        }
    }

    #[test]
    fn runsv_ending_is_the_goal_of_exit_only() {
        for (word, next) in
            [("exit", Next::Reached), ("force-shutdown", Next::Reached), ("stop", Next::Lost), ("hup", Next::Lost)]
        {
            let mut w = Waiting::new(order(word), running(1, 1));
            w.handle(T0, Seen::Status(running(1, 1), Readiness::Untold));
            w.handle(T0, Seen::Gone);
            w.handle(T0, Seen::Status(running(2, 2), Readiness::Untold));
            assert_eq!(w.poll(T0), next, "{word}");
        }
        assert_eq!(outcome("exit", running(1, 1), &[down(5)]), NOT_YET);
    }

    #[test]
    fn check_is_asked_again_after_a_while_and_for_every_process() {
        let mut w = Waiting::new(order("start"), down(1));
        w.handle(T0, Seen::Status(running(2, 2), Readiness::Untold));
        assert_eq!(w.poll(T0), Next::Ask);
        assert_eq!(w.poll(T0), NOT_YET);
        w.handle(T0, Seen::Checked(Availability::No));
        let again = T0 + ASK_AGAIN;
        assert_eq!(w.poll(T0), Next::Wait(Some(again)));
        // The same process seen again is no reason to hurry, another one is.
        w.handle(T0, Seen::Status(running(2, 2), Readiness::Untold));
        assert_eq!(w.poll(T0), Next::Wait(Some(again)));
        w.handle(T0, Seen::Status(running(3, 3), Readiness::Untold));
        assert_eq!(w.poll(T0), Next::Ask);
        // Its answer comes too late for process 4.
        w.handle(T0, Seen::Status(running(4, 4), Readiness::Untold));
        w.handle(T0, Seen::Checked(Availability::Yes));
        assert_eq!(w.poll(T0), Next::Ask);
        w.handle(T0, Seen::Checked(Availability::No));
        assert_eq!(w.poll(again), Next::Ask);
        w.handle(again, Seen::Checked(Availability::Yes));
        assert_eq!(w.poll(again), Next::Reached);
    }
}
