//! Compatibility: the cases of `tests/golden/*.cases` are shell scripts run twice, with Debian's packaged runit (and
//! busybox for `svc`, `svok`; daemontools for its names) and with our programs first in PATH. Both must print exactly what the file says; where we
//! differ on purpose the file holds both texts and the reason (collected in `docs/compatibility.md`).
//!
//! `PORTREEVE_GOLDEN=write cargo test -p systests compat` writes what was seen into the files, for `git diff` to judge; a
//! new difference gets no reason by itself, and a difference without a reason is a failure.

mod golden;
mod normal;

use golden::{Case, Expected, Seen};
use lab::{Lab, peer};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Cases run at the same time: most of the time they wait for runit's own seconds.
const AT_ONCE: usize = 8;
/// Longest life of one script.
const LIFE: Duration = Duration::from_secs(60);

/// What their side is called by, and which packaged program it is.
type Peers<const N: usize> = [(&'static str, &'static str); N];

const RUNIT: Peers<4> = [("runsv", "runsv"), ("runsvdir", "runsvdir"), ("sv", "sv"), ("svlogd", "svlogd")];
const BUSYBOX: Peers<2> = [("svc", "busybox"), ("svok", "busybox")];
/// runit's chpst, also by daemontools' names, which Debian does not link to it.
const CHPST: Peers<7> = [
    ("chpst", "chpst"),
    ("envdir", "chpst"),
    ("envuidgid", "chpst"),
    ("pgrphack", "chpst"),
    ("setlock", "chpst"),
    ("setuidgid", "chpst"),
    ("softlimit", "chpst"),
];
const DAEMONTOOLS: Peers<6> = [
    ("envdir", "envdir"),
    ("envuidgid", "envuidgid"),
    ("pgrphack", "pgrphack"),
    ("setlock", "setlock"),
    ("setuidgid", "setuidgid"),
    ("softlimit", "softlimit"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

#[test]
fn runsv() {
    lab::test_within(4 * LIFE, |lab| all_of(lab, "runsv", &RUNIT));
}

#[test]
fn sv() {
    lab::test_within(4 * LIFE, |lab| all_of(lab, "sv", &RUNIT));
}

#[test]
fn runsvdir() {
    lab::test_within(4 * LIFE, |lab| all_of(lab, "runsvdir", &RUNIT));
}

#[test]
fn svlogd() {
    lab::test_within(4 * LIFE, |lab| all_of(lab, "svlogd", &RUNIT));
}

#[test]
fn svc() {
    lab::test_within(4 * LIFE, |lab| all_of(lab, "svc", &[&RUNIT[..], &BUSYBOX].concat()));
}

#[test]
fn chpst() {
    lab::test_within(4 * LIFE, |lab| all_of(lab, "chpst", &CHPST));
}

#[test]
fn daemontools() {
    lab::test_within(4 * LIFE, |lab| all_of(lab, "daemontools", &DAEMONTOOLS));
}

/// The page for people lists exactly the cases that differ.
#[test]
fn the_page_lists_every_difference() {
    let root = golden_dir().join("../..");
    let page = std::fs::read_to_string(root.join("docs/compatibility.md")).unwrap();
    // Tables of cases say so in their head; others (dhcpc's) are about what has no case here.
    let tables = page.split("\n\n").filter(|block| block.starts_with("| case |"));
    let rows = tables.flat_map(str::lines).filter(|l| l.starts_with("| `"));
    let mut listed: Vec<&str> =
        rows.flat_map(|l| l.split('|').nth(1).unwrap().split(',')).map(|n| n.trim().trim_matches('`')).collect();
    let files = std::fs::read_dir(golden_dir()).unwrap().map(|f| f.unwrap().path());
    let cases = files
        .filter(|f| f.extension().is_some_and(|e| e == "cases"))
        .flat_map(|f| golden::parse(&std::fs::read_to_string(f).unwrap()));
    let mut differing: Vec<String> =
        cases.filter(|c| matches!(c.expected, Expected::Differ { .. })).map(|c| c.name).collect();
    listed.sort_unstable();
    differing.sort_unstable();
    assert_eq!(listed, differing);
}

fn all_of(lab: &Lab, name: &str, peers: &[(&str, &str)]) {
    let file = golden_dir().join(format!("{name}.cases"));
    for (name, program) in peers {
        link(lab, name, &peer(program));
    }
    let cases = golden::parse(&lab.read(&file));
    let seen = run_all(lab, &cases);
    if std::env::var("PORTREEVE_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(&file, golden::render(&lab.read(&file), &cases, &seen)).unwrap();
    }
    let wrong: Vec<String> = cases.iter().zip(&seen).filter_map(|(case, seen)| judge(case, seen)).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Puts a packaged program into the directory that is first in PATH of their side.
fn link(lab: &Lab, name: &str, program: &Path) {
    let dir = lab.path("theirs");
    std::fs::create_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink(program, dir.join(name)).unwrap();
}

fn golden_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn run_all(lab: &Lab, cases: &[Case]) -> Vec<Seen> {
    let jobs: Mutex<Vec<(usize, Side)>> =
        Mutex::new((0..cases.len()).rev().flat_map(|i| [(i, Side::Ours), (i, Side::Theirs)]).collect());
    let seen = Mutex::new(vec![Seen::default(); cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((i, side)) = jobs.lock().unwrap().pop() else { break };
                    let output = run(lab, &cases[i], side);
                    let mut seen = seen.lock().unwrap();
                    match side {
                        Side::Ours => seen[i].ours = output,
                        Side::Theirs => seen[i].theirs = output,
                    }
                }
            });
        }
    });
    seen.into_inner().unwrap()
}

/// Output and exit code of one script with one side's programs.
fn run(lab: &Lab, case: &Case, side: Side) -> String {
    let dir = lab.path(&format!("{}/{side:?}", case.name));
    std::fs::create_dir_all(&dir).unwrap();
    let script = format!(". {}/prelude.sh\n{}", golden_dir().display(), case.script);
    let mut cmd = lab.cmd("sh").args(["-c", &format!("exec 2>&1\n{script}")]).dir(&dir).group();
    cmd = cmd.named(&format!("{}/{side:?}", case.name));
    if side == Side::Theirs {
        cmd = cmd.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", lab.path("theirs").display()));
    }
    let proc = cmd.spawn();
    // A script that hangs is a wrong output, not the end of the other cases.
    lab::wait_quietly(LIFE / 2, || proc.ended());
    let hung = !proc.ended();
    proc.kill_group();
    let out = proc.finish_within(LIFE);
    let mut text = normal::normalise(&out.stdout, dir.to_str().unwrap());
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(" (no line end)\n");
    }
    // As the file's own text: blank lines at the end do not count.
    text.truncate(text.trim_end_matches('\n').len() + 1);
    if hung {
        text.push_str("(hangs)\n");
    } else if out.code != 0 {
        text.push_str(&format!("(exit {})\n", out.code));
    }
    text
}

/// What is wrong with a case, if anything.
fn judge(case: &Case, seen: &Seen) -> Option<String> {
    let name = &case.name;
    let (ours, theirs) = match &case.expected {
        Expected::Both(text) if text.is_empty() => {
            return Some(format!("{name}: expects nothing, so it shows nothing"));
        }
        Expected::Both(text) => (text, text),
        Expected::Differ { why, .. } if why.is_empty() => return Some(format!("{name}: differs without a reason")),
        Expected::Differ { ours, theirs, .. } if ours == theirs => return Some(format!("{name}: does not differ")),
        Expected::Differ { ours, theirs, .. } => (ours, theirs),
    };
    let mut wrong = String::new();
    for (side, got, expected) in [("ours", &seen.ours, ours), ("theirs", &seen.theirs, theirs)] {
        if let Some(difference) = lab::difference(got, expected) {
            wrong.push_str(&format!("{name}, {side} (- expected, + got):\n{difference}"));
        }
    }
    (!wrong.is_empty()).then_some(wrong)
}
