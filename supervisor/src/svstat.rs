//! `svstat DIR ...`: daemontools' view of a service, one line each on standard output, always exit 0 (spec runit §6).
//!
//! It reads the first 18 bytes of the status, which daemontools' `supervise` writes too, so `finish` counts as up. Directories
//! are relative to the working directory; nobody else's `svstat` knows a services directory.
#![expect(clippy::disallowed_methods, reason = "driver: reads status files and the clock")]

use crate::service;
use crate::status::{SHORT_LEN, State, Status, Want};
use crate::sv::{Normally, Place, Trouble, alive, normally};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use sys::clock::{Tai64n, Wall, wall};
use sys::errtext::errtext;
use sys::file::{CWD, read_into};
use sys::msg::{self, Dec};

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let mut out = Vec::new();
    for name in args.iter().skip(1) {
        let mut place = Place::at(name.as_bytes().to_vec());
        out.extend_from_slice(name.as_bytes());
        match alive(&mut place).and_then(|_| read(&mut place)) {
            Ok(status) => state(&mut out, &status, normally(&mut place, name.as_bytes()), wall()),
            Err(trouble) => problem(&mut out, trouble),
        }
        out.push(b'\n');
    }
    let _ = msg::print(&[&out]);
    0
}

fn read(place: &mut Place) -> Result<Status, Trouble> {
    let mut buf = [0; SHORT_LEN];
    match read_into(CWD, place.file(service::STATUS), &mut buf) {
        Ok(bytes) => Status::unpack_short(bytes).ok_or(Trouble::BadFormat),
        Err(e) => Err(Trouble::File(b"unable to open supervise/status", e)),
    }
}

fn state(out: &mut Vec<u8>, s: &Status, normally: Normally, now: Wall) {
    let up = match s.state {
        State::Down => false,
        State::Run | State::Finish => true,
    };
    if up {
        out.extend_from_slice(b": up (pid ");
        out.extend_from_slice(Dec::new(s.pid.into()).as_bytes());
        out.extend_from_slice(b") ");
    } else {
        out.extend_from_slice(b": down ");
    }
    out.extend_from_slice(Dec::new(Tai64n::from(now).label.saturating_sub(s.since.label)).as_bytes());
    out.extend_from_slice(b" seconds");
    let flags: [(bool, &[u8]); 5] = [
        (up && normally == Normally::Down, b", normally down"),
        (!up && normally == Normally::Up, b", normally up"),
        (up && s.paused, b", paused"),
        (!up && s.want == Want::Up, b", want up"),
        (up && s.want == Want::Down, b", want down"),
    ];
    flags.iter().filter(|(is, _)| *is).for_each(|(_, flag)| out.extend_from_slice(flag));
}

fn problem(out: &mut Vec<u8>, trouble: Trouble) {
    let (what, why): (&[u8], _) = match trouble {
        Trouble::NotRunning => (b": supervise not running", None),
        Trouble::NoDirectory(e) | Trouble::NoLogDirectory(e) => (b": unable to chdir", Some(e)),
        Trouble::File(what, e) => {
            out.extend_from_slice(b": ");
            (what, Some(e))
        }
        Trouble::BadFormat => (b": unable to read supervise/status: bad format", None),
    };
    out.extend_from_slice(what);
    if let Some(e) = why {
        out.extend_from_slice(b": ");
        out.extend_from_slice(errtext(e).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::Errno;

    fn line(s: &Status, normally: Normally) -> String {
        let mut out = b"x".to_vec();
        state(&mut out, s, normally, Wall { secs: 100, nanos: 0 });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_daemontools() {
        let since = Tai64n::from(Wall { secs: 97, nanos: 0 });
        let up = Status { since, pid: 5, want: Want::Up, state: State::Run, ..Status::default() };
        let down = Status { pid: 0, state: State::Down, ..up };
        assert_eq!(line(&up, Normally::Up), "x: up (pid 5) 3 seconds");
        let all = Status { paused: true, want: Want::Down, ..up };
        assert_eq!(line(&all, Normally::Down), "x: up (pid 5) 3 seconds, normally down, paused, want down");
        assert_eq!(line(&down, Normally::Up), "x: down 3 seconds, normally up, want up");
        assert_eq!(line(&Status { want: Want::Once, ..down }, Normally::Down), "x: down 3 seconds");
    }

    #[test]
    fn problems_are_daemontools() {
        for (trouble, text) in [
            (Trouble::NotRunning, ": supervise not running"),
            (Trouble::NoDirectory(Errno::ENOENT), ": unable to chdir: file does not exist"),
            (
                Trouble::File(b"unable to open supervise/ok", Errno::EACCES),
                ": unable to open supervise/ok: access denied",
            ),
            (Trouble::BadFormat, ": unable to read supervise/status: bad format"),
        ] {
            let mut out = Vec::new();
            problem(&mut out, trouble);
            assert_eq!(out, text.as_bytes());
        }
    }
}
