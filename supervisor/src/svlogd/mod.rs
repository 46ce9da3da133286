//! `svlogd`: writes its standard input to log directories that rotate by themselves (spec runit §4).
//!
//! [`lines`] finds lines and decides what becomes of them, [`journal`] when a new file starts, [`processor`] when old files are
//! processed; [`config`], [`pattern`], [`stamp`], [`names`] and [`invocation`] are what they say. All of these are pure.
//! [`directory`] owns the files, [`input`] the pipe, [`driver`] everything else. No line is lost at end of input, TERM or KILL, on a
//! full disk, or with any sizes configured.

mod config;
mod directory;
mod driver;
mod input;
mod invocation;
mod journal;
mod lines;
pub(crate) mod names;
mod pattern;
mod processor;
mod remote;
pub(crate) mod stamp;
#[cfg(test)]
mod tests;

use invocation::Refused;
use std::ffi::OsString;
use sys::msg;

const USAGE: u8 = 111;

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(args: &[OsString]) -> u8 {
    match invocation::parse(args.get(1..).unwrap_or_default()) {
        Ok(invocation) => driver::run(&invocation),
        Err(refused) => usage(refused),
    }
}

fn usage(refused: Refused) -> u8 {
    match refused {
        Refused::Illegal(c) => msg::eprint(&[b"svlogd: illegal option -- ", &[c], b"\n"]),
        Refused::NoValue(c) => msg::eprint(&[b"svlogd: option requires an argument -- ", &[c], b"\n"]),
        Refused::Version => msg::eprint(&[b"$Id: portreeve ", env!("CARGO_PKG_VERSION").as_bytes(), b" $\n"]),
        Refused::Usage => {}
    }
    msg::eprint(&[b"usage: svlogd [-ttv] [-r c] [-R abc] [-l len] [-b buflen] dir ...\n\n"]);
    USAGE
}
