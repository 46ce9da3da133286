//! Other people's programs that read our lines and our files. What the public sources of the management tools do with a line of
//! `sv status` is restated here.

use super::{notifying, say_ready};
use lab::{Lab, Service, built_peer, our, peer};
use std::path::Path;

/// community.general.runit (plugins/modules/runit.py): anything on standard error is an error, what follows the first `; ` is the
/// logger's, the first `(pid N)` is the pid, the first number between a space and `s` the seconds; `run:` and `down:` at the
/// beginning are states, all else is unknown.
#[derive(Debug, PartialEq, Eq)]
struct Ansible {
    state: &'static str,
    pid: Option<u32>,
    seconds: bool,
}

fn ansible(line: &str) -> Ansible {
    let line = line.split("; ").next().unwrap();
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let pid = line.match_indices("(pid ").find_map(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        let n = digits(rest);
        if rest[n..].starts_with(')') { rest[..n].parse().ok() } else { None }
    });
    let seconds = line.match_indices(' ').any(|(at, _)| {
        let rest = &line[at + 1..];
        let n = digits(rest);
        n > 0 && rest[n..].starts_with('s')
    });
    let state = if line.starts_with("run:") {
        "started"
    } else if line.starts_with("down:") {
        "stopped"
    } else {
        "unknown"
    };
    Ansible { state, pid, seconds }
}

/// Salt (salt/modules/runit.py): whether it runs, and no word about the exit code.
fn salt(line: &str) -> bool {
    line.starts_with("run: ")
}

/// pyinfra (facts/runit.py): three parts between `: `; state and name are the first two.
fn pyinfra(line: &str) -> (Option<bool>, &str) {
    let mut parts = line.splitn(3, ": ");
    let (state, name) = (parts.next().unwrap(), parts.next().expect("a name"));
    parts.next().expect("a third part");
    let state = match state {
        "run" => Some(true),
        "down" => Some(false),
        _ => None,
    };
    (state, name)
}

/// A line as all of them see it, which must agree.
fn read(lab: &Lab, of: &Service) -> (String, Ansible) {
    let out = lab.cmd("sv").args(["status", of.arg()]).output();
    assert_eq!(out.stderr, "");
    let line = out.stdout.strip_suffix('\n').unwrap().to_owned();
    let seen = ansible(&line);
    assert_eq!(salt(&line), seen.state == "started", "{line}");
    let (runs, name) = pyinfra(&line);
    assert_eq!(
        (runs, name),
        (
            match seen.state {
                "started" => Some(true),
                "stopped" => Some(false),
                _ => None,
            },
            of.arg()
        ),
        "{line}"
    );
    (line, seen)
}

#[test]
fn management_tools_read_every_state() {
    lab::test(|lab| {
        let started = |s: &Service| Ansible { state: "started", pid: s.pid(), seconds: true };
        let stopped = Ansible { state: "stopped", pid: None, seconds: true };
        let foo = notifying(lab);
        let check = |ending: &str, expected: Ansible| {
            let (line, seen) = read(lab, &foo);
            assert!(line.ends_with(ending), "{line}");
            assert_eq!(seen, expected, "{line}");
        };
        check(
            "unable to open supervise/ok: file does not exist",
            Ansible { state: "unknown", pid: None, seconds: false },
        );
        let supervisor = lab.runsv(&foo);
        foo.wait_stat("down");
        check("s", stopped);
        foo.tell("u");
        foo.wait_stat("run");
        check("s, normally down, not ready", started(&foo));
        foo.tell("p");
        foo.wait_stat("run, paused");
        check("s, normally down, paused, not ready", started(&foo));
        foo.tell("o");
        foo.wait_stat("run, paused, want down");
        check("s, normally down, paused, want down, not ready", started(&foo));
        foo.tell("c");
        foo.wait_stat("run, want down");
        say_ready(&foo);
        lab.cmd("sv").args(["-w60", "wait", "ready", foo.arg()]).ok();
        check("s, normally down, want down", started(&foo));
        foo.tell("x");
        assert_eq!(supervisor.wait(), 0);
        check("runsv not running", Ansible { state: "unknown", pid: None, seconds: false });

        let bar = lab.service("bar").run("exit 0").finish("exec sleep 1000").log("exec cat").build();
        lab.runsv(&bar);
        bar.wait_stat("finish");
        bar.log().wait_stat("run");
        let (line, seen) = read(lab, &bar);
        assert_eq!(seen, Ansible { state: "unknown", pid: bar.pid(), seconds: true }, "{line}");
        bar.tell("d");
        lab.sh(&format!("kill $(cat {}/supervise/pid)", bar.arg())).ok();
        bar.wait_stat("down");
        let (line, seen) = read(lab, &bar);
        assert!(line.contains("s, normally up; run: log: (pid "), "{line}");
        assert_eq!(seen, Ansible { state: "stopped", pid: None, seconds: true }, "not the logger's pid: {line}");
    });
}

/// What Ansible and Salt do to reach a state, through the lines and exit codes they look at.
#[test]
fn management_tools_reach_their_states() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("trap : HUP; trap 'exit 0' TERM; while :; do sleep 1000 & wait; done")
            .down()
            .build();
        lab.runsv(&foo);
        for (command, state) in [
            ("start", "started"),
            ("restart", "started"),
            ("reload", "started"),
            ("stop", "stopped"),
            ("force-stop", "stopped"),
        ] {
            let out = lab.cmd("sv").args(["-w60", command, foo.arg()]).output();
            assert_eq!((out.code, out.stderr.as_str()), (0, ""), "{command}: {}", out.stdout);
            assert_eq!(read(lab, &foo).1.state, state, "{command}");
        }
    });
}

#[test]
fn vsv_shows_what_runs() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").log("exec cat").build();
        let bar = lab.service("bar").run("exec sleep 1000").down().build();
        let slow = lab.service("slow").run("exec sleep 1000").file("notification-fd", "7\n", 0o644).build();
        lab.service("gone").run("exec sleep 1000").build();
        for s in [&foo, &bar, &slow] {
            lab.runsv(s);
        }
        foo.log().wait_stat("run");
        foo.wait_stat("run");
        slow.wait_stat("run");
        // It shows what a process is called, which a shell changes by its exec.
        let called = |s: &Service| s.pid().map(|pid| lab.read(format!("/proc/{pid}/comm")).trim().to_owned());
        for (s, name) in [(&foo, "sleep"), (&slow, "sleep"), (&foo.log(), "cat")] {
            lab::wait_for(&format!("the exec of {name}"), || called(s).as_deref() == Some(name));
        }
        let vsv = |args: &[&str]| lab.cmd(built_peer("vsv")).args(["-c", "no", "-d", "sv"]).args(args).output();
        let out = vsv(&["status", "-l"]);
        assert_eq!((out.code, out.stderr.as_str()), (0, ""));
        let line = |name: &str| {
            let words = |l: &str| l.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
            let mut lines = out.stdout.lines().map(words).skip_while(|l| !l.starts_with(name));
            (lines.next().expect("the service"), lines.next().expect("its log"))
        };
        let pid = |s: &Service| s.pid().unwrap();
        assert!(line("foo ").0.starts_with(&format!("foo run true {} sleep ", pid(&foo))), "{}", out.stdout);
        assert!(line("foo ").1.starts_with(&format!("- log run true {} cat ", pid(&foo.log()))), "{}", out.stdout);
        assert!(line("slow ").0.starts_with(&format!("slow run true {} sleep ", pid(&slow))), "{}", out.stdout);
        assert!(lab::matches(&line("bar ").0, "bar down false --- --- # second*"), "{}", out.stdout);
        assert!(line("gone ").0.starts_with("gone n/a true --- --- "), "{}", out.stdout);
        // All other words it hands to `sv`.
        let stop = vsv(&["stop", "foo"]);
        assert_eq!(stop.code, 0, "{stop:?}");
        foo.wait_stat("down");
    });
}

/// daemontools' own program, and packaged runit's, on all that we leave in a directory.
#[test]
fn packaged_svstat_and_sv() {
    lab::test(|lab| {
        let foo = notifying(lab);
        lab.runsv(&foo);
        let svstat = |pattern: &str| lab.cmd(peer("svstat")).arg("sv/foo").prints_matching(pattern);
        let sv = |pattern: &str| lab.cmd(peer("sv")).args(["status", foo.arg()]).prints_matching(pattern);
        let same = || {
            let of = |svstat: &Path| {
                let line = lab.cmd(svstat).arg("sv/foo").ok();
                line.split_once(" seconds").map(|(_, flags)| flags.to_owned()).expect("seconds")
            };
            assert_eq!(of(&peer("svstat")), of(&our("svstat")));
        };
        foo.wait_stat("down");
        svstat("sv/foo: down # seconds");
        sv("down: *: #s");
        foo.tell("u");
        foo.wait_stat("run");
        svstat("sv/foo: up (pid #) # seconds, normally down");
        sv("run: *: (pid #) #s, normally down");
        same();
        foo.tell("po");
        foo.wait_stat("run, paused, want down");
        svstat("sv/foo: up (pid #) # seconds, normally down, paused, want down");
        sv("run: *: (pid #) #s, normally down, paused, want down");
        same();
        foo.tell("ckd");
        foo.wait_stat("down");
        svstat("sv/foo: down # seconds");
        same();
    });
}
