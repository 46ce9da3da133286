//! The LOG argument: the end of what services say is in `DIR/.runsvdir/log`.

use lab::{Lab, Proc, Service, wait_for};
use nix::sys::signal::Signal;

const LOG: &str = "dir/.runsvdir/log";

fn start(lab: &Lab, mode: &[&str]) -> Proc {
    lab.cmd("runsvdir").args(mode).args(["dir", "log: ......"]).spawn()
}

fn log(lab: &Lab) -> String {
    std::fs::read_to_string(lab.path(LOG)).unwrap_or_default()
}

/// Says `count` to standard error whenever a `u` comes in through `ask`.
fn talker(lab: &Lab) -> Service {
    lab.sh("mkdir dir; mkfifo ask").ok();
    let ask = lab.path("ask");
    let ask = ask.display();
    let run = format!("echo starting $$ >&2; exec 3<>{ask}; while read -r line <&3; do echo \"said $line\" >&2; done");
    lab.service_at("dir/talker").run(&run).build()
}

fn ask(lab: &Lab, line: &str) {
    lab.sh(&format!("echo '{line}' >ask")).ok();
}

fn is_kept(lab: &Lab, mode: &[&str]) {
    let talker = talker(lab);
    let first = start(lab, mode);
    let pid = talker.wait_new_pid(None);
    ask(lab, "one");
    wait_for("one", || log(lab).ends_with("said one\n"));
    assert_eq!(log(lab), format!("starting {pid}\nsaid one\n"));

    // Nobody reads: the service goes on, and the next runsvdir has what it said.
    first.signal(Signal::SIGKILL);
    first.wait();
    ask(lab, "two");
    let second = start(lab, mode);
    wait_for("two", || log(lab).contains("said two\n"));
    ask(lab, "three");
    wait_for("three", || log(lab).ends_with("said three\n"));
    assert_eq!(talker.pid(), Some(pid), "the service lives on");
    assert_eq!((first.stderr(), second.stderr()), (String::new(), String::new()));
    assert!(log(lab).starts_with(&format!("starting {pid}\nsaid one\n")), "{}", log(lab));
}

#[test]
fn is_kept_when_runsvdir_is_killed() {
    lab::test(|lab| is_kept(lab, &[]));
}

#[test]
fn is_kept_when_services_are_hosted() {
    lab::test(|lab| is_kept(lab, &["-1"]));
}

#[test]
fn only_the_end_is_kept() {
    lab::test(|lab| {
        lab.sh("mkdir dir").ok();
        lab.service_at("dir/loud").run("seq 100000 >&2; exec sleep 1000").build();
        let _runsvdir = start(lab, &[]);
        wait_for("the last line", || log(lab).ends_with("\n100000\n"));
        let text = log(lab);
        assert!((15 * 1024..=32 * 1024).contains(&text.len()), "{} bytes", text.len());
        // Whole lines without a gap.
        let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "{text}");
    });
}

#[test]
fn a_directory_that_cannot_be_written_has_none() {
    lab::test(|lab| {
        lab.service_at("dir/foo").run("echo hello >&2; exec sleep 1000").build();
        lab.sh("touch dir/.runsvdir").ok();
        let runsvdir = start(lab, &[]);
        runsvdir.wait_line("runsvdir dir: warning: unable to open .runsvdir for log: not a directory");
        runsvdir.wait_line("runsvdir dir: warning: log service disabled.");
        runsvdir.wait_line("hello");
    });
}
