//! SIGKILL of a service that is older than the throttle second -> first instruction of the next one; and the up command -> first
//! instruction, of a service that is down and of one that waits for its throttle.

use crate::measure::{Budget, Samples, attempt, compare, each, now, stamps, wait_stamp};
use crate::suite::{Suite, service, suites};
use lab::{Lab, Proc};
use nix::sys::signal::{SIGKILL, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::time::Duration;

/// Services of each suite, so that one second of waiting makes more than one sample.
const SERVICES: usize = 6;
const ROUNDS: usize = 6;
/// A service older than this is not throttled.
const OLD: Duration = Duration::from_millis(1100);
/// So long nothing else happens than what is measured: at least, and at most where it has to be waited for.
const ALONE: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(40)];
/// Longer than a supervisor that is not asleep takes to see that its service has ended.
const SEEN: Duration = Duration::from_millis(20);

pub(crate) fn run(lab: &Lab) {
    let [mut restart, mut up, mut throttled] = [Samples::all(), Samples::all(), Samples::all()];
    let start = |s: Suite| attempt(s.name, || std::array::from_fn::<_, SERVICES, _>(|n| Entrant::new(lab, &s, n)));
    let mut all: Vec<_> = suites().into_iter().map(start).collect();
    let mut in_turns = |turn: usize, act: &mut dyn FnMut(usize, &mut Entrant)| {
        for n in 0..SERVICES {
            each(turn + n, &mut all, |i, ones| act(i, &mut ones[n]));
        }
    };
    for round in 0..ROUNDS {
        // The age of the service is the condition measured, not an event that could be waited for.
        std::thread::sleep(OLD);
        in_turns(round, &mut |_, one| one.begin(|_, pid| end(pid)));
        in_turns(round, &mut |i, one| restart[i].add_span(one.took()));
        match round {
            0 => {
                std::thread::sleep(OLD);
                in_turns(round, &mut |i, one| {
                    one.begin(|_, pid| end(pid));
                    restart[i].add_span(one.took());
                    // Young now: dies again, and would wait.
                    let young = one.pid();
                    end(young);
                    dead(young);
                    one.begin(|one, _| one.tell("up"));
                });
                in_turns(round, &mut |i, one| throttled[i].add_span(one.took()));
            }
            1 | 3 | 5 => {
                in_turns(round, &mut |_, one| one.down());
                std::thread::sleep(OLD);
                in_turns(round, &mut |_, one| one.begin(|one, _| one.tell("up")));
                in_turns(round, &mut |i, one| up[i].add_span(one.took()));
            }
            _ => {}
        }
    }
    compare("restart after a crash: kill -> first instruction, ms", &restart, Budget::BestPeer);
    compare("up: command -> first instruction, ms", &up, Budget::AtMost(5.0));
    compare("up while throttled: command -> first instruction, ms", &throttled, Budget::AtMost(5.0));
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), SIGKILL).unwrap();
}

/// Waits until the service has ended and its supervisor has had time to see that.
fn dead(pid: i32) {
    let stat = format!("/proc/{pid}/stat");
    lab::wait_for("the service to end", || std::fs::read_to_string(&stat).map_or(true, |s| s.contains(") Z ")));
    std::thread::sleep(SEEN);
}

/// One supervisor with its service.
struct Entrant {
    suite: Suite,
    dir: PathBuf,
    _supervisor: Proc,
    /// So many starts were seen, and when what leads to the next one was done.
    starts: usize,
    then: i64,
}

impl Entrant {
    fn new(lab: &Lab, suite: &Suite, n: usize) -> Self {
        let dir = service(lab, suite, &format!("restart/s{n}"), false);
        let _supervisor = suite.supervise(lab, &dir);
        wait_stamp(&dir.join("stamp"), 1);
        Self { suite: suite.clone(), dir, _supervisor, starts: 1, then: 0 }
    }

    fn stamps(&self) -> PathBuf {
        self.dir.join("stamp")
    }

    fn pid(&self) -> i32 {
        wait_stamp(&self.stamps(), self.starts).1
    }

    fn tell(&self, what: &str) {
        assert!(self.suite.tell(what, &self.dir).status().unwrap().success());
    }

    fn down(&self) {
        self.tell("down");
        dead(self.pid());
    }

    /// Does what leads to the next start; `act` gets the process id of the last one.
    fn begin(&mut self, act: impl FnOnce(&Self, i32)) {
        let pid = self.pid();
        self.then = now();
        act(self, pid);
        std::thread::sleep(ALONE[0]);
        lab::wait_quietly(ALONE[1], || stamps(&self.stamps()).len() > self.starts);
    }

    /// How long the next start took since then.
    fn took(&mut self) -> i64 {
        self.starts += 1;
        wait_stamp(&self.stamps(), self.starts).0 - self.then
    }
}
