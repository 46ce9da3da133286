//! Lines about one interface: `PROGRAM: IF: what`, and warnings in the grammar of all our programs.

use netif::IfName;
use sys::Errno;
use sys::msg::Level;

/// Writes lines for one interface.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) to: netif::log::Log,
    pub(crate) interface: IfName,
    /// 0: changes of state. 1: packets. 2: timers and refused packets.
    pub(crate) verbose: u8,
}

impl Log {
    /// A change of state.
    pub(crate) fn line(&self, what: impl core::fmt::Display) {
        self.to.line(&format!("{}: {what}", self.interface));
    }

    /// For those who asked with so many `-v`.
    pub(crate) fn detail(&self, level: u8, what: impl FnOnce() -> String) {
        if self.verbose >= level {
            self.line(what());
        }
    }

    pub(crate) fn warn(&self, what: &str) {
        self.say(Level::Warning, what, None);
    }

    pub(crate) fn warn_errno(&self, what: &str, why: Errno) {
        self.say(Level::Warning, what, Some(why));
    }

    pub(crate) fn say(&self, level: Level, what: &str, why: Option<Errno>) {
        self.to.say(level, &format!("{}: {what}", self.interface), why);
    }
}
