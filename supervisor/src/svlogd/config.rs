//! `config` of a log directory (spec runit §4.3): of any length, read at start and at HUP.
//!
//! A line that makes no sense is reported with its number and leaves the default in place; runit takes a bad size for 0, which
//! means "never rotate".

use super::pattern::matches;
use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddrV4};

/// What a log directory is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `s`: a new file before `current` gets longer than this; 0 is never.
    pub(crate) size: u64,
    /// `n`: old files kept; 0 is all.
    pub(crate) keep: u64,
    /// `N`: old files kept when the disk is full, if fewer than `keep`.
    pub(crate) keep_when_full: u64,
    /// `t`: a new file when `current` is this old and not empty.
    pub(crate) age: Option<Duration>,
    /// `!`: processes every old file.
    pub(crate) processor: Option<Vec<u8>>,
    /// `+ - e E`, in their order.
    pub(crate) rules: Vec<Rule>,
    /// `u` or `U`.
    pub(crate) remote: Option<Remote>,
    /// `p`: behind the stamp.
    pub(crate) prefix: Vec<u8>,
}

/// A pattern and what it decides; the last one that matches does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    decides: Decides,
    pattern: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decides {
    Log(bool),
    Copy(bool),
}

/// Where lines go as datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// IPv4 only, as with runit.
    pub(crate) to: SocketAddrV4,
    /// `U`: and not to the file.
    pub(crate) only: bool,
}

/// What is done with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Logged.
    pub(crate) log: bool,
    /// Copied to standard error.
    pub(crate) copy: bool,
}

/// A line that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Counted from 1.
    pub(crate) line: u64,
    /// What was expected.
    pub(crate) expected: &'static str,
}

/// syslog's.
const DEFAULT_PORT: u16 = 514;

impl Default for Config {
    fn default() -> Self {
        Self {
            size: 1_000_000,
            keep: 10,
            keep_when_full: 10,
            age: None,
            processor: None,
            rules: Vec::new(),
            remote: None,
            prefix: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the whole file.
    pub(crate) fn parse(text: &[u8]) -> (Self, Vec<Complaint>) {
        let mut config = Self::default();
        let mut complaints = Vec::new();
        for (line, content) in (1..).zip(text.split(|c| *c == b'\n')) {
            if let Err(expected) = config.line(content) {
                complaints.push(Complaint { line, expected });
            }
        }
        (config, complaints)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let [letter, rest @ ..] = line else { return Ok(()) };
        match letter {
            b'#' => {}
            b's' => self.size = number(rest, &SIZES).ok_or("expected sN, sNk or sNm")?,
            b'n' => self.keep = number(rest, &[]).ok_or("expected nN")?,
            b'N' => self.keep_when_full = number(rest, &[]).ok_or("expected NN")?,
            b't' => {
                let seconds = number(rest, &TIMES).ok_or("expected tN, tNm or tNh")?;
                self.age = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            b'!' => self.processor = Some(rest.to_vec()).filter(|c| !c.is_empty()),
            b'+' => self.rule(Decides::Log(true), rest),
            b'-' => self.rule(Decides::Log(false), rest),
            b'e' => self.rule(Decides::Copy(true), rest),
            b'E' => self.rule(Decides::Copy(false), rest),
            b'u' | b'U' => {
                let to = address(rest).ok_or("expected an IPv4 address and perhaps :PORT")?;
                self.remote = Some(Remote { to, only: *letter == b'U' });
            }
            b'p' => self.prefix = rest.to_vec(),
            _ => return Err("expected one of s n N t ! + - e E u U p #"),
        }
        Ok(())
    }

    fn rule(&mut self, decides: Decides, pattern: &[u8]) {
        self.rules.push(Rule { decides, pattern: pattern.to_vec() });
    }

    /// What becomes of a line that begins with `head`.
    pub(crate) fn decide(&self, head: &[u8]) -> Verdict {
        let mut verdict = Verdict { log: true, copy: false };
        for rule in self.rules.iter().filter(|r| matches(&r.pattern, head)) {
            match rule.decides {
                Decides::Log(yes) => verdict.log = yes,
                Decides::Copy(yes) => verdict.copy = yes,
            }
        }
        verdict
    }

    /// Whether a line must be known before anything of it is written.
    pub(crate) fn needs_the_head(&self) -> bool {
        !self.rules.is_empty() || self.remote.is_some()
    }

    /// Whether a full disk makes room for itself.
    pub(crate) fn gives_way(&self) -> bool {
        self.keep_when_full < self.keep
    }
}

const SIZES: [(u8, u64); 2] = [(b'k', 1024), (b'm', 1024 * 1024)];
const TIMES: [(u8, u64); 2] = [(b'm', 60), (b'h', 3600)];

/// Digits and perhaps one of the unit letters.
fn number(text: &[u8], units: &[(u8, u64)]) -> Option<u64> {
    let (digits, factor) = match text {
        [digits @ .., last] => match units.iter().find(|(letter, _)| letter == last) {
            Some((_, factor)) => (digits, *factor),
            None => (text, 1),
        },
        [] => return None,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0, |n: u64, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')));
    Some(n.saturating_mul(factor))
}

fn address(text: &[u8]) -> Option<SocketAddrV4> {
    let text = std::str::from_utf8(text).ok()?;
    match text.split_once(':') {
        Some((ip, port)) => Some(SocketAddrV4::new(ip.parse().ok()?, port.parse().ok().filter(|p| *p != 0)?)),
        None => Some(SocketAddrV4::new(text.parse::<Ipv4Addr>().ok()?, DEFAULT_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> Config {
        let (config, complaints) = Config::parse(text.as_bytes());
        assert_eq!(complaints, []);
        config
    }

    #[test]
    fn everything_there_is() {
        let c = good("# comment\ns10k\n\nn7\nN3\nt2h\n!gzip -9\n-*\n+a*\nea\nEb\nu10.0.0.1:5514\npfoo: ");
        assert_eq!((c.size, c.keep, c.keep_when_full, c.age), (10240, 7, 3, Some(Duration::from_secs(7200))));
        assert_eq!(c.processor.as_deref(), Some(b"gzip -9".as_slice()));
        assert_eq!(c.remote, Some(Remote { to: SocketAddrV4::new([10, 0, 0, 1].into(), 5514), only: false }));
        assert_eq!(c.prefix, b"foo: ");
        assert!(c.needs_the_head() && c.gives_way());
        assert_eq!(
            good("U1.2.3.4").remote,
            Some(Remote { to: SocketAddrV4::new([1, 2, 3, 4].into(), 514), only: true })
        );
        assert_eq!(good("!a\n!b").processor.as_deref(), Some(b"b".as_slice()));
        assert_eq!(good("!a\n!").processor, None);
        assert_eq!(good("s0\nn0\nt0"), Config { size: 0, keep: 0, ..Config::default() });
        assert_eq!(good("s2m").size, 2 << 20);
        assert_eq!(good(""), Config::default());
        assert!(!Config::default().gives_way() && !Config::default().needs_the_head());
    }

    #[test]
    fn nonsense_is_reported_with_its_line_and_changes_nothing() {
        let (config, complaints) = Config::parse(b"s\nsx\nn3\ns1g\nnx\nt1d\nN-1\nu300.1.1.1\nu1.1.1.1:0\nzebra\ns 5");
        assert_eq!(config, Config { keep: 3, ..Config::default() });
        assert_eq!(complaints.iter().map(|c| c.line).collect::<Vec<_>>(), [1, 2, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(complaints[0].expected, "expected sN, sNk or sNm");
    }

    #[test]
    fn any_length() {
        let mut text = b"-x\n".repeat(100_000);
        text.extend_from_slice(b"n99");
        let (config, complaints) = Config::parse(&text);
        assert_eq!((config.keep, config.rules.len(), complaints.len()), (99, 100_000, 0));
    }

    #[test]
    fn the_last_match_decides() {
        let c = good("-*\n+keep*\n-keep not\ne*ERR*\nE*ERR harmless*");
        let verdict = |line: &str| c.decide(line.as_bytes());
        assert_eq!(verdict("x"), Verdict { log: false, copy: false });
        assert_eq!(verdict("keep"), Verdict { log: true, copy: false });
        assert_eq!(verdict("keep not"), Verdict { log: false, copy: false });
        assert_eq!(verdict("keep ERR"), Verdict { log: true, copy: true });
        assert_eq!(verdict("ERR harmless"), Verdict { log: false, copy: false });
    }
}
