//! What happened when, in milliseconds since the test began: notes of the test, commands, output of every process.

use std::sync::Mutex;
use std::time::Instant;

/// Lines kept; a process that floods its output must not eat the memory.
const KEPT: usize = 2000;

/// Characters of a line.
const WIDTH: usize = 300;

#[derive(Debug, Default)]
struct Timeline {
    began: Option<Instant>,
    lines: Vec<(u128, String)>,
    dropped: usize,
}

static TIMELINE: Mutex<Timeline> = Mutex::new(Timeline { began: None, lines: Vec::new(), dropped: 0 });

/// Adds a line.
pub fn note(what: &str) {
    let mut t = TIMELINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let at = t.began.get_or_insert_with(Instant::now).elapsed().as_micros();
    if t.lines.len() < KEPT {
        let line: String = what.chars().take(WIDTH).map(|c| if c == '\n' { ' ' } else { c }).collect();
        t.lines.push((at, line));
    } else {
        t.dropped += 1;
    }
}

/// Prints all of it to standard error.
pub(crate) fn print() {
    let t = TIMELINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    eprintln!("--- timeline (ms) ---");
    for (at, line) in &t.lines {
        eprintln!("{:>7}.{:03} {line}", at / 1000, at % 1000);
    }
    if t.dropped > 0 {
        eprintln!("        ... {} more lines", t.dropped);
    }
}
