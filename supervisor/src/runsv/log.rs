//! Which log service a service has: the one in its own `log/`, or a template's, which `runsvdir -l` has for all that have none.
//!
//! A template is a directory as `log/` is, with `run` and what else is read there; it stays as it is. Its `run` is started in
//! it and told the service's name as the argument. What runsv has to say about it is in `supervise/log/supervise/`, so
//! that `supervise/log` can be given to `sv` as `log` can.

use super::place::Fatal;
use crate::service;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::Errno;
use sys::file::{self, CWD};
use sys::msg::{Level, say};

/// A log service's directory.
#[derive(Debug)]
pub(crate) enum Log {
    /// `log/`
    Own(OwnedFd),
    /// The template.
    Template(OwnedFd),
}

impl Log {
    /// Where its `run` is.
    pub(crate) fn home(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(dir) | Self::Template(dir) => dir.as_fd(),
        }
    }

    /// Where its `supervise/` is, and where its `run` is if that is elsewhere. The service's own `supervise/` is there.
    pub(crate) fn separate(self, service: BorrowedFd<'_>) -> Result<(OwnedFd, Option<OwnedFd>), Fatal<'static>> {
        match self {
            Self::Own(dir) => Ok((dir, None)),
            Self::Template(home) => file::make_dir(service, service::TEMPLATE_LOG, 0o700)
                .and_then(|()| file::open_dir(service, service::TEMPLATE_LOG))
                .map(|dir| (dir, Some(home)))
                .map_err(|e| Fatal([b"unable to open ", service::TEMPLATE_LOG.to_bytes(), b""], Some(e))),
        }
    }
}

/// The log service of the service directory `dir`, if it has one.
pub(crate) fn find(
    dir: BorrowedFd<'_>,
    template: Option<&OsStr>,
    program: &[u8],
) -> Result<Option<Log>, Fatal<'static>> {
    match (file::open_dir(dir, service::LOG), template) {
        (Ok(log), _) => Ok(Some(Log::Own(log))),
        (Err(Errno::ENOENT), None) => Ok(None),
        (Err(Errno::ENOENT), Some(template)) => match file::open_dir(CWD, template) {
            Ok(home) => Ok(Some(Log::Template(home))),
            Err(e) => {
                // Better without a log than not at all.
                say(program, Level::Warning, &[b"unable to open ", template.as_bytes()], Some(e));
                Ok(None)
            }
        },
        (Err(Errno::ENOTDIR), _) => {
            say(program, Level::Warning, &[b"./log: not a directory."], None);
            Ok(None)
        }
        (Err(e), _) => Err(Fatal([b"unable to open ./log", b"", b""], Some(e))),
    }
}

/// The name of the service: the last one of its path, or else of what runsv was given, which is the last word of `program`.
pub(crate) fn name(path: Option<&Path>, program: &[u8]) -> Option<CString> {
    let given = program.strip_prefix(b"runsv ").map(|dir| Path::new(OsStr::from_bytes(dir)));
    let name = path.and_then(Path::file_name).or_else(|| given?.file_name());
    CString::new(name?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |path: Option<&str>, program: &str| {
            name(path.map(Path::new), program.as_bytes()).map(|name| name.into_string().unwrap())
        };
        assert_eq!(name(Some("/service/foo"), "runsv bar").as_deref(), Some("foo"));
        assert_eq!(name(None, "runsv ../x/bar/").as_deref(), Some("bar"));
        assert_eq!(name(None, "runsv .."), None);
    }
}
