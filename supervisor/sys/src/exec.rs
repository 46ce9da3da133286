//! Becoming another program. Everything that allocates happens in [`Program::new`], so that the limits a caller sets on itself
//! in between cannot make the rest fail.

use core::ffi::c_char;
use core::ptr;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigHandler, Signal};
use std::ffi::{CString, NulError};

/// A program to become: where it may be, its arguments, its environment.
#[derive(Debug)]
pub struct Program {
    /// Files to try, in this order.
    places: Vec<CString>,
    argv: Strings,
    env: Strings,
}

/// An array as exec wants it, and what it points to.
#[derive(Debug)]
struct Strings {
    pointers: Vec<*const c_char>,
    #[expect(dead_code, reason = "owns what the pointers point to")]
    owned: Vec<CString>,
}

impl Program {
    /// `file` with these arguments, of which the first is the name it sees. Without a slash it is looked for in the directories
    /// of `path`, separated by colons; an empty one is the working directory. Fails if a string has a NUL.
    pub fn new(file: &[u8], path: &[u8], argv: Vec<CString>, env: Vec<CString>) -> Result<Self, NulError> {
        let places = if file.contains(&b'/') {
            vec![CString::new(file)?]
        } else {
            let dirs = path.split(|&b| b == b':');
            let dirs = dirs.map(|dir| if dir.is_empty() { b"." } else { dir });
            dirs.map(|dir| CString::new([dir, b"/", file].concat())).collect::<Result<_, _>>()?
        };
        Ok(Self { places, argv: Strings::new(argv), env: Strings::new(env) })
    }

    /// Becomes it; returns only if that fails. What is missing or forbidden in one place is looked for in the next, and forbidden
    /// is what is reported then. No shell is tried for a file of unknown format. SIGPIPE gets its default back, which Rust's
    /// runtime took away; the signal mask and the other dispositions stay.
    #[expect(unsafe_code, reason = "nix's exec allocates, which the limits may forbid by now")]
    pub fn run(&self) -> Errno {
        // SAFETY: no handler is installed.
        let _ = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) };
        let mut why = Errno::ENOENT;
        for place in &self.places {
            // SAFETY: valid strings, and arrays that end in a null pointer, all owned by self.
            unsafe { libc::execve(place.as_ptr(), self.argv.pointers.as_ptr(), self.env.pointers.as_ptr()) };
            let e = Errno::last();
            if matches!(e, Errno::EACCES | Errno::EPERM | Errno::EISDIR) {
                why = e;
            } else if e != Errno::ENOENT {
                return e;
            }
        }
        why
    }
}

impl Strings {
    fn new(owned: Vec<CString>) -> Self {
        let pointers = owned.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, owned }
    }
}

/// Closes standard input (0), output (1) or error (2) for good, without anything in its place.
pub fn close_standard(number: u8) -> Result<(), Errno> {
    nix::unistd::close(i32::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(file: &str, path: &str) -> Errno {
        Program::new(file.as_bytes(), path.as_bytes(), vec![c"x".to_owned()], vec![]).unwrap().run()
    }

    #[test]
    fn the_reason_is_the_most_telling_one() {
        assert_eq!(failure("nosuch", "/bin:/usr/bin"), Errno::ENOENT);
        assert_eq!(failure("/nosuch", "/bin"), Errno::ENOENT);
        assert_eq!(failure("passwd", "/etc:/nowhere"), Errno::EACCES);
        assert_eq!(failure("passwd/x", ""), Errno::ENOENT);
        assert_eq!(failure("/etc/passwd/x", ""), Errno::ENOTDIR);
        assert!(Program::new(b"a\0b", b"", vec![], vec![]).is_err());
    }

    #[test]
    fn places() {
        let program = Program::new(b"x", b"/a::b:", vec![], vec![]).unwrap();
        assert_eq!(program.places, [c"/a/x", c"./x", c"b/x", c"./x"].map(ToOwned::to_owned));
    }
}
