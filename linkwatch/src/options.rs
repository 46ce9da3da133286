//! linkwatch's command line: ifplugd's (spec dhcp.md c.1), and what a native handler needs.

use crate::carrier::{Missing, Settings};
use crate::feed::SetUp;
use core::fmt;
use core::time::Duration;
use lexopt::{Arg, Parser, ValueExt};
use netif::IfName;
use netif::sandbox::Sandbox;
use std::ffi::OsString;
use std::path::PathBuf;

/// How to call it.
pub const USAGE: &str = "\
usage: linkwatch [OPTIONS]          (as ifplugd: ifplugd -aqlMns -u8 -d8 -i eth0 -r ./ifplugd_handler)
  -i IF        interface (eth0)             -n        stay in the foreground
  -r PROG      handler: PROG IF up|down     -s        no syslog, standard error alone
  -x ARG       last argument of PROG        -I        go on when PROG fails
  -u SEC       up for so long before PROG   -d SEC    down for so long before PROG (5)
  -p           no \"up\" at start             -q        no \"down\" at exit
  -l           tell the status at start     -k        end the running linkwatch of this interface
  -a           do not set the interface up  -A        do not set an interface up that appears later
  -M, -f       a missing interface is down  -F        a missing interface is up
  -t SEC, -m MODE   accepted: events come from the kernel, whatever the driver
  --up SERVICE      instead of PROG: u to SERVICE when up, d when down; may be repeated
  --svdir DIR       where services are (/var/service)
  --handler-limit SEC   kill PROG after so long (60), 0: never
  --pidfile FILE    (/var/run/ifplugd.IF.pid)
  --no-sandbox      keep all rights
Delays take fractions: -u 0.5
";

/// ifplugd's handler when neither `-r` nor `--up` is given.
const HANDLER: &str = "/etc/ifplugd/ifplugd.action";

/// Long for a handler, short for an administrator who waits for the cable to be noticed.
const HANDLER_LIMIT: Duration = Duration::from_secs(60);

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Watch.
    Watch(Box<Options>),
    /// `-k`.
    Kill {
        /// The running daemon's.
        pidfile: PathBuf,
    },
    /// `-h`.
    Help,
}

/// How to watch.
#[derive(Debug)]
pub struct Options {
    /// `-i`
    pub interface: IfName,
    /// `-r`; none with `--up` alone.
    pub handler: Option<OsString>,
    /// `-x`
    pub extra: Option<OsString>,
    /// A handler that takes longer is stopped; none: never, as ifplugd.
    pub handler_limit: Option<Duration>,
    /// `--up`
    pub services: Vec<PathBuf>,
    /// The machine's part.
    pub settings: Settings,
    /// Not `-n`.
    pub background: bool,
    /// `-a`, `-A`
    pub set_up: SetUp,
    /// Where our number goes.
    pub pidfile: PathBuf,
    /// `--no-sandbox`
    pub sandbox: Sandbox,
    /// Not `-s`: the system's log hears it, too.
    pub syslog: bool,
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

impl UsageError {
    pub(crate) const fn new(what: String) -> Self {
        Self(what)
    }
}

impl From<lexopt::Error> for UsageError {
    fn from(e: lexopt::Error) -> Self {
        Self(e.to_string())
    }
}

impl Command {
    /// Reads the arguments, without the program's name.
    pub fn parse(args: &[OsString]) -> Result<Self, UsageError> {
        let mut parser = Parser::from_args(args);
        let mut settings = Settings::default();
        let (mut interface, mut handler, mut extra, mut pidfile) = (None, None, None, None);
        let (mut names, mut svdir) = (Vec::new(), PathBuf::from("/var/service"));
        let mut handler_limit = Some(HANDLER_LIMIT);
        let (mut foreground, mut kill, mut set_up) = (false, false, SetUp::Always);
        let (mut sandbox, mut syslog) = (Sandbox::On, true);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('h') | Arg::Long("help") => return Ok(Self::Help),
                Arg::Short('n') | Arg::Long("no-daemon") => foreground = true,
                Arg::Short('s') | Arg::Long("no-syslog") => syslog = false,
                Arg::Short('i') | Arg::Long("iface") => interface = Some(parser.value()?),
                Arg::Short('f') | Arg::Short('M') => settings.missing = Missing::Down,
                Arg::Short('F') => settings.missing = Missing::Up,
                Arg::Short('a') | Arg::Long("no-auto") => set_up = SetUp::Never,
                Arg::Short('A') if set_up == SetUp::Never => {}
                Arg::Short('A') => set_up = SetUp::First,
                Arg::Short('r') | Arg::Long("run") => handler = Some(parser.value()?),
                Arg::Short('x') | Arg::Long("extra-arg") => extra = Some(parser.value()?),
                Arg::Short('I') | Arg::Long("ignore-retval") => settings.ignore_failure = true,
                Arg::Short('u') | Arg::Long("delay-up") => settings.up_delay = seconds(&mut parser, "-u")?,
                Arg::Short('d') | Arg::Long("delay-down") => settings.down_delay = seconds(&mut parser, "-d")?,
                Arg::Short('t') | Arg::Long("poll-time") => drop(seconds(&mut parser, "-t")?),
                Arg::Short('m') | Arg::Long("api-mode") => mode(&parser.value()?)?,
                Arg::Short('p') | Arg::Long("no-startup") => settings.quiet_start = true,
                Arg::Short('q') | Arg::Long("no-shutdown") => settings.quiet_exit = true,
                Arg::Short('l') | Arg::Long("initial-down") => settings.always_start = true,
                Arg::Short('k') | Arg::Long("kill") => kill = true,
                Arg::Long("up") => names.push(parser.value()?),
                Arg::Long("svdir") => svdir = parser.value()?.into(),
                Arg::Long("handler-limit") => {
                    handler_limit = Some(seconds(&mut parser, "--handler-limit")?).filter(|l| !l.is_zero());
                }
                Arg::Long("no-sandbox") => sandbox = Sandbox::Off,
                Arg::Long("pidfile") => pidfile = Some(PathBuf::from(parser.value()?)),
                Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(arg.unexpected().into()),
            }
        }
        let interface = interface.unwrap_or_else(|| OsString::from("eth0"));
        let interface: IfName =
            interface.parse_with(str::parse).map_err(|e| UsageError(format!("-i {}: {e}", interface.display())))?;
        let pidfile = pidfile.unwrap_or_else(|| PathBuf::from(format!("/var/run/ifplugd.{interface}.pid")));
        if kill {
            return Ok(Self::Kill { pidfile });
        }
        if handler.is_none() && names.is_empty() {
            handler = Some(HANDLER.into());
        }
        Ok(Self::Watch(Box::new(Options {
            interface,
            handler,
            extra,
            handler_limit,
            // A name with a slash is a path of its own, as with sv; join keeps absolute ones.
            services: names.iter().map(|n| if is_relative(n) { PathBuf::from(n) } else { svdir.join(n) }).collect(),
            settings,
            background: !foreground,
            set_up,
            pidfile,
            sandbox,
            syslog,
        })))
    }
}

fn is_relative(name: &OsString) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whole or decimal seconds, up to a year.
pub(crate) fn seconds(parser: &mut Parser, option: &str) -> Result<Duration, UsageError> {
    let value = parser.value()?;
    let number = value.to_str().filter(|v| v.bytes().all(|b| b.is_ascii_digit() || b == b'.')).map(str::parse::<f64>);
    match number {
        Some(Ok(n)) if n <= 31_536_000.0 => Ok(Duration::from_secs_f64(n)),
        Some(_) | None => Err(UsageError(format!("{option} {}: expected seconds", value.display()))),
    }
}

/// All of ifplugd's modes end in one answer of the kernel.
fn mode(value: &OsString) -> Result<(), UsageError> {
    match value.to_str().and_then(|v| v.chars().next()) {
        Some('a' | 'e' | 'm' | 'p' | 'w' | 'i') => Ok(()),
        Some(_) | None => Err(UsageError(format!("-m {}: expected a, e, m, p, w or i", value.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Command, UsageError> {
        Command::parse(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn watch(args: &[&str]) -> Options {
        match parse(args).unwrap() {
            Command::Watch(options) => *options,
            other @ (Command::Kill { .. } | Command::Help) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_call_of_the_examples() {
        let o = watch(&["-aqlMns", "-t3", "-u8", "-d8", "-i", "wlan0", "-r", "./ifplugd_handler"]);
        assert_eq!((o.interface.as_str(), o.background, o.set_up), ("wlan0", false, SetUp::Never));
        assert_eq!(o.handler.unwrap(), "./ifplugd_handler");
        let s = o.settings;
        assert_eq!((s.up_delay.as_secs(), s.down_delay.as_secs()), (8, 8));
        assert!(s.quiet_exit && s.always_start && !s.quiet_start && !s.ignore_failure);
        assert!(s.missing == Missing::Down && !o.syslog);
        let o = watch(&["-apqns", "-t3", "-u0", "-d0", "-i", "eth0", "-r", "/x"]);
        assert!(o.settings.quiet_start && o.settings.missing == Missing::Fatal);
    }

    #[test]
    fn defaults_are_ifplugds() {
        let o = watch(&[]);
        assert_eq!(o.interface.as_str(), "eth0");
        assert_eq!(o.handler.unwrap(), HANDLER);
        assert_eq!((o.settings.up_delay, o.settings.down_delay), (Duration::ZERO, Duration::from_secs(5)));
        assert!(o.background && o.syslog && o.set_up == SetUp::Always);
        assert_eq!(o.pidfile, PathBuf::from("/var/run/ifplugd.eth0.pid"));
        assert_eq!((watch(&["-A"]).set_up, watch(&["-aA"]).set_up), (SetUp::First, SetUp::Never));
    }

    #[test]
    fn native_handlers() {
        let o = watch(&["--up", "dhcp_eth0", "--up", "zcip_eth0", "--up=/srv/x", "--up", "./y", "-d", "0.25"]);
        let expected: Vec<PathBuf> =
            ["/var/service/dhcp_eth0", "/var/service/zcip_eth0", "/srv/x", "./y"].map(PathBuf::from).into();
        assert_eq!((o.handler, o.services), (None, expected));
        assert_eq!(o.settings.down_delay, Duration::from_millis(250));
        let o = watch(&["--svdir", "/s", "--up", "a", "-r", "h", "--handler-limit", "0"]);
        assert_eq!((o.services, o.handler), (vec![PathBuf::from("/s/a")], Some("h".into())));
        assert_eq!(o.handler_limit, None);
    }

    #[test]
    fn killing_and_mistakes() {
        let Command::Kill { pidfile } = parse(&["-k", "-i", "wlan0"]).unwrap() else { panic!("-k") };
        assert_eq!(pidfile, PathBuf::from("/var/run/ifplugd.wlan0.pid"));
        for bad in [
            &["-i", "a/b"][..],
            &["-u"],
            &["-u", "x"],
            &["-u", "-1"],
            &["-u", "nan"],
            &["-d", "1e99"],
            &["-m", "z"],
            &["-Z"],
            &["eth0"],
            &["--nonsense"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
