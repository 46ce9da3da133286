//! Service directories: building them, and reading and steering what a `runsv` keeps in `supervise/`.

use crate::{PATIENCE, note, wait_for, wait_quietly};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use sys::fifo;
use sys::file::CWD;

/// Describes a service directory; [`Self::build`] writes it. A script without `#!` gets `#!/bin/sh`.
#[derive(Debug)]
#[must_use]
pub struct ServiceBuilder {
    path: PathBuf,
    files: Vec<(String, String, u32)>,
    link: bool,
}

impl ServiceBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, files: Vec::new(), link: false }
    }

    /// Any file of it. `mode` as in chmod.
    pub fn file(mut self, name: &str, content: &str, mode: u32) -> Self {
        self.files.push((name.to_owned(), content.to_owned(), mode));
        self
    }

    /// An executable script of it.
    pub fn script(self, name: &str, script: &str) -> Self {
        let text = if script.starts_with("#!") { script.to_owned() } else { format!("#!/bin/sh\n{script}\n") };
        self.file(name, &text, 0o755)
    }

    /// `run`.
    pub fn run(self, script: &str) -> Self {
        self.script("run", script)
    }

    /// `finish`.
    pub fn finish(self, script: &str) -> Self {
        self.script("finish", script)
    }

    /// `check`.
    pub fn check(self, script: &str) -> Self {
        self.script("check", script)
    }

    /// `control/C`.
    pub fn control(self, c: char, script: &str) -> Self {
        self.script(&format!("control/{c}"), script)
    }

    /// `log/run`.
    pub fn log(self, script: &str) -> Self {
        self.script("log/run", script)
    }

    /// An empty `down`.
    pub fn down(self) -> Self {
        self.file("down", "", 0o644)
    }

    /// Also links it into /var/service.
    pub fn enabled(mut self) -> Self {
        self.link = true;
        self
    }

    /// Writes it. What was there under other names stays.
    pub fn build(self) -> Service {
        fs::create_dir_all(&self.path).expect("service directory");
        for (name, content, mode) in &self.files {
            let path = self.path.join(name);
            fs::create_dir_all(path.parent().expect("below the service directory")).expect("mkdir");
            fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("chmod");
        }
        let service = Service { path: self.path };
        if self.link {
            std::os::unix::fs::symlink(&service.path, Path::new("/var/service").join(service.name())).expect("link");
        }
        service
    }
}

/// A service directory (or its `log/`).
#[derive(Debug, Clone)]
pub struct Service {
    path: PathBuf,
}

/// The 20 bytes of `supervise/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// TAI64 label of the last change.
    pub label: u64,
    /// Nanoseconds of it.
    pub nanos: u32,
    /// Process of run or finish, 0 for none.
    pub pid: u32,
    /// Byte 16.
    pub paused: bool,
    /// Byte 17: `u` or `d`.
    pub want: char,
    /// Byte 18: TERM was sent.
    pub term: bool,
    /// Byte 19: 0 down, 1 run, 2 finish.
    pub state: u8,
}

impl Status {
    /// Whether the bytes say what the text says. What is wanted is in the text only when the service is not down.
    fn says(&self, stat: &str) -> bool {
        let state = ["down", "run", "finish"].get(usize::from(self.state)).is_some_and(|word| stat.starts_with(word));
        let want = if stat.contains("want") { 'd' } else { 'u' };
        state
            && self.paused == stat.contains("paused")
            && self.term == stat.contains("got TERM")
            && (self.state == 0 || self.want == want)
    }
}

impl Service {
    /// A service directory that exists.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its directory as an argument of `sv`.
    pub fn arg(&self) -> &str {
        self.path.to_str().expect("a plain path")
    }

    /// Last part of the directory's name.
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|n| n.to_str()).expect("a plain name")
    }

    /// Its log service.
    pub fn log(&self) -> Self {
        Self { path: self.path.join("log") }
    }

    /// Whether a `runsv` holds it: `supervise/ok` can be opened for writing.
    pub fn listening(&self) -> bool {
        fifo::writer(CWD, &self.path.join("supervise/ok")).is_ok()
    }

    /// Waits until a `runsv` holds it.
    #[track_caller]
    pub fn wait_listening(&self) {
        wait_for(&format!("{} to be supervised", self.path.display()), || self.listening());
    }

    /// Writes bytes to `supervise/control`, as one write.
    #[track_caller]
    pub fn tell(&self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let path = self.path.join("supervise/control");
        note(&format!("control {:?} to {}", String::from_utf8_lossy(bytes), self.name()));
        // Without O_CREAT and non-blocking: never leaves a plain file behind, never hangs on a dead runsv.
        let open = fs::File::options().write(true).custom_flags(nix::libc::O_NONBLOCK).open(&path);
        let mut fifo = open.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        fifo.write_all(bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// `supervise/stat` without its line end; empty when there is none.
    pub fn stat(&self) -> String {
        fs::read_to_string(self.path.join("supervise/stat")).unwrap_or_default().trim_end().to_owned()
    }

    /// Waits until `supervise/stat` is exactly `stat` and `supervise/status`, which is written after it, says the same.
    #[track_caller]
    pub fn wait_stat(&self, stat: &str) {
        let what = format!("{} to be {stat:?}", self.path.display());
        if !wait_quietly(PATIENCE, || self.stat() == stat && self.try_status().is_some_and(|s| s.says(stat))) {
            panic!("waited {PATIENCE:?} for {what}; it is {:?}, {:?}", self.stat(), self.try_status());
        }
        note(&format!("seen: {what}"));
    }

    /// `supervise/pid`, `None` when there is no process.
    pub fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.path.join("supervise/pid")).ok()?.trim_end().parse().ok()
    }

    /// Waits until the service has a process other than `old`, and returns it.
    #[track_caller]
    pub fn wait_new_pid(&self, old: Option<u32>) -> u32 {
        let mut new = None;
        wait_for(&format!("a new process of {}", self.name()), || {
            // The files are written one after the other; status is the last.
            let told = |pid: &u32| self.try_status().is_some_and(|s| s.pid == *pid);
            new = self.pid().filter(|pid| self.stat().starts_with("run") && Some(*pid) != old && told(pid));
            new.is_some()
        });
        new.expect("waited for")
    }

    /// `supervise/status`.
    #[track_caller]
    pub fn status(&self) -> Status {
        self.try_status().unwrap_or_else(|| panic!("{} has no status of 20 bytes", self.name()))
    }

    fn try_status(&self) -> Option<Status> {
        let bytes = fs::read(self.path.join("supervise/status")).ok()?;
        let b: [u8; 20] = bytes.as_slice().try_into().ok()?;
        let number = |at: usize| [b[at], b[at + 1], b[at + 2], b[at + 3]];
        Some(Status {
            label: u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            nanos: u32::from_be_bytes(number(8)),
            pid: u32::from_le_bytes(number(12)),
            paused: b[16] != 0,
            want: char::from(b[17]),
            term: b[18] != 0,
            state: b[19],
        })
    }

    /// Lines of a file its scripts write, empty when there is none yet.
    pub fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        if complete.is_empty() && !text.starts_with('\n') {
            return Vec::new();
        }
        complete.split('\n').map(str::to_owned).collect()
    }

    /// Waits until a file its scripts write has at least `n` lines, and returns them.
    #[track_caller]
    pub fn wait_lines(&self, file: &str, n: usize) -> Vec<String> {
        wait_for(&format!("{n} lines in {}/{file}", self.name()), || self.lines(file).len() >= n);
        self.lines(file)
    }
}
