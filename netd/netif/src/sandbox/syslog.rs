//! The system's log: RFC 3164 lines as every syslogd on Linux takes them from /dev/log.

use super::Rights;
use super::hands::{errno, unix};
use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use sys::file::write_some;
use sys::msg::{Dec, Level};
use sys::{Errno, Pid};

/// LOG_DAEMON.
const DAEMON: u64 = 3 << 3;
/// Longest line; the rest is cut.
const LONGEST: usize = 1024;

/// One program's line to syslogd.
#[derive(Debug)]
pub struct Syslog {
    program: &'static str,
    socket: RefCell<Option<OwnedFd>>,
}

/// A socket connected to /dev/log.
pub(super) fn connect() -> Result<OwnedFd, Errno> {
    let (socket, address) = unix()?;
    socket.set_nonblocking(true).map_err(|e| errno(&e))?;
    socket.connect(&address).map_err(|e| errno(&e))?;
    Ok(socket.into())
}

impl Syslog {
    /// Nobody need be listening yet.
    pub fn open(program: &'static str) -> Self {
        Self { program, socket: RefCell::new(connect().ok()) }
    }

    /// Logs `what`. When syslogd was started anew it is looked for once more, by `rights`; failing that the line is lost, as
    /// with syslog(3).
    pub fn log(&self, rights: &Rights, level: Level, what: &[&[u8]]) {
        let severity = match level {
            Level::Fatal => 3,
            Level::Warning | Level::Pausing => 4,
            Level::Info => 6,
        };
        let priority = Dec::new(DAEMON | severity);
        let pid = Dec::new(u64::try_from(Pid::this().as_raw()).unwrap_or(0));
        let head = [b"<", priority.as_bytes(), b">", self.program.as_bytes(), b"[", pid.as_bytes(), b"]: "];
        let mut line: Vec<u8> = head.iter().chain(what).flat_map(|part| part.iter().copied()).collect();
        line.truncate(LONGEST);
        let mut socket = self.socket.borrow_mut();
        let sent = socket.as_ref().map(|s| write_some(s.as_fd(), &line));
        if !matches!(sent, Some(Ok(_) | Err(Errno::EAGAIN))) {
            *socket = rights.syslog().ok();
            if let Some(socket) = &*socket {
                let _ = write_some(socket.as_fd(), &line);
            }
        }
    }
}
