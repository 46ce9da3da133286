//! `netd rules [--check|--first] [-D NAME=VALUE]... FILE`: has nft load a ruleset, unless it is what is loaded already, so that
//! counters and sets of rules that did not change go on.
//!
//! FILE makes one table anew, as fw's `ruleset` does: its first line `table FAMILY NAME` says which. What was loaded and the
//! number the kernel gave to the table are kept in `netd.rules` in the run directory; when the text, a definition or the
//! number is another one, nft gets the file. A file that includes others is loaded each time. `--check` loads nothing and asks
//! nft whether it would; `--first` loads only when there is no such table at all, and checks otherwise.
//!
//! Exit codes: 0; 1 nft says no, in its own words; 100 wrong usage, no such file, no nft.
#![expect(clippy::disallowed_methods, reason = "driver: runs nft")]

use crate::say;
use netif::nftables::Table;
use netif::places::Places;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use sys::errtext::errtext;
use sys::file::{self, CWD, Durability};

/// For the usage text.
pub(crate) const ARGS: &str = "[--check|--first] [--run-dir DIR] [-D NAME=VALUE]... FILE";

const NAME: &str = "netd.rules";

/// Largest ruleset in bytes.
const MAX: usize = 1 << 20;

/// What is to be done with rules that are not the loaded ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Load,
    Check,
    First,
}

#[derive(Debug)]
struct Options {
    mode: Mode,
    defines: Vec<OsString>,
    file: PathBuf,
    run: PathBuf,
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let options = match options(args) {
        Ok(options) => options,
        Err(e) => return crate::wrong_usage(&e),
    };
    let text = match file::read_bounded(CWD, &options.file, MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => return crate::give_up(&format!("unable to read {}: {}", options.file.display(), errtext(e))),
    };
    let wanted = describe(&options, &text);
    let table = table(&text);
    // Without the right to ask nft will say so.
    let handle = || table.as_ref().and_then(|t| t.handle().ok().flatten());
    let there = handle();
    if let Some(there) = there
        && loaded(&options) == Some((there, wanted.clone()))
    {
        return ExitCode::SUCCESS;
    }
    let load = match options.mode {
        Mode::Load => true,
        Mode::First => there.is_none(),
        Mode::Check => false,
    };
    let code = nft(&options, load);
    if load
        && code == ExitCode::SUCCESS
        && let Some(new) = handle().filter(|_| !includes(&text))
    {
        keep(&options, new, &wanted);
    }
    code
}

fn options(args: &[OsString]) -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let (mut mode, mut defines, mut file, mut run) = (Mode::Load, Vec::new(), None, None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("check") => mode = Mode::Check,
            Long("first") => mode = Mode::First,
            Long("run-dir") => run = Some(parser.value()?.into()),
            Short('D') => defines.push(parser.value()?),
            Value(path) if file.is_none() => file = Some(path.into()),
            Short(_) | Long(_) | Value(_) => return Err(arg.unexpected()),
        }
    }
    let file = file.ok_or("a FILE is missing")?;
    Ok(Options { mode, defines, file, run: run.unwrap_or_else(|| Places::of_process().run_dir) })
}

/// Everything the loaded rules depend on.
fn describe(options: &Options, text: &str) -> String {
    let mut all = String::new();
    for define in &options.defines {
        // Writing to a string does not fail.
        let _ = writeln!(all, "# {}", define.to_string_lossy().replace('\n', " "));
    }
    all + text
}

/// The table that the ruleset is about.
fn table(text: &str) -> Option<Table> {
    let mut words = text.lines().find_map(|line| line.trim().strip_prefix("table "))?.split_whitespace();
    let (family, name) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    Some(Table { family, name })
}

fn includes(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("include "))
}

/// What was loaded last, and the number its table got.
fn loaded(options: &Options) -> Option<(u64, String)> {
    let bytes = file::read_bounded(CWD, &options.run.join(NAME), 2 * MAX).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (first, rest) = text.split_once('\n')?;
    Some((first.strip_prefix("# handle ")?.parse().ok()?, rest.to_owned()))
}

fn keep(options: &Options, handle: u64, wanted: &str) {
    let (temp, path) = (options.run.join(format!(".{NAME}.tmp")), options.run.join(NAME));
    let text = format!("# handle {handle}\n{wanted}");
    if let Err(e) = file::replace(CWD, &temp, &path, text.as_bytes(), 0o644, Durability::Atomic) {
        say::warning(&format!("unable to write {}: {}", path.display(), errtext(e)));
    }
}

/// Its complaints go where ours go.
fn nft(options: &Options, load: bool) -> ExitCode {
    let mut nft = Command::new("nft");
    for define in &options.defines {
        nft.arg("-D").arg(define);
    }
    if !load {
        nft.arg("--check");
    }
    match nft.arg("-f").arg(&options.file).stdin(Stdio::null()).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => crate::give_up(&format!("unable to run nft: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_table_is_the_one() {
        let found = table("# table ip no\n\ttable inet portreeve\ndelete table inet x\n").unwrap();
        assert_eq!((found.family, found.name.as_str()), ("inet".parse().unwrap(), "portreeve"));
        for none in ["", "table", "table portreeve {", "tables inet x"] {
            assert_eq!(table(none), None, "{none}");
        }
    }

    #[test]
    fn a_definition_is_part_of_it() {
        let options = |defines: &[&str]| Options {
            mode: Mode::Load,
            defines: defines.iter().map(Into::into).collect(),
            file: PathBuf::new(),
            run: PathBuf::new(),
        };
        let all = [&["a=1", "b=2"][..], &["a=1\nb=2"], &["a=1"], &[]].map(|d| describe(&options(d), "x\n"));
        assert_eq!(all[0], "# a=1\n# b=2\nx\n");
        assert!(all[1..].iter().all(|other| *other != all[0]));
        assert!(includes("\n\tinclude \"/etc/more\"\n") && !includes("# include \"x\"\n"));
    }
}
