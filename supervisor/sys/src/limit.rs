//! Resource limits of this process, of what it becomes, and of its children.

use crate::file::{self, CWD};
use nix::errno::Errno;
pub use nix::sys::resource::Resource;
use nix::sys::resource::{getrlimit, setrlimit};
use std::sync::OnceLock;

/// Which step of [`set_soft`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking for the hard limit.
    Read,
    /// Setting the soft one.
    Write,
}

/// Sets the soft limit to `wanted` (bytes, seconds or a count), but never above the hard limit, which stays as it is.
pub fn set_soft(resource: Resource, wanted: u64) -> Result<(), (Step, Errno)> {
    let (_, hard) = getrlimit(resource).map_err(|e| (Step::Read, e))?;
    setrlimit(resource, wanted.min(hard), hard).map_err(|e| (Step::Write, e))
}

/// Descriptors a process may have at most, soft and hard.
pub type Files = (u64, u64);

/// What this process was given, if [`raise_files`] changed it.
static GIVEN: OnceLock<Files> = OnceLock::new();

/// As many descriptors as one process ever needs.
const FILES: u64 = 1 << 20;

/// Lets this process have as many descriptors as it is allowed, and with the right to do so up to [`FILES`]. Children that are
/// started from now on get what this process was given. Returns how many it may have now; fails only if that cannot be read.
pub fn raise_files() -> Result<u64, Errno> {
    let given @ (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = hard.max(FILES.min(files_of_any()));
    let mut more = [most, hard].into_iter().filter(|n| *n > soft);
    let raised = more.find(|n| setrlimit(Resource::RLIMIT_NOFILE, *n, (*n).max(hard)).is_ok());
    if raised.is_some() {
        // Only the first answer is what was given.
        let _ = GIVEN.set(given);
    }
    Ok(raised.unwrap_or(soft))
}

/// What a child is to be given, if that is not this process's own limit.
pub(crate) fn given_files() -> Option<Files> {
    GIVEN.get().copied()
}

/// The most the kernel gives to any process.
fn files_of_any() -> u64 {
    let mut buf = [0; 24];
    let text = file::read_into(CWD, c"/proc/sys/fs/nr_open", &mut buf).unwrap_or_default();
    core::str::from_utf8(text).ok().and_then(|t| t.trim_end().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_bounds_and_stays() {
        let (_, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
        set_soft(Resource::RLIMIT_CORE, 0).unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((0, hard)));
        set_soft(Resource::RLIMIT_CORE, u64::MAX).unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((hard, hard)));
    }
}
