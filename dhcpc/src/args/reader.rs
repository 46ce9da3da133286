//! Options one by one, and what they mean together.

use super::more::More;
use super::profile::{self, ANONYMOUS_LIST, NATIVE_LIST, UDHCPC_LIST, ascending, fqdn, parameter_list};
use super::{Background, Options, UsageError, expected, service};
use crate::environment::Export;
use crate::machine::{Config, Defence, RFC_FIRST, Schedule};
use crate::message::{CLIENT_PORT, Profile, code};
use crate::options::parse::{assignment, option_code};
use core::time::Duration;
use lexopt::{Arg, Parser, ValueExt};
use netif::IfName;
use netif::places::Places;
use netif::publish::ServiceName;
use netif::sandbox::Sandbox;
use std::ffi::{CString, OsString};
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The options while they are read.
#[derive(Default)]
pub(super) struct Reader {
    interface: Option<IfName>,
    script: Option<CString>,
    pidfile: Option<PathBuf>,
    foreground: bool,
    background: bool,
    exit_without_lease: bool,
    exit_when_bound: bool,
    release: bool,
    tries: Option<u32>,
    gap: Option<u64>,
    pause: Option<u64>,
    check: Option<Duration>,
    wish: Option<Ipv4Addr>,
    no_defaults: bool,
    wanted: Vec<u8>,
    options: Vec<(u8, Vec<u8>)>,
    vendor: Option<String>,
    no_client_id: bool,
    broadcast: bool,
    full_name: Option<String>,
    client_port: Option<u16>,
    syslog: bool,
    verbose: u8,
    name: Option<ServiceName>,
    metric: Option<u32>,
    script_limit: Option<u64>,
    pub(super) more: More,
    warnings: Vec<String>,
    pub(super) sandbox: Sandbox,
}

impl Reader {
    pub(super) fn option(&mut self, option: char, parser: &mut Parser) -> Result<(), UsageError> {
        match option {
            'i' => self.interface = Some(value(parser, "-i", "an interface's name")?),
            's' => self.script = Some(program(parser.value()?)?),
            'p' => self.pidfile = Some(parser.value()?.into()),
            'f' => self.foreground = true,
            'b' => self.background = true,
            'n' => self.exit_without_lease = true,
            'q' => self.exit_when_bound = true,
            'R' => self.release = true,
            't' => self.tries = Some(value(parser, "-t", "a number")?),
            'T' => self.gap = Some(value(parser, "-T", "a number of seconds")?),
            'A' => self.pause = Some(value(parser, "-A", "a number of seconds")?),
            'a' => {
                let ms = match parser.optional_value() {
                    Some(given) => given.parse().map_err(|_| UsageError(expected("-a", "milliseconds")))?,
                    None => 2000,
                };
                self.check = Some(Duration::from_millis(ms));
            }
            'r' => self.wish = Some(value(parser, "-r", "an address")?),
            'o' => self.no_defaults = true,
            'O' => self.wanted.push(option_code(&text(parser)?).map_err(UsageError)?),
            'x' => {
                let (code, bytes, list) = assignment(&text(parser)?).map_err(UsageError)?;
                self.send(code, bytes, list);
            }
            'F' => {
                let full = text(parser)?;
                self.send(code::FQDN, fqdn(&full)?, false);
                self.full_name = Some(full);
            }
            'V' => self.vendor = Some(text(parser)?),
            'C' => self.no_client_id = true,
            'B' => self.broadcast = true,
            'P' => self.client_port = Some(value(parser, "-P", "a port")?),
            'S' => self.syslog = true,
            'v' => self.verbose = self.verbose.saturating_add(1),
            'c' => {
                let id = text(parser)?;
                self.warn("-c: write -x 0x3d:00HEX");
                // As udhcpc did: type 0, "not a hardware address".
                self.send(code::CLIENT_ID, [&[0], id.as_bytes()].concat(), false);
            }
            'h' | 'H' => {
                let host = text(parser)?;
                self.warn("-h, -H and --hostname: write -x hostname:NAME");
                // What the var_service example says when it wants none sent.
                if !host.is_empty() && host != "null" {
                    self.send(code::HOST_NAME, host.into_bytes(), false);
                }
            }
            'N' => self.name = Some(value(parser, "--name", "a service's name")?),
            'M' => self.metric = Some(value(parser, "--metric", "a number")?),
            'L' => self.script_limit = Some(value(parser, "--script-limit", "a number of seconds")?),
            _ => return Err(Arg::Short(option).unexpected().into()),
        }
        Ok(())
    }

    /// A repeated list goes on, anything else is replaced.
    fn send(&mut self, code: u8, bytes: Vec<u8>, append: bool) {
        match self.options.iter_mut().find(|o| o.0 == code) {
            Some((_, old)) if append => old.extend(bytes),
            Some((_, old)) => *old = bytes,
            None => self.options.push((code, bytes)),
        }
    }

    fn warn(&mut self, what: &str) {
        self.warnings.push(what.to_owned());
    }

    pub(super) fn finish(mut self, places: Places) -> Result<Options, UsageError> {
        let interface = match self.interface {
            Some(name) => name,
            None => "eth0".parse().map_err(|_| UsageError(expected("-i", "an interface's name")))?,
        };
        if self.more.anonymous {
            self.forget_who_we_are();
        }
        let native = self.script.is_none();
        let fixed = self.tries.is_some() || self.gap.is_some() || self.pause.is_some();
        let more = self.more;
        let exponential = native || more.first_retry.is_some();
        let schedule = if exponential && !fixed {
            Schedule::Rfc { first: more.first_retry.unwrap_or(RFC_FIRST) }
        } else {
            Schedule::Fixed {
                tries: self.tries.unwrap_or(3),
                gap: Duration::from_secs(self.gap.unwrap_or(3).max(1)),
                pause: Duration::from_secs(self.pause.unwrap_or(20)),
            }
        };
        let busybox = more.busybox;
        let defaults: &[u8] = if native { &NATIVE_LIST } else { &UDHCPC_LIST };
        let requested = parameter_list(if self.no_defaults { &[] } else { defaults }, &self.wanted, native || busybox);
        let requested = if more.anonymous { ANONYMOUS_LIST.to_vec() } else { requested };
        let mut requested = if busybox { ascending(requested) } else { requested };
        requested.retain(|option| more.routes.admits(*option));
        // Of several servers each would commit itself, so not when one is to be chosen.
        let rapid_commit =
            more.rapid_commit.unwrap_or(native && !busybox) && !more.anonymous && more.policy.prefer.is_empty();
        let autoconf = self.options.iter().any(|o| o.0 == code::AUTOCONF && o.1 == [1]);
        let config = Config {
            autoconf,
            schedule,
            initial_delay: more.initial_delay,
            fuzz: !busybox,
            server_times: !busybox,
            as_busybox: busybox,
            broadcast_fallback: !busybox,
            rapid_commit,
            v6_only: requested.contains(&code::V6ONLY),
            policy: more.policy,
            wish: self.wish,
            check: self.check.filter(|c| !c.is_zero()),
            defend: more.defend.or_else(|| (native || self.check.is_some() && !busybox).then_some(Defence::Once)),
            verify_link: !busybox && !more.anonymous,
            anonymous: more.anonymous,
            forcerenew: more.forcerenew && !more.anonymous,
            exit_without_lease: self.exit_without_lease && !self.background,
            exit_when_bound: self.exit_when_bound,
            release_on_exit: self.release,
            withdraw_on_exit: native,
            use_unconfirmed: native,
            exit_without_link: !native,
        };
        let mut options = self.options;
        if let (true, Some(name)) = (busybox, self.full_name)
            && let Some((_, value)) = options.iter_mut().find(|o| o.0 == code::FQDN)
        {
            // The old form, letters as they are.
            *value = [&[1, 0, 0], name.as_bytes()].concat();
        }
        if more.forcerenew && !more.anonymous {
            // HMAC-MD5.
            options.push((code::FORCERENEW_NONCE, vec![1]));
        }
        let profile = profile::build(options, self.vendor, self.no_client_id, native);
        let profile = Profile { requested, broadcast: self.broadcast, rapid_commit, ..profile };
        let only = more.strict.then(|| profile.requested.clone());
        let export = Export { only, routes: more.routes, as_busybox: busybox };
        let background = match (self.foreground, self.background) {
            (true, _) => Background::Never,
            (false, true) => Background::BoundOrNot,
            (false, false) if native => Background::Never,
            (false, false) => Background::Bound,
        };
        let name = match self.name {
            Some(name) => name,
            None => service(places.here.as_deref(), interface)?,
        };
        let beside = native.then(|| places.run_dir.join(format!("{name}.stats")));
        let stats = more.stats.or(beside);
        Ok(Options {
            interface,
            script: self.script,
            pidfile: self.pidfile,
            background,
            syslog: self.syslog,
            verbose: self.verbose,
            client_port: self.client_port.unwrap_or(CLIENT_PORT),
            config,
            profile,
            name,
            run_dir: places.run_dir,
            fw: places.fw,
            ntp_dir: places.ntp_dir,
            metric: self.metric,
            state: Some(places.state).filter(|dir| !dir.as_os_str().is_empty() && !busybox && !more.anonymous),
            stats,
            inherit: more.inherit,
            export,
            ignore_carrier: busybox,
            max_size: if busybox { Some(576) } else { more.anonymous.then_some(1500) },
            duid: more.duid && !more.anonymous,
            script_limit: Some(self.script_limit.unwrap_or(if busybox { 0 } else { 60 }))
                .filter(|s| *s > 0)
                .map(Duration::from_secs),
            sandbox: self.sandbox,
            warnings: self.warnings,
        })
    }

    /// RFC 7844 §3: no name, no class, no identity but the hardware's, which somebody has made random; nothing of before.
    fn forget_who_we_are(&mut self) {
        let told = !self.options.is_empty() || self.vendor.is_some() || self.wish.is_some() || !self.wanted.is_empty();
        if told || self.no_client_id {
            self.warn("--anonymous: -x, -F, -V, -C, -O, -r and the like are left out");
        }
        self.options.clear();
        self.wanted.clear();
        self.vendor = Some(String::new());
        (self.wish, self.no_client_id, self.full_name) = (None, false, None);
    }
}

pub(super) fn value<T: core::str::FromStr>(parser: &mut Parser, option: &str, what: &str) -> Result<T, UsageError> {
    parser.value()?.to_str().and_then(|v| v.parse().ok()).ok_or_else(|| UsageError(expected(option, what)))
}

pub(super) fn text(parser: &mut Parser) -> Result<String, UsageError> {
    parser.value()?.into_string().map_err(|_| UsageError("an option's value is not text".to_owned()))
}

fn program(path: OsString) -> Result<CString, UsageError> {
    CString::new(path.into_vec()).map_err(|_| UsageError(expected("-s", "a program")))
}
