//! The services directory as the world has it, a driver: what is in it, and a watch on everything that could change that.
//!
//! Watched are the directory itself, each directory that holds a link on the way to it (a swapped `current` link), each
//! that holds the target of one of its links (a package upgrade replaces `/etc/sv/NAME`), and directories made in place
//! until they are complete. If any of these cannot be watched, the machine is told and looks again every few seconds.

use super::chain::{self, Link};
use super::scan::{Found, Id, Seen};
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
    watch: Option<Watch>,
    /// The directory itself.
    mark: Option<Mark>,
    /// Names in other directories on which it depends.
    links: Vec<(Mark, OsString)>,
    /// Directories made in place that are not complete.
    young: Vec<(Mark, Id)>,
    /// Made in place since the last scan.
    made: Vec<OsString>,
    /// What the user was told that cannot be used, so that it is said once.
    unusable: Vec<OsString>,
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
            watch: Watch::new().ok(),
            mark: None,
            links: Vec::new(),
            young: Vec::new(),
            made: Vec::new(),
            unusable: Vec::new(),
        }
    }

    /// Becomes readable when there is news.
    pub(crate) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// The directory; children are started in it.
    pub(crate) fn dir(&self) -> Option<BorrowedFd<'_>> {
        self.dir.as_ref().map(AsFd::as_fd)
    }

    /// Hands out what has changed.
    pub(crate) fn news(&mut self, mut each: impl FnMut(News)) {
        let Self { watch: Some(watch), mark, links, young, made, .. } = self else { return };
        watch.changes(|at, change| {
            if let Some((_, id)) = young.iter().find(|(mark, _)| *mark == at) {
                each(News::Stirred(*id));
            }
            match change {
                Change::Overflow | Change::Itself => each(News::Changed),
                // Not a service, and usually the first half of a rename.
                Change::Made(name) | Change::Came(name) | Change::Went(name) if name.as_bytes().starts_with(b".") => {}
                Change::Made(name) if *mark == Some(at) => {
                    made.push(name.to_owned());
                    each(News::Changed);
                }
                Change::Came(_) | Change::Went(_) if *mark == Some(at) => each(News::Changed),
                Change::Made(name) | Change::Came(name) | Change::Went(name) => {
                    if links.iter().any(|(mark, link)| *mark == at && link == name) {
                        each(News::Changed);
                    }
                }
            }
        });
    }

    /// Watches and reads.
    pub(crate) fn scan(&mut self) -> Found {
        // Watched first, so that nothing is missed in between.
        let mut links = Links { found: Vec::new(), complete: self.watch.is_some() };
        let base = if self.path.is_absolute() { Path::new("/") } else { Path::new(".") };
        links.add(self.watch.as_ref(), base, self.path);
        let listed = self.list(&mut links);
        self.replace_links(links.found);
        let watched = links.complete;
        match listed {
            Ok(seen) => Found::Services { seen, watched: watched && self.mark.is_some() },
            Err(e) => {
                let path = self.path.as_os_str();
                if !self.unusable.iter().any(|known| known == path) {
                    self.unusable.push(path.to_owned());
                    say(self.program, Level::Warning, &[b"unable to open directory ", path.as_bytes()], Some(e));
                }
                // What is not there comes with an event; what there is no room for does not.
                let comes = matches!(e, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP);
                Found::Nothing { watched: watched && comes }
            }
        }
    }

    /// Whether the service can be started.
    pub(crate) fn complete(&self, name: &CStr) -> bool {
        let open = |dir| file::open_dir(dir, name).and_then(|dir| file::exists(dir.as_fd(), crate::service::RUN));
        self.dir().is_some_and(|dir| open(dir) == Ok(true))
    }

    /// Watches those directories for additions, and no others any more. Returns one that cannot be watched, if there is one.
    pub(crate) fn watch_young<'b>(&mut self, young: impl Iterator<Item = (Id, &'b CStr)>) -> Option<Id> {
        let watch = self.watch.as_ref()?;
        let mut unwatched = None;
        let old = core::mem::take(&mut self.young);
        for (id, name) in young {
            let known = old.iter().find(|(_, known)| *known == id).map(|(mark, _)| *mark);
            let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
            match known.or_else(|| watch.add(&path, Interest::Names).ok()) {
                Some(mark) => self.young.push((mark, id)),
                None => unwatched = Some(id),
            }
        }
        old.into_iter().for_each(|(mark, _)| self.release(mark));
        unwatched
    }

    fn list(&mut self, links: &mut Links) -> Result<Vec<Seen>, Errno> {
        let dir = file::open_dir(CWD, self.path)?;
        self.mark_directory();
        let mut seen = Vec::new();
        let mut unusable = Vec::new();
        let made = core::mem::take(&mut self.made);
        let io = |e: std::io::Error| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        for entry in std::fs::read_dir(self.path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let Ok(c_name) = CString::new(name.as_bytes()) else { continue };
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                links.add(self.watch.as_ref(), self.path, Path::new(&name));
            }
            match file::stat(dir.as_fd(), c_name.as_c_str()) {
                Ok(s) if file::is_dir(&s) => {
                    let young = made.contains(&name);
                    seen.push(Seen { id: Id { dev: s.st_dev, ino: s.st_ino }, name: c_name, young });
                }
                Ok(_) => {}
                Err(e) => {
                    if !self.unusable.contains(&name) {
                        say(self.program, Level::Warning, &[b"unable to stat ", name.as_bytes()], Some(e));
                    }
                    unusable.push(name);
                }
            }
        }
        self.unusable = unusable;
        self.dir = Some(dir);
        Ok(seen)
    }

    /// The directory may be another one than at the last scan; its mark then is another, too.
    fn mark_directory(&mut self) {
        let new = self.watch.as_ref().and_then(|watch| watch.add(self.path, Interest::Names).ok());
        if let Some(old) = core::mem::replace(&mut self.mark, new) {
            self.release(old);
        }
    }

    fn replace_links(&mut self, links: Vec<(Mark, OsString)>) {
        let old = core::mem::replace(&mut self.links, links);
        old.into_iter().for_each(|(mark, _)| self.release(mark));
    }

    /// Stops watching what nothing depends on any more.
    fn release(&self, mark: Mark) {
        if let Some(watch) = &self.watch
            && !self.uses(mark)
        {
            watch.remove(mark);
        }
    }

    /// The same directory has the same mark, whatever it is watched for.
    fn uses(&self, mark: Mark) -> bool {
        self.mark == Some(mark)
            || self.links.iter().any(|(m, _)| *m == mark)
            || self.young.iter().any(|(m, _)| *m == mark)
    }
}

/// The names a scan depends on.
struct Links {
    found: Vec<(Mark, OsString)>,
    /// All of them are watched.
    complete: bool,
}

impl Links {
    /// Watches what decides where `path`, seen from the directory `base`, leads.
    fn add(&mut self, watch: Option<&Watch>, base: &Path, path: &Path) {
        let Some(watch) = watch else { return };
        chain::walk(base, path, read_link, |dir, name| match watch.add(dir, Interest::Names) {
            Ok(mark) => self.found.push((mark, name.to_owned())),
            Err(_) => self.complete = false,
        });
    }
}

fn read_link(path: &Path) -> Link {
    match file::link_target(CWD, path) {
        Ok(target) => Link::To(PathBuf::from(target)),
        Err(Errno::EINVAL) => Link::No,
        Err(_) => Link::Missing,
    }
}
