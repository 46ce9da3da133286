//! Commands to services through their control fifos: what `sv u` and `sv d` write, without a process.
//!
//! At boot all services start at once, so a service may not be supervised yet when the first command is due. The command is
//! then owed and tried again, less and less often; a newer command for the same service replaces it.

use core::time::Duration;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use sys::clock::Instant;
use sys::file::{CWD, write_some};
use sys::{Errno, fifo};

/// First pause before an owed command is tried again; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Some services that get the same commands.
#[derive(Debug)]
pub struct Services {
    directories: Vec<PathBuf>,
    owed: Vec<Owed>,
    retry: Retry,
}

#[derive(Debug)]
struct Owed {
    service: PathBuf,
    command: u8,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Instant,
    pause: Duration,
}

/// A command that did not get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The service directory.
    pub service: PathBuf,
    /// Why: `ENOENT` or `ENXIO` when nobody supervises it.
    pub why: Errno,
}

impl Services {
    /// Nothing is written yet.
    pub const fn new(directories: Vec<PathBuf>) -> Self {
        Self { directories, owed: Vec::new(), retry: Retry { at: Instant::ZERO, pause: FIRST_PAUSE } }
    }

    /// Whether there are any.
    pub const fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Writes `command` (`u`, `d`, `t`, ...) to all. What does not get through is owed, and told once.
    pub fn tell(&mut self, now: Instant, command: u8) -> Vec<Undelivered> {
        self.owed.clear();
        let mut failed = Vec::new();
        for service in &self.directories {
            if let Err(why) = write(service, command) {
                self.owed.push(Owed { service: service.clone(), command });
                failed.push(Undelivered { service: service.clone(), why });
            }
        }
        self.retry = Retry { at: now + FIRST_PAUSE, pause: FIRST_PAUSE };
        failed
    }

    /// When to call [`Self::retry`].
    pub fn deadline(&self) -> Option<Instant> {
        (!self.owed.is_empty()).then_some(self.retry.at)
    }

    /// Tries again what is owed, if it is time.
    pub fn retry(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.owed.retain(|o| write(&o.service, o.command).is_err());
            let pause = (self.retry.pause * 2).min(LONGEST_PAUSE);
            self.retry = Retry { at: now + pause, pause };
        }
    }
}

/// One byte to `SERVICE/supervise/control`, without ever waiting.
pub fn write(service: &Path, command: u8) -> Result<(), Errno> {
    let control = fifo::writer(CWD, &service.join("supervise/control"))?;
    write_some(control.as_fd(), &[command]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use sys::file::{make_dir, read_some};

    fn supervise(service: &Path) -> OwnedFd {
        let dir = service.join("supervise");
        std::fs::create_dir_all(&dir).unwrap();
        fifo::make(CWD, &dir.join("control"), 0o600).unwrap();
        fifo::reader(CWD, &dir.join("control")).unwrap()
    }

    fn read(fd: &OwnedFd) -> Vec<u8> {
        let mut buf = [0; 16];
        let n = read_some(fd.as_fd(), &mut buf).unwrap_or(0);
        buf[..n].to_vec()
    }

    #[test]
    fn commands_reach_services_now_or_later() {
        let top = std::env::temp_dir().join(format!("linkwatch-services-{}", std::process::id()));
        make_dir(CWD, &top, 0o700).unwrap();
        let (a, b) = (top.join("a"), top.join("b"));
        let reader_a = supervise(&a);
        let mut services = Services::new(vec![a, b.clone()]);
        let at = Instant::from_millis;
        assert_eq!(services.tell(at(0), b'u'), [Undelivered { service: b.clone(), why: Errno::ENOENT }]);
        assert_eq!(read(&reader_a), b"u");
        // The newest command counts.
        assert_eq!(services.tell(at(10), b'd').len(), 1);
        assert_eq!(read(&reader_a), b"d");
        services.retry(at(60));
        let reader_b = supervise(&b);
        assert_eq!(services.deadline(), Some(at(160)));
        services.retry(at(159));
        assert_eq!(read(&reader_b), b"");
        services.retry(at(160));
        assert_eq!((read(&reader_b), services.deadline()), (b"d".to_vec(), None));
        assert_eq!(read(&reader_a), b"");
        std::fs::remove_dir_all(&top).unwrap();
    }
}
