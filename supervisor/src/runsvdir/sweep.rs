#![expect(clippy::disallowed_methods, reason = "driver: signals to processes that are nobody's children any more")]
//! All processes below this one, and which of them a signal is for. As pid 1 of a container that is every process there is;
//! else those that would come to us when their parents end (PR_SET_CHILD_SUBREAPER, prctl(2)).

use std::collections::BTreeMap;
use sys::orphan::{Lost, Orphan};
use sys::process::{self, Process};
use sys::signal::{self, Signal};
use sys::{Pid, clock};

/// Who is left out.
#[derive(Debug, Default)]
pub(crate) struct Spared {
    /// These processes.
    pub(crate) alone: Vec<Pid>,
    /// These and all they started.
    pub(crate) trees: Vec<Pid>,
}

/// Sends `signal` to all processes below this one and below `taken`, which are not our children but ours to end.
pub(crate) fn sweep(signal: Signal, taken: &[Pid], spared: &Spared) {
    let me = process::me();
    let ever = (clock::Instant::ZERO, clock::boottime());
    for target in targets(me, &process::all(), taken, spared) {
        match Orphan::find(target.pid, ever) {
            // Still the one that was meant.
            Ok(found) if process::parent(target.pid) == Some(target.parent) => drop(found.signal(signal)),
            Ok(_) | Err(Lost::Gone) => {}
            Err(Lost::Here(_)) => drop(signal::kill(target.pid, signal)),
        }
    }
}

/// Those of `all` that are meant.
fn targets(me: Pid, all: &[Process], taken: &[Pid], spared: &Spared) -> Vec<Process> {
    let parents: BTreeMap<Pid, Pid> = all.iter().map(|p| (p.pid, p.parent)).collect();
    let everybody = me == INIT;
    let meant = |process: &&Process| {
        if process.pid == me || process.ended || spared.alone.contains(&process.pid) {
            return false;
        }
        let mut at = process.pid;
        let mut below = everybody;
        // Parents can change while the list is read, so it need not be a tree.
        for _ in 0..all.len() {
            if spared.trees.contains(&at) {
                return false;
            }
            below |= taken.contains(&at) || at == me;
            match parents.get(&at) {
                Some(parent) if at != me => at = *parent,
                Some(_) | None => break,
            }
        }
        below
    };
    all.iter().filter(meant).copied().collect()
}

/// Every process in its pid namespace is below it.
pub(crate) const INIT: Pid = Pid::from_raw(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Pids that are meant; `all` is pairs of pid and parent.
    fn meant(me: i32, all: &[(i32, i32)], taken: &[i32], alone: &[i32], trees: &[i32]) -> Vec<i32> {
        let pids = |numbers: &[i32]| numbers.iter().copied().map(Pid::from_raw).collect::<Vec<_>>();
        let process = |&(pid, parent)| Process { pid: Pid::from_raw(pid), parent: Pid::from_raw(parent), ended: false };
        let all: Vec<_> = all.iter().map(process).collect();
        let spared = Spared { alone: pids(alone), trees: pids(trees) };
        targets(Pid::from_raw(me), &all, &pids(taken), &spared).iter().map(|p| p.pid.as_raw()).collect()
    }

    /// 10 is runsvdir, 11 a runsv with run 12, its child 13 and log 14 with child 15; 16 an orphan with child 17; 20 is not below.
    const ALL: [(i32, i32); 10] =
        [(1, 0), (10, 1), (11, 10), (12, 11), (13, 12), (14, 11), (15, 14), (16, 10), (17, 16), (20, 1)];

    #[test]
    fn below_means_children_and_theirs() {
        assert_eq!(meant(10, &ALL, &[], &[], &[]), [11, 12, 13, 14, 15, 16, 17]);
        assert_eq!(meant(10, &ALL, &[20], &[], &[]), [11, 12, 13, 14, 15, 16, 17, 20]);
        assert_eq!(meant(1, &ALL, &[], &[], &[]), [10, 11, 12, 13, 14, 15, 16, 17, 20]);
        // Entered from outside the container.
        assert_eq!(meant(1, &[(1, 0), (5, 0), (6, 5)], &[], &[], &[]), [5, 6]);
    }

    #[test]
    fn orphans_are_what_no_runsv_has() {
        assert_eq!(meant(10, &ALL, &[], &[], &[11]), [16, 17]);
    }

    #[test]
    fn runsv_and_logs_are_spared() {
        assert_eq!(meant(10, &ALL, &[], &[11], &[14]), [12, 13, 16, 17]);
    }

    #[test]
    fn a_list_that_is_no_tree_ends() {
        assert_eq!(meant(10, &[(10, 1), (2, 3), (3, 2), (4, 10)], &[], &[], &[]), [4]);
    }
}
