//! The lines `sv` prints, all of them on standard output (spec runit §2.3), and the exit code they add up to (§2.7).

use super::command::Manner;
use crate::history::Readiness;
use crate::status::{State, Status, Want};
use sys::Errno;
use sys::clock::{Tai64n, Wall};
use sys::errtext::errtext;
use sys::msg::Dec;

/// Most failed services an exit code tells.
const MAX_FAILED: u8 = 99;

/// Exit codes of `status` as an init script.
const LSB_DOWN: u8 = 3;
const LSB_UNREADABLE: u8 = 4;

/// What `down` in the service directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Normally {
    /// There is none.
    Up,
    /// There is one.
    Down,
    /// It cannot be told.
    Unknown,
}

/// Why there is no state to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The service directory cannot be entered.
    NoDirectory(Errno),
    /// The log directory cannot be entered.
    NoLogDirectory(Errno),
    /// Nobody reads `supervise/ok`.
    NotRunning,
    /// A file of `supervise/`.
    File(&'static [u8], Errno),
    /// `supervise/status` is not one.
    BadFormat,
}

impl Trouble {
    /// How bad it is, what it is, and why.
    pub(crate) const fn words(self) -> (&'static [u8], &'static [u8], Option<Errno>) {
        match self {
            Self::NoDirectory(e) => (b"fail: ", b"unable to change to service directory", Some(e)),
            Self::NoLogDirectory(e) => (b"warning: ", b"unable to change directory", Some(e)),
            Self::NotRunning => (b"fail: ", b"runsv not running", None),
            Self::File(what, e) => (b"warning: ", what, Some(e)),
            Self::BadFormat => (b"warning: ", b"unable to read supervise/status: bad format", None),
        }
    }
}

/// A service, or its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The service.
    Service,
    /// Its log service, after the service's own words.
    Log,
}

/// What is out of the ordinary, in runit's order; `not ready`, which runit does not know, is the last.
pub(crate) fn flags(s: &Status, normally: Normally, ready: Readiness) -> impl Iterator<Item = &'static [u8]> {
    let up = s.pid != 0;
    let flags: [(bool, &[u8]); 7] = [
        (up && normally == Normally::Down, b"normally down"),
        (up && s.paused, b"paused"),
        (up && s.want == Want::Down, b"want down"),
        (up && s.got_term, b"got TERM"),
        (!up && normally == Normally::Up, b"normally up"),
        (!up && s.want == Want::Up, b"want up"),
        (up && s.state == State::Run && ready == Readiness::NotYet, b"not ready"),
    ];
    flags.into_iter().filter(|(is, _)| *is).map(|(_, flag)| flag)
}

/// What was printed and what it amounts to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Text not yet written.
    pub(crate) text: Vec<u8>,
    failed: u8,
    lsb: u8,
}

impl Report {
    /// Writes out what there is. A closed standard output is no reason to stop half way through the services.
    pub(crate) fn flush(&mut self) {
        if !self.text.is_empty() {
            let _ = sys::msg::print(&[&self.text]);
            self.text.clear();
        }
    }

    /// Appends a part of a line.
    pub(crate) fn put(&mut self, part: &[u8]) {
        self.text.extend_from_slice(part);
    }

    /// `STATE: NAME: [(pid N) ]Ns` and the flags; no line end.
    pub(crate) fn unit(&mut self, name: &[u8], s: &Status, normally: Normally, ready: Readiness, now: Wall) {
        self.put(match s.state {
            State::Down => b"down: ",
            State::Run => b"run: ",
            State::Finish => b"finish: ",
        });
        self.put(name);
        self.put(b": ");
        match s.state {
            State::Down => {}
            State::Run | State::Finish => {
                self.put(b"(pid ");
                self.put(Dec::new(s.pid.into()).as_bytes());
                self.put(b") ");
            }
        }
        let seconds = Tai64n::from(now).label.saturating_sub(s.since.label);
        self.put(Dec::new(seconds).as_bytes());
        self.put(b"s");
        for flag in flags(s, normally, ready) {
            self.put(b", ");
            self.put(flag);
        }
    }

    /// Notes the state of a service that `status` printed; the log's state does not count.
    pub(crate) fn found(&mut self, s: &Status) {
        self.lsb = match s.state {
            State::Run | State::Finish => 0,
            State::Down => LSB_DOWN,
        };
    }

    /// A service that did not get where it should.
    pub(crate) fn late(&mut self) {
        self.count();
        self.lsb = 1;
    }

    /// `ok: NAME: runsv not running`, which is what `exit` is for.
    pub(crate) fn ended(&mut self, name: &[u8]) {
        self.put(b"ok: ");
        self.put(name);
        self.put(b": runsv not running\n");
    }

    /// Says what is wrong; no line end.
    pub(crate) fn trouble(&mut self, name: &[u8], whose: Whose, trouble: Trouble) {
        let (level, what, why) = trouble.words();
        self.count();
        match whose {
            Whose::Service => {
                self.lsb = match trouble {
                    Trouble::NoDirectory(_) | Trouble::NoLogDirectory(_) | Trouble::NotRunning => 1,
                    Trouble::File(..) | Trouble::BadFormat => LSB_UNREADABLE,
                }
            }
            Whose::Log => self.put(b"; "),
        }
        self.put(level);
        self.put(name);
        if whose == Whose::Log {
            self.put(b"/log");
        }
        self.put(b": ");
        self.put(what);
        if let Some(e) = why {
            self.put(b": ");
            self.put(errtext(e).as_bytes());
        }
    }

    fn count(&mut self) {
        self.failed = (self.failed + 1).min(MAX_FAILED);
    }

    /// The exit code. An init script's `status` tells the state; everything else failed or not.
    pub(crate) fn code(&self, manner: Manner, is_status: bool) -> u8 {
        match manner {
            Manner::Sv => self.failed,
            Manner::Lsb if is_status => self.lsb,
            Manner::Lsb => self.failed.min(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall { secs: 1000, nanos: 5 };

    fn since(seconds_ago: i64) -> Tai64n {
        Tai64n::from(Wall { secs: NOW.secs - seconds_ago, nanos: 999_999_999 })
    }

    fn unit(s: &Status, normally: Normally) -> String {
        let mut r = Report::default();
        r.unit(b"foo", s, normally, Readiness::Untold, NOW);
        String::from_utf8(r.text).unwrap()
    }

    #[test]
    fn lines_are_runits() {
        use Normally::{Down, Unknown, Up};
        let run = Status { since: since(5), pid: 123, want: Want::Up, state: State::Run, ..Status::default() };
        assert_eq!(unit(&run, Up), "run: foo: (pid 123) 5s");
        assert_eq!(unit(&run, Unknown), "run: foo: (pid 123) 5s");
        let worst = Status { paused: true, want: Want::Down, got_term: true, ..run };
        assert_eq!(unit(&worst, Down), "run: foo: (pid 123) 5s, normally down, paused, want down, got TERM");
        let down = Status { since: since(1), want: Want::Up, ..Status::default() };
        assert_eq!(unit(&down, Up), "down: foo: 1s, normally up, want up");
        assert_eq!(unit(&Status { want: Want::Down, since: since(0), ..down }, Down), "down: foo: 0s");
        assert_eq!(unit(&Status { want: Want::Down, paused: true, ..down }, Unknown), "down: foo: 1s");
        let finish = Status { pid: 9, since: since(4), want: Want::Down, state: State::Finish, ..run };
        assert_eq!(unit(&finish, Up), "finish: foo: (pid 9) 4s, want down");
        // Between run's death and finish's start; and a start in the future.
        let gap = Status { pid: 0, since: since(-100), state: State::Finish, ..run };
        assert_eq!(unit(&gap, Up), "finish: foo: (pid 0) 0s, normally up, want up");
        assert_eq!(
            unit(&Status { pid: u32::MAX, since: Tai64n::default(), ..run }, Up),
            "run: foo: (pid 4294967295) 4611686018427388914s"
        );
    }

    #[test]
    fn not_ready_comes_last() {
        let line = |s: &Status, ready| {
            let mut r = Report::default();
            r.unit(b"foo", s, Normally::Down, ready, NOW);
            String::from_utf8(r.text).unwrap()
        };
        let run = Status { since: since(5), pid: 123, got_term: true, state: State::Run, ..Status::default() };
        assert_eq!(
            line(&run, Readiness::NotYet),
            "run: foo: (pid 123) 5s, normally down, want down, got TERM, not ready"
        );
        assert_eq!(line(&run, Readiness::Ready), "run: foo: (pid 123) 5s, normally down, want down, got TERM");
        let finish = Status { state: State::Finish, ..run };
        assert!(!line(&finish, Readiness::NotYet).contains("ready"));
        assert_eq!(line(&Status { since: since(1), ..Status::default() }, Readiness::NotYet), "down: foo: 1s");
    }

    fn trouble(whose: Whose, t: Trouble) -> String {
        let mut r = Report::default();
        r.trouble(b"foo", whose, t);
        String::from_utf8(r.text).unwrap()
    }

    #[test]
    fn troubles_are_runits() {
        use Whose::{Log, Service};
        for (whose, what, line) in [
            (
                Service,
                Trouble::NoDirectory(Errno::ENOENT),
                "fail: foo: unable to change to service directory: file does not exist",
            ),
            (Service, Trouble::NotRunning, "fail: foo: runsv not running"),
            (
                Service,
                Trouble::File(b"unable to open supervise/ok", Errno::ENOENT),
                "warning: foo: unable to open supervise/ok: file does not exist",
            ),
            (
                Service,
                Trouble::File(b"unable to open supervise/ok", Errno::EACCES),
                "warning: foo: unable to open supervise/ok: access denied",
            ),
            (Service, Trouble::BadFormat, "warning: foo: unable to read supervise/status: bad format"),
            (
                Log,
                Trouble::NoLogDirectory(Errno::ENOTDIR),
                "; warning: foo/log: unable to change directory: not a directory",
            ),
            (Log, Trouble::NotRunning, "; fail: foo/log: runsv not running"),
        ] {
            assert_eq!(trouble(whose, what), line);
        }
    }

    #[test]
    fn exit_codes() {
        let mut r = Report::default();
        assert_eq!((r.code(Manner::Sv, true), r.code(Manner::Lsb, true)), (0, 0));
        r.found(&Status::default());
        assert_eq!((r.code(Manner::Sv, true), r.code(Manner::Lsb, true)), (0, 3));
        // The log's trouble counts for sv, but does not hide the service's state.
        r.trouble(b"a", Whose::Log, Trouble::NotRunning);
        assert_eq!((r.code(Manner::Sv, true), r.code(Manner::Lsb, true)), (1, 3));
        r.trouble(b"a", Whose::Service, Trouble::BadFormat);
        assert_eq!((r.code(Manner::Sv, true), r.code(Manner::Lsb, true)), (2, 4));
        r.trouble(b"a", Whose::Service, Trouble::NotRunning);
        assert_eq!((r.code(Manner::Lsb, true), r.code(Manner::Lsb, false)), (1, 1));
        (0..200).for_each(|_| r.late());
        assert_eq!((r.code(Manner::Sv, false), r.code(Manner::Lsb, false)), (99, 1));
    }
}
