//! `netd render SRCDIR DSTDIR`: every file of SRCDIR becomes the file of that name in DSTDIR, written only when it differs.
//!
//! An executable file is a template: it is run in the directory above SRCDIR (fw's service directory, so that `netd list`
//! finds `conf`), and what it prints is the content. Any other file is copied. Files are replaced atomically, mode 0644;
//! where DSTDIR's file is a symbolic link, what it points to is replaced and the link stays (`/etc/resolv.conf` often
//! points into /run). Templates run side by side and do not see each other's output. One that fails, takes longer than its
//! time or prints more than 1 MiB leaves the old file as it is. Names that start with a dot or end in `~` are not files of
//! ours. Exit codes: 0; 1 one was left as it was and the others were done; 100 wrong usage or unreadable SRCDIR.
#![expect(clippy::disallowed_methods, reason = "driver: runs templates and replaces files")]

mod template;

use crate::say;
use netif::places::Places;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use sys::errtext::errtext;
use sys::file::{self, CWD, Durability};
use sys::{Errno, signal};

/// For the usage text.
pub(crate) const ARGS: &str = "[--timeout SEC] [--run-dir DIR] SRCDIR DSTDIR";

/// What a template may take when nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest file in bytes.
const MAX: usize = 1 << 20;

#[derive(Debug)]
struct Options {
    from: PathBuf,
    to: PathBuf,
    timeout: Duration,
    run: PathBuf,
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let options = match options(args) {
        Ok(options) => options,
        Err(e) => return crate::wrong_usage(&e),
    };
    let names = match names(&options.from) {
        Ok(names) => names,
        Err(e) => {
            return crate::give_up(&format!("unable to read directory {}: {}", options.from.display(), errtext(e)));
        }
    };
    // Before the first template starts, so that the end of none is missed.
    let children = match signal::Signals::take(&[signal::Signal::SIGCHLD]) {
        Ok(children) => children,
        Err(e) => return crate::give_up(&format!("unable to wait for templates: {}", errtext(e))),
    };
    // All of them at once: each is mostly waiting for the next program of its own.
    let begun: Vec<_> = names.iter().map(|name| Begun::new(&options.from.join(name), &options)).collect();
    // Said when all have ended: shells write their complaints in pieces.
    let (mut done, mut left) = (Vec::new(), Vec::new());
    for (name, begun) in names.iter().zip(begun) {
        let source = options.from.join(name);
        let target = options.to.join(name);
        let rendered = begun.and_then(|b| b.content(&options, &children)).and_then(|new| write(&target, &new));
        match rendered {
            Ok(true) => done.push(format!("{}: written", target.display())),
            Ok(false) => {}
            Err(why) => left.push(format!("{}: {why}; {} stays as it is", source.display(), target.display())),
        }
    }
    say::done(&done);
    left.iter().for_each(|line| say::warning(line));
    if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(args: &[OsString]) -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let (mut timeout, mut run, mut dirs) = (TIMEOUT, None, Vec::new());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("timeout") => timeout = Duration::from_secs(parser.value()?.parse()?),
            Long("run-dir") => run = Some(parser.value()?.into()),
            Value(dir) => dirs.push(PathBuf::from(dir)),
            Short(_) | Long(_) => return Err(arg.unexpected()),
        }
    }
    match <[PathBuf; 2]>::try_from(dirs) {
        Ok([from, to]) => Ok(Options { from, to, timeout, run: run.unwrap_or_else(|| Places::of_process().run_dir) }),
        Err(_) => Err("expected SRCDIR and DSTDIR".into()),
    }
}

/// The names in SRCDIR, sorted.
fn names(dir: &Path) -> Result<Vec<OsString>, Errno> {
    let errno = |e: std::io::Error| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(errno)? {
        let name = entry.map_err(errno)?.file_name();
        let text = name.to_string_lossy();
        if !text.starts_with('.') && !text.ends_with('~') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A file on its way.
enum Begun {
    Copied(Vec<u8>),
    Template(template::Running),
}

impl Begun {
    fn new(source: &Path, options: &Options) -> Result<Self, String> {
        let about = std::fs::metadata(source).map_err(|e| format!("unable to read: {e}"))?;
        if !about.is_file() {
            return Err("expected a file".to_owned());
        }
        if about.permissions().mode() & 0o111 == 0 {
            let content = file::read_bounded(CWD, source, MAX);
            return content.map(Self::Copied).map_err(|e| format!("unable to read: {}", errtext(e)));
        }
        template::Running::start(source, &options.run).map(Self::Template)
    }

    /// What the file shall hold.
    fn content(self, options: &Options, children: &signal::Signals) -> Result<Vec<u8>, String> {
        match self {
            Self::Copied(content) => Ok(content),
            Self::Template(running) => running.finish(options.timeout, MAX, children),
        }
    }
}

/// Whether the file had to be written.
fn write(target: &Path, new: &[u8]) -> Result<bool, String> {
    let target = behind(target);
    let shown = target.display();
    match file::read_bounded(CWD, &target, MAX) {
        Ok(old) if old == new => return Ok(false),
        Ok(_) | Err(Errno::ENOENT | Errno::EFBIG) => {}
        Err(e) => return Err(format!("unable to read {shown}: {}", errtext(e))),
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temp = target.with_file_name(format!(".{name}.netd.tmp"));
    file::replace(CWD, &temp, &target, new, 0o644, Durability::PowerLoss)
        .map_err(|e| format!("unable to write {shown}: {}", errtext(e)))?;
    Ok(true)
}

/// The file behind symbolic links, which may itself not be there yet.
fn behind(target: &Path) -> PathBuf {
    if let Ok(there) = target.canonicalize() {
        return there;
    }
    match file::link_target(CWD, target) {
        Ok(link) => target.with_file_name(link),
        Err(_) => target.to_owned(),
    }
}
