//! A runsv that is killed loses nothing: the next one adopts what runs, and nothing is started twice.

use lab::kernel::NO_PIDFD;
use lab::{Lab, Proc, Service, our, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;

/// KILL, and the process is gone.
fn kill_hard(runsv: &Proc) {
    runsv.signal(Signal::SIGKILL);
    runsv.wait();
}

fn kill_pid(pid: u32) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
}

/// Living processes whose command line contains `what`.
fn processes(what: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).replace('\0', " ").contains(what) {
            found.push(pid);
        }
    }
    found
}

/// A service whose process is `sleep SECONDS`, started and left by a killed runsv.
fn left(lab: &Lab, seconds: u32) -> (Service, u32) {
    let foo = lab
        .service("foo")
        .run(&format!("echo run >>started\nexec sleep {seconds}"))
        .finish("echo finish $* >>started")
        .build();
    let runsv = lab.runsv(&foo);
    foo.wait_stat("run");
    let pid = foo.pid().unwrap();
    wait_for("run to be what it is", || processes(&format!("sleep {seconds}")) == [pid]);
    kill_hard(&runsv);
    (foo, pid)
}

/// With `supervise/` and all: `cp -r` of the service of one interface for another.
#[test]
fn a_copied_directory_is_another_service() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").log("exec cat >/dev/null").build();
        lab.runsv(&foo);
        foo.wait_stat("run");
        foo.log().wait_stat("run");
        lab.sh("cp -r sv/foo sv/bar").ok();
        let bar = Service::at(lab.path("sv/bar"));
        let runsv = lab.runsv(&bar);
        let ours = (bar.wait_new_pid(foo.pid()), bar.log().wait_new_pid(foo.log().pid()));
        assert_ne!((Some(ours.0), Some(ours.1)), (foo.pid(), foo.log().pid()));
        lab.cmd("sv").args(["shutdown", bar.arg()]).ok();
        assert_eq!((runsv.wait(), runsv.stderr().as_str()), (0, ""));
        assert_eq!((foo.stat(), foo.log().stat()), ("run".into(), "run".into()));
    });
}

#[test]
fn run_is_adopted_and_goes_on() {
    lab::test(|lab| {
        let (foo, pid) = left(lab, 100_001);
        let before = foo.status();
        let runsv = lab.runsv(&foo);
        runsv.wait_line(&format!("runsv *: warning: adopted run, pid {pid}, of a runsv that was killed"));
        assert_eq!((foo.status(), foo.stat(), foo.pid()), (before, "run".into(), Some(pid)));
        lab.cmd("sv").args(["status", foo.arg()]).prints_matching(&format!("run: *: (pid {pid}) #s"));
        assert_eq!(processes("sleep 100001"), [pid]);
        // Commands reach it; the end of it is seen, though nobody knows how it was.
        foo.tell("p");
        foo.wait_stat("run, paused");
        foo.tell("c");
        foo.wait_stat("run");
        foo.tell("t");
        let next = foo.wait_new_pid(Some(pid));
        assert_eq!(foo.wait_lines("started", 3), ["run", "finish -1 0", "run"]);
        assert_eq!(processes("sleep 100001"), [next]);
        assert_eq!(lab.read(foo.path().join("supervise/history")), "starts 2\nexit -1 0\n");
        assert_eq!(runsv.stop(), 0);
        assert_eq!(foo.stat(), "down");
        assert_eq!(lab.read(foo.path().join("supervise/child")), "");
    });
}

#[test]
fn an_adopted_run_can_be_stopped_and_left() {
    lab::test(|lab| {
        let (foo, pid) = left(lab, 100_002);
        let runsv = lab.runsv(&foo);
        assert_eq!(foo.pid(), Some(pid));
        foo.tell("d");
        foo.wait_stat("down");
        assert_eq!(foo.wait_lines("started", 2), ["run", "finish -1 0"]);
        foo.tell("u");
        let pid = foo.wait_new_pid(None);
        kill_hard(&runsv);
        let runsv = lab.runsv(&foo);
        assert_eq!(foo.pid(), Some(pid));
        foo.tell("x");
        assert_eq!(runsv.wait(), 0);
        assert_eq!(foo.wait_lines("started", 4)[2..], ["run", "finish -1 0"]);
        assert!(processes("sleep 100002").is_empty());
    });
}

/// Again and again, and the process is always the same.
#[test]
fn many_supervisors_one_run() {
    lab::test(|lab| {
        let (foo, pid) = left(lab, 100_003);
        for _ in 0..20 {
            kill_hard(&lab.runsv(&foo));
        }
        lab.runsv(&foo);
        assert_eq!((foo.pid(), foo.lines("started").len()), (Some(pid), 1));
        foo.tell("k");
        foo.wait_new_pid(Some(pid));
        assert_eq!(foo.wait_lines("started", 3), ["run", "finish -1 0", "run"]);
    });
}

/// What cannot be held for sure is ended: better none than two.
#[test]
fn a_kernel_without_pidfd() {
    lab::test(|lab| {
        let (foo, pid) = left(lab, 100_010);
        let runsv = lab.cmd(our("runsv")).arg(foo.path()).without(&[NO_PIDFD]).spawn();
        let told = format!("runsv *: warning: unable to adopt, killing run, pid {pid}*: system call not available");
        runsv.wait_line(&told);
        let next = foo.wait_new_pid(Some(pid));
        assert_eq!(foo.wait_lines("started", 3), ["run", "finish -1 0", "run"]);
        wait_for("one process", || processes("sleep 100010") == [next]);
        foo.tell("t");
        foo.wait_new_pid(Some(next));
        assert_eq!(runsv.stop(), 0);
    });
}

#[test]
fn what_was_wanted_is_wanted() {
    lab::test(|lab| {
        // A command against the down file, both ways, with and without a process.
        let foo = lab.service("foo").run("echo run >>started; exec sleep 1000").down().build();
        let mut runsv = lab.runsv(&foo);
        foo.tell("u");
        let pid = foo.wait_new_pid(None);
        kill_hard(&runsv);
        runsv = lab.runsv(&foo);
        foo.tell("t");
        let pid = foo.wait_new_pid(Some(pid));
        foo.tell("o");
        foo.wait_stat("run, want down");
        kill_hard(&runsv);
        runsv = lab.runsv(&foo);
        assert_eq!((foo.stat(), foo.pid()), ("run, want down".into(), Some(pid)));
        foo.tell("t");
        foo.wait_stat("down");
        std::fs::remove_file(foo.path().join("down")).unwrap();
        kill_hard(&runsv);
        runsv = lab.runsv(&foo);
        foo.tell("p");
        foo.wait_stat("down, paused");
        assert_eq!(foo.lines("started").len(), 2);
        // In order: the directory decides.
        assert_eq!(runsv.stop(), 0);
        lab.runsv(&foo);
        foo.wait_stat("run");
    });
}

/// Told to exit, killed before it could: the next one does.
#[test]
fn an_exit_that_was_asked_for_happens() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("trap 'echo term >>got' TERM\necho up >>got\nwhile :; do sleep 1000 & wait; done")
            .build();
        let runsv = lab.runsv(&foo);
        foo.wait_lines("got", 1);
        foo.tell("x");
        foo.wait_stat("run, got TERM, want exit");
        kill_hard(&runsv);
        let runsv = lab.runsv(&foo);
        foo.wait_stat("run, got TERM, want exit");
        foo.tell("k");
        assert_eq!(runsv.wait(), 0);
        assert_eq!(foo.stat(), "down");
    });
}

#[test]
fn finish_is_adopted_and_not_run_again() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("echo run >>order; exec sleep 1000")
            .finish("echo finish >>order\nread x <gate\necho finished >>order")
            .build();
        lab.cmd("mkfifo").arg(foo.path().join("gate")).ok();
        let runsv = lab.runsv(&foo);
        foo.wait_lines("order", 1);
        foo.tell("t");
        foo.wait_stat("finish");
        let (pid, since) = (foo.pid().unwrap(), foo.status());
        kill_hard(&runsv);
        let runsv = lab.runsv(&foo);
        runsv.wait_line(&format!("runsv *: warning: adopted finish, pid {pid}, of a runsv that was killed"));
        assert_eq!((foo.stat(), foo.status()), ("finish".into(), since));
        std::fs::write(foo.path().join("gate"), "\n").unwrap();
        assert_eq!(foo.wait_lines("order", 4), ["run", "finish", "finished", "run"]);
    });
}

/// It died while nobody looked: its finish comes first.
#[test]
fn a_run_that_died_unseen_gets_its_finish() {
    lab::test(|lab| {
        let (foo, pid) = left(lab, 100_004);
        kill_pid(pid);
        wait_for("its end", || processes("sleep 100004").is_empty());
        lab.runsv(&foo);
        assert_eq!(foo.wait_lines("started", 3), ["run", "finish -1 0", "run"]);
    });
}

/// The first thing it does is to kill its supervisor: there is no moment in which a child is not known.
#[test]
fn killed_between_the_start_and_the_bookkeeping() {
    const ROUNDS: usize = 100;
    lab::test(|lab| {
        let foo = lab.service("foo").run("kill -9 $PPID\necho $$ >>started\nexec sleep 100005").build();
        lab.cmd("runsv").arg(foo.path()).fails(128 + 9);
        for round in 1..=ROUNDS {
            let runsv = lab.runsv(&foo);
            let started = foo.wait_lines("started", round);
            assert_eq!((started.len(), foo.pid().map(|pid| pid.to_string())), (round, started.last().cloned()));
            // Asked for, so that it does not wait for its second.
            foo.tell("tu");
            assert_eq!(runsv.wait(), 128 + 9);
        }
        foo.wait_lines("started", ROUNDS + 1);
        wait_for("the last of them, alone", || processes("sleep 100005").len() == 1);
    });
}

/// The pipe is the same for both sides whoever is supervised anew; no line is lost.
#[test]
fn the_log_and_its_pipe_are_adopted() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("echo start; while read x; do echo $x; done <gate")
            .log("while read x; do echo $x >>../lines; done\necho end >>../ends\nexec sleep 1000")
            .build();
        lab.cmd("mkfifo").arg(foo.path().join("gate")).ok();
        let mut runsv = lab.runsv(&foo);
        foo.wait_lines("lines", 1);
        let (main, log) = (foo.pid().unwrap(), foo.log().wait_new_pid(None));
        let gate = std::fs::OpenOptions::new().write(true).open(foo.path().join("gate")).unwrap();
        let mut said = 1;
        let mut say = |foo: &Service| {
            use std::io::Write;
            writeln!(&gate, "{said}").unwrap();
            said += 1;
            foo.wait_lines("lines", said);
        };
        let pipe = link(main, 1);
        // Both live.
        kill_hard(&runsv);
        say(&foo);
        runsv = lab.runsv(&foo);
        assert_eq!((foo.pid(), foo.log().pid()), (Some(main), Some(log)));
        runsv.wait_line(&format!("*adopted log/run, pid {log}*"));
        say(&foo);
        // Only the writer lives: what it wrote meanwhile is there for the next reader.
        kill_hard(&runsv);
        foo.log_process_ends(log);
        runsv = lab.runsv(&foo);
        let log = foo.log().wait_new_pid(Some(log));
        say(&foo);
        assert_eq!((link(log, 0), foo.pid()), (pipe.clone(), Some(main)));
        // Only the reader lives. It has seen the end of its input, but there is more to come.
        kill_hard(&runsv);
        kill_pid(main);
        foo.wait_lines("ends", 1);
        lab.runsv(&foo);
        let main = foo.wait_new_pid(Some(main));
        assert_eq!((link(main, 1), foo.log().pid()), (pipe, Some(log)));
        // A crash of one side is, as ever, not seen by the other.
        foo.log().tell("k");
        let log = foo.log().wait_new_pid(Some(log));
        assert_eq!(link(log, 0), link(main, 1));
        say(&foo);
    });
}

trait Ends {
    fn log_process_ends(&self, pid: u32);
}

impl Ends for Service {
    fn log_process_ends(&self, pid: u32) {
        kill_pid(pid);
        wait_for("the end of the log", || !Path::new(&format!("/proc/{pid}")).exists());
    }
}

fn link(pid: u32, fd: u32) -> String {
    std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap().to_str().unwrap().to_owned()
}

/// The pid belongs to somebody else now, or the file is of another boot: nobody is adopted, nobody is signalled.
#[test]
fn others_are_not_adopted() {
    lab::test(|lab| {
        let other = lab.cmd("sleep").arg("100007").spawn();
        let now = || lab.read("/proc/uptime").split('.').next().unwrap().to_owned();
        let began = now();
        wait_for("another second", || now() != began);
        let (foo, pid) = left(lab, 100_006);
        kill_pid(pid);
        wait_for("its end", || processes("sleep 100006").is_empty());
        let record = lab.read(foo.path().join("supervise/child"));
        assert!(record.starts_with(&format!("{pid:010} ")) && record.ends_with(" run   \n"), "{record}");
        let forged = format!("{:010}{}", other.pid(), &record[10..]);
        // Of this boot, but it did not start then.
        std::fs::write(foo.path().join("supervise/child"), &forged).unwrap();
        let runsv = lab.runsv(&foo);
        assert_eq!(foo.wait_lines("started", 3), ["run", "finish -1 0", "run"]);
        assert!(!other.ended() && !runsv.stderr().contains("adopted"));
        foo.tell("d");
        foo.wait_stat("down");
        assert!(!other.ended());
    });
}

#[test]
fn a_record_of_another_boot_says_nothing() {
    lab::test(|lab| {
        let (foo, pid) = left(lab, 100_008);
        let path = foo.path().join("supervise/child");
        let record = lab.read(&path);
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert!(record.contains(boot.trim()), "{record}");
        std::fs::write(&path, record.replace(boot.trim(), "00000000-0000-4000-8000-000000000000")).unwrap();
        std::fs::write(foo.path().join("down"), "").unwrap();
        // As after the boot: what the directory says.
        lab.runsv(&foo);
        foo.wait_stat("down");
        assert_eq!((foo.lines("started"), processes("sleep 100008")), (vec!["run".to_owned()], vec![pid]));
        // Also a file that is no record.
        let bar = lab.service("bar").run("exec sleep 1000").file("supervise/child", "nonsense", 0o600).build();
        let runsv = lab.runsv(&bar);
        bar.wait_stat("run");
        assert_eq!(runsv.stderr(), "");
    });
}

/// Hosted by `runsvdir -1`: the same, for all services at once.
#[test]
fn a_killed_host_is_followed_by_another() {
    lab::test(|lab| {
        let all: Vec<Service> = (0..5)
            .map(|n| {
                lab.service_at(format!("services/s{n}"))
                    .run(&format!("echo run >>started; exec sleep 10001{n}"))
                    .finish("echo finish $* >>started")
                    .log("exec cat >>../lines")
                    .build()
            })
            .collect();
        let start = || {
            let host = lab.cmd(our("runsvdir")).arg("-1").arg(lab.path("services")).spawn();
            all.iter().for_each(Service::wait_listening);
            host
        };
        let mut host = start();
        let pids: Vec<_> = all.iter().map(|s| (s.wait_new_pid(None), s.log().wait_new_pid(None))).collect();
        for service in &all {
            service.wait_lines("started", 1);
        }
        kill_hard(&host);
        host = start();
        for (service, (pid, log)) in all.iter().zip(&pids) {
            assert_eq!((service.pid(), service.log().pid()), (Some(*pid), Some(*log)));
            service.tell("t");
        }
        for (service, (pid, _)) in all.iter().zip(pids) {
            service.wait_new_pid(Some(pid));
            assert_eq!(service.wait_lines("started", 3), ["run", "finish -1 0", "run"]);
        }
        host.signal(Signal::SIGHUP);
        host.wait();
        wait_for("the end", || processes("sleep 10001").is_empty());
    });
}
