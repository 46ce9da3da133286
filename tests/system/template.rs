//! `runsvdir -l TEMPLATE`: a log service for all that have none, and nothing changes in their directories.

use lab::{Lab, Proc, Service, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;

/// The example logger as a template.
fn template(lab: &Lab) {
    let logger = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/logger");
    lab.sh(&format!("mkdir template; cp {} template/run", logger.display())).ok();
}

/// A service that says its name and stays.
fn talker(lab: &Lab, path: &str) -> Service {
    lab.service_at(path).run("echo \"this is ${PWD##*/}\"\nexec sleep 1000").build()
}

fn start(lab: &Lab, options: &[&str]) -> Proc {
    lab.cmd("runsvdir").args(options).args(["-l", "template", "dir"]).spawn()
}

fn log_of(service: &Service) -> Service {
    Service::at(service.path().join("supervise/log"))
}

/// What is in a directory but for supervise/.
fn entries(lab: &Lab, dir: &str) -> String {
    lab.sh(&format!("cd {dir}; find . -name supervise -prune -o -print | sort")).ok()
}

fn logged(name: &str) -> String {
    std::fs::read_to_string(format!("/var/log/service/{name}/current")).unwrap_or_default()
}

fn everybody_is_logged(lab: &Lab, options: &[&str]) {
    template(lab);
    let foo = talker(lab, "dir/foo");
    talker(lab, "made/dhcp_if");
    let own = lab.service_at("dir/own").run("echo own; exec sleep 1000").log("exec cat >>../got").build();
    lab.sh("ln -s ../made/dhcp_if dir/dhcp_eth0").ok();
    let (before, made) = (entries(lab, "dir/foo"), entries(lab, "template"));
    let runsvdir = start(lab, options);
    for name in ["foo", "dhcp_eth0"] {
        let line = format!(" this is {name}\n");
        wait_for(&format!("the log of {name}"), || logged(name).ends_with(&line));
    }
    own.wait_lines("got", 1);
    assert!(!own.path().join("supervise/log").exists() && !Path::new("/var/log/service/own").exists());
    log_of(&foo).wait_stat("run");
    assert_eq!((entries(lab, "dir/foo"), entries(lab, "template")), (before, made));
    // It is a service like any other log service.
    let status = |pattern: &str| lab.cmd("sv").args(["status", foo.arg()]).prints_matching(pattern);
    status("run: * (pid #) #s; run: log: (pid #) #s");
    let list = lab.cmd("sv").args(["list", "--json", "./dir"]).ok();
    let log = log_of(&foo).pid().expect("a process");
    assert!(list.contains(&format!(r#""log":{{"problem":null,"state":"run","pid":{log},"#)), "{list}");
    assert!(!list.contains(r#""restarts":null"#), "{list}");
    lab.cmd("sv").args(["log", "-p", "dir/dhcp_eth0/"]).prints_matching("* this is dhcp_eth0");
    lab.cmd("sv").args(["stop", log_of(&foo).arg()]).prints_matching("ok: down: *");
    status("run: * (pid #) #s; down: log: #s, normally up");
    lab.cmd("sv").args(["start", log_of(&foo).arg()]).prints_matching("ok: run: *");
    // Its end is the end of its input.
    runsvdir.signal(Signal::SIGHUP);
    assert_eq!(runsvdir.wait(), 111);
    wait_for("the end", || !foo.listening() && !log_of(&foo).listening());
    assert_eq!((foo.stat(), log_of(&foo).stat()), ("down".into(), "down".into()));
    assert_eq!(runsvdir.stderr(), "");
}

#[test]
fn everybody_is_logged_by_runsv() {
    lab::test(|lab| everybody_is_logged(lab, &[]));
}

#[test]
fn everybody_is_logged_by_one_process() {
    lab::test(|lab| everybody_is_logged(lab, &["-1"]));
}

/// The template's log service gets everything, as any other, when all is stopped.
#[test]
fn at_the_end_no_line_is_lost() {
    lab::test(|lab| {
        lab.service_at("template").run("while read -r x; do echo \"$1 $x\"; done >>../got").build();
        let last = "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done";
        let foo = lab
            .service_at("dir/foo")
            .run(&format!("trap '{last}; exit' TERM\nmkfifo never; : >ready\nwhile :; do read x <never; done"))
            .build();
        let runsvdir = start(lab, &["-g", "60"]);
        wait_for("the service", || foo.path().join("ready").exists());
        assert_eq!(runsvdir.stop(), 0);
        let got = lab.read("got");
        assert_eq!((got.lines().count(), got.lines().last()), (2000, Some("foo 1999")));
    });
}

/// A killed runsv is replaced; the log service goes on with the same pipe.
#[test]
fn a_killed_runsv_loses_nothing() {
    lab::test(|lab| {
        template(lab);
        let run = "mkfifo feed 2>/dev/null; exec 9<>feed; : >ready; exec cat <&9";
        let foo = lab.service_at("dir/foo").run(run).build();
        let _runsvdir = start(lab, &[]);
        wait_for("the service", || foo.path().join("ready").exists());
        log_of(&foo).wait_stat("run");
        let (pid, log_pid) = (foo.pid(), log_of(&foo).pid());
        let runsv = lab.sh("pgrep -x runsv").ok();
        kill(Pid::from_raw(runsv.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
        std::fs::write(foo.path().join("feed"), "between\n").unwrap();
        wait_for("another runsv", || {
            let now = lab.sh("pgrep -x runsv || :").ok();
            !now.is_empty() && now != runsv && foo.listening() && log_of(&foo).listening()
        });
        std::fs::write(foo.path().join("feed"), "after\n").unwrap();
        wait_for("both lines", || logged("foo").ends_with(" after\n"));
        assert!(logged("foo").contains(" between\n"));
        assert_eq!((foo.pid(), log_of(&foo).pid()), (pid, log_pid));
    });
}

#[test]
fn without_the_template_services_run_all_the_same() {
    lab::test(|lab| {
        let foo = talker(lab, "dir/foo");
        let runsvdir = start(lab, &[]);
        foo.wait_stat("run");
        runsvdir.wait_line("runsv foo: warning: unable to open */template: file does not exist");
        runsvdir.wait_line("this is foo");
        lab.cmd("sv").args(["status", foo.arg()]).prints_matching("run: * (pid #) #s");
    });
}
