//! The service directories of `examples/` as they ship, each with its real daemon, under runsvdir.

mod keepalived;
mod lan;
mod scene;
mod supplicant;
mod vpn;

use crate::fw::source;
use lab::{Lab, PATIENCE, peer, wait_quietly};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a service has logged.
fn log(service: &str) -> String {
    fs::read_to_string(format!("/var/log/service/{service}/current")).unwrap_or_default()
}

/// Waits until a service has logged something that contains `what`.
#[track_caller]
fn wait_log(service: &str, what: &str) {
    if !wait_quietly(PATIENCE, || log(service).contains(what)) {
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

/// No daemon is there: one line that names it and one process that does nothing; it is looked for again when somebody says so.
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
        let line = "foo: none of these is installed: nobody-here nor-here; waiting for `sv t foo'";
        assert_eq!(foo.wait_lines("said", 1), [line]);
        let resting = foo.pid();
        let program = Path::new("/run/lab/bin/nor-here");
        fs::write(program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(foo.pid(), resting);
        foo.tell("t");
        foo.wait_new_pid(resting);
        assert_eq!(foo.wait_lines("said", 2)[1..], ["foo: runs /run/lab/bin/nor-here"]);
        foo.tell("d");
        foo.wait_stat("down");
    });
}

/// From now on a service's scripts are run by busybox's shell; /bin/sh is another one.
fn under_ash(service: &str) {
    for entry in fs::read_dir(service).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if let Some(rest) = fs::read_to_string(&path).ok().as_deref().and_then(|text| text.strip_prefix("#!/bin/sh\n"))
        {
            fs::write(path, format!("#!{} sh\n{rest}", peer("busybox").display())).unwrap();
        }
    }
}
