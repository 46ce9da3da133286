//! Signals as a descriptor: blocked in this process, read where everything else is read.
//!
//! [`crate::spawn`] starts children with a clean mask, so the block does not leak into services.

pub use nix::sys::signal::Signal;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::{errno::Errno, unistd::Pid};
use std::os::fd::{AsFd, BorrowedFd};

/// The signals this process takes through a descriptor.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks `wanted` for the process and opens the descriptor (non-blocking, close-on-exec).
    pub fn take(wanted: &[Signal]) -> Result<Self, Errno> {
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

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends `signal` to `pid`.
pub fn kill(pid: Pid, signal: Signal) -> Result<(), Errno> {
    nix::sys::signal::kill(pid, signal)
}
