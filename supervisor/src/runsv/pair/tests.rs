//! Scripts of time and input: the control characters of spec runit §1.5 line by line, control scripts, the delay, the end,
//! and the state bugs of §1.10 and §7 that we do not share.

use super::super::service::Refused;
use super::Which::{Log, Main};
use super::world::World;
use crate::status::Want;
use sys::spawn::Status;

const KILLED: Status = Status(9);
const OK: Status = Status::exited(0);
const NO: Status = Status::exited(1);

fn down() -> World {
    let mut w = World::new(Want::Down, None);
    assert_eq!(w.pass(0), "");
    w
}

/// Running for an hour, so that no delay is in the way.
fn old() -> World {
    let mut w = World::up();
    w.has_finish = true;
    w.pass(3_600_000);
    w
}

fn finishing() -> World {
    let mut w = old();
    assert_eq!(w.ends("run"), "finish(0 0)");
    w
}

// §1.5, column "when run".

#[test]
fn run_u() {
    let mut w = old();
    w.send("o");
    assert_eq!((w.stat(), w.send("u")), ("run, want down".into(), String::new()));
    assert_eq!(w.stat(), "run");
}

#[test]
fn run_d() {
    let mut w = old();
    assert_eq!(w.send("d"), "TERM CONT");
    assert_eq!(w.stat(), "run, got TERM, want down");
    assert_eq!(w.end(Main, "run", Status(15)), "finish(-1 15)");
    assert_eq!(w.stat(), "finish, want down");
    assert_eq!(w.ends("finish"), "");
    assert_eq!((w.stat(), w.waits()), ("down".into(), None));
}

#[test]
fn run_o() {
    let mut w = old();
    assert_eq!(w.send("o"), "");
    assert_eq!(w.stat(), "run, want down");
    assert_eq!((w.ends("run"), w.ends("finish")), ("finish(0 0)".into(), String::new()));
    assert_eq!(w.stat(), "down");
}

#[test]
fn run_t() {
    let mut w = old();
    assert_eq!((w.send("t"), w.stat()), ("TERM".into(), "run, got TERM".into()));
    w.ends("run");
    assert_eq!(w.ends("finish"), "run");
    assert_eq!(w.stat(), "run");
    // Wanted down already: the whole sequence once more.
    w.send("o");
    assert_eq!(w.send("t"), "TERM CONT");
}

#[test]
fn run_x() {
    let mut w = old();
    assert_eq!((w.send("x"), w.stat()), ("TERM CONT".into(), "run, got TERM, want exit".into()));
    assert_eq!((w.ends("run"), w.ends("finish")), ("finish(0 0)".into(), "done".into()));
    assert_eq!(w.stat(), "down");
}

#[test]
fn run_k() {
    let mut w = old();
    assert_eq!(w.send("k"), "KILL");
    // §1.10: not "down" before it is reaped.
    assert_eq!(w.stat(), "run");
    assert_eq!(w.end(Main, "run", KILLED), "finish(-1 9)");
    assert_eq!(w.ends("finish"), "run");
}

#[test]
fn run_p_and_c() {
    let mut w = old();
    assert_eq!((w.send("p"), w.stat()), ("STOP".into(), "run, paused".into()));
    assert_eq!((w.send("c"), w.stat()), ("CONT".into(), "run".into()));
    w.send("p");
    w.ends("run");
    assert_eq!(w.stat(), "finish");
}

#[test]
fn run_passes_signals() {
    let mut w = old();
    assert_eq!(w.send("h\naiq12Ue\0"), "HUP ALRM INT QUIT USR1 USR2");
    assert_eq!(w.stat(), "run");
}

// §1.5, column "when finish".

#[test]
fn finish_u_and_d_and_o() {
    let mut w = finishing();
    assert_eq!((w.send("d"), w.stat()), (String::new(), "finish, want down".into()));
    assert_eq!((w.send("u"), w.stat()), (String::new(), "finish".into()));
    assert_eq!(w.ends("finish"), "run");
    let mut w = finishing();
    assert_eq!((w.send("o"), w.stat()), (String::new(), "finish, want down".into()));
    assert_eq!((w.ends("finish"), w.stat()), (String::new(), "down".into()));
}

#[test]
fn finish_cannot_be_signalled() {
    let mut w = finishing();
    // §1.10: a k in finish neither runs it twice nor forgets it.
    assert_eq!((w.send("tkhaiq12"), w.stat()), (String::new(), "finish".into()));
    assert_eq!(w.send("ku"), "");
    assert_eq!(w.ends("finish"), "run");
}

#[test]
fn finish_p_and_c_flag_only() {
    let mut w = finishing();
    assert_eq!((w.send("p"), w.stat()), (String::new(), "finish, paused".into()));
    assert_eq!((w.send("c"), w.stat()), (String::new(), "finish".into()));
    w.send("p");
    w.ends("finish");
    assert_eq!(w.stat(), "run");
}

#[test]
fn finish_x() {
    let mut w = finishing();
    assert_eq!((w.send("x"), w.stat()), (String::new(), "finish, want exit".into()));
    assert_eq!(w.ends("finish"), "done");
}

// §1.5, column "when down".

#[test]
fn down_u() {
    let mut w = down();
    assert_eq!(w.send("u"), "run");
    w.pass(2000);
    assert_eq!(w.ends("run"), "run");
}

#[test]
fn down_o() {
    let mut w = down();
    assert_eq!((w.send("o"), w.stat()), ("run".into(), "run, want down".into()));
    assert_eq!((w.ends("run"), w.stat()), (String::new(), "down".into()));
}

#[test]
fn down_ignores_d_t_k_and_signals() {
    let mut w = down();
    assert_eq!((w.send("dtkhaiq12"), w.stat()), (String::new(), "down".into()));
    assert_eq!((w.send("p"), w.stat()), (String::new(), "down, paused".into()));
    assert_eq!((w.send("c"), w.stat()), (String::new(), "down".into()));
}

#[test]
fn down_x() {
    let mut w = down();
    assert_eq!(w.send("x"), "done");
}

// The delay.

#[test]
fn a_young_run_waits_for_the_rest_of_its_second() {
    let mut w = World::up();
    assert_eq!(w.pass(300), "");
    assert_eq!((w.ends("run"), w.waits(), w.reason), (String::new(), Some(700), "restart delay"));
    assert_eq!(w.pass(699), "");
    assert_eq!(w.pass(1), "run");
    w.pass(1000);
    assert_eq!(w.ends("run"), "run");
}

#[test]
fn finish_counts_for_the_delay() {
    let mut w = World::up();
    w.has_finish = true;
    w.ends("run");
    w.pass(400);
    assert_eq!((w.ends("finish"), w.waits()), (String::new(), Some(600)));
    assert_eq!(w.pass(600), "run");
    w.ends("run");
    w.pass(1500);
    assert_eq!(w.ends("finish"), "run");
}

#[test]
fn whoever_asks_does_not_wait() {
    for ask in ["u", "o"] {
        let mut w = World::up();
        w.ends("run");
        assert_eq!((w.send(ask), w.waits()), ("run".into(), None));
        w.send("o");
        // The next automatic one waits again, if there is one.
        assert_eq!((w.ends("run"), w.pass(5000)), (String::new(), String::new()));
    }
}

#[test]
fn down_then_up_within_the_second() {
    let mut w = World::up();
    assert_eq!(w.send("d"), "TERM CONT");
    assert_eq!(w.send("u"), "");
    assert_eq!(w.ends("run"), "run");
    // And after it is down.
    w.send("d");
    w.ends("run");
    assert_eq!(w.send("u"), "run");
    // Asking while it runs as wanted is no asking.
    w.send("u");
    assert_eq!((w.ends("run"), w.waits()), (String::new(), Some(1000)));
}

#[test]
fn restart_is_at_once() {
    let mut w = World::up();
    assert_eq!(w.send("tcu"), "TERM CONT");
    assert_eq!(w.ends("run"), "run");
}

#[test]
fn a_d_during_the_delay_ends_it() {
    let mut w = World::up();
    w.ends("run");
    assert_eq!((w.send("d"), w.waits(), w.pass(5000)), (String::new(), None, String::new()));
}

#[test]
fn an_o_is_taken_back_by_d() {
    let mut w = World::with_scripts(b"u");
    w.send("do");
    w.send("d");
    assert_eq!((w.ends("control/u"), w.stat()), (String::new(), "down".into()));
}

#[test]
fn one_shot() {
    // `sv o .` first in run; kicks before, during and after.
    let mut w = down();
    assert_eq!(w.send("u"), "run");
    assert_eq!(w.send("o"), "");
    assert_eq!((w.ends("run"), w.stat()), (String::new(), "down".into()));
    w.send("u");
    w.send("o");
    assert_eq!(w.send("uuu"), "");
    assert_eq!(w.ends("run"), "run");
    w.send("o");
    assert_eq!((w.ends("run"), w.pass(9000)), (String::new(), String::new()));
}

// Trouble with starting.

#[test]
fn run_that_cannot_be_executed_exits_111() {
    let mut w = World::new(Want::Up, None);
    w.has_finish = true;
    w.refusals = vec![Refused::Broken];
    assert_eq!(w.pass(0), "run:Broken finish(111 0)");
    assert_eq!((w.ends("finish"), w.waits()), (String::new(), Some(1000)));
    assert_eq!(w.pass(1000), "run");
}

#[test]
fn no_room_for_run_is_a_timer() {
    let mut w = World::new(Want::Up, None);
    w.refusals = vec![Refused::NoRoom];
    assert_eq!((w.pass(0), w.waits()), ("run:NoRoom".into(), Some(5000)));
    assert_eq!((w.send("p"), w.stat()), (String::new(), "down, paused".into()));
    w.refusals = vec![Refused::NoRoom];
    assert_eq!((w.send("u"), w.waits()), ("run:NoRoom".into(), Some(5000)));
    assert_eq!((w.pass(4999), w.pass(1)), (String::new(), "run".into()));
    // An `o` is owed until it could be kept.
    let mut w = down();
    w.refusals = vec![Refused::NoRoom];
    assert_eq!(w.send("o"), "run:NoRoom");
    assert_eq!(w.pass(5000), "run");
    assert_eq!((w.ends("run"), w.pass(5000)), (String::new(), String::new()));
}

#[test]
fn no_room_for_finish_is_a_timer() {
    let mut w = old();
    w.refusals = vec![Refused::NoRoom];
    assert_eq!((w.ends("run"), w.stat()), ("finish(0 0):NoRoom".into(), "finish".into()));
    assert_eq!((w.send("u"), w.waits()), (String::new(), Some(5000)));
    assert_eq!(w.pass(5000), "finish(0 0)");
    assert_eq!(w.ends("finish"), "run");
}

#[test]
fn finish_that_cannot_be_executed_is_none() {
    let mut w = old();
    w.refusals = vec![Refused::Broken];
    assert_eq!(w.ends("run"), "finish(0 0):Broken run");
}

// Control scripts.

#[test]
fn u_runs_before_every_start_and_cannot_veto() {
    let mut w = World::with_scripts(b"u");
    assert_eq!(w.stat(), "down");
    assert_eq!(w.end(Main, "control/u", NO), "run");
    w.pass(1000);
    assert_eq!(w.ends("run"), "control/u");
    assert_eq!(w.end(Main, "control/u", OK), "run");
}

#[test]
fn exit_0_vetoes_and_nothing_else_does() {
    let mut w = World::with_scripts(b"th");
    assert_eq!((w.send("t"), w.ends("control/t"), w.stat()), ("control/t".into(), String::new(), "run".into()));
    assert_eq!((w.send("t"), w.end(Main, "control/t", NO)), ("control/t".into(), "TERM".into()));
    // §7: killed is not exited 0.
    assert_eq!((w.send("h"), w.end(Main, "control/h", KILLED)), ("control/h".into(), "HUP".into()));
    w.refusals = vec![Refused::Broken];
    assert_eq!(w.send("h"), "control/h:Broken HUP");
}

#[test]
fn d_and_x_are_told_after_the_signals() {
    let mut w = World::with_scripts(b"tdx");
    assert_eq!(w.send("d"), "control/t");
    assert_eq!(w.end(Main, "control/t", NO), "TERM CONT control/d");
    assert_eq!((w.ends("control/d"), w.stat()), (String::new(), "run, got TERM, want down".into()));
    // A veto stops the TERM, not the rest.
    w.send("x");
    assert_eq!(w.ends("control/t"), "CONT control/x");
    assert_eq!((w.ends("control/x"), w.end(Main, "run", OK)), (String::new(), "done".into()));
}

#[test]
fn a_slow_script_makes_nobody_deaf() {
    let mut w = World::with_scripts(b"t");
    assert_eq!(w.send("d"), "control/t");
    // Everything else goes on, in order, one decision after the other; the last u, d, o counts.
    assert_eq!((w.send("hu"), w.stat()), (String::new(), "run".into()));
    assert_eq!(w.send("k"), "KILL");
    assert_eq!(w.end(Main, "control/t", NO), "TERM CONT HUP");
    assert_eq!(w.end(Main, "run", KILLED), "run");
}

#[test]
fn the_script_of_a_dead_run_does_not_hit_the_next() {
    let mut w = World::with_scripts(b"td");
    w.has_finish = true;
    w.pass(5000);
    assert_eq!(w.send("d"), "control/t");
    assert_eq!((w.send("hu"), w.ends("run")), (String::new(), "finish(0 0)".into()));
    assert_eq!((w.ends("finish"), w.reason), (String::new(), "control script"));
    // The decision is void, but who wants to know about the d is told.
    assert_eq!(w.end(Main, "control/t", NO), "control/d");
    assert_eq!(w.ends("control/d"), "run");
}

#[test]
fn control_k_can_veto_and_runs_beside_others() {
    let mut w = World::with_scripts(b"tk");
    w.send("t");
    assert_eq!(w.send("k"), "control/k");
    // §1.10: a veto leaves it running, in state and in fact.
    assert_eq!((w.ends("control/k"), w.stat(), w.send("u")), (String::new(), "run".into(), String::new()));
    w.send("k");
    assert_eq!(w.end(Main, "control/k", NO), "KILL");
}

#[test]
fn p_and_c_scripts() {
    let mut w = World::with_scripts(b"pc");
    w.send("p");
    assert_eq!((w.ends("control/p"), w.stat()), (String::new(), "run, paused".into()));
    w.send("c");
    assert_eq!((w.end(Main, "control/c", NO), w.stat()), ("CONT".into(), "run".into()));
}

#[test]
fn exit_waits_for_scripts() {
    let mut w = World::with_scripts(b"x");
    assert_eq!(w.send("x"), "TERM CONT control/x");
    assert_eq!((w.ends("run"), w.ends("control/x")), (String::new(), "done".into()));
}

#[test]
fn labels_change_at_the_start_of_run_and_when_it_is_down() {
    let mut w = World::up();
    w.has_finish = true;
    let born = w.written[0].status.since;
    w.pass(1500);
    w.send("d");
    w.ends("run");
    assert_eq!(w.written[0].status.since, born);
    w.pass(500);
    w.ends("finish");
    assert_eq!(w.written[0].status.since.label, born.label + 2);
    w.pass(500);
    w.send("u");
    assert_eq!(w.written[0].status.since.nanos, born.nanos + 500_000_000);
}

// What is told beside the status.

#[test]
fn starts_and_the_last_end_are_counted() {
    let mut w = World::new(Want::Up, Some(Want::Up));
    let history = |w: &World| String::from_utf8(w.written[0].history.text().as_bytes().to_vec()).unwrap();
    assert_eq!(history(&w), "starts 0\n");
    w.pass(0);
    assert_eq!(history(&w), "starts 1\n");
    w.end(Main, "run", Status(0x80 | 11));
    assert_eq!(history(&w), "starts 1\nexit -1 139\n");
    w.refusals.push(Refused::Broken);
    w.pass(1000);
    assert_eq!(history(&w), "starts 2\nexit 111 0\n");
    w.refusals.push(Refused::NoRoom);
    w.pass(1000);
    assert_eq!(history(&w), "starts 2\nexit 111 0\n");
    w.end(Log, "run", NO);
    assert_eq!((w.written[1].history.starts, w.written[1].history.exit.unwrap().code), (2, Some(1)));
}
