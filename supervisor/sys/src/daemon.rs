//! Going to the background, for programs that are started without a supervisor.

use crate::file::{CWD, OPEN};
use crate::pidfile::PidFile;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

/// Returns in a child with all descriptors and locks, a session of its own and /dev/null as standard input, output and
/// error. The process that was started ends with 0, after it wrote the child's number into `pidfile`: whoever waits for its
/// end finds the right one. The working directory stays.
///
/// Only for a process with one thread.
#[expect(unsafe_code, reason = "fork and an exit that cleans up nothing")]
pub fn background(pidfile: Option<&PidFile>) -> Result<(), Errno> {
    // SAFETY: our daemons have one thread, so the child may do whatever the parent may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            // It could be written before, and the child is not to be ended by a full disk.
            let _ = pidfile.map(|file| file.write(child));
            // SAFETY: always sound; destructors must not run here, they would remove what the child goes on using.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Child => detach(),
    }
}

/// The second half of [`background`], for a process that is a child already.
pub fn detach() -> Result<(), Errno> {
    let null = openat(CWD, "/dev/null", OFlag::O_RDWR | OPEN, Mode::empty())?;
    setsid()?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)
}
