//! A supervisor is killed and another goes on with what it left.

use super::Which::{Log, Main};
use super::world::World;
use crate::status::Want;
use sys::spawn::Status;

#[test]
fn what_runs_goes_on() {
    let mut w = World::new(Want::Up, Some(Want::Up));
    w.has_finish = true;
    assert_eq!(w.pass(0), "log run run");
    w.pass(5000);
    let before = w.written;
    assert_eq!((w.crash(|_| false), w.written), (String::new(), before));
    assert_eq!((w.send("p"), w.stat()), ("STOP".into(), "run, paused".into()));
    assert_eq!((w.crash(|_| false), w.stat()), (String::new(), "run, paused".into()));
    assert_eq!(w.end(Main, "run", Status::UNKNOWN), "finish(-1 0)");
    assert_eq!((w.crash(|_| false), w.stat()), (String::new(), "finish".into()));
    assert_eq!(w.ends("finish"), "run");
    assert_eq!(w.end(Log, "run", Status::UNKNOWN), "log run");
}

#[test]
fn a_death_that_nobody_saw_is_finished() {
    let mut w = World::up();
    w.has_finish = true;
    w.pass(5000);
    assert_eq!(w.crash(|_| true), "finish(-1 0)");
    // A finish that ended unseen has done its work.
    assert_eq!(w.crash(|_| true), "run");
}

#[test]
fn the_delay_counts_from_the_start() {
    let mut w = World::up();
    w.pass(300);
    w.crash(|_| false);
    assert_eq!((w.ends("run"), w.waits()), (String::new(), Some(700)));
    assert_eq!(w.pass(700), "run");
}

#[test]
fn commands_survive() {
    let mut w = World::up();
    w.send("d");
    assert_eq!((w.crash(|_| false), w.stat()), (String::new(), "run, got TERM, want down".into()));
    assert_eq!(w.ends("run"), "");
    assert_eq!((w.crash(|_| false), w.pass(9000), w.stat()), (String::new(), String::new(), "down".into()));
    assert_eq!(w.send("u"), "run");
    w.send("o");
    w.crash(|_| false);
    assert_eq!((w.ends("run"), w.pass(9000)), (String::new(), String::new()));
}

#[test]
fn who_is_to_exit_is_told_again() {
    let mut w = World::up();
    assert_eq!(w.send("x"), "TERM CONT");
    assert_eq!((w.crash(|_| false), w.stat()), ("TERM CONT".into(), "run, got TERM, want exit".into()));
    assert_eq!(w.ends("run"), "done");
}
