//! Directory changes as a descriptor (inotify), so that nobody has to look every few seconds.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::{NixPath, errno::Errno};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};

/// A set of watched directories.
#[derive(Debug)]
pub struct Watch(Inotify);

/// One watched directory. The same directory added twice has the same mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(WatchDescriptor);

/// Something took a name in a watched directory, or gave one up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// An entry of this name other than a new directory was made, replaced, written to and closed, or moved in.
    Came(&'a OsStr),
    /// A directory of this name was made in place: it is yet to be filled.
    Made(&'a OsStr),
    /// An entry of this name was removed or moved out.
    Went(&'a OsStr),
    /// The directory itself was removed, renamed or unmounted, or its attributes changed; or what [`Interest::ReaderLeft`]
    /// is about.
    Itself,
    /// The kernel dropped events: anything may have changed anywhere. The mark means nothing.
    Overflow,
}

/// What [`Watch::add`] can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Files that are replaced by rename or written and closed: one event for each new content.
    Content,
    /// Names that come and go, and the directory itself.
    Names,
    /// Files that grow, come and are renamed: for every write an event, as far as they are read.
    Growth,
    /// Of a file, not a directory: somebody who had it open only for reading has closed it ([`Change::Itself`]). A fifo
    /// that gets another reader at once shows this in no other way.
    ReaderLeft,
}

impl Watch {
    /// Fails with `EMFILE` when the user has no instance left.
    pub fn new() -> Result<Self, Errno> {
        Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map(Self)
    }

    /// Watches the directory (or file) `path`, through symbolic links.
    pub fn add<P: NixPath + ?Sized>(&self, path: &P, interest: Interest) -> Result<Mark, Errno> {
        let flags = match interest {
            Interest::Content => AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_ONLYDIR,
            Interest::Names => {
                AddWatchFlags::IN_CREATE
                    | AddWatchFlags::IN_DELETE
                    | AddWatchFlags::IN_MOVE
                    | AddWatchFlags::IN_DELETE_SELF
                    | AddWatchFlags::IN_MOVE_SELF
                    | AddWatchFlags::IN_ATTRIB
                    | AddWatchFlags::IN_ONLYDIR
            }
            Interest::Growth => {
                AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVE | AddWatchFlags::IN_ONLYDIR
            }
            Interest::ReaderLeft => AddWatchFlags::IN_CLOSE_NOWRITE,
        };
        self.0.add_watch(path, flags).map(Mark)
    }

    /// Stops watching. A directory that is gone is no longer watched anyway.
    pub fn remove(&self, mark: Mark) {
        let _ = self.0.rm_watch(mark.0);
    }

    /// Hands out everything that has happened since the last call.
    pub fn changes(&self, mut each: impl FnMut(Mark, Change<'_>)) {
        while let Ok(events) = self.0.read_events() {
            for e in &events {
                let gone = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM;
                let made = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ISDIR;
                let change = match &e.name {
                    Some(name) if e.mask.intersects(gone) => Change::Went(name),
                    // An entry's attributes are nobody's concern; the directory's come without a name.
                    Some(_) if e.mask.contains(AddWatchFlags::IN_ATTRIB) => continue,
                    Some(name) if e.mask.contains(made) => Change::Made(name),
                    Some(name) => Change::Came(name),
                    None if e.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) => Change::Overflow,
                    None if e.mask.contains(AddWatchFlags::IN_IGNORED) => continue,
                    None => Change::Itself,
                };
                each(Mark(e.wd), change);
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{CWD, Durability, make_dir, replace, unlink};

    fn seen(watch: &Watch) -> Vec<(Mark, String)> {
        let mut out = Vec::new();
        watch.changes(|mark, change| out.push((mark, format!("{change:?}"))));
        out
    }

    #[test]
    fn tells_what_happened_where() {
        let dir = std::env::temp_dir().join(format!("sys-watch-{}", std::process::id()));
        let (a, b) = (dir.join("a"), dir.join("b"));
        for d in [&dir, &a, &b] {
            make_dir(CWD, d, 0o700).unwrap();
        }
        let watch = Watch::new().unwrap();
        let content = watch.add(&a, Interest::Content).unwrap();
        let names = watch.add(&b, Interest::Names).unwrap();
        assert_eq!(seen(&watch), []);
        replace(CWD, &a.join("status.new"), &a.join("status"), b"x", 0o644, Durability::Atomic).unwrap();
        assert_eq!(
            seen(&watch),
            [(content, "Came(\"status.new\")".to_owned()), (content, "Came(\"status\")".to_owned())]
        );
        make_dir(CWD, &b.join("svc"), 0o700).unwrap();
        std::fs::remove_dir(b.join("svc")).unwrap();
        assert_eq!(seen(&watch), [(names, "Made(\"svc\")".to_owned()), (names, "Went(\"svc\")".to_owned())]);
        std::fs::remove_dir(&b).unwrap();
        assert_eq!(seen(&watch), [(names, "Itself".to_owned())]);
        unlink(CWD, &a.join("status")).unwrap();
        assert_eq!(seen(&watch), []);
        watch.remove(content);
        assert_eq!(seen(&watch), []);
        assert_eq!(watch.add(&b, Interest::Names), Err(Errno::ENOENT));
        let growth = watch.add(&a, Interest::Growth).unwrap();
        let log = crate::file::open_append(CWD, &a.join("log"), 0o644).unwrap();
        crate::file::write_all(log.as_fd(), b"x").unwrap();
        assert_eq!(seen(&watch), [(growth, "Came(\"log\")".to_owned()), (growth, "Came(\"log\")".to_owned())]);
        watch.remove(growth);
        assert_eq!(seen(&watch), []);
        let fifo = a.join("fifo");
        crate::fifo::make(CWD, &fifo, 0o600).unwrap();
        let left = watch.add(&fifo, Interest::ReaderLeft).unwrap();
        let reader = crate::fifo::reader(CWD, &fifo).unwrap();
        drop(crate::fifo::writer(CWD, &fifo).unwrap());
        assert_eq!(seen(&watch), []);
        drop(reader);
        assert_eq!(seen(&watch), [(left, "Itself".to_owned())]);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
