//! What a service directory may say beyond runit: readiness, delays, limits on a stop, the whole tree. And what `runsv` tells
//! about it in `supervise/history`.

use lab::{Service, wait_for};

fn history(of: &Service) -> String {
    std::fs::read_to_string(of.path().join("supervise/history")).unwrap_or_default()
}

fn wait_history(of: &Service, text: &str) {
    wait_for(&format!("history {text:?}"), || history(of) == text);
}

#[test]
fn history_counts_starts_and_says_how_the_last_run_ended() {
    lab::test(|lab| {
        let foo = lab.service("foo").down().run("exit 7").log("exec cat").build();
        let _runsv = lab.runsv(&foo);
        assert_eq!(history(&foo), "starts 0\n");
        wait_history(&foo.log(), "starts 1\n");
        foo.tell("o");
        wait_history(&foo, "starts 1\nexit 7 0\n");
        foo.log().wait_stat("run");
        foo.log().tell("k");
        wait_history(&foo.log(), "starts 2\nexit -1 9\n");
    });
}

fn is_ready(of: &Service) -> bool {
    let status = of.status();
    let since = format!("@{:016x}{:08x}", status.label, status.nanos);
    status.state == 1 && history(of).lines().any(|line| line == format!("ready {since}"))
}

/// A fifo `name` in the service directory, which a script reads to wait for the test.
fn fifo(of: &Service, name: &str) {
    nix::unistd::mkfifo(&of.path().join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
}

fn go(of: &Service, name: &str) {
    std::fs::write(of.path().join(name), "\n").unwrap();
}

#[test]
fn a_line_end_on_the_descriptor_means_ready() {
    lab::test(|lab| {
        // The shell knows descriptors of one digit; the notice comes in two parts, the second of which has the line end.
        let foo = lab
            .service("foo")
            .run("read x <go1; printf word >&7; read x <go2; echo >&7; exec sleep 1000")
            .file("notification-fd", "7\n", 0o644)
            .build();
        fifo(&foo, "go1");
        fifo(&foo, "go2");
        let _runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        assert_eq!((history(&foo), is_ready(&foo)), ("starts 1\nnotifies\n".into(), false));
        go(&foo, "go1");
        go(&foo, "go2");
        wait_for("ready", || is_ready(&foo));
        let status = foo.status();
        foo.tell("t");
        foo.wait_new_pid(Some(status.pid));
        assert!(!is_ready(&foo), "the next run has not said so");
        assert_eq!(history(&foo), "starts 2\nexit -1 15\nnotifies\n");
    });
}

#[test]
fn ready_is_seen_in_hosted_mode_too() {
    lab::test(|lab| {
        let foo = lab
            .service_at("all/foo")
            .run("read x <go; echo >&9; exec sleep 1000")
            .file("notification-fd", "9", 0o644)
            .build();
        fifo(&foo, "go");
        let _runsvdir = lab.cmd("runsvdir").args(["-1", "all"]).spawn();
        let mut pid = None;
        for _ in 0..3 {
            pid = Some(foo.wait_new_pid(pid));
            go(&foo, "go");
            wait_for("ready", || is_ready(&foo));
            foo.tell("tu");
        }
    });
}

#[test]
fn who_closes_the_descriptor_without_a_line_end_is_never_ready() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("printf almost >&3; echo done >told; read x <go; exec 3>&-; exec sleep 1000")
            .file("notification-fd", "3", 0o644)
            .build();
        fifo(&foo, "go");
        let runsv = lab.runsv(&foo);
        foo.wait_lines("told", 1);
        // One round trip: what was written before has been seen.
        foo.tell("p");
        foo.wait_stat("run, paused");
        assert_eq!(history(&foo), "starts 1\nnotifies\n");
        let pipes = || {
            std::fs::read_dir(format!("/proc/{}/fd", runsv.pid()))
                .unwrap()
                .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
                .filter(|target| target.to_string_lossy().starts_with("pipe:"))
                .count()
        };
        foo.tell("c");
        let before = pipes();
        go(&foo, "go");
        wait_for("the pipe to be closed", || pipes() == before - 1);
        assert_eq!(history(&foo), "starts 1\nnotifies\n");
    });
}

#[test]
fn a_log_service_can_notify_too_and_has_its_pipe_all_the_same() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("echo line; exec sleep 1000")
            .log("echo >&5; exec cat >>../logged")
            .file("log/notification-fd", "5\n", 0o644)
            .build();
        let _runsv = lab.runsv(&foo);
        wait_for("the log to be ready", || foo.log().stat() == "run" && is_ready(&foo.log()));
        assert_eq!(foo.wait_lines("logged", 1), ["line"]);
    });
}

/// Seconds between the lines `date +%s.%N` wrote.
fn gaps(stamps: &[String]) -> Vec<f64> {
    let times: Vec<f64> = stamps.iter().map(|line| line.parse().unwrap()).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn the_delay_grows_and_who_asks_does_not_wait() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("date +%s.%N >>starts\ntest -e healthy && exec sleep 1000")
            .file("throttle", "0.1 60\n", 0o644)
            .build();
        let _runsv = lab.runsv(&foo);
        let gaps = gaps(&foo.wait_lines("starts", 6)[..6]);
        for (gap, least) in gaps.iter().zip([0.1, 0.2, 0.4, 0.8, 1.6]) {
            // The stamps are taken some time after the starts; 50 ms is far less than half of the greater delays.
            assert!(*gap > least - 0.05, "{gaps:?}");
        }
        // It waits for 3.2 s now.
        foo.wait_stat("down");
        std::fs::write(foo.path().join("healthy"), "").unwrap();
        let starts = foo.lines("starts").len();
        foo.tell("u");
        wait_for("a start long before its time", || foo.lines("starts").len() > starts);
        assert!(foo.lines("starts").len() == starts + 1);
        foo.wait_stat("run");
    });
}

#[test]
fn a_stop_that_takes_too_long_is_ended() {
    lab::test(|lab| {
        // TERM is ignored, also by what exec brings.
        let foo = lab
            .service("foo")
            .run("trap '' TERM; echo on >>trapped; exec sleep 1000")
            .finish("echo $1 $2 >>ends")
            .file("timeout-stop", "0.2\n", 0o644)
            .build();
        let runsv = lab.runsv(&foo);
        for (n, command) in ["d", "t"].into_iter().enumerate() {
            foo.wait_lines("trapped", n + 1);
            foo.tell(command);
            assert_eq!(foo.wait_lines("ends", n + 1)[n], "-1 9");
            foo.tell("u");
        }
        foo.wait_lines("trapped", 3);
        assert_eq!(runsv.stop(), 0);
        assert_eq!(foo.lines("ends").len(), 3);
    });
}

#[test]
fn a_bad_file_is_said_once_and_changes_nothing() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("echo on >>starts; exec sleep 1000")
            .file("throttle", "2 1\n", 0o644)
            .file("timeout-stop", "soon\n", 0o644)
            .file("notification-fd", "1\n", 0o644)
            .log("exec cat")
            .file("log/throttle", &"1 ".repeat(100), 0o644)
            .build();
        let runsv = lab.runsv(&foo);
        foo.wait_lines("starts", 1);
        for n in 2..4 {
            foo.tell("tu");
            foo.wait_lines("starts", n);
        }
        foo.wait_stat("run");
        assert_eq!(history(&foo), "starts 3\nexit -1 15\n");
        std::fs::write(foo.path().join("throttle"), "1 2").unwrap();
        foo.tell("tu");
        foo.wait_lines("starts", 4);
        std::fs::remove_file(foo.path().join("throttle")).unwrap();
        std::fs::create_dir(foo.path().join("throttle")).unwrap();
        foo.tell("tu");
        foo.wait_lines("starts", 5);
        runsv.wait_line("*: warning: unable to read throttle: *");
        assert_eq!(runsv.stop(), 0);
        let said = runsv.stderr();
        let said: Vec<_> =
            said.lines().filter_map(|line| line.split_once(": warning: ").map(|(_, what)| what)).collect();
        assert_eq!(
            said,
            [
                "log/throttle:1: expected one line: MIN [MAX], seconds above 0",
                "throttle:1: expected one line: MIN [MAX], seconds above 0",
                "timeout-stop:1: expected one line: seconds above 0",
                "notification-fd:1: expected one line: a number from 3 to 1023",
                "unable to read throttle: is a directory",
            ]
        );
    });
}

/// Whether the process is there and not merely unburied.
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A run with a child in its group and one in a session of its own, whose pids it writes down. `finish` writes down which of
/// them it sees.
fn family(lab: &lab::Lab) -> Service {
    lab.service("foo")
        .run("sleep 1000 & setsid sh -c \"echo $! \\$\\$ >>pids; exec sleep 1000\" & exec sleep 1000")
        .finish(
            "for pid in $(tail -n 1 pids); do kill -0 $pid 2>/dev/null && grep -q 'State:.[^ZX]' /proc/$pid/status \
                && printf alive; printf ,; done >>seen; echo >>seen",
        )
        .file("kill-group", "", 0o644)
        .build()
}

/// Goes through the lives and ends of [`family`]; the text tells what `finish` saw.
fn check_family(foo: &Service, runsv: &lab::Proc, seen: &str) {
    let pair = |n: usize| -> Vec<String> {
        let lines = foo.wait_lines("pids", n);
        lines[n - 1].split(' ').map(str::to_owned).collect()
    };
    let mut left = Vec::new();
    for (n, end) in ["k", "t", "du"].into_iter().enumerate() {
        let members = pair(n + 1);
        foo.wait_stat("run");
        foo.tell(end);
        assert_eq!(foo.wait_lines("seen", n + 1)[n], seen, "after {end}");
        assert!(!alive(&members[0]));
        left.push(members[1].clone());
        if end == "k" {
            foo.tell("u");
        }
    }
    let members = pair(4);
    foo.wait_stat("run");
    assert_eq!(runsv.stop(), 0);
    assert_eq!(foo.wait_lines("seen", 4)[3], seen);
    assert!(!alive(&members[0]));
    left.push(members[1].clone());
    let escaped = seen.ends_with("alive,");
    assert!(left.iter().all(|pid| alive(pid) == escaped), "{left:?}");
}

#[test]
fn what_a_run_started_in_its_group_goes_with_it() {
    lab::test(|lab| {
        let foo = family(lab);
        // There are no cgroups here; who leaves the group gets away.
        let runsv = lab.runsv(&foo);
        check_family(&foo, &runsv, ",alive,");
    });
}

#[test]
fn nobody_gets_out_of_a_cgroup() {
    lab::test(|lab| {
        let foo = family(lab);
        lab.cmd("mount").args(["-t", "cgroup2", "none", "/sys/fs/cgroup"]).ok();
        // In a cgroup of the test's, which others on this machine do not use.
        let id = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let name = format!("/sys/fs/cgroup/lab-{id}");
        let own = std::path::Path::new(&name);
        std::fs::create_dir(own).unwrap();
        let enter = format!("echo 0 >{name}/cgroup.procs && exec runsv sv/foo");
        let runsv = lab.sh(&enter).named("runsv").spawn();
        foo.wait_listening();
        check_family(&foo, &runsv, ",,");
        let left: Vec<_> = std::fs::read_dir(own).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).collect();
        assert!(left.is_empty(), "{left:?}");
        wait_for("the cgroup to be empty", || std::fs::remove_dir(own).is_ok());
    });
}

#[test]
fn a_signal_is_for_the_whole_group() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("trap 'echo run >>got' HUP\n(trap 'echo child >>got; exit' HUP; echo on >>got; while :; do read x <never; done) &\n\
                while :; do wait; done")
            .file("kill-group", "", 0o644)
            .build();
        fifo(&foo, "never");
        let _runsv = lab.runsv(&foo);
        foo.wait_lines("got", 1);
        foo.tell("h");
        let mut got = foo.wait_lines("got", 3);
        got.sort_unstable();
        assert_eq!(got, ["child", "on", "run"]);
    });
}
