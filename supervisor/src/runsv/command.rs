//! The control characters of `supervise/control` and the scripts in `control/` (spec runit §1.5, §1.6).

use std::ffi::CStr;
use sys::signal::Signal;

/// What one byte asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `u`: start, and restart whenever it ends.
    Up,
    /// `d`: stop, and do not restart.
    Down,
    /// `o`: start if it is not running, do not restart.
    Once,
    /// `x`: as [`Self::Down`], then end the supervisor.
    Exit,
    /// `t`: TERM.
    Term,
    /// `k`: KILL.
    Kill,
    /// `p`: STOP.
    Pause,
    /// `c`: CONT.
    Continue,
    /// `h a i q 1 2`.
    Pass(Pass),
}

/// Signals that are handed on and mean nothing to the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// `h`
    Hup,
    /// `a`
    Alarm,
    /// `i`
    Interrupt,
    /// `q`
    Quit,
    /// `1`
    Usr1,
    /// `2`
    Usr2,
}

impl Command {
    /// None for every other byte: `echo t >control` works.
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'u' => Self::Up,
            b'd' => Self::Down,
            b'o' => Self::Once,
            b'x' => Self::Exit,
            b't' => Self::Term,
            b'k' => Self::Kill,
            b'p' => Self::Pause,
            b'c' => Self::Continue,
            b'h' => Self::Pass(Pass::Hup),
            b'a' => Self::Pass(Pass::Alarm),
            b'i' => Self::Pass(Pass::Interrupt),
            b'q' => Self::Pass(Pass::Quit),
            b'1' => Self::Pass(Pass::Usr1),
            b'2' => Self::Pass(Pass::Usr2),
            _ => return None,
        })
    }
}

impl Pass {
    /// The signal of that letter.
    pub(crate) const fn signal(self) -> Signal {
        match self {
            Self::Hup => Signal::SIGHUP,
            Self::Alarm => Signal::SIGALRM,
            Self::Interrupt => Signal::SIGINT,
            Self::Quit => Signal::SIGQUIT,
            Self::Usr1 => Signal::SIGUSR1,
            Self::Usr2 => Signal::SIGUSR2,
        }
    }
}

/// A file in `control/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Before every start of `run`; what it says is ignored.
    Up,
    /// May veto TERM.
    Term,
    /// After TERM and CONT of a `d`; what it says is ignored.
    Down,
    /// After TERM and CONT of an `x`; what it says is ignored.
    Exit,
    /// May veto KILL.
    Kill,
    /// May veto STOP.
    Pause,
    /// May veto CONT.
    Continue,
    /// May veto the signal.
    Pass(Pass),
}

impl Script {
    /// Relative to the service directory; also the name the script sees.
    pub(crate) const fn path(self) -> &'static CStr {
        match self {
            Self::Up => c"control/u",
            Self::Term => c"control/t",
            Self::Down => c"control/d",
            Self::Exit => c"control/x",
            Self::Kill => c"control/k",
            Self::Pause => c"control/p",
            Self::Continue => c"control/c",
            Self::Pass(Pass::Hup) => c"control/h",
            Self::Pass(Pass::Alarm) => c"control/a",
            Self::Pass(Pass::Interrupt) => c"control/i",
            Self::Pass(Pass::Quit) => c"control/q",
            Self::Pass(Pass::Usr1) => c"control/1",
            Self::Pass(Pass::Usr2) => c"control/2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fourteen_letters_and_nothing_else() {
        let known: Vec<u8> = (0..=255).filter(|&b| Command::from_byte(b).is_some()).collect();
        assert_eq!(known, b"12acdhikopqtux");
    }

    #[test]
    fn a_signal_and_its_script_share_the_letter() {
        for letter in *b"haiq12" {
            let Some(Command::Pass(pass)) = Command::from_byte(letter) else { panic!("{letter}") };
            assert_eq!(Script::Pass(pass).path().to_bytes(), [b"control/".as_slice(), &[letter]].concat());
        }
    }
}
