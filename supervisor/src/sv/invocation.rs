//! `sv [-v] [-w SEC] COMMAND SERVICE ...`, or as an init script `SERVICE [-w SEC] COMMAND` (spec runit §2.1).

use super::command::{Action, Late, Manner, Order, Waits, parse as parse_command};
use super::extra;
use core::time::Duration;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use sys::opt::{Opt, Options};

/// Seconds to wait when neither `-w` nor `SVWAIT` says otherwise.
const DEFAULT_WAIT: u64 = 7;

/// A command line that makes sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invocation<'a> {
    /// Decides the exit code.
    pub(crate) manner: Manner,
    /// What to do.
    pub(crate) action: Action,
    /// How long to wait for it; none: sending is all.
    pub(crate) wait: Option<Duration>,
    /// With whom, as typed; at least one, except for a list.
    pub(crate) services: &'a [OsString],
}

/// Why usage is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// `illegal option -- X`
    Illegal(u8),
    /// `option requires an argument -- X`
    NoValue(u8),
    /// `-V`: the version first.
    Version,
    /// The usage of a word that runit does not have.
    Extra(&'static [u8]),
    /// Nothing more to say.
    Usage,
}

/// Reads the command line; `args[0]` is the name the program was called by, `svwait` the environment's `SVWAIT`.
pub(crate) fn parse<'a>(args: &'a [OsString], svwait: Option<&OsStr>) -> Result<Invocation<'a>, Refused> {
    let (name, rest) = args.split_first().ok_or(Refused::Usage)?;
    let manner = if name == "sv" { Manner::Sv } else { Manner::Lsb };
    let mut verbose = false;
    let mut seconds = svwait.map_or(DEFAULT_WAIT, leading_number);
    let mut options = Options::new(rest, "vVw:");
    for option in options.by_ref() {
        match option {
            Opt::Flag(b'v') => verbose = true,
            Opt::Flag(_) => return Err(Refused::Version),
            Opt::Value(_, value) => {
                verbose = true;
                seconds = leading_number(value);
            }
            Opt::Unknown(c) => return Err(Refused::Illegal(c)),
            Opt::Missing(c) => return Err(Refused::NoValue(c)),
        }
    }
    let (word, services) = options.rest().split_first().ok_or(Refused::Usage)?;
    if manner == Manner::Sv
        && let Some(extra) = extra::parse(word.as_bytes(), services)
    {
        let (action, services) = extra?;
        return Ok(Invocation { manner, action, wait: time(action, verbose, seconds), services });
    }
    let services = match manner {
        Manner::Sv if services.is_empty() => return Err(Refused::Usage),
        Manner::Sv => services,
        Manner::Lsb => &args[..1],
    };
    let action = parse_command(word.as_bytes(), manner).ok_or(Refused::Usage)?;
    Ok(Invocation { manner, action, wait: time(action, verbose, seconds), services })
}

/// How long to wait for an action, if at all.
fn time(action: Action, verbose: bool, seconds: u64) -> Option<Duration> {
    let waits = match action {
        Action::Status | Action::List(_) | Action::Log(_) => false,
        Action::Enable(_) => verbose,
        Action::Disable => true,
        Action::Send(Order { waits: Waits::Always, .. } | Order { late: Late::Kill, .. }) => true,
        Action::Send(Order { waits: Waits::Verbose, .. }) => verbose,
    };
    waits.then(|| Duration::from_secs(seconds))
}

/// runit's number: the digits it starts with, 0 without any. Larger ones are as good as for ever.
pub(crate) fn leading_number(text: &OsStr) -> u64 {
    let digits = text.as_bytes().iter().map_while(|c| char::from(*c).to_digit(10));
    digits.fold(0, |n: u64, d| n.saturating_mul(10).saturating_add(d.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(args: &str) -> Vec<OsString> {
        args.split(' ').filter(|w| !w.is_empty()).map(OsString::from).collect()
    }

    /// Seconds to wait and the services as text, or why not.
    fn read(args: &str, svwait: Option<&str>) -> String {
        match parse(&words(args), svwait.map(OsStr::new)) {
            Ok(i) => {
                let wait = i.wait.map_or_else(|| "-".to_owned(), |w| w.as_secs().to_string());
                i.services.iter().fold(wait, |text, s| text + " " + s.to_str().unwrap())
            }
            Err(refused) => format!("{refused:?}"),
        }
    }

    #[test]
    fn options_and_services() {
        assert_eq!(read("sv up a b", None), "- a b");
        assert_eq!(read("sv -v up a", None), "7 a");
        assert_eq!(read("sv start a", None), "7 a");
        assert_eq!(read("sv start a", Some("30")), "30 a");
        assert_eq!(read("sv -w 2 start a", Some("30")), "2 a");
        assert_eq!(read("sv -w2 d -v", None), "2 -v");
        assert_eq!(read("sv -- up a", None), "- a");
        assert_eq!(read("sv -v status a", None), "- a");
    }

    #[test]
    fn numbers_are_what_they_start_with() {
        assert_eq!(read("sv -w x start a", None), "0 a");
        assert_eq!(read("sv -w 12x start a", None), "12 a");
        assert_eq!(read("sv -w 99999999999999999999 start a", None), "18446744073709551615 a");
        assert_eq!(read("sv start a", Some("")), "0 a");
    }

    #[test]
    fn refusals() {
        assert_eq!(read("sv", None), "Usage");
        assert_eq!(read("sv up", None), "Usage");
        assert_eq!(read("sv nothing a", None), "Usage");
        assert_eq!(read("sv -x up a", None), "Illegal(120)");
        assert_eq!(read("sv -w", None), "NoValue(119)");
        assert_eq!(read("sv -V", None), "Version");
        assert_eq!(read("foo", None), "Usage");
        assert_eq!(read("foo sto", None), "Usage");
    }

    #[test]
    fn another_name_is_the_service() {
        assert_eq!(read("foo status", None), "- foo");
        assert_eq!(read("foo -w 3 restart", None), "3 foo");
        // Init scripts ignore what follows.
        assert_eq!(read("foo start now", None), "7 foo");
        for word in ["list", "wait", "log"] {
            // `enable` and `disable` are runit's `exit` and `down`.
            assert_eq!(read(&format!("foo {word}"), None), "Usage", "runit's words only");
        }
    }

    #[test]
    fn words_of_ours() {
        assert_eq!(read("sv list", None), "-");
        assert_eq!(read("sv log a", None), "- a");
        assert_eq!(read("sv wait up a b", None), "7 a b");
        assert_eq!(read("sv -w3 wait ready a", Some("30")), "3 a");
        assert_eq!(read("sv lo a", None), "Usage");
    }
}
