//! ifplugd's handler: `PROG IF up|down [EXTRA]`, with what was and what is in the environment (spec dhcp.md c.2).

use crate::carrier::{Call, Status};
use crate::options::Options;
use netif::hook::environment::Inherit;
use netif::hook::{Environment, Hook};
use netif::sandbox::Script;
use std::ffi::{CString, NulError};
use std::os::unix::ffi::OsStrExt;

const PREVIOUS: &str = "IFPLUGD_PREVIOUS";
const CURRENT: &str = "IFPLUGD_CURRENT";

/// The program and what it is told each time. The error is for a NUL, which no command line holds.
pub(crate) fn script(options: &Options) -> Result<Option<Script>, NulError> {
    let Some(program) = &options.handler else { return Ok(None) };
    let extra = options.extra.as_ref().map(|e| CString::new(e.as_bytes())).transpose()?;
    let interface = CString::new(options.interface.as_bytes())?;
    let arguments = |action: Status| {
        let word = match action {
            Status::Up => c"up",
            Status::Down => c"down",
        };
        [interface.clone(), word.to_owned()].into_iter().chain(extra.clone()).collect()
    };
    Ok(Some(Script {
        program: CString::new(program.as_bytes())?,
        environment: Environment::inherit(std::env::vars_os(), Inherit::All),
        calls: [Status::Up, Status::Down].map(|action| (action.word(), arguments(action))).into(),
        may_set: |name| name == PREVIOUS || name == CURRENT,
    }))
}

/// One run of it.
pub(crate) fn hook(call: Call) -> Hook {
    let mut hook = Hook::new(call.action.word());
    hook.set(PREVIOUS, word(call.previous).as_bytes());
    hook.set(CURRENT, word(call.current).as_bytes());
    hook
}

fn word(status: Option<Status>) -> &'static str {
    status.map_or("error", Status::word)
}
