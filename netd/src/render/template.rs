//! Runs a template and takes what it prints, within a time and a size. Its standard error is ours.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;
use sys::clock::{Instant, monotonic};
use sys::errtext::errtext;
use sys::poll::{self, PollFd, PollFlags};
use sys::signal::{self, Signal, Signals};
use sys::spawn::{self, Spawn, Status};
use sys::{Errno, Pid, file};

/// A template that runs. It must be told to [`Running::finish`].
#[derive(Debug)]
#[must_use]
pub(super) struct Running {
    pid: Pid,
    reader: OwnedFd,
}

impl Running {
    pub(super) fn start(source: &Path, run_dir: &Path) -> Result<Self, String> {
        let (reader, writer) = file::pipe().map_err(|e| format!("unable to make a pipe: {}", errtext(e)))?;
        let pid = start(source, run_dir, &writer).map_err(|e| format!("unable to run: {}", errtext(e)))?;
        Ok(Self { pid, reader })
    }

    /// What it printed, or why there is nothing to be had from it. `timeout` counts from now.
    pub(super) fn finish(self, timeout: Duration, max: usize, children: &Signals) -> Result<Vec<u8>, String> {
        let outcome = take(&self.reader, self.pid, max, monotonic() + timeout, children);
        // Whatever it left running in its group would hold the pipe, or write into the next file's time.
        if outcome.is_err() {
            let _ = signal::kill(Pid::from_raw(-self.pid.as_raw()), Signal::SIGKILL);
            while spawn::reap_child(self.pid).is_none() {
                let mut fds = [PollFd::new(children.as_fd(), PollFlags::POLLIN)];
                if poll::wait(&mut fds, monotonic(), None).is_err() {
                    break;
                }
                while children.next().is_some() {}
            }
        }
        let (output, status) = outcome.map_err(|e| match e {
            Failed::Late => format!("did not end within {} s and was killed", timeout.as_secs()),
            Failed::Large => format!("printed more than {max} bytes and was killed"),
            Failed::Unreadable(e) => format!("unable to read its output: {}", errtext(e)),
        })?;
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(output),
            (Some(code), _) => Err(format!("ended with exit code {code}")),
            (None, signal) => Err(format!("was killed by signal {}", signal.unwrap_or(0))),
        }
    }
}

/// In the directory above SRCDIR, so that relative names mean the same for all of them.
fn start(source: &Path, run_dir: &Path, output: &OwnedFd) -> Result<Pid, Errno> {
    let (Some(dir), Some(name)) = (source.parent(), source.file_name()) else { return Err(Errno::EINVAL) };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let dir = dir.canonicalize().map_err(|e| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    let source = dir.join(name);
    let above = dir.parent().unwrap_or(&dir);
    let mut environment: Vec<CString> = Vec::new();
    for (key, value) in std::env::vars_os().filter(|(k, _)| k != "FW_RUNDIR") {
        environment.push(assignment(&key, &value)?);
    }
    environment.push(assignment(OsStr::new("FW_RUNDIR"), run_dir.as_os_str())?);
    let program = CString::new(source.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let above = CString::new(above.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let args = [program.as_c_str()];
    Spawn::new(&program, &args).dir(&above).env(&environment).group().stdout(output.as_fd()).start()
}

fn assignment(key: &OsStr, value: &OsStr) -> Result<CString, Errno> {
    CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).map_err(|_| Errno::EINVAL)
}

/// Why there is no output.
enum Failed {
    Late,
    Large,
    Unreadable(Errno),
}

/// Reads until the template has ended and nothing more is in the pipe.
fn take(
    reader: &OwnedFd,
    pid: Pid,
    max: usize,
    deadline: Instant,
    children: &Signals,
) -> Result<(Vec<u8>, Status), Failed> {
    let (mut output, mut open) = (Vec::new(), true);
    loop {
        if !open && let Some(status) = spawn::reap_child(pid) {
            return Ok((output, status));
        }
        let now = monotonic();
        if now >= deadline {
            return Err(Failed::Late);
        }
        let mut fds =
            [PollFd::new(children.as_fd(), PollFlags::POLLIN), PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        let wanted = if open { 2 } else { 1 };
        poll::wait(&mut fds[..wanted], now, Some(deadline)).map_err(Failed::Unreadable)?;
        let ready = open && poll::readable(&fds[1]);
        while children.next().is_some() {}
        if ready {
            let mut buffer = [0; 4096];
            match file::read_some(reader.as_fd(), &mut buffer).map_err(Failed::Unreadable)? {
                0 => open = false,
                n if output.len() + n > max => return Err(Failed::Large),
                n => output.extend_from_slice(&buffer[..n]),
            }
        }
    }
}
