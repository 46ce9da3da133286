//! Configurations that come back unless they are confirmed. The configuration is what is in fw's service directory: `run`,
//! `ruleset`, `conf/`, `etc/`.
//!
//! A trial is a file, see `record`. As long as it is there the newest revision in the state directory is the good
//! configuration and what is in fw's directory is not; whoever finds it there after its deadline, or in another boot, puts
//! the revision back (`store`). That is the service fw_trial (`keeper`), which holds the timer, and fw's `run` itself, before
//! it does anything else. So it does not matter who is killed when.

mod attempt;
mod confirm;
mod fw;
mod keeper;
mod record;
mod rollback;
mod store;
mod tree;

pub(crate) use attempt::{ARGS as TRY_ARGS, run as try_};
pub(crate) use confirm::{ARGS as CONFIRM_ARGS, run as confirm};
pub(crate) use keeper::run as wait;
pub(crate) use rollback::{ARGS as ROLLBACK_ARGS, run as rollback};

use crate::{lint, say};
use netif::places::Places;
use record::Record;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::process::ExitCode;
use store::Store;
use sys::clock::{Instant, boottime};
use sys::errtext::errtext;
use sys::file::CWD;
use sys::lock::Lock;
use sys::poll::{self, PollFd, PollFlags};
use sys::watch::{Interest, Watch};

/// `netd settle`, the first thing fw's `run` does: brings back the revision of a trial that is over. Exit codes: 0 there
/// was one, so the caller may be the script that was tried; 1 all is as it should be.
pub(crate) fn settle(args: &[OsString]) -> ExitCode {
    let Some(store) = here(args) else { return ExitCode::FAILURE };
    match keeper::restore(&store) {
        // Whoever put them back: the script may have been opened before that.
        Ok(Some((record, edited))) => {
            if !edited.is_empty() {
                say::done(&[format!("back to revision {}: {}", record.to, edited.join(", "))]);
            }
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::FAILURE,
        Err(why) => {
            say::warning(&why);
            ExitCode::FAILURE
        }
    }
}

/// `netd keep`, the last thing fw's `run` does: what has run to its end and is not on trial is the newest revision. Exit
/// codes: 0; 1 it could not be kept.
pub(crate) fn keep(args: &[OsString]) -> ExitCode {
    let Some(store) = here(args) else { return ExitCode::SUCCESS };
    let kept = || {
        // Reported already; not a configuration to come back to.
        if !lint::ipconf(&store.live).is_empty() {
            return Ok(());
        }
        let _lock = store.lock()?;
        if store.trial()?.is_none()
            && let (n, true) = store.keep()?
        {
            say::done(&[format!("this configuration is revision {n}")]);
        }
        Ok(())
    };
    match kept() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let why: tree::Trouble = why;
            say::warning(&why);
            ExitCode::FAILURE
        }
    }
}

/// fw's configuration, if this is its directory. A script that runs elsewhere (a copy, a test) is none of our business.
fn here(args: &[OsString]) -> Option<Store> {
    if let Some(word) = args.first() {
        crate::wrong_usage(&lexopt::Error::UnexpectedArgument(word.clone()));
        return None;
    }
    let places = Places::of_process();
    let here = std::env::current_dir().ok()?;
    if std::fs::canonicalize(&places.fw).ok()? != here {
        return None;
    }
    Store::open(&places).map_err(|why| say::warning(&why)).ok()
}

/// Whether somebody holds the timer.
fn is_kept_safe(store: &Store) -> Result<(), String> {
    match Lock::is_held(CWD, &store.keeper()) {
        Ok(true) => Ok(()),
        Ok(false) => Err("nobody would hold the timer: the service fw_trial does not run".to_owned()),
        Err(e) => Err(tree::unread(&store.keeper(), e)),
    }
}

/// Ends the trial at once, and waits until what was before it is back. Fails with 1 when all is well: a trial has failed.
fn abandon(store: &Store, places: &Places, record: Record) -> ExitCode {
    match end(store, places, record) {
        Ok(()) => ExitCode::FAILURE,
        Err(why) => crate::give_up(&why),
    }
}

#[expect(clippy::disallowed_methods, reason = "driver: waits for the service fw_trial")]
fn end(store: &Store, places: &Places, record: Record) -> Result<(), String> {
    let failed = |e| format!("unable to wait: {}", errtext(e));
    let watch = Watch::new().map_err(failed)?;
    watch.add(&store.dir, Interest::Names).map_err(failed)?;
    let to = record.to;
    {
        let _lock = store.lock()?;
        // When the service was faster it is at work already.
        if !store.trial()?.is_some_and(|now| now.over && now.to == to) {
            store.set_trial(&Record { deadline: Instant::ZERO, over: false, ..record })?;
        }
    }
    if is_kept_safe(store).is_err() {
        return keeper::bring_back(store, places);
    }
    let deadline = boottime() + keeper::RUN + keeper::RUN;
    while store.trial()?.is_some() {
        let now = boottime();
        if now >= deadline {
            return Err("fw's run does not end".to_owned());
        }
        let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        poll::wait(&mut fds, now, Some(deadline)).map_err(failed)?;
        watch.changes(|_, _| {});
    }
    say::done(&[format!("revision {to} is back")]);
    Ok(())
}
