//! What goes wrong around a supervisor: missing scripts, file systems that are read-only or full.

use lab::{Cmd, Lab, Service, our, peer, wait_for};
use std::path::Path;

/// A file system of its own, of so many kilobytes.
fn small_disk(lab: &Lab, name: &str, kilobytes: u32) -> std::path::PathBuf {
    let at = lab.path(name);
    std::fs::create_dir_all(&at).unwrap();
    let size = format!("size={kilobytes}k,mode=755");
    lab.cmd("mount").args(["-t", "tmpfs", "-o", &size, "small"]).arg(&at).ok();
    at
}

/// Fills it to the last byte; removing `filler` makes room again.
fn fill(disk: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(disk.join("filler")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}

fn read_only(lab: &Lab, path: &Path) {
    lab.cmd("mount").arg("--bind").arg(path).arg(path).ok();
    lab.cmd("mount").args(["-o", "remount,bind,ro"]).arg(path).ok();
}

fn said(runsv: Cmd) -> String {
    let out = runsv.fails(111);
    assert_eq!(out.stdout, "");
    out.stderr
}

#[test]
fn supervise_on_a_read_only_file_system_is_fatal_as_with_runit() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        read_only(lab, foo.path());
        let [ours, theirs] = [our("runsv"), peer("runsv")].map(|r| said(lab.cmd(r).arg("sv/foo")));
        assert_eq!(ours, theirs);
        assert!(ours.starts_with("runsv sv/foo: fatal: unable to "), "{ours}");
    });
}

#[test]
fn old_files_on_a_read_only_file_system_are_fatal_as_with_runit() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        let runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        runsv.stop();
        read_only(lab, foo.path());
        let [ours, theirs] = [our("runsv"), peer("runsv")].map(|r| said(lab.cmd(r).arg("sv/foo")));
        assert_eq!(ours, theirs);
        assert!(ours.contains("read-only file system"), "{ours}");
    });
}

/// The status cannot be written, which is said; the service is looked after all the same, and the files tell the truth again
/// when there is room.
#[test]
fn supervise_on_a_full_disk_is_a_warning() {
    lab::test(|lab| {
        let disk = small_disk(lab, "disk", 64);
        let foo = lab.service("foo").run("exec sleep 1000").build();
        std::os::unix::fs::symlink(disk.join("foo"), foo.path().join("supervise")).unwrap();
        let runsv = lab.runsv(&foo);
        let pid = foo.wait_new_pid(None);
        fill(&disk);
        foo.tell("k");
        runsv.wait_line("runsv */sv/foo: warning: unable to write supervise/*: out of disk space");
        wait_for("the process to be replaced", || children(&runsv).first().is_some_and(|p| *p != pid));
        std::fs::remove_file(disk.join("filler")).unwrap();
        foo.tell("p");
        foo.wait_stat("run, paused");
        wait_for("the pid to be true", || foo.pid() == children(&runsv).first().copied());
        assert_eq!(foo.status().pid, foo.pid().unwrap());
        foo.tell("c");
        assert_eq!(runsv.stop(), 0);
    });
}

fn children(of: &lab::Proc) -> Vec<u32> {
    let path = format!("/proc/{0}/task/{0}/children", of.pid());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|p| p.parse().expect("a pid")).collect()
}

/// The disk is full: svlogd says so, holds the writer up and loses nothing; with room again it goes on by itself.
#[test]
fn svlogd_on_a_full_disk_pauses_and_loses_nothing() {
    lab::test(|lab| {
        let disk = small_disk(lab, "disk", 128);
        let log = disk.join("log");
        std::fs::create_dir(&log).unwrap();
        std::fs::write(log.join("config"), "s0\n").unwrap();
        fill(&disk);
        let lines = 3000;
        let svlogd = lab.sh(&format!("seq 1 {lines} | svlogd \"$0\"")).arg(&log).spawn();
        svlogd.wait_line("svlogd: *out of disk space*");
        assert!(!svlogd.ended());
        std::fs::remove_file(disk.join("filler")).unwrap();
        assert_eq!(svlogd.wait(), 0);
        let expected: String = (1..=lines).map(|n| format!("{n}\n")).collect();
        lab::eqnice!(lab.read(log.join("current")), expected);
    });
}

/// As above, but the disk fills up under a service's log; the service is held up by its pipe, not killed.
#[test]
fn a_service_waits_for_its_log_on_a_full_disk() {
    lab::test(|lab| {
        let disk = small_disk(lab, "disk", 4096);
        std::fs::write(disk.join("filler"), vec![0; 4000 << 10]).unwrap();
        let foo = logged(lab, &disk);
        let runsv = lab.runsv(&foo);
        runsv.wait_line("svlogd: *out of disk space*");
        let pid = foo.pid();
        lab.cmd("sv").args(["status", foo.arg()]).prints_matching("run: *; run: log: *");
        assert_eq!(foo.lines("done").len(), 0);
        std::fs::remove_file(disk.join("filler")).unwrap();
        foo.wait_lines("done", 1);
        assert_eq!(foo.pid(), pid);
        let current = disk.join("log/current");
        wait_for("the last line", || lab.read(&current).ends_with("\n200000\n"));
        assert_eq!(lab.read(&current).lines().count(), 200_000);
    });
}

fn logged(lab: &Lab, disk: &Path) -> Service {
    let log = disk.join("log");
    std::fs::create_dir(&log).unwrap();
    std::fs::write(log.join("config"), "s0\n").unwrap();
    lab.service("foo")
        .run("seq 1 200000\necho done >>done\nexec sleep 1000")
        .log(&format!("exec svlogd {}", log.display()))
        .build()
}

const ROOT: &str = ":0:0";
/// No user of this machine, so nobody else's processes are counted.
const NOBODY: &str = ":54321:54321";

/// As runsv's own user, or root would need a capability.
fn limit(runsv: &lab::Proc, lab: &Lab, user: &str, what: &str) {
    lab.cmd("chpst").args(["-u", user, "prlimit", "--pid", &runsv.pid().to_string(), what]).ok();
}

/// No process may be made: it is said, tried again after a while or when somebody asks, and everything else goes on.
#[test]
fn no_room_for_a_process_is_tried_again() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        // Root has no such limit.
        lab.cmd("chown").args(["-R", "54321:54321"]).arg(foo.path()).ok();
        let runsv = lab.cmd("chpst").args(["-u", NOBODY, "runsv", foo.arg()]).named("runsv").spawn();
        foo.wait_listening();
        let mut pid = foo.wait_new_pid(None);
        for (n, ask) in [(1, ""), (2, "u")] {
            limit(&runsv, lab, NOBODY, "--nproc=0:");
            foo.tell("t");
            runsv.wait_lines("runsv */sv/foo: warning: unable to fork, sleeping: temporary failure", n);
            foo.wait_stat("down");
            // Taken in every state, but one that reaches a run that is just ending goes with it.
            wait_for("the pause", || {
                foo.tell("p");
                foo.stat() == "down, paused"
            });
            limit(&runsv, lab, NOBODY, "--nproc=1000:");
            foo.tell(ask);
            pid = foo.wait_new_pid(Some(pid));
        }
        assert_eq!(runsv.stop(), 0);
    });
}

/// No descriptor is left: the service is restarted and stopped all the same; the files tell the truth again when there is one.
#[test]
fn without_descriptors_the_service_is_looked_after() {
    lab::test(|lab| {
        // Interpreted by what needs no descriptor above the third.
        let foo = lab.service("foo").run("#!/usr/bin/tail -f").build();
        let runsv = lab.runsv(&foo);
        let pid = foo.wait_new_pid(None);
        let free = (0..).find(|n| !Path::new(&format!("/proc/{}/fd/{n}", runsv.pid())).is_symlink()).unwrap();
        limit(&runsv, lab, ROOT, &format!("--nofile={free}:1024"));
        foo.tell("tu");
        runsv.wait_line("runsv */sv/foo: warning: unable to open supervise/pid.new: *");
        wait_for("another process", || children(&runsv).first().is_some_and(|p| *p != pid));
        foo.tell("d");
        wait_for("no process", || children(&runsv).is_empty());
        limit(&runsv, lab, ROOT, "--nofile=1024:1024");
        foo.tell("u");
        foo.wait_stat("run");
        wait_for("the pid to be true", || foo.pid() == children(&runsv).first().copied());
        assert_eq!(runsv.stop(), 0);
        assert_eq!(runsv.stderr().matches("unable to open").count(), 4, "each file is complained about once");
    });
}

/// As above, with a `finish`, and a file that has to be read: both wait until they can be.
#[test]
fn what_has_to_be_read_waits_for_a_descriptor() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("#!/usr/bin/tail -f")
            .finish("echo $1 $2 >>ends")
            .file("throttle", "0.1\n", 0o644)
            .build();
        let runsv = lab.runsv(&foo);
        let pid = foo.wait_new_pid(None);
        let free = (0..).find(|n| !Path::new(&format!("/proc/{}/fd/{n}", runsv.pid())).is_symlink()).unwrap();
        limit(&runsv, lab, ROOT, &format!("--nofile={free}:1024"));
        foo.tell("t");
        runsv.wait_line("*: warning: unable to fork, sleeping: *");
        assert_eq!(foo.lines("ends").len(), 0);
        limit(&runsv, lab, ROOT, "--nofile=1024:1024");
        assert_eq!(foo.wait_lines("ends", 1), ["-1 15"]);
        foo.wait_new_pid(Some(pid));
    });
}
