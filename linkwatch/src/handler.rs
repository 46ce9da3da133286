//! ifplugd's handler: `PROG IF up|down [EXTRA]`, with what was and what is in the environment (spec dhcp.md c.2).

use crate::carrier::{Call, Status};
use netif::IfName;
use netif::hook::environment::Inherit;
use netif::hook::{Environment, Hook};
use std::ffi::{CString, NulError, OsStr};
use std::os::unix::ffi::OsStrExt;

/// The program and what it is told each time.
#[derive(Debug)]
pub(crate) struct Handler {
    program: CString,
    interface: CString,
    extra: Option<CString>,
    environment: Environment,
}

impl Handler {
    /// The error is for a NUL, which no command line holds.
    pub(crate) fn new(program: &OsStr, interface: IfName, extra: Option<&OsStr>) -> Result<Self, NulError> {
        Ok(Self {
            program: CString::new(program.as_bytes())?,
            interface: CString::new(interface.as_bytes())?,
            extra: extra.map(|e| CString::new(e.as_bytes())).transpose()?,
            environment: Environment::inherit(std::env::vars_os(), Inherit::All),
        })
    }

    /// One run of it.
    pub(crate) fn hook(&self, call: Call) -> Hook {
        let mut environment = self.environment.clone();
        environment.set("IFPLUGD_PREVIOUS", word(call.previous).as_bytes());
        environment.set("IFPLUGD_CURRENT", word(call.current).as_bytes());
        let action = match call.action {
            Status::Up => c"up",
            Status::Down => c"down",
        };
        let mut args = vec![self.interface.clone(), action.to_owned()];
        args.extend(self.extra.clone());
        Hook { event: call.action.word(), program: self.program.clone(), args, environment }
    }
}

fn word(status: Option<Status>) -> &'static str {
    status.map_or("error", Status::word)
}
