//! The sub-commands' messages: one line each, `netd: level: what`; what was done goes to standard output as `netd: what`.

use std::io::Write;
use sys::msg::{Level, print, say};

/// The program ends.
pub(crate) fn fatal(what: &str) {
    say(b"netd", Level::Fatal, &[what.as_bytes()], None);
}

/// Something did not work and the rest goes on.
pub(crate) fn warning(what: &str) {
    say(b"netd", Level::Warning, &[what.as_bytes()], None);
}

/// A line about each thing that was done, in one write.
pub(crate) fn done<S: AsRef<str>>(what: &[S]) {
    let lines: String = what.iter().flat_map(|w| ["netd: ", w.as_ref(), "\n"]).collect();
    print(&[lines.as_bytes()]);
}

/// Output that somebody asked for; whether all of it could be written.
pub(crate) fn output(text: &str) -> bool {
    print(&[text.as_bytes()])
}

/// How to call it, to standard error.
pub(crate) fn usage(text: &str) {
    // Nobody is left to be told.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
