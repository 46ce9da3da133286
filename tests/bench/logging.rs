//! The logger with a readable time: 80-byte lines through a pipe, files of 1,000,000 bytes, ten old ones, on tmpfs; MB/s of
//! input. From programs that write line by line, what a buffer of 4096 bytes holds, and as much as a pipe holds.

use crate::measure::{Budget, Samples, compare, each, now};
use crate::suite::{Suite, suites};
use lab::Lab;
use std::io::Write;
use std::process::{Command, Stdio};

const LINE: usize = 80;
const ROUNDS: usize = 7;
/// Lines per write, bytes in all, what is asked.
const SHAPES: [(usize, usize, Budget); 3] = [
    (1, 4_000_000, Budget::BestPeerAtLeast),
    (4096 / LINE, 20_000_000, Budget::AtLeast(150.0)),
    (65536 / LINE, 20_000_000, Budget::AtLeast(150.0)),
];

pub(crate) fn run(lab: &Lab) {
    for (lines, bytes, budget) in SHAPES {
        let chunk = [b"x".repeat(LINE - 1).as_slice(), b"\n"].concat().repeat(lines);
        let mut rows = Samples::all();
        let mut all: Vec<_> = suites().into_iter().map(Some).collect();
        for round in 0..ROUNDS {
            each(round, &mut all, |i, suite| rows[i].add(rate(lab, suite, &chunk, bytes / chunk.len())));
        }
        compare(&format!("logger with time, 80-byte lines in writes of {}, MB/s", chunk.len()), &rows, budget);
    }
}

/// MB/s of so many writes of `chunk`, from the logger's start to its end.
fn rate(lab: &Lab, suite: &Suite, chunk: &[u8], times: usize) -> f64 {
    let dir = lab.path(&format!("{}-log", suite.name));
    std::fs::create_dir_all(&dir).unwrap();
    let words = suite.log();
    let mut logger = Command::new(&words[0]);
    logger.args(&words[1..]).arg(&dir).stdin(Stdio::piped()).stderr(Stdio::null());
    let begun = now();
    let mut child = logger.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let wrote = (0..times).try_for_each(|_| pipe.write_all(chunk));
    drop(pipe);
    let ended = child.wait().unwrap();
    let seconds = (now() - begun) as f64 / 1e9;
    std::fs::remove_dir_all(&dir).unwrap();
    wrote.unwrap();
    assert!(ended.success(), "{}: {ended}", words[0]);
    (times * chunk.len()) as f64 / 1e6 / seconds
}
