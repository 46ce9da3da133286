//! svlogd -tt: 80-byte lines through a pipe, 1,000,000-byte rotation, keep 10; MB/s of input.

use crate::measure::{Samples, budget, now, supervisors, table};
use lab::Lab;
use std::io::Write;
use std::process::{Command, Stdio};

const LINES: usize = 500_000;
const ROUNDS: usize = 5;

pub(crate) fn run(lab: &Lab) {
    let line = [b"x".repeat(79).as_slice(), b"\n"].concat();
    // A program writes what its buffer holds: 4096 bytes at a time.
    let chunk = line.repeat(51);
    let mut rows: Vec<_> = supervisors().iter().map(|(name, _)| Samples::of(name)).collect();
    for round in 0..ROUNDS {
        for ((name, bin), row) in supervisors().into_iter().zip(&mut rows) {
            let dir = lab.path(&format!("log{round}-{}", name.len()));
            std::fs::create_dir_all(&dir).unwrap();
            let mut svlogd = Command::new(bin.join("svlogd"));
            svlogd.arg("-tt").arg(&dir).stdin(Stdio::piped()).stderr(Stdio::null());
            let begun = now();
            let mut child = svlogd.spawn().unwrap();
            let mut pipe = child.stdin.take().unwrap();
            for _ in 0..LINES / 51 {
                pipe.write_all(&chunk).unwrap();
            }
            drop(pipe);
            assert!(child.wait().unwrap().success());
            let seconds = (now() - begun) as f64 / 1e9;
            row.add((LINES / 51 * chunk.len()) as f64 / 1e6 / seconds);
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
    table("svlogd -tt, 80-byte lines, on tmpfs", "MB/s", true, &rows);
    budget("at least 150 MB/s");
}
