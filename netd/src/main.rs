//! netd, dhcpc, zcip, linkwatch and pinger in one executable.
//!
//! The name it is called by says what it is, exactly: `udhcpc` is dhcpc, `udhcpc6` is an error. Called by its own name the
//! first argument chooses: a sub-command of netd, or one of the daemons (`netd dhcpc -i eth0`). Each sub-command is a file of
//! its own; what they share is `sources` (the files), `state` (the decisions), `kernel` (the only one that talks to it) and
//! `say`.

mod apply;
mod check;
mod flows;
mod host;
mod kernel;
mod lint;
mod list;
mod plan;
mod publish;
mod render;
mod request;
mod rules;
mod runs;
mod say;
mod sources;
mod state;
mod status;
mod trial;
mod wait;
mod why;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// The entry of one program: its arguments without the program's name.
type Run = fn(&[OsString]) -> ExitCode;

/// What the executable is called itself; also the first part of every message of a sub-command.
const NETD: &str = "netd";

/// Programs reached by the name the executable is called by.
const PROGRAMS: &[(&str, Run)] = &[
    (NETD, netd),
    ("dhcpc", dhcpc::main),
    ("udhcpc", dhcpc::udhcpc),
    ("zcip", zcip::main),
    ("linkwatch", linkwatch::main),
    ("ifplugd", linkwatch::main),
    ("pinger", linkwatch::pinger::main),
];

/// Sub-commands of netd: name, arguments for the usage text, entry.
const COMMANDS: &[(&str, &str, Run)] = &[
    ("apply", request::ARGS, apply::run),
    ("check", check::ARGS, check::run),
    ("confirm", trial::CONFIRM_ARGS, trial::confirm),
    ("forget", flows::ARGS, flows::run),
    ("keep", "", trial::keep),
    ("list", list::ARGS, list::run),
    ("plan", request::ARGS, plan::run),
    ("publish", publish::ARGS, publish::run),
    ("render", render::ARGS, render::run),
    ("rollback", trial::ROLLBACK_ARGS, trial::rollback),
    ("rules", rules::ARGS, rules::run),
    ("settle", "", trial::settle),
    ("status", status::ARGS, status::run),
    ("trial-wait", "", trial::wait),
    ("try", trial::TRY_ARGS, trial::try_),
    ("wait", wait::ARGS, wait::run),
    ("why", why::ARGS, why::run),
];

/// Exit code when nothing was done: a command line nobody understands, or the lack of what the work needs (runit's 100).
const FATAL: u8 = 100;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    let name = Path::new(&called).file_name().unwrap_or_default();
    match named(PROGRAMS, name) {
        Some(run) => run(&args),
        None => {
            say::fatal(&format!("called by the unknown name {}", name.display()));
            ExitCode::from(FATAL)
        }
    }
}

fn named(table: &[(&str, Run)], name: &OsStr) -> Option<Run> {
    table.iter().find(|(n, _)| name == *n).map(|&(_, run)| run)
}

/// The executable's own name: the first argument is a sub-command or a program.
fn netd(args: &[OsString]) -> ExitCode {
    let Some((word, rest)) = args.split_first() else { return usage() };
    if let Some(&(_, _, run)) = COMMANDS.iter().find(|(n, _, _)| word == *n) {
        return run(rest);
    }
    match named(PROGRAMS, word).filter(|_| word != NETD) {
        Some(run) => run(rest),
        None => usage(),
    }
}

fn usage() -> ExitCode {
    let mut text = String::from("usage:\n");
    for (name, args, _) in COMMANDS {
        text.push_str(&format!("  {NETD} {name} {args}\n"));
    }
    for (name, _) in PROGRAMS.iter().filter(|(n, _)| *n != NETD) {
        text.push_str(&format!("  {name} ... (or {NETD} {name} ...)\n"));
    }
    say::usage(&text);
    ExitCode::from(FATAL)
}

/// A sub-command that was called wrongly.
fn wrong_usage(e: &lexopt::Error) -> ExitCode {
    give_up(&format!("usage: {e}"))
}

/// A sub-command that cannot begin.
fn give_up(why: &str) -> ExitCode {
    say::fatal(why);
    ExitCode::from(FATAL)
}
