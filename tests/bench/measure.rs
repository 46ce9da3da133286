//! What all benches share: samples and their table, the stamps of `stamp.c`, a process's private memory.

use crate::suite::suites;
use lab::wait_for;
use nix::time::{ClockId, clock_gettime};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Nanoseconds on CLOCK_MONOTONIC, the clock of the stamps.
pub(crate) fn now() -> i64 {
    let t = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    t.tv_sec() * 1_000_000_000 + t.tv_nsec()
}

/// The samples of one implementation.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    name: String,
    values: Vec<f64>,
}

impl Samples {
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), values: Vec::new() }
    }

    /// One for every suite, ours first.
    pub(crate) fn all() -> Vec<Self> {
        suites().iter().map(|s| Self::of(s.name)).collect()
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Adds a span of nanoseconds as milliseconds.
    pub(crate) fn add_span(&mut self, nanos: i64) {
        self.add(nanos as f64 / 1e6);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut v = self.values.clone();
        v.sort_by(f64::total_cmp);
        v
    }

    fn least(&self) -> f64 {
        self.values.iter().copied().reduce(f64::min).unwrap_or(f64::NAN)
    }

    fn most(&self) -> f64 {
        self.values.iter().copied().reduce(f64::max).unwrap_or(f64::NAN)
    }

    fn median(&self) -> f64 {
        let v = self.sorted();
        match v.len() {
            0 => f64::NAN,
            n => f64::midpoint(v[(n - 1) / 2], v[n / 2]),
        }
    }
}

/// Prints one table: median, minimum, maximum, and the ratio to the best peer. The first of `rows` is ours.
pub(crate) fn table(title: &str, unit: &str, more_is_better: bool, rows: &[Samples]) {
    let best = rows[1..].iter().map(Samples::median).filter(|m| !m.is_nan());
    let best = if more_is_better { best.reduce(f64::max) } else { best.reduce(f64::min) };
    // Nothing is a multiple of nothing.
    let best = best.filter(|b| *b > 0.0);
    println!("\n{title}");
    println!("  {:<22} {:>10} {:>10} {:>10}  {:>4}  vs best peer", unit, "median", "min", "max", "n");
    for row in rows {
        let v = row.sorted();
        let (Some(min), Some(max)) = (v.first(), v.last()) else {
            println!("  {:<22} no figure", row.name);
            continue;
        };
        let ratio = best.map_or_else(String::new, |b| format!("x{:.2}", row.median() / b));
        println!("  {:<22} {:>10.3} {min:>10.3} {max:>10.3}  {:>4}  {ratio}", row.name, row.median(), v.len());
    }
}

/// Prints the figure of the design's budget table beside what was measured.
pub(crate) fn budget(text: &str) {
    println!("  budget: {text}");
}

/// What is asked of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Budget {
    AtMost(f64),
    AtLeast(f64),
    /// At most the best peer's.
    BestPeer,
    /// At least the best peer's.
    BestPeerAtLeast,
}

impl Budget {
    fn more_is_better(self) -> bool {
        match self {
            Self::AtMost(_) | Self::BestPeer => false,
            Self::AtLeast(_) | Self::BestPeerAtLeast => true,
        }
    }

    /// Whether `ours` meets it; none where there is no figure to judge.
    fn met(self, ours: f64, best: Option<f64>) -> Option<bool> {
        let limit = match self {
            Self::AtMost(most) => Some(most),
            Self::AtLeast(least) => Some(least),
            Self::BestPeer | Self::BestPeerAtLeast => best,
        };
        let judge = |l| if self.more_is_better() { ours >= l } else { ours <= l };
        limit.filter(|_| !ours.is_nan()).map(judge)
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::BestPeer => f.write_str("<= best peer"),
            Self::BestPeerAtLeast => f.write_str(">= best peer"),
        }
    }
}

/// Prints a table with one column for each peer, ours, its ratio to the best peer, the budget and whether it is met: by the
/// medians, and by the best samples, which other work on the machine spoils least. The first of `rows` is ours.
pub(crate) fn compare(title: &str, rows: &[Samples], budget: Budget) {
    let more = budget.more_is_better();
    let (ours, peers) = rows.split_first().unwrap();
    println!("\n{title} (n={})", ours.values.len());
    print!("{:8}", "");
    peers.iter().for_each(|p| print!("{:>12}", p.name));
    println!("  |{:>12}{:>8}  {:<14}met", "ours", "ratio", "budget");
    let best_sample = if more { Samples::most } else { Samples::least };
    for (what, of) in [("median", Samples::median as fn(&Samples) -> f64), ("best", best_sample)] {
        let figures = peers.iter().map(of).filter(|m| !m.is_nan());
        let best = figures.reduce(if more { f64::max } else { f64::min });
        print!("{what:>8}");
        peers.iter().for_each(|p| print!("{:>12}", figure(of(p))));
        let ratio = figure(best.map_or(f64::NAN, |b| if b == 0.0 { f64::NAN } else { of(ours) / b }));
        let met = budget.met(of(ours), best).map_or("n/a", |met| if met { "yes" } else { "NO" });
        println!("  |{:>12}{ratio:>8}  {:<14}{met}", figure(of(ours)), budget.to_string());
    }
}

fn figure(value: f64) -> String {
    match value {
        v if v.is_nan() => "n/a".to_owned(),
        v if v >= 100.0 => format!("{v:.1}"),
        v => format!("{v:.3}"),
    }
}

/// Does `act`; if it panics, says that `who` has no more figures.
pub(crate) fn attempt<T>(who: &str, act: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(act)).ok();
    if done.is_none() {
        println!("{who}: failed, no more figures");
    }
    done
}

/// Does `act` with every entrant that has not failed yet, and its number; which is the first changes with the `round`, as the
/// first of them after a pause finds a slower machine. An entrant with which `act` panics is out.
pub(crate) fn each<T>(round: usize, entrants: &mut [Option<T>], mut act: impl FnMut(usize, &mut T)) {
    let names = suites();
    for n in 0..entrants.len() {
        let i = (n + round) % entrants.len();
        if let Some(entrant) = &mut entrants[i]
            && attempt(names.get(i).map_or("hosted", |s| s.name), || act(i, entrant)).is_none()
        {
            entrants[i] = None;
        }
    }
}

/// The stamp program, compiled by the bench script.
pub(crate) fn stamp() -> PathBuf {
    let path = std::env::var_os("PORTREEVE_STAMP").map(PathBuf::from).expect("started by tests/bench/run");
    assert!(path.exists(), "{} is missing", path.display());
    path
}

/// What was stamped into `file`: time, pid, and the arguments.
pub(crate) fn stamps(file: &Path) -> Vec<(i64, i32, String)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let complete = text.lines().filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next().unwrap_or_default().to_owned()))
    });
    complete.collect()
}

/// Waits for the stamp number `n` (from 1).
pub(crate) fn wait_stamp(file: &Path, n: usize) -> (i64, i32) {
    wait_for(&format!("stamp {n} in {}", file.display()), || stamps(file).len() >= n);
    let (time, pid, _) = stamps(file).swap_remove(n - 1);
    (time, pid)
}

/// Kilobytes of one process: private and proportional.
pub(crate) fn kilobytes(pid: i32) -> (f64, f64) {
    let [clean, dirty, pss] = memory(pid, ["Private_Clean:", "Private_Dirty:", "Pss:"]);
    (clean + dirty, pss)
}

/// A process with its helpers: its pids.
pub(crate) fn with_helpers(pid: i32) -> Vec<i32> {
    core::iter::once(pid).chain(children(pid)).collect()
}

/// Kilobytes of a process with its helpers: proportional, and what it has written to and shares with nobody.
pub(crate) fn footprint(pid: i32) -> (f64, f64) {
    let each = with_helpers(pid).into_iter().map(|p| memory(p, ["Pss:", "Private_Dirty:"]));
    each.fold((0.0, 0.0), |sum, [pss, dirty]| (sum.0 + pss, sum.1 + dirty))
}

/// Fields of smaps_rollup.
fn memory<const N: usize>(pid: i32, fields: [&str; N]) -> [f64; N] {
    // A process that has just ended has none.
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let value = |line: &str| line.split_whitespace().nth(1)?.parse::<f64>().ok();
    fields.map(|field| text.lines().filter(|l| l.starts_with(field)).filter_map(value).sum())
}

/// Voluntary and other switches to and from a process and its helpers since they began: each wake-up is one.
pub(crate) fn switches(pid: i32) -> f64 {
    let one = |pid: i32| -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let lines = text.lines().filter(|l| l.contains("ctxt_switches"));
        lines.filter_map(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
    };
    with_helpers(pid).into_iter().map(one).sum()
}

/// The children of a process; none if it has ended.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|p| p.parse().ok()).collect()
}
