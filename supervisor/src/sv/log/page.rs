//! All of a log, oldest line first: through the pager when somebody looks at it, else as it is.
#![expect(clippy::disallowed_methods, reason = "driver: waits for the pager")]

use super::files::Files;
use super::stamps::Stamps;
use std::ffi::CStr;
use std::io::{IsTerminal, stdout};
use std::os::fd::AsFd;
use sys::clock::monotonic;
use sys::file::{pipe, write_all};
use sys::poll::{PollFd, PollFlags, wait};
use sys::signal::{Signal, Signals};
use sys::spawn::{Spawn, reap};
use sys::{Errno, msg};

/// PAGER is a command with its options, as for everybody else who uses it.
const PAGER: &CStr = c"exec ${PAGER:-$(command -v less || command -v more || echo cat)}";

/// Shows it.
pub(super) fn run(dir: &[u8], raw: bool) -> Result<(), Errno> {
    if !stdout().is_terminal() {
        return show(dir, raw, &mut |piece| msg::print(&[piece]));
    }
    // The pager decides what ^C means.
    let signals = Signals::take(&[Signal::SIGCHLD, Signal::SIGINT, Signal::SIGQUIT])?;
    let (reader, writer) = pipe()?;
    let pager = Spawn::new(c"/bin/sh", &[c"sh", c"-c", PAGER]).stdin(reader.as_fd()).start()?;
    drop(reader);
    let shown = show(dir, raw, &mut |piece| write_all(writer.as_fd(), piece).is_ok());
    drop(writer);
    loop {
        while let Some((pid, _)) = reap() {
            if pid == pager {
                return shown;
            }
        }
        wait(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], monotonic(), None)?;
        while signals.next().is_some() {}
    }
}

fn show(dir: &[u8], raw: bool, to: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Errno> {
    let mut files = Files::new(dir);
    let mut stamps = Stamps::new(raw);
    let (current, old) = files.next(None)?;
    for mut open in old.iter().filter_map(|name| files.old(name)).chain(current) {
        open.read(&mut stamps, to)?;
    }
    if to(&stamps.rest()) { Ok(()) } else { Err(Errno::EPIPE) }
}
