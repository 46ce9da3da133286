#![expect(clippy::disallowed_methods, reason = "driver: owns the clock, the environment, the signals and the sockets")]
//! The daemon around [`crate::machine`]: replies, link changes, signals and time in; messages, events and files out.
//!
//! One poll loop, one timer on the clock that counts suspend, one socket while an answer is awaited and none else.

mod interface;
mod packets;
mod retreat;

use crate::args::{Background, Command, Options, USAGE};
use crate::identity::client_id;
use crate::lease::Lease;
use crate::log::Log;
use crate::machine::{Command as Order, Event, Input, Link, Machine, Neighbour, Output};
use crate::memory::Memory;
use crate::message::ClientId;
use crate::outlet::{Outlet, policy};
use crate::remember::Remembered;
use crate::repeats::{Kind, Repeats};
use crate::sockets::{Ears, Ports};
use crate::stats::{Counted, Stats};
use netif::link::{Link as Interface, LinkError, LinkEvents, Questions};
use netif::log::Targets;
use netif::places::Places;
use netif::random::{Random, entropy};
use netif::sandbox::{Capability, Failure, HeldPidFile, Rights};
use packets::Which;
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;
use sys::clock::boottime;
use sys::errtext::errtext;
use sys::file::{CWD, Durability, replace};
use sys::msg::{Level, say};
use sys::pidfile::PidFile;
use sys::poll::{self, PollFd, PollFlags, readable};
use sys::signal::{Signal, Signals};
use sys::sleep::Sleep;
use sys::timer::Timer;
use sys::{Errno, rest};

/// dhcpc with these arguments, the program's name not among them.
pub fn main(args: &[OsString]) -> ExitCode {
    run("dhcpc", args)
}

/// The same under udhcpc's name.
pub fn udhcpc(args: &[OsString]) -> ExitCode {
    run("udhcpc", args)
}

fn run(program: &'static str, args: &[OsString]) -> ExitCode {
    let options = match Command::parse(args, Places::of_process()) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            // Nobody is left to be told.
            let _ = std::io::stdout().write_all(USAGE.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            say(program.as_bytes(), Level::Fatal, &[e.0.as_bytes()], None);
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::FAILURE;
        }
    };
    let targets = Targets { syslog: options.syslog, ..Targets::STDERR };
    let log =
        Log { to: netif::log::Log::new(program, targets), interface: options.interface, verbose: options.verbose };
    match Daemon::start(log.clone(), *options).and_then(Daemon::run) {
        Ok(code) => ExitCode::from(code),
        Err(Fatal(what)) => {
            log.say(Level::Fatal, &what, None);
            ExitCode::FAILURE
        }
    }
}

/// Why the daemon ends before it should.
struct Fatal(String);

impl Fatal {
    fn errno(what: &str, why: Errno) -> Self {
        Self(format!("{what}: {}", errtext(why)))
    }
}

struct Daemon {
    options: Options,
    ports: Ports,
    log: Log,
    machine: Machine,
    signals: Signals,
    timer: Timer,
    sleep: Sleep,
    events: LinkEvents,
    questions: Questions,
    rights: Rc<Rights>,
    /// As last heard; none while it does not exist.
    interface: Option<Interface>,
    /// Our client id, which replies may echo.
    client_id: Option<Vec<u8>>,
    ears: Ears,
    arp: Ears,
    /// No longer needed; see [`Daemon::catch_up`].
    spent: Vec<Ears>,
    /// To be written.
    unsaved: Option<(Rc<Lease>, Option<Neighbour>)>,
    stats: Stats,
    repeats: Repeats,
    outlet: Outlet,
    memory: Memory,
    pidfile: Option<HeldPidFile>,
    /// To be done once the scripts are through.
    leave_terminal: bool,
    confined: bool,
}

impl Daemon {
    fn start(log: Log, options: Options) -> Result<Self, Fatal> {
        for warning in &options.warnings {
            log.warn(warning);
        }
        let kept = [Capability::NetRaw, Capability::NetAdmin, Capability::NetBindService];
        let unable = |part: Failure, e| log.warn_errno(&format!("sandbox: {}", part.text()), e);
        let rights = Rc::new(Rights::new(policy(&options, std::env::vars_os()), &kept, options.sandbox, unable));
        // Signals first: from here on none is lost.
        let wanted = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGCHLD];
        let signals = Signals::take(&wanted).map_err(|e| Fatal::errno("unable to take signals", e))?;
        let events = LinkEvents::open().map_err(|e| Fatal(format!("unable to hear of links: {e}")))?;
        let questions = Questions::open().map_err(|e| Fatal(format!("unable to ask for links: {e}")))?;
        let interface = match questions.query(options.interface) {
            Ok(link) => Some(link),
            Err(LinkError::NoSuchInterface) if options.script.is_none() => None,
            Err(e) => return Err(Fatal(e.to_string())),
        };
        let pidfile = options.pidfile.as_ref().and_then(|path| match PidFile::take(path) {
            Ok(file) => Some(HeldPidFile::new(file, Rc::clone(&rights))),
            Err(e) => {
                log.warn_errno(&format!("unable to write {}", path.display()), e);
                None
            }
        });
        let seed = entropy().map_err(|e| Fatal::errno("no random numbers", e))?;
        let mut options = options;
        if options.duid {
            match options.state.as_ref().and_then(|dir| client_id(dir, options.interface, &log)) {
                Some(id) => options.profile.client_id = ClientId::Given(id),
                None => log.warn("no DUID, the hardware address is the client id"),
            }
        }
        let mut daemon = Self {
            ports: Ports { client: options.client_port, server: options.client_port.saturating_sub(1) },
            machine: Machine::new(options.config.clone(), Random::new(seed)),
            signals,
            timer: Timer::boottime().map_err(|e| Fatal::errno("unable to get a timer", e))?,
            sleep: Sleep::watch().map_err(|e| Fatal::errno("unable to get a timer", e))?,
            events,
            questions,
            interface: None,
            client_id: None,
            ears: Ears::Closed,
            arp: Ears::Closed,
            spent: Vec::new(),
            unsaved: None,
            stats: Stats::default(),
            repeats: Repeats::default(),
            outlet: Outlet::new(&options, Rc::clone(&rights), log.clone()),
            rights,
            memory: Memory::new(options.state.as_deref(), &options.name, log.clone()),
            log,
            pidfile,
            leave_terminal: false,
            confined: false,
            options,
        };
        let link = match interface {
            Some(found) => Some(daemon.adopt(found)?),
            None => None,
        };
        daemon.begin(link);
        Ok(daemon)
    }

    /// The first input.
    fn begin(&mut self, link: Option<Link>) {
        let (remembered, neighbour) = match link.and_then(|l| self.memory.read(&self.expect(l.mac))) {
            Some((remembered, neighbour)) => (Some(remembered), neighbour),
            None => (None, None),
        };
        let published = match &remembered {
            Some(Remembered::Lease(lease)) => self.outlet.published() == Some(lease.address()),
            Some(Remembered::Address(_)) | None => false,
        };
        self.machine.handle(boottime(), Input::Start { link, remembered, neighbour, published });
    }

    fn run(mut self) -> Result<u8, Fatal> {
        while let Some(deadline) = self.act() {
            self.confine();
            if self.outlet.idle() {
                self.catch_up();
            }
            self.background()?;
            let stats = self.options.stats.as_ref().and_then(|_| self.stats.due(boottime()));
            let deadlines = [deadline, self.outlet.deadline(), self.repeats.deadline(), stats];
            let deadline = deadlines.into_iter().flatten().min();
            let [signal, timer, link, dhcp, arp, woken] = self.wait(deadline)?;
            if timer {
                self.timer.passed().map_err(|e| Fatal::errno("unable to read the timer", e))?;
            }
            if signal {
                self.signal()?;
            }
            if link {
                self.link_events()?;
            }
            if woken
                && self.sleep.over().map_err(|e| Fatal::errno("unable to read the timer", e))?
                && !self.options.ignore_carrier
            {
                self.machine.handle(boottime(), Input::Woken);
            }
            if dhcp {
                self.hear(Which::Dhcp);
            }
            if arp {
                self.hear(Which::Arp);
            }
            let now = boottime();
            while let Some(sum) = self.repeats.sum(now) {
                self.log.line(sum);
            }
            self.outlet.tick(now);
            self.machine.handle(now, Input::Timer);
        }
        self.finish()
    }

    /// Which of signals (and ends of scripts), timer, link events, DHCP and ARP packets are there, and whether the machine woke.
    fn wait(&mut self, deadline: Option<sys::clock::Instant>) -> Result<[bool; 6], Fatal> {
        let unable = |e| Fatal::errno("unable to wait", e);
        self.timer.set(deadline).map_err(unable)?;
        // A place without a socket of its own waits for signals, as the first does.
        let signals = self.signals.as_fd();
        let (dhcp, arp) = (self.ears.fd(), self.arp.fd());
        let scripts = self.rights.fd().unwrap_or(signals);
        let (dhcp_fd, arp_fd) = (dhcp.unwrap_or(signals), arp.unwrap_or(signals));
        let fds = [signals, scripts, self.timer.as_fd(), self.events.as_fd(), dhcp_fd, arp_fd, self.sleep.as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // Nobody waits for us when no script runs and no answer is awaited.
        let wait = if self.outlet.idle() && dhcp.is_none() { rest::wait } else { poll::wait };
        wait(&mut fds, boottime(), deadline).map_err(unable)?;
        let [signal, script, timer, link, in_dhcp, in_arp, woken] = fds.each_ref().map(readable);
        Ok([signal || script, timer, link, in_dhcp && dhcp.is_some(), in_arp && arp.is_some(), woken])
    }

    /// Does what the machine asks for. None: it is done. Else its deadline.
    fn act(&mut self) -> Option<Option<sys::clock::Instant>> {
        loop {
            match self.machine.poll() {
                Output::Listen(what) => self.listen(what),
                Output::Send(request, via) => self.send(&request, via),
                Output::Watch(what) => self.watch(what),
                Output::Arp(what) => self.ask(what),
                Output::Event(event) => self.tell(&event),
                Output::Save(lease, neighbour) => self.unsaved = Some((lease, neighbour)),
                Output::Forget => {
                    self.unsaved = None;
                    self.memory.forget();
                }
                Output::Note(note) if Kind::of(&note).is_none_or(|kind| self.repeats.say(boottime(), kind)) => {
                    self.log.line(note);
                }
                Output::Note(_) => {}
                Output::Ignored(why) => {
                    self.packet_line(2, Kind::Ignored(why), || format!("reply ignored: {why:?}").to_lowercase());
                    self.stats.count(Counted::Ignored(why));
                }
                Output::Wait(at, why) => {
                    self.log.detail(2, || match at {
                        Some(at) => format!("waiting {:.3} s for {why}", at.since(boottime()).as_secs_f64()),
                        None => format!("waiting for {why}"),
                    });
                    return Some(at);
                }
                Output::Done(_) => return None,
            }
        }
    }

    /// A line about a single packet, for those who asked with so many `-v`.
    fn packet_line(&mut self, level: u8, kind: Kind, what: impl FnOnce() -> String) {
        if self.log.verbose >= level && self.repeats.say(boottime(), kind) {
            self.log.line(what());
        }
    }

    fn tell(&mut self, event: &Event) {
        self.outlet.tell(boottime(), event);
        self.stats.event(event);
        let leave = match (self.options.background, event) {
            (Background::Bound | Background::BoundOrNot, Event::Bound { .. })
            | (Background::BoundOrNot, Event::LeaseFail(_)) => true,
            (Background::Never, _)
            | (
                Background::Bound | Background::BoundOrNot,
                Event::Deconfig | Event::Renew(_) | Event::Nak(_) | Event::LeaseFail(_),
            ) => false,
        };
        self.leave_terminal |= leave;
    }

    /// What makes us wait for the disk or the kernel: a lease file survives power loss, a closed packet socket has let every
    /// processor pass. Done when no script is to be started or reaped meanwhile, because that is what others wait for.
    fn catch_up(&mut self) {
        if let (Some((lease, neighbour)), Some(mac)) = (self.unsaved.take(), self.interface.and_then(|i| i.mac)) {
            self.memory.save(&lease, neighbour, mac.0);
        }
        self.spent = Vec::new();
        let now = boottime();
        if let Some(path) = &self.options.stats
            && self.stats.due(now).is_some_and(|at| at <= now)
        {
            let temp = path.with_extension("stats.new");
            let text = self.stats.text(now);
            match replace(CWD, &temp, path, text.as_bytes(), 0o644, Durability::Atomic) {
                // The directory comes with the first lease.
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(e) => {
                    self.log.warn_errno(&format!("unable to write {}", path.display()), e);
                    self.options.stats = None;
                }
            }
        }
    }

    /// Lets the last scripts come to their end.
    fn finish(mut self) -> Result<u8, Fatal> {
        self.retire_all();
        while !self.outlet.idle() {
            let deadline = self.outlet.deadline();
            let [signal, timer, ..] = self.wait(deadline)?;
            if timer {
                self.timer.passed().map_err(|e| Fatal::errno("unable to read the timer", e))?;
            }
            if signal {
                self.signal()?;
            }
            // Nobody looks at these any more, and a full socket stays readable.
            while let Ok(Some(_)) = self.events.event() {}
            self.outlet.tick(boottime());
        }
        self.catch_up();
        match self.machine.poll() {
            Output::Done(code) => Ok(code),
            Output::Listen(_)
            | Output::Send(..)
            | Output::Watch(_)
            | Output::Arp(_)
            | Output::Event(_)
            | Output::Save(..)
            | Output::Forget
            | Output::Note(_)
            | Output::Ignored(_)
            | Output::Wait(..) => Ok(0),
        }
    }

    fn signal(&mut self) -> Result<(), Fatal> {
        while let Some(signal) = self.signals.next() {
            #[expect(clippy::wildcard_enum_match_arm, reason = "no other signal was asked for")]
            let order = match signal {
                Signal::SIGUSR1 => Order::Renew,
                Signal::SIGUSR2 => Order::Release,
                Signal::SIGTERM | Signal::SIGINT => Order::Stop,
                _ => continue,
            };
            self.machine.handle(boottime(), Input::Command(order));
        }
        let gone = |e| Fatal::errno("the process that keeps our rights is gone", e);
        while let Some((pid, status)) = self.rights.ended().map_err(gone)? {
            self.outlet.exited(boottime(), pid, status);
        }
        Ok(())
    }
}
