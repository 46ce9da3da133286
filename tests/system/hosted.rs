//! `runsvdir -1`: all services in one process, and nobody outside sees the difference.

use crate::runsv::{endless_poll, the_last_command_counts};
use crate::runsvdir::a_replaced_directory_waits;
use lab::{Lab, Proc, Service, note, our, peer, wait_for, wait_for_within};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

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

#[test]
fn an_upgraded_package_waits_for_the_old_process() {
    lab::test(|lab| a_replaced_directory_waits(lab, "-1"));
}

#[test]
fn of_many_commands_the_last_one_counts() {
    lab::test(|lab| {
        let foo = within(lab, "foo").run("exec sleep 1000").build();
        let _runsvdir = host(lab);
        foo.wait_stat("run");
        the_last_command_counts(&foo);
    });
}

/// The limit of descriptors that this process needs for itself is not theirs, nor are its descriptors.
#[test]
fn children_get_what_runsvdir_was_given() {
    lab::test(|lab| {
        let foo = within(lab, "foo")
            .run("ulimit -n >limit; ls /proc/self/fd | tr '\\n' ' ' >fds; ps -o pid=,sid= -p $$ >session; pwd >where; echo $PWD >>where; exec sleep 1000")
            .log("exec cat")
            .build();
        // Some to be between the first and the child's.
        for n in 0..20 {
            within(lab, &format!("other{n}")).run("exec sleep 1000").log("exec cat").build();
        }
        let runsvdir = lab.sh("ulimit -Sn 100; exec runsvdir -1 -P dir").spawn();
        foo.wait_stat("run");
        wait_for("its report", || foo.lines("where").len() == 2);
        assert_eq!(lab.read("dir/foo/limit"), "100\n");
        assert_eq!(lab.read("dir/foo/fds"), lab.sh("ls /proc/self/fd | tr '\\n' ' '").ok());
        let session = lab.read("dir/foo/session");
        let words: Vec<&str> = session.split_whitespace().collect();
        assert_eq!(words[0], words[1], "-P: a session of its own");
        assert_eq!(foo.lines("where"), [foo.arg(), foo.arg()]);
        let limits = lab.read(format!("/proc/{}/limits", runsvdir.pid()));
        assert!(!limits.lines().any(|l| l.starts_with("Max open files            100 ")), "{limits}");
    });
}

#[test]
fn x_ends_it_and_it_is_started_again() {
    lab::test(|lab| {
        let foo = within(lab, "foo").run("exec sleep 1000").log("exec cat >/dev/null").build();
        let runsvdir = host(lab);
        foo.wait_stat("run");
        let pid = foo.pid();
        // As with a runsv: ended, and then there is another one.
        lab.cmd("sv").args(["-w", "20", "shutdown", foo.arg()]).prints_matching("ok: *");
        foo.wait_new_pid(pid);
        foo.log().wait_stat("run");
        wait_for("a wait without end", || endless_poll(runsvdir.pid()));
    });
}

/// What cannot be set up says so and is tried again; nobody else notices.
#[test]
fn a_broken_service_disturbs_nobody() {
    lab::test(|lab| {
        let good = within(lab, "good").run("exec sleep 1000").build();
        let plain = within(lab, "plain").run("exec sleep 1000").file("supervise/control", "", 0o600).build();
        let logless =
            within(lab, "logless").run("exec sleep 1000").log("exec cat").file("log/supervise", "", 0o600).build();
        let stuck = within(lab, "stuck").run("exec sleep 1000").build();
        lab.sh("mkdir dir/stuck/supervise; mkfifo dir/stuck/supervise/status.new").ok();
        let runsvdir = host(lab);
        good.wait_stat("run");
        runsvdir.wait_lines("runsv plain: fatal: supervise/control exists but is not a fifo", 2);
        runsvdir.wait_line("runsv logless: fatal: unable to open log/supervise/lock: not a directory");
        runsvdir.wait_line("runsv stuck: warning: unable to open supervise/status.new: device not configured");
        let pid = good.pid();
        lab.cmd("sv").args(["restart", good.arg()]).prints_matching("ok: run: *");
        assert!(good.pid() != pid);
        lab.sh("rm dir/plain/supervise/control dir/logless/log/supervise dir/stuck/supervise/status.new").ok();
        plain.wait_stat("run");
        logless.log().wait_stat("run");
        stuck.tell("t");
        stuck.wait_stat("run");
    });
}

/// The log's lock is waited for by a runsv; here that would stop everybody.
#[test]
fn locks_are_those_of_a_runsv_and_nobody_waits_for_them() {
    lab::test(|lab| {
        let foo = within(lab, "foo").run("exec sleep 1000").log("exec cat >/dev/null").build();
        let bar = within(lab, "bar").run("exec sleep 1000").build();
        lab.sh("mkdir dir/foo/log/supervise").ok();
        let holder = lab.cmd("setlock").args(["dir/foo/log/supervise/lock", "sleep", "1000"]).spawn();
        wait_for("the lock", || {
            lab.cmd("setlock").args(["-n", "dir/foo/log/supervise/lock", "true"]).output().code != 0
        });
        let runsvdir = host(lab);
        bar.wait_stat("run");
        runsvdir.wait_line("runsv foo: fatal: unable to lock log/supervise/lock: temporary failure");
        holder.stop();
        foo.wait_stat("run");
        for runsv in [our("runsv"), peer("runsv")] {
            let said = lab.cmd(runsv).arg(bar.path()).fails(111).stderr;
            assert!(said.ends_with("unable to lock supervise/lock: temporary failure\n"), "{said}");
        }
    });
}

/// TERM leaves the services to whoever comes next, as a runsvdir does that has runsv.
#[test]
fn term_leaves_and_the_next_one_goes_on() {
    lab::test(|lab| {
        let foo = within(lab, "foo")
            .run("echo up; while :; do read x <more && echo $x; done")
            .log("exec cat >>../got")
            .build();
        lab.sh("mkfifo dir/foo/more").ok();
        let runsvdir = host(lab);
        foo.wait_lines("got", 1);
        foo.wait_stat("run");
        foo.log().wait_stat("run");
        let pids = (foo.pid(), foo.log().pid());
        assert_eq!(runsvdir.stop(), 0);
        assert!(!foo.listening());
        std::fs::write(foo.path().join("more"), "meanwhile\n").unwrap();
        foo.wait_lines("got", 2);
        let runsvdir = host(lab);
        foo.wait_listening();
        foo.wait_stat("run");
        assert_eq!((foo.pid(), foo.log().pid()), pids);
        runsvdir.signal(Signal::SIGKILL);
        runsvdir.wait();
        host(lab);
        foo.wait_listening();
        foo.wait_stat("run");
        assert_eq!((foo.pid(), foo.log().pid()), pids);
        std::fs::write(foo.path().join("more"), "again\n").unwrap();
        assert_eq!(foo.wait_lines("got", 3), ["up", "meanwhile", "again"]);
        foo.tell("d");
        foo.wait_stat("down");
    });
}

#[test]
fn others_tools_see_no_difference() {
    lab::test(|lab| {
        let foo = within(lab, "foo").run("exec sleep 1000").log("exec cat >/dev/null").build();
        let _runsvdir = host(lab);
        foo.wait_stat("run");
        foo.log().wait_stat("run");
        let status = "run: * (pid #) #s; run: log: (pid #) #s\n";
        lab.cmd(peer("sv")).args(["status", foo.arg()]).prints_matching(status);
        lab.cmd(peer("svstat")).arg(foo.arg()).prints_matching("*: up (pid #) # seconds\n");
        lab.cmd(peer("sv")).args(["stop", foo.arg()]).prints_matching("ok: down: *");
        lab.cmd(peer("svstat")).arg(foo.arg()).prints_matching("*: down # seconds, normally up\n");
        lab.cmd(peer("svc")).args(["-u", foo.arg()]).ok();
        foo.wait_stat("run");
        lab.cmd(peer("svok")).arg(foo.arg()).ok();
    });
}

#[test]
fn a_thousand_with_logs() {
    lab::test_within(Duration::from_secs(240), |lab| {
        const N: usize = 1000;
        lab.service_at("made").run("exec sleep 1000").log("exec cat >/dev/null").build();
        lab.sh(&format!("mkdir dir; for i in $(seq {N}); do echo dir/s$i; done | xargs -n 1 cp -r made"))
            .within(Duration::from_secs(60))
            .ok();
        let began = Instant::now();
        let runsvdir = host(lab);
        let all: Vec<Service> = (1..=N).map(|i| Service::at(lab.path(&format!("dir/s{i}")))).collect();
        let up = || all.iter().all(|s| s.stat() == "run" && s.log().stat() == "run");
        wait_for_within("all of them", Duration::from_secs(90), up);
        note(&format!("{N} services with logs after {:?}", began.elapsed()));
        wait_for("a wait without end", || endless_poll(runsvdir.pid()));
        lab.cmd("sv").args(["restart", all[500].arg()]).prints_matching("ok: run: *");
        runsvdir.signal(Signal::SIGHUP);
        assert_eq!(runsvdir.wait_within(Duration::from_secs(90)), 111);
        assert!(all.iter().all(|s| s.stat() == "down" && s.log().stat() == "down"));
        assert_eq!(runsvdir.stderr(), "");
    });
}

/// When there are no descriptors left for more services, those who run have what they need.
#[test]
fn too_many_services_are_no_trouble_for_the_others() {
    lab::test(|lab| {
        for n in 0..60 {
            within(lab, &format!("s{n}")).run("exec sleep 1000").build();
        }
        let runsvdir = lab.sh("ulimit -n 200; exec runsvdir -1 dir").spawn();
        runsvdir.wait_line("runsv s*: fatal: unable to change to directory: process cannot open more files");
        let up = || -> Vec<Service> {
            let all = (0..60).map(|n| Service::at(lab.path(&format!("dir/s{n}"))));
            all.filter(|s| s.stat() == "run").collect()
        };
        wait_for("those there is room for", || up().len() >= 20);
        for service in &up()[..10] {
            let pid = service.pid();
            lab.cmd("sv").args(["restart", service.arg()]).prints_matching("ok: run: *");
            assert!(service.pid() != pid);
        }
    });
}
