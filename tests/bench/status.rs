//! The status command as a whole process: start to end, output to /dev/null.

use crate::measure::{Budget, Samples, attempt, compare, each, now, wait_stamp};
use crate::suite::{Suite, service, suites};
use lab::{Lab, Proc};
use std::path::PathBuf;

const ROUNDS: usize = 600;

pub(crate) fn run(lab: &Lab) {
    let mut rows = Samples::all();
    let mut all: Vec<_> = suites().into_iter().map(|s| attempt(s.name, || supervised(lab, s))).collect();
    for round in 0..ROUNDS {
        each(round, &mut all, |i, (suite, dir, _)| {
            let mut status = suite.tell("status", dir);
            let begun = now();
            let ended = status.status();
            rows[i].add_span(now() - begun);
            assert!(ended.unwrap().success());
        });
    }
    compare("sv status: whole process, ms", &rows, Budget::AtMost(0.25));
}

fn supervised(lab: &Lab, suite: Suite) -> (Suite, PathBuf, Proc) {
    let dir = service(lab, &suite, "status/one", false);
    let supervisor = suite.supervise(lab, &dir);
    wait_stamp(&dir.join("stamp"), 1);
    (suite, dir, supervisor)
}
