#![expect(clippy::disallowed_methods, reason = "driver: owns the signals, the children and the wait of runsvdir")]
//! `runsvdir [-P1] [-g SEC] [-l TEMPLATE] DIR [LOG]`: keeps a `runsv` running for each service directory in DIR (spec runit §3).
//!
//! * [`invocation`] — the command line
//! * [`scan`] — the machine: which services there are, which runsv is to be started or stopped
//! * [`chain`] — which names a path depends on; [`directory`] — the driver that watches and reads DIR
//! * [`keepers`] — the runsv; [`takeover`] — those that run already; [`hosted`] — what there is instead of them with `-1`
//! * [`stop`] — the machine of the end with `-g`; [`sweep`] — signals to what nobody looks after
//! * [`tail`] — the end of what the services say, with LOG
//! * [`tree`] — machine and drivers joined; this module — the program: signals, the wait
//!
//! What differs from runit: changes are seen as they happen and a dead runsv is replaced at once, there is no limit to the
//! number of services and no wake-up without a reason. With LOG the end of the services' standard error is in a file, not in
//! the argument list, where it makes `pkill -f` hit the wrong process.

mod chain;
mod directory;
mod hosted;
mod invocation;
mod keepers;
mod scan;
mod stop;
mod sweep;
mod tail;
mod takeover;
mod tree;

use invocation::Invocation;
use keepers::Keepers;
use scan::Input;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::clock;
use sys::msg::{Level, eprint, say};
use sys::poll::{PollFd, PollFlags, wait};
use sys::signal::{Signal, Signals};
use tail::Tail;
use tree::{Rest, Tree};

/// Exit code for trouble at the start.
const TROUBLE: u8 = 100;

const USAGE: &[u8] = b"usage: runsvdir [-P1] [-g sec] [-l template] dir\n\n";

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let Some(it) = Invocation::parse(args.get(1..).unwrap_or_default()) else {
        eprint(&[USAGE]);
        return 1;
    };
    let program = [b"runsvdir ", it.dir.as_bytes()].concat();
    let tail = it.log.and_then(|log| keep_log(log.len(), Path::new(it.dir), &program));
    // With -g also INT: a container in the foreground gets it from the terminal.
    let wanted = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT];
    let signals = match Signals::take(if it.grace.is_some() { &wanted } else { &wanted[..3] }) {
        Ok(signals) => signals,
        Err(e) => {
            say(&program, Level::Fatal, &[b"unable to take signals"], Some(e));
            return TROUBLE;
        }
    };
    if it.grace.is_some()
        && let Err(e) = sys::process::adopt_orphans()
    {
        say(&program, Level::Warning, &[b"unable to look after orphans"], Some(e));
    }
    // Those who are told are in other directories.
    let Ok(template) = it.template.map(std::path::absolute).transpose() else {
        eprint(&[USAGE]);
        return 1;
    };
    match Keepers::new(it.session, it.host, template.as_deref(), &program) {
        Ok(keepers) => supervise(Tree::new(Path::new(it.dir), keepers, it.grace, &program), &signals, tail),
        Err(e) => {
            say(&program, Level::Fatal, &[b"unable to host services"], Some(e));
            TROUBLE
        }
    }
}

/// runit writes its log into the argument's place, from the sixth byte on.
const LOG_MIN: usize = 7;

/// What LOG asks for; none if it cannot be had.
fn keep_log(length: usize, dir: &Path, program: &[u8]) -> Option<Tail> {
    if length < LOG_MIN {
        say(program, Level::Warning, &[b"log must have at least seven characters."], None);
    } else {
        match Tail::open(dir) {
            Ok(tail) => return Some(tail),
            Err(e) => say(program, Level::Warning, &[b"unable to open .runsvdir for log"], Some(e)),
        }
    }
    say(program, Level::Warning, &[b"log service disabled."], None);
    None
}

fn supervise(mut tree: Tree<'_>, signals: &Signals, mut tail: Option<Tail>) -> u8 {
    loop {
        match tree.settle() {
            Rest::Until(deadline) => {
                let signals = signals.as_fd();
                let [taken, hosted] = tree.keepers();
                let said = tail.as_ref().map_or(signals, AsFd::as_fd);
                let mut fds = [signals, tree.watch().unwrap_or(signals), taken, hosted, said]
                    .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
                // Without memory for the call there is nothing better to do than to look at everything and try again.
                let _ = wait(&mut fds, clock::monotonic(), deadline);
            }
            Rest::Done(code) => {
                tail.iter_mut().for_each(Tail::take);
                return code;
            }
        }
        tail.iter_mut().for_each(Tail::take);
        tree.news();
        let mut child = false;
        while let Some(signal) = signals.next() {
            if signal == Signal::SIGCHLD {
                child = true;
            } else if signal == Signal::SIGHUP {
                tree.leave(Input::Hangup, tree::HUNG_UP);
            } else {
                tree.leave(Input::Terminate, 0);
            }
        }
        tree.turn(child);
    }
}
