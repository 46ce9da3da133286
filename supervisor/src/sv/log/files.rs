//! The files of a log directory as a sequence: the old ones by name, then `current`.

use super::stamps::Stamps;
use crate::svlogd::names::{Kind, split};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use sys::Errno;
use sys::file::{CWD, open_read, stat};

/// Read at once.
const PIECE: usize = 32 << 10;

/// Device and inode.
type Id = (u64, u64);

/// An open file of the log.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) file: File,
    id: Id,
}

impl Open {
    fn new(path: &[u8]) -> Result<Self, Errno> {
        let file = File::from(open_read(CWD, path)?);
        let about = file.metadata().map_err(|e| errno(&e))?;
        Ok(Self { id: (about.dev(), about.ino()), file })
    }

    /// Hands on everything from here to the end.
    pub(super) fn read(&mut self, stamps: &mut Stamps, show: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Errno> {
        let mut piece = vec![0; PIECE];
        loop {
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    if !show(stamps.pass(&piece[..n])) {
                        return Err(Errno::EPIPE);
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(errno(&e)),
            }
        }
    }
}

/// A log directory, and which of its old files have been seen.
#[derive(Debug)]
pub(super) struct Files {
    dir: Vec<u8>,
    /// Names without their letter, which changes when a file is processed.
    seen: Vec<Vec<u8>>,
}

impl Files {
    pub(super) fn new(dir: &[u8]) -> Self {
        Self { dir: dir.to_vec(), seen: Vec::new() }
    }

    fn path(&self, name: &[u8]) -> Vec<u8> {
        [&self.dir[..], b"/", name].concat()
    }

    /// Whether `open` is what `current` names now.
    pub(super) fn is_current(&self, open: &Open) -> bool {
        stat(CWD, self.path(b"current").as_slice()).is_ok_and(|s| (s.st_dev, s.st_ino) == open.id)
    }

    /// Opens `current`, if it is there, and names the old files before it that were not seen yet, in order. `last`, which was
    /// read already, is not one of them.
    pub(super) fn next(&mut self, last: Option<&Open>) -> Result<(Option<Open>, Vec<Vec<u8>>), Errno> {
        let current = match Open::new(&self.path(b"current")) {
            Ok(open) => Some(open),
            Err(Errno::ENOENT) => None,
            Err(e) => return Err(e),
        };
        let mut all = Vec::new();
        for entry in std::fs::read_dir(OsStr::from_bytes(&self.dir)).map_err(|e| errno(&e))? {
            let name = entry.map_err(|e| errno(&e))?.file_name().into_vec();
            match split(&name) {
                Some((_, Kind::Finished | Kind::Unprocessed)) => all.push(name),
                Some((_, Kind::Temporary)) | None => {}
            }
        }
        all.sort_unstable();
        let mut old = Vec::new();
        let mut present = Vec::new();
        for name in all {
            let Some((stem, _)) = split(&name) else { continue };
            let stem = stem.to_vec();
            if self.seen.contains(&stem) || present.contains(&stem) {
                present.push(stem);
                continue;
            }
            let id = stat(CWD, self.path(&name).as_slice()).map(|s| (s.st_dev, s.st_ino)).ok();
            if id.is_some() && id == current.as_ref().map(|c| c.id) {
                // It has become old since it was opened above. Whatever comes after it is for the next time.
                present.push(stem);
                break;
            }
            if id.is_none() || id != last.map(|l| l.id) {
                old.push(name);
            }
            present.push(stem);
        }
        self.seen = present;
        Ok((current, old))
    }

    /// Opens an old file; none if it was removed, or processed and renamed, meanwhile.
    pub(super) fn old(&self, name: &[u8]) -> Option<Open> {
        Open::new(&self.path(name)).ok()
    }
}

pub(super) fn errno(e: &std::io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
