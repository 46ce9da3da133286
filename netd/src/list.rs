//! `netd list [KEY...]`: the records as plain columns, for templates and other shell scripts (no arrays, no sourcing).
//!
//! One line for each record that has the last of the named keys (`--with`: one of these instead), one column for each key,
//! `-` for a value that is not there. A value that is a list has its words separated by commas, in the last column by
//! blanks, so that `netd list dns_prio dns | while read -r prio servers` does what it looks like. `file` is a key too: the
//! file's name without `.ipconf`. Without keys: all records, the columns one wants to see. `--alive` leaves out what is about
//! an interface that a prober calls dead (`health='down'` in any record), unless nothing would be left. Exit codes: 0; 1 a
//! file was left out or the output could not be written; 100 wrong usage or an unreadable directory.

use crate::state::desired::dead_names;
use crate::{say, sources};
use netif::ipconf::Record;
use netif::places::Places;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// For the usage text.
pub(crate) const ARGS: &str = "[--alive] [--with KEY,KEY...] [--conf DIR] [--run-dir DIR] [KEY...]";

const COLUMNS: [&str; 6] = ["file", "if", "ipmask", "net", "gw", "dns"];

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let options = match options(args) {
        Ok(options) => options,
        Err(e) => return crate::wrong_usage(&e),
    };
    let sources = match sources::read(&options.conf, &options.run) {
        Ok(sources) => sources,
        Err(e) => return crate::give_up(&e.to_string()),
    };
    sources.bad.iter().for_each(|line| say::warning(line));
    let (mut text, mut dead) = (String::new(), String::new());
    let dead_links = if options.alive { dead_names(&sources.good) } else { HashSet::new() };
    for source in &sources.good {
        let name = Path::new(&*source.path).file_stem().unwrap_or_default().to_string_lossy();
        for entry in &source.entries {
            let rows = if dead_links.contains(&entry.iface) { &mut dead } else { &mut text };
            rows.extend(row(&options, &name, &entry.record()));
        }
    }
    if text.is_empty() {
        text = dead;
    }
    if say::output(&text) && sources.bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Debug, Default)]
struct Options {
    alive: bool,
    /// Empty: the last of `keys`.
    with: Vec<String>,
    conf: PathBuf,
    run: PathBuf,
    /// Empty: the usual columns of all records.
    keys: Vec<String>,
}

fn options(args: &[OsString]) -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let (mut conf, mut run, mut options) = (None, None, Options::default());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("conf") => conf = Some(parser.value()?.into()),
            Long("run-dir") => run = Some(parser.value()?.into()),
            Long("alive") => options.alive = true,
            Long("with") => options.with = parser.value()?.string()?.split(',').map(str::to_owned).collect(),
            Value(key) => options.keys.push(key.string()?),
            Short(_) | Long(_) => return Err(arg.unexpected()),
        }
    }
    Ok(Options {
        conf: conf.unwrap_or_else(|| sources::CONF_DIR.into()),
        run: run.unwrap_or_else(|| Places::of_process().run_dir),
        ..options
    })
}

fn row(options: &Options, file: &str, record: &Record) -> Option<String> {
    let value = |key: &str| if key == "file" { Some(file) } else { record.value(key) };
    let keys: Vec<&str> = match options.keys.last() {
        None => COLUMNS.to_vec(),
        Some(last) => {
            let one_of = if options.with.is_empty() { std::slice::from_ref(last) } else { &options.with };
            one_of.iter().find_map(|key| value(key))?;
            options.keys.iter().map(String::as_str).collect()
        }
    };
    let (last, front) = keys.split_last()?;
    let mut line: String = front.iter().map(|k| value(k).unwrap_or("-").replace(' ', ",") + " ").collect();
    line.push_str(value(last).unwrap_or("-"));
    line.push('\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let mut record = Record::default();
        for (k, v) in [("if", "eth0"), ("dns", "192.0.2.1 192.0.2.2"), ("search", "a.example b.example")] {
            record.push(k, v);
        }
        let owned = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let with = |with: &[&str], keys: &[&str]| {
            let options = Options { with: owned(with), keys: owned(keys), ..Options::default() };
            row(&options, "dhcp_eth0", &record)
        };
        let row = |keys: &[&str]| with(&[], keys);
        assert_eq!(row(&["dns_prio", "if", "dns"]).unwrap(), "- eth0 192.0.2.1 192.0.2.2\n");
        assert_eq!(row(&["dns", "search", "file"]).unwrap(), "192.0.2.1,192.0.2.2 a.example,b.example dhcp_eth0\n");
        assert_eq!(row(&["if", "gw"]), None);
        assert_eq!(with(&["gw", "dns"], &["if", "gw"]).unwrap(), "eth0 -\n");
        assert_eq!(with(&["gw", "ntp"], &["gw", "if"]), None);
        assert_eq!(row(&[]).unwrap(), "dhcp_eth0 eth0 - - - 192.0.2.1 192.0.2.2\n");
    }
}
