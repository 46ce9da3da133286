//! Commands to services through their control fifos: what `sv u` and `sv d` write, without a process.
//!
//! At boot all services start at once, so a service may not be supervised yet when the first command is due. The command is
//! then owed and tried again, less and less often; a newer command for the same service replaces it.

use core::time::Duration;
use netif::sandbox::Rights;
use std::path::PathBuf;
use std::rc::Rc;
use sys::Errno;
use sys::clock::Instant;

/// First pause before an owed command is tried again; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Some services that get the same commands.
#[derive(Debug)]
pub struct Services {
    directories: Vec<PathBuf>,
    rights: Rc<Rights>,
    owed: Vec<Owed>,
    retry: Retry,
}

#[derive(Debug)]
struct Owed {
    service: usize,
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
    /// Those of the policy of `rights`, in its order. Nothing is written yet.
    pub const fn new(directories: Vec<PathBuf>, rights: Rc<Rights>) -> Self {
        Self { directories, rights, owed: Vec::new(), retry: Retry { at: Instant::ZERO, pause: FIRST_PAUSE } }
    }

    /// Whether there are any.
    pub const fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Writes `command` (`u`, `d`, `t`, ...) to all. What does not get through is owed, and told once.
    pub fn tell(&mut self, now: Instant, command: u8) -> Vec<Undelivered> {
        self.owed.clear();
        let mut failed = Vec::new();
        for (n, service) in self.directories.iter().enumerate() {
            if let Err(why) = self.rights.tell(n, command) {
                self.owed.push(Owed { service: n, command });
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
            self.owed.retain(|o| self.rights.tell(o.service, o.command).is_err());
            let pause = (self.retry.pause * 2).min(LONGEST_PAUSE);
            self.retry = Retry { at: now + pause, pause };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netif::sandbox::{Policy, Sandbox};
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::Path;
    use sys::fifo;
    use sys::file::{CWD, make_dir, read_some};

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
        let directories = vec![a, b.clone()];
        let policy = Policy { services: directories.clone(), ..Policy::nothing("eth0".parse().unwrap()) };
        let mut services = Services::new(directories, Rc::new(Rights::new(policy, &[], Sandbox::Off, |_, _| {})));
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
