//! One command: built up, then run to its end ([`Cmd::output`] and what asserts on it) or started ([`Cmd::spawn`]).

use crate::kernel::{self, Missing};
use crate::{Netns, Proc, bins, compare, note, wait::PATIENCE};
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A command about to be run, with an environment of its own: PATH, HOME, LC_ALL=C and what [`Self::env`] adds.
#[derive(Debug, Clone)]
#[must_use]
pub struct Cmd {
    program: PathBuf,
    name: String,
    arg0: Option<OsString>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: PathBuf,
    netns: Netns,
    stdin: Option<Vec<u8>>,
    group: bool,
    missing: &'static [Missing],
    patience: Duration,
}

/// What a command that ended left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code, 128 + N when signal N ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Cmd {
    pub(crate) fn new(program: &Path, dir: &Path) -> Self {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        Self {
            program: find(program),
            name,
            arg0: None,
            args: Vec::new(),
            env: Vec::new(),
            dir: dir.to_owned(),
            netns: Netns::root(),
            stdin: None,
            group: false,
            missing: &[],
            patience: PATIENCE,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// The name the program sees as its own (`argv[0]`). Not together with a named network namespace.
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.arg0 = Some(name.as_ref().to_owned());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Its working directory, relative to the lab's.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = self.dir.join(dir);
        self
    }

    /// Runs it in a network namespace.
    pub fn netns(mut self, ns: &Netns) -> Self {
        self.netns = ns.clone();
        self
    }

    /// What it reads on standard input; without this it is /dev/null.
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(bytes.as_ref().to_owned());
        self
    }

    /// In a process group of its own, see [`Proc::kill_group`].
    pub fn group(mut self) -> Self {
        self.group = true;
        self
    }

    /// On a kernel without these system calls.
    pub fn without(mut self, missing: &'static [Missing]) -> Self {
        self.missing = missing;
        self
    }

    /// Its name in the timeline.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// How long it may take to end, [`PATIENCE`] without this.
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts it. Its output is kept and goes to the timeline.
    pub fn spawn(self) -> Proc {
        let mut command = match self.netns.name() {
            None => Command::new(&self.program),
            Some(ns) => {
                let mut c = Command::new(bins::peer("ip"));
                c.args(["netns", "exec", ns]).arg(&self.program);
                c
            }
        };
        if let Some(name) = &self.arg0 {
            assert!(self.netns.name().is_none(), "arg0 in a named network namespace");
            command.arg0(name);
        }
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", bins::search_path())
            .env("HOME", "/run/lab")
            .env("LC_ALL", "C")
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .current_dir(&self.dir)
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.group {
            command.process_group(0);
        }
        if !self.missing.is_empty() {
            lacking(&mut command, self.missing);
        }
        let args: Vec<_> = self.args.iter().map(|a| a.to_string_lossy()).collect();
        let place = self.netns.name().map(|ns| format!("[{ns}] ")).unwrap_or_default();
        let child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        note(&format!("{place}start {} {} (pid {})", self.program.display(), args.join(" "), child.id()));
        Proc::watch(child, &self.name, self.stdin)
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn output(self) -> Output {
        let patience = self.patience;
        self.spawn().finish_within(patience)
    }

    /// Runs it; it must end with 0. Returns its standard output.
    #[track_caller]
    pub fn ok(self) -> String {
        let what = format!("{self}");
        let out = self.output();
        assert!(out.code == 0, "{what}: exit {}\n{}{}", out.code, out.stdout, out.stderr);
        out.stdout
    }

    /// Runs it; it must end with `code`. Returns its output.
    #[track_caller]
    pub fn fails(self, code: i32) -> Output {
        let what = format!("{self}");
        let out = self.output();
        assert!(out.code == code, "{what}: exit {} instead of {code}\n{}{}", out.code, out.stdout, out.stderr);
        out
    }

    /// Runs it; it must end with 0 and print exactly `expected`.
    #[track_caller]
    pub fn prints(self, expected: &str) {
        let what = format!("{self}");
        if let Some(difference) = compare::difference(&self.ok(), expected) {
            panic!("{what}: not as expected (- expected, + got):\n{difference}");
        }
    }

    /// Runs it; it must end with 0 and print `pattern`, where `*` is anything within a line and `#` a number.
    #[track_caller]
    pub fn prints_matching(self, pattern: &str) {
        let what = format!("{self}");
        let got = self.ok();
        assert!(
            compare::matches(got.trim_end_matches('\n'), pattern.trim_end_matches('\n')),
            "{what}: {got:?} is not {pattern:?}"
        );
    }
}

impl std::fmt::Display for Cmd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)?;
        self.args.iter().try_for_each(|a| write!(f, " {}", a.to_string_lossy()))
    }
}

#[expect(unsafe_code, reason = "runs between fork and exec")]
fn lacking(command: &mut Command, missing: &[Missing]) {
    let mut program = kernel::program(missing);
    // SAFETY: makes one system call, whose arguments were allocated before the fork.
    unsafe { command.pre_exec(move || kernel::install(&mut program)) };
}

/// A bare name is looked up in our bin directory and the system's.
fn find(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_owned();
    }
    let ours = Path::new(bins::BIN).join(program);
    if ours.symlink_metadata().is_ok() { ours } else { bins::peer(program.to_str().expect("a plain name")) }
}
