//! How a test gets into its lab: the same executable runs three times.
//!
//! *outside* (the test harness the developer started) runs `unshare`, relays output and judges; *init* is pid 1 of the new
//! namespaces, makes the mounts and reaps orphans; *body* is init's child and runs the test. When body ends init ends,
//! and the kernel kills whatever is left in the pid namespace.

use crate::{Lab, bins, mounts, timeline};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, Uid};
use std::any::type_name;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Which of the three runs this is.
const STAGE: &str = "PORTREEVE_LAB_STAGE";
/// Said by body at its very end: a test that was never run must not count as passed.
const DONE: &str = "lab: reached the end of ";
/// Longest life of a test that names none.
const LIFE: Duration = Duration::from_secs(60);

/// Runs `body`, a closure written inside the `#[test]` function, in a lab of its own.
pub fn test<F: FnOnce(&Lab)>(body: F) {
    named(&test_name::<F>(), LIFE, body);
}

/// As [`test`], with another deadline for the whole test.
pub fn test_within<F: FnOnce(&Lab)>(life: Duration, body: F) {
    named(&test_name::<F>(), life, body);
}

/// As [`test`], for a `body` that is no closure of the test function: `test` is the harness's name of the test.
pub fn named(test: &str, life: Duration, body: impl FnOnce(&Lab)) {
    match std::env::var(STAGE).as_deref() {
        Err(_) => outside(test, life),
        Ok("init") => init(test),
        Ok(_) => run(test, life, body),
    }
}

/// `system::area::name::{{closure}}` without the crate and the closure.
fn test_name<F>() -> String {
    let path = type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_crate, rest)| rest);
    path.trim_end_matches("::{{closure}}").to_owned()
}

fn again(test: &str, stage: &str, through: &[&str]) -> Command {
    let exe = std::env::current_exe().expect("own path");
    let mut cmd = match through {
        [] => Command::new(&exe),
        [program, args @ ..] => {
            let mut c = Command::new(program);
            c.args(args).arg(&exe);
            c
        }
    };
    cmd.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(STAGE, stage);
    cmd
}

fn outside(test: &str, life: Duration) {
    let unshare = bins::peer("unshare");
    let mut through = vec![unshare.to_str().expect("a plain path")];
    if !Uid::effective().is_root() {
        through.extend(["--user", "--map-root-user"]);
    }
    through.extend(["--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    let mut cmd = again(test, "init", &through);
    let mut child = cmd
        .env("PORTREEVE_BIN", bins::built())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("unshare: {e}"));
    let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
    // Body keeps its own deadline and prints the timeline; this one is for a lab that cannot.
    let killer = Pid::from_raw(i32::try_from(child.id()).expect("pid"));
    let (ended, wait_end) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if wait_end.recv_timeout(life + Duration::from_secs(15)).is_err() {
            let _ = nix::sys::signal::kill(killer, nix::sys::signal::SIGKILL);
        }
    });
    // Everything that holds the pipes dies with the namespace, so these end.
    let (out, err) = (out.join().expect("reader"), err.join().expect("reader"));
    let status = child.wait().expect("wait");
    let _ = ended.send(());
    let _ = guard.join();
    let done = format!("{DONE}{test}\n");
    let reached = out.contains(&done);
    print!("{}", out.replace(&done, ""));
    eprint!("{err}");
    assert!(status.success(), "{test} failed in its lab ({status})");
    assert!(reached, "{test} never ran: use lab::named with the harness's name of the test");
}

fn collect(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = from.expect("a pipe").read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    })
}

fn init(test: &str) {
    mounts::make_private();
    bins::link_ours();
    let body = again(test, "body", &[]).current_dir("/").spawn().expect("start the body");
    let body = Pid::from_raw(i32::try_from(body.id()).expect("pid"));
    let code = loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == body => break code,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == body => {
                eprintln!("lab: {test} died of {signal}");
                break 1;
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => panic!("waitpid: {e}"),
        }
    };
    std::process::exit(code);
}

fn run(test: &str, life: Duration, body: impl FnOnce(&Lab)) {
    std::thread::spawn(move || {
        std::thread::sleep(life);
        timeline::note(&format!("the test's {life:?} are over"));
        timeline::print();
        std::process::exit(124);
    });
    /// Prints the timeline while the panic of the test unwinds.
    struct OnFailure;
    impl Drop for OnFailure {
        fn drop(&mut self) {
            if std::thread::panicking() {
                timeline::print();
            }
        }
    }
    timeline::note("lab ready");
    let lab = Lab::new();
    let on_failure = OnFailure;
    crate::Netns::root().ip("link set lo up");
    body(&lab);
    drop(on_failure);
    println!("{DONE}{test}");
}
