//! The services directory as the world has it, a driver: what is in it, and a watch on everything that could change that.
//!
//! Watched are the directory itself, each directory that holds a link on the way to it (a swapped `current` link), each
//! that holds the target of one of its links (a package upgrade replaces `/etc/sv/NAME`), and directories made in place
//! until they are complete. If any of these cannot be watched, the machine is told and looks again every few seconds; else
//! only names that have changed are looked at, however many there are.

use super::chain::{self, Link};
use super::scan::{Found, Id, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::file::{self, CWD};
use sys::msg::{Level, say};
use sys::watch::{Change, Interest, Mark, Watch};

/// See the module.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    path: &'a Path,
    program: &'a [u8],
    /// The directory the last scan saw.
    dir: Option<OwnedFd>,
    watch: Watched,
    /// The directory itself.
    mark: Option<Mark>,
    /// Names in other directories that decide where it is.
    links: Vec<(Mark, OsString)>,
    /// What is in it.
    entries: BTreeMap<OsString, Entry>,
    /// Directories made in place that are not complete.
    young: Vec<(Mark, Id)>,
    /// What is to be looked at by the next scan.
    stale: Stale,
    /// Made in place since the last scan.
    made: BTreeSet<OsString>,
    /// The user was told that it cannot be opened.
    told: bool,
    /// Everything is watched.
    complete: bool,
}

/// A name in the directory.
#[derive(Debug)]
struct Entry {
    /// The directory's own order.
    order: usize,
    /// The service; none if it cannot be used, which the user was told if it is a link that leads nowhere.
    id: Option<Id>,
    /// Names on which it depends.
    links: Vec<(Mark, OsString)>,
}

/// What may be something else than it was.
#[derive(Debug)]
enum Stale {
    /// Anything.
    All,
    /// These names in the directory.
    Names(BTreeSet<OsString>),
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The directory is to be read.
    Changed,
    /// Something was added to a young service.
    Stirred(Id),
}

impl<'a> Directory<'a> {
    /// Nothing is watched before the first scan.
    pub(crate) fn new(path: &'a Path, program: &'a [u8]) -> Self {
        Self {
            path,
            program,
            dir: None,
            watch: Watched { watch: Watch::new().ok(), uses: BTreeMap::new() },
            mark: None,
            links: Vec::new(),
            entries: BTreeMap::new(),
            young: Vec::new(),
            stale: Stale::All,
            made: BTreeSet::new(),
            told: false,
            complete: false,
        }
    }

    /// Becomes readable when there is news.
    pub(crate) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.watch.watch.as_ref().map(AsFd::as_fd)
    }

    /// The directory; children are started in it.
    pub(crate) fn dir(&self) -> Option<BorrowedFd<'_>> {
        self.dir.as_ref().map(AsFd::as_fd)
    }

    /// Hands out what has changed.
    pub(crate) fn news(&mut self, mut each: impl FnMut(News)) {
        let Self { watch: Watched { watch: Some(watch), .. }, mark, links, entries, young, stale, made, .. } = self
        else {
            return;
        };
        watch.changes(|at, change| {
            if let Some((_, id)) = young.iter().find(|(mark, _)| *mark == at) {
                each(News::Stirred(*id));
            }
            match change {
                Change::Overflow | Change::Itself => {
                    *stale = Stale::All;
                    each(News::Changed);
                }
                // Not a service, and usually the first half of a rename.
                Change::Made(name) | Change::Came(name) | Change::Went(name) if name.as_bytes().starts_with(b".") => {}
                Change::Made(name) | Change::Came(name) | Change::Went(name) => {
                    let decides = |links: &[(Mark, OsString)]| links.iter().any(|(m, link)| *m == at && link == name);
                    let mut changed = false;
                    if *mark == Some(at) {
                        if matches!(change, Change::Made(_)) {
                            made.insert(name.to_owned());
                        }
                        stale.add(name);
                        changed = true;
                    }
                    if decides(links) {
                        *stale = Stale::All;
                        changed = true;
                    }
                    for (entry, _) in entries.iter().filter(|(_, entry)| decides(&entry.links)) {
                        stale.add(entry);
                        changed = true;
                    }
                    if changed {
                        each(News::Changed);
                    }
                }
            }
        });
    }

    /// Watches and reads: all of it, or what has changed since the last time.
    pub(crate) fn scan(&mut self) -> Found {
        match core::mem::replace(&mut self.stale, Stale::Names(BTreeSet::new())) {
            // Without a name it is about what cannot be watched.
            Stale::Names(names) if self.complete && !names.is_empty() => {
                for name in &names {
                    self.look_again(name);
                }
                self.found()
            }
            Stale::Names(_) | Stale::All => self.scan_all(),
        }
    }

    fn scan_all(&mut self) -> Found {
        // Watched first, so that nothing is missed in between.
        self.complete = self.watch.watch.is_some();
        let base = if self.path.is_absolute() { Path::new("/") } else { Path::new(".") };
        let links = self.depend(base, self.path);
        let listed = self.list();
        let old = core::mem::replace(&mut self.links, links);
        self.watch.release(old.into_iter().map(|(mark, _)| mark));
        match listed {
            Ok(()) => {
                self.told = false;
                self.complete &= self.mark.is_some();
                self.found()
            }
            Err(e) => {
                if !core::mem::replace(&mut self.told, true) {
                    let path = self.path.as_os_str().as_bytes();
                    say(self.program, Level::Warning, &[b"unable to open directory ", path], Some(e));
                }
                self.stale = Stale::All;
                // What is not there comes with an event; what there is no room for does not.
                let comes = matches!(e, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP);
                Found::Nothing { watched: self.complete && comes }
            }
        }
    }

    /// What the entries come to.
    fn found(&mut self) -> Found {
        let made = core::mem::take(&mut self.made);
        let mut services: Vec<_> =
            self.entries.iter().filter_map(|(name, entry)| Some((entry.order, name, entry.id?))).collect();
        services.sort_by_key(|(order, ..)| *order);
        let seen = services.into_iter().filter_map(|(_, name, id)| {
            let young = made.contains(name);
            Some(Seen { id, name: CString::new(name.as_bytes()).ok()?, young })
        });
        Found::Services { seen: seen.collect(), watched: self.complete }
    }

    /// Whether the service can be started.
    pub(crate) fn complete(&self, name: &CStr) -> bool {
        let open = |dir| file::open_dir(dir, name).and_then(|dir| file::exists(dir.as_fd(), crate::service::RUN));
        self.dir().is_some_and(|dir| open(dir) == Ok(true))
    }

    /// Watches those directories for additions, and no others any more. Returns one that cannot be watched, if there is one.
    pub(crate) fn watch_young<'b>(&mut self, young: impl Iterator<Item = (Id, &'b CStr)>) -> Option<Id> {
        self.watch.watch.as_ref()?;
        let mut unwatched = None;
        let old = core::mem::take(&mut self.young);
        for (id, name) in young {
            let known = old.iter().find(|(_, known)| *known == id).map(|(mark, _)| *mark);
            let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
            let mark = match known {
                Some(mark) => Some(self.watch.again(mark)),
                None => self.watch.add(&path),
            };
            match mark {
                Some(mark) => self.young.push((mark, id)),
                None => unwatched = Some(id),
            }
        }
        self.watch.release(old.into_iter().map(|(mark, _)| mark));
        unwatched
    }

    fn list(&mut self) -> Result<(), Errno> {
        let dir = file::open_dir(CWD, self.path)?;
        self.mark_directory();
        let io = |e: std::io::Error| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let mut entries = BTreeMap::new();
        for (order, entry) in std::fs::read_dir(self.path).map_err(io)?.enumerate() {
            let name = entry.map_err(io)?.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            if let Some(entry) = self.look(dir.as_fd(), &name, order) {
                entries.insert(name, entry);
            }
        }
        self.dir = Some(dir);
        let old = core::mem::replace(&mut self.entries, entries);
        self.watch.release(old.into_values().flat_map(|entry| entry.links).map(|(mark, _)| mark));
        Ok(())
    }

    /// One name may be something else than it was.
    fn look_again(&mut self, name: &OsStr) {
        let Some(dir) = self.dir.take() else { return };
        // After all others, if it is new.
        let order = self.entries.get(name).map_or(usize::MAX, |entry| entry.order);
        let new = self.look(dir.as_fd(), name, order);
        self.dir = Some(dir);
        let old = match new {
            Some(entry) => self.entries.insert(name.to_owned(), entry),
            None => self.entries.remove(name),
        };
        self.watch.release(old.into_iter().flat_map(|entry| entry.links).map(|(mark, _)| mark));
    }

    /// What a name is now; none if there is nothing.
    fn look(&mut self, dir: BorrowedFd<'_>, name: &OsStr, order: usize) -> Option<Entry> {
        let links = match file::link_target(dir, name) {
            Ok(_) => self.depend(self.path, Path::new(name)),
            Err(Errno::ENOENT) => return None,
            Err(_) => Vec::new(),
        };
        let id = match file::stat(dir, name) {
            Ok(s) => file::is_dir(&s).then_some(Id { dev: s.st_dev, ino: s.st_ino }),
            Err(e) => {
                if self.entries.get(name).is_none_or(|known| known.id.is_some()) {
                    say(self.program, Level::Warning, &[b"unable to stat ", name.as_bytes()], Some(e));
                }
                None
            }
        };
        Some(Entry { order, id, links })
    }

    /// Watches what decides where `path`, seen from the directory `base`, leads.
    fn depend(&mut self, base: &Path, path: &Path) -> Vec<(Mark, OsString)> {
        let mut links = Vec::new();
        let Self { watch, complete, .. } = self;
        chain::walk(base, path, read_link, |dir, name| match watch.add(dir) {
            Some(mark) => links.push((mark, name.to_owned())),
            None => *complete = false,
        });
        links
    }

    /// The directory may be another one than at the last scan; its mark then is another, too.
    fn mark_directory(&mut self) {
        let new = self.watch.add(self.path);
        let old = core::mem::replace(&mut self.mark, new);
        self.watch.release(old.into_iter());
    }
}

impl Stale {
    fn add(&mut self, name: &OsStr) {
        match self {
            Self::All => {}
            Self::Names(names) => {
                names.insert(name.to_owned());
            }
        }
    }
}

/// Watched directories. The same directory has the same mark, whatever it is watched for, so uses are counted.
#[derive(Debug)]
struct Watched {
    watch: Option<Watch>,
    uses: BTreeMap<Mark, usize>,
}

impl Watched {
    fn add(&mut self, path: &Path) -> Option<Mark> {
        let mark = self.watch.as_ref()?.add(path, Interest::Names).ok()?;
        Some(self.again(mark))
    }

    fn again(&mut self, mark: Mark) -> Mark {
        *self.uses.entry(mark).or_default() += 1;
        mark
    }

    /// One use less for each; stops watching what nothing depends on any more.
    fn release(&mut self, marks: impl Iterator<Item = Mark>) {
        for mark in marks {
            let left = self.uses.get(&mark).map_or(0, |uses| uses.saturating_sub(1));
            if left > 0 {
                self.uses.insert(mark, left);
            } else {
                self.uses.remove(&mark);
                if let Some(watch) = &self.watch {
                    watch.remove(mark);
                }
            }
        }
    }
}

fn read_link(path: &Path) -> Link {
    match file::link_target(CWD, path) {
        Ok(target) => Link::To(PathBuf::from(target)),
        Err(Errno::EINVAL) => Link::No,
        Err(_) => Link::Missing,
    }
}
