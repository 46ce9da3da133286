//! SIGKILL of a service that is older than the throttle second -> first instruction of the next one; and the up command -> first
//! instruction, of a service that is down and of one that waits for its throttle.

use crate::measure::{Budget, Samples, attempt, compare, each, now, stamps, wait_stamp};
use crate::suite::{Suite, service, suites};
use lab::{Lab, Proc};
use nix::sys::signal::{SIGKILL, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROUNDS: usize = 18;
/// A service older than this is not throttled.
const OLD: Duration = Duration::from_millis(1100);
/// So long nothing else happens than what is measured: longer than it takes where nothing is waited for.
const ALONE: Duration = Duration::from_millis(40);

pub(crate) fn run(lab: &Lab) {
    let [mut restart, mut up, mut throttled] = [Samples::all(), Samples::all(), Samples::all()];
    let mut all: Vec<_> = suites().into_iter().map(|s| attempt(s.name, || Entrant::new(lab, s))).collect();
    for round in 0..ROUNDS {
        // The age of the service is the condition measured, not an event that could be waited for.
        std::thread::sleep(OLD);
        each(round, &mut all, |_, one| one.begin(|_, pid| end(pid)));
        each(round, &mut all, |i, one| restart[i].add_span(one.took()));
        match round % 3 {
            0 => {
                std::thread::sleep(OLD);
                each(round, &mut all, |_, one| {
                    one.begin(|_, pid| end(pid));
                    one.took();
                    // Young now: dies again, and would wait.
                    end(one.pid());
                    one.begin(|one, _| one.tell("up"));
                });
                each(round, &mut all, |i, one| throttled[i].add_span(one.took()));
            }
            1 => {
                each(round, &mut all, |_, one| one.down());
                std::thread::sleep(OLD);
                each(round, &mut all, |_, one| one.begin(|one, _| one.tell("up")));
                each(round, &mut all, |i, one| up[i].add_span(one.took()));
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
    fn new(lab: &Lab, suite: Suite) -> Self {
        let dir = service(lab, &suite, "restart/one", false);
        let _supervisor = suite.supervise(lab, &dir);
        wait_stamp(&dir.join("stamp"), 1);
        Self { suite, dir, _supervisor, starts: 1, then: 0 }
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
        let process = format!("/proc/{}", self.pid());
        self.tell("down");
        lab::wait_for("the service to end", || !Path::new(&process).exists());
    }

    /// Does what leads to the next start; `act` gets the process id of the last one.
    fn begin(&mut self, act: impl FnOnce(&Self, i32)) {
        let pid = self.pid();
        self.then = now();
        act(self, pid);
        lab::wait_quietly(ALONE, || stamps(&self.stamps()).len() > self.starts);
    }

    /// How long the next start took since then.
    fn took(&mut self) -> i64 {
        self.starts += 1;
        wait_stamp(&self.stamps(), self.starts).0 - self.then
    }
}
