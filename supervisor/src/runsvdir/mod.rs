#![expect(clippy::disallowed_methods, reason = "driver: owns the signals, the children and the wait of runsvdir")]
//! `runsvdir [-P] DIR [LOG]`: keeps a `runsv` running for each service directory in DIR (spec runit §3).
//!
//! * [`scan`] — the machine: which services there are, which runsv is to be started or stopped
//! * [`chain`] — which names a path depends on; [`directory`] — the driver that watches and reads DIR
//! * this module — the program: children, signals, the wait
//!
//! What differs from runit: changes are seen as they happen and a dead runsv is replaced at once, there is no limit to the
//! number of services and no wake-up without a reason. LOG is accepted for the sake of old start scripts, but standard error
//! stays what it is: messages that scroll through the argument list make `pkill -f` hit the wrong process.

mod chain;
mod directory;
mod scan;

use directory::{Directory, News};
use scan::{Input, Output, Scan};
use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::msg::{Dec, Level, eprint, say};
use sys::poll::{PollFd, PollFlags, wait};
use sys::signal::{Signal, Signals, kill};
use sys::spawn::{Spawn, reap};
use sys::{Pid, clock};

/// Exit code for trouble at the start.
const TROUBLE: u8 = 100;

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(args: &[OsString]) -> u8 {
    // Only the first argument can be an option, and only these two are (runit's own reading).
    let (session, rest) = match args.get(1..).unwrap_or_default() {
        [first, rest @ ..] if first == "-P" => (true, rest),
        [first, rest @ ..] if first == "--" => (false, rest),
        rest => (false, rest),
    };
    let Some((dir, rest)) = rest.split_first() else {
        eprint(&[b"usage: runsvdir [-P] dir\n\n"]);
        return 1;
    };
    let program = [b"runsvdir ", dir.as_bytes()].concat();
    if rest.first().is_some_and(|log: &OsString| log.len() < LOG_MIN) {
        say(&program, Level::Warning, &[b"log must have at least seven characters."], None);
        say(&program, Level::Warning, &[b"log service disabled."], None);
    }
    match Signals::take(&[Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGHUP]) {
        Ok(signals) => supervise(dir, session, &program, &signals),
        Err(e) => {
            say(&program, Level::Fatal, &[b"unable to take signals"], Some(e));
            TROUBLE
        }
    }
}

/// runit writes its log into the argument's place, from the sixth byte on.
const LOG_MIN: usize = 7;

fn supervise(dir: &OsStr, session: bool, program: &[u8], signals: &Signals) -> u8 {
    let mut tree = Tree {
        scan: Scan::new(clock::monotonic()),
        directory: Directory::new(Path::new(dir), program),
        session,
        program,
    };
    loop {
        match tree.act(Input::Time) {
            Rest::Until(deadline) => {
                let mut fds = [Some(signals.as_fd()), tree.directory.watch()].map(|fd| {
                    let fd = fd.unwrap_or_else(|| signals.as_fd());
                    PollFd::new(fd, PollFlags::POLLIN)
                });
                // Without memory for the call there is nothing better to do than to look at everything and try again.
                let _ = wait(&mut fds, clock::monotonic(), deadline);
            }
            Rest::Done(code) => return code,
        }
        tree.news();
        while let Some(signal) = signals.next() {
            if signal == Signal::SIGTERM {
                tree.act(Input::Terminate);
            } else if signal == Signal::SIGHUP {
                tree.act(Input::Hangup);
            }
        }
        while let Some((pid, _)) = reap() {
            tree.act(Input::Exited(pid));
        }
    }
}

/// The machine joined to the world.
struct Tree<'a> {
    scan: Scan,
    directory: Directory<'a>,
    session: bool,
    program: &'a [u8],
}

/// What the machine waits for.
enum Rest {
    Until(Option<clock::Instant>),
    Done(u8),
}

impl Tree<'_> {
    /// One input, and everything that follows from it.
    fn act(&mut self, input: Input) -> Rest {
        let mut input = Some(input);
        loop {
            if let Some(input) = input.take() {
                self.scan.handle(clock::monotonic(), input);
            }
            input = match self.scan.poll() {
                Output::Scan => Some(Input::Scanned(self.directory.scan())),
                Output::Look(id, name) => Some(Input::Looked(id, self.directory.complete(name))),
                Output::Start(id, name) => {
                    Some(Input::Started(id, start(&self.directory, self.session, self.program, name)))
                }
                Output::Stop(pid) => {
                    // Not reaped yet, so the pid is its own; that it may have ended is no error.
                    let _ = kill(pid, Signal::SIGTERM);
                    None
                }
                Output::Waits(name, pid) => {
                    let pid = Dec::new(u64::from(pid.as_raw().cast_unsigned()));
                    let what: [&[u8]; 3] = [
                        name.to_bytes(),
                        b": directory replaced, waiting for the old runsv to end, pid ",
                        pid.as_bytes(),
                    ];
                    say(self.program, Level::Warning, &what, None);
                    None
                }
                Output::Lacks(name) => {
                    say(self.program, Level::Warning, &[name.to_bytes(), b": no ./run yet, not started"], None);
                    None
                }
                Output::Wait(deadline) => match self.directory.watch_young(self.scan.young()) {
                    // What cannot be watched is started as it is.
                    Some(id) => Some(Input::Looked(id, true)),
                    None => return Rest::Until(deadline),
                },
                Output::Done(code) => return Rest::Done(code),
            };
        }
    }

    /// What the watches tell.
    fn news(&mut self) {
        let Self { scan, directory, .. } = self;
        let now = clock::monotonic();
        directory.news(|news| {
            scan.handle(
                now,
                match news {
                    News::Changed => Input::Changed,
                    News::Stirred(id) => Input::Stirred(id),
                },
            );
        });
    }
}

/// `runsv NAME`, in the services directory.
fn start(directory: &Directory<'_>, session: bool, program: &[u8], name: &CStr) -> Option<Pid> {
    let args = [c"runsv", name];
    let mut spawn = Spawn::new(c"runsv", &args).search_path().dir_fd(directory.dir()?);
    if session {
        spawn = spawn.session();
    }
    match spawn.start() {
        Ok(pid) => Some(pid),
        Err(e) => {
            say(program, Level::Fatal, &[b"unable to start runsv ", name.to_bytes()], Some(e));
            None
        }
    }
}
