//! `sv status` as a whole process: start to end, output to /dev/null.

use crate::measure::{Samples, budget, now, stamp_service, supervisors, table, wait_stamp};
use lab::Lab;
use std::process::{Command, Stdio};

const ROUNDS: usize = 300;

pub(crate) fn run(lab: &Lab) {
    let mut sets = Vec::new();
    let mut rows = Vec::new();
    for (i, (name, bin)) in supervisors().into_iter().enumerate() {
        let dir = stamp_service(lab, i, "one");
        let runsv = lab.cmd(bin.join("runsv")).arg(&dir).spawn();
        wait_stamp(&dir.join("stamp"), 1);
        sets.push((runsv, bin.join("sv"), dir));
        rows.push(Samples::of(name));
    }
    for _ in 0..ROUNDS {
        for ((_, sv, dir), row) in sets.iter().zip(&mut rows) {
            let begun = now();
            let ended = Command::new(sv).arg("status").arg(dir).stdin(Stdio::null()).stdout(Stdio::null()).status();
            row.add_span(now() - begun);
            assert!(ended.unwrap().success());
        }
    }
    table("sv status, whole process", "ms", false, &rows);
    budget("at most 0.25 ms (busybox on musl 0.22 ms)");
}
