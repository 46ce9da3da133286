//! zcip's command line: busybox zcip's (spec dhcp.md b.1), and where to publish when there is no script.

use crate::machine::Net;
use core::fmt;
use lexopt::{Arg, Parser, ValueExt};
use netif::IfName;
use netif::log::Targets;
use netif::places::Places;
use netif::publish::ServiceName;
use netif::sandbox::Sandbox;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// How to call it.
pub const USAGE: &str = "\
usage: zcip [-fqv] [-r 169.254.A.B] [-l A.B.0.0] [OPTIONS] IF [SCRIPT]
  -f      stay in the foreground, no syslog  -q        end when the address is claimed
  -v      say more; with it comes -f         -r IP     try this address first
  -l NET  take addresses of another /16
  SCRIPT init|config|deconfig is run with interface and ip in its environment. Without it zcip publishes by itself:
  --name SERVICE   as DIR/SERVICE.ipconf (zcip_IF)      --run-dir DIR    ($FW_RUNDIR, /var/run/service/fw)
  --fw DIR         kicked after a change ($FW_SERVICE, /var/service/fw)
  --dhcp SERVICE   the DHCP client (dhcp_IF): while DIR/SERVICE.ipconf says autoconf='no' (RFC 2563) there is no address
  --metric N       of the published address (1000)
  --state DIR      remembers the address ($PORTREEVE_STATE, /var/lib/portreeve)
  --script-limit SEC   kill SCRIPT after so long (60)
  --no-sandbox     keep all rights
LOGGING=none or LOGGING=syslog in the environment: where messages go instead
";

/// Metric of a link-local address: any routable one is preferred (RFC 3927 section 2.6.2).
const METRIC: u32 = 1000;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Claim an address.
    Run(Box<Options>),
    /// `-h`.
    Help,
}

/// How to claim it.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub interface: IfName,
    /// Told of every change; none: published natively.
    pub script: Option<OsString>,
    /// Neither `-f` nor `-v`.
    pub background: bool,
    /// `-q`
    pub quit: bool,
    /// `-v`
    pub verbose: bool,
    /// `-r`
    pub first: Option<Ipv4Addr>,
    /// `-l`
    pub net: Net,
    /// `--name`
    pub name: ServiceName,
    /// `--run-dir`
    pub run_dir: PathBuf,
    /// `--fw`
    pub fw: PathBuf,
    /// `--dhcp`: who hears whether addresses may be made up.
    pub dhcp: ServiceName,
    /// `--metric`
    pub metric: u32,
    /// `--state`
    pub state: PathBuf,
    /// `--script-limit`, seconds.
    pub script_limit: u32,
    /// `--no-sandbox`
    pub sandbox: Sandbox,
    /// Standard error, and without `-f` the system's log.
    pub log: Targets,
}

/// A command line nobody understands.
#[derive(Debug)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(e: lexopt::Error) -> Self {
        Self(e.to_string())
    }
}

impl Command {
    /// Reads the arguments, without the program's name.
    pub fn parse(args: &[OsString], places: Places) -> Result<Self, UsageError> {
        let mut parser = Parser::from_args(args);
        let (mut foreground, mut quit, mut verbose, mut first, mut name) = (false, false, false, None, None);
        let (mut net, mut metric, mut script_limit) = (Net::LINK_LOCAL, METRIC, 60);
        let Places { mut run_dir, mut fw, mut state, .. } = places;
        let (mut interface, mut script, mut dhcp, mut sandbox) = (None, None, None, Sandbox::On);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('h') | Arg::Long("help") => return Ok(Self::Help),
                Arg::Short('f') => foreground = true,
                Arg::Short('q') => quit = true,
                Arg::Short('v') => verbose = true,
                Arg::Short('r') => first = Some(value(&mut parser, "-r", "an address", parse)?),
                Arg::Short('l') => net = value(&mut parser, "-l", "A.B.0.0", |v| parse(v).and_then(Net::new))?,
                Arg::Long("name") => name = Some(value(&mut parser, "--name", "a service's name", parse)?),
                Arg::Long("run-dir") => run_dir = parser.value()?.into(),
                Arg::Long("fw") => fw = parser.value()?.into(),
                Arg::Long("dhcp") => dhcp = Some(value(&mut parser, "--dhcp", "a service's name", parse)?),
                Arg::Long("metric") => metric = value(&mut parser, "--metric", "a number", parse)?,
                Arg::Long("state") => state = parser.value()?.into(),
                Arg::Long("script-limit") => script_limit = value(&mut parser, "--script-limit", "seconds", parse)?,
                Arg::Long("no-sandbox") => sandbox = Sandbox::Off,
                Arg::Value(v) if interface.is_none() => interface = Some(v),
                Arg::Value(v) if script.is_none() => script = Some(v),
                Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(arg.unexpected().into()),
            }
        }
        let background = !foreground && !verbose;
        let interface = interface.ok_or_else(|| UsageError("expected an interface".into()))?;
        let interface: IfName =
            interface.parse_with(str::parse).map_err(|e| UsageError(format!("{}: {e}", interface.display())))?;
        if let Some(ip) = first.filter(|ip| !net.allows(*ip)) {
            return Err(UsageError(format!(
                "-r {ip}: expected an address between x.x.1.0 and x.x.254.255 of the network"
            )));
        }
        let name = match name {
            Some(name) => name,
            None => parse(&format!("zcip_{interface}"))
                .ok_or_else(|| UsageError(format!("{interface}: no service can have that name, use --name")))?,
        };
        let dhcp = match dhcp {
            Some(name) => name,
            None => parse(&format!("dhcp_{interface}"))
                .ok_or_else(|| UsageError(format!("{interface}: no service can have that name, use --dhcp")))?,
        };
        Ok(Self::Run(Box::new(Options {
            interface,
            script,
            background,
            quit,
            verbose,
            first,
            net,
            name,
            run_dir,
            fw,
            dhcp,
            metric,
            state,
            script_limit,
            sandbox,
            log: Targets { syslog: background, ..Targets::STDERR },
        })))
    }
}

fn parse<T: core::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn value<T>(
    parser: &mut Parser,
    option: &str,
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, UsageError> {
    let value = parser.value()?;
    let found = value.to_str().and_then(read);
    found.ok_or_else(|| UsageError(format!("{option} {}: expected {expected}", value.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(args: &[&str]) -> Result<Command, UsageError> {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        Command::parse(&args, Places { state: "/s".into(), ..Places::default() })
    }

    fn run(args: &[&str]) -> Options {
        match command(args).unwrap() {
            Command::Run(options) => *options,
            Command::Help => panic!("help"),
        }
    }

    #[test]
    fn the_calls_in_the_field() {
        let o = run(&["-fvv", "eth0", "/var/service/zcip_eth0/zcip_handler"]);
        assert_eq!((o.interface.as_str(), o.background, o.verbose, o.quit), ("eth0", false, true, false));
        assert!(!o.log.syslog && o.log.stderr);
        assert_eq!(o.script.unwrap(), "/var/service/zcip_eth0/zcip_handler");
        let o = run(&["-q", "-r", "169.254.7.8", "eth0", "./s"]);
        assert_eq!((o.quit, o.background, o.first), (true, true, Some(Ipv4Addr::new(169, 254, 7, 8))));
        assert!(o.log.syslog && o.log.stderr);
        let o = run(&["-v", "-l10.7.0.0", "-r", "10.7.1.1", "eth0", "s"]);
        assert!(!o.background && o.net.allows(Ipv4Addr::new(10, 7, 3, 4)));
    }

    #[test]
    fn native_publishing() {
        let o = run(&["eth0"]);
        assert_eq!((o.script, o.name.as_str(), o.metric), (None, "zcip_eth0", 1000));
        assert_eq!((o.run_dir, o.fw, o.state), ("/var/run/service/fw".into(), "/var/service/fw".into(), "/s".into()));
        let o = run(&["--run-dir=/r", "--fw", "/f", "--name", "x", "--state", "/t", "--metric", "7", "eth0"]);
        assert_eq!((o.run_dir, o.fw, o.state), ("/r".into(), "/f".into(), "/t".into()));
        assert_eq!((o.name.as_str(), o.metric, o.dhcp.as_str()), ("x", 7, "dhcp_eth0"));
        assert_eq!(run(&["--dhcp", "y", "eth0"]).dhcp.as_str(), "y");
    }

    #[test]
    fn mistakes() {
        for bad in [
            &[][..],
            &["a/b"],
            &["eth0", "s", "t"],
            &["-r", "169.254.0.1", "eth0"],
            &["-r", "10.0.0.1", "eth0"],
            &["-r", "x", "eth0"],
            &["-l", "10.7.1.0", "eth0"],
            &["-l"],
            &["-Z", "eth0"],
            &["--name", "a/b", "eth0"],
        ] {
            assert!(command(bad).is_err(), "{bad:?}");
        }
    }
}
