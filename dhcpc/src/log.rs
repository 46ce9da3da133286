//! Lines on standard error: `PROGRAM: IF: what`, and warnings in the grammar of all our programs.

use netif::IfName;
use std::io::{Write, stderr};
use sys::Errno;
use sys::msg::{Level, say};

/// Writes lines for one interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(crate) program: &'static str,
    pub(crate) interface: IfName,
    /// 0: changes of state. 1: packets. 2: timers and refused packets.
    pub(crate) verbose: u8,
}

impl Log {
    /// A change of state.
    pub(crate) fn line(&self, what: impl core::fmt::Display) {
        // In one write, so that the lines of several clients do not mix. If nobody takes it, nobody misses it.
        let _ = stderr().write_all(format!("{}: {}: {what}\n", self.program, self.interface).as_bytes());
    }

    /// For those who asked with so many `-v`.
    pub(crate) fn detail(&self, level: u8, what: impl FnOnce() -> String) {
        if self.verbose >= level {
            self.line(what());
        }
    }

    pub(crate) fn warn(&self, what: &str) {
        say(self.program.as_bytes(), Level::Warning, &[self.interface.as_bytes(), b": ", what.as_bytes()], None);
    }

    pub(crate) fn warn_errno(&self, what: &str, why: Errno) {
        say(self.program.as_bytes(), Level::Warning, &[self.interface.as_bytes(), b": ", what.as_bytes()], Some(why));
    }
}
