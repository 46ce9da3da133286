//! An older kernel for one command: system calls that it does not have, by a filter that what it executes inherits.

use nix::libc;
use std::io;

/// A system call of the running architecture and the errno it answers.
pub type Missing = (libc::c_long, i32);

/// No Landlock in the kernel.
pub const NO_LANDLOCK: Missing = (libc::SYS_landlock_create_ruleset, libc::ENOSYS);
/// Landlock in the kernel, but not among the modules it was booted with.
pub const LANDLOCK_OFF: Missing = (libc::SYS_landlock_create_ruleset, libc::EOPNOTSUPP);
/// No seccomp filters, or a container that forbids them.
pub const NO_SECCOMP: Missing = (libc::SYS_seccomp, libc::ENOSYS);
/// Linux before 5.3: no descriptor for a process.
pub const NO_PIDFD: Missing = (libc::SYS_pidfd_open, libc::ENOSYS);

// Classic BPF (linux/filter.h) over struct seccomp_data, which begins with the call's number.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

/// The filter.
pub(crate) fn program(missing: &[Missing]) -> Vec<libc::sock_filter> {
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = vec![instruction(LOAD, 0, 0, 0)];
    for (call, errno) in missing {
        program.push(instruction(IF_EQUAL, 0, 1, u32::try_from(*call).expect("a system call's number")));
        program.push(instruction(RETURN, 0, 0, ERRNO | u32::try_from(*errno).expect("an errno")));
    }
    program.push(instruction(RETURN, 0, 0, ALLOW));
    program
}

/// Binds this process and its children. It needs CAP_SYS_ADMIN, so that nothing else changes for it. Allocates nothing.
#[expect(unsafe_code, reason = "no safe wrapper for PR_SET_SECCOMP")]
pub(crate) fn install(program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).unwrap_or(u16::MAX);
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: the program and the structure that points to it live through the call, which only reads them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
