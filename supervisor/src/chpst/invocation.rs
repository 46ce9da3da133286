//! The command lines of `chpst`, `envdir`, `envuidgid`, `pgrphack`, `setlock`, `setuidgid` and `softlimit`.
//!
//! Numbers are whole: no sizes like `1k`, and nothing is not a number. One too large to hold is the largest there is, which the
//! hard limit bounds.

use super::change::{Change, Lock, Variables, Who, Wording};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use sys::limit::Resource;
use sys::opt::{Opt, Options};

/// Why usage is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// `illegal option -- X`
    Illegal(u8),
    /// `option requires an argument -- X`
    NoValue(u8),
    /// `-V`: the version first.
    Version,
    /// Nothing more to say.
    Usage,
}

/// Reads the arguments of the program called `name`.
pub(crate) fn parse<'a>(name: &OsStr, args: &'a [OsString]) -> Result<Change<'a>, Refused> {
    match name.as_bytes() {
        b"envdir" => envdir(args),
        b"envuidgid" => envuidgid(args),
        b"pgrphack" => Ok(Change { session: true, program: program(args)?, ..Change::default() }),
        b"setlock" => setlock(args),
        b"setuidgid" => setuidgid(args),
        b"softlimit" => softlimit(args),
        _ => chpst(args),
    }
}

fn chpst(args: &[OsString]) -> Result<Change<'_>, Refused> {
    let mut change = Change::default();
    let mut options = Options::new(args, "vVP012u:U:b:e:/:C:n:l:L:m:d:o:p:f:c:r:t:");
    for option in options.by_ref() {
        match option {
            Opt::Flag(b'v') => change.verbose = true,
            Opt::Flag(b'P') => change.session = true,
            Opt::Flag(c @ b'0'..=b'2') => change.close[usize::from(c - b'0')] = true,
            Opt::Flag(_) => return Err(Refused::Version),
            Opt::Value(b'u', text) => change.user = Some(Who { text, wording: Wording::UserGroup }),
            Opt::Value(b'U', text) => change.announced = Some(Who { text, wording: Wording::UserGroup }),
            Opt::Value(b'b', name) => change.name = Some(name),
            Opt::Value(b'e', directory) => {
                change.variables = Some(Variables { directory, pass_over_directories: true });
            }
            Opt::Value(b'/', root) => change.root = Some(root),
            Opt::Value(b'C', directory) => change.directory = Some(directory),
            Opt::Value(b'n', by) => change.nice = Some(signed(by).ok_or(Refused::Usage)?),
            Opt::Value(c @ (b'l' | b'L'), file) => {
                if change.lock.is_some() {
                    return Err(Refused::Usage);
                }
                change.lock = Some(Lock { file, wait: c == b'l' });
            }
            Opt::Value(c, wanted) => limit(&mut change, c, number(wanted.as_bytes()).ok_or(Refused::Usage)?)?,
            Opt::Unknown(c) => return Err(Refused::Illegal(c)),
            Opt::Missing(c) => return Err(Refused::NoValue(c)),
        }
    }
    change.program = program(options.rest())?;
    Ok(change)
}

fn softlimit(args: &[OsString]) -> Result<Change<'_>, Refused> {
    let mut change = Change::default();
    let mut options = Options::new(args, "a:c:d:f:l:m:o:p:r:s:t:");
    for option in options.by_ref() {
        match option {
            Opt::Value(c, wanted) => {
                // `=` is the hard limit, which bounds the largest number.
                let wanted = if wanted == "=" { Some(u64::MAX) } else { number(wanted.as_bytes()) };
                limit(&mut change, c, wanted.ok_or(Refused::Usage)?)?;
            }
            Opt::Flag(c) | Opt::Unknown(c) => return Err(Refused::Illegal(c)),
            Opt::Missing(c) => return Err(Refused::NoValue(c)),
        }
    }
    change.program = program(options.rest())?;
    Ok(change)
}

/// The letters of `softlimit`, of which `chpst` has some for other things.
fn limit(change: &mut Change<'_>, letter: u8, wanted: u64) -> Result<(), Refused> {
    let resources: &[Resource] = match letter {
        b'a' => &[Resource::RLIMIT_AS],
        b'c' => &[Resource::RLIMIT_CORE],
        b'd' => &[Resource::RLIMIT_DATA],
        b'f' => &[Resource::RLIMIT_FSIZE],
        b'l' => &[Resource::RLIMIT_MEMLOCK],
        b'm' => &[Resource::RLIMIT_DATA, Resource::RLIMIT_STACK, Resource::RLIMIT_MEMLOCK, Resource::RLIMIT_AS],
        b'o' => &[Resource::RLIMIT_NOFILE],
        b'p' => &[Resource::RLIMIT_NPROC],
        b'r' => &[Resource::RLIMIT_RSS],
        b's' => &[Resource::RLIMIT_STACK],
        b't' => &[Resource::RLIMIT_CPU],
        c => return Err(Refused::Illegal(c)),
    };
    change.limits.extend(resources.iter().map(|&r| (r, wanted)));
    Ok(())
}

/// `-n` does not wait, as in daemontools; runit has it the other way round, and two of them can wait for each other (spec §5).
fn setlock(args: &[OsString]) -> Result<Change<'_>, Refused> {
    let (mut wait, mut silent) = (true, false);
    let mut options = Options::new(args, "nNxX");
    for option in options.by_ref() {
        match option {
            Opt::Flag(b'n') => wait = false,
            Opt::Flag(b'N') => wait = true,
            Opt::Flag(b'x') => silent = true,
            Opt::Flag(_) => silent = false,
            Opt::Value(c, _) | Opt::Unknown(c) | Opt::Missing(c) => return Err(Refused::Illegal(c)),
        }
    }
    let (file, rest) = first(options.rest())?;
    Ok(Change { lock: Some(Lock { file, wait }), silent, program: program(rest)?, ..Change::default() })
}

fn envdir(args: &[OsString]) -> Result<Change<'_>, Refused> {
    let (directory, rest) = first(args)?;
    let variables = Some(Variables { directory, pass_over_directories: false });
    Ok(Change { variables, program: program(rest)?, ..Change::default() })
}

fn setuidgid(args: &[OsString]) -> Result<Change<'_>, Refused> {
    let (text, rest) = first(args)?;
    Ok(Change { user: Some(Who { text, wording: Wording::Account }), program: program(rest)?, ..Change::default() })
}

fn envuidgid(args: &[OsString]) -> Result<Change<'_>, Refused> {
    let (text, rest) = first(args)?;
    Ok(Change {
        announced: Some(Who { text, wording: Wording::Account }),
        program: program(rest)?,
        ..Change::default()
    })
}

fn first(args: &[OsString]) -> Result<(&OsStr, &[OsString]), Refused> {
    args.split_first().map(|(first, rest)| (first.as_os_str(), rest)).ok_or(Refused::Usage)
}

const fn program(args: &[OsString]) -> Result<&[OsString], Refused> {
    if args.is_empty() { Err(Refused::Usage) } else { Ok(args) }
}

fn number(text: &[u8]) -> Option<u64> {
    let decimal = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    decimal.then(|| text.iter().fold(0, |n: u64, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0'))))
}

/// `5`, `+5` or `-5`.
fn signed(text: &OsStr) -> Option<i32> {
    let (digits, sign) = match text.as_bytes() {
        [b'-', digits @ ..] => (digits, -1),
        [b'+', digits @ ..] => (digits, 1),
        digits => (digits, 1),
    };
    Some(i32::try_from(number(digits)?).unwrap_or(i32::MAX) * sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').filter(|w| !w.is_empty()).map(OsString::from).collect()
    }

    fn refused(line: &str) -> Refused {
        let words = words(line);
        parse(&words[0], &words[1..]).expect_err(line)
    }

    #[test]
    fn chpst_knows_every_option() {
        let args = words("-vP02 -u a:b -Uc -b -n -e e -/ r -C d -n -5 -L f -m 1 -d 2 -t3 -- -p -q");
        let change = chpst(&args).unwrap();
        let who = |text| Some(Who { text: OsStr::new(text), wording: Wording::UserGroup });
        assert_eq!(
            change,
            Change {
                session: true,
                variables: Some(Variables { directory: OsStr::new("e"), pass_over_directories: true }),
                root: Some(OsStr::new("r")),
                directory: Some(OsStr::new("d")),
                nice: Some(-5),
                announced: who("c"),
                user: who("a:b"),
                lock: Some(Lock { file: OsStr::new("f"), wait: false }),
                close: [true, false, true],
                limits: vec![
                    (Resource::RLIMIT_DATA, 1),
                    (Resource::RLIMIT_STACK, 1),
                    (Resource::RLIMIT_MEMLOCK, 1),
                    (Resource::RLIMIT_AS, 1),
                    (Resource::RLIMIT_DATA, 2),
                    (Resource::RLIMIT_CPU, 3),
                ],
                name: Some(OsStr::new("-n")),
                verbose: true,
                silent: false,
                program: &args[args.len() - 2..],
            }
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "chpst",
            "chpst -v",
            "chpst -o 1k x",
            "chpst -o -1 x",
            "chpst -o = x",
            "chpst -n 5x x",
            "chpst -n - x",
            "chpst -l a -L b x",
            "envdir",
            "envdir d",
            "setuidgid u",
            "envuidgid u",
            "pgrphack",
            "setlock f",
            "softlimit",
            "softlimit -o 1k x",
        ] {
            assert_eq!(refused(line), Refused::Usage, "{line}");
        }
        assert_eq!(refused("chpst -s 1 x"), Refused::Illegal(b's'));
        assert_eq!(refused("softlimit -v x"), Refused::Illegal(b'v'));
        assert_eq!(refused("setlock -q f x"), Refused::Illegal(b'q'));
        assert_eq!(refused("chpst -u"), Refused::NoValue(b'u'));
        assert_eq!(refused("chpst -vV x"), Refused::Version);
        assert_eq!(chpst(&[OsString::from("-o"), OsString::new(), OsString::from("x")]), Err(Refused::Usage));
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"99999999999999999999"), Some(u64::MAX));
        assert_eq!(signed(OsStr::new("+7")), Some(7));
        assert_eq!(signed(OsStr::new("-99999999999")), Some(-i32::MAX));
        assert_eq!(signed(OsStr::new("")), None);
    }

    #[test]
    fn setlock_has_the_sense_of_daemontools() {
        let lock = |line| {
            let args = words(line);
            let change = setlock(&args).unwrap();
            (change.lock.unwrap().wait, change.silent)
        };
        assert_eq!(lock("f x"), (true, false));
        assert_eq!(lock("-n f x -N"), (false, false));
        assert_eq!(lock("-nx f x"), (false, true));
        assert_eq!(lock("-nxNX f x"), (true, false));
    }

    #[test]
    fn the_short_names() {
        let args = words("a b c");
        let change = envdir(&args).unwrap();
        assert!(!change.variables.unwrap().pass_over_directories);
        assert_eq!(change.program, &args[1..]);
        assert_eq!(setuidgid(&args).unwrap().user.unwrap().text, "a");
        assert_eq!(envuidgid(&args).unwrap().announced.unwrap().wording, Wording::Account);
        assert!(parse(OsStr::new("pgrphack"), &args).unwrap().session);
        let args = words("-o = -a5 x");
        let limits = [(Resource::RLIMIT_NOFILE, u64::MAX), (Resource::RLIMIT_AS, 5)];
        assert_eq!(softlimit(&args).unwrap().limits, limits);
    }
}
