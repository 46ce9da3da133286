//! `make bench`: ours beside the packaged peers, in one run, in the lab's namespaces. Prints tables; asserts nothing.
//!
//! `bench [NAME...]` runs the benches whose names begin so. What is measured and how stands at the head of each module. Two
//! cores and other users make single samples scatter: trust medians, minima and the ratios within one table.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench: it acts on the world, reads the clock and reports by panicking"
)]

mod apply;
mod dhcp;
mod logging;
mod measure;
mod memory;
mod restart;
mod status;

use lab::Lab;
use std::time::Duration;

/// One bench: its name, its longest life in seconds, what it does.
type Bench = (&'static str, u64, fn(&Lab));

const BENCHES: [Bench; 6] = [
    ("restart", 120, restart::run),
    ("status", 60, status::run),
    ("memory", 120, memory::run),
    ("logging", 180, logging::run),
    ("dhcp", 180, dhcp::run),
    ("apply", 120, apply::run),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // The lab starts this executable again as it would a test harness: NAME --exact --nocapture ...
    let inner = args.iter().any(|a| a == "--exact");
    let wanted = |name: &str| match args.first() {
        Some(first) if inner => name == first,
        Some(_) => args.iter().any(|a| name.starts_with(a.as_str())),
        None => true,
    };
    for (name, seconds, run) in BENCHES.into_iter().filter(|(name, _, _)| wanted(name)) {
        lab::named(name, Duration::from_secs(seconds), run);
    }
}
