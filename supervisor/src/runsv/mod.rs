#![expect(clippy::disallowed_methods, reason = "driver: owns the signals and the wait of one runsv")]
//! `runsv DIR`: keeps the service of one directory running (spec runit §0, §1). `runsv -l TEMPLATE DIR` is what `runsvdir -l`
//! starts, see [`log`].
//!
//! * [`service`] — the machine of one supervised process; [`pair`] — of a service with its log service
//! * [`place`], [`instance`] — the driver of one service directory, of which a process may hold many
//! * [`record`], [`legacy`] — what is known when it was killed, and what the next one makes of it
//! * this module — the program: one directory, its signals, the wait
//!
//! What differs from runit, always to the better: the delay before a restart is a deadline and control scripts are children,
//! so no command is ever missed; `k` and `x` wait until the process is reaped; a control script that was killed does not
//! veto; `x` cannot be taken back; every byte in the fifo is taken at once.

mod cgroup;
mod command;
mod instance;
mod legacy;
mod log;
mod pair;
mod place;
mod policy;
mod record;
mod ring;
mod service;
mod settings;

pub(crate) use instance::{How, Instance, Rest, name};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use sys::msg::{Level, eprint, say};
use sys::poll::{PollFd, PollFlags, readable, wait};
use sys::signal::{Signal, Signals};
use sys::{Errno, clock, file, spawn};

/// Exit code for trouble of the system.
const TROUBLE: u8 = 111;

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let (template, dir) = match args {
        [_, dir] => (None, dir),
        [_, option, template, dir] if option == "-l" => (Some(template.as_os_str()), dir),
        _ => {
            eprint(&[b"usage: runsv dir\n\n"]);
            return 1;
        }
    };
    let how = How { template, ..How::ALONE };
    let program = [b"runsv ", dir.as_bytes()].concat();
    let fatal = |what: &[u8], why: Errno| {
        say(&program, Level::Fatal, &[what], Some(why));
        TROUBLE
    };
    let opened = match instance::open_dir(dir) {
        Ok(opened) => opened,
        Err(e) => return fatal(b"unable to change to directory", e),
    };
    let name = name(dir);
    // Others look for a service by its supervisor's working directory.
    if let Err(e) = file::enter(opened.as_fd()) {
        return fatal(b"unable to change to directory", e);
    }
    // Until the signals are taken TERM simply kills: there is nothing to stop yet, and the log's lock may be waited for.
    let mut instance = Instance::open(opened, name.as_deref(), program.clone(), how);
    // Not moved: the stack is part of what a supervisor costs.
    let Ok(instance) = &mut instance else { return TROUBLE };
    match Signals::take(&[Signal::SIGCHLD, Signal::SIGTERM]) {
        Ok(signals) => supervise(instance, &signals),
        Err(e) => fatal(b"unable to take signals", e),
    }
}

fn supervise(instance: &mut Instance, signals: &Signals) -> u8 {
    while let Rest::Until(deadline) = instance.settle() {
        let mut child = false;
        let mut term = false;
        let (signalled, other) = wait_for_input(instance, signals, deadline);
        if signalled {
            while let Some(signal) = signals.next() {
                child |= signal == Signal::SIGCHLD;
                term |= signal == Signal::SIGTERM;
            }
        }
        if other {
            instance.take();
        }
        if child {
            while let Some(pid) = spawn::ended() {
                instance.dead(pid);
                if let Some(status) = spawn::reap_child(pid) {
                    instance.exited(pid, status);
                }
            }
        }
        if term {
            instance.terminate();
        }
    }
    0
}

/// Waits for a signal, something the instance watches, or the deadline; returns whether it is a signal, and
/// whether it is something else.
fn wait_for_input(instance: &Instance, signals: &Signals, deadline: Option<clock::Instant>) -> (bool, bool) {
    let mut fds: [_; 1 + instance::WATCHED_MAX] =
        core::array::from_fn(|_| PollFd::new(signals.as_fd(), PollFlags::POLLIN));
    let mut used = 1;
    instance.watched(|fd, flags| {
        fds[used] = PollFd::new(fd, flags);
        used += 1;
    });
    let fds = &mut fds[..used];
    // Without memory for the call there is nothing better to do than to look at everything and try again.
    let ready = wait(fds, clock::monotonic(), deadline).unwrap_or(fds.len());
    let signal = ready == fds.len() || readable(&fds[0]);
    (signal, ready > usize::from(signal))
}
