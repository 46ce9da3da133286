//! `supervise/history`: what has no place in the twenty bytes of `supervise/status`. Ours alone; runit has no such file.
//!
//! Lines `KEY VALUE...`, in this order, those without a value left out; readers pass over keys they do not know.
//!
//! | line | meaning |
//! |---|---|
//! | `starts N` | how often `run` was started by this supervisor |
//! | `exit CODE STATUS` | how the last run ended, as `finish` is told: CODE is -1 unless it exited, STATUS the low byte of waitpid's |
//! | `notifies` | the current run is to say when it is ready (`notification-fd`) |
//! | `ready @TAI64N` | the run that `supervise/status` dates from this moment has said so |
//!
//! A run is ready when the two moments are equal; so the order in which the two files are read does not matter, nor a clock
//! that jumps.

use sys::clock::Tai64n;
use sys::msg::Dec;

/// The content of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// Starts of `run`.
    pub(crate) starts: u32,
    /// The last end of `run`.
    pub(crate) exit: Option<Exit>,
    /// The current run has a descriptor to notify on.
    pub(crate) notifies: bool,
    /// `since` of the run that said it is ready.
    pub(crate) ready: Option<Tai64n>,
}

/// How a run ended: the arguments of `finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// None unless it exited.
    pub(crate) code: Option<u8>,
    /// The low byte of waitpid's status: the signal, plus 128 with a core.
    pub(crate) status: u8,
}

/// Whether a run is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It is not one that says so.
    #[default]
    Untold,
    /// It is to say so and has not.
    NotYet,
    /// It has said so.
    Ready,
}

/// All lines at their longest fit.
pub(crate) const LEN_MAX: usize = 96;

/// The lines of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    bytes: [u8; LEN_MAX],
    len: usize,
}

impl Text {
    fn push(&mut self, parts: &[&[u8]]) {
        for part in parts {
            for (slot, byte) in self.bytes[self.len..].iter_mut().zip(*part) {
                *slot = *byte;
                self.len += 1;
            }
        }
    }

    /// The lines.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl History {
    /// Whether the run that began at `since` has said that it is ready.
    pub(crate) fn ready(&self, since: Tai64n) -> bool {
        self.ready == Some(since)
    }

    /// What is known about the run that began at `since`.
    pub(crate) fn readiness(&self, since: Tai64n) -> Readiness {
        match (self.notifies, self.ready(since)) {
            (_, true) => Readiness::Ready,
            (true, false) => Readiness::NotYet,
            (false, false) => Readiness::Untold,
        }
    }

    /// The lines.
    pub(crate) fn text(&self) -> Text {
        let mut t = Text { bytes: [0; LEN_MAX], len: 0 };
        t.push(&[b"starts ", Dec::new(self.starts.into()).as_bytes(), b"\n"]);
        if let Some(Exit { code, status }) = self.exit {
            let digits = Dec::new(code.unwrap_or(1).into());
            let sign: &[u8] = if code.is_none() { b"-" } else { b"" };
            t.push(&[b"exit ", sign, digits.as_bytes(), b" ", Dec::new(status.into()).as_bytes(), b"\n"]);
        }
        if self.notifies {
            t.push(&[b"notifies\n"]);
        }
        if let Some(since) = self.ready {
            t.push(&[b"ready ", &since.hex(), b"\n"]);
        }
        t
    }

    /// Reads the lines; what is not understood is as if it were not there.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut history = Self::default();
        for line in bytes.split(|&b| b == b'\n') {
            let mut words = line.split(|&b| b == b' ');
            match (words.next(), words.next(), words.next()) {
                (Some(b"starts"), Some(n), None) => history.starts = number(n).unwrap_or(0),
                (Some(b"exit"), Some(b"-1"), Some(status)) => {
                    history.exit = number(status).map(|status| Exit { code: None, status });
                }
                (Some(b"exit"), Some(code), Some(status)) => {
                    history.exit =
                        number(code).zip(number(status)).map(|(code, status)| Exit { code: Some(code), status });
                }
                (Some(b"notifies"), None, None) => history.notifies = true,
                (Some(b"ready"), Some(since), None) => history.ready = Tai64n::from_hex(since),
                _ => {}
            }
        }
        history
    }
}

fn number<T: core::str::FromStr>(word: &[u8]) -> Option<T> {
    core::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Tai64n = Tai64n { label: 0x4000_0000_6b03_11ac, nanos: 0x20e9_b284 };

    #[test]
    fn lines() {
        let text = |h: History| String::from_utf8(h.text().as_bytes().to_vec()).unwrap();
        assert_eq!(text(History::default()), "starts 0\n");
        let exit = Some(Exit { code: None, status: 9 });
        let h = History { starts: 3, exit, notifies: true, ready: Some(SINCE) };
        assert_eq!(text(h), "starts 3\nexit -1 9\nnotifies\nready @400000006b0311ac20e9b284\n");
        let longest = History { starts: u32::MAX, exit: Some(Exit { code: Some(255), status: 255 }), ..h };
        assert!(longest.text().as_bytes().ends_with(b"b284\n"));
    }

    #[test]
    fn every_history_reads_back() {
        for starts in [0, 1, u32::MAX] {
            for exit in [None, Some(Exit { code: Some(111), status: 0 }), Some(Exit { code: None, status: 139 })] {
                for (notifies, ready) in [(false, None), (true, None), (true, Some(SINCE))] {
                    let h = History { starts, exit, notifies, ready };
                    assert_eq!(History::parse(h.text().as_bytes()), h);
                }
            }
        }
    }

    #[test]
    fn strange_lines_are_passed_over() {
        let h = History::parse(b"starts x\nexit 1\nready\nready @40\nfuture 1 2 3\nnotifies\n\nexit 0 0");
        assert_eq!(h, History { exit: Some(Exit { code: Some(0), status: 0 }), notifies: true, ..History::default() });
    }

    #[test]
    fn only_the_run_that_said_so_is_ready() {
        let h = History { ready: Some(SINCE), ..History::default() };
        assert!(h.ready(SINCE));
        let later = Tai64n { nanos: 0, ..SINCE };
        assert!(!h.ready(later));
        assert_eq!((h.readiness(SINCE), h.readiness(later)), (Readiness::Ready, Readiness::Untold));
        let h = History { notifies: true, ..h };
        assert_eq!((h.readiness(SINCE), h.readiness(later)), (Readiness::Ready, Readiness::NotYet));
    }
}
