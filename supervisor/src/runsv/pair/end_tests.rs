//! The log service beside the main one, and the end of both.

use super::super::service::Refused;
use super::Which::{Log, Main};
use super::world::World;
use crate::status::Want;
use sys::spawn::Status;

const KILLED: Status = Status(9);
const OK: Status = Status::exited(0);

fn with_log() -> World {
    let mut w = World::new(Want::Up, Some(Want::Up));
    assert_eq!(w.pass(0), "log run run");
    w.pass(5000);
    w
}

#[test]
fn log_is_an_ordinary_service_without_scripts() {
    let mut w = with_log();
    w.scripts = b"tkdxpc".to_vec();
    w.has_finish = true;
    assert_eq!(w.control(Log, "pcth"), "log STOP log CONT log TERM log HUP");
    assert_eq!(w.end(Log, "run", OK), "log run");
    assert_eq!(w.end(Log, "run", OK), "");
    assert_eq!((w.waits(), w.pass(1000)), (Some(1000), "log run".into()));
    assert_eq!(w.control(Log, "d"), "log TERM log CONT");
    assert_eq!((w.end(Log, "run", OK), w.pass(5000)), (String::new(), String::new()));
    assert_eq!(w.control(Log, "u"), "log run");
}

#[test]
fn x_for_the_log_is_ignored() {
    let mut w = with_log();
    assert_eq!((w.control(Log, "x"), w.written[1].status.want), (String::new(), Want::Up));
}

#[test]
fn the_log_ends_last_and_by_itself() {
    let mut w = with_log();
    w.has_finish = true;
    assert_eq!(w.terminate(), "TERM CONT");
    assert_eq!(w.ends("run"), "finish(0 0)");
    assert_eq!(w.ends("finish"), "close");
    // §1.8: the pipe is gone; nothing starts any more, and it is not forgotten.
    assert_eq!((w.send("u"), w.control(Log, "uo"), w.pass(9000)), Default::default());
    assert_eq!(w.end(Log, "run", OK), "done");
}

#[test]
fn a_log_that_waits_is_started_to_read_the_rest() {
    let mut w = with_log();
    w.end(Log, "run", OK);
    w.pass(100);
    w.end(Log, "run", OK);
    w.send("x");
    assert_eq!(w.ends("run"), "log run close");
    assert_eq!(w.end(Log, "run", OK), "done");
}

#[test]
fn a_log_that_is_down_or_cannot_start_does_not_hold_the_end() {
    let mut w = with_log();
    w.control(Log, "d");
    w.end(Log, "run", OK);
    w.send("x");
    assert_eq!(w.ends("run"), "close done");
    for refusal in [Refused::Broken, Refused::NoRoom] {
        let mut w = with_log();
        w.end(Log, "run", OK);
        w.end(Log, "run", OK);
        w.send("x");
        w.refusals = vec![refusal];
        assert_eq!(w.ends("run"), format!("log run:{refusal:?} close done"));
    }
}

#[test]
fn x_then_k_reaps_before_it_ends() {
    let mut w = World::up();
    // §1.10: runit leaves with "run, got TERM, want exit" and a dead pid in the files.
    assert_eq!((w.send("xk"), w.done), ("TERM CONT KILL".into(), false));
    assert_eq!((w.end(Main, "run", KILLED), w.stat()), ("done".into(), "down".into()));
}

#[test]
fn x_cannot_be_taken_back() {
    let mut w = World::up();
    assert_eq!(w.send("xuod"), "TERM CONT TERM CONT");
    assert_eq!(w.stat(), "run, got TERM, want exit");
    assert_eq!(w.ends("run"), "done");
}
