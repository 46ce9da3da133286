//! `runsvdir` on a real directory: changes are seen as they happen, whichever way they are made.

mod log;

use crate::runsv::endless_poll;
use lab::{Lab, Proc, Service, note, our, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Instant;

/// A service directory outside the scanned one.
fn template(lab: &Lab, path: &str) -> Service {
    lab.service_at(path).run("exec sleep 1000").build()
}

fn scan(lab: &Lab, dir: &str) -> Proc {
    std::fs::create_dir_all(lab.path(dir)).unwrap();
    lab.cmd("runsvdir").args(["-P", dir]).spawn()
}

/// The names of the runsv that runsvdir has now, sorted.
fn supervised(runsvdir: &Proc) -> Vec<String> {
    let pids = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", runsvdir.pid())).unwrap_or_default();
    let name = |pid: &str| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|&b| b == 0);
        // Before its exec a child shows our own arguments.
        words.next().filter(|program| program == b"runsv")?;
        words.next().map(|n| String::from_utf8_lossy(n).into_owned())
    };
    let mut names: Vec<String> = pids.split_whitespace().filter_map(name).collect();
    names.sort();
    names
}

#[track_caller]
fn wait_supervised(runsvdir: &Proc, names: &[&str]) {
    wait_for(&format!("runsv for {names:?}"), || supervised(runsvdir) == names);
}

#[test]
fn a_new_service_is_up_however_it_came() {
    lab::test(|lab| {
        let runsvdir = scan(lab, "dir");
        wait_for("the first wait", || endless_poll(runsvdir.pid()));
        let ways = [
            ("renamed", "mv made/renamed dir/renamed"),
            ("linked", "ln -s ../made/linked dir/linked"),
            ("copied", "cp -a made/copied dir/copied"),
            (
                "written",
                "mkdir dir/written dir/written/log; cat made/written/log/run >dir/written/log/run; \
                chmod +x dir/written/log/run; cp made/written/run dir/written/run",
            ),
        ];
        for (name, how) in ways {
            lab.service_at(format!("made/{name}")).run("exec sleep 1000").log("exec cat >/dev/null").build();
            let began = Instant::now();
            lab.sh(how).ok();
            let service = Service::at(lab.path(&format!("dir/{name}")));
            service.wait_stat("run");
            println!("{name}: up {:?} after the command was started", began.elapsed());
            // A directory that was filled in place was left alone until it was complete.
            service.log().wait_stat("run");
        }
        wait_supervised(&runsvdir, &["copied", "linked", "renamed", "written"]);
        wait_for("a wait without end", || endless_poll(runsvdir.pid()));
        assert_eq!(runsvdir.stderr(), "");
    });
}

#[test]
fn gone_means_stopped() {
    lab::test(|lab| {
        let foo = template(lab, "made/foo");
        lab.sh("mkdir dir; ln -s ../made/foo dir/foo; mkdir dir/.hidden; touch dir/file").ok();
        let runsvdir = scan(lab, "dir");
        foo.wait_stat("run");
        wait_supervised(&runsvdir, &["foo"]);
        lab.sh("rm dir/foo").ok();
        wait_supervised(&runsvdir, &[]);
        assert_eq!(foo.stat(), "down");
    });
}

#[test]
fn a_swapped_chain_of_links_is_seen() {
    lab::test(|lab| {
        template(lab, "sets/one/foo");
        template(lab, "sets/two/bar");
        let both = template(lab, "made/both");
        lab.sh("ln -s ../../made/both sets/one/both; ln -s ../../made/both sets/two/both").ok();
        lab.sh("ln -s sets/one current; mkdir etc; ln -s ../current etc/service").ok();
        let runsvdir = scan(lab, "etc/service");
        wait_supervised(&runsvdir, &["both", "foo"]);
        both.wait_stat("run");
        let pid = both.pid();
        lab.sh("ln -s sets/two current.new; mv -T current.new current").ok();
        wait_supervised(&runsvdir, &["bar", "both"]);
        assert_eq!(both.pid(), pid, "what is in both sets is left alone");
    });
}

#[test]
fn the_directory_may_come_later() {
    lab::test(|lab| {
        let runsvdir = lab.cmd("runsvdir").arg("later/dir").spawn();
        runsvdir.wait_line("runsvdir later/dir: warning: unable to open directory later/dir: file does not exist");
        wait_for("a wait without end", || endless_poll(runsvdir.pid()));
        template(lab, "made/foo");
        lab.sh("mkdir later; mkdir later/dir.new; ln -s ../../made/foo later/dir.new/foo; mv later/dir.new later/dir")
            .ok();
        wait_supervised(&runsvdir, &["foo"]);
    });
}

#[test]
fn a_dangling_link_is_told_once_and_watched() {
    lab::test(|lab| {
        lab.sh("mkdir -p dir etc/sv; ln -s ../etc/sv/foo dir/foo").ok();
        let runsvdir = scan(lab, "dir");
        runsvdir.wait_line("runsvdir dir: warning: unable to stat foo: file does not exist");
        // Two more scans say nothing more.
        for name in ["a", "b"] {
            template(lab, &format!("made/{name}"));
            lab.sh(&format!("ln -s ../made/{name} dir/{name}")).ok();
        }
        wait_supervised(&runsvdir, &["a", "b"]);
        template(lab, "made/foo");
        lab.sh("mv made/foo etc/sv/foo").ok();
        wait_supervised(&runsvdir, &["a", "b", "foo"]);
        assert_eq!(runsvdir.stderr().lines().count(), 1);
    });
}

#[test]
fn a_replaced_directory_gets_a_new_runsv_when_the_old_one_is_gone() {
    lab::test(|lab| a_replaced_directory_waits(lab, "-P"));
}

/// Of a package upgrade; `option` is runsvdir's.
pub(crate) fn a_replaced_directory_waits(lab: &Lab, option: &str) {
    // Both have their supervise/ in one place, as on a read-only root: two runsv at once would fight over the lock.
    let old = lab
        .service_at("etc/sv/foo")
        .run("trap 'cat gate; exit' TERM\necho old >>../../../ran\nwhile :; do read x <never; done")
        .build();
    lab.sh("mkdir here dir; mkfifo etc/sv/foo/gate etc/sv/foo/never; ln -s ../../../here/foo etc/sv/foo/supervise")
        .ok();
    lab.sh("ln -s ../etc/sv/foo dir/foo").ok();
    let runsvdir = lab.cmd("runsvdir").args([option, "dir"]).spawn();
    wait_for("the old run", || lab.path("ran").exists());
    old.wait_stat("run");
    let old_pid = old.pid().unwrap();
    lab.service_at("etc/sv/foo.new").run("echo new >>../../../ran; exec sleep 1000").build();
    lab.sh(
        "ln -s ../../../here/foo etc/sv/foo.new/supervise; mv etc/sv/foo etc/sv/foo.old; mv etc/sv/foo.new etc/sv/foo",
    )
    .ok();
    runsvdir.wait_line("runsvdir dir: warning: foo: directory replaced, waiting for the old runsv to end*");
    assert_eq!(lab.read("ran"), "old\n");
    std::fs::write(lab.path("etc/sv/foo.old/gate"), "").unwrap();
    wait_for("the new run", || lab.read("ran") == "old\nnew\n");
    let new = Service::at(lab.path("etc/sv/foo"));
    new.wait_stat("run");
    assert!(new.pid() != Some(old_pid) && !std::path::Path::new(&format!("/proc/{old_pid}")).exists());
    assert!(!runsvdir.stderr().contains("lock"), "{}", runsvdir.stderr());
}

#[test]
fn a_dead_runsv_is_replaced() {
    lab::test(|lab| {
        let foo = lab.service_at("dir/foo").down().run("exec sleep 1000").build();
        let runsvdir = scan(lab, "dir");
        foo.wait_listening();
        let child = || std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", runsvdir.pid())).unwrap();
        for _ in 0..3 {
            wait_supervised(&runsvdir, &["foo"]);
            foo.wait_listening();
            let old = child();
            kill(Pid::from_raw(old.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
            wait_for("another one", || !child().is_empty() && child() != old);
        }
        wait_supervised(&runsvdir, &["foo"]);
        foo.wait_listening();
        foo.tell("u");
        foo.wait_stat("run");
    });
}

#[test]
fn links_to_one_directory_are_one_service() {
    lab::test(|lab| {
        template(lab, "made/foo");
        lab.sh("mkdir dir; ln -s ../made/foo dir/a; ln -s ../made/foo dir/b").ok();
        let runsvdir = scan(lab, "dir");
        wait_for("one runsv", || supervised(&runsvdir).len() == 1);
        let name = supervised(&runsvdir).remove(0);
        let children = || std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", runsvdir.pid())).unwrap();
        let before = children();
        lab.sh(&format!("mv dir/{name} dir/c")).ok();
        template(lab, "made/bar");
        lab.sh("ln -s ../made/bar dir/bar").ok();
        wait_for("the scan", || supervised(&runsvdir).contains(&"bar".to_owned()));
        assert!(children().starts_with(before.trim()), "the renamed one keeps its runsv");
    });
}

#[test]
fn term_leaves_and_hup_stops() {
    lab::test(|lab| {
        let foo = template(lab, "dir/foo");
        let runsvdir = scan(lab, "dir");
        foo.wait_stat("run");
        let session = lab.sh("ps -o pid=,sid=,comm= -C runsv").ok();
        let words: Vec<&str> = session.split_whitespace().collect();
        assert_eq!(words[0], words[1], "-P: a session of its own: {session}");
        assert_eq!(runsvdir.stop(), 0);
        assert!(foo.listening());
        foo.tell("x");
        wait_for("its end", || !foo.listening());
        let runsvdir = scan(lab, "dir");
        foo.wait_stat("run");
        runsvdir.signal(Signal::SIGHUP);
        assert_eq!(runsvdir.wait(), 111);
        foo.wait_stat("down");
        wait_for("its end", || !foo.listening());
    });
}

/// The process that supervises a service: the one with its directory as working directory that is a runsv.
fn runsv_of(lab: &Lab, name: &str) -> i32 {
    lab.sh(&format!("pgrep -x -f 'runsv {name}'")).ok().trim().parse().unwrap()
}

/// Killed or told to go, it leaves its runsv; the next one watches them as if they were its own.
#[test]
fn the_next_runsvdir_takes_over() {
    lab::test(|lab| {
        let foo = template(lab, "dir/foo");
        let bar = lab.service_at("dir/bar").run("exec sleep 1000").log("exec cat >/dev/null").build();
        let first = scan(lab, "dir");
        foo.wait_stat("run");
        bar.wait_stat("run");
        let (old_foo, old_bar) = (runsv_of(lab, "foo"), runsv_of(lab, "bar"));
        let pids = [foo.pid(), bar.pid(), bar.log().pid()];
        first.signal(Signal::SIGKILL);
        first.wait();
        let second = scan(lab, "dir");
        second.wait_line(&format!("runsvdir dir: info: taken over runsv foo, pid {old_foo}"));
        second.wait_line(&format!("runsvdir dir: info: taken over runsv bar, pid {old_bar}"));
        wait_for("a wait without end", || endless_poll(second.pid()));
        assert_eq!(second.stop(), 0);
        let third = scan(lab, "dir");
        third.wait_lines("*taken over runsv *", 2);
        assert_eq!([foo.pid(), bar.pid(), bar.log().pid()], pids, "nothing was restarted");
        assert_eq!(supervised(&third), [""; 0]);
        // One that ends is replaced, by a child this time.
        foo.tell("x");
        wait_supervised(&third, &["foo"]);
        foo.wait_stat("run");
        lab.sh("mv dir/bar gone").ok();
        let gone = Service::at(lab.path("gone"));
        wait_for("its end", || !gone.listening() && gone.stat() == "down");
        assert_eq!(third.stderr().lines().count(), 2, "{}", third.stderr());
        lab.sh("mv gone dir/bar").ok();
        wait_supervised(&third, &["bar", "foo"]);
        third.signal(Signal::SIGKILL);
        third.wait();
        let fourth = scan(lab, "dir");
        fourth.wait_lines("*taken over runsv *", 2);
        fourth.signal(Signal::SIGHUP);
        assert_eq!(fourth.wait(), 111);
        foo.wait_stat("down");
        wait_for("their end", || !foo.listening() && !bar.listening());
    });
}

#[test]
fn a_lock_of_somebody_else_is_told_once() {
    lab::test(|lab| {
        let foo = template(lab, "dir/foo");
        lab.sh("mkdir dir/foo/supervise").ok();
        let hold = "echo held; exec sleep 1000";
        let holder = lab.cmd("setlock").args(["dir/foo/supervise/lock", "sh", "-c", hold]).spawn();
        holder.wait_line("held");
        let runsvdir = scan(lab, "dir");
        runsvdir.wait_line("runsvdir dir: warning: foo: supervise/lock is held by another process, not started");
        assert_eq!(supervised(&runsvdir), [""; 0]);
        holder.signal(Signal::SIGKILL);
        foo.wait_stat("run");
        assert_eq!(runsvdir.stderr().lines().count(), 1);
    });
}

#[test]
fn usage_log_argument_and_no_runsv() {
    lab::test(|lab| {
        let usage = "usage: runsvdir [-P1] [-g sec] [-l template] dir\n\n";
        assert_eq!(lab.cmd("runsvdir").fails(1).stderr, usage);
        assert_eq!(lab.cmd("runsvdir").arg("-P").fails(1).stderr, usage);
        template(lab, "dir/foo");
        let short = lab.cmd("runsvdir").args(["dir", "log"]).spawn();
        short.wait_line("runsvdir dir: warning: log must have at least seven characters.");
        short.wait_line("runsvdir dir: warning: log service disabled.");
        short.signal(Signal::SIGHUP);
        short.wait();
        let long = lab.cmd("runsvdir").args(["dir", "log: ......"]).spawn();
        wait_supervised(&long, &["foo"]);
        assert_eq!(long.stderr(), "");
        long.signal(Signal::SIGHUP);
        long.wait();
        let alone = lab.cmd(our("runsvdir")).arg("dir").env("PATH", "/nowhere").spawn();
        alone.wait_line("runsvdir dir: fatal: unable to start runsv foo: file does not exist");
    });
}

#[test]
fn more_than_a_thousand() {
    lab::test(|lab| {
        const N: usize = 1100;
        lab.service_at("made").down().run("exec sleep 1000").build();
        lab.sh(&format!(
            "mkdir all; i=0; while [ $i -lt {N} ]; do echo all/s$i; i=$((i+1)); done | xargs -n 1 cp -r made"
        ))
        .within(std::time::Duration::from_secs(60))
        .ok();
        let began = Instant::now();
        let runsvdir = scan(lab, "all");
        let listening = || (0..N).filter(|i| Service::at(lab.path(&format!("all/s{i}"))).listening()).count();
        lab::wait_for_within("all of them", std::time::Duration::from_secs(60), || listening() == N);
        note(&format!("{N} services supervised after {:?}", began.elapsed()));
        assert_eq!(runsvdir.stderr(), "");
    });
}
