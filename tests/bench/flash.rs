//! What the programs take of the flash: the executables as they are released, beside busybox with the same and with all applets.

use crate::measure::{Samples, budget, table};
use lab::Lab;
use std::path::PathBuf;

pub(crate) fn run(_: &Lab) {
    let peers = PathBuf::from(std::env::var_os("PORTREEVE_PEERS").expect("started by tests/bench/run"));
    let ours = PathBuf::from(std::env::var_os("PORTREEVE_BIN").expect("started by tests/bench/run"));
    let sum = |name: &str, files: &[PathBuf]| {
        let mut row = Samples::of(name);
        let sizes: std::io::Result<Vec<u64>> = files.iter().map(|f| std::fs::metadata(f).map(|m| m.len())).collect();
        // A peer that was not built has no figure.
        sizes.into_iter().for_each(|s| row.add(s.iter().sum::<u64>() as f64 / 1e6));
        row
    };
    let (supervisor, netd) = (ours.join("supervisor"), ours.join("netd"));
    let busybox = |build: &str| peers.join(build).join("busybox");
    let rows = [
        sum("portreeve, both", &[supervisor.clone(), netd.clone()]),
        sum("busybox, 7 applets", &[busybox("bb-small"), busybox("bb-net")]),
        sum("busybox, all (glibc)", &[busybox("bb-full")]),
    ];
    table("Flash: static executables, stripped", "MB", false, &rows);
    let apart = [sum("supervisor", &[supervisor]), sum("netd", &[netd])];
    table("Flash: each of ours", "MB", false, &apart);
    budget("both together at most 2 MB");
}
