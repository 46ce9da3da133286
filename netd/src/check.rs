//! `netd check FILE...`: says what is wrong with `.ipconf` files, and what is only odd; `--dump` prints what they say. Where
//! FILE is a directory, it is fw's: its `.ipconf` files, the syntax of its scripts, its policy and rules (as root).
//!
//! The dump is one line for each key of each record, `RECORD KEY VALUE`, records counted through all files from 1 as bash's
//! `cfg` counts them, keys in alphabetical order: exactly what a shell finds in its arrays after sourcing the same files.
//! Exit codes: 0 all files are good; 1 one is not; 100 wrong usage.

use crate::{lint, say, sources};
use netif::ipconf::Record;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// For the usage text.
pub(crate) const ARGS: &str = "[--dump] FILE...|DIR";

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let (dump, files) = match options(args) {
        Ok(found) => found,
        Err(e) => return crate::wrong_usage(&e),
    };
    let (mut good, mut text, mut number) = (true, String::new(), 0);
    for path in &files {
        if path.is_dir() {
            let bad = lint::all(path);
            bad.iter().for_each(|line| say::warning(line));
            good &= bad.is_empty();
            continue;
        }
        match sources::parse(path) {
            Ok((file, typed)) => {
                for key in typed.unknown {
                    say::warning(&format!("{}:{}: unknown key {}", path.display(), key.line, key.key));
                }
                for record in &file.records {
                    number += 1;
                    lines(number, record, &mut text);
                }
            }
            Err((line, _)) => {
                good = false;
                say::warning(&line);
            }
        }
    }
    let printed = !dump || say::output(&text);
    if good && printed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(args: &[OsString]) -> Result<(bool, Vec<PathBuf>), lexopt::Error> {
    use lexopt::prelude::*;
    let (mut dump, mut files) = (false, Vec::new());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("dump") => dump = true,
            Value(file) => files.push(Path::new(&file).to_owned()),
            Short(_) | Long(_) => return Err(arg.unexpected()),
        }
    }
    if files.is_empty() { Err("a FILE is missing".into()) } else { Ok((dump, files)) }
}

fn lines(number: u32, record: &Record, text: &mut String) {
    // The last assignment of a key counts.
    let values: BTreeMap<&str, &str> = record.assignments.iter().map(|a| (a.key.as_str(), a.value.as_str())).collect();
    for (key, value) in values {
        text.push_str(&format!("{number} {key} {value}\n"));
    }
}
