//! `netd.runs` in the run directory: what the last runs of `netd apply` were asked, what caused them and what they did.
//!
//! Written by apply, read by `netd status` and `netd why`, which so know the policy of `fw/run` without being told. Blocks of
//! lines `KEY VALUE`, the newest block last, a blank line after each:
//!
//! | line | meaning |
//! |---|---|
//! | `run SECONDS MICROS` | when it began (Unix time) and how long it took |
//! | `conf DIR` | the administrator's directory, absolute |
//! | `wan IF IF...`, `prefer IF`, `forward` | its options |
//! | `file NAME SECONDS.NANOS` | what it read and when that was last changed; in the newest block only |
//! | `cause NAME` | a file that was new, changed or gone since the run before |
//! | `did WHAT` | a change of the kernel's state |
//! | `not WHAT` | what was asked for and is not so |
#![expect(clippy::disallowed_methods, reason = "driver: owns netd.runs and looks at the files' times")]

use crate::state::desired::Policy;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::Errno;
use sys::clock::{self, Instant};
use sys::file::{self, CWD, Durability};

const NAME: &str = "netd.runs";

/// Runs that are remembered.
const KEPT: usize = 10;

/// Lines about one run that are remembered of each kind; the rest is counted.
const LINES: usize = 50;

/// Largest file that is read.
const MAX: usize = 1 << 20;

/// Files by their names and the time of their last change.
pub(crate) type Files = BTreeMap<String, String>;

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Since 1970.
    pub(crate) began: Duration,
    pub(crate) took: Duration,
    pub(crate) conf: PathBuf,
    pub(crate) policy: Policy,
    pub(crate) files: Files,
    pub(crate) causes: Vec<String>,
    pub(crate) did: Vec<String>,
    pub(crate) not: Vec<String>,
}

/// A run that is under way.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Duration,
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let began = Duration::from_secs(u64::try_from(clock::wall().secs).unwrap_or(0));
        Self { began, start: clock::monotonic() }
    }

    /// Writes down what the run came to, after those before it.
    pub(crate) fn stop(self, run_dir: &Path, run: Run) -> Result<(), (PathBuf, Errno)> {
        let mut runs = read(run_dir);
        let run = Run {
            began: self.began,
            took: clock::monotonic().since(self.start),
            causes: causes(runs.last(), &run.files),
            ..run
        };
        runs.push(run);
        let path = run_dir.join(NAME);
        let temp = run_dir.join(format!(".{NAME}.tmp"));
        match file::replace(CWD, &temp, &path, write(&runs).as_bytes(), 0o644, Durability::Atomic) {
            // Nobody has published, nobody will ask.
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err((path, e)),
        }
    }
}

/// The runs that are remembered, the newest last. None, when there is no such file or it is not to be understood.
pub(crate) fn read(run_dir: &Path) -> Vec<Run> {
    let bytes = file::read_bounded(CWD, &run_dir.join(NAME), MAX).unwrap_or_default();
    String::from_utf8_lossy(&bytes).split("\n\n").filter_map(parse).collect()
}

/// `paths` and the times of their last changes.
pub(crate) fn files<'a>(paths: impl Iterator<Item = &'a Path>) -> Files {
    let time = |path: &Path| {
        std::fs::metadata(path).map_or_else(|_| "-".to_owned(), |m| format!("{}.{:09}", m.mtime(), m.mtime_nsec()))
    };
    paths.map(|path| (line(&path.to_string_lossy()), time(path))).collect()
}

/// What is different between two runs.
fn causes(before: Option<&Run>, now: &Files) -> Vec<String> {
    let Some(Run { files: before, .. }) = before else { return Vec::new() };
    let changed = now.iter().filter(|(name, time)| before.get(*name) != Some(time)).map(|(name, _)| name);
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    changed.chain(gone).cloned().collect()
}

fn write(runs: &[Run]) -> String {
    let kept = runs.get(runs.len().saturating_sub(KEPT)..).unwrap_or_default();
    let mut text = String::new();
    for (at, run) in kept.iter().enumerate() {
        let mut add = |key: &str, value: &str| text.extend([key, " ", value, "\n"]);
        add("run", &format!("{} {}", run.began.as_secs(), run.took.as_micros()));
        add("conf", &line(&run.conf.to_string_lossy()));
        if let Some(prefer) = run.policy.prefer {
            add("prefer", &prefer.to_string());
        }
        if !run.policy.wan.is_empty() {
            add("wan", &run.policy.wan.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        }
        if run.policy.forward {
            add("forward", "");
        }
        if at + 1 == kept.len() {
            run.files.iter().for_each(|(name, time)| add("file", &format!("{name} {time}")));
        }
        for (key, lines) in [("cause", &run.causes), ("did", &run.did), ("not", &run.not)] {
            lines.iter().take(LINES).for_each(|l| add(key, &line(l)));
            if lines.len() > LINES {
                add(key, &format!("... and {} more", lines.len() - LINES));
            }
        }
        text.push('\n');
    }
    text
}

/// What a line break in a file's name would do to the lines.
fn line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

fn parse(block: &str) -> Option<Run> {
    let mut run = Run::default();
    let mut lines = block.lines();
    let (began, took) = lines.next()?.strip_prefix("run ")?.split_once(' ')?;
    run.began = Duration::from_secs(began.parse().ok()?);
    run.took = Duration::from_micros(took.parse().ok()?);
    for line in lines {
        let (key, value) = line.split_once(' ')?;
        match key {
            "conf" => run.conf = value.into(),
            "prefer" => run.policy.prefer = value.parse().ok(),
            "wan" => run.policy.wan = value.split(' ').filter_map(|name| name.parse().ok()).collect(),
            "forward" => run.policy.forward = true,
            "file" => {
                let (name, time) = value.rsplit_once(' ')?;
                run.files.insert(name.to_owned(), time.to_owned());
            }
            "cause" => run.causes.push(value.to_owned()),
            "did" => run.did.push(value.to_owned()),
            "not" => run.not.push(value.to_owned()),
            _ => {}
        }
    }
    Some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u64) -> Run {
        Run {
            began: Duration::from_secs(n),
            took: Duration::from_micros(4123),
            conf: "/etc/sv/fw/conf".into(),
            policy: Policy {
                prefer: Some("eth0".parse().unwrap()),
                forward: true,
                wan: vec!["eth0".parse().unwrap(), "ppp0".parse().unwrap()],
            },
            causes: vec!["run/dhcp_eth0.ipconf".into()],
            did: vec!["eth0: add address 192.0.2.7/24 (dhcp_eth0.ipconf:1)".into()],
            not: vec!["run/x.ipconf:2: expected a value".into()],
            ..Run::default()
        }
    }

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect()
    }

    #[test]
    fn ten_runs_read_back_and_the_newest_has_its_files() {
        let runs: Vec<Run> = (0..12).map(|n| Run { files: files(&[("a b", "1.5")]), ..run(n) }).collect();
        let text = write(&runs);
        let back: Vec<Run> = text.split("\n\n").filter_map(parse).collect();
        let wanted: Vec<Run> = (2..12).map(|n| if n == 11 { runs[11].clone() } else { run(n) }).collect();
        assert_eq!(back, wanted);
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let long = Run { did: (0..60).map(|n| n.to_string()).collect(), ..run(1) };
        let back = parse(write(&[long]).trim_end()).unwrap();
        assert_eq!((back.did.len(), back.did[LINES].as_str()), (LINES + 1, "... and 10 more"));
    }

    #[test]
    fn new_changed_and_gone_files_are_the_cause() {
        let before = Run { files: files(&[("gone", "1"), ("same", "1"), ("changed", "1")]), ..run(1) };
        let now = files(&[("same", "1"), ("changed", "2"), ("new", "1")]);
        assert_eq!(causes(Some(&before), &now), ["changed", "new", "gone"]);
        assert_eq!(causes(None, &now), [""; 0]);
    }

    #[test]
    fn what_is_not_understood_is_no_run() {
        for text in ["", "run", "run 1", "run x y", "run 1 2\nword", "conf /x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
