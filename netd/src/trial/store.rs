//! What is on disk: `STATE/fw/` with the revisions `rev.N/` (the newest is the confirmed configuration), the record `trial`
//! while one is on, and `reverted/`, what was tried last and not confirmed. Every change here survives power loss, and one
//! that is stopped halfway is done again by whoever comes next.

use super::record::Record;
use super::tree::{Tree, Trouble, errno, sync_dir, unread, unwritten};
use crate::say;
use netif::places::Places;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use sys::Errno;
use sys::file::{self, CWD, Durability};
use sys::lock::Lock;
use sys::orphan::this_boot;

/// The record's name.
pub(super) const TRIAL: &str = "trial";

const REVERTED: &str = "reverted";

/// Revisions that are kept.
const KEPT: usize = 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) dir: PathBuf,
    /// fw's service directory, through links.
    pub(super) live: PathBuf,
}

impl Store {
    /// The directories are those of `places`; that of the state is made.
    pub(super) fn open(places: &Places) -> Result<Self, Trouble> {
        let live = fs::canonicalize(&places.fw).map_err(|e| unread(&places.fw, errno(&e)))?;
        let dir = places.state.join(places.fw.file_name().unwrap_or_default());
        fs::create_dir_all(&places.state).map_err(|e| unwritten(&places.state, errno(&e)))?;
        file::make_dir(CWD, &dir, 0o700).map_err(|e| unwritten(&dir, e))?;
        Ok(Self { dir, live })
    }

    /// For what must not be mixed with what others do. Held only while files are copied, never while somebody is waited for.
    pub(super) fn lock(&self) -> Result<Lock, Trouble> {
        let path = self.dir.join("lock");
        Lock::exclusive(CWD, &path).map_err(|e| unwritten(&path, e))
    }

    /// Where the one who holds the timer shows that it does.
    pub(super) fn keeper(&self) -> PathBuf {
        self.dir.join("keeper")
    }

    /// The trial that is on. A record that is not to be understood is one that is over.
    pub(super) fn trial(&self) -> Result<Option<Record>, Trouble> {
        let path = self.dir.join(TRIAL);
        match file::read_bounded(CWD, &path, 4096) {
            Ok(bytes) => {
                let record = Record::parse(&String::from_utf8_lossy(&bytes));
                let newest = || Record { to: self.newest().unwrap_or(0), ..Record::default() };
                Ok(Some(record.unwrap_or_else(newest)))
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(unread(&path, e)),
        }
    }

    pub(super) fn set_trial(&self, record: &Record) -> Result<(), Trouble> {
        let (temp, path) = (self.dir.join(".trial.tmp"), self.dir.join(TRIAL));
        file::replace(CWD, &temp, &path, record.text().as_bytes(), 0o600, Durability::PowerLoss)
            .map_err(|e| unwritten(&path, e))
    }

    pub(super) fn end_trial(&self) -> Result<(), Trouble> {
        let path = self.dir.join(TRIAL);
        file::unlink(CWD, &path).map_err(|e| unwritten(&path, e))?;
        sync_dir(&self.dir)
    }

    /// Numbers of the revisions, the oldest first.
    pub(super) fn revisions(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let number = |name: std::ffi::OsString| name.to_str()?.strip_prefix("rev.")?.parse().ok();
        let mut all: Vec<u32> = entries.filter_map(|e| number(e.file_name())).collect();
        all.sort_unstable();
        all
    }

    /// The confirmed configuration.
    pub(super) fn newest(&self) -> Option<u32> {
        self.revisions().pop()
    }

    fn path_of(&self, n: u32) -> PathBuf {
        self.dir.join(format!("rev.{n}"))
    }

    pub(super) fn tree(&self, n: u32) -> Result<Tree, Trouble> {
        Tree::read(&self.path_of(n))
    }

    /// When the revision was made, in seconds since 1970.
    pub(super) fn made(&self, n: u32) -> Option<u64> {
        let made = fs::metadata(self.path_of(n)).ok()?.modified().ok()?;
        Some(made.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }

    /// What is in fw's directory differs from revision `n` in these files.
    pub(super) fn edited(&self, n: u32) -> Result<Vec<String>, Trouble> {
        Ok(Tree::read(&self.live)?.differences(&self.tree(n)?))
    }

    /// Makes what is in fw's directory the newest revision, unless it is so; the number, and whether it is a new one.
    pub(super) fn keep(&self) -> Result<(u32, bool), Trouble> {
        let (live, newest) = (Tree::read(&self.live)?, self.newest());
        if let Some(n) = newest
            && self.tree(n)? == live
        {
            return Ok((n, false));
        }
        let n = newest.unwrap_or(0) + 1;
        self.put(&live, &self.path_of(n))?;
        let all = self.revisions();
        for &old in all.iter().take(all.len().saturating_sub(KEPT)) {
            if let Err(e) = fs::remove_dir_all(self.path_of(old)) {
                say::warning(&unwritten(&self.path_of(old), errno(&e)));
            }
        }
        Ok((n, true))
    }

    /// As a directory that is complete when it gets its name.
    fn put(&self, tree: &Tree, at: &Path) -> Result<(), Trouble> {
        let temp = self.dir.join(".new");
        let emptied = |path: &Path| match fs::remove_dir_all(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(unwritten(path, errno(&e))),
            Ok(()) | Err(_) => Ok(()),
        };
        emptied(&temp)?;
        if let Err(e) = tree.write_new(&temp) {
            // On a full disk somebody else needs the room.
            emptied(&temp)?;
            return Err(e);
        }
        emptied(at)?;
        file::rename(CWD, &temp, &at.to_owned()).map_err(|e| unwritten(at, e))?;
        sync_dir(&self.dir)
    }

    /// Puts the revision of a trial that is over back into fw's directory, after what was tried is in `reverted`; the files
    /// that were different. The record stays: who has seen fw run removes it.
    pub(super) fn give_back(&self, record: &Record) -> Result<Vec<String>, Trouble> {
        let wanted = self.tree(record.to)?;
        if !record.over {
            let saved = Tree::read(&self.live).and_then(|tried| self.put(&tried, &self.dir.join(REVERTED)));
            let noted = saved.and_then(|()| self.set_trial(&Record { over: true, ..record.clone() }));
            noted.unwrap_or_else(|e| say::warning(&e));
        }
        let edited = self.edited(record.to)?;
        wanted.restore(&self.live)?;
        Ok(edited)
    }

    /// What was tried last and not confirmed.
    pub(super) fn reverted(&self) -> PathBuf {
        self.dir.join(REVERTED)
    }
}

/// This boot, as records name it. Empty without /proc, which is no boot's name: then every trial is over at once.
pub(super) fn boot() -> String {
    this_boot().map(|(id, ticks)| format!("{} {ticks}", String::from_utf8_lossy(&id))).unwrap_or_default()
}
