//! Landlock: which files may still be opened, and that no TCP port, abstract socket or foreign process is in reach.
//!
//! By the three system calls themselves (linux/landlock.h). What a kernel does not know yet is left out.

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, fstat};
use std::os::fd::AsRawFd;
use std::path::Path;
use sys::Errno;

/// What may be done at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read, make, replace and remove plain files in this directory and below.
    Files,
    /// Read the plain files and list the directories below.
    Read,
    /// Write to the file, which exists.
    Write,
    /// Remove what is in this directory.
    Remove,
}

// LANDLOCK_ACCESS_FS_*
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_REG: u64 = 1 << 8;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// Rights a rule for a single file may hold.
const OF_A_FILE: u64 = 1 | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
// LANDLOCK_ACCESS_NET_*
const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 2;
/// LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, LANDLOCK_SCOPE_SIGNAL.
const SCOPES: u64 = 3;

/// LANDLOCK_CREATE_RULESET_VERSION.
const ASK_VERSION: u32 = 1;
/// LANDLOCK_RULE_PATH_BENEATH.
const PATH_BENEATH: u32 = 1;

#[repr(C)]
struct Ruleset {
    files: u64,
    net: u64,
    scopes: u64,
}

#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// Which uses of the network and of existing files stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exempt {
    /// TCP connections.
    pub connect: bool,
    /// Writing to any file that is there: control fifos which come and go.
    pub write: bool,
    /// Signals to others.
    pub signals: bool,
}

/// From here on only `allowed` may be opened, with these exceptions. A place that is not there is left out.
pub(super) fn restrict(allowed: &[(&Path, Access)], exempt: Exempt) -> Result<(), Errno> {
    let version = create(None, ASK_VERSION)?;
    let files = handled(version) & if exempt.write { !(WRITE_FILE | IOCTL_DEV) } else { !0 };
    let rules = Ruleset {
        files,
        net: if version < 4 { 0 } else { BIND_TCP | if exempt.connect { 0 } else { CONNECT_TCP } },
        scopes: if version < 6 { 0 } else { SCOPES & if exempt.signals { 1 } else { !0 } },
    };
    let ruleset = create(Some(&rules), 0)?;
    let result = allowed.iter().try_for_each(|(path, access)| add(ruleset, path, *access, files));
    let result = result.and_then(|()| enforce(ruleset));
    let _ = nix::unistd::close(ruleset);
    result
}

/// Every right of the version: 13 at first, then REFER, TRUNCATE, and since the fifth IOCTL_DEV.
const fn handled(version: i32) -> u64 {
    match version {
        ..=1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        5.. => (1 << 16) - 1,
    }
}

fn add(ruleset: i32, path: &Path, access: Access, handled: u64) -> Result<(), Errno> {
    let dir = match open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(dir) => dir,
        Err(Errno::ENOENT) => return Ok(()),
        Err(e) => return Err(e),
    };
    let mut allowed = handled
        & match access {
            Access::Files => WRITE_FILE | READ_FILE | READ_DIR | REMOVE_FILE | MAKE_REG | TRUNCATE,
            Access::Read => READ_FILE | READ_DIR,
            Access::Write => WRITE_FILE | READ_FILE,
            Access::Remove => REMOVE_FILE,
        };
    if SFlag::from_bits_truncate(fstat(&dir)?.st_mode) & SFlag::S_IFMT != SFlag::S_IFDIR {
        allowed &= OF_A_FILE;
    }
    // The kernel takes no rule that allows nothing.
    if allowed == 0 { Ok(()) } else { beneath(ruleset, &Beneath { allowed, parent: dir.as_raw_fd() }) }
}

#[expect(unsafe_code, reason = "landlock has no wrapper")]
fn create(rules: Option<&Ruleset>, flags: u32) -> Result<i32, Errno> {
    let (at, size) = rules.map_or((core::ptr::null(), 0), |r| (core::ptr::from_ref(r), size_of::<Ruleset>()));
    // SAFETY: null and 0, or a whole structure that lives through the call.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, at, size, flags) };
    Errno::result(result).map(|n| i32::try_from(n).unwrap_or(0))
}

#[expect(unsafe_code, reason = "landlock has no wrapper")]
fn beneath(ruleset: i32, rule: &Beneath) -> Result<(), Errno> {
    // SAFETY: the descriptors are open; the rule is of the announced type and lives through the call.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, PATH_BENEATH, core::ptr::from_ref(rule), 0u32) };
    Errno::result(result).map(drop)
}

#[expect(unsafe_code, reason = "landlock has no wrapper")]
fn enforce(ruleset: i32) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    Errno::result(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0u32) }).map(drop)
}
