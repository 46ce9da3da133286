//! capset: keep some, for good. By the system calls themselves, as libc has none for them and no library is needed for two.

use nix::libc;
use sys::Errno;

/// A capability, by the kernel's number (linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Ports below 1024.
    NetBindService = 10,
    /// Interfaces, addresses, routes.
    NetAdmin = 12,
    /// Packet and raw sockets.
    NetRaw = 13,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// 32 of the 64, twice: numbers 0 to 31, then the rest.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// _LINUX_CAPABILITY_VERSION_3.
const VERSION: u32 = 0x2008_0522;

/// Gives up every capability but those of `kept` that are there at all.
#[expect(unsafe_code, reason = "capget and capset have no wrapper")]
pub(super) fn keep(kept: &[Capability]) -> Result<(), Errno> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 fills two sets; both structures are the kernel's and live through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    let wanted = kept.iter().fold(0, |all, c| all | 1 << *c as u32);
    let kept = sets[0].permitted & wanted;
    let sets = [Sets { effective: kept, permitted: kept, inheritable: 0 }, Sets::default()];
    // SAFETY: as above; the kernel only reads.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) }).map(drop)
}
