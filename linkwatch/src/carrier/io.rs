//! What goes into the carrier machine and what comes out.

use core::time::Duration;
use sys::clock::Instant;

/// What the handler is told: its second argument, and `IFPLUGD_PREVIOUS`/`IFPLUGD_CURRENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Frames can pass.
    Up,
    /// They cannot.
    Down,
}

impl Status {
    /// The word of the handler contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// The interface as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No interface has the name we watch.
    Missing,
    /// It is there.
    Present {
        /// Its number; another number under the same name is another interface (a USB adapter plugged in again).
        index: u32,
        /// Up by flags and operstate (RFC 2863): carrier, and neither dormant nor waiting for a lower device.
        up: bool,
        /// How often the carrier was ever lost. The kernel holds back and merges events; the counter shows what they hide.
        losses: u32,
    },
}

/// What a missing interface means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The daemon ends (default).
    Fatal,
    /// Link down (`-f`, `-M`).
    Down,
    /// Link up (`-F`).
    Up,
}

/// The settings, named after ifplugd's options.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `-u`: the link must be up for so long before "up" is told.
    pub up_delay: Duration,
    /// `-d`: likewise for "down".
    pub down_delay: Duration,
    /// `-p`: do not tell "up" at start.
    pub quiet_start: bool,
    /// `-l`: tell the status at start whatever it is. Stronger than `-p`.
    pub always_start: bool,
    /// `-q`: do not tell "down" at the end.
    pub quiet_exit: bool,
    /// `-I`: a handler that fails does not end the daemon.
    pub ignore_failure: bool,
    /// `-f`, `-F`, `-M`.
    pub missing: Missing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            up_delay: Duration::ZERO,
            down_delay: Duration::from_secs(5),
            quiet_start: false,
            always_start: false,
            quiet_exit: false,
            ignore_failure: false,
            missing: Missing::Fatal,
        }
    }
}

/// What the world tells the machine.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// The kernel's current view of the interface, after every event and every dump. Repeating it is harmless.
    Link(Link),
    /// The handler ended; `ok` when it exited 0.
    Finished {
        /// Exit code 0.
        ok: bool,
    },
    /// INT or TERM.
    Stop,
    /// QUIT.
    Quit,
    /// The time asked for by `Wait` has come.
    Timeout,
}

/// One run of the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The action word.
    pub action: Status,
    /// `IFPLUGD_PREVIOUS`; none is "error", the status before anything was known.
    pub previous: Option<Status>,
    /// `IFPLUGD_CURRENT`; none is "error", nobody watches any more.
    pub current: Option<Status>,
}

/// What the log hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The first status.
    Starting(Status),
    /// The link changed; the handler is called after the delay unless it changes back.
    Changed(Status, Duration),
    /// It changed back in time.
    Flap(Status),
    /// The carrier was lost and came back between two events, or the interface is another one.
    Missed,
    /// The interface is missing and nothing says what that means.
    Lost,
    /// The handler failed and `-I` is not set.
    HandlerFailed,
}

/// What the machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write a line.
    Note(Note),
    /// Start the handler. Never asked for while one runs.
    Call(Call),
    /// Nothing to do before an event, or before this time.
    Wait(Option<Instant>, &'static str),
    /// End.
    Done,
}
