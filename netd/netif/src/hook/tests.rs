#![expect(clippy::disallowed_methods, reason = "driver: test, waits with a deadline")]

use super::queue::{GRACE, MAX_WAITING};
use super::*;
use crate::sandbox::{Policy, Sandbox, Script};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use std::ffi::CString;
use std::os::fd::AsFd;
use sys::Errno;
use sys::clock::monotonic;
use sys::file::{self, CWD};
use sys::poll::{PollFd, PollFlags, wait};
use sys::signal::Signal;

fn hook(event: &'static str) -> Hook {
    Hook::new(event)
}

fn at(secs: u64) -> Instant {
    Instant::from_secs(secs)
}

const PID: Pid = Pid::from_raw(77);
const LIMIT: Option<Duration> = Some(Duration::from_secs(10));

fn drain(q: &mut Queue) -> Vec<Output> {
    let mut all = Vec::new();
    loop {
        let o = q.poll();
        let done = matches!(o, Output::Wait(..));
        all.push(o);
        if done {
            return all;
        }
    }
}

fn finished(event: &'static str, ended: Ended) -> Output {
    Output::Finished(Finished { event, ended })
}

#[test]
fn one_after_another() {
    let mut q = Queue::new(LIMIT);
    assert_eq!(drain(&mut q), [Output::Wait(None, "idle")]);
    q.handle(at(0), Input::Run(hook("a")));
    q.handle(at(0), Input::Run(hook("b")));
    assert_eq!(drain(&mut q), [Output::Start(hook("a")), Output::Wait(None, "idle")]);
    q.handle(at(1), Input::Started(PID));
    assert_eq!(drain(&mut q), [Output::Wait(Some(at(11)), "script time limit")]);
    q.handle(at(2), Input::Exited(Pid::from_raw(5), Status::exited(0)));
    q.handle(at(2), Input::Tick);
    assert_eq!(drain(&mut q), [Output::Wait(Some(at(11)), "script time limit")]);
    q.handle(at(3), Input::Exited(PID, Status::exited(1)));
    assert_eq!(
        drain(&mut q),
        [finished("a", Ended::Exited(Status::exited(1))), Output::Start(hook("b")), Output::Wait(None, "idle")]
    );
    q.handle(at(3), Input::NotStarted(Errno::ENOENT));
    assert_eq!(drain(&mut q), [finished("b", Ended::NotStarted(Errno::ENOENT)), Output::Wait(None, "idle")]);
    assert!(q.idle());
}

#[test]
fn terminates_then_kills() {
    let mut q = Queue::new(LIMIT);
    q.handle(at(0), Input::Run(hook("a")));
    q.handle(at(0), Input::Started(PID));
    q.handle(at(10), Input::Tick);
    assert_eq!(q.poll(), Output::Start(hook("a")));
    assert_eq!(drain(&mut q), [Output::Kill(PID, Signal::SIGTERM), Output::Wait(Some(at(10) + GRACE), "script kill")]);
    q.handle(at(11), Input::Run(hook("b")));
    q.handle(at(10) + GRACE, Input::Tick);
    assert_eq!(drain(&mut q), [Output::Kill(PID, Signal::SIGKILL), Output::Wait(None, "script end")]);
    q.handle(at(13), Input::Exited(PID, Status(9)));
    assert_eq!(q.poll(), finished("a", Ended::TimedOut(Status(9))));
    assert_eq!(q.poll(), Output::Start(hook("b")));
    assert!(!q.idle());
}

#[test]
fn no_limit_no_deadline() {
    let mut q = Queue::new(None);
    q.handle(at(0), Input::Run(hook("a")));
    q.handle(at(0), Input::Started(PID));
    q.handle(at(1_000_000), Input::Tick);
    assert_eq!(drain(&mut q), [Output::Start(hook("a")), Output::Wait(None, "script time limit")]);
}

#[test]
fn the_oldest_gives_way() {
    let mut q = Queue::new(LIMIT);
    q.handle(at(0), Input::Run(hook("running")));
    q.handle(at(0), Input::Started(PID));
    assert_eq!(q.poll(), Output::Start(hook("running")));
    q.handle(at(0), Input::Run(hook("oldest")));
    for _ in 0..MAX_WAITING {
        q.handle(at(0), Input::Run(hook("x")));
    }
    assert_eq!(drain(&mut q)[0], finished("oldest", Ended::Skipped));
}

/// A directory of this test's own.
struct Dir(std::path::PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hook-{name}-{}", std::process::id()));
        file::make_dir(CWD, &path, 0o700).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A runner whose events run these scripts in a real shell that finds `$DIR`.
fn runner(dir: &Dir, program: &str, scripts: &[(&'static str, &str)]) -> (Rc<Rights>, Runner) {
    let mut environment = Environment::default();
    environment.set("PATH", b"/usr/bin:/bin");
    environment.set("DIR", dir.0.to_str().unwrap().as_bytes());
    let args = |script: &str| {
        vec![c"-c".to_owned(), CString::new(script).unwrap(), c"handler".to_owned(), c"bound".to_owned()]
    };
    let script = Script {
        program: CString::new(program).unwrap(),
        environment,
        calls: scripts.iter().map(|(event, script)| (*event, args(script))).collect(),
        may_set: |name| name == "ip",
    };
    let policy = Policy { script: Some(script), ..Policy::nothing("eth0".parse().unwrap()) };
    let rights = Rc::new(Rights::new(policy, &[], Sandbox::Off, |_, _| {}));
    (Rc::clone(&rights), Runner::new(rights, LIMIT))
}

/// Waits until the running script has ended and hands it in.
fn hand_in(rights: &Rights, runner: &mut Runner, now: Instant) -> Vec<Finished> {
    waitid(Id::Pid(runner.pid().unwrap()), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    let (pid, status) = rights.ended().unwrap().unwrap();
    runner.exited(now, pid, status)
}

#[test]
fn scripts_get_their_environment_and_nothing_else() {
    let dir = Dir::new("environment");
    let bound = "echo \"$1 $ip\" >$DIR/out; env | sed 's/=.*//' | sort | tr '\\n' ' ' >>$DIR/out; exit 3";
    let (rights, mut runner) = runner(&dir, "/bin/sh", &[("bound", bound), ("renew", "echo second >>$DIR/out")]);
    let mut first = hook("bound");
    first.set("ip", b"1.2.3.4; $(echo x)");
    assert_eq!(runner.run(at(0), first), []);
    assert_eq!(runner.run(at(0), hook("renew")), []);
    assert_eq!(runner.deadline(), Some(at(10)));
    let done = hand_in(&rights, &mut runner, at(1));
    assert_eq!(done, [Finished { event: "bound", ended: Ended::Exited(Status::exited(3)) }]);
    assert_eq!(
        hand_in(&rights, &mut runner, at(2)),
        [Finished { event: "renew", ended: Ended::Exited(Status::exited(0)) }]
    );
    assert!(runner.idle() && runner.deadline().is_none());
    let text = String::from_utf8(file::read_bounded(CWD, &dir.0.join("out"), 4096).unwrap()).unwrap();
    // PWD, SHLVL and _ are the shell's own.
    let names = text.replace(" OLDPWD", "").replace(" PWD", "").replace(" SHLVL", "").replace(" _", "");
    assert_eq!(names, "bound 1.2.3.4; $(echo x)\nDIR PATH ip second\n");
}

#[test]
fn a_hanging_script_dies_with_its_children() {
    let dir = Dir::new("hanging");
    let fifo = dir.0.join("fifo");
    sys::fifo::make(CWD, &fifo, 0o600).unwrap();
    let reader = sys::fifo::reader(CWD, &fifo).unwrap();
    let script = "exec >$DIR/fifo; trap '' TERM; echo ready; sleep 1000; echo never";
    let (rights, mut runner) = runner(&dir, "/bin/sh", &[("bound", script)]);
    assert_eq!(runner.run(at(0), hook("bound")), []);
    let read = || {
        let mut buf = [0; 64];
        let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        let ready = wait(&mut fds, monotonic(), Some(monotonic() + Duration::from_secs(20))).unwrap();
        assert_eq!(ready, 1, "nothing happened for 20 s");
        let n = file::read_some(reader.as_fd(), &mut buf).unwrap();
        String::from_utf8(buf[..n].to_vec()).unwrap()
    };
    assert_eq!(read(), "ready\n");
    assert_eq!(runner.tick(at(10)), []);
    assert_eq!(runner.deadline(), Some(at(10) + GRACE));
    assert_eq!(runner.tick(at(10) + GRACE), []);
    assert_eq!(hand_in(&rights, &mut runner, at(13)), [Finished { event: "bound", ended: Ended::TimedOut(Status(9)) }]);
    // End of file: nobody has the fifo open any more, so the sleep is gone too.
    assert_eq!(read(), "");
}

#[test]
fn what_cannot_start_ends_at_once() {
    let dir = Dir::new("missing");
    let (_, mut missing) = runner(&dir, "/nowhere/handler", &[("bound", "")]);
    let done = missing.run(at(0), hook("bound"));
    assert_eq!(done, [Finished { event: "bound", ended: Ended::NotStarted(Errno::ENOENT) }]);
    assert!(missing.idle() && missing.pid().is_none());
    // Names come from a list.
    let (_, mut runner) = runner(&dir, "/bin/sh", &[("bound", "")]);
    for bad in ["LD_PRELOAD", "PATH", "ip2", ""] {
        let mut hook = hook("bound");
        hook.set(bad, b"x");
        assert_eq!(runner.run(at(0), hook), [Finished { event: "bound", ended: Ended::NotStarted(Errno::EPERM) }]);
    }
}
