#![expect(
    clippy::disallowed_methods,
    reason = "driver: owns the clock, the environment, the signals and the watch on the lease"
)]
//! The daemon around [`super::verdict`]: one loop, no process per probe.

use super::lease::Lease;
use super::options::{Command, Options, USAGE};
use super::probe::{Probes, Sent};
use super::target::Target;
use super::verdict::{Health, Input, MAX_TARGETS, Output, Uplink};
use core::time::Duration;
use netif::ipconf::Entry;
use netif::places::Places;
use netif::publish::{Facts, Outcome, PublishError, Publisher};
use netif::random::entropy;
use netif::sandbox::{Access, Calls, Capability, Confinement, Exempt, Failure, Policy, Rights};
use std::ffi::OsString;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use sys::clock::{Instant, monotonic};
use sys::errtext::errtext;
use sys::msg::Level;
use sys::poll::{self, PollFd, PollFlags, readable};
use sys::signal::{Signal, Signals};
use sys::watch::{Change, Interest, Watch};
use sys::{Errno, rest};

/// fw's place in the policy's list of services; what is restarted comes after it.
const FW: usize = 0;
/// Loss and round trip are written down at most once in so long.
const FIGURES: Duration = Duration::from_secs(5);

/// pinger with these arguments, the program's name not among them.
pub fn main(args: &[OsString]) -> ExitCode {
    match Command::parse(args, Places::of_process()) {
        Ok(Command::Run(options)) => {
            let interface = options.interface;
            match Daemon::new(*options).and_then(Daemon::run) {
                Ok(()) => ExitCode::SUCCESS,
                Err(e) => {
                    log(Level::Fatal, &format!("{interface}: unable to go on: {}", errtext(e)));
                    ExitCode::FAILURE
                }
            }
        }
        Ok(Command::Help) => {
            // Nobody is left to be told.
            let _ = std::io::stdout().write_all(USAGE.as_bytes());
            ExitCode::SUCCESS
        }
        Err(e) => {
            log(Level::Fatal, &e.to_string());
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            ExitCode::FAILURE
        }
    }
}

struct Daemon {
    options: Options,
    uplink: Uplink,
    probes: Probes,
    signals: Signals,
    /// Tells of a new lease; none where the run directory cannot be watched.
    watch: Option<Watch>,
    lease_file: Option<PathBuf>,
    own: Option<Ipv4Addr>,
    targets: Vec<Target>,
    publisher: Publisher,
    /// What a bad uplink restarts.
    restarted: Vec<PathBuf>,
    rights: Rc<Rights>,
    written: Instant,
}

impl Daemon {
    fn new(options: Options) -> Result<Self, Errno> {
        let restarted = options.restart.clone().unwrap_or_else(|| {
            ["dhcp", "supplicant"].map(|s| options.svdir.join(format!("{s}_{}", options.interface))).to_vec()
        });
        let policy = Policy {
            packets: true,
            probes: true,
            services: core::iter::once(&options.fw).chain(&restarted).cloned().collect(),
            ..Policy::nothing(options.interface)
        };
        let no_sandbox = |part, e| no_sandbox(&options, part, e);
        let rights = Rc::new(Rights::new(policy, &[Capability::NetRaw], options.sandbox, no_sandbox));
        let signals = Signals::take(&[Signal::SIGTERM, Signal::SIGINT])?;
        let publisher = Publisher {
            run_dir: options.run_dir.clone(),
            ntp_dir: None,
            name: options.name.clone(),
            fw: options.fw.clone(),
        };
        let lease_file = options.lease.as_ref().map(|name| options.run_dir.join(format!("{name}.ipconf")));
        Ok(Self {
            uplink: Uplink::new(options.settings, monotonic()),
            probes: Probes::new(options.interface, entropy()?, Rc::clone(&rights))?,
            signals,
            watch: None,
            lease_file,
            own: None,
            targets: Vec::new(),
            publisher,
            restarted,
            rights,
            written: Instant::ZERO,
            options,
        })
    }

    fn run(mut self) -> Result<(), Errno> {
        self.refresh();
        self.confine();
        loop {
            let deadline = self.act();
            let (signal, changed) = self.wait(deadline)?;
            if signal {
                self.publish(Health::Unknown);
                return Ok(());
            }
            if changed || (self.lease_file.is_some() && self.watch.is_none()) {
                self.refresh();
            }
            for probe in self.probes.answers(&self.targets) {
                self.uplink.handle(monotonic(), Input::Answer(probe));
            }
            self.uplink.handle(monotonic(), Input::Timeout);
        }
    }

    /// Gives up every right; what comes now is from the network.
    fn confine(&self) {
        let confinement = Confinement {
            capabilities: &[],
            files: self.publisher.directories().map(|dir| (dir, Access::Files)).collect(),
            exempt: Exempt { connect: true, ..Exempt::default() },
            calls: Calls { files: true, connect: true, ..Calls::default() },
        };
        self.rights.confine(&confinement, |part, e| no_sandbox(&self.options, part, e));
        #[cfg(debug_assertions)]
        if let Some(line) = netif::sandbox::proof::attempt() {
            self.say(Level::Info, &line);
        }
    }

    /// Until something happens: whether to end, and whether the lease may have changed.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<(bool, bool), Errno> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.rights.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        fds.extend(self.watch.as_ref().map(|w| PollFd::new(w.as_fd(), PollFlags::POLLIN)));
        // Between rounds nobody is asked, so what comes in is nobody's answer and wakes nobody.
        if self.uplink.probing() {
            fds.extend(self.probes.descriptors());
        }
        let wait = if self.uplink.probing() { poll::wait } else { rest::wait };
        wait(&mut fds, monotonic(), deadline)?;
        let signal = fds.first().is_some_and(readable);
        drop(fds);
        let signal = signal && self.signals.next().is_some();
        // There are no scripts; this is how we hear that the process with our rights is gone.
        self.rights.ended()?;
        Ok((signal, self.lease_changed()))
    }

    fn lease_changed(&mut self) -> bool {
        let (Some(watch), Some(file)) = (&self.watch, &self.lease_file) else { return false };
        let (mut changed, mut lost) = (false, false);
        watch.changes(|_, change| match change {
            Change::Made(name) | Change::Came(name) | Change::Went(name) => changed |= Some(name) == file.file_name(),
            Change::Itself => lost = true,
            Change::Overflow => changed = true,
        });
        if lost {
            self.watch = None;
        }
        changed || lost
    }

    /// Reads the lease anew. The watch comes first, so that nothing falls between.
    fn refresh(&mut self) {
        let Some(file) = &self.lease_file else { return self.retarget(None, self.options.targets.clone()) };
        if self.watch.is_none() {
            self.watch = Watch::new().ok().filter(|w| w.add(&self.options.run_dir, Interest::Names).is_ok());
        }
        match Lease::read(file, self.options.interface) {
            Ok(lease) if self.options.targets.is_empty() => self.retarget(lease.address, lease.routers),
            Ok(Lease { address: Some(own), .. }) => self.retarget(Some(own), self.options.targets.clone()),
            Ok(Lease { address: None, .. }) => self.retarget(None, Vec::new()),
            // The file is fw's concern too, which says what is wrong with it; what we know goes on being true.
            Err(e) => self.say(Level::Warning, &format!("{}: {e}", file.display())),
        }
    }

    fn retarget(&mut self, own: Option<Ipv4Addr>, mut targets: Vec<Target>) {
        targets.truncate(MAX_TARGETS);
        if (own, &targets) != (self.own, &self.targets) {
            self.own = own;
            self.targets = targets;
            self.probes.forget();
            self.uplink.handle(monotonic(), Input::Targets(self.targets.len()));
        }
    }

    /// Does what the machine asks for; returns its deadline.
    fn act(&mut self) -> Option<Instant> {
        loop {
            match self.uplink.poll() {
                Output::Send(probe) => {
                    let Some(target) = self.targets.get(probe.target).copied() else { continue };
                    match self.probes.send(probe, target, self.own, self.uplink.fresh()) {
                        Ok(Sent::Asked) => {}
                        Ok(Sent::Known) => self.uplink.handle(monotonic(), Input::Known(probe)),
                        Err(e) if self.options.verbose => {
                            self.say(Level::Info, &format!("{}: unable to ask: {}", target.address, errtext(e)));
                        }
                        // The probe is lost, as one that nobody answers.
                        Err(_) => {}
                    }
                }
                Output::Round { answered, targets } => {
                    self.probes.round_over();
                    if self.options.verbose {
                        self.say(Level::Info, &format!("{answered} of {targets} answered"));
                    }
                    if monotonic().since(self.written) >= FIGURES {
                        self.publish(self.uplink.health());
                    }
                }
                Output::Verdict(health) => {
                    let what = match health {
                        Health::Unknown => "nobody to ask",
                        Health::Up => "up",
                        Health::Down => "down",
                    };
                    self.say(Level::Info, what);
                    self.publish(health);
                }
                Output::Restart => self.restart(),
                Output::Wait(at, _) => return at,
            }
        }
    }

    /// Writes the verdict and the figures; kicks fw when the verdict is another one.
    fn publish(&mut self, health: Health) {
        self.written = monotonic();
        let outcome = match health {
            Health::Unknown => self.publisher.withdraw(),
            Health::Up => self.publisher.publish(&self.facts(netif::ipconf::Health::Up)),
            Health::Down => self.publisher.publish(&self.facts(netif::ipconf::Health::Down)),
        };
        match outcome {
            Ok(Outcome::Changed) => {
                if let Err(e) = self.rights.tell(FW, b'u') {
                    self.say(Level::Warning, &format!("unable to kick {}: {}", self.options.fw.display(), errtext(e)));
                }
            }
            Ok(Outcome::Unchanged | Outcome::CommentsOnly) => {}
            Err(e @ (PublishError::Write(_) | PublishError::File(..))) => self.say(Level::Warning, &e.to_string()),
        }
    }

    fn facts(&self, health: netif::ipconf::Health) -> Facts {
        let mut entry = Entry::new(self.options.interface);
        entry.health = Some(health);
        let figures = self.uplink.quality().map(|q| match q.rtt {
            Some(rtt) => format!("loss {} %, rtt {:.3} ms", q.loss, rtt.as_secs_f64() * 1000.0),
            None => format!("loss {} %", q.loss),
        });
        Facts { entries: vec![entry], comments: figures.into_iter().collect(), ..Facts::default() }
    }

    /// TERM: a service that is up starts anew, one that is down stays down.
    fn restart(&self) {
        let asked_for = self.options.restart.is_some();
        for (n, service) in self.restarted.iter().enumerate() {
            match self.rights.tell(FW + 1 + n, b't') {
                Ok(()) => self.say(Level::Info, &format!("restarting {}", service.display())),
                Err(Errno::ENOENT) if !asked_for => {}
                Err(e) => self.say(Level::Warning, &format!("unable to restart {}: {}", service.display(), errtext(e))),
            }
        }
    }

    fn say(&self, level: Level, what: &str) {
        log(level, &format!("{}: {what}", self.options.interface));
    }
}

fn no_sandbox(options: &Options, part: Failure, why: Errno) {
    log(Level::Warning, &format!("{}: sandbox: {}: {}", options.interface, part.text(), errtext(why)));
}

fn log(level: Level, what: &str) {
    sys::msg::say(b"pinger", level, &[what.as_bytes()], None);
}
