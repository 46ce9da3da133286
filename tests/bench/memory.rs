//! Private memory of all supervisors and loggers per service (kB), without and with a log service, and of a service in the
//! hosted mode, where one process looks after all.

use crate::measure::{Budget, Samples, attempt, compare, kilobytes, wait_stamp};
use crate::suite::{Suite, end, hosted, service, suites, supervisors_below};
use lab::{Lab, Proc, wait_for, wait_quietly};
use std::path::PathBuf;
use std::time::Duration;

const SERVICES: usize = 100;
/// Of the hosted mode, few and many: the difference is what they cost, without the program itself.
const FEW: usize = 100;
const MANY: usize = 1100;
const ROUNDS: usize = 3;

pub(crate) fn run(lab: &Lab) {
    for with_log in [false, true] {
        let mut rows = Samples::all();
        for (suite, row) in suites().iter().zip(&mut rows) {
            let per_service = attempt(suite.name, || {
                let (all, _) = private(lab, suite, SERVICES, with_log);
                all / SERVICES as f64
            });
            per_service.into_iter().for_each(|kb| row.add(kb));
        }
        let (what, most) = if with_log { ("service and log service", 56.0) } else { ("service", 24.0) };
        compare(&format!("private memory per {what}, of {SERVICES}, kB"), &rows, Budget::AtMost(most));
    }
    let mut ours = Samples::of("hosted");
    for _ in 0..ROUNDS {
        let [few, many] = [FEW, MANY].map(|n| private(lab, &hosted(), n, false).1);
        ours.add((many - few) / (MANY - FEW) as f64);
    }
    compare(
        &format!("hosted mode: private memory per service more, {FEW} to {MANY}, kB"),
        &[ours],
        Budget::AtMost(2.0),
    );
}

/// Private memory of all below a scanner except the services, and of the scanner.
fn private(lab: &Lab, suite: &Suite, services: usize, with_log: bool) -> (f64, f64) {
    let set = format!("{}{services}", if with_log { "logged" } else { "alone" });
    let dirs: Vec<_> = (0..services).map(|n| service(lab, suite, &format!("{set}/s{n}"), with_log)).collect();
    let above = dirs[0].parent().unwrap();
    let scanner = suite.scan(lab, above);
    for dir in &dirs {
        wait_stamp(&dir.join("stamp"), 1);
        if with_log {
            wait_for("the logger", || dir.join("log/main/current").exists());
        }
    }
    let figures = (settled(|| below(&scanner)), settled(|| kilobytes(scanner.pid()).0));
    end(&scanner);
    std::fs::remove_dir_all::<PathBuf>(above.into()).unwrap();
    figures
}

fn below(scanner: &Proc) -> f64 {
    supervisors_below(scanner.pid()).into_iter().map(|p| kilobytes(p).0).sum()
}

/// What `figure` is when it no longer changes.
fn settled(figure: impl Fn() -> f64) -> f64 {
    let (mut last, mut same) = (f64::NAN, 0);
    let rests = wait_quietly(Duration::from_secs(5), || {
        let next = figure();
        same = if next.total_cmp(&last).is_eq() { same + 1 } else { 0 };
        last = next;
        same == 10
    });
    assert!(rests, "memory still changes after 5 s");
    last
}
