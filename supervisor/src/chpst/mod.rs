//! `chpst` and daemontools' names of its parts: change this process, then become another program (spec runit §5, §6).
//!
//! * [`invocation`] — what each name's command line asks for: a [`change::Change`]
//! * [`account`] — users and groups, found in the text of `/etc/passwd` and `/etc/group`: no name service, so it works in a
//!   static executable, and with -/ the files of the new root count
//! * [`environment`] — variables, and what a file of an environment directory says
//! * [`apply`] — the driver: does it, in runit's order
//!
//! All are pure but the driver. Messages of every name begin with `chpst:`, as runit's do.

mod account;
mod apply;
mod change;
mod environment;
mod invocation;

use invocation::Refused;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use sys::msg;

const USAGE: u8 = 100;
const FATAL: u8 = 111;

/// The program. `args[0]` is the name it was called by: `chpst`, or one of daemontools' names.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let Some((name, args)) = args.split_first() else { return USAGE };
    match invocation::parse(name, args) {
        Ok(change) => apply::apply(&change),
        Err(refused) => usage(name.as_bytes(), refused),
    }
}

fn usage(name: &[u8], refused: Refused) -> u8 {
    match refused {
        Refused::Illegal(c) => msg::eprint(&[name, b": illegal option -- ", &[c], b"\n"]),
        Refused::NoValue(c) => msg::eprint(&[name, b": option requires an argument -- ", &[c], b"\n"]),
        Refused::Version => msg::eprint(&[b"$Id: portreeve ", env!("CARGO_PKG_VERSION").as_bytes(), b" $\n"]),
        Refused::Usage => {}
    }
    msg::eprint(&[b"usage: ", name, b" ", synopsis(name).as_bytes(), b"\n\n"]);
    USAGE
}

fn synopsis(name: &[u8]) -> &'static str {
    match name {
        b"envdir" => "dir child",
        b"envuidgid" | b"setuidgid" => "account child",
        b"pgrphack" => "child",
        b"setlock" => "[ -nNxX ] file program [ arg ... ]",
        b"softlimit" => {
            "[-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] \
             [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child"
        }
        _ => {
            "[-vVP012] [-u user[:group]] [-U user[:group]] [-b argv0] [-e dir] [-/ root] [-C pwd] [-n nice] [-l|-L lock] \
             [-m n] [-d n] [-o n] [-p n] [-f n] [-c n] [-t n] prog"
        }
    }
}
