//! `runsvdir -1`: all services in one process, and nobody outside sees the difference.

use crate::runsv::endless_poll;
use lab::{Lab, Proc, wait_for};
use nix::sys::signal::Signal;

/// A service directory `dir/NAME` that is yet to be built.
fn within(lab: &Lab, name: &str) -> lab::ServiceBuilder {
    lab.service_at(format!("dir/{name}"))
}

fn host(lab: &Lab) -> Proc {
    lab.cmd("runsvdir").args(["-1", "dir"]).spawn()
}

/// Processes that are ours, by the name they were called.
fn processes(lab: &Lab) -> Vec<String> {
    let all = lab.sh("ps -e -o comm= | grep -E '^(runsv|runsvdir|supervisor)$' || :").ok();
    all.lines().map(str::to_owned).collect()
}

#[test]
fn one_process_looks_after_all() {
    lab::test(|lab| {
        let foo = within(lab, "foo").run("echo up; exec sleep 1000").log("exec cat >>../got").build();
        let bar = within(lab, "bar").down().run("exec sleep 1000").build();
        let runsvdir = host(lab);
        foo.wait_stat("run");
        foo.log().wait_stat("run");
        assert_eq!(foo.wait_lines("got", 1), ["up"]);
        assert_eq!(bar.stat(), "down");
        let both = lab.cmd("sv").args(["status", foo.arg(), bar.arg()]);
        both.prints_matching("run: * (pid #) *s; run: log: (pid #) *s\ndown: * #s");
        lab.cmd("sv").args(["start", bar.arg()]).prints_matching("ok: run: *");
        let pid = foo.pid();
        lab.cmd("sv").args(["restart", foo.arg()]).prints_matching("ok: run: *");
        assert!(foo.pid().is_some() && foo.pid() != pid);
        assert_eq!(processes(lab).len(), 1);
        wait_for("a wait without end", || endless_poll(runsvdir.pid()));
        runsvdir.signal(Signal::SIGHUP);
        assert_eq!(runsvdir.wait(), 111);
        assert_eq!((foo.stat(), foo.log().stat(), bar.stat()), ("down".into(), "down".into(), "down".into()));
        assert!(!foo.listening() && !bar.listening() && !foo.log().listening());
        assert_eq!(runsvdir.stderr(), "");
    });
}

/// Its log service gets all there was to log, as when a runsv ends.
#[test]
fn what_leaves_is_stopped_and_what_comes_is_started() {
    lab::test(|lab| {
        let last = "trap 'i=0; while [ $i -lt 2000 ]; do echo last $i; i=$((i+1)); done; exit' TERM\necho up";
        let run = format!("{last}\nwhile :; do read x <never; done");
        let foo = lab.service_at("made/foo").run(&run).log("exec cat >>../got").build();
        let bar = lab.service_at("made/bar").run("exec sleep 1000").build();
        lab.sh("mkdir dir; mkfifo made/foo/never; ln -s ../made/foo dir/foo").ok();
        let runsvdir = host(lab);
        foo.wait_lines("got", 1);
        lab.sh("ln -s ../made/bar dir/bar; rm dir/foo").ok();
        bar.wait_stat("run");
        wait_for("its end", || !foo.listening() && !foo.log().listening());
        assert_eq!((foo.stat(), foo.log().stat(), foo.pid()), ("down".into(), "down".into(), None));
        assert_eq!(foo.lines("got").last().map(String::as_str), Some("last 1999"));
        wait_for("a wait without end", || endless_poll(runsvdir.pid()));
    });
}
