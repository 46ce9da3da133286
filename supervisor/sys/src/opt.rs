//! Option iteration as djb's getopt does it (spec runit §0.2): options come before the arguments, may be bundled (`-ttv`),
//! take their value joined or separate (`-w7`, `-w 7`), and end at `--` or the first word that is no option.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What [`Options::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opt<'a> {
    /// An option without a value.
    Flag(u8),
    /// An option and its value.
    Value(u8, &'a OsStr),
    /// Not in the list: `NAME: illegal option -- X`.
    Unknown(u8),
    /// No value follows: `NAME: option requires an argument -- X`.
    Missing(u8),
}

/// Iterates over `args` (without the program's name). `spec` is getopt's: `"ttvr:"`, a colon after each option with a value.
#[derive(Clone, Debug)]
pub struct Options<'a, S> {
    args: &'a [S],
    spec: &'a [u8],
    /// Rest of a bundle.
    bundle: &'a [u8],
}

impl<'a, S: AsRef<OsStr>> Options<'a, S> {
    /// Starts at the first of `args`.
    pub const fn new(args: &'a [S], spec: &'a str) -> Self {
        Self { args, spec: spec.as_bytes(), bundle: b"" }
    }

    /// The arguments after the options; meaningful once the iterator has ended.
    pub const fn rest(&self) -> &'a [S] {
        self.args
    }
}

impl<'a, S: AsRef<OsStr>> Iterator for Options<'a, S> {
    type Item = Opt<'a>;

    fn next(&mut self) -> Option<Opt<'a>> {
        if self.bundle.is_empty() {
            let (first, rest) = self.args.split_first()?;
            match first.as_ref().as_bytes() {
                b"--" => {
                    self.args = rest;
                    self.spec = b"";
                    return None;
                }
                [b'-', letters @ ..] if !letters.is_empty() => {
                    // After `--` the specification is empty and nothing is an option any more.
                    if self.spec.is_empty() {
                        return None;
                    }
                    self.bundle = letters;
                    self.args = rest;
                }
                _ => return None,
            }
        }
        let (&letter, rest) = self.bundle.split_first()?;
        self.bundle = rest;
        let Some(at) = self.spec.iter().position(|&s| s == letter && s != b':') else {
            return Some(Opt::Unknown(letter));
        };
        if self.spec.get(at + 1) != Some(&b':') {
            return Some(Opt::Flag(letter));
        }
        if !rest.is_empty() {
            self.bundle = b"";
            return Some(Opt::Value(letter, OsStr::from_bytes(rest)));
        }
        let Some((value, args)) = self.args.split_first() else { return Some(Opt::Missing(letter)) };
        self.args = args;
        Some(Opt::Value(letter, value.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(args: &'a [&'a str], spec: &'a str) -> (Vec<Opt<'a>>, Vec<&'a str>) {
        let mut it = Options::new(args, spec);
        let found = it.by_ref().collect();
        (found, it.rest().to_vec())
    }

    #[test]
    fn bundles_values_and_ends() {
        use Opt::{Flag, Missing, Unknown, Value};
        let v = |s| OsStr::new(s);
        assert_eq!(
            parse(&["-tt", "-v", "-l5", "x", "-v"], "tvl:"),
            (vec![Flag(b't'), Flag(b't'), Flag(b'v'), Value(b'l', v("5"))], vec!["x", "-v"])
        );
        assert_eq!(parse(&["-w", "7", "--", "-v"], "vw:"), (vec![Value(b'w', v("7"))], vec!["-v"]));
        assert_eq!(parse(&["-vw", "7"], "vw:"), (vec![Flag(b'v'), Value(b'w', v("7"))], vec![]));
        assert_eq!(parse(&["-vX", "-w"], "vw:"), (vec![Flag(b'v'), Unknown(b'X'), Missing(b'w')], vec![]));
        assert_eq!(parse(&["-", "a"], "v"), (vec![], vec!["-", "a"]));
        assert_eq!(parse(&["-:"], "w:"), (vec![Unknown(b':')], vec![]));
    }

    #[test]
    fn nothing_is_an_option_after_the_end() {
        let args = ["--", "-v", "-v"];
        let mut it = Options::new(&args, "v");
        assert_eq!(it.next(), None);
        assert_eq!(it.next(), None);
        assert_eq!(it.rest(), ["-v", "-v"]);
    }
}
