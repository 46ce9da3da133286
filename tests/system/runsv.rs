//! `runsv` with real children: nothing is lost, nothing runs twice, and what others read is what is.

use lab::{Lab, Service, note, our, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

/// A service whose `run` stays, with a `runsv` on it.
fn sleeper(lab: &Lab) -> (Service, lab::Proc) {
    let service = lab.service("foo").run("exec sleep 1000").build();
    let runsv = lab.runsv(&service);
    service.wait_stat("run");
    (service, runsv)
}

fn number(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap())
}

#[test]
fn down_and_up_within_the_second_is_up_every_time() {
    lab::test(|lab| {
        let (foo, _runsv) = sleeper(lab);
        let mut pid = foo.pid();
        for round in 0..200 {
            // As one write, as two, and with the death in between: the delay runs each time.
            match round % 3 {
                0 => foo.tell("du"),
                1 => {
                    foo.tell("d");
                    foo.tell("u");
                }
                _ => {
                    foo.tell("d");
                    foo.wait_stat("down");
                    foo.tell("u");
                }
            }
            pid = Some(foo.wait_new_pid(pid));
        }
        assert_eq!((foo.stat().as_str(), foo.status().want), ("run", 'u'));
    });
}

#[test]
fn of_a_thousand_commands_the_last_one_counts() {
    lab::test(|lab| {
        let (foo, _runsv) = sleeper(lab);
        the_last_command_counts(&foo);
    });
}

/// Four write at once, again and again.
pub(crate) fn the_last_command_counts(foo: &Service) {
    for round in 0..6_u64 {
        // The fifo keeps the order of the writes; the lock is there to know which was the last.
        let last = Mutex::new('u');
        let together = Barrier::new(4);
        std::thread::scope(|s| {
            for writer in 0..4_u64 {
                let (last, together) = (&last, &together);
                let fifo = std::fs::File::options().write(true).open(foo.path().join("supervise/control")).unwrap();
                s.spawn(move || {
                    let mut dice = (round * 4 + writer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    together.wait();
                    for _ in 0..250 {
                        dice ^= dice << 13;
                        dice ^= dice >> 7;
                        dice ^= dice << 17;
                        let c = ['u', 'd', 'o', 'u', 'd'][usize::try_from(dice % 5).unwrap()];
                        let mut last = last.lock().unwrap();
                        std::io::Write::write_all(&mut &fifo, &[c as u8]).unwrap();
                        *last = c;
                    }
                });
            }
        });
        let last = *last.lock().unwrap();
        note(&format!("the last is {last}"));
        match last {
            'u' => wait_for("up", || foo.stat() == "run" && foo.status().want == 'u'),
            'd' => wait_for("down", || foo.stat() == "down" && foo.status().want == 'd'),
            _ => wait_for("once", || foo.status().want == 'd'),
        }
    }
}

#[test]
fn a_one_shot_runs_after_the_last_kick() {
    lab::test(|lab| {
        lab.write("sv/fw/config", "0\n");
        let fw = lab.service("fw").down().run("sv o .\ncat config >>seen").build();
        let _runsv = lab.runsv(&fw);
        let config = |n: u32| {
            std::fs::write(fw.path().join("config.new"), format!("{n}\n")).unwrap();
            std::fs::rename(fw.path().join("config.new"), fw.path().join("config")).unwrap();
        };
        let mut dice = 0x1234_5678_9abc_def1_u64;
        let mut pause = || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            Duration::from_micros(dice % 8000)
        };
        for n in 1..=500 {
            config(n);
            fw.tell("u");
            // Not waiting for anything: the point is a random moment.
            std::thread::sleep(pause());
        }
        wait_for("a run that saw the last kick's configuration", || {
            fw.lines("seen").last().is_some_and(|l| l == "500")
        });
        fw.wait_stat("down");
        let runs = fw.lines("seen").len();
        assert!(runs <= 501, "{runs} runs of 500 kicks");
        let mut times = Vec::new();
        for n in 501..=520 {
            fw.wait_stat("down");
            config(n);
            let kicked = Instant::now();
            fw.tell("u");
            wait_for("the next run", || fw.lines("seen").last().is_some_and(|l| *l == n.to_string()));
            times.push(kicked.elapsed());
        }
        times.sort();
        println!(
            "500 kicks: {runs} runs; kick right after a run -> done: median {:?}, worst {:?}",
            times[10], times[19]
        );
        assert!(times[19] < Duration::from_secs(1));
        fw.wait_stat("down");
    });
}

#[test]
fn finish_is_told_how_run_ended() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").finish("echo \"$0 $*\" >>ends").build();
        let _runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        kill(number(foo.pid().unwrap()), Signal::SIGKILL).unwrap();
        foo.wait_lines("ends", 1);
        foo.wait_stat("run");
        foo.tell("d");
        foo.wait_stat("down");
        lab.write("sv/foo/run", "#!/bin/sh\nexit 3\n");
        foo.tell("o");
        foo.wait_lines("ends", 3);
        foo.wait_stat("down");
        lab.write("sv/foo/run", "no program\n");
        foo.tell("o");
        assert_eq!(foo.wait_lines("ends", 4), ["./finish -1 9", "./finish -1 15", "./finish 3 0", "./finish 111 0"]);
    });
}

#[test]
fn control_scripts_see_the_pid_have_a_clean_mask_and_block_nobody() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("exec sleep 1000")
            .control('t', "echo \"$0 $1\" >>calls; grep SigBlk /proc/self/status >>calls; cat gate; exit 0")
            .control('h', "kill -9 $$")
            .build();
        lab.sh("mkfifo sv/foo/gate").ok();
        let _runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        let pid = foo.pid().unwrap();
        foo.tell("d");
        assert_eq!(foo.wait_lines("calls", 2), [format!("control/t {pid}"), "SigBlk:\t0000000000000000".to_owned()]);
        // The script hangs on the gate; the supervisor does not.
        foo.wait_stat("run, want down");
        foo.tell("u");
        foo.wait_stat("run");
        std::fs::write(foo.path().join("gate"), "").unwrap();
        // It vetoed. One that is killed does not.
        foo.tell("h");
        foo.wait_new_pid(Some(pid));
    });
}

#[test]
fn the_log_gets_every_line_and_ends_last() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .run("trap 'i=0; while [ $i -lt 2000 ]; do echo last $i; i=$((i+1)); done; exit' TERM\necho up\nwhile :; do read x <never; done")
            .log("exec cat >>../got")
            .build();
        lab.sh("mkfifo sv/foo/never").ok();
        let runsv = lab.runsv(&foo);
        foo.wait_lines("got", 1);
        foo.log().wait_stat("run");
        assert_eq!(runsv.stop(), 0);
        let got = foo.lines("got");
        assert_eq!((got.len(), got.last().map(String::as_str)), (2001, Some("last 1999")));
        assert_eq!((foo.stat(), foo.log().stat()), ("down".to_owned(), "down".to_owned()));
        assert_eq!((foo.pid(), std::fs::read(foo.path().join("supervise/pid")).unwrap()), (None, Vec::new()));
    });
}

#[test]
fn the_pipe_survives_both_sides() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("readlink /proc/self/fd/1; exec sleep 1000").log("exec cat >>../got").build();
        let _runsv = lab.runsv(&foo);
        foo.wait_lines("got", 1);
        foo.log().tell("t");
        let writer = foo.pid();
        foo.tell("t");
        foo.wait_new_pid(writer);
        let got = foo.wait_lines("got", 2);
        assert_eq!(got[0], got[1]);
    });
}

#[test]
fn children_get_three_descriptors_and_a_clean_mask() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("ls /proc/self/fd | tr '\\n' ' ' >fds; exec sleep 1000").build();
        let _runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        wait_for("the list", || lab.path("sv/foo/fds").exists() && lab.read("sv/foo/fds").contains('3'));
        // The same as without a supervisor: 0 to 2, ls reading the directory, and what the test itself was given.
        assert_eq!(lab.read("sv/foo/fds"), lab.sh("ls /proc/self/fd | tr '\\n' ' '").ok());
        let status = lab.read(format!("/proc/{}/status", foo.pid().unwrap()));
        assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    });
}

#[test]
fn x_and_k_leave_nothing_behind() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("trap '' TERM; while :; do sleep 1000; done").build();
        let runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        let pid = foo.pid().unwrap();
        foo.tell("xk");
        assert_eq!(runsv.wait(), 0);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!((foo.stat().as_str(), foo.status().pid), ("down", 0));
    });
}

#[test]
fn sleeps_without_a_timer() {
    lab::test(|lab| {
        let (foo, runsv) = sleeper(lab);
        wait_for("a wait without end", || endless_poll(runsv.pid()));
        foo.tell("d");
        foo.wait_stat("down");
        wait_for("a wait without end", || endless_poll(runsv.pid()));
    });
}

/// Whether the process is in `ppoll` with a null timeout.
pub(crate) fn endless_poll(pid: i32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let words: Vec<&str> = call.split(' ').collect();
    matches!(words[..], [number, _, _, "0x0", ..] if number == nix::libc::SYS_ppoll.to_string())
}

#[test]
fn bad_input_is_one_line_and_the_right_code() {
    lab::test(|lab| {
        let says = |arg: &str, code, text: &str| {
            let out = lab.cmd("runsv").arg(arg).fails(code);
            assert_eq!((out.stdout.as_str(), out.stderr), ("", format!("{text}\n")));
        };
        assert_eq!(lab.cmd("runsv").fails(1).stderr, "usage: runsv dir\n\n");
        assert_eq!(lab.cmd("runsv").args(["a", "b"]).fails(1).stderr, "usage: runsv dir\n\n");
        says("sv/none", 111, "runsv sv/none: fatal: unable to change to directory: file does not exist");
        lab.write("sv/file", "");
        says("sv/file", 111, "runsv sv/file: fatal: unable to change to directory: not a directory");
        lab.write("sv/blocked/supervise", "");
        says("sv/blocked", 111, "runsv sv/blocked: fatal: unable to open supervise/lock: not a directory");
        lab.write("sv/plain/supervise/control", "");
        says("sv/plain", 111, "runsv sv/plain: fatal: supervise/control exists but is not a fifo");
        let (foo, _runsv) = sleeper(lab);
        says(foo.arg(), 111, &format!("runsv {}: fatal: unable to lock supervise/lock: temporary failure", foo.arg()));
    });
}

#[test]
fn a_missing_run_is_told_and_tried_again() {
    lab::test(|lab| {
        lab.write("sv/foo/log", "");
        let foo = Service::at(lab.path("sv/foo"));
        let runsv = lab.runsv(&foo);
        let dir = foo.arg();
        runsv.wait_line(&format!("runsv {dir}: warning: ./log: not a directory."));
        runsv.wait_line(&format!("runsv {dir}: fatal: unable to start ./run: file does not exist"));
        lab.service("foo").run("exec sleep 1000").build();
        foo.wait_stat("run");
    });
}

#[test]
fn status_files_that_cannot_be_written_are_a_warning_once() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        lab.sh("mkdir -p sv/foo/supervise/pid.new").ok();
        let runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        for _ in 0..3 {
            let old = foo.status().pid;
            foo.tell("t");
            wait_for("another process", || ![0, old].contains(&foo.status().pid));
        }
        let warnings = runsv.wait_lines("*warning*", 1);
        assert_eq!(
            warnings,
            [format!("runsv {}: warning: unable to open supervise/pid.new: is a directory", foo.arg())]
        );
    });
}

#[test]
fn supervise_may_be_a_link_to_what_is_not_there_yet() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").log("exec cat").build();
        lab.sh("mkdir here; ln -s ../../here/foo sv/foo/supervise; ln -s ../../../here/log sv/foo/log/supervise").ok();
        let _runsv = lab.runsv(&foo);
        foo.wait_stat("run");
        foo.log().wait_stat("run");
        assert!(lab.path("here/foo/status").exists() && lab.path("here/log/status").exists());
    });
}

#[test]
fn works_from_any_directory_and_stays_in_its_own() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        let runsv = lab.cmd(our("runsv")).arg("foo").dir("sv").spawn();
        foo.wait_stat("run");
        assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", runsv.pid())).unwrap(), foo.path());
        // A renamed directory goes on working.
        lab.sh("mv sv/foo sv/bar").ok();
        let bar = Service::at(lab.path("sv/bar"));
        let old = bar.pid();
        bar.tell("t");
        bar.wait_new_pid(old);
    });
}
