//! `make bench`: ours beside the packaged peers, in one run, in the lab's namespaces. Prints tables; asserts nothing.
//!
//! `bench [NAME...]` runs the benches whose names begin so. What is measured and how stands at the head of each module. Two
//! cores and other users make single samples scatter: trust medians, minima and the ratios within one table.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench: it acts on the world, reads the clock and reports by panicking"
)]

mod apply;
mod dhcp;
mod flash;
mod fw;
mod lease;
mod link;
mod logging;
mod measure;
mod memory;
mod restart;
mod scale;
mod status;
mod suite;
mod uplink;

use lab::Lab;
use std::time::{Duration, Instant};

/// One bench: its name, its longest life in seconds, what it does.
type Bench = (&'static str, u64, fn(&Lab));

const BENCHES: [Bench; 14] = [
    ("restart", 180, restart::run),
    ("status", 60, status::run),
    ("memory", 180, memory::run),
    ("new", 180, scale::new),
    ("scale", 300, scale::run),
    ("logging", 180, logging::run),
    ("flash", 30, flash::run),
    ("dhcp", 180, dhcp::run),
    ("lease", 300, lease::run),
    ("carrier", 240, link::carrier),
    ("link", 300, link::run),
    ("uplink", 120, uplink::run),
    ("apply", 300, apply::run),
    ("fw", 300, fw::run),
];

fn main() {
    // One line each; what could not be measured is said by the bench, and the others go on.
    std::panic::set_hook(Box::new(|info| eprintln!("bench: {}", info.to_string().replace('\n', " "))));
    let args: Vec<String> = std::env::args().skip(1).collect();
    // The lab starts this executable again as it would a test harness: NAME --exact --nocapture ...
    let inner = args.iter().any(|a| a == "--exact");
    let wanted = |name: &str| match args.first() {
        Some(first) if inner => name == first,
        Some(_) => args.iter().any(|a| name.starts_with(a.as_str())),
        None => true,
    };
    let mut failed = false;
    for (name, seconds, run) in BENCHES.into_iter().filter(|(name, _, _)| wanted(name)) {
        if inner {
            return lab::named(name, Duration::from_secs(seconds), run);
        }
        let begun = Instant::now();
        println!("\n== {name}; load {}", load());
        failed |= std::panic::catch_unwind(|| lab::named(name, Duration::from_secs(seconds), run)).is_err();
        println!("\n   {name}: {:.0} s", begun.elapsed().as_secs_f64());
    }
    std::process::exit(i32::from(failed));
}

/// The machine's load of the last one and five minutes.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
