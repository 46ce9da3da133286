//! A configuration: all files of fw's service directory but what supervision keeps there. As a value, to be compared, and
//! written so that it survives power loss.
//!
//! Left out: `supervise` and `log`, names that begin with a dot or end in `~` (editors' copies), and what is neither file,
//! directory nor symbolic link. A link is kept as a link, not what it leads to.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::{fs, io};
use sys::Errno;
use sys::errtext::errtext;
use sys::file::{self, CWD, Durability};

/// Names at the top that belong to supervision.
const NOT_OURS: [&str; 2] = ["supervise", "log"];

/// Largest file, and all of them together, in bytes.
const MAX_FILE: usize = 16 << 20;
const MAX_ALL: usize = 64 << 20;

/// By path below the directory; directories come before what is in them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Directory(u32),
    File(u32, Vec<u8>),
    Link(PathBuf),
}

/// A path, and why it cannot be read or written.
pub(super) type Trouble = String;

impl Tree {
    pub(super) fn read(dir: &Path) -> Result<Self, Trouble> {
        let mut tree = Self::default();
        tree.add(dir, Path::new(""), &mut 0)?;
        Ok(tree)
    }

    fn add(&mut self, root: &Path, below: &Path, size: &mut usize) -> Result<(), Trouble> {
        let dir = root.join(below);
        for entry in fs::read_dir(&dir).map_err(|e| unread(&dir, errno(&e)))? {
            let name = entry.map_err(|e| unread(&dir, errno(&e)))?.file_name();
            if is_left_out(&name, below == Path::new("")) {
                continue;
            }
            let (path, inner) = (dir.join(&name), below.join(&name));
            let about = match fs::symlink_metadata(&path) {
                Ok(about) => about,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(unread(&path, errno(&e))),
            };
            let mode = about.mode() & 0o7777;
            if about.is_dir() {
                self.0.insert(inner.clone(), Entry::Directory(mode));
                self.add(root, &inner, size)?;
            } else if about.is_symlink() {
                let target = file::link_target(CWD, &path).map_err(|e| unread(&path, e))?;
                self.0.insert(inner, Entry::Link(target.into()));
            } else if about.is_file() {
                let content = file::read_bounded(CWD, &path, MAX_FILE).map_err(|e| unread(&path, e))?;
                *size += content.len();
                if *size > MAX_ALL {
                    return Err(unread(&path, Errno::EFBIG));
                }
                self.0.insert(inner, Entry::File(mode, content));
            }
        }
        Ok(())
    }

    /// Paths that are not the same in both.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let changed = self.0.iter().filter(|(path, entry)| other.0.get(*path) != Some(entry)).map(|(path, _)| path);
        let missing = other.0.keys().filter(|path| !self.0.contains_key(*path));
        let mut all: Vec<String> =
            changed.chain(missing).map(|p| p.to_string_lossy().replace(char::is_control, "?")).collect();
        all.sort();
        all
    }

    /// Makes `dir`, which is not there yet, hold this. Synced when it returns.
    pub(super) fn write_new(&self, dir: &Path) -> Result<(), Trouble> {
        file::make_dir_new(CWD, dir, 0o700).map_err(|e| unwritten(dir, e))?;
        self.restore(dir)
    }

    /// Makes `dir` hold this, whatever it holds; what is the same is not touched. Synced when it returns. Stopped halfway
    /// it can be done again.
    pub(super) fn restore(&self, dir: &Path) -> Result<(), Trouble> {
        let there = Self::read(dir)?;
        let kind = |entry: &Entry| core::mem::discriminant(entry);
        for (path, old) in
            there.0.iter().filter(|(path, old)| self.0.get(*path).is_some_and(|new| kind(new) != kind(old)))
        {
            let path = dir.join(path);
            match old {
                // With whatever is left out in it: it is in the way.
                Entry::Directory(_) => fs::remove_dir_all(&path).map_err(|e| unwritten(&path, errno(&e)))?,
                Entry::File(..) | Entry::Link(_) => file::unlink(CWD, &path).map_err(|e| unwritten(&path, e))?,
            }
        }
        for (path, entry) in self.0.iter().filter(|(path, entry)| there.0.get(*path) != Some(entry)) {
            let path = dir.join(path);
            put(&path, entry).map_err(|e| unwritten(&path, e))?;
        }
        there.remove(dir, |path| !self.0.contains_key(path))?;
        let inner = self.0.iter().filter(|(_, e)| matches!(e, Entry::Directory(_))).map(|(path, _)| dir.join(path));
        inner.chain([dir.to_owned()]).try_for_each(|d| sync_dir(&d))
    }

    /// What is in a directory goes before it. A directory with something left out in it stays.
    fn remove(&self, dir: &Path, which: impl Fn(&PathBuf) -> bool) -> Result<(), Trouble> {
        for (path, entry) in self.0.iter().rev().filter(|(path, _)| which(path)) {
            let path = dir.join(path);
            let removed = match entry {
                Entry::Directory(_) => file::remove_dir(CWD, &path),
                Entry::File(..) | Entry::Link(_) => file::unlink(CWD, &path),
            };
            match removed {
                Ok(()) | Err(Errno::ENOTEMPTY | Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(e) => return Err(unwritten(&path, e)),
            }
        }
        Ok(())
    }
}

fn put(path: &Path, entry: &Entry) -> Result<(), Errno> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temp = path.with_file_name(format!(".{name}.netd.tmp"));
    match entry {
        Entry::Directory(mode) => {
            file::make_dir(CWD, path, 0o700)?;
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).map_err(|e| errno(&e))
        }
        Entry::File(mode, content) => file::replace(CWD, temp.as_path(), path, content, *mode, Durability::PowerLoss),
        Entry::Link(target) => {
            file::unlink(CWD, &temp)?;
            symlink(target, &temp).map_err(|e| errno(&e))?;
            file::rename(CWD, temp.as_path(), path)
        }
    }
}

/// Waits until the names in `dir` would survive power loss.
pub(super) fn sync_dir(dir: &Path) -> Result<(), Trouble> {
    file::open_dir(CWD, dir).and_then(|fd| file::sync(fd.as_fd())).map_err(|e| unwritten(dir, e))
}

fn is_left_out(name: &OsStr, top: bool) -> bool {
    let bytes = name.as_bytes();
    bytes.starts_with(b".") || bytes.ends_with(b"~") || (top && NOT_OURS.iter().any(|not| name == *not))
}

pub(super) fn errno(e: &io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

pub(super) fn unread(path: &Path, why: Errno) -> Trouble {
    format!("unable to read {}: {}", path.display(), errtext(why))
}

pub(super) fn unwritten(path: &Path, why: Errno) -> Trouble {
    format!("unable to write {}: {}", path.display(), errtext(why))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "driver: this is about real directories")]
    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("netd-tree-{}-{name}", std::process::id()));
            fs::create_dir(&dir).unwrap();
            Self(dir)
        }

        fn put(&self, name: &str, content: &str) {
            fs::create_dir_all(self.0.join(name).parent().unwrap()).unwrap();
            fs::write(self.0.join(name), content).unwrap();
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn everything_comes_back_whatever_became_of_it() {
        let dir = Dir::new("back");
        for (name, content) in [("run", "old"), ("conf/a.ipconf", "a"), ("conf/b.ipconf", "b"), ("etc/x/y", "y")] {
            dir.put(name, content);
        }
        fs::set_permissions(dir.0.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("run", dir.0.join("link")).unwrap();
        let old = Tree::read(&dir.0).unwrap();

        // Changed, made plain, gone, a link that became a file, a directory that became a file and the other way round.
        dir.put("run", "new");
        fs::set_permissions(dir.0.join("run"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::remove_file(dir.0.join("conf/a.ipconf")).unwrap();
        fs::remove_file(dir.0.join("link")).unwrap();
        dir.put("link", "file");
        fs::remove_dir_all(dir.0.join("etc")).unwrap();
        dir.put("etc", "file");
        fs::remove_file(dir.0.join("conf/b.ipconf")).unwrap();
        dir.put("conf/b.ipconf/z", "z");
        dir.put("new/n", "n");
        dir.put("supervise/status", "not ours");
        dir.put("conf/.b.swp", "an editor's");
        let new = Tree::read(&dir.0).unwrap();
        let expected = [
            "conf/a.ipconf",
            "conf/b.ipconf",
            "conf/b.ipconf/z",
            "etc",
            "etc/x",
            "etc/x/y",
            "link",
            "new",
            "new/n",
            "run",
        ];
        assert_eq!(new.differences(&old), expected);
        assert_eq!(old.differences(&new), expected);

        old.restore(&dir.0).unwrap();
        assert_eq!(Tree::read(&dir.0).unwrap(), old);
        assert!(dir.0.join("supervise/status").exists() && dir.0.join("conf/.b.swp").exists());
    }

    #[test]
    fn what_is_the_same_is_not_written() {
        let (dir, copy) = (Dir::new("same"), Dir::new("copy"));
        dir.put("conf/a", "a");
        let tree = Tree::read(&dir.0).unwrap();
        let inode = || fs::metadata(dir.0.join("conf/a")).unwrap().ino();
        let before = inode();
        tree.restore(&dir.0).unwrap();
        assert_eq!(inode(), before);
        let new = copy.0.join("new");
        tree.write_new(&new).unwrap();
        assert_eq!(Tree::read(&new).unwrap(), tree);
        assert!(tree.write_new(&new).is_err(), "there already");
        assert!(Tree::read(Path::new("/nowhere")).is_err());
    }
}
