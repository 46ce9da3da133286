#![expect(
    clippy::disallowed_methods,
    reason = "driver: owns the clock, the environment, the signals, the sockets and the script"
)]
//! The daemon around [`crate::machine`]: carrier and ARP packets in, frames, script calls and published facts out.

use crate::ban::Ban;
use crate::machine::{Frame, Input, Machine, Note, Output, Settings};
use crate::options::{Command, Options, USAGE};
use crate::publish::{Outlet, policy};
use crate::remember::Memory;
use netif::Mac;
use netif::frame::{Ethernet, parse_arp};
use netif::ifname::IfIndex;
use netif::link::{Event, Link, LinkError, LinkEvents, Questions};
use netif::log::{Log, Targets};
use netif::packet::{Listen, PacketError, PacketSocket};
use netif::places::Places;
use netif::random::entropy;
use netif::sandbox::{Access, Calls, Capability, Confinement, Exempt, Failure, Rights};
use std::ffi::OsString;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;
use sys::clock::{Instant, monotonic};
use sys::msg::Level;
use sys::poll::{self, PollFd, PollFlags, readable};
use sys::signal::{Signal, Signals};
use sys::sleep::Sleep;
use sys::{Errno, rest};

/// What our lines begin with.
const PROGRAM: &str = "zcip";
/// An ARP frame with any padding fits.
const FRAME: usize = 128;

/// zcip with these arguments, the program's name not among them.
pub fn main(args: &[OsString]) -> ExitCode {
    match Command::parse(args, Places::of_process()) {
        Ok(Command::Run(options)) => {
            let log = Log::new(PROGRAM, options.log.unless(std::env::var_os("LOGGING").as_deref()));
            match Daemon::start(*options, log.clone()).and_then(Daemon::run) {
                Ok(()) => ExitCode::SUCCESS,
                Err(Fatal(what)) => {
                    log.say(Level::Fatal, &what, None);
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
            Log::new(PROGRAM, Targets::STDERR).say(Level::Fatal, &e.to_string(), None);
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Why the daemon ends.
struct Fatal(String);

impl Fatal {
    fn new(options: &Options, what: &str, why: impl core::fmt::Display) -> Self {
        Self(format!("{}: {what}: {why}", options.interface))
    }
}

struct Daemon {
    options: Options,
    log: Log,
    index: IfIndex,
    mac: Mac,
    machine: Machine,
    signals: Signals,
    events: LinkEvents,
    questions: Questions,
    rights: Rc<Rights>,
    arp: Option<(Ipv4Addr, PacketSocket)>,
    outlet: Outlet,
    memory: Memory,
    ban: Ban,
    /// Whether the DHCP server's word held when last seen.
    forbidden: bool,
    /// Carrier losses when last seen.
    losses: u32,
    sleep: Sleep,
}

impl Daemon {
    fn start(options: Options, log: Log) -> Result<Self, Fatal> {
        let fatal = |what: &str, why: Errno| Fatal::new(&options, what, sys::errtext::errtext(why));
        let nul = |_| Fatal::new(&options, "unable to use the script", "a NUL in it");
        let rights = Rights::new(policy(&options).map_err(nul)?, &[Capability::NetRaw], options.sandbox, |part, e| {
            no_sandbox(&log, &options, part, e);
        });
        let rights = Rc::new(rights);
        // Signals first: from here on none is lost.
        let wanted = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD];
        let signals = Signals::take(&wanted).map_err(|e| fatal("unable to take signals", e))?;
        let events = LinkEvents::open().map_err(|e| Fatal::new(&options, "unable to hear of links", e))?;
        let questions = Questions::open().map_err(|e| Fatal::new(&options, "unable to ask for links", e))?;
        let link = questions.query(options.interface).map_err(|e| Fatal::new(&options, "unable to use it", e))?;
        let mac = link.mac.ok_or_else(|| Fatal::new(&options, "unable to use it", "no Ethernet interface"))?;
        if !link.up
            && let Err(e) = rights.set_up(link.index)
        {
            log.say(Level::Warning, &format!("{}: unable to set it up: {e}", options.interface), None);
        }
        let outlet = Outlet::new(&options, Rc::clone(&rights), log.clone());
        // Makes the run directory, where it is needed.
        drop(outlet.files());
        let ban = Ban::new(options.run_dir.join(format!("{}.ipconf", options.dhcp)), options.interface);
        let memory = Memory::new(&options.state, options.interface);
        let settings = Settings {
            mac,
            net: options.net,
            first: options.first.or_else(|| memory.read()),
            quit: options.quit,
            seed: entropy().map_err(|e| fatal("no random numbers", e))?,
        };
        let mut daemon = Self {
            machine: Machine::new(settings),
            index: link.index,
            mac,
            signals,
            events,
            questions,
            rights,
            arp: None,
            outlet,
            memory,
            ban,
            forbidden: false,
            losses: link.carrier_losses,
            sleep: Sleep::watch().map_err(|e| fatal("unable to get a timer", e))?,
            log,
            options,
        };
        daemon.init()?;
        if daemon.options.background {
            let done = daemon.rights.background(None);
            done.map_err(|e| Fatal::new(&daemon.options, "unable to go to the background", sys::errtext::errtext(e)))?;
        }
        daemon.confine();
        Ok(daemon)
    }

    /// Gives up every right; what comes now is from the network.
    fn confine(&self) {
        let mut files = self.outlet.files();
        files.extend(self.memory.dir().map(|dir| (dir, Access::Files)));
        files.push((self.ban.dir(), Access::Read));
        let confinement = Confinement {
            capabilities: &[],
            files,
            exempt: Exempt::default(),
            calls: Calls { files: true, ..Calls::default() },
        };
        self.rights.confine(&confinement, |part, e| no_sandbox(&self.log, &self.options, part, e));
        #[cfg(debug_assertions)]
        if let Some(line) = netif::sandbox::proof::attempt() {
            self.say(Level::Info, &line);
        }
    }

    /// `SCRIPT init`, to its end: it may be what makes the interface usable.
    fn init(&mut self) -> Result<(), Fatal> {
        let finished = self.outlet.init(monotonic());
        let mut failed = self.outlet.report(finished);
        while !self.outlet.idle() {
            self.await_script()?;
            failed |= self.signal()?;
            let finished = self.outlet.tick(monotonic());
            failed |= self.outlet.report(finished);
        }
        if failed { Err(Fatal::new(&self.options, "unable to begin", "the script failed")) } else { Ok(()) }
    }

    fn run(mut self) -> Result<(), Fatal> {
        let mut result = self.look();
        loop {
            if result.is_err() {
                self.machine.handle(monotonic(), Input::Stop);
            }
            let deadline = self.act();
            self.listen();
            let Some(deadline) = deadline else { break };
            let deadline = [deadline, self.outlet.deadline()].into_iter().flatten().min();
            let [signal, link, ban, arp, woken] = self.wait(deadline).map_err(|e| self.fatal("unable to wait", e))?;
            if arp {
                self.receive();
            }
            if link && result.is_ok() {
                result = self.events().and_then(|touched| if touched { self.look() } else { Ok(()) });
            }
            if ban && self.ban.changed() && result.is_ok() {
                result = self.look();
            }
            if signal {
                self.signal()?;
            }
            if woken && result.is_ok() {
                result = self.resume();
            }
            let finished = self.outlet.tick(monotonic());
            self.outlet.report(finished);
            self.machine.handle(monotonic(), Input::Timeout);
        }
        self.finish()?;
        result
    }

    /// Which of signals (and ends of scripts), link events, changed files and ARP packets are there, and whether the machine woke.
    fn wait(&self, deadline: Option<Instant>) -> Result<[bool; 5], Errno> {
        // A place without a descriptor of its own waits for signals, as the first does.
        let signals = self.signals.as_fd();
        let arp = self.arp.as_ref().map(|(_, socket)| socket.as_fd());
        let (script, ban) = (self.rights.fd().unwrap_or(signals), self.ban.fd());
        let (files, packets) = (ban.unwrap_or(signals), arp.unwrap_or(signals));
        let fds = [signals, script, self.events.as_fd(), files, packets, self.sleep.as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let wait = if self.outlet.idle() { rest::wait } else { poll::wait };
        wait(&mut fds, monotonic(), deadline)?;
        let [signal, script, event, file, packet, woken] = fds.each_ref().map(readable);
        Ok([signal || script, event, file && ban.is_some(), packet && arp.is_some(), woken])
    }

    /// Until the script may have ended, or has taken too long.
    fn await_script(&self) -> Result<(), Fatal> {
        let signals = self.signals.as_fd();
        let fds = [signals, self.rights.fd().unwrap_or(signals)];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let waited = poll::wait(&mut fds, monotonic(), self.outlet.deadline());
        waited.map(drop).map_err(|e| self.fatal("unable to wait", e))
    }

    /// Does what the machine asks for. None: it is done. Else its deadline.
    fn act(&mut self) -> Option<Option<Instant>> {
        loop {
            match self.machine.poll() {
                Output::Send(frame) => self.send(frame),
                Output::Config(address) => {
                    self.say(Level::Info, &format!("using {address}"));
                    if let Err(e) = self.memory.write(address) {
                        let why = sys::errtext::errtext(e);
                        self.say(Level::Warning, &format!("unable to remember {address}: {why}"));
                    }
                    let finished = self.outlet.config(monotonic(), address);
                    self.outlet.report(finished);
                }
                Output::Deconfig(address) => {
                    self.say(Level::Info, &format!("not using {address} any more"));
                    let finished = self.outlet.deconfig(monotonic(), address);
                    self.outlet.report(finished);
                }
                Output::Note(note) => self.note(note),
                Output::Wait(at, _) => return Some(at),
                Output::Done => return None,
            }
        }
    }

    /// One socket per address, for its packets alone. The new one is open before the old one closes.
    fn listen(&mut self) {
        let wanted = self.machine.watched();
        if self.arp.as_ref().map(|(ip, _)| *ip) == wanted {
            return;
        }
        self.arp = wanted.and_then(|ip| match self.rights.packet(self.index, Listen::ArpAbout(ip)) {
            Ok(socket) => Some((ip, socket)),
            Err(e) => {
                self.say(Level::Warning, &format!("unable to listen: {e}"));
                None
            }
        });
    }

    fn send(&mut self, frame: Frame) {
        self.listen();
        let Some((_, socket)) = &self.arp else { return };
        let wire = Ethernet { dst: Mac::BROADCAST, src: self.mac };
        let sent = frame.arp(self.mac).frame(wire).map(|bytes| socket.send(&bytes));
        match sent {
            // An interface that is down or gone is told of by its own event.
            Ok(Ok(()) | Err(PacketError::Down | PacketError::Gone)) => {}
            Ok(Err(e @ (PacketError::Denied | PacketError::Other(_)))) => {
                self.say(Level::Warning, &format!("unable to send: {e}"));
            }
            Err(e) => self.say(Level::Warning, &format!("unable to build a frame: {e}")),
        }
    }

    fn receive(&mut self) {
        let mut buf = [0; FRAME];
        loop {
            let Some((_, socket)) = &self.arp else { return };
            let Ok(Some(received)) = socket.receive(&mut buf) else { return };
            if let Ok((_, arp)) = parse_arp(received.frame) {
                self.machine.handle(monotonic(), Input::Arp(arp));
                self.act();
                self.listen();
            }
        }
    }

    /// Reads all link events; whether one was about us.
    fn events(&mut self) -> Result<bool, Fatal> {
        let mut touched = false;
        while let Some(event) = self.events.event().map_err(|e| self.fatal_link(e))? {
            touched |= match event {
                Event::New(link) => link.index == self.index || link.name == self.options.interface,
                Event::Del { index, .. } => index == self.index,
                Event::Overrun => true,
            };
        }
        Ok(touched)
    }

    /// The interface as it is now.
    fn look(&mut self) -> Result<(), Fatal> {
        let link: Link = self.questions.query(self.options.interface).map_err(|e| self.fatal_link(e))?;
        if link.index != self.index || link.mac != Some(self.mac) {
            return Err(Fatal::new(&self.options, "unable to go on", "it is another interface now"));
        }
        let now = monotonic();
        if !link.running() || link.carrier_losses != self.losses {
            self.machine.handle(now, Input::LinkDown);
        }
        let forbidden = self.ban.holds();
        if core::mem::replace(&mut self.forbidden, forbidden) != forbidden {
            let verb = if forbidden { "wants no" } else { "has nothing against a" };
            self.say(Level::Info, &format!("the DHCP server {verb} link-local address here"));
        }
        match (forbidden, link.running()) {
            (true, _) => self.machine.handle(now, Input::Forbidden),
            (false, true) => self.machine.handle(now, Input::LinkUp),
            (false, false) => {}
        }
        self.losses = link.carrier_losses;
        Ok(())
    }

    /// Section 2.2 of RFC 3927 again: after sleep the link may be another one.
    fn resume(&mut self) -> Result<(), Fatal> {
        if self.sleep.over().map_err(|e| self.fatal("unable to read the timer", e))? {
            self.machine.handle(monotonic(), Input::LinkDown);
            self.look()?;
        }
        Ok(())
    }

    /// Reads all signals and ends of scripts; whether a script failed.
    fn signal(&mut self) -> Result<bool, Fatal> {
        const GONE: &str = "the process that keeps our rights is gone";
        let mut failed = false;
        while let Some(signal) = self.signals.next() {
            if signal != Signal::SIGCHLD {
                self.machine.handle(monotonic(), Input::Stop);
            }
        }
        while let Some((pid, status)) = self.rights.ended().map_err(|e| self.fatal(GONE, e))? {
            let finished = self.outlet.exited(monotonic(), pid, status);
            failed |= self.outlet.report(finished);
        }
        Ok(failed)
    }

    /// Lets the last script come to its end.
    fn finish(&mut self) -> Result<(), Fatal> {
        self.arp = None;
        while !self.outlet.idle() {
            self.await_script()?;
            self.signal()?;
            let finished = self.outlet.tick(monotonic());
            self.outlet.report(finished);
        }
        Ok(())
    }

    fn note(&self, note: Note) {
        match note {
            Note::Probing(ip) if self.options.verbose => self.say(Level::Info, &format!("probing for {ip}")),
            Note::Probing(_) => {}
            Note::Conflict(ip, mac) => self.say(Level::Info, &format!("{ip} belongs to {mac}")),
            Note::Defending(ip, mac) => self.say(Level::Warning, &format!("{mac} uses {ip} too, defending it")),
            Note::RateLimited => self.say(Level::Warning, "too many conflicts, next try in a minute"),
            Note::NoCarrier => self.say(Level::Info, "no carrier"),
        }
    }

    fn say(&self, level: Level, what: &str) {
        self.log.say(level, &format!("{}: {what}", self.options.interface), None);
    }

    fn fatal(&self, what: &str, why: Errno) -> Fatal {
        Fatal::new(&self.options, what, sys::errtext::errtext(why))
    }

    fn fatal_link(&self, why: LinkError) -> Fatal {
        Fatal::new(&self.options, "unable to go on", why)
    }
}

fn no_sandbox(log: &Log, options: &Options, part: Failure, why: Errno) {
    log.say(Level::Warning, &format!("{}: sandbox: {}", options.interface, part.text()), Some(why));
}
