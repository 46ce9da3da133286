#![expect(clippy::disallowed_methods, reason = "driver: owns the lease file and reads the clocks it is dated with")]
//! The lease file on disk. What is in it is [`crate::remember`]'s.

use crate::lease::Lease;
use crate::log::Log;
use crate::machine::Neighbour;
use crate::message::Expect;
use crate::remember::{self, MAX_FILE, Now, Remembered};
use netif::publish::ServiceName;
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::clock::{boottime, wall};
use sys::file::{CWD, Durability, make_dir, read_bounded, replace, unlink};

/// Changes at every boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where the lease of one client is kept, if it is.
#[derive(Debug)]
pub(crate) struct Memory {
    file: Option<PathBuf>,
    boot_id: [u8; 16],
    log: Log,
    /// Said once: a read-only system stays one.
    complained: bool,
}

impl Memory {
    pub(crate) fn new(dir: Option<&Path>, name: &ServiceName, log: Log) -> Self {
        let file = dir.map(|d| d.join(format!("{name}.lease")));
        Self { file, boot_id: boot_id(), log, complained: false }
    }

    /// Where it is kept; made, if it is not there.
    pub(crate) fn dir(&self) -> Option<&Path> {
        let dir = self.file.as_ref()?.parent()?;
        // What is wrong is said at saving.
        let _ = make_dir(CWD, dir, 0o755);
        Some(dir)
    }

    /// What the last run left.
    pub(crate) fn read(&self, expect: &Expect<'_>) -> Option<(Remembered, Option<Neighbour>)> {
        let path = self.file.as_ref()?;
        let bytes = match read_bounded(CWD, path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(Errno::ENOENT) => return None,
            Err(e) => {
                self.log.warn_errno(&format!("unable to read {}", path.display()), e);
                return None;
            }
        };
        match remember::read(&bytes, expect, &self.now()) {
            Ok(remembered) => Some(remembered),
            Err(why) => {
                self.log.warn(&format!("{} not used: {}", path.display(), why.text()));
                None
            }
        }
    }

    pub(crate) fn save(&mut self, lease: &Lease, neighbour: Option<Neighbour>, mac: [u8; 6]) {
        let Some(path) = &self.file else { return };
        let bytes = remember::encode(lease, neighbour, mac, &self.now());
        let temp = path.with_extension("lease.new");
        let mut done = replace(CWD, &temp, path, &bytes, 0o600, Durability::PowerLoss);
        if let (Err(Errno::ENOENT), Some(dir)) = (done, path.parent()) {
            let made = make_dir(CWD, dir, 0o755);
            done = made.and_then(|()| replace(CWD, &temp, path, &bytes, 0o600, Durability::PowerLoss));
        }
        if let Err(e) = done
            && !self.complained
        {
            self.log.warn_errno(&format!("unable to write {}", path.display()), e);
            self.complained = true;
        }
    }

    pub(crate) fn forget(&self) {
        let Some(path) = &self.file else { return };
        match unlink(CWD, path) {
            // ENOTDIR, EROFS: then there is none either, or nothing can be done that was not said at saving.
            Ok(()) | Err(Errno::ENOTDIR | Errno::EROFS) => {}
            Err(e) => self.log.warn_errno(&format!("unable to remove {}", path.display()), e),
        }
    }

    fn now(&self) -> Now {
        Now { boot: boottime(), wall: wall(), boot_id: self.boot_id }
    }
}

/// The 32 hex digits of the kernel's number; zeros where there is none.
fn boot_id() -> [u8; 16] {
    let text = read_bounded(CWD, BOOT_ID, 64).unwrap_or_default();
    let digits = text.iter().filter_map(|b| char::from(*b).to_digit(16)).filter_map(|d| u8::try_from(d).ok());
    let mut id = [0; 16];
    for (i, digit) in digits.take(32).enumerate() {
        if let Some(byte) = id.get_mut(i / 2) {
            *byte = *byte << 4 | digit;
        }
    }
    id
}
