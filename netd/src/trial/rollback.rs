//! `netd rollback [N]`: the configuration N revisions before the newest comes back (1 without N; during a trial 0, which
//! ends it), and fw runs. It becomes the newest revision itself, so a second `rollback` undoes the first. `--list` shows what
//! there is.
//!
//! Done by the service fw_trial, so that nothing is left half done whatever is killed. Exit codes: 0; 1 fw could not do all
//! of it; 100 nothing was done.
#![expect(clippy::disallowed_methods, reason = "driver: reads the clock")]

use super::abandon;
use super::record::{Phase, Record};
use super::store::{Store, boot};
use super::tree::Trouble;
use crate::say;
use netif::places::Places;
use std::ffi::OsString;
use std::process::ExitCode;
use sys::clock::{Instant, boottime};

/// For the usage text.
pub(crate) const ARGS: &str = "[--list | N]";

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let back = match args {
        [] => Ok(None),
        [word] if word == "--list" => return list(),
        [word] => word.to_str().and_then(|w| w.parse::<usize>().ok()).map(Some).ok_or(word),
        [_, word, ..] => Err(word),
    };
    let back = match back {
        Ok(back) => back,
        Err(word) => return crate::wrong_usage(&lexopt::Error::UnexpectedArgument(word.clone())),
    };
    let places = Places::of_process();
    match Store::open(&places).and_then(|store| Ok((order(&store, back)?, store))) {
        Ok((record, store)) => match abandon(&store, &places, record) {
            // That was the wish.
            code if code == ExitCode::FAILURE => ExitCode::SUCCESS,
            code => code,
        },
        Err(why) => crate::give_up(&why),
    }
}

/// A trial that is over already.
fn order(store: &Store, back: Option<usize>) -> Result<Record, Trouble> {
    let trial = store.trial()?;
    let on = trial.is_some_and(|record| record.phase(&boot(), boottime()) != Phase::Over);
    let back = back.unwrap_or(if on { 0 } else { 1 });
    let to = store.revisions().into_iter().rev().nth(back);
    let to = to.ok_or_else(|| format!("there is no revision {back} before the newest, see `netd rollback --list`"))?;
    Ok(Record { boot: boot(), deadline: Instant::ZERO, to, from: None, over: false })
}

fn list() -> ExitCode {
    let shown = Store::open(&Places::of_process()).and_then(|store| text(&store));
    match shown {
        Ok(text) if say::output(&text) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => crate::give_up(&why),
    }
}

/// The newest first, each with what is different from the one before it.
fn text(store: &Store) -> Result<String, Trouble> {
    let mut text = String::new();
    let all = store.revisions();
    if let Some(&newest) = all.last() {
        let edited = store.edited(newest)?;
        if !edited.is_empty() {
            text += &format!("-  not confirmed  {}\n", edited.join(" "));
        }
    }
    for (back, &n) in all.iter().rev().enumerate() {
        let before = all.iter().rev().nth(back + 1);
        let changed = match before {
            Some(&before) => store.tree(n)?.differences(&store.tree(before)?).join(" "),
            None => "(the first)".to_owned(),
        };
        let made = store.made(n).map_or_else(|| "-".to_owned(), date);
        text += &format!("{back}  revision {n}  {made}  {changed}\n");
    }
    if store.reverted().exists() {
        text += &format!("what was given up last is in {}\n", store.reverted().display());
    }
    Ok(text)
}

/// Seconds since 1970 as `2026-11-22 18:04:05 UTC`.
fn date(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the odd day is the last one; 719468 days lie between 0000-03-01 and 1970.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let year = year + era * 400;
    format!("{year}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_370_645, "2026-11-22 18:04:05 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
