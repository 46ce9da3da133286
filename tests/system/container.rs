//! `runsvdir -g SEC`: the end of a container, and of any tree of services that is to leave nothing behind.

use lab::{Cmd, Lab, Proc, Service, note, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// How runsvdir is started: as pid 1 of a pid namespace or as a process like any other, with runsv or without.
type Way = &'static [&'static str];
const INIT: Way = &["unshare", "-pf", "--mount-proc", "runsvdir"];
const HOSTED_INIT: Way = &["unshare", "-pf", "--mount-proc", "runsvdir", "-1"];
const REAPER: Way = &["runsvdir"];
const HOSTED_REAPER: Way = &["runsvdir", "-1"];

/// A test for each way.
macro_rules! all_ways {
    ($($test:ident)*) => {$(
        mod $test {
            #[test]
            fn as_init() {
                lab::test(|lab| super::$test(lab, super::INIT));
            }
            #[test]
            fn as_hosting_init() {
                lab::test(|lab| super::$test(lab, super::HOSTED_INIT));
            }
            #[test]
            fn as_reaper() {
                lab::test(|lab| super::$test(lab, super::REAPER));
            }
            #[test]
            fn as_hosting_reaper() {
                lab::test(|lab| super::$test(lab, super::HOSTED_REAPER));
            }
        }
    )*};
}

all_ways! {
    everything_ends_in_time
    no_line_is_lost
    who_obeys_is_not_waited_for
    orphans_are_reaped
}

fn command(lab: &Lab, way: Way) -> Cmd {
    lab.cmd(way[0]).args(&way[1..])
}

/// Signals runsvdir itself, which may be below `unshare`.
fn signal(lab: &Lab, started: &Proc, signal: Signal) {
    let pid = lab.sh(&format!("pgrep -x runsvdir -P {0} || echo {0}", started.pid())).ok();
    note(&format!("{signal} to runsvdir {pid}"));
    kill(Pid::from_raw(pid.trim().parse().unwrap()), signal).unwrap();
}

/// Processes called that, wherever they are.
fn count(lab: &Lab, name: &str) -> usize {
    lab.sh(&format!("pgrep -x {name} | wc -l")).ok().trim().parse().unwrap()
}

/// Nothing ends by itself: a service and a service's child that ignore TERM, a log service that does not care for the end of
/// its input, orphans of both kinds.
fn everything_ends_in_time(lab: &Lab, way: Way) {
    let ignores = "trap '' TERM\n";
    lab.service_at("dir/stubborn").run(&format!("{ignores}exec sleep 1000")).log("exec cat >/dev/null").build();
    let child = lab
        .service_at("dir/child")
        .run("(trap '' TERM; exec sleep 1000) &\nexec sleep 1000")
        .log("exec cat >/dev/null")
        .build();
    let logger = lab.service_at("dir/logger").run("exec sleep 1000").log("exec sleep 1000").build();
    let finish =
        lab.service_at("dir/finish").run("exec sleep 1000").script("finish", "trap '' TERM; exec sleep 1000").build();
    let orphans = lab
        .service_at("dir/orphans")
        .run("(setsid sleep 1000 &)\n(trap '' TERM; exec sleep 1000 &)\nexec sleep 1000")
        .build();
    let started = command(lab, way).args(["-g", "5", "dir"]).spawn();
    for service in [&child, &logger, &finish, &orphans] {
        service.wait_stat("run");
    }
    wait_for("all of it", || count(lab, "sleep") == 9);
    let began = Instant::now();
    signal(lab, &started, Signal::SIGTERM);
    assert_eq!(started.wait(), 0);
    let took = began.elapsed();
    note(&format!("ended after {took:?}"));
    assert!(took > Duration::from_secs(5), "nobody gave in");
    assert!(took < Duration::from_secs(6), "{took:?}");
    for left in ["sleep", "cat", "runsv"] {
        assert_eq!(count(lab, left), 0, "{left}");
    }
    assert_eq!(started.stderr(), "");
}

/// What can end by itself does, and no line is lost: not of a service that has much to say at the end, nor of one that is
/// killed, nor with a log service that takes its time.
fn no_line_is_lost(lab: &Lab, way: Way) {
    const N: usize = 3000;
    let say = format!("i=0; while [ $i -lt {N} ]; do echo line $i; i=$((i+1)); done");
    let slow = "while read -r x; do echo \"$x\"; done >>../got";
    let talks = lab
        .service_at("dir/talks")
        .run(&format!("trap '{say}; exit' TERM\nmkfifo never; : >ready\nwhile :; do read x <never; done"))
        .log(slow)
        .build();
    let killed = lab
        .service_at("dir/killed")
        .run(&format!("trap '' TERM\n(exec sleep 1000) &\n{say}\n: >ready\nexec sleep 1000"))
        .log(slow)
        .build();
    let started = command(lab, way).args(["-g", "1", "dir"]).spawn();
    for service in [&talks, &killed] {
        wait_for("the service", || service.path().join("ready").exists());
    }
    signal(lab, &started, Signal::SIGTERM);
    assert_eq!(started.wait(), 0);
    for service in [&talks, &killed] {
        let got = service.lines("got");
        assert_eq!(got.len(), N, "{}", service.name());
        assert_eq!(got.last().map(String::as_str), Some("line 2999"));
    }
    assert_eq!((talks.stat(), killed.stat()), ("down".into(), "down".into()));
}

fn who_obeys_is_not_waited_for(lab: &Lab, way: Way) {
    let foo = lab.service_at("dir/foo").run("exec sleep 1000").log("exec cat >/dev/null").build();
    let down = lab.service_at("dir/bar").down().run("(setsid sleep 1000 &)\nexec sleep 1000").build();
    for (number, code) in [(Signal::SIGTERM, 0), (Signal::SIGINT, 0), (Signal::SIGHUP, 111)] {
        let started = command(lab, way).args(["-g", "1000", "dir"]).spawn();
        foo.wait_stat("run");
        down.wait_listening();
        down.tell("u");
        down.wait_stat("run");
        wait_for("the orphan", || count(lab, "sleep") == 3);
        signal(lab, &started, number);
        assert_eq!(started.wait(), code);
        assert_eq!(count(lab, "sleep"), 0);
    }
}

fn orphans_are_reaped(lab: &Lab, way: Way) {
    let foo: Service =
        lab.service_at("dir/foo").run("(sh -c 'exec 5<../../gate; read x <&5' &)\nexec sleep 1000").build();
    lab.sh("mkfifo gate").ok();
    let started = command(lab, way).args(["-g", "5", "dir"]).spawn();
    foo.wait_stat("run");
    wait_for("the orphan", || count(lab, "sh") >= 1);
    std::fs::write(lab.path("gate"), "x\n").unwrap();
    wait_for("no zombie", || {
        lab.sh("ps -e -o comm=,stat= | grep -E '^sh +Z|^sh .*defunct' || echo none").ok() == "none\n"
            && count(lab, "sh") <= 1
    });
    signal(lab, &started, Signal::SIGTERM);
    assert_eq!(started.wait(), 0);
}

/// Without `-g` TERM leaves everything as it is, with it also those are stopped who were there before.
#[test]
fn those_taken_over_are_stopped_too() {
    lab::test(|lab| {
        let foo = lab.service_at("dir/foo").run("trap '' TERM; exec sleep 1000").log("exec cat >/dev/null").build();
        let first = lab.cmd("runsvdir").arg("dir").spawn();
        foo.wait_stat("run");
        assert_eq!(first.stop(), 0);
        let second = lab.cmd("runsvdir").args(["-g", "1", "dir"]).spawn();
        second.wait_line("*taken over runsv foo, *");
        assert_eq!(second.stop(), 0);
        assert_eq!((foo.stat(), foo.listening()), ("down".into(), false));
        // Others reap these.
        wait_for("the end", || count(lab, "cat") + count(lab, "sleep") == 0);
    });
}
