//! Ours and packaged runit in one system: either `sv` steers either `runsv`, either `runsvdir` starts either `runsv`.

use lab::{Lab, Proc, Service, our, peer, wait_for};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Every command one can wait for, through `sv` on a service of `runsv`.
fn steer(lab: &Lab, sv: &Path, runsv: &Path) {
    let foo = lab.service("foo").run("echo run >>runs; exec sleep 1000").log("exec cat >/dev/null").build();
    let supervisor = lab.runsv_of(runsv, &foo);
    foo.wait_stat("run");
    foo.log().wait_stat("run");
    let sv = |args: &[&str]| lab.cmd(sv).args(["-w", "15"]).args(args).arg(foo.arg());
    let unit = |state: &str| format!("{state}: {}:", foo.arg());

    sv(&["status"]).prints_matching(&format!("{} (pid #) #s; run: log: (pid #) #s", unit("run")));
    sv(&["stop"]).prints_matching(&format!("ok: {} #s, normally up", unit("down")));
    sv(&["start"]).prints_matching(&format!("ok: {} (pid #) #s", unit("run")));
    let (runs, pid) = (foo.lines("runs").len(), foo.pid());
    sv(&["restart"]).prints_matching(&format!("ok: {} (pid #) #s", unit("run")));
    foo.wait_lines("runs", runs + 1);
    foo.wait_new_pid(pid);
    sv(&["pause"]).prints_matching(&format!("ok: {} (pid #) #s, paused", unit("run")));
    sv(&["cont"]).prints_matching(&format!("ok: {} (pid #) #s", unit("run")));
    sv(&["hup"]).ok();
    foo.wait_lines("runs", runs + 2);
    foo.wait_stat("run");
    sv(&["check"]).prints_matching(&format!("ok: {} (pid #) #s", unit("run")));
    sv(&["down"]).prints_matching(&format!("ok: {} #s, normally up", unit("down")));
    sv(&["once"]).ok();
    foo.wait_stat("run, want down");
    sv(&["force-stop"]).prints_matching(&format!("ok: {} #s, normally up", unit("down")));
    sv(&["exit"]).prints_matching(&format!("ok: {}: runsv not running", foo.arg()));
    assert_eq!(supervisor.wait(), 0);
    sv(&["status"]).fails(1);
}

#[test]
fn packaged_sv_steers_our_runsv() {
    lab::test(|lab| steer(lab, &peer("sv"), &our("runsv")));
}

#[test]
fn our_sv_steers_packaged_runsv() {
    lab::test(|lab| steer(lab, &our("sv"), &peer("runsv")));
}

#[test]
fn our_sv_steers_our_runsv() {
    lab::test(|lab| steer(lab, &our("sv"), &our("runsv")));
}

/// A directory for PATH in which `runsv` is this one.
fn path_with(lab: &Lab, runsv: &Path) -> String {
    let dir: PathBuf = lab.path(&format!("bin{}", lab.fresh()));
    std::fs::create_dir_all(&dir).unwrap();
    symlink(runsv, dir.join("runsv")).unwrap();
    format!("{}:/usr/bin:/bin", dir.display())
}

fn runsvdir(lab: &Lab, runsvdir: &Path, runsv: &Path) -> (Proc, Service, Service) {
    let (a, b) = (lab.service("a").run("exec sleep 1000").build(), lab.service("b").down().run("exit 0").build());
    let dir = lab.path("sv");
    let proc = lab.cmd(runsvdir).args([Path::new("-P"), &dir]).env("PATH", path_with(lab, runsv)).spawn();
    a.wait_listening();
    b.wait_listening();
    a.wait_stat("run");
    b.wait_stat("down");
    (proc, a, b)
}

#[test]
fn our_runsvdir_starts_packaged_runsv() {
    lab::test(|lab| {
        let (proc, a, b) = runsvdir(lab, &our("runsvdir"), &peer("runsv"));
        lab.cmd(our("sv")).args(["-w15", "start", a.arg()]).ok();
        proc.signal(nix::sys::signal::SIGHUP);
        assert_eq!(proc.wait(), 111);
        wait_for("both runsv to end", || !a.listening() && !b.listening());
    });
}

#[test]
fn packaged_runsvdir_starts_our_runsv() {
    lab::test(|lab| {
        let (proc, a, b) = runsvdir(lab, &peer("runsvdir"), &our("runsv"));
        lab.cmd(peer("sv")).args(["-w15", "stop", a.arg()]).ok();
        proc.signal(nix::sys::signal::SIGHUP);
        assert_eq!(proc.wait(), 111);
        wait_for("both runsv to end", || !a.listening() && !b.listening());
    });
}

/// A machine changes over without stopping anything: packaged runsvdir goes, ours takes its runsv over.
#[test]
fn our_runsvdir_takes_over_packaged_runsv() {
    lab::test(|lab| {
        let (old, a, b) = runsvdir(lab, &peer("runsvdir"), &peer("runsv"));
        let run = a.pid();
        old.signal(nix::sys::signal::SIGKILL);
        old.wait();
        let dir = lab.path("sv");
        let new =
            lab.cmd(our("runsvdir")).args([Path::new("-P"), &dir]).env("PATH", path_with(lab, &our("runsv"))).spawn();
        let told = new.wait_lines("runsvdir */sv: info: taken over runsv *, pid *", 2);
        assert_eq!(a.pid(), run, "the service was not touched");
        lab.cmd(our("sv")).args(["-w15", "start", b.arg()]).ok();

        // It ends, and ours takes its place.
        let of_a = told.iter().find(|line| line.contains("runsv a,")).unwrap();
        let runsv: u32 = of_a.rsplit(' ').next().unwrap().parse().unwrap();
        a.tell("x");
        wait_for("the end of packaged runsv", || !Path::new(&format!("/proc/{runsv}")).exists());
        a.wait_new_pid(run);
        new.signal(nix::sys::signal::SIGHUP);
        assert_eq!(new.wait(), 111);
        wait_for("both runsv to end", || !a.listening() && !b.listening());
    });
}

/// One may follow the other on the same service directory: the files left behind are understood.
#[test]
fn either_takes_over_the_other_s_directory() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").log("exec cat >/dev/null").build();
        for runsv in [our("runsv"), peer("runsv"), our("runsv")] {
            let supervisor = lab.runsv_of(&runsv, &foo);
            foo.wait_stat("run");
            foo.log().wait_stat("run");
            let other = if runsv == our("runsv") { peer("runsv") } else { our("runsv") };
            let refused = lab.cmd(&other).arg(foo.path()).fails(111);
            assert!(
                refused.stderr.ends_with("unable to lock supervise/lock: temporary failure\n"),
                "{}",
                refused.stderr
            );
            foo.tell("x");
            assert_eq!(supervisor.wait(), 0);
            assert!(!foo.listening());
        }
    });
}

/// The packaged `sv o .` in the script and packaged kicks make the one-shot that `fw` is, too.
#[test]
fn packaged_sv_kicks_a_one_shot() {
    lab::test(|lab| {
        let script = format!("{} o .\necho run >>runs", peer("sv").display());
        let fw = lab.service("fw").down().run(&script).build();
        lab.runsv(&fw);
        for n in 1..=10 {
            lab.cmd(peer("sv")).args(["u", fw.arg()]).ok();
            fw.wait_lines("runs", n);
            fw.wait_stat("down");
        }
        assert_eq!(fw.lines("runs").len(), 10);
    });
}

/// Two commands, not two bytes: packaged `sv` loses an `up` that follows a `down` like this.
#[test]
fn our_sv_down_and_up_is_up() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        lab.runsv(&foo);
        let mut pid = foo.wait_new_pid(None);
        for _ in 0..50 {
            lab.cmd("sv").args(["down", foo.arg()]).ok();
            lab.cmd("sv").args(["up", foo.arg()]).ok();
            pid = foo.wait_new_pid(Some(pid));
        }
        foo.wait_stat("run");
    });
}
