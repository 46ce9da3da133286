//! A started process: its end and its output are events to wait for.

use crate::{Output, compare, note, wait::PATIENCE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Output kept per stream.
const KEPT: usize = 64 << 20;
/// Output lines per stream that go to the timeline.
const NOTED: usize = 300;

/// A process of the lab. Dropping it leaves it running: the lab's end ends it.
#[derive(Debug, Clone)]
pub struct Proc {
    name: String,
    pid: Pid,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    streams: [Vec<u8>; 2],
    open: usize,
    ended: Option<ExitStatus>,
}

impl Proc {
    /// Starts the threads that read its output and wait for its end.
    pub(crate) fn watch(mut child: Child, name: &str, stdin: Option<Vec<u8>>) -> Self {
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("pid"));
        let shared = Arc::new(Shared::default());
        shared.lock().open = 2;
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
            // The reader may end early; what it did not want is no failure.
            std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        shared.read(0, name, out);
        shared.read(1, name, err);
        let (waiter, label) = (Arc::clone(&shared), name.to_owned());
        std::thread::spawn(move || {
            let status = child.wait().expect("wait");
            note(&format!("end   {label} (pid {pid}): {status}"));
            waiter.lock().ended = Some(status);
            waiter.changed.notify_all();
        });
        Self { name: name.to_owned(), pid, shared }
    }

    /// Process id in the lab.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Whether it has ended.
    pub fn ended(&self) -> bool {
        self.shared.lock().ended.is_some()
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if !self.ended() {
            note(&format!("{signal} to {} (pid {})", self.name, self.pid));
            kill(self.pid, signal).unwrap_or_else(|e| panic!("{signal} to {}: {e}", self.name));
        }
    }

    /// KILL to its process group (see [`crate::Cmd::group`]), also when it has ended itself.
    pub fn kill_group(&self) {
        let _ = nix::sys::signal::killpg(self.pid, Signal::SIGKILL);
    }

    /// TERM, then waits for the end. Returns the exit code, 128 + N for signal N.
    #[track_caller]
    pub fn stop(&self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits for its end. Returns the exit code, 128 + N for signal N.
    #[track_caller]
    pub fn wait(&self) -> i32 {
        self.wait_within(PATIENCE)
    }

    /// As [`Self::wait`], with another deadline.
    #[track_caller]
    pub fn wait_within(&self, patience: Duration) -> i32 {
        let seen = self.until("its end", patience, |s| s.ended.is_some());
        let code = code(seen.ended.expect("ended"));
        drop(seen);
        // What it wrote before is read by other threads. Who it left behind may keep the pipes open.
        drop(self.shared.wait_until(Duration::from_millis(100), |s| s.open == 0));
        code
    }

    /// Waits for its end and for the end of its output, and returns both.
    #[track_caller]
    pub fn finish_within(&self, patience: Duration) -> Output {
        let deadline = Instant::now() + patience;
        let code = self.wait_within(patience);
        // A daemon it left behind may keep the pipes: what the process itself wrote is there after a moment.
        let rest = deadline.saturating_duration_since(Instant::now()).min(Duration::from_secs(2));
        drop(self.shared.wait_until(rest, |s| s.open == 0));
        Output { code, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().streams[0]).into_owned()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().streams[1]).into_owned()
    }

    /// Standard output so far, as it came.
    pub fn stdout_bytes(&self) -> Vec<u8> {
        self.shared.lock().streams[0].clone()
    }

    /// Waits for a complete line of either stream that matches (`*` anything, `#` a number) and returns it.
    #[track_caller]
    pub fn wait_line(&self, pattern: &str) -> String {
        self.wait_lines(pattern, 1).remove(0)
    }

    /// Waits until at least `n` lines match and returns all that do.
    #[track_caller]
    pub fn wait_lines(&self, pattern: &str, n: usize) -> Vec<String> {
        let seen = self.until(&format!("{n} lines {pattern:?}"), PATIENCE, |s| s.lines(pattern).len() >= n);
        seen.lines(pattern)
    }

    #[track_caller]
    fn until(&self, what: &str, patience: Duration, true_now: impl Fn(&Seen) -> bool) -> MutexGuard<'_, Seen> {
        let seen = self.shared.wait_until(patience, &true_now);
        if !true_now(&seen) {
            drop(seen);
            panic!("{} (pid {}): waited {patience:?} for {what}", self.name, self.pid);
        }
        seen
    }
}

impl Seen {
    fn lines(&self, pattern: &str) -> Vec<String> {
        let complete = self.streams.iter().flat_map(|s| {
            let end = s.iter().rposition(|&b| b == b'\n').unwrap_or(0);
            s[..end].split(|&b| b == b'\n')
        });
        complete
            .map(String::from_utf8_lossy)
            .filter(|l| compare::matches(l, pattern))
            .map(std::borrow::Cow::into_owned)
            .collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, patience: Duration, true_now: impl Fn(&Seen) -> bool) -> MutexGuard<'_, Seen> {
        let (seen, _) = self
            .changed
            .wait_timeout_while(self.lock(), patience, |s| !true_now(s))
            .unwrap_or_else(PoisonError::into_inner);
        seen
    }

    fn read(self: &Arc<Self>, stream: usize, name: &str, mut from: impl Read + Send + 'static) {
        let (shared, name) = (Arc::clone(self), name.to_owned());
        std::thread::spawn(move || {
            let (mut buf, mut line, mut noted) = (vec![0; 65536], Vec::new(), 0);
            while let Ok(n @ 1..) = from.read(&mut buf) {
                {
                    let mut seen = shared.lock();
                    let room = KEPT.saturating_sub(seen.streams[stream].len());
                    seen.streams[stream].extend_from_slice(&buf[..n.min(room)]);
                }
                shared.changed.notify_all();
                for &byte in if noted < NOTED { &buf[..n] } else { &[] } {
                    if byte == b'\n' {
                        note(&format!("{name}: {}", String::from_utf8_lossy(&line)));
                        line.clear();
                        noted += 1;
                    } else {
                        line.push(byte);
                    }
                }
            }
            shared.lock().open -= 1;
            shared.changed.notify_all();
        });
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
