//! Where an address goes: to the script, by zcip's contract (spec dhcp.md b.2), or natively to `fw`.

use crate::driver::log;
use crate::options::Options;
use core::time::Duration;
use netif::hook::environment::Inherit;
use netif::hook::{Environment, Finished, Hook, Runner};
use netif::ipconf::Entry;
use netif::publish::{Facts, Outcome, PublishError, Publisher};
use netif::{IfName, Prefix};
use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use sys::Pid;
use sys::clock::Instant;
use sys::msg::Level;
use sys::spawn::Status;

/// Hears of `init`, `config` and `deconfig`.
#[derive(Debug)]
pub(crate) struct Outlet {
    interface: IfName,
    way: Way,
    runner: Runner,
}

#[derive(Debug)]
enum Way {
    Script { program: CString, environment: Environment },
    Native { publisher: Publisher, metric: u32 },
}

impl Outlet {
    /// The error is for a NUL in the script's name, which no command line holds.
    pub(crate) fn new(options: &Options) -> Result<Self, ()> {
        let way = match &options.script {
            Some(script) => Way::Script {
                program: CString::new(script.as_bytes()).map_err(drop)?,
                environment: Environment::inherit(std::env::vars_os(), Inherit::All),
            },
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
        let runner = Runner::new(Some(limit).filter(|l| !l.is_zero()));
        Ok(Self { interface: options.interface, way, runner })
    }

    pub(crate) fn init(&mut self, now: Instant) -> Vec<Finished> {
        match &self.way {
            Way::Script { .. } => self.script(now, "init", None),
            // What a former life left behind is not true any more.
            Way::Native { publisher, .. } => {
                self.published(publisher, publisher.withdraw());
                Vec::new()
            }
        }
    }

    pub(crate) fn config(&mut self, now: Instant, address: Ipv4Addr) -> Vec<Finished> {
        match &self.way {
            Way::Script { .. } => self.script(now, "config", Some(address)),
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
            Way::Script { .. } => self.script(now, "deconfig", Some(address)),
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
                log(Level::Warning, &format!("{}: script {event}: {ended}", self.interface));
            }
        }
        failed
    }

    fn script(&mut self, now: Instant, event: &'static str, address: Option<Ipv4Addr>) -> Vec<Finished> {
        let Way::Script { program, environment } = &self.way else { return Vec::new() };
        let mut environment = environment.clone();
        environment.set("interface", self.interface.as_bytes());
        if let Some(address) = address {
            environment.set("ip", address.to_string().as_bytes());
        }
        let args = CString::new(event).into_iter().collect();
        self.runner.run(now, Hook { event, program: program.clone(), args, environment })
    }

    /// Kicks fw if there is something new.
    fn published(&self, publisher: &Publisher, outcome: Result<Outcome, PublishError>) {
        match outcome {
            Ok(Outcome::Changed) => {
                if let Err(e) = publisher.kick() {
                    let why = sys::errtext::errtext(e);
                    let what = format!("{}: unable to kick {}: {why}", self.interface, publisher.fw.display());
                    log(Level::Warning, &what);
                }
            }
            Ok(Outcome::Unchanged | Outcome::CommentsOnly) => {}
            Err(e) => log(Level::Warning, &format!("{}: {e}", self.interface)),
        }
    }
}
