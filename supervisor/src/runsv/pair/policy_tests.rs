//! Scripts of time and input for what goes beyond runit: readiness, growing delays, limits of a stop, the whole group.

use super::super::policy::Policy;
use super::super::service::Refused;
use super::Which::{Log, Main};
use super::world::World;
use crate::status::Want;
use core::time::Duration;
use sys::spawn::Status;

const OK: Status = Status::exited(0);

/// A service with this policy, started.
fn with(policy: Policy) -> World {
    let mut w = World::new(Want::Up, None);
    w.policy[0] = policy;
    assert_eq!(w.pass(0), "run");
    w
}

fn throttled(min: u64, max: u64) -> World {
    let ms = Duration::from_millis;
    with(Policy { delay_min: ms(min), delay_max: ms(max), ..Policy::default() })
}

fn limited(ms: u64) -> World {
    with(Policy { stop_limit: Some(Duration::from_millis(ms)), ..Policy::default() })
}

fn grouped() -> World {
    with(Policy { group: true, ..Policy::default() })
}

fn ready(w: &World) -> bool {
    w.written[0].history.ready(w.written[0].status.since)
}

// notification-fd

#[test]
fn ready_is_about_this_run_only() {
    let mut w = with(Policy { notifies: true, ..Policy::default() });
    assert_eq!((ready(&w), w.written[0].history.notifies), (false, true));
    assert_eq!((w.notify(Main), ready(&w)), (String::new(), true));
    w.pass(2000);
    assert_eq!((w.ends("run"), ready(&w)), ("run".into(), false));
    // Who was not asked is not listened to.
    w.policy[0].notifies = false;
    w.pass(2000);
    w.ends("run");
    assert_eq!((w.notify(Main), ready(&w), w.written[0].history.notifies), (String::new(), false, false));
    w.send("d");
    w.ends("run");
    assert_eq!((w.notify(Main), ready(&w)), (String::new(), false));
}

// throttle

/// Ends it at once, and says how long the machine then waits for the next start.
fn crash(w: &mut World) -> Option<u128> {
    assert_eq!(w.ends("run"), "");
    w.waits()
}

fn next(w: &mut World) {
    let wait = u64::try_from(w.waits().unwrap()).unwrap();
    assert_eq!((w.pass(wait - 1), w.pass(1)), (String::new(), "run".into()));
}

#[test]
fn the_delay_doubles_up_to_its_greatest() {
    let mut w = throttled(300, 2000);
    for expected in [300, 600, 1200, 2000, 2000, 2000] {
        assert_eq!(crash(&mut w), Some(expected));
        next(&mut w);
    }
    // Between starts, not from the end on.
    w.pass(1500);
    assert_eq!(crash(&mut w), Some(500));
}

#[test]
fn the_delay_begins_anew_after_a_healthy_run() {
    let mut w = throttled(300, 2000);
    for _ in 0..4 {
        crash(&mut w);
        next(&mut w);
    }
    w.pass(2000);
    assert_eq!(w.ends("run"), "run");
    assert_eq!(crash(&mut w), Some(300));
    // Getting ready is healthy too, however short it is.
    next(&mut w);
    assert_eq!(crash(&mut w), Some(600));
    w.policy[0].notifies = true;
    next(&mut w);
    w.notify(Main);
    assert_eq!(crash(&mut w), Some(300));
}

#[test]
fn who_asks_starts_at_once_and_anew() {
    let mut w = throttled(300, 60_000);
    for ask in ["u", "ou"] {
        for _ in 0..5 {
            crash(&mut w);
            next(&mut w);
        }
        assert_eq!(crash(&mut w), Some(300 << 5));
        assert_eq!(w.send(ask), "run");
        // The `u` after the `o` is another demand.
        if ask == "ou" {
            assert_eq!(w.ends("run"), "run");
        }
        assert_eq!(crash(&mut w), Some(300));
        next(&mut w);
        assert_eq!(crash(&mut w), Some(600));
        w.send("u");
    }
}

#[test]
fn a_restart_is_no_crash() {
    let mut w = throttled(300, 60_000);
    for _ in 0..5 {
        assert_eq!((w.send("t"), crash(&mut w)), ("TERM".into(), Some(300)));
        next(&mut w);
    }
}

#[test]
fn no_room_is_no_crash() {
    let mut w = throttled(300, 60_000);
    crash(&mut w);
    w.refusals = vec![Refused::NoRoom];
    assert_eq!((w.pass(300), w.waits()), ("run:NoRoom".into(), Some(5000)));
    w.pass(5000);
    assert_eq!(crash(&mut w), Some(600));
}

#[test]
fn the_wall_clock_is_nothing_to_go_by() {
    for warp in [-86_400, -1, 1, 86_400] {
        let mut w = throttled(300, 2000);
        crash(&mut w);
        w.warp = warp;
        next(&mut w);
        w.warp = -warp;
        assert_eq!(crash(&mut w), Some(600));
        next(&mut w);
        let mut w = limited(3000);
        w.send("d");
        w.warp = warp;
        assert_eq!((w.pass(2999), w.pass(1)), (String::new(), "KILL".into()));
    }
}

// timeout-stop

#[test]
fn a_stop_has_a_limit() {
    for stop in ["d", "x", "t", "od"] {
        let mut w = limited(3000);
        w.pass(10_000);
        assert!(w.send(stop).starts_with("TERM"));
        assert_eq!((w.waits(), w.reason), (Some(3000), "timeout-stop"), "{stop}");
        // Saying it again gives no more time.
        w.pass(1000);
        w.send(stop);
        assert_eq!((w.pass(1999), w.pass(1), w.waits()), (String::new(), "KILL".into(), None), "{stop}");
    }
    let mut w = limited(3000);
    w.terminate();
    assert_eq!(w.pass(3000), "KILL");
    assert_eq!(w.end(Main, "run", Status(9)), "done");
}

#[test]
fn a_stop_in_time_is_the_end_of_its_limit() {
    let mut w = limited(3000);
    w.send("t");
    w.pass(1000);
    assert_eq!((w.ends("run"), w.waits(), w.pass(9000)), ("run".into(), None, String::new()));
}

#[test]
fn an_up_takes_back_what_was_not_begun() {
    let mut w = limited(3000);
    w.send("du");
    assert_eq!(w.pass(3000), "KILL");
    w.scripts = b"t".to_vec();
    w.end(Main, "run", Status(9));
    assert_eq!(w.send("du"), "control/t");
    assert_eq!((w.waits(), w.ends("control/t"), w.waits()), (None, "CONT".into(), None));
    assert_eq!((w.send("du"), w.end(Main, "control/t", Status(9))), ("control/t".into(), "TERM CONT".into()));
    assert_eq!((w.waits(), w.pass(3000)), (Some(3000), "KILL".into()));
}

#[test]
fn no_script_holds_up_the_limit() {
    let mut w = limited(3000);
    w.scripts = b"tk".to_vec();
    w.send("d");
    // It hangs, and nobody asks control/k.
    assert_eq!(w.pass(3000), "KILL");
    let mut w = limited(3000);
    w.scripts = b"t".to_vec();
    // A veto of a stop means that the script sees to it; of a mere TERM, that nothing is to be stopped.
    w.send("d");
    assert_eq!((w.ends("control/t"), w.pass(3000)), ("CONT".into(), "KILL".into()));
    let mut w = limited(3000);
    w.scripts = b"t".to_vec();
    w.send("t");
    assert_eq!((w.ends("control/t"), w.waits()), (String::new(), None));
}

#[test]
fn the_log_has_its_limit_from_the_end_of_its_input() {
    let mut w = World::new(Want::Up, Some(Want::Up));
    w.policy[1].stop_limit = Some(Duration::from_secs(2));
    w.pass(0);
    w.send("x");
    assert_eq!((w.ends("run"), w.waits()), ("close".into(), Some(2000)));
    assert_eq!((w.pass(1999), w.pass(1)), (String::new(), "log KILL".into()));
    assert_eq!(w.end(Log, "run", Status(9)), "done");
}

// kill-group

#[test]
fn a_group_gets_the_signals_and_goes_with_its_leader() {
    let mut w = grouped();
    w.has_finish = true;
    w.pass(5000);
    assert_eq!(w.send("hpc"), "HUP STOP CONT");
    assert_eq!(w.ends("run"), "KILL finish(0 0)");
    assert_eq!(w.ends("finish"), "run");
}

#[test]
fn neither_finish_nor_run_comes_before_the_group_is_gone() {
    for (has_finish, next) in [(true, "finish(0 0)"), (false, "run")] {
        let mut w = grouped();
        (w.has_finish, w.lingers) = (has_finish, true);
        w.pass(5000);
        assert_eq!((w.ends("run"), w.stat()), ("KILL".into(), "finish".into()));
        assert_eq!((w.send("tku"), w.waits()), (String::new(), Some(5000)));
        assert_eq!(w.followers_go(Main), next);
    }
}

#[test]
fn what_cannot_be_killed_does_not_hold_the_service_for_ever() {
    let mut w = grouped();
    w.lingers = true;
    w.pass(10_000);
    w.ends("run");
    assert_eq!((w.pass(4999), w.pass(1)), (String::new(), "run".into()));
    let mut w = World::new(Want::Up, Some(Want::Up));
    w.policy[1].group = true;
    w.lingers = true;
    w.pass(0);
    w.pass(10_000);
    assert_eq!(w.end(Log, "run", OK), "log KILL");
    assert_eq!(w.pass(5000), "log run");
}
