//! 1000 services: start of the scanner -> the last one runs; wake-ups of all supervisors while nothing happens. And a new
//! service directory in a running system of few services -> its first instruction.

use crate::measure::{Budget, Samples, attempt, compare, each, now, stamps, wait_stamp};
use crate::suite::{Suite, end, hosted, service, suites, supervisors_below};
use lab::{Lab, Proc, wait_quietly};
use std::path::PathBuf;
use std::time::Duration;

const SERVICES: usize = 1000;
const STARTS: usize = 3;
/// The scanners that look around do it every five seconds.
const IDLE: Duration = Duration::from_secs(5);

pub(crate) fn run(lab: &Lab) {
    let (mut starts, mut idle) = (Samples::all(), Samples::all());
    let mut all: Vec<_> = suites().into_iter().map(Some).collect();
    // The hosted mode is beside the others, not one of them.
    for rows in [&mut starts, &mut idle] {
        rows.push(Samples::of("hosted"));
    }
    all.push(Some(hosted()));
    for round in 0..STARTS {
        each(round, &mut all, |i, suite| start(lab, suite, &mut starts[i], (round == 0).then_some(&mut idle[i])));
    }
    for (title, mut rows, budget) in [
        ("1000 services: start of the scanner -> the last one runs, ms", starts, Budget::BestPeer),
        ("1000 idle services: wake-ups of the supervisors a minute", idle, Budget::AtMost(0.0)),
    ] {
        let hosted = rows.pop().unwrap();
        compare(title, &rows, budget);
        rows[0] = hosted;
        compare(&format!("hosted mode, {title}"), &rows, budget);
    }
}

fn start(lab: &Lab, suite: &Suite, row: &mut Samples, idle: Option<&mut Samples>) {
    let dirs: Vec<_> = (0..SERVICES).map(|n| service(lab, suite, &format!("all/s{n}"), false)).collect();
    let begun = now();
    let scanner = suite.scan(lab, dirs[0].parent().unwrap());
    let last = dirs.iter().map(|dir| wait_stamp(&dir.join("stamp"), 1).0).max().unwrap();
    row.add_span(last - begun);
    if let Some(idle) = idle {
        // First the start has to be over.
        let mut before = f64::NAN;
        wait_quietly(Duration::from_secs(5), || {
            std::thread::sleep(Duration::from_millis(300));
            let last = before;
            before = switches(&scanner);
            before.total_cmp(&last).is_eq()
        });
        // What is measured is that nothing happens.
        std::thread::sleep(IDLE);
        idle.add((switches(&scanner) - before) * 60.0 / IDLE.as_secs_f64());
    }
    end(&scanner);
    std::fs::remove_dir_all(dirs[0].parent().unwrap()).unwrap();
}

/// Voluntary context switches so far of a scanner and all supervisors below it.
fn switches(scanner: &Proc) -> f64 {
    let all = supervisors_below(scanner.pid()).into_iter().chain([scanner.pid()]);
    let count = |p| {
        let text = std::fs::read_to_string(format!("/proc/{p}/status")).unwrap_or_default();
        let field = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok());
        field.unwrap_or(0.0)
    };
    all.map(count).sum()
}

/// New directories, each later after the look around of those scanners that look than the one before.
const LATER: [u64; 4] = [100, 1300, 2500, 3700];
/// So long nothing else happens than what is measured, where nothing is waited for.
const ALONE: Duration = Duration::from_millis(40);

pub(crate) fn new(lab: &Lab) {
    let mut rows = Samples::all();
    let mut all: Vec<_> = suites().into_iter().map(|s| attempt(s.name, || Scanned::new(lab, s))).collect();
    for (n, later) in LATER.into_iter().enumerate() {
        let mut new: Vec<_> = suites().iter().map(|s| service(lab, s, &format!("ready{n}"), false)).collect();
        std::thread::sleep(Duration::from_millis(later));
        let mut then = [0; 8];
        each(n, &mut all, |i, one| {
            let place = one.above.join(format!("new{n}"));
            then[i] = now();
            std::fs::rename(&new[i], &place).unwrap();
            one.suite.rescan(lab, &one.above);
            new[i] = place.join("stamp");
            wait_quietly(ALONE, || !stamps(&new[i]).is_empty());
        });
        each(n, &mut all, |i, _| rows[i].add_span(wait_stamp(&new[i], 1).0 - then[i]));
    }
    each(0, &mut all, |_, one| end(&one.scanner));
    compare("new service directory -> first instruction, ms (s6 is told by hand)", &rows, Budget::AtMost(10.0));
}

/// A scanner of one service.
struct Scanned {
    suite: Suite,
    above: PathBuf,
    scanner: Proc,
}

impl Scanned {
    fn new(lab: &Lab, suite: Suite) -> Self {
        let first = service(lab, &suite, "new/first", false);
        let above = first.parent().unwrap().to_owned();
        let scanner = suite.scan(lab, &above);
        wait_stamp(&first.join("stamp"), 1);
        Self { suite, above, scanner }
    }
}
