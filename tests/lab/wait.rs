//! Waiting for something to become true, with a deadline and no fixed sleeps.

use crate::timeline::note;
use std::time::{Duration, Instant};

/// The deadline of every wait that names none: far longer than anything takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `true_now` says so, [`PATIENCE`] at most.
#[track_caller]
pub fn wait_for(what: &str, true_now: impl FnMut() -> bool) {
    wait_for_within(what, PATIENCE, true_now);
}

/// Waits until `true_now` says so, `patience` at most; fails naming `what`.
///
/// The condition may be anything (a file, the kernel's tables, a peer's reply), so it is looked at again after 1, 2, 4,
/// at most 16 ms; waiting for a process or its output blocks on that instead, see [`crate::Proc`].
#[track_caller]
pub fn wait_for_within(what: &str, patience: Duration, true_now: impl FnMut() -> bool) {
    if wait_quietly(patience, true_now) {
        note(&format!("seen: {what}"));
    } else {
        note(&format!("gave up waiting for {what}"));
        panic!("waited {patience:?} for {what}");
    }
}

/// Waits until `true_now` says so, `patience` at most; whether it did.
pub fn wait_quietly(patience: Duration, mut true_now: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    while !true_now() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(16));
    }
    true
}
