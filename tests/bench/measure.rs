//! What all benches share: samples and their table, the stamps of `stamp.c`, a process's private memory.

use lab::{Lab, wait_for};
use nix::time::{ClockId, clock_gettime};
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

/// A set of supervision programs: a name and the directory they are in.
pub(crate) fn supervisors() -> Vec<(&'static str, PathBuf)> {
    let ours = lab::our("runsv").parent().unwrap().to_owned();
    vec![("portreeve", ours), ("runit (Debian)", lab::peer("runsv").parent().unwrap().to_owned())]
}

/// A service directory `sets/SET/NAME` that runs the stamp program.
pub(crate) fn stamp_service(lab: &Lab, set: usize, name: &str) -> PathBuf {
    let dir = lab.path(&format!("sets/{set}/{name}"));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(stamp(), dir.join("run")).unwrap();
    dir
}

/// Kilobytes of one process: private and proportional (smaps_rollup).
pub(crate) fn kilobytes(pid: i32) -> (f64, f64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let sum = |field: &str| -> f64 {
        let lines = text.lines().filter(|l| l.starts_with(field));
        lines.filter_map(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
    };
    (sum("Private_Clean:") + sum("Private_Dirty:"), sum("Pss:"))
}

/// The children of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|p| p.parse().unwrap()).collect()
}
