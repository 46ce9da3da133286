//! The words `sv` knows: what each sends, what it waits for, and what happens when that does not come (spec runit §2.2).
//!
//! A few words must match exactly; of all others the first letter decides, so `sv sto x` is *status*, as ever.

/// What to do with every service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Print its state.
    Status,
    /// Send and perhaps wait.
    Send(Order),
    /// Print all services.
    List(Format),
    /// Show the log.
    Log(Logging),
    /// Make services of directories.
    Enable(Template),
    /// Make them services no more.
    Disable,
}

/// What a service directory that is not there yet is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    /// What its name says.
    ByName,
    /// The first of the names that were given.
    First,
}

/// For whom a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// How a log is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logging {
    /// All of it, a page at a time; else its end and what comes.
    pub(crate) page: bool,
    /// TAI64N stamps stay as they are.
    pub(crate) raw: bool,
    /// How many lines there are before what comes.
    pub(crate) lines: u64,
}

/// Bytes for `supervise/control` and what they are meant to bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Written at once; empty for `check`.
    pub(crate) send: &'static [u8],
    /// All of these must hold.
    pub(crate) until: &'static [Goal],
    /// Who waits for it.
    pub(crate) waits: Waits,
    /// When it does not hold in time.
    pub(crate) late: Late,
}

impl Order {
    /// `exit` and its family: that no runsv is there is their success.
    pub(crate) fn ends_runsv(&self) -> bool {
        self.until == [Goal::Gone]
    }
}

/// One condition; [`super::goal`] says when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Running and available.
    Up,
    /// Running, whatever is wanted.
    Running,
    /// Running and available, whatever is wanted.
    Ready,
    /// Neither `run` nor `finish`.
    Down,
    /// runsv has ended.
    Gone,
    /// Started anew since it was asked, and available; or down as it should be.
    Fresh,
    /// Has run once since it was asked, or will not be restarted.
    Once,
    /// Stopped by STOP.
    Paused,
    /// Not stopped.
    Continued,
    /// `Up` or `Down`, whichever is wanted.
    Settled,
}

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Only with `-v`.
    Verbose,
    /// Always.
    Always,
}

/// What happens at the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// It is reported.
    Timeout,
    /// It is reported and the service gets KILL.
    Kill,
}

/// Whose command line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// `sv COMMAND SERVICE ...`
    Sv,
    /// `SERVICE COMMAND`, called as an init script.
    Lsb,
}

/// The command a word stands for; none if it is none.
pub(crate) fn parse(word: &[u8], manner: Manner) -> Option<Action> {
    use Goal::{Continued, Down, Fresh, Gone, Once, Paused, Settled, Up};
    let late = |send, until, waits, late| Some(Action::Send(Order { send, until, waits, late }));
    let order = |send, until| late(send, until, Waits::Always, Late::Timeout);
    let force = |send, until| late(send, until, Waits::Always, Late::Kill);
    let quick = |send, until| late(send, until, Waits::Verbose, Late::Timeout);
    match word {
        b"status" => Some(Action::Status),
        b"start" => order(b"u", &[Up]),
        b"stop" => order(b"d", &[Down]),
        b"shutdown" => order(b"x", &[Gone]),
        b"reload" => order(b"h", &[]),
        b"restart" => order(b"tcu", &[Fresh, Continued, Up]),
        b"try-restart" => order(b"tc", &[Fresh, Continued]),
        b"check" => order(b"", &[Settled]),
        b"force-stop" => force(b"d", &[Down]),
        b"force-reload" => force(b"tc", &[Fresh, Continued]),
        b"force-restart" => force(b"tcu", &[Fresh, Continued, Up]),
        b"force-shutdown" => force(b"x", &[Gone]),
        _ => match word.first()? {
            b's' => match manner {
                Manner::Sv => Some(Action::Status),
                Manner::Lsb => None,
            },
            b'u' => quick(b"u", &[Up]),
            b'd' => quick(b"d", &[Down]),
            b'o' => quick(b"o", &[Once]),
            b'x' | b'e' => quick(b"x", &[Gone]),
            b'p' => quick(b"p", &[Paused]),
            b'c' => quick(b"c", &[Continued]),
            b't' => quick(b"t", &[Fresh]),
            b'k' => quick(b"k", &[Fresh]),
            b'h' => quick(b"h", &[]),
            b'a' => quick(b"a", &[]),
            b'i' => quick(b"i", &[]),
            b'q' => quick(b"q", &[]),
            b'1' => quick(b"1", &[]),
            b'2' => quick(b"2", &[]),
            b'D' => force(b"d", &[Down]),
            b'T' => force(b"tc", &[Fresh, Continued]),
            b'X' | b'E' => force(b"x", &[Gone]),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(word: &str) -> Option<(&'static str, Waits, Late)> {
        match parse(word.as_bytes(), Manner::Sv)? {
            Action::Status => Some(("status", Waits::Verbose, Late::Timeout)),
            Action::List(_) | Action::Log(_) | Action::Enable(_) | Action::Disable => None,
            Action::Send(o) => Some((std::str::from_utf8(o.send).unwrap(), o.waits, o.late)),
        }
    }

    #[test]
    fn first_letters_are_enough() {
        for word in
            ["up", "down", "once", "pause", "cont", "hup", "alarm", "interrupt", "quit", "1", "2", "term", "kill"]
        {
            for w in [word, &word[..1]] {
                assert_eq!(sent(w), Some((&word[..1], Waits::Verbose, Late::Timeout)), "{w}");
            }
        }
        for word in ["e", "exit", "x", "xyz"] {
            assert_eq!(sent(word), Some(("x", Waits::Verbose, Late::Timeout)), "{word}");
        }
        for word in ["s", "status", "sto", "starts", "star"] {
            assert_eq!(sent(word).unwrap().0, "status", "{word}");
        }
    }

    #[test]
    fn words_that_must_match() {
        for (word, bytes) in [
            ("start", "u"),
            ("stop", "d"),
            ("shutdown", "x"),
            ("reload", "h"),
            ("restart", "tcu"),
            ("try-restart", "tc"),
            ("check", ""),
        ] {
            assert_eq!(sent(word), Some((bytes, Waits::Always, Late::Timeout)), "{word}");
        }
        for (word, bytes) in [
            ("force-stop", "d"),
            ("Down", "d"),
            ("force-reload", "tc"),
            ("T", "tc"),
            ("force-restart", "tcu"),
            ("force-shutdown", "x"),
            ("Exit", "x"),
            ("X", "x"),
        ] {
            assert_eq!(sent(word), Some((bytes, Waits::Always, Late::Kill)), "{word}");
        }
        assert_eq!(sent("try-"), Some(("t", Waits::Verbose, Late::Timeout)));
        assert_eq!(sent("checks"), Some(("c", Waits::Verbose, Late::Timeout)));
        for word in ["", "r", "restarts", "relo", "f", "force-", "force-x", "U", "-v", "3", "l", "\u{e4}"] {
            assert_eq!(sent(word), None, "{word}");
        }
    }

    #[test]
    fn init_scripts_spell_status_out() {
        assert_eq!(parse(b"status", Manner::Lsb), Some(Action::Status));
        assert_eq!(parse(b"stop", Manner::Lsb), parse(b"stop", Manner::Sv));
        for word in [b"s".as_slice(), b"sto", b"stat"] {
            assert_eq!(parse(word, Manner::Lsb), None);
        }
    }

    #[test]
    fn every_byte_sent_has_its_goal() {
        for c in 0..=u8::MAX {
            if let Some(Action::Send(o)) = parse(&[c], Manner::Sv) {
                assert!(o.send.len() <= 3 && o.until.len() <= o.send.len());
                assert_eq!(o.ends_runsv(), o.send == b"x");
            }
        }
    }
}
