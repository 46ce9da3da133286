//! `netd why default|ADDR|FILE`: which route is used and which record asked for it, what stands by behind it, what is not
//! there; or what became of the records of a file. Policy and directory are those of the last `netd apply`, unless given.
//!
//! Exit codes: 0; 1 nothing is known of it: no way, no such file; 100 wrong usage, or nothing could be said.

use crate::host::Host;
use crate::request::Request;
use crate::say;
use crate::state::desired::{dead_links, desired};
use crate::state::why::{Question, why};
use std::ffi::OsString;
use std::process::ExitCode;

/// For the usage text.
pub(crate) const ARGS: &str = "[--prefer IF] [--conf DIR] [--run-dir DIR] default|ADDR|FILE";

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let parsed = Request::with_words(args).and_then(|(request, words)| match words.as_slice() {
        [word] => Ok((request, question(&word.to_string_lossy()))),
        [] => Err("expected default, an address or a file".into()),
        [_, more, ..] => Err(lexopt::Error::UnexpectedArgument(more.clone())),
    });
    let (request, question) = match parsed {
        Ok(parsed) => parsed,
        Err(e) => return crate::wrong_usage(&e),
    };
    let request = request.or_last();
    let sources = match request.sources() {
        Ok(sources) => sources,
        Err(e) => return crate::give_up(&e.to_string()),
    };
    let answer = Host::open(&sources.good, &request.run_dir()).and_then(|host| {
        let actual = host.dump()?;
        let wanted = desired(&sources.good, &sources.hold, &actual.links, &request.policy);
        Ok(why(&question, &wanted, &actual, &dead_links(&sources.good, &actual.links)))
    });
    let mut lines = match answer {
        Ok(lines) => lines,
        Err(refusal) => return crate::give_up(&format!("unable to read the kernel's network state: {refusal}")),
    };
    if let Question::File(name) = &question {
        lines.extend(sources.bad.into_iter().filter(|line| line.contains(name.as_str())));
        if lines.is_empty() {
            say::warning(&format!("{name}: no record of that file asks for anything, or there is no such file"));
            return ExitCode::FAILURE;
        }
    }
    let known = !lines.iter().all(|line| line.ends_with(": no way"));
    let text: String = lines.iter().map(|line| line.clone() + "\n").collect();
    if say::output(&text) && known { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn question(word: &str) -> Question {
    match word.parse() {
        Ok(to) => Question::To(to),
        Err(_) if word == "default" => Question::Default,
        Err(_) => Question::File(word.to_owned()),
    }
}
