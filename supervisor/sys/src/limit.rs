//! Resource limits of this process and of what it becomes.

use nix::errno::Errno;
pub use nix::sys::resource::Resource;
use nix::sys::resource::{getrlimit, setrlimit};

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
