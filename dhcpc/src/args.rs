//! The command line: udhcpc's, every option of it (spec dhcp a.1, a.2), and where to publish when there is no script.
//!
//! What udhcpc dropped over the years (`-c`, `-h`, `-H`, `--hostname`) still works, with a warning: it is in service
//! directories out there.

mod more;
mod profile;
mod reader;
#[cfg(test)]
mod tests;

use crate::environment::Export;
use crate::machine::Config;
use crate::message::Profile;
use core::time::Duration;
use lexopt::{Arg, Parser};
use more::More;
use netif::IfName;
use netif::places::Places;
use netif::publish::ServiceName;
use netif::sandbox::Sandbox;
use reader::Reader;
use std::ffi::{CString, OsString};
use std::path::PathBuf;

/// How to call it.
pub const USAGE: &str = "\
usage: dhcpc|udhcpc [-fbnqRCBSv] [-i IF] [-s SCRIPT] [-p FILE] [OPTIONS]
  -i IF        interface (eth0)                 -f       stay in the foreground
  -p FILE      write the process id             -b       go to the background if there is no lease at first
  -r IP        ask for this address             -n       exit 1 if there is no lease at first
  -t N         tries per round (3, 0: no end)   -q       exit 0 once there is a lease
  -T SEC       between tries (3)                -R       release the lease at the end
  -A SEC       between rounds (20)              -a[MS]   ask whether somebody uses the address (2000)
  -O OPT       ask for this option, too         -o       ask for nothing but -O
  -x OPT:VAL   send this option                 -V STR   vendor class, '' sends none
  -F NAME      send this as our full name       -C       no client id
  -B           want answers by broadcast        -P PORT  listen here (68), servers are one below
  -v           say more                         -S       to syslog, too
  -s SCRIPT    run SCRIPT deconfig|bound|renew|nak|leasefail with everything received in its environment.
               Without it dhcpc configures nothing and publishes what it learns:
  --name SERVICE      as DIR/SERVICE.ipconf (the directory's name, or dhcp_IF)
  --run-dir DIR       ($FW_RUNDIR, /var/run/service/fw)
  --fw DIR            kicked after a change ($FW_SERVICE, /var/service/fw)
  --ntp-dir DIR       time servers as DIR/SERVICE.ntpconf ($NTPD_RUNDIR, /var/run/service/ntpd)
  --metric N          of the published routes
  --state DIR         keeps the lease over a restart ($PORTREEVE_STATE, /var/lib/portreeve); '' does not
  --initial-delay SEC wait a random time up to this before the first message (0)
  --first-retry MS    repeat after this, then twice as late each time (4000)
  --rapid-commit      accept a lease in one exchange (RFC 4039; without -s always), --no-rapid-commit does not
  --defend HOW        when somebody uses our address: give-up, once (within ten seconds), always
  --reject-server IP[/LEN], --prefer-server IP, --require-option OPT, --min-lease SEC   which offers are taken
  --routes WHICH      all of a server's (all), the router's alone (default), none; the others are neither asked for nor used
  --duid              client id of RFC 4361, the same after a change of hardware; kept in the state directory
  --forcerenew        let the server ask for a renewal, signed (RFC 6704)
  --anonymous         say nothing that tells who we are (RFC 7844); no -x, -F, -V, -O, and nothing is kept
  --strict            SCRIPT and fw see only the options that were asked for
  --inherit NAME,...  SCRIPT inherits only the common names and these (everything)
  --stats FILE        counters of what was sent, heard and dropped (without -s beside the published file)
  --busybox-compat    differ from busybox only where it is unsafe
  --script-limit SEC  kill SCRIPT after so long (60, 0: never)
  --no-sandbox        keep all rights
";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Be a client.
    Run(Box<Options>),
    /// `--help`.
    Help,
}

/// Everything there is to know before the first packet.
#[derive(Debug)]
pub struct Options {
    /// `-i`
    pub interface: IfName,
    /// `-s`; none: published natively.
    pub script: Option<CString>,
    /// `-p`
    pub pidfile: Option<PathBuf>,
    /// When to leave the terminal.
    pub background: Background,
    /// `-S`: the system's log hears it, too.
    pub syslog: bool,
    /// `-v`, how often.
    pub verbose: u8,
    /// `-P`
    pub client_port: u16,
    /// For the machine.
    pub config: Config,
    /// For the messages; `max_size` follows the interface's MTU.
    pub profile: Profile,
    /// `--name`
    pub name: ServiceName,
    /// `--run-dir`
    pub run_dir: PathBuf,
    /// `--fw`
    pub fw: PathBuf,
    /// `--ntp-dir`
    pub ntp_dir: PathBuf,
    /// `--metric`
    pub metric: Option<u32>,
    /// `--state`; none: nothing is kept.
    pub state: Option<PathBuf>,
    /// `--script-limit`; none: for ever.
    pub script_limit: Option<Duration>,
    /// `--stats`; natively beside the published file. None: not written.
    pub stats: Option<PathBuf>,
    /// `--inherit`: what a script inherits beside the common names; none: everything.
    pub inherit: Option<Vec<String>>,
    /// What a script gets to see.
    pub export: Export,
    /// `--duid`: the client id is made of the DUID in the state directory.
    pub duid: bool,
    /// `--busybox-compat`: the cable is not looked at.
    pub ignore_carrier: bool,
    /// The biggest message taken, whatever the interface can.
    pub max_size: Option<u16>,
    /// `--no-sandbox`
    pub sandbox: Sandbox,
    /// What was accepted and should be written differently.
    pub warnings: Vec<String>,
}

/// When to leave the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// `-f`, and always without a script: somebody supervises us.
    Never,
    /// udhcpc's default: with the first lease.
    Bound,
    /// `-b`: then, or when there is none at first.
    BoundOrNot,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

impl From<lexopt::Error> for UsageError {
    fn from(e: lexopt::Error) -> Self {
        Self(e.to_string())
    }
}

impl Command {
    /// Reads the arguments, without the program's name.
    pub fn parse(args: &[OsString], mut places: Places) -> Result<Self, UsageError> {
        let mut r = Reader::default();
        let mut parser = Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("help") => return Ok(Self::Help),
                Arg::Long("run-dir") => places.run_dir = parser.value()?.into(),
                Arg::Long("fw") => places.fw = parser.value()?.into(),
                Arg::Long("ntp-dir") => places.ntp_dir = parser.value()?.into(),
                Arg::Long("state") => places.state = parser.value()?.into(),
                Arg::Long(name) if More::has(name) => {
                    let name = name.to_owned();
                    r.more.option(&name, &mut parser)?;
                }
                Arg::Long("no-sandbox") => r.sandbox = Sandbox::Off,
                Arg::Short(_) | Arg::Long(_) => {
                    let option = match arg {
                        Arg::Short(c) => Some(c).filter(|c| !OURS.contains(c)),
                        Arg::Long(name) => long(name),
                        Arg::Value(_) => None,
                    };
                    match option {
                        Some(c) => r.option(c, &mut parser)?,
                        None => return Err(arg.unexpected().into()),
                    }
                }
                Arg::Value(_) => return Err(arg.unexpected().into()),
            }
        }
        r.finish(places).map(|options| Self::Run(Box::new(options)))
    }
}

/// Letters that only stand for long options of our own.
const OURS: [char; 3] = ['N', 'M', 'L'];

/// The letter that a long option stands for.
fn long(name: &str) -> Option<char> {
    Some(match name {
        "interface" => 'i',
        "script" => 's',
        "pidfile" => 'p',
        "foreground" => 'f',
        "background" => 'b',
        "now" => 'n',
        "quit" => 'q',
        "release" => 'R',
        "retries" => 't',
        "timeout" => 'T',
        "tryagain" => 'A',
        "arping" => 'a',
        "request" => 'r',
        "no-default-options" => 'o',
        "request-option" => 'O',
        "fqdn" => 'F',
        "vendorclass" => 'V',
        "clientid" => 'c',
        "clientid-none" => 'C',
        "hostname" => 'H',
        "broadcast" => 'B',
        "client-port" => 'P',
        "syslog" => 'S',
        "name" => 'N',
        "metric" => 'M',
        "script-limit" => 'L',
        _ => return None,
    })
}

/// The service directory's name if it ends in the interface's, as in `dhcp_eth0`; else made up so.
fn service(here: Option<&str>, interface: IfName) -> Result<ServiceName, UsageError> {
    let suffix = format!("_{interface}");
    let here = here.filter(|h| h.len() > suffix.len() && h.ends_with(&suffix));
    let name = here.map_or_else(|| format!("dhcp{suffix}"), str::to_owned);
    name.parse().map_err(|_| UsageError(expected("--name", "a service's name")))
}

fn expected(option: &str, what: &str) -> String {
    format!("{option}: expected {what}")
}
