//! `sv` waits for what happens instead of a time. Lines and exit codes of single commands are compared with packaged runit's in
//! `compat`, either `sv` on either `runsv` is in `mixed`.

mod enable;
mod list;
mod log;
mod readers;
mod wait;

use lab::{Service, our, peer, wait_for};
use std::path::Path;

/// runit takes a service started within the same second for restarted.
#[test]
fn restart_means_another_process() {
    lab::test(|lab| {
        for runsv in [our("runsv"), peer("runsv")] {
            let foo = lab.service(&format!("foo{}", lab.fresh())).run("exec sleep 1000").build();
            let _runsv = lab.runsv_of(&runsv, &foo);
            foo.wait_stat("run");
            for _ in 0..3 {
                let old = foo.status();
                lab.cmd("sv").args(["restart", foo.arg()]).prints_matching("ok: run: *: (pid #) #s");
                let new = foo.status();
                assert_ne!((old.pid, old.label, old.nanos), (new.pid, new.label, new.nanos));
                assert_eq!(new.state, 1);
            }
        }
    });
}

/// Each service is reported when it has got there, whatever the others do.
#[test]
fn services_are_waited_for_together() {
    lab::test(|lab| {
        let service = |name: &str| lab.service(name).run("exec sleep 1000").down();
        let (a, b, c) = (
            service("a").build(),
            service("b").check("[ -e available ]").build(),
            service("c").check("echo not shown; kill -9 $$").build(),
        );
        for s in [&a, &b, &c] {
            lab.runsv(s);
        }
        let sv = lab.cmd("sv").args(["-w", "3", "start", c.arg(), b.arg(), "/nowhere", a.arg()]).spawn();
        let failed = sv.wait_line("fail: *");
        assert_eq!(failed, "fail: /nowhere: unable to change to service directory: file does not exist");
        sv.wait_line("ok: run: */a: (pid #) #s, normally down");
        std::fs::write(b.path().join("available"), "").unwrap();
        sv.wait_line("ok: run: */b: (pid #) #s, normally down");
        sv.wait_line("timeout: run: */c: (pid #) #s, normally down");
        assert_eq!((sv.wait(), sv.stdout().lines().count()), (2, 4));
    });
}

#[test]
fn a_check_that_hangs_does_not_outlive_the_deadline() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").check("echo $$ >checking; exec sleep 1000").build();
        lab.runsv(&foo);
        foo.wait_stat("run");
        let out = lab.cmd("sv").args(["-w", "1", "check", foo.arg()]).fails(1);
        assert!(lab::matches(&out.stdout, "timeout: run: *: (pid #) #s\n"), "{}", out.stdout);
        let check = foo.wait_lines("checking", 1).remove(0);
        wait_for("the check to end", || !Path::new("/proc").join(&check).exists());
    });
}

/// Under runsvdir the next runsv is there at once; the one that was told is gone all the same.
#[test]
fn exit_is_about_the_runsv_that_was_told() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        let _respawn = lab.sh("while :; do runsv sv/foo; done").spawn();
        foo.wait_stat("run");
        for _ in 0..5 {
            foo.wait_listening();
            lab.cmd("sv").args(["-v", "exit", foo.arg()]).prints(&format!("ok: {}: runsv not running\n", foo.arg()));
        }
    });
}

#[test]
fn force_kills() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("trap '' TERM; echo ready >ready; while :; do sleep 1000; done").build();
        lab.runsv(&foo);
        foo.wait_lines("ready", 1);
        let out = lab.cmd("sv").args(["-w", "1", "force-stop", foo.arg()]).fails(1);
        assert!(lab::matches(&out.stdout, "kill: run: *: (pid #) #s, want down, got TERM\n"), "{}", out.stdout);
        foo.wait_stat("down");
    });
}

/// Whoever may write to the fifos but not list `supervise/` cannot watch it; then it is looked at now and then.
#[test]
fn waits_without_events_too() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").down().build();
        lab.runsv(&foo);
        let sv = |command: &str| {
            let limited = lab.cmd("setpriv").args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]);
            limited.args(["sv", "-w", "10", command, foo.arg()])
        };
        lab.sh("chmod 300 sv/foo/supervise").ok();
        lab.cmd("setpriv")
            .args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "ls", "sv/foo/supervise"])
            .fails(2);
        sv("start").prints_matching("ok: run: *: (pid #) #s, normally down");
        sv("restart").prints_matching("ok: run: *: (pid #) #s, normally down");
        sv("stop").prints_matching("ok: down: *: #s");
        sv("exit").prints(&format!("ok: {}: runsv not running\n", foo.arg()));
    });
}

#[test]
fn svok_and_svstat() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        let code = |service: &Service| lab.cmd("svok").arg(service.arg()).output().code;
        assert_eq!(code(&foo), 100);
        assert_eq!(code(&Service::at("/nowhere")), 111);
        let runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        assert_eq!(code(&foo), 0);
        lab.cmd("svstat")
            .args(["sv/foo", "/nowhere"])
            .prints_matching("sv/foo: up (pid #) # seconds\n/nowhere: unable to chdir: file does not exist");
        lab.cmd("svc").args(["-dx", foo.arg()]).prints("");
        assert_eq!(runsv.wait(), 0);
        assert_eq!(code(&foo), 100, "never blocks on a fifo nobody reads");
        lab.cmd("svstat").arg("sv/foo").prints("sv/foo: supervise not running\n");
    });
}

/// Says that it is ready when a line comes through the fifo `go`.
fn notifying(lab: &lab::Lab) -> Service {
    let foo = lab
        .service("foo")
        .run("read line <go; echo >&7; exec sleep 1000")
        .file("notification-fd", "7\n", 0o644)
        .down()
        .build();
    lab.sh("mkfifo sv/foo/go").ok();
    foo
}

fn say_ready(of: &Service) {
    std::fs::write(of.path().join("go"), "\n").unwrap();
}

#[test]
fn start_restart_and_check_wait_for_readiness() {
    lab::test(|lab| {
        let foo = notifying(lab);
        lab.runsv(&foo);
        let mut pid = None;
        for command in ["start", "restart", "force-restart", "try-restart", "force-reload"] {
            let sv = lab.cmd("sv").args(["-w", "60", command, foo.arg()]).spawn();
            pid = Some(foo.wait_new_pid(pid));
            lab.cmd("sv").args(["status", foo.arg()]).prints_matching("run: *: (pid #) #s, normally down, *not ready");
            let out = lab.cmd("sv").args(["-w0", "check", foo.arg()]).fails(1);
            assert!(
                out.stdout.starts_with("timeout: run: ") && out.stdout.ends_with(", not ready\n"),
                "{}",
                out.stdout
            );
            assert!(!sv.ended(), "{command} did not wait");
            say_ready(&foo);
            assert_eq!(sv.wait(), 0);
            assert!(lab::matches(&sv.stdout(), "ok: run: *: (pid #) #s, normally down*\n"), "{}", sv.stdout());
            assert!(!sv.stdout().contains("ready"), "{}", sv.stdout());
            lab.cmd("sv").args(["check", foo.arg()]).prints_matching("ok: run: *: (pid #) #s, normally down*");
        }
        // An init script's name.
        let init = lab.cmd(our("sv")).arg0("foo").env("SVDIR", lab.path("sv")).args(["-w60", "restart"]).spawn();
        foo.wait_new_pid(pid);
        say_ready(&foo);
        assert_eq!(init.wait(), 0);
    });
}

#[test]
fn ready_and_then_available() {
    lab::test(|lab| {
        let foo = notifying(lab);
        std::fs::remove_file(foo.path().join("down")).unwrap();
        lab.sh("printf '#!/bin/sh\\necho checked >>checks\\n' >sv/foo/check; chmod 755 sv/foo/check").ok();
        lab.runsv(&foo);
        let sv = lab.cmd("sv").args(["-w60", "start", foo.arg()]).spawn();
        foo.wait_stat("run");
        lab.cmd("sv").args(["-w0", "check", foo.arg()]).fails(1);
        assert_eq!(foo.lines("checks"), [""; 0], "nobody asks one that is not ready");
        say_ready(&foo);
        assert_eq!(sv.wait(), 0);
        assert_eq!(foo.lines("checks"), ["checked"]);
    });
}
