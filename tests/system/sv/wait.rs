//! `sv wait`: nothing is sent, the state is waited for.

use super::{notifying, say_ready};
use lab::peer;

#[test]
fn up_ready_and_down() {
    lab::test(|lab| {
        let foo = notifying(lab);
        lab.runsv(&foo);
        let wait = |state: &str| lab.cmd("sv").args(["-w60", "wait", state, foo.arg()]).spawn();
        wait("down").wait_line("ok: down: *: #s");
        let (up, ready) = (wait("up"), wait("ready"));
        foo.tell("o");
        assert_eq!(up.wait(), 0, "wanted down or not, it runs");
        assert!(lab::matches(&up.stdout(), "ok: run: *: (pid #) #s, normally down, want down, not ready\n"));
        assert!(!ready.ended());
        say_ready(&foo);
        assert_eq!(ready.wait(), 0);
        assert!(lab::matches(&ready.stdout(), "ok: run: *: (pid #) #s, normally down, want down\n"));
        let down = wait("down");
        foo.tell("d");
        assert_eq!(down.wait(), 0);
        assert_eq!(foo.lines("supervise/history")[0], "starts 1", "nothing was sent");
    });
}

/// A pause between two runs is not what `down` is about.
#[test]
fn down_is_for_good() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("echo run >>runs; exit 1").build();
        lab.runsv(&foo);
        let down = lab.cmd("sv").args(["-w60", "wait", "down", foo.arg()]).spawn();
        foo.wait_lines("runs", 3);
        assert!(!down.ended());
        foo.tell("d");
        assert_eq!(down.wait(), 0);
    });
}

#[test]
fn the_code_counts_those_that_did_not_get_there() {
    lab::test(|lab| {
        let service = |name: &str| lab.service(name).run("exec sleep 1000").build();
        let (a, b, c) = (service("a"), service("b"), lab.service("c").run("exit 0").down().build());
        lab.runsv(&a);
        lab.runsv_of(&peer("runsv"), &b);
        let supervisor = lab.runsv(&c);
        a.wait_stat("run");
        b.wait_stat("run");
        lab.cmd("sv").args(["wait", "ready", a.arg(), b.arg()]).ok();
        a.tell("d");
        a.wait_stat("down");
        let sv = lab.cmd("sv").env("SVWAIT", "60").args(["wait", "up", a.arg(), c.arg(), "/nowhere"]).spawn();
        sv.wait_line("fail: /nowhere: unable to change to service directory: file does not exist");
        c.tell("x");
        assert_eq!(supervisor.wait(), 0);
        sv.wait_line("fail: */c: runsv not running");
        a.tell("u");
        assert_eq!(sv.wait(), 2);
        let out = lab.cmd("sv").env("SVWAIT", "0").args(["wait", "down", b.arg()]).fails(1);
        assert!(lab::matches(&out.stdout, "timeout: run: *: (pid #) #s\n"), "{}", out.stdout);
        lab.cmd("sv").args(["wait", "ip", a.arg()]).fails(100);
    });
}

/// Waiting costs nothing: no look at the clock, no look at the files, until something happens.
#[test]
fn sleeps_while_nothing_happens() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        lab.runsv(&foo);
        foo.wait_stat("run");
        let sv = lab.cmd("sv").args(["-w60", "wait", "down", foo.arg()]).spawn();
        let status = format!("/proc/{}/status", sv.pid());
        let switches = || {
            let text = lab.read(&status);
            let asleep = text.contains("State:\tS");
            let count = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:\t")).unwrap().to_owned();
            asleep.then_some(count)
        };
        lab::wait_for("sv to wait", || {
            let fds = std::fs::read_dir(format!("/proc/{}/fd", sv.pid())).unwrap().flatten();
            let watching = fds.filter_map(|fd| fd.path().read_link().ok()).any(|l| l.ends_with("anon_inode:inotify"));
            watching && lab.read(format!("/proc/{}/wchan", sv.pid())).contains("poll")
        });
        let before = switches();
        // Something else takes its time.
        lab.sh("for i in 1 2 3 4 5; do sleep 0.2; done").ok();
        assert_eq!((switches(), before.is_some()), (before, true));
        foo.tell("d");
        assert_eq!(sv.wait(), 0);
    });
}
