//! `sv`: shows and controls services through `supervise/` (spec runit §2).
//!
//! [`command`], [`invocation`], [`goal`] and [`report`] decide and are pure; [`look`] reads and writes a service's files and
//! [`waiter`] waits. Commands are always sent, whatever the status says: it may be older than a command on its way, and
//! runit loses an `up` that way.

mod command;
mod enable;
mod extra;
mod goal;
mod invocation;
mod list;
mod log;
mod look;
mod place;
mod report;
mod waiter;

pub(crate) use look::{alive, normally, send};
pub(crate) use place::Place;
pub(crate) use report::{Normally, Report, Trouble, Whose};

use command::{Action, Order};
use invocation::{Invocation, Refused};
use look::show;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use sys::clock::monotonic;
use sys::msg;
use waiter::{Waiter, failed};

/// Usage as `sv`, and as an init script.
const USAGE: u8 = 100;
const LSB_USAGE: u8 = 2;

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(args: &[OsString]) -> u8 {
    match invocation::parse(args, environment("SVWAIT").as_deref()) {
        Ok(invocation) => run(&invocation, &svdir()),
        Err(refused) => usage(args.first().map_or(b"sv", |a| a.as_bytes()), refused),
    }
}

/// The services directory: `SVDIR`, or the usual one.
pub(crate) fn svdir() -> Vec<u8> {
    environment("SVDIR").map_or_else(|| place::DEFAULT_SVDIR.to_vec(), OsString::into_vec)
}

#[expect(clippy::disallowed_methods, reason = "driver: main reads its environment")]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[expect(clippy::disallowed_methods, reason = "driver: the deadline counts from here")]
fn run(invocation: &Invocation<'_>, svdir: &[u8]) -> u8 {
    let mut report = Report::default();
    match (invocation.action, invocation.wait) {
        (Action::Status, _) => {
            for (name, mut place) in places(invocation.services, svdir) {
                show(&mut place, name, &mut report);
            }
        }
        (Action::Send(order), None) => {
            for (name, mut place) in places(invocation.services, svdir) {
                tell(&mut place, name, &order, &mut report);
            }
        }
        (Action::Send(order), Some(time)) => {
            let deadline = monotonic() + time;
            let mut waiter = Waiter::new();
            for (name, place) in places(invocation.services, svdir) {
                waiter.send(name, place, order, &mut report);
            }
            waiter.run(deadline, &mut report);
        }
        (Action::List(format), _) => return list::run(invocation.services, svdir, format),
        (Action::Log(logging), _) => return log::run(invocation.services, svdir, logging),
        (Action::Enable(template), time) => {
            let deadline = time.map(|time| monotonic() + time);
            enable::enable(invocation.services, svdir, template, deadline, &mut report);
        }
        (Action::Disable, time) => {
            let deadline = monotonic() + time.unwrap_or_default();
            enable::disable(invocation.services, svdir, deadline, &mut report);
        }
    }
    report.flush();
    report.code(invocation.manner, invocation.action == Action::Status)
}

fn places<'a>(services: &'a [OsString], svdir: &[u8]) -> impl Iterator<Item = (&'a [u8], Place)> {
    services.iter().map(|s| (s.as_bytes(), Place::of(s.as_bytes(), svdir)))
}

/// Sends without waiting.
fn tell(place: &mut Place, name: &[u8], order: &Order, report: &mut Report) {
    if let Err(trouble) = alive(place).and_then(|_| send(place, order.send)) {
        failed(name, order, trouble, report);
    }
}

fn usage(name: &[u8], refused: Refused) -> u8 {
    match refused {
        Refused::Illegal(c) => msg::eprint(&[name, b": illegal option -- ", &[c], b"\n"]),
        Refused::NoValue(c) => msg::eprint(&[name, b": option requires an argument -- ", &[c], b"\n"]),
        Refused::Version => msg::eprint(&[b"$Id: portreeve ", env!("CARGO_PKG_VERSION").as_bytes(), b" $\n"]),
        Refused::Extra(usage) => {
            msg::eprint(&[b"usage: ", usage, b"\n\n"]);
            return USAGE;
        }
        Refused::Usage => {}
    }
    if OsStr::from_bytes(name) == "sv" {
        msg::eprint(&[b"usage: sv [-v] [-w sec] command service ...\n\n"]);
        USAGE
    } else {
        msg::eprint(&[b"usage: ", name, b" [-w sec] command\n\n"]);
        LSB_USAGE
    }
}
