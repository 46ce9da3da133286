//! Signals as a descriptor: blocked in this process, read where everything else is read.
//!
//! [`crate::spawn`] starts children with a clean mask, so the block does not leak into services.

pub use nix::sys::signal::Signal;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::{errno::Errno, unistd::Pid};
use std::os::fd::{AsFd, BorrowedFd};

/// The signals this process takes through a descriptor.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks `wanted` for the process and opens the descriptor (non-blocking, close-on-exec).
    ///
    /// Dispositions are set back to the default: an inherited "ignore" would swallow the signal before it is read, and for
    /// CHLD would make the kernel reap the children.
    pub fn take(wanted: &[Signal]) -> Result<Self, Errno> {
        for &signal in wanted {
            undo_ignore(signal)?;
        }
        let set = SigSet::from_iter(wanted.iter().copied());
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Self)
    }

    /// The next pending signal.
    pub fn next(&self) -> Option<Signal> {
        let info = self.0.read_signal().ok().flatten()?;
        i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok())
    }
}

#[expect(unsafe_code, reason = "nix cannot know that SIG_DFL needs no handler")]
fn undo_ignore(signal: Signal) -> Result<(), Errno> {
    // SAFETY: no handler is installed.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }.map(|_| ())
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends `signal` to every process of the group `leader` leads or led.
pub fn kill_group(leader: Pid, signal: Signal) -> Result<(), Errno> {
    nix::sys::signal::killpg(leader, signal)
}

/// Sends `signal` to `pid`.
pub fn kill(pid: Pid, signal: Signal) -> Result<(), Errno> {
    nix::sys::signal::kill(pid, signal)
}
