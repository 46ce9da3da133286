//! `netd try SEC [-- CMD...]`: what is in fw's directory now, on trial. fw runs; unless `netd confirm` says within SEC
//! seconds that all is well, or CMD ends with 0 by then, everything is as it was before. A run of fw that fails, or a CMD
//! that does, ends the trial at once. A further `try` looks at the files anew and counts from there.
//!
//! The timer is held by the service fw_trial, not by this process. Exit codes: 0 the trial is on, or CMD confirmed it; 1 it
//! has failed and the old configuration is back; 100 nothing was done.
#![expect(clippy::disallowed_methods, reason = "driver: waits for fw and for CMD")]

use super::confirm::connection;
use super::fw::{End, Fw};
use super::record::Record;
use super::store::{Store, boot};
use super::{abandon, is_kept_safe};
use crate::{lint, say};
use netif::places::Places;
use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::Duration;
use sys::clock::{Instant, boottime};
use sys::errtext::errtext;
use sys::poll::{self, PollFd, PollFlags};
use sys::signal::{self, Signal, Signals};
use sys::spawn::{self, Spawn};
use sys::{Errno, Pid};

/// For the usage text.
pub(crate) const ARGS: &str = "SEC [-- CMD...]";

/// Longest trial: a day.
const MAX: u64 = 86_400;

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let (time, command) = match options(args) {
        Ok(found) => found,
        Err(e) => return crate::wrong_usage(&e),
    };
    let places = Places::of_process();
    let begun = Store::open(&places).and_then(|store| Ok((begin(&store, time)?, store)));
    let (record, store) = match begun {
        Ok(begun) => begun,
        Err(why) => return crate::give_up(&why),
    };
    let tried = apply(&places, &record).and_then(|()| match &command[..] {
        [] => Ok(()),
        command => wait_for(command, record.deadline),
    });
    match tried {
        Ok(()) if command.is_empty() => {
            let left = record.deadline.since(boottime()).as_secs();
            say::done(&[format!("on trial; `netd confirm` within {left} s, or revision {} comes back", record.to)]);
            ExitCode::SUCCESS
        }
        Ok(()) => super::confirm::confirm(&store, true),
        Err(why) => {
            say::warning(&why);
            abandon(&store, &places, record)
        }
    }
}

fn options(args: &[OsString]) -> Result<(Duration, Vec<OsString>), lexopt::Error> {
    let Some((seconds, rest)) = args.split_first() else { return Err("SEC is missing".into()) };
    let seconds = seconds.to_str().and_then(|s| s.parse().ok()).filter(|s| (1..=MAX).contains(s));
    let Some(seconds) = seconds else { return Err(format!("SEC: expected a number from 1 to {MAX}").into()) };
    let command = match rest.split_first() {
        None => &[],
        Some((dashes, command)) if dashes == "--" && !command.is_empty() => command,
        Some((word, _)) => return Err(lexopt::Error::UnexpectedArgument(word.clone())),
    };
    Ok((Duration::from_secs(seconds), command.to_vec()))
}

/// From here on the configuration comes back, whatever happens to this process.
fn begin(store: &Store, time: Duration) -> Result<Record, String> {
    let bad = lint::all(&store.live);
    if !bad.is_empty() {
        bad.iter().for_each(|line| say::warning(line));
        return Err("not tried, because of what is reported above".to_owned());
    }
    is_kept_safe(store)?;
    let _lock = store.lock()?;
    let to = store.newest().ok_or("no confirmed configuration to come back to: `netd confirm` while all is well")?;
    let edited = store.edited(to)?;
    let record = Record { boot: boot(), deadline: boottime() + time, to, from: connection(), over: false };
    store.set_trial(&record)?;
    let files = if edited.is_empty() { "no file".to_owned() } else { edited.join(", ") };
    say::done(&[format!("different from revision {to}: {files}")]);
    Ok(record)
}

fn apply(places: &Places, record: &Record) -> Result<(), String> {
    let fw = Fw::kick(&places.fw).map_err(|e| format!("unable to kick {}: {}", places.fw.display(), errtext(e)))?;
    match fw.wait(record.deadline) {
        Some(End::Code(3)) => {
            say::warning("fw could not do everything, see its log");
            Ok(())
        }
        Some(end) if end.is_good() => Ok(()),
        Some(End::Code(-1)) => Err("fw was killed".to_owned()),
        Some(End::Code(code)) => Err(format!("fw stopped with code {code}, see its log")),
        Some(End::Untold) | None => Err("fw's run did not end in time".to_owned()),
    }
}

/// Runs CMD with our input and output.
fn wait_for(command: &[OsString], deadline: Instant) -> Result<(), String> {
    let failed = |e: Errno| format!("unable to run {}: {}", command[0].display(), errtext(e));
    let children = Signals::take(&[Signal::SIGCHLD]).map_err(failed)?;
    let words: Vec<CString> = command.iter().filter_map(|w| CString::new(w.as_bytes()).ok()).collect();
    let words: Vec<_> = words.iter().map(CString::as_c_str).collect();
    let pid: Pid = Spawn::new(words[0], &words).search_path().start().map_err(failed)?;
    loop {
        if let Some(status) = spawn::reap_child(pid) {
            return match (status.code(), status.signal()) {
                (Some(0), _) => Ok(()),
                (Some(code), _) => Err(format!("{} ended with code {code}", command[0].display())),
                (None, signal) => Err(format!("{} was killed by signal {}", command[0].display(), signal.unwrap_or(0))),
            };
        }
        let now = boottime();
        if now >= deadline {
            let _ = signal::kill(pid, Signal::SIGTERM);
            return Err(format!("{} did not end in time", command[0].display()));
        }
        let mut fds = [PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        poll::wait(&mut fds, now, Some(deadline)).map_err(failed)?;
        while children.next().is_some() {}
    }
}
