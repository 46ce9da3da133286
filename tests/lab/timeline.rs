//! What happened when, in milliseconds since the test began: notes of the test, commands, output of every process.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

/// Lines kept, the last ones; a process that floods its output must not eat the memory.
const KEPT: usize = 2000;

/// Characters of a line.
const WIDTH: usize = 300;

#[derive(Debug, Default)]
struct Timeline {
    began: Option<Instant>,
    lines: VecDeque<(u128, String)>,
    dropped: usize,
}

static TIMELINE: Mutex<Timeline> = Mutex::new(Timeline { began: None, lines: VecDeque::new(), dropped: 0 });

/// Adds a line.
pub fn note(what: &str) {
    let mut t = TIMELINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let at = t.began.get_or_insert_with(Instant::now).elapsed().as_micros();
    let line: String = what.chars().take(WIDTH).map(|c| if c == '\n' { ' ' } else { c }).collect();
    t.lines.push_back((at, line));
    if t.lines.len() > KEPT {
        t.lines.pop_front();
        t.dropped += 1;
    }
}

/// Prints all of it to standard error.
pub(crate) fn print() {
    let t = TIMELINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    eprintln!("--- timeline (ms) ---");
    if t.dropped > 0 {
        eprintln!("        {} earlier lines", t.dropped);
    }
    for (at, line) in &t.lines {
        eprintln!("{:>7}.{:03} {line}", at / 1000, at % 1000);
    }
}
