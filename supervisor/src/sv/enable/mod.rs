//! `sv enable` and `sv disable`: a service is a link in the services directory to a directory of /etc/sv.
//!
//! A link is made and removed by one system call each, so that `runsvdir` sees a service or none. One directory is one service,
//! since its `supervise/` is in it: what runs once for each interface has a directory for each, see [`instance`].

mod appear;
mod instance;

use super::command::{Goal, Late, Order, Template, Waits};
use super::look::alive;
use super::place::Place;
use super::report::{Report, Trouble};
use super::waiter::{self, Waiter};
use crate::service;
use appear::appears;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use sys::Errno;
use sys::clock::Instant;
use sys::errtext::errtext;
use sys::file::{self, CWD};

/// Where directories are that may become services.
const SOURCES: &[u8] = b"/etc/sv";

/// How a disabled service ends: as by `sv shutdown`. `runsvdir` sends TERM too, some only at their next look.
const SHUTDOWN: Order = Order { send: b"x", until: &[Goal::Gone], waits: Waits::Always, late: Late::Timeout };

/// With `-v` and `-w` a service that was enabled is waited for: until it runs and is available, or is down as it should be.
const SETTLED: Order = Order { send: b"", until: &[Goal::Settled], waits: Waits::Verbose, late: Late::Timeout };

/// Why something could not be done: to what, and the system's reason or ours.
struct Failure {
    path: Vec<u8>,
    why: Why,
}

enum Why {
    System(Errno),
    Words(&'static [u8]),
}

fn failure(path: impl Into<Vec<u8>>) -> impl FnOnce(Errno) -> Failure {
    move |e| Failure { path: path.into(), why: Why::System(e) }
}

/// Links each of `services` into `svdir`. `sv enable -t`: the first is the template of the others. With a deadline they are waited
/// for.
#[inline(never)] // so that `status` needs none of its stack
pub(super) fn enable(
    services: &[OsString],
    svdir: &[u8],
    template: Template,
    deadline: Option<Instant>,
    report: &mut Report,
) {
    let mut enabled = Vec::new();
    let (template, services) = match (template, services) {
        (Template::First, [template, services @ ..]) => (Some(template.as_bytes()), services),
        (Template::First | Template::ByName, services) => (None, services),
    };
    for service in services.iter().map(|s| s.as_bytes()) {
        match enable_one(service, svdir, template) {
            Ok(done) => {
                for part in [b"ok: ", done.name.as_slice(), b": enabled", done.already, b", ", &done.target] {
                    report.put(part);
                }
                if let Some(template) = done.made_from {
                    report.put(b", made from ");
                    report.put(&template);
                }
                let down = under(&under(svdir, &done.name), service::DOWN.to_bytes());
                report.put(if file::exists(CWD, down.as_slice()) == Ok(true) { b", normally down\n" } else { b"\n" });
                enabled.push(done.name);
            }
            Err(why) => failed(service, b": unable to enable: ", &why, report),
        }
    }
    if let Some(deadline) = deadline {
        report.flush();
        await_all(&enabled, svdir, deadline, report);
    }
}

fn await_all(names: &[Vec<u8>], svdir: &[u8], deadline: Instant, report: &mut Report) {
    let mut waiter = Waiter::new();
    for name in names {
        let mut place = Place::of(name, svdir);
        if appears(&mut place, deadline) {
            waiter.send(name, place, SETTLED, report);
        } else {
            waiter::failed(name, &SETTLED, Trouble::NotRunning, report);
        }
    }
    waiter.run(deadline, report);
}

/// What `enable` did.
struct Enabled {
    /// Of the entry of the services directory.
    name: Vec<u8>,
    /// Where the entry of the services directory leads.
    target: Vec<u8>,
    /// ` already` if it was there.
    already: &'static [u8],
    /// The template, if its directory was made now.
    made_from: Option<Vec<u8>>,
}

fn enable_one(service: &[u8], svdir: &[u8], template: Option<&[u8]>) -> Result<Enabled, Failure> {
    let source = source_of(service)?;
    let name = name_of(&source)?.to_vec();
    let entry = under(svdir, &name);
    if let Some(target) = already_there(&entry, service, &source)? {
        return Ok(Enabled { name, target, already: b" already", made_from: None });
    }
    let made_from = match file::stat(CWD, source.as_slice()) {
        Ok(_) => None,
        Err(Errno::ENOENT) if !is_path(service) => instance::make(SOURCES, &name, template)?,
        Err(e) => return Err(failure(source)(e)),
    };
    let run = under(&source, b"run");
    file::stat(CWD, run.as_slice()).map_err(failure(run))?;
    file::make_link(&source, CWD, entry.as_slice()).map_err(failure(entry))?;
    Ok(Enabled { name, target: source, already: b"", made_from })
}

/// Where an entry of the services directory leads, if there is one. It counts as enabled if it leads to a service and is not
/// another one than the path that was typed.
fn already_there(entry: &[u8], service: &[u8], source: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let other = |words| Failure { path: entry.to_vec(), why: Why::Words(words) };
    let target = match file::link_target(CWD, entry) {
        Ok(target) => target.into_vec(),
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::EINVAL) => entry.to_vec(),
        Err(e) => return Err(failure(entry)(e)),
    };
    match file::stat(CWD, under(entry, b"run").as_slice()) {
        Ok(_) if is_path(service) && target != source => Err(other(b"another service has that name")),
        Ok(_) => Ok(Some(target)),
        Err(_) => Err(other(b"is there, and is no service")),
    }
}

/// The directory that is to become a service: below /etc/sv, or as typed.
fn source_of(service: &[u8]) -> Result<Vec<u8>, Failure> {
    match service {
        _ if !is_path(service) => Ok(under(SOURCES, service)),
        [b'/', ..] => Ok(service.strip_suffix(b"/").unwrap_or(service).to_vec()),
        _ => std::fs::canonicalize(OsStr::from_bytes(service))
            .map(|path| path.into_os_string().into_vec())
            .map_err(|e| failure(service)(e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))),
    }
}

/// Whether what was typed is no name of something in /etc/sv.
fn is_path(service: &[u8]) -> bool {
    service.starts_with(b".") || service.contains(&b'/')
}

/// Removes the links of `services` from `svdir`, then stops them and waits for the end of their runsv.
#[inline(never)] // so that `status` needs none of its stack
pub(super) fn disable(services: &[OsString], svdir: &[u8], deadline: Instant, report: &mut Report) {
    let mut waiter = Waiter::new();
    for service in services.iter().map(|s| s.as_bytes()) {
        match disable_one(service, svdir) {
            Ok(Some(target)) => {
                for part in [b"ok: ", service, b": disabled\n"] {
                    report.put(part);
                }
                let mut place = Place::at(target);
                match alive(&mut place) {
                    // It was never supervised, or the link led nowhere.
                    Err(Trouble::File(_, Errno::ENOENT) | Trouble::NoDirectory(Errno::ENOENT)) => {}
                    Ok(_) | Err(_) => waiter.send(service, place, SHUTDOWN, report),
                }
            }
            Ok(None) => {
                for part in [b"ok: ", service, b": disabled already\n"] {
                    report.put(part);
                }
            }
            Err(why) => failed(service, b": unable to disable: ", &why, report),
        }
    }
    waiter.run(deadline, report);
}

/// Where the link led that is gone now; none if there was none.
fn disable_one(service: &[u8], svdir: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let source = source_of(service)?;
    let name = name_of(&source)?;
    let entry = under(svdir, name);
    let target = match file::link_target(CWD, entry.as_slice()) {
        Ok(target) => target.into_vec(),
        Err(Errno::ENOENT) if file::exists(CWD, source.as_slice()) == Ok(true) => return Ok(None),
        Err(Errno::EINVAL) => {
            return Err(Failure {
                path: entry,
                why: Why::Words(b"not a link: move it away, it is the service itself"),
            });
        }
        Err(e) => return Err(failure(entry)(e)),
    };
    let opened = file::open_dir(CWD, svdir).map_err(failure(svdir))?;
    file::unlink(opened.as_fd(), name).map_err(failure(entry))?;
    Ok(Some(if target.starts_with(b"/") { target } else { under(svdir, &target) }))
}

/// The name that a directory has as a service: its path's last part. runsvdir passes over what begins with a dot.
fn name_of(source: &[u8]) -> Result<&[u8], Failure> {
    let name = source.rsplit(|c| *c == b'/').next().unwrap_or(source);
    if name.is_empty() || name.starts_with(b".") {
        return Err(Failure { path: source.to_vec(), why: Why::Words(b"not the name of a service") });
    }
    Ok(name)
}

fn under(dir: &[u8], name: &[u8]) -> Vec<u8> {
    [dir, b"/", name].concat()
}

fn failed(name: &[u8], what: &[u8], failure: &Failure, report: &mut Report) {
    let why = match failure.why {
        Why::System(e) => errtext(e).as_bytes(),
        Why::Words(words) => words,
    };
    report.late();
    for part in [b"fail: ", name, what, &failure.path, b": ", why, b"\n"] {
        report.put(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_names() {
        for (service, source, name) in [
            ("foo", "/etc/sv/foo", "foo"),
            ("/srv/foo/", "/srv/foo", "foo"),
            ("/usr/../usr", "/usr/../usr", "usr"),
            ("/srv/.foo", "/srv/.foo", "-"),
            ("/", "", "-"),
            ("", "/etc/sv/", "-"),
        ] {
            let found = source_of(service.as_bytes()).ok().unwrap();
            assert_eq!(found, source.as_bytes(), "{service}");
            assert_eq!(name_of(&found).unwrap_or(b"-"), name.as_bytes(), "{service}");
        }
    }
}
