//! The command line: udhcpc's, every option of it (spec dhcp a.1, a.2), and where to publish when there is no script.
//!
//! What udhcpc dropped over the years (`-c`, `-h`, `-H`, `--hostname`) still works, with a warning: it is in service
//! directories out there.

use crate::machine::{Config, Schedule};
use crate::message::{ClientId, Profile, code, name};
use crate::options::parse::{assignment, option_code};
use core::time::Duration;
use lexopt::{Arg, Parser, ValueExt};
use netif::IfName;
use netif::publish::ServiceName;
use std::ffi::{CString, OsString};
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStringExt;
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
  -v           say more                         -S       accepted; messages go to standard error
  -s SCRIPT    run SCRIPT deconfig|bound|renew|nak|leasefail with everything received in its environment.
               Without it dhcpc configures nothing and publishes what it learns:
  --name SERVICE      as DIR/SERVICE.ipconf (the directory's name, or dhcp_IF)
  --run-dir DIR       ($FW_RUNDIR, /var/run/service/fw)
  --fw DIR            kicked after a change ($FW_SERVICE, /var/service/fw)
  --ntp-dir DIR       time servers as DIR/SERVICE.ntpconf ($NTPD_RUNDIR, /var/run/service/ntpd)
  --metric N          of the published routes
  --state DIR         keeps the lease over a restart ($PORTREEVE_STATE, /var/lib/portreeve); '' does not
  --script-limit SEC  kill SCRIPT after so long (60, 0: never)
";

/// udhcpc's parameter list, ascending as it sends it.
const UDHCPC_LIST: [u8; 7] = [1, 3, 6, 12, 15, 28, 42];
/// What we publish, routes first (RFC 3442: 121 before 3 and 33).
const NATIVE_LIST: [u8; 13] = [1, 121, 3, 33, 6, 15, 119, 26, 28, 42, 51, 58, 59];
/// udhcpc's name for itself, which servers match by its beginning.
const VENDOR: &str = concat!("udhcp portreeve-", env!("CARGO_PKG_VERSION"));

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Be a client.
    Run(Box<Options>),
    /// `--help`.
    Help,
}

/// Environment variables that stand for options, and the working directory's name.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `FW_RUNDIR`
    pub run_dir: Option<OsString>,
    /// `FW_SERVICE`
    pub fw: Option<OsString>,
    /// `NTPD_RUNDIR`
    pub ntp_dir: Option<OsString>,
    /// `PORTREEVE_STATE`
    pub state: Option<OsString>,
    /// The last part of the working directory.
    pub here: Option<String>,
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

/// The options while they are read.
#[derive(Default)]
struct Reader {
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
    client_port: Option<u16>,
    verbose: u8,
    name: Option<ServiceName>,
    metric: Option<u32>,
    script_limit: Option<u64>,
    warnings: Vec<String>,
}

impl Command {
    /// Reads the arguments, without the program's name.
    pub fn parse(args: &[OsString], environment: Environment) -> Result<Self, UsageError> {
        let mut r = Reader::default();
        let mut places = Places::new(environment);
        let mut parser = Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("help") => return Ok(Self::Help),
                Arg::Long("run-dir") => places.run_dir = parser.value()?.into(),
                Arg::Long("fw") => places.fw = parser.value()?.into(),
                Arg::Long("ntp-dir") => places.ntp_dir = parser.value()?.into(),
                Arg::Long("state") => places.state = parser.value()?.into(),
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

impl Reader {
    fn option(&mut self, option: char, parser: &mut Parser) -> Result<(), UsageError> {
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
            }
            'V' => self.vendor = Some(text(parser)?),
            'C' => self.no_client_id = true,
            'B' => self.broadcast = true,
            'P' => self.client_port = Some(value(parser, "-P", "a port")?),
            'S' => self.warn("-S: syslog is not used, messages go to standard error"),
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

    fn finish(self, places: Places) -> Result<Options, UsageError> {
        let interface = match self.interface {
            Some(name) => name,
            None => "eth0".parse().map_err(|_| UsageError(expected("-i", "an interface's name")))?,
        };
        let native = self.script.is_none();
        let fixed = self.tries.is_some() || self.gap.is_some() || self.pause.is_some();
        let schedule = if native && !fixed {
            Schedule::Rfc
        } else {
            Schedule::Fixed {
                tries: self.tries.unwrap_or(3),
                gap: Duration::from_secs(self.gap.unwrap_or(3).max(1)),
                pause: Duration::from_secs(self.pause.unwrap_or(20)),
            }
        };
        let config = Config {
            schedule,
            wish: self.wish,
            check: self.check,
            exit_without_lease: self.exit_without_lease && !self.background,
            exit_when_bound: self.exit_when_bound,
            release_on_exit: self.release,
            withdraw_on_exit: native,
            use_unconfirmed: native,
            exit_without_link: !native,
        };
        let background = match (self.foreground, self.background) {
            (true, _) => Background::Never,
            (false, true) => Background::BoundOrNot,
            (false, false) if native => Background::Never,
            (false, false) => Background::Bound,
        };
        let profile = Self::profile(self.options, self.vendor, self.no_client_id, self.broadcast, native, {
            let defaults: &[u8] = if native { &NATIVE_LIST } else { &UDHCPC_LIST };
            parameter_list(if self.no_defaults { &[] } else { defaults }, &self.wanted, native)
        });
        let name = match self.name {
            Some(name) => name,
            None => places.service(interface)?,
        };
        Ok(Options {
            interface,
            script: self.script,
            pidfile: self.pidfile,
            background,
            verbose: self.verbose,
            client_port: self.client_port.unwrap_or(crate::message::CLIENT_PORT),
            config,
            profile,
            name,
            run_dir: places.run_dir,
            fw: places.fw,
            ntp_dir: places.ntp_dir,
            metric: self.metric,
            state: Some(places.state).filter(|dir| !dir.as_os_str().is_empty()),
            script_limit: Some(self.script_limit.unwrap_or(60)).filter(|s| *s > 0).map(Duration::from_secs),
            warnings: self.warnings,
        })
    }

    fn profile(
        mut options: Vec<(u8, Vec<u8>)>,
        vendor: Option<String>,
        no_client_id: bool,
        broadcast: bool,
        native: bool,
        requested: Vec<u8>,
    ) -> Profile {
        let given_id = options.iter().position(|o| o.0 == code::CLIENT_ID).map(|at| options.remove(at).1);
        let client_id = match given_id {
            Some(id) if id.is_empty() => ClientId::None,
            Some(id) => ClientId::Given(id),
            None if no_client_id => ClientId::None,
            None => ClientId::Mac,
        };
        // Natively nobody is told what we are.
        let vendor = vendor.or_else(|| (!native).then(|| VENDOR.to_owned())).filter(|v| !v.is_empty());
        if let Some(vendor) = vendor
            && options.iter().all(|o| o.0 != code::VENDOR_CLASS)
        {
            options.push((code::VENDOR_CLASS, vendor.into_bytes()));
        }
        // RFC 4702 §3.1: not both names at once.
        if options.iter().any(|o| o.0 == code::FQDN) {
            options.retain(|o| o.0 != code::HOST_NAME);
        }
        options.sort_by_key(|o| o.0);
        Profile { client_id, max_size: 576, requested, options, broadcast }
    }
}

/// Defaults and `-O`, each once. udhcpc sends them ascending, but RFC 3442 wants 121 before 3 and 33.
fn parameter_list(defaults: &[u8], wanted: &[u8], native: bool) -> Vec<u8> {
    let mut list = defaults.to_vec();
    for code in wanted {
        if !list.contains(code) {
            list.push(*code);
        }
    }
    if !native {
        list.sort_unstable();
        let first = list.iter().position(|c| matches!(*c, code::ROUTER | code::STATIC_ROUTES));
        let classless = list.iter().position(|c| *c == code::CLASSLESS_ROUTES);
        if let (Some(to), Some(from)) = (first, classless)
            && to < from
        {
            let moved = list.remove(from);
            list.insert(to, moved);
        }
    }
    list
}

/// RFC 4702 §2: the server is to update DNS (S), the name is in wire form (E); a name without dots is a partial one.
fn fqdn(full: &str) -> Result<Vec<u8>, UsageError> {
    let mut out = vec![0x05, 0, 0];
    if !name::encode(full.as_bytes(), &mut out) {
        return Err(UsageError(expected("-F", "a host's name")));
    }
    if !full.contains('.') {
        out.pop();
    }
    Ok(out)
}

/// Where things are, before options say otherwise.
struct Places {
    run_dir: PathBuf,
    fw: PathBuf,
    ntp_dir: PathBuf,
    state: PathBuf,
    here: Option<String>,
}

impl Places {
    fn new(environment: Environment) -> Self {
        let path = |value: Option<OsString>, or: &str| {
            value.filter(|v| !v.is_empty()).map_or_else(|| PathBuf::from(or), PathBuf::from)
        };
        Self {
            run_dir: path(environment.run_dir, "/var/run/service/fw"),
            fw: path(environment.fw, "/var/service/fw"),
            ntp_dir: path(environment.ntp_dir, "/var/run/service/ntpd"),
            state: path(environment.state, "/var/lib/portreeve"),
            here: environment.here,
        }
    }

    /// The service directory's name if it ends in the interface's, as in `dhcp_eth0`; else made up so.
    fn service(&self, interface: IfName) -> Result<ServiceName, UsageError> {
        let suffix = format!("_{interface}");
        let here = self.here.as_deref().filter(|h| h.len() > suffix.len() && h.ends_with(&suffix));
        let name = here.map_or_else(|| format!("dhcp{suffix}"), str::to_owned);
        name.parse().map_err(|_| UsageError(expected("--name", "a service's name")))
    }
}

fn expected(option: &str, what: &str) -> String {
    format!("{option}: expected {what}")
}

fn value<T: core::str::FromStr>(parser: &mut Parser, option: &str, what: &str) -> Result<T, UsageError> {
    parser.value()?.to_str().and_then(|v| v.parse().ok()).ok_or_else(|| UsageError(expected(option, what)))
}

fn text(parser: &mut Parser) -> Result<String, UsageError> {
    parser.value()?.into_string().map_err(|_| UsageError("an option's value is not text".to_owned()))
}

fn program(path: OsString) -> Result<CString, UsageError> {
    CString::new(path.into_vec()).map_err(|_| UsageError(expected("-s", "a program")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, UsageError> {
        parse_in(line, Environment::default())
    }

    fn parse_in(line: &str, environment: Environment) -> Result<Options, UsageError> {
        let args: Vec<OsString> = line.split_whitespace().map(|w| if w == "''" { "" } else { w }.into()).collect();
        match Command::parse(&args, environment)? {
            Command::Run(options) => Ok(*options),
            Command::Help => panic!("asked for help"),
        }
    }

    /// The call lines found in the field are taken as they are.
    #[test]
    fn call_lines_of_others() {
        let openwrt = parse(
            "-p /var/run/udhcpc-eth0.pid -s /lib/netifd/dhcp.script -f -t 0 -i eth0 -r 192.0.2.7 -x hostname:box -B -R \
             -x 0x3d:ff00aa -x 0x3c:4d53 -V '' -O 212 -O 121",
        )
        .unwrap();
        assert_eq!(openwrt.profile.client_id, ClientId::Given(vec![0xff, 0, 0xaa]));
        assert_eq!(openwrt.profile.options, [(12, b"box".to_vec()), (60, b"MS".to_vec())]);
        assert_eq!(openwrt.profile.requested, [1, 121, 3, 6, 12, 15, 28, 42, 212]);
        let endless = Schedule::Fixed { tries: 0, gap: Duration::from_secs(3), pause: Duration::from_secs(20) };
        assert_eq!(openwrt.config.schedule, endless);
        assert!(openwrt.profile.broadcast && openwrt.config.release_on_exit);

        let infix = parse(
            "-f -p /run/dhcp-client-e1.pid -t 3 -T 5 -A 30 -a500 -S -R -o -O 1 -O router -i e1 -C -x 61:00:61:62 -V '' -s x",
        )
        .unwrap();
        assert_eq!(infix.profile.client_id, ClientId::Given(b"\0ab".to_vec()));
        assert_eq!(infix.profile.requested, [1, 3]);
        assert!(infix.profile.options.is_empty());
        assert_eq!(infix.config.check, Some(Duration::from_millis(500)));
        assert_eq!(infix.warnings.len(), 1);

        let var_service = parse(
            "-vv --foreground --interface=wlan0 --pidfile=udhcpc.pid --script=./dhcp_handler --hostname=null -C -o -V ''",
        )
        .unwrap();
        assert_eq!((var_service.verbose, var_service.interface.as_str()), (2, "wlan0"));
        assert_eq!(var_service.script.as_deref(), Some(c"./dhcp_handler"));
        assert!(var_service.profile.options.is_empty() && var_service.profile.requested.is_empty());

        let alpine = parse("-b -R -s x").unwrap();
        assert_eq!(alpine.background, Background::BoundOrNot);
        let ifupdown = parse("-R -n -s x").unwrap();
        assert!(ifupdown.config.exit_without_lease && ifupdown.background == Background::Bound);
        let both = parse("-nb -s x").unwrap();
        assert!(!both.config.exit_without_lease, "-b wins over -n");
        assert!(parse("-qn -s x").unwrap().config.exit_when_bound);
    }

    #[test]
    fn defaults() {
        let udhcpc = parse("-s x").unwrap();
        assert_eq!(udhcpc.interface.as_str(), "eth0");
        let three = Schedule::Fixed { tries: 3, gap: Duration::from_secs(3), pause: Duration::from_secs(20) };
        assert_eq!(udhcpc.config.schedule, three);
        assert_eq!(udhcpc.profile.requested, UDHCPC_LIST);
        assert_eq!(udhcpc.profile.options, [(60, VENDOR.as_bytes().to_vec())]);
        assert!(udhcpc.config.exit_without_link && !udhcpc.config.withdraw_on_exit);
        let native = parse("-i eth1").unwrap();
        assert_eq!((native.config.schedule, native.background), (Schedule::Rfc, Background::Never));
        assert_eq!(native.profile.requested, NATIVE_LIST);
        assert!(native.profile.options.is_empty());
        assert_eq!(native.name.as_str(), "dhcp_eth1");
        assert_eq!(
            parse("-t 5").unwrap().config.schedule,
            Schedule::Fixed { tries: 5, gap: Duration::from_secs(3), pause: Duration::from_secs(20) }
        );
        assert_eq!(
            parse("-T 0 -A 0").unwrap().config.schedule,
            Schedule::Fixed { tries: 3, gap: Duration::from_secs(1), pause: Duration::ZERO }
        );
        assert_eq!(parse("-a").unwrap().config.check, Some(Duration::from_secs(2)));
        assert_eq!(parse("--arping=300").unwrap().config.check, Some(Duration::from_millis(300)));
        assert_eq!(parse("--state ''").unwrap().state, None);
    }

    #[test]
    fn places() {
        let environment = Environment {
            run_dir: Some("/r".into()),
            fw: Some("/f".into()),
            ntp_dir: Some("".into()),
            state: Some("/s".into()),
            here: Some("uplink_eth1".to_owned()),
        };
        let o = parse_in("-i eth1 --fw /other", environment.clone()).unwrap();
        assert_eq!((o.name.as_str(), o.run_dir, o.fw), ("uplink_eth1", "/r".into(), "/other".into()));
        assert_eq!((o.ntp_dir, o.state), ("/var/run/service/ntpd".into(), Some("/s".into())));
        assert_eq!(parse_in("-i eth2", environment.clone()).unwrap().name.as_str(), "dhcp_eth2");
        assert_eq!(parse_in("-i eth2 --name x", environment).unwrap().name.as_str(), "x");
    }

    #[test]
    fn names_and_lists() {
        let o = parse("-s x -F gw.example.org -x hostname:gw -x router:192.0.2.1 -x router:192.0.2.2").unwrap();
        let full = b"\x05\0\0\x02gw\x07example\x03org\x00".to_vec();
        assert_eq!(o.profile.options[0], (3, vec![192, 0, 2, 1, 192, 0, 2, 2]));
        assert_eq!(o.profile.options[2], (81, full), "and no host name beside it");
        assert_eq!(parse("-F gw").unwrap().profile.options, [(81, b"\x05\0\0\x02gw".to_vec())]);
        let old = parse("-c abc -H box").unwrap();
        assert_eq!(old.profile.client_id, ClientId::Given(b"\0abc".to_vec()));
        assert_eq!((old.profile.options, old.warnings.len()), (vec![(12, b"box".to_vec())], 2));
        assert_eq!(parse("-C").unwrap().profile.client_id, ClientId::None);
    }

    #[test]
    fn mistakes() {
        for (line, why) in [
            ("-r nowhere", "-r: expected an address"),
            ("-t x", "-t: expected a number"),
            ("-a1x", "-a: expected milliseconds"),
            ("-i", "missing argument for option '-i'"),
            ("-Z", "invalid option '-Z'"),
            ("-N x", "invalid option '-N'"),
            ("--nonsense", "invalid option '--nonsense'"),
            ("eth0", "unexpected argument \"eth0\""),
            ("-O nonsense", "nonsense: expected the name or number (1-254) of an option"),
            ("-i a/b", "-i: expected an interface's name"),
            ("-F a..b", "-F: expected a host's name"),
        ] {
            assert_eq!(parse(line).map(drop), Err(UsageError(why.to_owned())), "{line}");
        }
    }
}
