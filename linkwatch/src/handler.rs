//! Starts ifplugd's handler: `PROG IF up|down [EXTRA]`, with what was and what is in the environment (spec dhcp.md c.2).

use crate::carrier::{Call, Status};
use netif::IfName;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use sys::signal::{Signal, kill};
use sys::spawn::Spawn;
use sys::{Errno, Pid};

/// The program and what it is told each time.
#[derive(Debug)]
pub(crate) struct Handler {
    program: CString,
    interface: CString,
    extra: Option<CString>,
    /// Our own environment without the two variables.
    environment: Vec<CString>,
}

const PREVIOUS: &str = "IFPLUGD_PREVIOUS";
const CURRENT: &str = "IFPLUGD_CURRENT";

impl Handler {
    /// `EINVAL` for a NUL in one of the arguments, which no command line can have.
    pub(crate) fn new(program: &OsStr, interface: IfName, extra: Option<&OsStr>) -> Result<Self, Errno> {
        Ok(Self {
            program: c(program.as_bytes())?,
            interface: c(interface.as_bytes())?,
            extra: extra.map(|e| c(e.as_bytes())).transpose()?,
            environment: std::env::vars_os()
                .filter(|(name, _)| name != PREVIOUS && name != CURRENT)
                .map(|(name, value)| variable(&name, value.as_bytes()))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Starts it in a process group of its own.
    pub(crate) fn start(&self, call: Call) -> Result<Pid, Errno> {
        let mut environment = self.environment.clone();
        environment.push(variable(OsStr::new(PREVIOUS), word(call.previous).as_bytes())?);
        environment.push(variable(OsStr::new(CURRENT), word(call.current).as_bytes())?);
        let action = c(call.action.word().as_bytes())?;
        let mut args = vec![self.program.as_c_str(), &self.interface, &action];
        args.extend(self.extra.as_deref());
        Spawn::new(&self.program, &args).search_path().env(&environment).group().start()
    }
}

/// Ends a handler and all it started.
pub(crate) fn end(pid: Pid) -> Result<(), Errno> {
    kill(Pid::from_raw(-pid.as_raw()), Signal::SIGKILL)
}

fn word(status: Option<Status>) -> &'static str {
    status.map_or("error", Status::word)
}

fn variable(name: &OsStr, value: &[u8]) -> Result<CString, Errno> {
    let mut text = OsString::from(name).into_encoded_bytes();
    text.push(b'=');
    text.extend_from_slice(value);
    c(&text)
}

fn c(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}
