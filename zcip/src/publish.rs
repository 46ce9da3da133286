//! Where an address goes: to the script, by zcip's contract (spec dhcp.md b.2), or natively to `fw`.

use crate::options::Options;
use core::time::Duration;
use netif::hook::environment::Inherit;
use netif::hook::{Environment, Finished, Hook, Runner};
use netif::ipconf::Entry;
use netif::log::Log;
use netif::publish::{Facts, Outcome, PublishError, Publisher};
use netif::sandbox::{Access, Policy, Rights, Script};
use netif::{IfName, Prefix};
use std::ffi::{CString, NulError};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use sys::clock::Instant;
use sys::msg::Level;
use sys::spawn::Status;
use sys::{Errno, Pid};

/// Hears of `init`, `config` and `deconfig`.
#[derive(Debug)]
pub(crate) struct Outlet {
    interface: IfName,
    way: Way,
    rights: Rc<Rights>,
    runner: Runner,
    log: Log,
}

#[derive(Debug)]
enum Way {
    Script,
    Native { publisher: Publisher, metric: u32 },
}

/// fw's place in the policy's list of services.
const FW: usize = 0;

/// What we shall ask for later on. The error is for a NUL in the script's name, which no command line holds.
pub(crate) fn policy(options: &Options) -> Result<Policy, NulError> {
    let script = match &options.script {
        Some(script) => {
            let mut environment = Environment::inherit(std::env::vars_os(), Inherit::All);
            environment.set("interface", options.interface.as_bytes());
            environment.unset("ip");
            let events = [("init", c"init"), ("config", c"config"), ("deconfig", c"deconfig")];
            let calls = events.map(|(event, arg)| (event, vec![arg.to_owned()])).into();
            let program = CString::new(script.as_bytes())?;
            Some(Script { program, environment, calls, may_set: |name| name == "ip" })
        }
        None => None,
    };
    Ok(Policy {
        background: options.background,
        packets: true,
        set_up: true,
        services: if script.is_none() { vec![options.fw.clone()] } else { Vec::new() },
        script,
        ..Policy::nothing(options.interface)
    })
}

impl Outlet {
    pub(crate) fn new(options: &Options, rights: Rc<Rights>, log: Log) -> Self {
        let way = match &options.script {
            Some(_) => Way::Script,
            None => Way::Native {
                publisher: Publisher {
                    run_dir: options.run_dir.clone(),
                    ntp_dir: None,
                    name: options.name.clone(),
                    fw: options.fw.clone(),
                },
                metric: options.metric,
            },
        };
        let limit = Duration::from_secs(u64::from(options.script_limit));
        let runner = Runner::new(Rc::clone(&rights), Some(limit).filter(|l| !l.is_zero()));
        Self { interface: options.interface, way, rights, runner, log }
    }

    /// The directories it writes to; made, if they are not there.
    pub(crate) fn files(&self) -> Vec<(&Path, Access)> {
        match &self.way {
            Way::Script => Vec::new(),
            Way::Native { publisher, .. } => publisher.directories().map(|dir| (dir, Access::Files)).collect(),
        }
    }

    pub(crate) fn init(&mut self, now: Instant) -> Vec<Finished> {
        match &self.way {
            Way::Script => self.script(now, "init", None),
            // What a former life left behind is not true any more.
            Way::Native { publisher, .. } => {
                self.published(publisher, publisher.withdraw());
                Vec::new()
            }
        }
    }

    pub(crate) fn config(&mut self, now: Instant, address: Ipv4Addr) -> Vec<Finished> {
        match &self.way {
            Way::Script => self.script(now, "config", Some(address)),
            Way::Native { publisher, metric } => {
                let mut entry = Entry::new(self.interface);
                entry.addr = Prefix::new(IpAddr::V4(address), 16);
                entry.metric = Some(*metric);
                self.published(publisher, publisher.publish(&Facts { entries: vec![entry], ..Facts::default() }));
                Vec::new()
            }
        }
    }

    pub(crate) fn deconfig(&mut self, now: Instant, address: Ipv4Addr) -> Vec<Finished> {
        match &self.way {
            Way::Script => self.script(now, "deconfig", Some(address)),
            Way::Native { publisher, .. } => {
                self.published(publisher, publisher.withdraw());
                Vec::new()
            }
        }
    }

    pub(crate) fn exited(&mut self, now: Instant, pid: Pid, status: Status) -> Vec<Finished> {
        self.runner.exited(now, pid, status)
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Finished> {
        self.runner.tick(now)
    }

    pub(crate) fn idle(&self) -> bool {
        self.runner.idle()
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.runner.deadline()
    }

    /// Says which scripts failed; whether one did.
    pub(crate) fn report(&self, finished: Vec<Finished>) -> bool {
        let mut failed = false;
        for Finished { event, ended } in finished {
            if !ended.ok() {
                failed = true;
                self.warn(&format!("script {event}: {ended}"), None);
            }
        }
        failed
    }

    fn script(&mut self, now: Instant, event: &'static str, address: Option<Ipv4Addr>) -> Vec<Finished> {
        let mut hook = Hook::new(event);
        if let Some(address) = address {
            hook.set("ip", address.to_string().as_bytes());
        }
        self.runner.run(now, hook)
    }

    /// Kicks fw if there is something new.
    fn published(&self, publisher: &Publisher, outcome: Result<Outcome, PublishError>) {
        match outcome {
            Ok(Outcome::Changed) => {
                if let Err(e) = self.rights.tell(FW, b'u') {
                    self.warn(&format!("unable to kick {}", publisher.fw.display()), Some(e));
                }
            }
            Ok(Outcome::Unchanged | Outcome::CommentsOnly) => {}
            Err(e) => self.warn(&e.to_string(), None),
        }
    }

    fn warn(&self, what: &str, why: Option<Errno>) {
        self.log.say(Level::Warning, &format!("{}: {what}", self.interface), why);
    }
}
