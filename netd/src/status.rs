//! `netd status [--json]`: one screen about the network, or the same for programs. Policy and directory are those of the last
//! `netd apply`, unless given. `netd apply` writes the figures of it to `netd.prom` in the run directory whenever they change,
//! for node_exporter's textfile collector or any web server.
//!
//! Exit codes: 0; 1 a file was left out, or the output could not be written; 100 wrong usage, or nothing could be said.
#![expect(clippy::disallowed_methods, reason = "driver: owns netd.prom and looks at the clock")]

mod json;
mod prom;
mod text;

use crate::host::Host;
use crate::kernel::Refusal;
use crate::request::Request;
use crate::runs::{self, Run};
use crate::say;
use crate::sources::Sources;
use crate::state;
use crate::state::desired::{Desired, Source, desired};
use crate::state::object::Actual;
use crate::state::plan::new_links;
use crate::state::view::{Family, LinkView, View, links, view};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use sys::Errno;
use sys::clock;
use sys::file::{self, CWD, Durability};

/// For the usage text.
pub(crate) const ARGS: &str = "[--json] [--prefer IF] [--conf DIR] [--run-dir DIR]";

const PROM: &str = "netd.prom";

/// Everything that is shown.
struct Status {
    links: Vec<LinkView>,
    view: View,
    runs: Vec<Run>,
    problems: Vec<String>,
    /// Unix time in seconds.
    now: u64,
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let mut words: Vec<OsString> = args.to_vec();
    let json = words.iter().position(|word| word == "--json").map(|at| words.remove(at)).is_some();
    let request = match Request::with_words(&words) {
        Ok((request, words)) if words.is_empty() => request.or_last(),
        Ok((_, words)) => {
            return crate::wrong_usage(&lexopt::Error::UnexpectedArgument(
                words.into_iter().next().unwrap_or_default(),
            ));
        }
        Err(e) => return crate::wrong_usage(&e),
    };
    let sources = match request.sources() {
        Ok(sources) => sources,
        Err(e) => return crate::give_up(&e.to_string()),
    };
    match look(&request, &sources) {
        Ok(status) => {
            let text = if json { json::json(&status) } else { text::text(&status) };
            if say::output(&text) && status.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(refusal) => crate::give_up(&format!("unable to read the kernel's network state: {refusal}")),
    }
}

fn look(request: &Request, sources: &Sources) -> Result<Status, Refusal> {
    let actual = Host::open(&sources.good, &request.run_dir())?.dump()?;
    let wanted = desired(&sources.good, &sources.hold, &actual.links, &request.policy);
    let problems = wanted.problems.iter().map(|p| state::text::problem(p, &actual));
    let missing = new_links(&wanted, &actual);
    let missing = missing.iter().map(|c| format!("{}: not done", state::text::asked(c, &actual)));
    Ok(Status {
        links: links(&wanted, &actual),
        view: view(&sources.good, &wanted, &actual, &notes(&sources.good)),
        runs: runs::read(&request.run_dir()),
        problems: sources.bad.iter().cloned().chain(problems).chain(missing).collect(),
        now: now(),
    })
}

/// Writes the figures, if they are others than those that are there.
pub(crate) fn measure(
    run_dir: &Path,
    sources: &[Source],
    wanted: &Desired,
    actual: &Actual,
    not: usize,
    changed: bool,
) -> Result<(), (PathBuf, Errno)> {
    let path = run_dir.join(PROM);
    let old = file::read_bounded(CWD, &path, 1 << 20).unwrap_or_default();
    let view = view(sources, wanted, actual, &HashMap::new());
    let last_change = if changed { now() } else { prom::last_change(&old).unwrap_or_else(now) };
    let new = prom::text(&actual.links, &view, not, last_change);
    if new.as_bytes() == old.as_slice() {
        return Ok(());
    }
    let temp = run_dir.join(format!(".{PROM}.tmp"));
    match file::replace(CWD, &temp, &path, new.as_bytes(), 0o644, Durability::Atomic) {
        // Nobody has published, nobody will ask.
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(e) => Err((path, e)),
    }
}

/// The comments at the head of each file.
fn notes(sources: &[Source]) -> HashMap<Rc<str>, Vec<String>> {
    let head = |source: &Source| {
        let bytes = file::read_bounded(CWD, Path::new(&*source.path), netif::ipconf::MAX_FILE).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let comments = text.lines().map_while(|line| line.strip_prefix("# ")).filter(|_| !source.is_static);
        (Rc::clone(&source.path), comments.map(|c| c.replace(char::is_control, "?")).collect())
    };
    sources.iter().map(head).collect()
}

fn now() -> u64 {
    u64::try_from(clock::wall().secs).unwrap_or(0)
}

/// `up` or `down`; nothing when nobody looks.
const fn health(health: Option<netif::ipconf::Health>) -> Option<&'static str> {
    match health {
        Some(netif::ipconf::Health::Up) => Some("up"),
        Some(netif::ipconf::Health::Down) => Some("down"),
        None => None,
    }
}

/// `ipv4`, `ipv6`.
const fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}
