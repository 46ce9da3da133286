#![expect(clippy::disallowed_methods, reason = "driver: owns what this process is, and what it becomes")]
//! Does what a [`Change`] says, in runit's order (spec runit §5), and becomes the program. With -/ everything after it happens
//! in the new root: users and groups are looked up there, the lock is there, the program is there.

use super::FATAL;
use super::account::{Ids, NoIds, Table, resolve};
use super::change::{Change, Lock, Variables, Who, Wording};
use super::environment::{Environment, value};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use sys::exec::Program;
use sys::msg::{Dec, Level, say};
use sys::{Errno, exec, file, identity, limit, lock};

const NAME: &[u8] = b"chpst";

/// Where programs are when there is no PATH.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The kernel takes no longer string into a program.
const LONGEST_VALUE: usize = 128 * 1024;

/// More than anybody's list of users.
const LARGEST_TABLE: usize = 16 * 1024 * 1024;

/// What cannot be done, and the system's reason if it has one.
#[derive(Debug)]
struct Failure {
    what: Vec<u8>,
    why: Option<Errno>,
}

impl Failure {
    fn new(what: &str, why: Errno) -> Self {
        Self { what: what.into(), why: Some(why) }
    }

    /// `WHAT: NAME: WHY`
    fn with(what: &str, name: &OsStr, why: Errno) -> Self {
        Self { why: Some(why), ..Self::of(what, name) }
    }

    /// `WHAT: NAME`
    fn of(what: &str, name: &OsStr) -> Self {
        Self { what: [what.as_bytes(), b": ", name.as_bytes()].concat(), why: None }
    }
}

/// Returns the exit code if the program cannot be run.
pub(crate) fn apply(change: &Change<'_>) -> u8 {
    let Err(failure) = become_program(change);
    if change.silent {
        return 0;
    }
    say(NAME, Level::Fatal, &[&failure.what], failure.why);
    FATAL
}

fn become_program(change: &Change<'_>) -> Result<core::convert::Infallible, Failure> {
    let (mut env, path) = inherited();
    if change.session {
        // Only a group's leader cannot have a new one, and keeps its own, as with runit.
        let _ = identity::new_session();
    }
    if let Some(variables) = change.variables {
        read_variables(variables, change.verbose, &mut env)?;
    }
    if let Some(root) = change.root {
        identity::change_directory(root).map_err(|e| Failure::with("unable to change directory", root, e))?;
        identity::root_is_here().map_err(|e| Failure::new("unable to change root directory", e))?;
    }
    if let Some(dir) = change.directory {
        identity::change_directory(dir).map_err(|e| Failure::with("unable to change directory", dir, e))?;
    }
    if let Some(by) = change.nice {
        identity::add_nice(by).map_err(|e| Failure::new("unable to set nice level", e))?;
    }
    if let Some(who) = change.announced {
        let ids = look_up(who)?;
        env.set(b"GID", Dec::new(ids.gids.first().copied().unwrap_or_default().into()).as_bytes());
        env.set(b"UID", Dec::new(ids.uid.into()).as_bytes());
    }
    if let Some(who) = change.user {
        become_user(&look_up(who)?)?;
    }
    if let Some(lock) = change.lock {
        take(lock)?;
    }
    for number in (0..3).filter(|&n| change.close[usize::from(n)]) {
        let what = ["unable to close stdin", "unable to close stdout", "unable to close stderr"][usize::from(number)];
        exec::close_standard(number).map_err(|e| Failure::new(what, e))?;
    }
    // Nothing is allocated once there are limits: they are the program's, not ours.
    let file = change.program.first().map(OsString::as_os_str).unwrap_or_default();
    let program = prepare(change, &path, env).map_err(|e| Failure::with("unable to run", file, e))?;
    let failure = Failure::of("unable to run", file);
    set_limits(change)?;
    Err(Failure { why: Some(program.run()), ..failure })
}

/// Our own environment, and its PATH: where the program is does not depend on what it will be told.
fn inherited() -> (Environment, Vec<u8>) {
    let env = std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
    let path = std::env::var_os("PATH").map_or_else(|| DEFAULT_PATH.to_vec(), OsStringExt::into_vec);
    (env, path)
}

fn read_variables(variables: Variables<'_>, verbose: bool, env: &mut Environment) -> Result<(), Failure> {
    let path = variables.directory;
    let dir = file::open_dir(file::CWD, path).map_err(|e| Failure::with("unable to switch to directory", path, e))?;
    let unreadable = |e: std::io::Error| Failure::with("unable to read directory", path, errno(&e));
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if name.as_bytes().starts_with(b".") {
            continue;
        }
        let unreadable = |e| {
            let what = [b"unable to read ", path.as_bytes(), b"/", name.as_bytes()].concat();
            Failure { what, why: Some(e) }
        };
        match read_start(dir.as_fd(), &name).map(|content| value(&content)) {
            Ok(Some(value)) => env.set(name.as_bytes(), &value),
            // A link to nowhere says as much as an empty file.
            Ok(None) | Err(Errno::ENOENT) => env.unset(name.as_bytes()),
            Err(e @ Errno::EISDIR) if variables.pass_over_directories => {
                if verbose {
                    say(NAME, Level::Warning, &[&unreadable(e).what], Some(e));
                }
            }
            Err(e) => return Err(unreadable(e)),
        }
    }
    Ok(())
}

/// As much of a file as a variable can hold, and a little more.
fn read_start(dir: BorrowedFd<'_>, name: &OsStr) -> Result<Vec<u8>, Errno> {
    let fd = file::open_read(dir, name)?;
    let (mut content, mut buf) = (Vec::new(), [0; 4096]);
    while content.len() <= LONGEST_VALUE {
        match file::read_some(fd.as_fd(), &mut buf)? {
            0 => break,
            n => content.extend_from_slice(&buf[..n]),
        }
    }
    Ok(content)
}

fn look_up(who: Who<'_>) -> Result<Ids, Failure> {
    let read = |table| {
        let path = match table {
            Table::Passwd => c"/etc/passwd",
            Table::Group => c"/etc/group",
        };
        file::read_bounded(file::CWD, path, LARGEST_TABLE)
    };
    resolve(who.text.as_bytes(), read).map_err(|no| match (no, who.wording) {
        (NoIds::NotNumbers, Wording::UserGroup) => {
            Failure::of("invalid uid/gids", OsStr::from_bytes(&who.text.as_bytes()[1..]))
        }
        (NoIds::Unknown, Wording::UserGroup) => Failure::of("unknown user/group", who.text),
        (NoIds::NotNumbers | NoIds::Unknown, Wording::Account) => Failure::of("unknown account", who.text),
        (NoIds::Unreadable(e), Wording::UserGroup) => Failure::new("unable to get password/group file entry", e),
        (NoIds::Unreadable(e), Wording::Account) => Failure::new("unable to get password file entry", e),
    })
}

fn become_user(ids: &Ids) -> Result<(), Failure> {
    identity::become_user(ids.uid, &ids.gids).map_err(|(step, e)| {
        let what = match step {
            identity::Step::Groups => "unable to setgroups",
            identity::Step::Group => "unable to setgid",
            identity::Step::User => "unable to setuid",
        };
        Failure::new(what, e)
    })
}

/// The lock is the program's from here on.
fn take(wanted: Lock<'_>) -> Result<(), Failure> {
    let Lock { file, wait } = wanted;
    let taken = if wait { lock::Lock::exclusive(file::CWD, file) } else { lock::Lock::try_exclusive(file::CWD, file) };
    taken.and_then(lock::Lock::hand_over).map_err(|e| {
        let what = if e == Errno::EAGAIN { "unable to lock" } else { "unable to open lock" };
        Failure::with(what, file, e)
    })
}

/// Where the program may be, and all it gets. A string with a NUL cannot come from a command line nor from [`value`].
fn prepare(change: &Change<'_>, path: &[u8], env: Environment) -> Result<Program, Errno> {
    let [file, rest @ ..] = change.program else { return Err(Errno::ENOENT) };
    let words = core::iter::once(change.name.unwrap_or(file)).chain(rest.iter().map(OsString::as_os_str));
    let argv: Result<Vec<CString>, _> = words.map(|word| CString::new(word.as_bytes())).collect();
    let program = argv.and_then(|argv| Program::new(file.as_bytes(), path, argv, env.into_strings()?));
    program.map_err(|_| Errno::EINVAL)
}

fn set_limits(change: &Change<'_>) -> Result<(), Failure> {
    for &(resource, wanted) in &change.limits {
        limit::set_soft(resource, wanted).map_err(|(step, e)| match step {
            limit::Step::Read => Failure::new("unable to getrlimit()", e),
            limit::Step::Write => Failure::new("unable to setrlimit()", e),
        })?;
    }
    Ok(())
}

fn errno(e: &std::io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
