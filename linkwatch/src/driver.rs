#![expect(clippy::disallowed_methods, reason = "driver: owns the clock, the signals, the link events and the handler")]
//! The daemon around [`crate::carrier`]: feeds it the kernel's events and signals, starts the handler, tells the services.

use crate::carrier::{Call, Carrier, Input, Note, Output, Status};
use crate::feed::{Feed, SetUp};
use crate::handler::{hook, script};
use crate::options::{Command, Options, USAGE};
use crate::services::Services;
use core::time::Duration;
use netif::hook::{Finished, Runner};
use netif::log::{Log, Targets};
use netif::sandbox::{Calls, Capability, Confinement, Exempt, Failure, HeldPidFile, Policy, Rights};
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use sys::clock::{Instant, monotonic};
use sys::msg::Level;
use sys::pidfile::PidFile;
use sys::poll::{self, PollFd, PollFlags, readable};
use sys::signal::{Signal, Signals, kill};
use sys::{Errno, rest};

/// What our lines begin with.
const PROGRAM: &str = "linkwatch";
/// ifplugd's: it has no other way to end.
const ENDED: u8 = 1;

/// linkwatch (ifplugd) with these arguments, the program's name not among them.
pub fn main(args: &[OsString]) -> ExitCode {
    match Command::parse(args) {
        Ok(Command::Watch(options)) => {
            let targets = Targets { syslog: options.syslog, ..Targets::STDERR };
            watch(*options, &Log::new(PROGRAM, targets));
            ExitCode::from(ENDED)
        }
        Ok(Command::Kill { pidfile }) => end_running(&pidfile),
        Ok(Command::Help) => {
            // Nobody is left to be told.
            let _ = std::io::stdout().write_all(USAGE.as_bytes());
            ExitCode::SUCCESS
        }
        Err(e) => {
            plain().say(Level::Fatal, &e.to_string(), None);
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            ExitCode::from(ENDED)
        }
    }
}

/// `-k`
fn end_running(pidfile: &Path) -> ExitCode {
    match PidFile::holder(pidfile).and_then(|pid| kill(pid, Signal::SIGINT)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            plain().say(Level::Fatal, &format!("unable to end the daemon of {}", pidfile.display()), Some(e));
            ExitCode::from(ENDED)
        }
    }
}

fn watch(options: Options, log: &Log) {
    let fatal = |what: &str, e| log.say(Level::Fatal, &format!("{}: {what}", options.interface), Some(e));
    let Ok(script) = script(&options) else { return fatal("unable to use the handler", Errno::EINVAL) };
    let policy = Policy {
        set_up: options.set_up != SetUp::Never,
        services: options.services.clone(),
        script,
        background: options.background,
        pidfile: Some(options.pidfile.clone()),
        ..Policy::nothing(options.interface)
    };
    let no_sandbox = |part: Failure, e| {
        log.say(Level::Warning, &format!("{}: sandbox: {}", options.interface, part.text()), Some(e));
    };
    let rights = Rc::new(Rights::new(policy, &[Capability::NetAdmin], options.sandbox, no_sandbox));
    // Signals first: from here on none is lost.
    let wanted = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGCHLD];
    let signals = match Signals::take(&wanted) {
        Ok(signals) => signals,
        Err(e) => return fatal("unable to take signals", e),
    };
    let pidfile = match PidFile::take(&options.pidfile) {
        Ok(file) => Some(HeldPidFile::new(file, Rc::clone(&rights))),
        Err(Errno::EAGAIN) => return fatal("another linkwatch is running", Errno::EEXIST),
        // Needed for -k alone.
        Err(e) => {
            log.say(Level::Warning, &format!("unable to write {}", options.pidfile.display()), Some(e));
            None
        }
    };
    let feed = match Feed::open(options.interface, options.set_up, Rc::clone(&rights)) {
        Ok(feed) => feed,
        Err(e) => return fatal("unable to hear of links", e.into()),
    };
    if options.background
        && let Err(e) = rights.background(pidfile.as_ref())
    {
        return fatal("unable to go to the background", e);
    }
    let confinement =
        Confinement { capabilities: &[], files: Vec::new(), exempt: Exempt::default(), calls: Calls::default() };
    rights.confine(&confinement, no_sandbox);
    #[cfg(debug_assertions)]
    if let Some(line) = netif::sandbox::proof::attempt() {
        log.say(Level::Info, &line, None);
    }
    let daemon = Daemon {
        carrier: Carrier::new(options.settings),
        services: Services::new(options.services.clone(), Rc::clone(&rights)),
        feed,
        signals,
        runner: Runner::new(Rc::clone(&rights), options.handler_limit),
        rights,
        log: log.clone(),
        options,
    };
    if let Err(e) = daemon.run() {
        log.say(Level::Fatal, "unable to wait for events", Some(e));
    }
}

struct Daemon {
    options: Options,
    log: Log,
    carrier: Carrier,
    services: Services,
    feed: Feed,
    signals: Signals,
    runner: Runner,
    rights: Rc<Rights>,
}

impl Daemon {
    fn run(mut self) -> Result<(), Errno> {
        self.links()?;
        while let Some(deadline) = self.act() {
            let signals = self.signals.as_fd();
            let fds = [signals, self.rights.fd().unwrap_or(signals), self.feed.as_fd()];
            let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let wait = if self.runner.idle() { rest::wait } else { poll::wait };
            wait(&mut fds, monotonic(), deadline)?;
            let [signal, script, link] = fds.each_ref().map(readable);
            if link {
                self.links()?;
            }
            if signal || script {
                self.signal()?;
            }
            let now = monotonic();
            self.services.retry(now);
            let finished = self.runner.tick(now);
            self.finished(now, finished);
            self.carrier.handle(now, Input::Timeout);
        }
        Ok(())
    }

    /// Does what the machine asks for. None: it is done. Else the next deadline.
    fn act(&mut self) -> Option<Option<Instant>> {
        // Said once the handler runs: somebody waits for that.
        let mut notes = Vec::new();
        let at = loop {
            match self.carrier.poll() {
                Output::Note(note) => notes.push(note),
                Output::Call(call) => self.call(call),
                Output::Wait(at, _) => break Some(at),
                Output::Done => break None,
            }
        };
        notes.into_iter().for_each(|note| self.note(note));
        at.map(|at| [at, self.services.deadline(), self.runner.deadline()].into_iter().flatten().min())
    }

    /// Hands on every state the kernel tells of, in order.
    fn links(&mut self) -> Result<(), Errno> {
        while let Some(link) = self.feed.next()? {
            self.carrier.handle(monotonic(), Input::Link(link));
        }
        Ok(())
    }

    /// And the ends of handlers.
    fn signal(&mut self) -> Result<(), Errno> {
        while let Some(signal) = self.signals.next() {
            let now = monotonic();
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "only the ones we took come; HUP is ignored as ifplugd does"
            )]
            match signal {
                Signal::SIGINT | Signal::SIGTERM => self.carrier.handle(now, Input::Stop),
                Signal::SIGQUIT => self.carrier.handle(now, Input::Quit),
                _ => {}
            }
        }
        while let Some((pid, status)) = self.rights.ended()? {
            let now = monotonic();
            let finished = self.runner.exited(now, pid, status);
            self.finished(now, finished);
        }
        Ok(())
    }

    /// Scripts that came to an end.
    fn finished(&mut self, now: Instant, finished: Vec<Finished>) {
        for Finished { event, ended } in finished {
            let ok = ended.ok();
            if !ok {
                self.say(Level::Warning, &format!("handler {event}: {ended}"), None);
            }
            self.carrier.handle(now, Input::Finished { ok });
        }
    }

    /// Tells the services, then starts the handler, if there is one.
    fn call(&mut self, call: Call) {
        let now = monotonic();
        let command = match call.action {
            Status::Up => b'u',
            Status::Down => b'd',
        };
        for failed in self.services.tell(now, command) {
            let what = format!("{}: not supervised yet, trying again", failed.service.display());
            self.say(Level::Warning, &what, Some(failed.why));
        }
        match self.options.handler {
            Some(_) => {
                let finished = self.runner.run(now, hook(call));
                self.finished(now, finished);
            }
            None => self.carrier.handle(now, Input::Finished { ok: true }),
        }
    }

    fn note(&self, note: Note) {
        match note {
            Note::Starting(status) => self.say(Level::Info, &format!("link is {}", status.word()), None),
            Note::Changed(status, Duration::ZERO) => self.say(Level::Info, &format!("link is {}", status.word()), None),
            Note::Changed(status, delay) => {
                let what = format!("link is {}, counts in {} s", status.word(), delay.as_secs_f64());
                self.say(Level::Info, &what, None);
            }
            Note::Flap(status) => self.say(Level::Info, &format!("link is {} again", status.word()), None),
            Note::Missed => self.say(Level::Info, "link was lost meanwhile", None),
            Note::Lost => self.say(Level::Fatal, "no such interface (-M waits for it)", None),
            Note::HandlerFailed => self.say(Level::Fatal, "handler failed (-I goes on)", None),
        }
    }

    fn say(&self, level: Level, what: &str, why: Option<Errno>) {
        self.log.say(level, &format!("{}: {what}", self.options.interface), why);
    }
}

fn plain() -> Log {
    Log::new(PROGRAM, Targets::STDERR)
}
