//! fw's runs, as its runsv tells of them in `supervise/`: kick it, wait for the end of the run, end one that hangs.
#![expect(clippy::disallowed_methods, reason = "driver: waits for fw's runsv")]

use netif::publish::kick;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::clock::{Instant, boottime};
use sys::file::{self, CWD};
use sys::poll::{self, PollFd, PollFlags};
use sys::watch::{Interest, Watch};
use sys::{Errno, fifo};

/// What the run in progress gets for its own end before it is made to end, and then again before it is killed.
const GRACE: Duration = Duration::from_millis(700);

/// The 20 bytes of `supervise/status`.
type Status = [u8; 20];

/// fw under supervision.
#[derive(Debug)]
pub(super) struct Fw {
    service: PathBuf,
    watch: Watch,
    before: Option<Status>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this code; -1 for a signal.
    Code(i32),
    /// This runsv does not say (runit's own).
    Untold,
}

impl End {
    /// Whether the run came to its end: 3 is "done, except for what was reported".
    pub(super) const fn is_good(self) -> bool {
        matches!(self, Self::Code(0 | 3) | Self::Untold)
    }
}

impl Fw {
    /// Kicks the service, which must be supervised.
    pub(super) fn kick(service: &Path) -> Result<Self, Errno> {
        let watch = Watch::new()?;
        watch.add(&service.join("supervise"), Interest::Content)?;
        let mut fw = Self { service: service.to_owned(), watch, before: None };
        fw.before = fw.status();
        kick(service)?;
        Ok(fw)
    }

    /// Whether a run was under way at the kick.
    pub(super) fn was_running(&self) -> bool {
        self.before.is_some_and(|s| pid(&s) != 0)
    }

    /// Waits until no run is under way and none will follow, at most until `deadline` (CLOCK_BOOTTIME).
    pub(super) fn wait(&self, deadline: Instant) -> Option<End> {
        loop {
            let status = self.status();
            // Down, nothing more wanted, and not the state from before the kick.
            if let Some(s) = status
                && pid(&s) == 0
                && (s[17], s[19]) == (b'd', 0)
                && status != self.before
            {
                return Some(self.last_end());
            }
            let now = boottime();
            let mut fds = [PollFd::new(self.watch.as_fd(), PollFlags::POLLIN)];
            if now >= deadline || poll::wait(&mut fds, now, Some(deadline)).is_err() {
                return None;
            }
            self.watch.changes(|_, _| {});
        }
    }

    /// As [`Self::wait`], but the run that was under way at the kick has only a moment left.
    pub(super) fn wait_impatiently(&self, deadline: Instant) -> Option<End> {
        for signal in [b"t", b"k"] {
            if let Some(end) = self.wait(boottime() + GRACE) {
                return Some(end);
            }
            let current = |s: Option<Status>| s.map(|s| pid(&s)).filter(|&pid| pid != 0);
            if current(self.status()) == current(self.before) {
                // It may end by itself meanwhile.
                let _ = fifo::writer(CWD, &self.service.join("supervise/control"))
                    .and_then(|fd| file::write_some(fd.as_fd(), signal));
            }
        }
        self.wait(deadline)
    }

    fn status(&self) -> Option<Status> {
        file::read_bounded(CWD, &self.service.join("supervise/status"), 20).ok()?.try_into().ok()
    }

    /// `exit CODE STATUS` of `supervise/history`.
    fn last_end(&self) -> End {
        let bytes = file::read_bounded(CWD, &self.service.join("supervise/history"), 4096).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let code = text.lines().find_map(|l| l.strip_prefix("exit ")?.split(' ').next()?.parse().ok());
        code.map_or(End::Untold, End::Code)
    }
}

/// Little-endian, as the status file has it.
const fn pid(status: &Status) -> u32 {
    u32::from_le_bytes([status[12], status[13], status[14], status[15]])
}
