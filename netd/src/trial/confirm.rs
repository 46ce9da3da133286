//! `netd confirm [-f]`: what is in fw's directory now is good. It becomes the newest revision, and a trial that is on ends.
//! Also the way to the first revision, and to one more at any time.
//!
//! A firewall that shuts everybody out still lets established connections live. So a trial that was begun over ssh must be
//! confirmed over another connection (by `SSH_CONNECTION`), or with `-f`. Exit codes: 0; 1 refused, too late; 100 nothing
//! could be done.
#![expect(clippy::disallowed_methods, reason = "driver: reads the environment and the clock")]

use super::record::Phase;
use super::store::{Store, boot};
use super::tree::Trouble;
use crate::say;
use netif::places::Places;
use std::ffi::OsString;
use std::process::ExitCode;
use sys::clock::boottime;

/// For the usage text.
pub(crate) const ARGS: &str = "[-f]";

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let force = match args {
        [] => false,
        [word] if word == "-f" => true,
        [word, ..] => return crate::wrong_usage(&lexopt::Error::UnexpectedArgument(word.clone())),
    };
    match Store::open(&Places::of_process()) {
        Ok(store) => confirm(&store, force),
        Err(why) => crate::give_up(&why),
    }
}

pub(super) fn confirm(store: &Store, force: bool) -> ExitCode {
    match try_confirm(store, force) {
        Ok(Ok(n)) => {
            say::done(&[format!("revision {n} is confirmed")]);
            ExitCode::SUCCESS
        }
        Ok(Err(why)) => {
            say::warning(&why);
            ExitCode::FAILURE
        }
        Err(why) => crate::give_up(&why),
    }
}

/// The number of the revision, or why it is refused.
fn try_confirm(store: &Store, force: bool) -> Result<Result<u32, String>, Trouble> {
    let _lock = store.lock()?;
    let trial = store.trial()?;
    if let Some(record) = &trial {
        match record.phase(&boot(), boottime()) {
            Phase::Over => return Ok(Err(format!("too late: revision {} comes back", record.to))),
            Phase::On(_) if !force && record.from.is_some() && record.from == connection() => {
                return Ok(Err(
                    "not confirmed: the trial was begun over this very connection, which may outlive a firewall that lets \
                     nobody in; log in once more and confirm there, or -f"
                        .to_owned(),
                ));
            }
            Phase::On(_) => {}
        }
    }
    let (n, _) = store.keep()?;
    if trial.is_some() {
        store.end_trial()?;
    }
    Ok(Ok(n))
}

/// The ssh connection this process was started over.
pub(super) fn connection() -> Option<String> {
    let connection = std::env::var_os("SSH_CONNECTION").filter(|c| !c.is_empty())?;
    Some(connection.to_string_lossy().replace(char::is_control, "?"))
}
