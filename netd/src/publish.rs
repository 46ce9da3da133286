//! `netd publish`: what a service knows becomes `NAME.ipconf` in fw's run directory, and fw is told if it is news.
//!
//! As the handler of udhcpc or zcip (`exec netd publish "$@"`) it takes everything from the daemon's environment: `bound`,
//! `renew` and `config` publish, `leasefail` changes nothing, every other action withdraws. Other services (ppp, vpn) say
//! `up` and the keys of the record; a word `+` begins another record. The file's name is the service's, that is, the
//! working directory's. Exit codes: 0, also when there was nothing new; 1 not published; 100 wrong usage.

use crate::say;
use netif::domain::Host;
use netif::ipconf::{Entry, Record};
use netif::places::Places;
use netif::publish::environment::{Verdict, from_environment};
use netif::publish::{Facts, Outcome, Publisher, ServiceName};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use sys::msg::{Level, say as say_why};

/// For the usage text.
pub(crate) const ARGS: &str =
    "[--name SERVICE] [--run-dir DIR] [--fw DIR] [--ntp-dir DIR] ACTION [KEY=VALUE ... [+ ...]]";

/// Longer than the usage line.
const HELP: &str = "\
netd publish ACTION: writes RUNDIR/SERVICE.ipconf and kicks fw when it says something new.

  bound, renew      a lease, from the environment as udhcpc sets it: interface ip mask subnet broadcast router
                    staticroutes routes mtu metric dns domain search ntpsrv lease
  config            an address, from the environment as zcip sets it: interface ip
  up KEY=VALUE ...  for ppp, vpn and others: the keys of an .ipconf record, a word + begins the next record
                    netd publish up if=tun0 ipmask=10.8.0.2/24 net=10.0.0.0/8 gw=10.8.0.1 dns=10.8.0.53
  leasefail         changes nothing: what is known stays
  anything else     (deconfig, nak, init, down) removes the file

SERVICE is --name or the name of the working directory. RUNDIR is --run-dir, $FW_RUNDIR or /var/run/service/fw; the service
to kick is --fw, $FW_SERVICE or /var/service/fw; time servers go to --ntp-dir, $NTPD_RUNDIR or /var/run/service/ntpd.
";

#[derive(Debug)]
struct Options {
    publisher: Publisher,
    action: String,
    words: Vec<String>,
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let options = match options(args) {
        Ok(Some(options)) => options,
        Ok(None) => return if say::output(HELP) { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        Err(e) => return crate::wrong_usage(&e),
    };
    match act(&options) {
        Ok(Outcome::Changed) => {
            if let Err(e) = options.publisher.kick() {
                let fw = options.publisher.fw.as_os_str().as_bytes();
                say_why(b"netd", Level::Warning, &[b"unable to kick ", fw], Some(e));
            }
            ExitCode::SUCCESS
        }
        Ok(Outcome::Unchanged | Outcome::CommentsOnly) => ExitCode::SUCCESS,
        Err(why) => {
            say::fatal(&why);
            ExitCode::FAILURE
        }
    }
}

fn options(args: &[OsString]) -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let (mut run_dir, mut fw, mut ntp_dir, mut name) = (None, None, None, None);
    let mut words: Vec<String> = Vec::new();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("run-dir") => run_dir = Some(PathBuf::from(parser.value()?)),
            Long("fw") => fw = Some(PathBuf::from(parser.value()?)),
            Long("ntp-dir") => ntp_dir = Some(PathBuf::from(parser.value()?)),
            Long("name") => name = Some(parser.value()?.string()?),
            Long("help") => return Ok(None),
            Value(word) => words.push(word.string()?),
            Short(_) | Long(_) => return Err(arg.unexpected()),
        }
    }
    let mut words = words.into_iter();
    let action = words.next().ok_or("an ACTION is missing")?;
    let words: Vec<String> = words.collect();
    if action != "up" && !words.is_empty() {
        return Err(format!("{action} takes no further words").into());
    }
    let places = Places::of_process();
    let name: ServiceName = name.or(places.here).unwrap_or_default().parse().map_err(|e| format!("--name: {e}"))?;
    let publisher = Publisher {
        run_dir: run_dir.unwrap_or(places.run_dir),
        ntp_dir: Some(ntp_dir.unwrap_or(places.ntp_dir)),
        name,
        fw: fw.unwrap_or(places.fw),
    };
    Ok(Some(Options { publisher, action, words }))
}

fn act(options: &Options) -> Result<Outcome, String> {
    let Options { publisher, action, words } = options;
    let verdict = match action.as_str() {
        "leasefail" => return Ok(Outcome::Unchanged),
        "up" => Verdict::Publish(facts(words)?),
        "bound" | "renew" | "config" => {
            let variables = std::env::vars_os().map(|(k, v)| (bytes(&k), bytes(&v)));
            let (verdict, dropped) =
                from_environment(action, variables).map_err(|e| format!("variable interface: {e}"))?;
            dropped.iter().for_each(|d| say::warning(&d.to_string()));
            verdict
        }
        _ => Verdict::Withdraw,
    };
    match verdict {
        Verdict::Publish(facts) => publisher.publish(&facts),
        Verdict::Withdraw => publisher.withdraw(),
    }
    .map_err(|e| e.to_string())
}

fn bytes(s: &OsString) -> Vec<u8> {
    s.as_bytes().to_owned()
}

/// `if=tun0 ip=10.8.0.2 + if=tun1 ...` as typed records.
fn facts(words: &[String]) -> Result<Facts, String> {
    let mut facts = Facts::default();
    for words in words.split(|w| w == "+") {
        let mut record = Record::default();
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("{word}: expected KEY=VALUE"))?;
            record.push(key, value);
        }
        // The line number of the error means nothing here: there is no file yet.
        let entry = Entry::from_record(&record).map_err(|e| format!("expected {}", e.expected))?;
        let written = entry.record();
        if let Some(odd) =
            record.assignments.iter().find(|a| written.assignment(&a.key).is_none() && !a.value.is_empty())
        {
            return Err(format!("{}: no such key of an .ipconf record", odd.key));
        }
        facts.ntp.extend(entry.ntp.iter().filter_map(|h| if let Host::Addr(a) = h { Some(*a) } else { None }));
        facts.entries.push(entry);
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<Record>, String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        facts(&words).map(|f| f.entries.iter().map(Entry::record).collect())
    }

    #[test]
    fn words_are_records() {
        let records = of("if=tun0 ipmask=10.8.0.2/24 net=0/0 gw=10.8.0.1 + if=tun1 ip=10.9.0.1").unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].value("ip"), Some("10.8.0.2"));
        assert_eq!(records[1].value("if"), Some("tun1"));
        for (bad, why) in [
            ("ip=10.8.0.2", "expected if[$cfg]= in this record"),
            ("if=tun0 ip", "ip: expected KEY=VALUE"),
            ("if=tun0 iip=10.0.0.1", "iip: no such key of an .ipconf record"),
            ("if=tun0 gw=x", "expected gw to be an IPv4 or IPv6 address"),
            ("if=tun0 +", "expected if[$cfg]= in this record"),
        ] {
            assert_eq!(of(bad), Err(why.to_owned()));
        }
    }
}
