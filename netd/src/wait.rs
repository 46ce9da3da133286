//! `netd wait [FILE...]`: until every FILE is there, without looking again and again. Without FILE it is `up` in fw's run
//! directory, so this is how a service waits for the first run of fw to come to its end. Directories on the way may be missing
//! as well. Exit codes: 0 all are there; 100 wrong usage, or waiting is impossible.
#![expect(clippy::disallowed_methods, reason = "driver: looks whether files are there")]

use netif::places::Places;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sys::clock::monotonic;
use sys::errtext::errtext;
use sys::poll::{PollFd, PollFlags};
use sys::watch::{Interest, Watch};
use sys::{Errno, rest};

/// For the usage text.
pub(crate) const ARGS: &str = "[FILE...]";

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let mut files = match files(args) {
        Ok(files) => files,
        Err(e) => return crate::wrong_usage(&e),
    };
    if files.is_empty() {
        files.push(Places::of_process().run_dir.join("up"));
    }
    for file in &files {
        if let Err(e) = until_there(file) {
            return crate::give_up(&format!("unable to wait for {}: {}", file.display(), errtext(e)));
        }
    }
    ExitCode::SUCCESS
}

fn files(args: &[OsString]) -> Result<Vec<PathBuf>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut files = Vec::new();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Value(file) => files.push(file.into()),
            Short(_) | Long(_) => return Err(arg.unexpected()),
        }
    }
    Ok(files)
}

fn until_there(file: &Path) -> Result<(), Errno> {
    if file.exists() {
        return Ok(());
    }
    let watch = Watch::new()?;
    loop {
        let mark = watch_nearest(&watch, file)?;
        // What came before there was somebody to see it.
        if file.exists() {
            return Ok(());
        }
        rest::wait(&mut [PollFd::new(watch.as_fd(), PollFlags::POLLIN)], monotonic(), None)?;
        watch.changes(|_, _| {});
        watch.remove(mark);
    }
}

/// Watches the deepest directory on the way to `file` that is there.
fn watch_nearest(watch: &Watch, file: &Path) -> Result<sys::watch::Mark, Errno> {
    let mut error = Errno::ENOENT;
    for dir in file.ancestors().skip(1) {
        let dir = if dir == Path::new("") { Path::new(".") } else { dir };
        match watch.add(dir, Interest::Names) {
            Err(e @ (Errno::ENOENT | Errno::ENOTDIR)) => error = e,
            other => return other,
        }
    }
    Err(error)
}
