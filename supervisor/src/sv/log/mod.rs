//! `sv log`: what a service wrote, wherever its logger keeps it ([`find`]). Followed ([`follow`]) as `tail -F` does, but through
//! rotation without losing a line, or all of it in a pager ([`page`]). [`stamps`] makes stamps readable and is pure.

mod files;
mod find;
mod follow;
mod page;
mod stamps;

use super::command::Logging;
use super::place::Place;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use sys::Errno;
use sys::msg::{Level, say};

/// There is no log, or it cannot be read.
const FAILED: u8 = 1;

/// Shows the log of `services[0]`; returns the exit code.
#[inline(never)] // so that `status` needs none of its stack
pub(crate) fn run(services: &[OsString], svdir: &[u8], logging: Logging) -> u8 {
    let Some(name) = services.first().map(|s| s.as_bytes()) else { return FAILED };
    let mut place = Place::of(name, svdir);
    let Some(dir) = find::directory(&mut place, name) else {
        say(b"sv", Level::Fatal, &[b"unable to find the log of ", name], None);
        return FAILED;
    };
    let done = if logging.page { page::run(&dir, logging.raw) } else { follow::run(&dir, &logging) };
    match done {
        Ok(()) => 0,
        // Whoever read it has seen enough.
        Err(Errno::EPIPE) => 0,
        Err(e) => {
            say(b"sv", Level::Fatal, &[b"unable to read log directory ", &dir], Some(e));
            FAILED
        }
    }
}
