//! `netd trial-wait`: holds the timer of a trial, as a service. Killed at any moment it goes on where it was: what is to be
//! done is on disk. At rest it waits for the record of a trial to come, and costs nothing.
#![expect(clippy::disallowed_methods, reason = "driver: holds the timer and brings the configuration back")]

use super::fw::{End, Fw};
use super::record::{Phase, Record};
use super::store::{Store, TRIAL, boot};
use super::tree::Trouble;
use crate::say;
use netif::places::Places;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use sys::clock::boottime;
use sys::errtext::errtext;
use sys::file::CWD;
use sys::lock::Lock;
use sys::poll::{self, PollFd, PollFlags};
use sys::timer::Timer;
use sys::watch::{Change, Interest, Watch};
use sys::{Errno, rest};

/// What a run of fw may take.
pub(super) const RUN: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    if let Some(word) = args.first() {
        return crate::wrong_usage(&lexopt::Error::UnexpectedArgument(word.clone()));
    }
    // It has no other end; the service starts it again.
    match keep_watch(&Places::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => crate::give_up(&why),
    }
}

fn keep_watch(places: &Places) -> Result<(), Trouble> {
    let store = Store::open(places)?;
    let _keeper = match Lock::try_exclusive(CWD, &store.keeper()) {
        Ok(lock) => lock,
        Err(Errno::EAGAIN) => return Err("somebody else holds the timer".to_owned()),
        Err(e) => return Err(format!("unable to lock {}: {}", store.keeper().display(), errtext(e))),
    };
    let failed = |e: Errno| format!("unable to wait: {}", errtext(e));
    let watch = Watch::new().map_err(failed)?;
    watch.add(&store.dir, Interest::Content).map_err(failed)?;
    let mut timer = Timer::boottime().map_err(failed)?;
    loop {
        let record = store.trial()?;
        let phase = record.as_ref().map(|record| record.phase(&boot(), boottime()));
        match (record, phase) {
            (Some(_), Some(Phase::Over)) => {
                bring_back(&store, places)?;
                continue;
            }
            (Some(_), Some(Phase::On(deadline))) => timer.set(Some(deadline)).map_err(failed)?,
            (None, _) | (_, None) => timer.set(None).map_err(failed)?,
        }
        let mut news = false;
        while !news {
            let mut fds =
                [PollFd::new(watch.as_fd(), PollFlags::POLLIN), PollFd::new(timer.as_fd(), PollFlags::POLLIN)];
            rest::wait(&mut fds, boottime(), None).map_err(failed)?;
            if poll::readable(&fds[1]) {
                timer.passed().map_err(failed)?;
                news = true;
            }
            watch.changes(|_, change| match change {
                Change::Came(name) => news |= name == TRIAL,
                Change::Overflow | Change::Itself => news = true,
                Change::Made(_) | Change::Went(_) => {}
            });
        }
    }
}

/// If the trial is over: the files, a run of fw, and then the record goes.
pub(super) fn bring_back(store: &Store, places: &Places) -> Result<(), Trouble> {
    let Some((record, edited)) = restore(store)? else { return Ok(()) };
    let files = if edited.is_empty() { "no file was different".to_owned() } else { edited.join(", ") };
    say::done(&[format!("back to revision {}: {files}", record.to)]);
    match run_fw(&places.fw) {
        Ok(Some(end)) if end.is_good() => {}
        Ok(Some(End::Code(code))) => say::warning(&format!("fw ended with code {code} on revision {}", record.to)),
        Ok(Some(End::Untold) | None) => say::warning("fw's run does not end"),
        // Its first run will find the files as they are now.
        Err(Errno::ENOENT | Errno::ENXIO) => {}
        Err(e) => say::warning(&format!("unable to kick {}: {}", places.fw.display(), errtext(e))),
    }
    let _lock = store.lock()?;
    // Unless a new one was begun meanwhile.
    if store.trial()?.is_some_and(|now| Record { over: record.over, ..now } == record) {
        if store.newest() != Some(record.to) {
            store.keep()?;
        }
        store.end_trial()?;
    }
    Ok(())
}

/// A run of fw that began after this moment. One that was about to begin takes a kick for its own (`sv o .`), and may have
/// opened its script before.
fn run_fw(service: &Path) -> Result<Option<End>, Errno> {
    let fw = Fw::kick(service)?;
    let end = fw.wait_impatiently(boottime() + RUN);
    if end.is_none() || !fw.was_running() { Ok(end) } else { Ok(Fw::kick(service)?.wait(boottime() + RUN)) }
}

/// The files of a trial that is over; which were different. None if there is none that is over.
pub(super) fn restore(store: &Store) -> Result<Option<(Record, Vec<String>)>, Trouble> {
    if store.trial()?.is_none() {
        return Ok(None);
    }
    let _lock = store.lock()?;
    let Some(record) = store.trial()?.filter(|r| r.phase(&boot(), boottime()) == Phase::Over) else { return Ok(None) };
    let edited = store.give_back(&record)?;
    Ok(Some((record, edited)))
}
