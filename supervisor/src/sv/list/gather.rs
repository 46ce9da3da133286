//! Looks at the services and prints what it found.
#![expect(clippy::disallowed_methods, reason = "driver: reads directories, status files, the clock and two variables")]

use super::table::Colour;
use super::{Entry, Facts, json, table};
use crate::service;
use crate::status::Status;
use crate::sv::command::Format;
use crate::sv::look;
use crate::sv::place::Place;
use crate::sv::report::Normally;
use std::ffi::{CStr, OsStr, OsString};
use std::io::{IsTerminal, stdout};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use sys::Errno;
use sys::clock::wall;
use sys::file::{CWD, exists, is_dir, stat};
use sys::msg::{Level, print, say};

/// Most troubles an exit code tells.
const MAX_FAILED: usize = 99;
/// A directory of services that cannot be read.
const FATAL: u8 = 100;

/// Prints the services `what` names, or those of the services directory; returns how many could not be looked at, or 100 if
/// the services directory could not.
#[inline(never)] // so that `status` needs none of its stack
pub(crate) fn run(what: &[OsString], svdir: &[u8], format: Format) -> u8 {
    let mut entries = Vec::new();
    if what.is_empty()
        && let Err(e) = directory(svdir, b"", &mut entries)
    {
        say(b"sv", Level::Fatal, &[b"unable to open directory ", svdir], Some(e));
        return FATAL;
    }
    for name in what.iter().map(|name| name.as_bytes()) {
        let mut place = Place::of(name, svdir);
        let slash: &[u8] = if name.ends_with(b"/") { b"" } else { b"/" };
        // What is neither is a service that is not there.
        if is_service(&mut place) || directory(place.dir(), &[name, slash].concat(), &mut entries).is_err() {
            entries.push(entry(name.to_vec(), place));
        }
    }
    let now = wall();
    let text = match format {
        Format::Json => json::text(&entries, now),
        Format::Table => table::text(&entries, now, colour()),
    };
    print(&[&text]);
    let failed = entries.iter().filter(|e| e.service.is_err()).count().min(MAX_FAILED);
    u8::try_from(failed).unwrap_or(FATAL)
}

/// Anything else is a directory of services, if it is one at all.
fn is_service(place: &mut Place) -> bool {
    [service::RUN, service::SUPERVISE].into_iter().any(|name| matches!(exists(CWD, place.file(name)), Ok(true)))
}

/// Adds the services in `dir`, by name; `prefix` makes a name one that `sv` understands.
fn directory(dir: &[u8], prefix: &[u8], entries: &mut Vec<Entry>) -> Result<(), Errno> {
    let errno = |e: std::io::Error| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(OsStr::from_bytes(dir)).map_err(errno)? {
        let name = entry.map_err(errno)?.file_name().into_vec();
        if !name.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable();
    for name in names {
        let mut place = Place::at([dir, b"/", &name].concat());
        // As runsvdir: what is no directory is no service. A dangling link is one that is missing.
        match stat(CWD, place.file(c".")) {
            Err(Errno::ENOTDIR) => {}
            Ok(s) if !is_dir(&s) => {}
            Ok(_) | Err(_) => entries.push(entry([prefix, &name].concat(), place)),
        }
    }
    Ok(())
}

fn entry(name: Vec<u8>, mut place: Place) -> Entry {
    let service = look::alive(&mut place).and_then(|_| look::status(&mut place)).map(|status| Facts {
        status,
        normally: marked(&mut place, service::DOWN),
        history: look::history(&mut place, service::HISTORY),
    });
    let log = match service {
        Ok(_) => look::log_status(&mut place).map(|found| found.map(|status| log_facts(status, &mut place))),
        Err(_) => None,
    };
    Entry { name, service, log }
}

/// Its own in `log/`, or the template's.
fn log_facts(status: Status, place: &mut Place) -> Facts {
    let history = look::history(place, service::LOG_HISTORY);
    Facts {
        status,
        normally: marked(place, service::LOG_DOWN),
        history: history.or_else(|| look::history(place, service::TEMPLATE_LOG_HISTORY)),
    }
}

fn marked(place: &mut Place, down: &CStr) -> Normally {
    match stat(CWD, place.file(down)) {
        Ok(_) => Normally::Down,
        Err(Errno::ENOENT) => Normally::Up,
        Err(_) => Normally::Unknown,
    }
}

/// On a terminal that can, unless NO_COLOR says otherwise (no-color.org).
fn colour() -> Colour {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
    if refused || dumb || !stdout().is_terminal() { Colour::Off } else { Colour::On }
}
