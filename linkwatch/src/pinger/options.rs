//! pinger's command line. Without options it does what the classic dhcp_if_pinger script does.

use super::target::Target;
use super::verdict::Settings;
use crate::options::{UsageError, seconds};
use core::str::FromStr;
use lexopt::{Arg, Parser, ValueExt};
use netif::IfName;
use netif::places::Places;
use netif::publish::ServiceName;
use netif::sandbox::Sandbox;
use std::ffi::OsString;
use std::path::PathBuf;

/// How to call it.
pub const USAGE: &str = "\
usage: pinger [OPTIONS] IF
What is asked:
  --target T      IP, arp:IP, icmp:IP, tcp:IP:PORT or dns:IP; repeat, or separate by commas. Without it: the routers of
  --lease SERVICE the service's .ipconf file (dhcp_IF); with targets: they count only while the file is there
When it is down:
  --interval SEC  between rounds (67)          --timeout SEC   for the answers of a round (1, at most 3/4 of interval)
  --retry SEC     after a bad round (5)        --tries N       probes of a target in a round (3)
  --down N        bad rounds (5)               --up N          good rounds to be up again (3)
  --quorum N      targets that must answer (1)
  --loss PCT, --rtt SEC, --window N            a window of N probes (30) with more loss or longer round trips is bad
  --hold SEC, --hold-max SEC                   a flapping uplink stays down longer: 10, 20, 40 ... 300
What is done:
  --restart SERVICE      TERM to it when down; repeat (dhcp_IF and supplicant_IF if they exist)
  --restart-pause SEC    between two restarts (67)     --no-restart
  --svdir DIR            where services are (/var/service)
  --name SERVICE         published as DIR/SERVICE.ipconf (dhcp_IF_pinger)
  --run-dir DIR          ($FW_RUNDIR, /var/run/service/fw)
  --fw DIR               kicked after a change of the verdict ($FW_SERVICE, /var/service/fw)
  --no-sandbox           keep all rights
  -v                     say how every round went
";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Watch an uplink.
    Run(Box<Options>),
    /// `-h`
    Help,
}

/// How to watch it.
#[derive(Debug)]
pub struct Options {
    /// The uplink.
    pub interface: IfName,
    /// `--target`; empty: the routers of the lease.
    pub targets: Vec<Target>,
    /// `--lease`; none: the targets count always.
    pub lease: Option<ServiceName>,
    /// The machine's part.
    pub settings: Settings,
    /// `--restart`; none: the default pair, as far as it exists.
    pub restart: Option<Vec<PathBuf>>,
    /// `--svdir`
    pub svdir: PathBuf,
    /// `--name`
    pub name: ServiceName,
    /// `--run-dir`
    pub run_dir: PathBuf,
    /// `--fw`
    pub fw: PathBuf,
    /// `-v`
    pub verbose: bool,
    /// `--no-sandbox`
    pub sandbox: Sandbox,
}

impl Command {
    /// Reads the arguments, without the program's name.
    pub fn parse(args: &[OsString], places: Places) -> Result<Self, UsageError> {
        let mut parser = Parser::from_args(args);
        let mut settings = Settings::default();
        let Places { mut run_dir, mut fw, .. } = places;
        let mut svdir = PathBuf::from("/var/service");
        let (mut targets, mut lease, mut name, mut interface) = (Vec::new(), None, None, None);
        let (mut restart, mut verbose, mut sandbox) = (None, false, Sandbox::On);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('h') | Arg::Long("help") => return Ok(Self::Help),
                Arg::Short('v') => verbose = true,
                Arg::Long("target") => {
                    let value = parser.value()?;
                    for word in value.string()?.split(',') {
                        targets.push(word.parse().map_err(|e| UsageError::new(format!("--target {word}: {e}")))?);
                    }
                }
                Arg::Long("lease") => lease = Some(value(&mut parser, "--lease", "a service's name")?),
                Arg::Long("interval") => settings.interval = positive(&mut parser, "--interval")?,
                Arg::Long("timeout") => settings.timeout = positive(&mut parser, "--timeout")?,
                Arg::Long("retry") => settings.retry = positive(&mut parser, "--retry")?,
                Arg::Long("tries") => settings.tries = value(&mut parser, "--tries", "1 to 255")?,
                Arg::Long("down") => settings.down = value(&mut parser, "--down", "a number")?,
                Arg::Long("up") => settings.up = value(&mut parser, "--up", "a number")?,
                Arg::Long("quorum") => settings.quorum = value(&mut parser, "--quorum", "a number")?,
                Arg::Long("window") => settings.window = in_window(&mut parser)?,
                Arg::Long("loss") => settings.max_loss = Some(value(&mut parser, "--loss", "0 to 255 per cent")?),
                Arg::Long("rtt") => settings.max_rtt = Some(seconds(&mut parser, "--rtt")?),
                Arg::Long("hold") => settings.hold = seconds(&mut parser, "--hold")?,
                Arg::Long("hold-max") => settings.hold_max = seconds(&mut parser, "--hold-max")?,
                Arg::Long("restart") => restart.get_or_insert_with(Vec::new).push(parser.value()?),
                Arg::Long("no-restart") => restart = Some(Vec::new()),
                Arg::Long("restart-pause") => settings.restart_pause = seconds(&mut parser, "--restart-pause")?,
                Arg::Long("svdir") => svdir = parser.value()?.into(),
                Arg::Long("name") => name = Some(value(&mut parser, "--name", "a service's name")?),
                Arg::Long("run-dir") => run_dir = parser.value()?.into(),
                Arg::Long("fw") => fw = parser.value()?.into(),
                Arg::Long("no-sandbox") => sandbox = Sandbox::Off,
                Arg::Value(v) if interface.is_none() => interface = Some(v),
                Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(arg.unexpected().into()),
            }
        }
        let interface = interface.ok_or_else(|| UsageError::new("expected an interface".into()))?;
        let interface: IfName =
            interface.parse_with(str::parse).map_err(|e| UsageError::new(format!("{}: {e}", interface.display())))?;
        let service = |name: String| -> Result<ServiceName, UsageError> {
            name.parse().map_err(|e| UsageError::new(format!("{name}: {e}")))
        };
        if lease.is_none() && targets.is_empty() {
            lease = Some(service(format!("dhcp_{interface}"))?);
        }
        let name = name.map_or_else(|| service(format!("dhcp_{interface}_pinger")), Ok)?;
        let restart = restart.map(|names| names.iter().map(|n| svdir.join(n)).collect());
        Ok(Self::Run(Box::new(Options {
            interface,
            targets,
            lease,
            settings,
            restart,
            svdir,
            name,
            run_dir,
            fw,
            verbose,
            sandbox,
        })))
    }
}

fn value<T: FromStr>(parser: &mut Parser, option: &str, expected: &str) -> Result<T, UsageError> {
    let value = parser.value()?;
    let found = value.to_str().and_then(|v| v.parse().ok());
    found.ok_or_else(|| UsageError::new(format!("{option} {}: expected {expected}", value.display())))
}

/// At least a millisecond, so that no round follows the other without a pause.
fn positive(parser: &mut Parser, option: &str) -> Result<core::time::Duration, UsageError> {
    let found = seconds(parser, option)?;
    if found.as_millis() > 0 { Ok(found) } else { Err(UsageError::new(format!("{option}: expected more than 0"))) }
}

fn in_window(parser: &mut Parser) -> Result<usize, UsageError> {
    let found: usize = value(parser, "--window", "1 to 1000")?;
    if (1..=1000).contains(&found) { Ok(found) } else { Err(UsageError::new("--window: expected 1 to 1000".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn command(args: &[&str]) -> Result<Command, UsageError> {
        Command::parse(&args.iter().map(OsString::from).collect::<Vec<_>>(), Places::default())
    }

    fn run(args: &[&str]) -> Options {
        match command(args).unwrap() {
            Command::Run(options) => *options,
            Command::Help => panic!("help"),
        }
    }

    #[test]
    fn classic_without_options() {
        let o = run(&["eth0"]);
        assert_eq!((o.interface.as_str(), o.targets.len()), ("eth0", 0));
        assert_eq!((o.lease.unwrap().as_str(), o.name.as_str(), o.restart), ("dhcp_eth0", "dhcp_eth0_pinger", None));
        let s = o.settings;
        assert_eq!((s.interval.as_secs(), s.timeout.as_secs(), s.retry.as_secs(), s.down), (67, 1, 5, 5));
    }

    #[test]
    fn everything_can_be_said() {
        let o = run(&[
            "--target=192.0.2.1,tcp:192.0.2.2:80",
            "--target",
            "dns:192.0.2.3",
            "--quorum",
            "2",
            "--interval",
            "0.2",
            "--down=3",
            "--restart",
            "dhcp_wan",
            "--restart",
            "/srv/x",
            "--svdir",
            "/s",
            "wan",
        ]);
        assert_eq!((o.targets.len(), o.lease, o.settings.quorum), (3, None, 2));
        assert_eq!(o.settings.interval, Duration::from_millis(200));
        assert_eq!(o.restart.unwrap(), [PathBuf::from("/s/dhcp_wan"), PathBuf::from("/srv/x")]);
        assert_eq!(run(&["--no-restart", "eth0"]).restart, Some(vec![]));
        assert!(run(&["--target", "192.0.2.1", "--lease", "dhcp_eth0", "eth0"]).lease.is_some());
    }

    #[test]
    fn mistakes() {
        for bad in [
            &[][..],
            &["a/b"],
            &["eth0", "eth1"],
            &["--interval", "0", "eth0"],
            &["--target", "x", "eth0"],
            &["--window", "0", "eth0"],
            &["--down", "-1", "eth0"],
            &["--nonsense", "eth0"],
            &["--name", "a/b", "eth0"],
        ] {
            assert!(command(bad).is_err(), "{bad:?}");
        }
    }
}
