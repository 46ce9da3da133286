//! The service directories of `examples/` as they ship, each with its real daemon, under runsvdir.

mod files;
mod inetd;
mod keepalived;
mod lan;
mod names;
mod scene;
mod scripts;
mod ssh;
mod supplicant;
mod terminals;
mod time;
mod vpn;
mod vpnc;

use crate::fw::{install, source};
use lab::{Lab, PATIENCE, Proc, Service, matches, wait_quietly};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a service has logged.
fn log(service: &str) -> String {
    fs::read_to_string(format!("/var/log/service/{service}/current")).unwrap_or_default()
}

/// Waits until a service has logged a line that contains `what`, in which `*` is anything and `#` a number.
#[track_caller]
fn wait_log(service: &str, what: &str) {
    let pattern = format!("*{what}*");
    if !wait_quietly(PATIENCE, || log(service).lines().any(|line| matches(line, &pattern))) {
        panic!("{service} never said {what:?}:\n{}", log(service));
    }
}

/// As a user edits a file below /var/service.
#[track_caller]
fn edit(lab: &Lab, file: &str, from: &str, to: &str) {
    let path = format!("/var/service/{file}");
    let text = lab.read(&path);
    assert!(text.contains(from), "{from:?} is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Installs the example `name` as `make install` does and links it into /var/service as `link`.
fn enable(name: &str, link: &str) -> Service {
    let installed = format!("/run/sv/{name}");
    install(&format!("examples/{name}"), &installed);
    let service = Path::new("/var/service").join(link);
    std::os::unix::fs::symlink(installed, &service).unwrap();
    Service::at(service)
}

/// `runsvdir -P /var/service`.
fn supervise(lab: &Lab) -> Proc {
    lab.cmd("runsvdir").args(["-P", "/var/service"]).spawn()
}

/// `sv d` is obeyed.
#[track_caller]
fn goes_down(lab: &Lab, service: &Service) {
    lab.cmd("sv").args(["down", service.arg()]).ok();
    service.wait_stat("down");
}

/// The program that `run` became.
fn program(service: &Service) -> String {
    let pid = service.wait_new_pid(None);
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim_end().to_owned()
}

/// No daemon is there: one line that names it, and down; it is looked for again when somebody says so.
#[test]
fn a_missing_daemon_is_waited_for() {
    lab::test(|lab| {
        let foo = lab
            .service("foo")
            .file("daemon", &lab.read(source("examples/daemon")), 0o644)
            .run("exec 2>&1\n. ./daemon\nfind_daemon nobody-here nor-here\nexec $daemon")
            .log("exec cat >>../said")
            .build();
        let _runsv = lab.runsv(&foo);
        let line = "foo: none of these is installed: nobody-here, nor-here; then say: sv up foo";
        assert_eq!(foo.wait_lines("said", 1), [line]);
        foo.wait_stat("down");
        lab.cmd("sv").args(["status", foo.arg()]).prints_matching("down: * #s, normally up; run: log: *");
        let program = Path::new("/run/lab/bin/nor-here");
        fs::write(program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(foo.lines("supervise/history"), ["starts 1", "exit 100 0"]);
        foo.tell("u");
        foo.wait_new_pid(None);
        assert_eq!(foo.wait_lines("said", 2)[1..], ["foo: runs /run/lab/bin/nor-here"]);
        foo.tell("d");
        foo.wait_stat("down");
    });
}

/// From now on a service's scripts are run by the shell of Debian's busybox; /bin/sh is another one.
fn under_ash(service: &str) {
    for entry in fs::read_dir(service).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if let Some(rest) = fs::read_to_string(&path).ok().as_deref().and_then(|text| text.strip_prefix("#!/bin/sh\n"))
        {
            fs::write(path, format!("#!/bin/busybox sh\n{rest}")).unwrap();
        }
    }
}
