//! runsv, runsvdir, sv, svlogd, chpst and the daemontools names in one executable.
//!
//! The program is chosen by the exact name it is called by; called `supervisor`, by the first argument. Any other name is a
//! link from `/etc/init.d`, so `sv` takes it as the name of a service and speaks LSB (spec runit §2.1). Each program is a
//! function from its arguments to its exit code; `args[0]` is the name it was called by, without the directory.

#![cfg_attr(not(test), no_main)]

mod chpst;
mod history;
mod runsv;
mod runsvdir;
mod service;
mod status;
mod sv;
mod svc;
mod svlogd;
mod svok;
mod svstat;

use std::ffi::{OsStr, OsString};
use std::path::Path;

#[global_allocator]
static HEAP: sys::heap::SmallHeap = sys::heap::SmallHeap::new();

/// A program: its arguments, of which the first is its own name, to its exit code.
type Program = fn(&[OsString]) -> u8;

const PROGRAMS: [(&str, Program); 14] = [
    ("chpst", chpst::main),
    ("envdir", chpst::main),
    ("envuidgid", chpst::main),
    ("pgrphack", chpst::main),
    ("runsv", runsv::main),
    ("runsvdir", runsvdir::main),
    ("setlock", chpst::main),
    ("setuidgid", chpst::main),
    ("softlimit", chpst::main),
    ("sv", sv::main),
    ("svc", svc::main),
    ("svlogd", svlogd::main),
    ("svok", svok::main),
    ("svstat", svstat::main),
];

/// Exit code without a program.
const USAGE: u8 = 100;

/// The executable's own name.
const SELF: &str = "supervisor";

#[cfg(not(test))]
sys::entry!(start);

fn start(mut args: Vec<OsString>) -> u8 {
    let Some(first) = args.first_mut() else { return usage() };
    if let Some(name) = Path::new(first).file_name() {
        *first = name.to_owned();
    }
    if args[0] == SELF {
        return match args.get(1).and_then(|name| program(name)) {
            Some(run) => run(&args[1..]),
            None => usage(),
        };
    }
    let run = program(&args[0]).unwrap_or(sv::main);
    run(&args)
}

fn program(name: &OsStr) -> Option<Program> {
    PROGRAMS.iter().find(|(known, _)| name == *known).map(|&(_, run)| run)
}

fn usage() -> u8 {
    let names = PROGRAMS.map(|(name, _)| name).join("|");
    sys::msg::eprint(&[b"usage: supervisor ", names.as_bytes(), b" [argument ...]\n\n"]);
    USAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_is_wrong_usage() {
        for args in [&[][..], &["/bin/supervisor"], &["supervisor", "sh"]] {
            assert_eq!(start(args.iter().map(OsString::from).collect()), USAGE, "{args:?}");
        }
    }

    #[test]
    fn names_are_exact() {
        for (name, _) in PROGRAMS {
            assert!(program(OsStr::new(name)).is_some());
        }
        for name in ["runs", "xsv", "sv ", "SV", "", SELF] {
            assert!(program(OsStr::new(name)).is_none(), "{name:?}");
        }
    }
}
