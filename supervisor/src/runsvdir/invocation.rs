//! The command line of `runsvdir`.
//!
//! runit looks at the first argument only: `-P`, `--`, or else the directory, whatever it is. Here the options come in any
//! order before the directory; a word that is none of them is the directory.

use core::time::Duration;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Invocation<'a> {
    /// `-P`: each runsv in a session of its own.
    pub(crate) session: bool,
    /// `-1`: no runsv, one process for all.
    pub(crate) host: bool,
    /// `-g SEC`: at the end stop everything, by force after that time.
    pub(crate) grace: Option<Duration>,
    /// `-l TEMPLATE`: the log service of those that have none.
    pub(crate) template: Option<&'a OsStr>,
    /// The services directory.
    pub(crate) dir: &'a OsStr,
    /// The text runit would show its log in.
    pub(crate) log: Option<&'a OsStr>,
}

impl<'a> Invocation<'a> {
    /// Reads the arguments without the program's name; none if they are wrong.
    pub(crate) fn parse(mut args: &'a [OsString]) -> Option<Self> {
        let mut it = Self::default();
        loop {
            let (first, rest) = args.split_first()?;
            args = rest;
            match first.as_bytes() {
                b"-P" => it.session = true,
                b"-1" => it.host = true,
                b"-P1" | b"-1P" => (it.session, it.host) = (true, true),
                b"-g" => {
                    let (seconds, rest) = args.split_first()?;
                    let seconds: u32 = seconds.to_str()?.parse().ok()?;
                    it.grace = Some(Duration::from_secs(seconds.into()));
                    args = rest;
                }
                b"-l" => {
                    let (template, rest) = args.split_first()?;
                    it.template = Some(template);
                    args = rest;
                }
                b"--" => {
                    let (dir, rest) = args.split_first()?;
                    return Some(Self { dir, log: rest.first().map(OsString::as_os_str), ..it });
                }
                _ => return Some(Self { dir: first, log: args.first().map(OsString::as_os_str), ..it }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<R>(line: &str, check: impl FnOnce(Option<Invocation<'_>>) -> R) -> R {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        check(Invocation::parse(&args))
    }

    #[test]
    fn as_runit() {
        let dir = OsStr::new("dir");
        let plain = Invocation { dir, ..Invocation::default() };
        parse("dir", |it| assert_eq!(it, Some(plain)));
        parse("-P dir", |it| assert_eq!(it, Some(Invocation { session: true, ..plain })));
        for both in ["-P -1 dir", "-1 -P dir", "-1P dir", "-P1 -- dir"] {
            parse(both, |it| assert_eq!(it, Some(Invocation { session: true, host: true, ..plain })));
        }
        parse("-P -- dir", |it| assert_eq!(it, Some(Invocation { session: true, ..plain })));
        parse("-- -P", |it| assert_eq!(it, Some(Invocation { dir: OsStr::new("-P"), ..plain })));
        parse("-x", |it| assert_eq!(it, Some(Invocation { dir: OsStr::new("-x"), ..plain })));
        parse("dir log: -P", |it| assert_eq!(it, Some(Invocation { log: Some(OsStr::new("log:")), ..plain })));
        let grace = Some(Duration::from_secs(5));
        parse("-g 5 dir", |it| assert_eq!(it, Some(Invocation { grace, ..plain })));
        parse("-P -g 5 -1 dir", |it| {
            assert_eq!(it, Some(Invocation { grace, session: true, host: true, ..plain }));
        });
        parse("-l made/log -- dir", |it| {
            assert_eq!(it, Some(Invocation { template: Some(OsStr::new("made/log")), ..plain }));
        });
        for wrong in
            ["", "-P", "--", "-P --", "-g", "-g 5", "-l", "-l dir", "-g x dir", "-g -1 dir", "-g 4294967296 dir"]
        {
            parse(wrong, |it| assert_eq!(it, None, "{wrong}"));
        }
    }
}
