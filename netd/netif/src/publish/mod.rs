//! Tell `fw` what a service knows: one `.ipconf` file per service in fw's run directory, then one byte to fw's runsv.
//!
//! Used by `netd publish` (the handler of udhcpc, zcip, ppp and others) and, without a script, by our daemons in process.
//! A file is replaced only when its bytes differ, and fw is worth a kick only when the records differ: a renewed lease
//! changes a comment and nobody's network. Drivers call this; what to publish is decided in [`environment`] or by them.

pub mod environment;
#[cfg(test)]
mod tests;

use crate::ipconf::{self, Entry, File, Record, WriteError};
use core::fmt;
use core::str::FromStr;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use sys::file::{CWD, Durability, make_dir, read_bounded, replace, unlink, write_some};
use sys::{Errno, fifo};

/// The name of a service directory, which becomes a file name: letters, digits, `.`, `_`, `-`; no leading dot; 1 to 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(String);

/// Not such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceNameError;

/// Where one service publishes.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// fw's run directory (`/var/run/service/fw`); made when missing.
    pub run_dir: PathBuf,
    /// The time service's run directory (`/var/run/service/ntpd`); none: no `.ntpconf` files.
    pub ntp_dir: Option<PathBuf>,
    /// The publishing service.
    pub name: ServiceName,
    /// fw's service directory (`/var/service/fw`).
    pub fw: PathBuf,
}

/// What there is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// One per interface and address.
    pub entries: Vec<Entry>,
    /// Time servers, for `.ntpconf` (`ntpip` of busybox's ntpd service).
    pub ntp: Vec<IpAddr>,
    /// For the reader of the file only: lease time, server. Never a reason to kick fw.
    pub comments: Vec<String>,
}

/// What publishing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "fw is kicked when the records changed"]
pub enum Outcome {
    /// The file already said exactly this.
    Unchanged,
    /// Written, but its records are the old ones.
    CommentsOnly,
    /// There is something new for fw.
    Changed,
}

/// Why nothing was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// A value that must not be in a file.
    Write(WriteError),
    /// The file or directory that made trouble.
    File(PathBuf, Errno),
}

impl Publisher {
    /// Replaces the service's files by `facts`.
    pub fn publish(&self, facts: &Facts) -> Result<Outcome, PublishError> {
        let comments: Vec<&str> = facts.comments.iter().map(String::as_str).collect();
        let records: Vec<Record> = facts.entries.iter().map(Entry::record).collect();
        let bytes = ipconf::write(&records, &comments).map_err(PublishError::Write)?;
        if let Some(dir) = &self.ntp_dir {
            self.publish_ntp(dir, &facts.ntp)?;
        }
        self.replace(&self.run_dir, "ipconf", &bytes, &records)
    }

    /// Removes the service's files. [`Outcome::Changed`] when there was an `.ipconf`.
    pub fn withdraw(&self) -> Result<Outcome, PublishError> {
        if let Some(dir) = &self.ntp_dir {
            let path = self.path(dir, "ntpconf");
            unlink(CWD, &path).map_err(|e| PublishError::File(path, e))?;
        }
        let path = self.path(&self.run_dir, "ipconf");
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(Outcome::Changed),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Outcome::Unchanged),
            Err(e) => Err(PublishError::File(path, errno(&e))),
        }
    }

    /// The directories it writes to; made, if they are not there.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        let all = [Some(&self.run_dir), self.ntp_dir.as_ref()].into_iter().flatten();
        // What is wrong is said at publishing.
        all.map(|dir| {
            let _ = make_dirs(dir);
            dir.as_path()
        })
    }

    /// Tells fw's runsv to run it once more, see [`kick`].
    pub fn kick(&self) -> Result<(), Errno> {
        kick(&self.fw)
    }

    fn publish_ntp(&self, dir: &Path, servers: &[IpAddr]) -> Result<(), PublishError> {
        if servers.is_empty() {
            let path = self.path(dir, "ntpconf");
            return unlink(CWD, &path).map_err(|e| PublishError::File(path, e));
        }
        let records: Vec<Record> = servers
            .iter()
            .map(|ip| {
                let mut r = Record::default();
                r.push("ntpip", ip);
                r
            })
            .collect();
        let bytes = ipconf::write(&records, &[]).map_err(PublishError::Write)?;
        self.replace(dir, "ntpconf", &bytes, &records).map(drop)
    }

    fn replace(&self, dir: &Path, suffix: &str, bytes: &[u8], records: &[Record]) -> Result<Outcome, PublishError> {
        let path = self.path(dir, suffix);
        let old = read_bounded(CWD, &path, ipconf::MAX_FILE);
        if old.as_ref().is_ok_and(|old| old == bytes) {
            return Ok(Outcome::Unchanged);
        }
        make_dirs(dir).map_err(|e| PublishError::File(dir.to_owned(), e))?;
        // With the process id in it, because a handler may be run twice at once; with a dot, so that nobody reads it.
        let temp = dir.join(format!(".{}.{}.tmp", self.name, std::process::id()));
        replace(CWD, &temp, &path, bytes, 0o644, Durability::Atomic).map_err(|e| PublishError::File(path, e))?;
        let same = old.is_ok_and(|old| File::parse(&old).is_ok_and(|old| old.records == records));
        Ok(if same { Outcome::CommentsOnly } else { Outcome::Changed })
    }

    fn path(&self, dir: &Path, suffix: &str) -> PathBuf {
        dir.join(format!("{}.{suffix}", self.name))
    }
}

/// Writes `u` to `SERVICE/supervise/control`, without ever waiting: what a one-shot makes of it is "run once more".
///
/// `ENXIO` or `ENOENT`: nobody supervises the service; worth a warning, the facts are published all the same.
pub fn kick(service: &Path) -> Result<(), Errno> {
    let control = fifo::writer(CWD, &service.join("supervise/control"))?;
    write_some(control.as_fd(), b"u").map(drop)
}

/// Makes a directory and what is missing above it.
fn make_dirs(dir: &Path) -> Result<(), Errno> {
    match make_dir(CWD, dir, 0o755) {
        Err(Errno::ENOENT) => match dir.parent() {
            Some(parent) if parent != Path::new("") => {
                make_dirs(parent)?;
                make_dir(CWD, dir, 0o755)
            }
            Some(_) | None => Err(Errno::ENOENT),
        },
        other => other,
    }
}

fn errno(e: &std::io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = ServiceNameError;
    fn from_str(s: &str) -> Result<Self, ServiceNameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=200).contains(&s.len()) && !s.starts_with('.') && s.bytes().all(allowed) {
            Ok(Self(s.to_owned()))
        } else {
            Err(ServiceNameError)
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ServiceNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a service's name is made of letters, digits, '.', '_' and '-', and does not start with '.'")
    }
}

impl core::error::Error for ServiceNameError {}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(e) => e.fmt(f),
            Self::File(path, e) => write!(f, "unable to write {}: {}", path.display(), sys::errtext::errtext(*e)),
        }
    }
}

impl core::error::Error for PublishError {}
