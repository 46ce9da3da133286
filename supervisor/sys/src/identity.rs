//! Who and where this process is: user and groups, session, root directory, priority. For the tools that change themselves
//! and then become another program (`chpst`); daemons that start children say so in [`crate::spawn`].

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::unistd::{Gid, Uid, chdir, chroot, setgid, setgroups, setsid, setuid};
use std::ffi::OsStr;

/// Which step of [`become_user`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The supplementary groups.
    Groups,
    /// The group.
    Group,
    /// The user.
    User,
}

/// Takes on exactly these groups, of which the first is the group, and then this user. Nothing of the old identity is left.
pub fn become_user(uid: u32, gids: &[u32]) -> Result<(), (Step, Errno)> {
    let groups: Vec<Gid> = gids.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).map_err(|e| (Step::Groups, e))?;
    if let Some(&first) = groups.first() {
        setgid(first).map_err(|e| (Step::Group, e))?;
    }
    setuid(Uid::from_raw(uid)).map_err(|e| (Step::User, e))
}

/// A session of its own. `EPERM` if this process already leads a group.
pub fn new_session() -> Result<(), Errno> {
    setsid().map(drop)
}

/// Changes the working directory.
pub fn change_directory(path: &OsStr) -> Result<(), Errno> {
    chdir(path)
}

/// Makes the working directory the root.
pub fn root_is_here() -> Result<(), Errno> {
    chroot(".")
}

/// Adds to the nice level; the kernel keeps the sum between -20 and 19.
#[expect(unsafe_code, reason = "nix has no nice")]
pub fn add_nice(by: i32) -> Result<(), Errno> {
    Errno::clear();
    // SAFETY: always sound. -1 is also a valid new level, so only errno tells.
    let level: c_int = unsafe { libc::nice(by) };
    let why = Errno::last();
    if level == -1 && why != Errno::UnknownErrno { Err(why) } else { Ok(()) }
}
