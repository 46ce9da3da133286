//! Where a lease goes: to the script, by udhcpc's contract (spec dhcp a.5), or natively to `fw`.

use crate::args::{Background, Options};
use crate::environment::{Export, is_ours, variables};
use crate::lease::Lease;
use crate::log::Log;
use crate::machine::Event;
use crate::message::{Reply, code};
use netif::IfName;
use netif::hook::environment::Inherit;
use netif::hook::{Environment, Finished, Hook, Runner};
use netif::ipconf::{Autoconf, Entry, File, MAX_FILE};
use netif::publish::environment::{Verdict, from_environment};
use netif::publish::{Facts, Outcome, PublishError, Publisher};
use netif::sandbox::{Access, Policy, Rights, Script};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use sys::Pid;
use sys::clock::Instant;
use sys::file::{CWD, read_bounded};
use sys::spawn::Status;

/// Hears of every event.
#[derive(Debug)]
pub(crate) struct Outlet {
    interface: IfName,
    way: Way,
    export: Export,
    rights: Rc<Rights>,
    runner: Runner,
    /// What is published is a refusal of link-local addresses.
    refused: bool,
    log: Log,
}

#[derive(Debug)]
enum Way {
    Script,
    Native { publisher: Box<Publisher>, metric: Option<u32> },
}

/// fw's place in the policy's list of services.
const FW: usize = 0;

/// What we shall ask for later on. `own` is the environment we were started with: a script gets all of it, as with udhcpc, or
/// what `--inherit` names, but never what has a name of ours.
pub(crate) fn policy(options: &Options, own: impl Iterator<Item = (OsString, OsString)>) -> Policy {
    let script = options.script.as_ref().map(|program| {
        let own = own.filter(|(name, _)| !is_ours(name.as_bytes()));
        let mut environment = match &options.inherit {
            None => Environment::inherit(own, Inherit::All),
            Some(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Environment::inherit(own, Inherit::Listed(&names))
            }
        };
        environment.set("interface", options.interface.as_bytes());
        let events = [
            ("deconfig", c"deconfig"),
            ("bound", c"bound"),
            ("renew", c"renew"),
            ("nak", c"nak"),
            ("leasefail", c"leasefail"),
        ];
        let calls = events.map(|(event, arg)| (event, vec![arg.to_owned()])).into();
        Script { program: program.clone(), environment, calls, may_set: |name| is_ours(name.as_bytes()) }
    });
    Policy {
        port: Some(options.client_port),
        packets: true,
        set_up: true,
        services: if script.is_none() { vec![options.fw.clone()] } else { Vec::new() },
        script,
        background: match options.background {
            Background::Never => false,
            Background::Bound | Background::BoundOrNot => true,
        },
        pidfile: options.pidfile.clone(),
        ..Policy::nothing(options.interface)
    }
}

impl Outlet {
    pub(crate) fn new(options: &Options, rights: Rc<Rights>, log: Log) -> Self {
        let way = match &options.script {
            Some(_) => Way::Script,
            None => Way::Native {
                publisher: Box::new(Publisher {
                    run_dir: options.run_dir.clone(),
                    ntp_dir: Some(options.ntp_dir.clone()),
                    name: options.name.clone(),
                    fw: options.fw.clone(),
                }),
                metric: options.metric,
            },
        };
        Self {
            interface: options.interface,
            way,
            export: options.export.clone(),
            runner: Runner::new(Rc::clone(&rights), options.script_limit),
            rights,
            refused: false,
            log,
        }
    }

    /// The address that a former life published and nobody withdrew.
    pub(crate) fn published(&self) -> Option<Ipv4Addr> {
        let Way::Native { publisher, .. } = &self.way else { return None };
        let path = publisher.run_dir.join(format!("{}.ipconf", publisher.name));
        let file = File::parse(&read_bounded(CWD, &path, MAX_FILE).ok()?).ok()?;
        match file.entries().ok()?.entries.first()?.addr?.addr() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }

    /// The directories it writes to; made, if they are not there.
    pub(crate) fn files(&self) -> Vec<(&Path, Access)> {
        match &self.way {
            Way::Script => Vec::new(),
            Way::Native { publisher, .. } => publisher.directories().map(|dir| (dir, Access::Files)).collect(),
        }
    }

    /// Tells of `event`.
    pub(crate) fn tell(&mut self, now: Instant, event: &Event) {
        match (&self.way, event) {
            (Way::Script, _) => self.script(now, event),
            (Way::Native { publisher, .. }, Event::Deconfig) => self.done(publisher, publisher.withdraw()),
            (Way::Native { publisher, metric }, Event::Bound { lease, .. } | Event::Renew(lease)) => {
                self.refused = false;
                self.publish(publisher, *metric, lease);
            }
            (Way::Native { publisher, .. }, Event::LeaseFail(Some(reply)))
                if reply.options.value(code::AUTOCONF) == Some(&[0]) =>
            {
                let mut entry = Entry::new(self.interface);
                entry.autoconf = Some(Autoconf::Forbidden);
                self.done(publisher, publisher.publish(&Facts { entries: vec![entry], ..Facts::default() }));
                self.refused = true;
            }
            (Way::Native { .. }, Event::Nak(_) | Event::LeaseFail(_)) => {}
        }
    }

    /// The link is gone, and with it the server that wanted no link-local addresses.
    pub(crate) fn link_lost(&mut self) {
        if let (Way::Native { publisher, .. }, true) = (&self.way, core::mem::take(&mut self.refused)) {
            self.done(publisher, publisher.withdraw());
        }
    }

    pub(crate) fn exited(&mut self, now: Instant, pid: Pid, status: Status) {
        let finished = self.runner.exited(now, pid, status);
        self.report(finished);
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        let finished = self.runner.tick(now);
        self.report(finished);
    }

    pub(crate) fn idle(&self) -> bool {
        self.runner.idle()
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.runner.deadline()
    }

    fn script(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Deconfig => self.run(now, "deconfig", None),
            Event::Bound { lease, replaces } => {
                if *replaces {
                    self.run(now, "deconfig", None);
                }
                self.run(now, "bound", Some(&lease.ack));
            }
            Event::Renew(lease) => self.run(now, "renew", Some(&lease.ack)),
            Event::Nak(reply) => self.run(now, "nak", Some(reply)),
            Event::LeaseFail(reply) => self.run(now, "leasefail", reply.as_deref()),
        }
    }

    fn run(&mut self, now: Instant, event: &'static str, reply: Option<&Reply>) {
        let mut hook = Hook::new(event);
        for (name, value) in reply.map(|r| variables(r, &self.export)).unwrap_or_default() {
            hook.set(&name, value.as_bytes());
        }
        let finished = self.runner.run(now, hook);
        self.report(finished);
    }

    /// A script's exit code is nobody's business (udhcpc ignores it), but that it hung or is not there is.
    fn report(&self, finished: Vec<Finished>) {
        for Finished { event, ended } in finished {
            if !ended.ok() {
                self.log.warn(&format!("script {event}: {ended}"));
            }
        }
    }

    fn publish(&self, publisher: &Publisher, metric: Option<u32>, lease: &Lease) {
        let own = [("interface".to_owned(), self.interface.to_string())];
        let metric = metric.map(|m| ("metric".to_owned(), m.to_string()));
        let variables = own.into_iter().chain(metric).chain(variables(&lease.ack, &self.export));
        match from_environment("bound", variables) {
            Ok((verdict, dropped)) => {
                for d in dropped {
                    self.log.warn(&d.to_string());
                }
                self.done(
                    publisher,
                    match verdict {
                        Verdict::Publish(facts) => publisher.publish(&facts),
                        Verdict::Withdraw => publisher.withdraw(),
                    },
                );
            }
            Err(e) => self.log.warn(&e.to_string()),
        }
    }

    /// Kicks fw if there is something new.
    fn done(&self, publisher: &Publisher, outcome: Result<Outcome, PublishError>) {
        match outcome {
            Ok(Outcome::Changed) => {
                if let Err(e) = self.rights.tell(FW, b'u') {
                    self.log.warn_errno(&format!("unable to kick {}", publisher.fw.display()), e);
                }
            }
            Ok(Outcome::Unchanged | Outcome::CommentsOnly) => {}
            Err(e) => self.log.warn(&e.to_string()),
        }
    }
}
