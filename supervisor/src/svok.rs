//! `svok DIR`: exit 0 if a supervisor is there, 100 if not, 111 if it cannot be told (spec runit §6). Never blocks: busybox's
//! hangs when the supervisor has died.

use crate::sv::{Place, Trouble, alive, svdir};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use sys::Errno;
use sys::msg::{self, Level, say};

const NOT_RUNNING: u8 = 100;
const USAGE: u8 = 100;
const FATAL: u8 = 111;

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let Some(name) = args.get(1) else {
        msg::eprint(&[b"usage: svok dir\n\n"]);
        return USAGE;
    };
    let name = name.as_bytes();
    let result = alive(&mut Place::of(name, &svdir())).map(drop);
    if let Some((what, why)) = complaint(result) {
        say(b"svok", Level::Fatal, &[what, name], Some(why));
    }
    code(result)
}

fn code(result: Result<(), Trouble>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(Trouble::NotRunning | Trouble::File(_, Errno::ENOENT)) => NOT_RUNNING,
        Err(Trouble::NoDirectory(_) | Trouble::NoLogDirectory(_) | Trouble::File(..) | Trouble::BadFormat) => FATAL,
    }
}

fn complaint(result: Result<(), Trouble>) -> Option<(&'static [u8], Errno)> {
    match result {
        Ok(()) | Err(Trouble::NotRunning | Trouble::File(_, Errno::ENOENT) | Trouble::BadFormat) => None,
        Err(Trouble::NoDirectory(e) | Trouble::NoLogDirectory(e)) => Some((b"unable to change to ", e)),
        Err(Trouble::File(_, e)) => Some((b"unable to open supervise/ok of ", e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_daemontools() {
        assert_eq!(code(Ok(())), 0);
        assert_eq!(code(Err(Trouble::NotRunning)), 100);
        assert_eq!(code(Err(Trouble::File(b"", Errno::ENOENT))), 100);
        assert_eq!(code(Err(Trouble::File(b"", Errno::EACCES))), 111);
        assert_eq!(code(Err(Trouble::NoDirectory(Errno::ENOENT))), 111);
        assert_eq!(complaint(Err(Trouble::NotRunning)), None);
        assert_eq!(
            complaint(Err(Trouble::NoDirectory(Errno::ENOENT))),
            Some((b"unable to change to ".as_slice(), Errno::ENOENT))
        );
    }
}
