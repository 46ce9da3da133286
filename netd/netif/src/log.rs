//! Lines of a daemon: on standard error, and in the system's log where that was asked for.
//!
//! The system's log is a datagram per line to /dev/log, as RFC 3164 has it but for the time, which the one who receives it
//! adds (section 4.3.2): it knows the time zone. Each line is sent to the path, not over a connection, so a syslogd that is
//! started anew hears the next one; where nobody listens or a syslogd does not keep up, a line is lost and nothing waits.

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket};
use std::ffi::OsStr;
use std::io::{Write, stderr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use sys::Errno;
use sys::errtext::errtext;
use sys::msg::{Level, say};

/// Where syslogd listens.
const SYSLOG: &str = "/dev/log";
/// RFC 3164 §4.1: no packet is longer, in bytes.
const LONGEST: usize = 1024;
/// LOG_DAEMON, as a part of the priority.
const DAEMON: u8 = 3 << 3;

/// Where a daemon's lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Standard error.
    pub stderr: bool,
    /// The system's log.
    pub syslog: bool,
}

impl Targets {
    /// Standard error alone, where a supervisor's log service reads.
    pub const STDERR: Self = Self { stderr: true, syslog: false };

    /// These, unless busybox's variable `LOGGING` says `none` or `syslog`.
    #[must_use]
    pub fn unless(self, logging: Option<&OsStr>) -> Self {
        match logging.map(OsStr::as_encoded_bytes) {
            Some(b"none") => Self { stderr: false, syslog: false },
            Some(b"syslog") => Self { stderr: false, syslog: true },
            Some(_) | None => self,
        }
    }
}

/// One program's log.
#[derive(Clone, Debug)]
pub struct Log {
    program: &'static str,
    stderr: bool,
    syslog: Option<Rc<OwnedFd>>,
}

impl Log {
    /// To be called before the rights are given up: this is when the socket is made.
    pub fn new(program: &'static str, targets: Targets) -> Self {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // A kernel without local sockets has no syslogd either.
        let open = || socket(AddressFamily::Unix, SockType::Datagram, flags, None).ok().map(Rc::new);
        Self { program, stderr: targets.stderr, syslog: if targets.syslog { open() } else { None } }
    }

    /// `PROGRAM: WHAT`
    pub fn line(&self, what: &str) {
        if self.stderr {
            // In one write, so that the lines of several daemons do not mix. If nobody takes it, nobody misses it.
            let _ = stderr().write_all(format!("{}: {what}\n", self.program).as_bytes());
        }
        self.send(Level::Info, what);
    }

    /// `PROGRAM: LEVEL: WHAT[: WHY]`
    pub fn say(&self, level: Level, what: &str, why: Option<Errno>) {
        if self.stderr {
            say(self.program.as_bytes(), level, &[what.as_bytes()], why);
        }
        if self.syslog.is_some() {
            let why = why.map(|e| format!(": {}", errtext(e))).unwrap_or_default();
            let word = match level {
                Level::Fatal => "fatal: ",
                Level::Warning => "warning: ",
                Level::Pausing => "pausing: ",
                Level::Info => "",
            };
            self.send(level, &format!("{word}{what}{why}"));
        }
    }

    fn send(&self, level: Level, what: &str) {
        let Some(socket) = &self.syslog else { return };
        let packet = packet(level, self.program, std::process::id(), what);
        // Nobody is left to be told of an error.
        let _ = UnixAddr::new(SYSLOG)
            .and_then(|to| sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL));
    }
}

/// `<PRIORITY>TAG[PID]: WHAT`, cut where it is too long, with nothing in it that begins another line.
fn packet(level: Level, program: &str, pid: u32, what: &str) -> Vec<u8> {
    let severity = match level {
        Level::Fatal => 3,
        Level::Warning | Level::Pausing => 4,
        Level::Info => 6,
    };
    let mut packet = format!("<{}>{program}[{pid}]: {what}", DAEMON | severity).into_bytes();
    packet.truncate(LONGEST);
    packet.iter_mut().filter(|b| b.is_ascii_control()).for_each(|b| *b = b' ');
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_says() {
        let (both, neither) = (Targets { syslog: true, ..Targets::STDERR }, Targets { stderr: false, syslog: false });
        assert_eq!((both.unless(None), both.unless(Some("x".as_ref()))), (both, both));
        assert_eq!(both.unless(Some("none".as_ref())), neither);
        assert_eq!(Targets::STDERR.unless(Some("syslog".as_ref())), Targets { syslog: true, ..neither });
    }

    #[test]
    fn packets() {
        assert_eq!(packet(Level::Info, "dhcpc", 7, "eth0: bound"), b"<30>dhcpc[7]: eth0: bound");
        assert_eq!(packet(Level::Warning, "zcip", 1, "a\nb\x7f"), b"<28>zcip[1]: a b ");
        let long = packet(Level::Fatal, "x", 1, &"y".repeat(5000));
        assert_eq!((long.len(), &long[..4]), (1024, &b"<27>"[..]));
    }
}
