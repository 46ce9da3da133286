//! SIGKILL of a service that is older than the throttle second -> first instruction of the next one.

use crate::measure::{Samples, budget, now, stamp_service, supervisors, table, wait_stamp};
use lab::Lab;
use nix::sys::signal::{SIGKILL, kill};
use nix::unistd::Pid;
use std::time::Duration;

const ROUNDS: usize = 20;

pub(crate) fn run(lab: &Lab) {
    let mut rows = Vec::new();
    let mut sets = Vec::new();
    for (i, (name, bin)) in supervisors().into_iter().enumerate() {
        let dir = stamp_service(lab, i, "one");
        sets.push((lab.cmd(bin.join("runsv")).arg(&dir).spawn(), dir.join("stamp")));
        rows.push(Samples::of(name));
    }
    for round in 1..=ROUNDS {
        // The age of the service is the condition measured, not an event that could be waited for.
        std::thread::sleep(Duration::from_millis(1100));
        for ((_, stamps), row) in sets.iter().zip(&mut rows) {
            let (_, pid) = wait_stamp(stamps, round);
            let killed = now();
            kill(Pid::from_raw(pid), SIGKILL).unwrap();
            row.add_span(wait_stamp(stamps, round + 1).0 - killed);
        }
    }
    table("Restart: kill -> first instruction of the next run", "ms", false, &rows);
    budget("at most the best peer (busybox on musl 0.34-0.58 ms, runit 0.72 ms)");
}
