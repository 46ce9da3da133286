//! `svlogd [-ttv] [-r c] [-R abc] [-l len] [-b buflen] dir ...` (spec runit §4.1).

use super::lines::Clean;
use super::stamp::Kind;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use sys::opt::{Opt, Options};

/// A command line that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct Invocation<'a> {
    /// `-t`, `-tt`, `-ttt`.
    pub(crate) stamp: Kind,
    /// `-v`: says what it does.
    pub(crate) verbose: bool,
    /// `-r` and `-R`. They apply to the whole line, as in busybox; runit leaves what is behind `-l` characters as it is.
    pub(crate) clean: Option<Clean>,
    /// `-l`.
    pub(crate) length: usize,
    /// At least one.
    pub(crate) directories: &'a [OsString],
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
    /// Nothing more to say.
    Usage,
}

const DEFAULT_LENGTH: usize = 1000;
/// `-b` only bounds `-l`: how much is read and written at once is not for the user to choose.
const DEFAULT_BUFFER: usize = 1024;

/// Reads the arguments, without the program's name.
pub(crate) fn parse(args: &[OsString]) -> Result<Invocation<'_>, Refused> {
    let mut stamp = Kind::None;
    let mut verbose = false;
    let (mut by, mut also): (Option<u8>, &[u8]) = (None, b"");
    let (mut length, mut buffer) = (DEFAULT_LENGTH, DEFAULT_BUFFER);
    let mut options = Options::new(args, "tvVr:R:l:b:");
    for option in options.by_ref() {
        match option {
            Opt::Flag(b't') => {
                stamp = match stamp {
                    Kind::None => Kind::Tai,
                    Kind::Tai => Kind::Underscore,
                    Kind::Underscore | Kind::T => Kind::T,
                }
            }
            Opt::Flag(b'v') => verbose = true,
            Opt::Flag(_) => return Err(Refused::Version),
            Opt::Value(b'r', value) => match value.as_bytes() {
                [c] => by = Some(*c),
                _ => return Err(Refused::Usage),
            },
            Opt::Value(b'R', value) => {
                also = value.as_bytes();
                by = by.or(Some(b'_'));
            }
            Opt::Value(b'l', value) => length = number(value).unwrap_or(DEFAULT_LENGTH),
            Opt::Value(_, value) => buffer = number(value).unwrap_or(DEFAULT_BUFFER),
            Opt::Unknown(c) => return Err(Refused::Illegal(c)),
            Opt::Missing(c) => return Err(Refused::NoValue(c)),
        }
    }
    let directories = options.rest();
    if length >= buffer || directories.is_empty() {
        return Err(Refused::Usage);
    }
    Ok(Invocation { stamp, verbose, clean: by.map(|c| Clean::new(c, also)), length, directories })
}

/// The digits it starts with; none for 0.
fn number(text: &OsStr) -> Option<usize> {
    let digits = text.as_bytes().iter().take_while(|c| c.is_ascii_digit());
    let n = digits.fold(0, |n: usize, d| n.saturating_mul(10).saturating_add(usize::from(d - b'0')));
    Some(n).filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str) -> Result<(Kind, bool, bool, usize, usize), Refused> {
        let args: Vec<OsString> = args.split(' ').filter(|w| !w.is_empty()).map(OsString::from).collect();
        parse(&args).map(|i| (i.stamp, i.verbose, i.clean.is_some(), i.length, i.directories.len()))
    }

    #[test]
    fn options() {
        assert_eq!(read("d"), Ok((Kind::None, false, false, 1000, 1)));
        assert_eq!(read("-t d"), Ok((Kind::Tai, false, false, 1000, 1)));
        assert_eq!(read("-tt -v d e"), Ok((Kind::Underscore, true, false, 1000, 2)));
        assert_eq!(read("-ttttt d"), Ok((Kind::T, false, false, 1000, 1)));
        assert_eq!(read("-rx d"), Ok((Kind::None, false, true, 1000, 1)));
        assert_eq!(read("-R abc -l 5000 -b 8192 d"), Ok((Kind::None, false, true, 5000, 1)));
        assert_eq!(read("-l 0 -b 0 d"), Ok((Kind::None, false, false, 1000, 1)));
        for usage in ["", "-t", "-l 1024 d", "-l 100 -b 100 d", "-r xx d"] {
            assert_eq!(read(usage), Err(Refused::Usage), "{usage}");
        }
        assert_eq!(read("-q d"), Err(Refused::Illegal(b'q')));
        assert_eq!(read("-r"), Err(Refused::NoValue(b'r')));
        assert_eq!(read("-V d"), Err(Refused::Version));
    }
}
