//! The seccomp filter: a list of system calls that may be made, as a program for the kernel's packet filter.
//!
//! What is not on the list answers EPERM and, where the kernel logs such things, leaves a line in its log: a libc that wants
//! something new must not bring a network down (that is what killing did to others). A call of another architecture's table
//! kills. Lists and program are small enough to be written here; a library would be several times as large.

use nix::libc;
use sys::Errno;

/// What a process may do beside reading and writing what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Open, replace and remove files; where, is [`super::landlock`]'s to say.
    pub files: bool,
    /// Connect the sockets it is given.
    pub connect: bool,
    /// Go to the background.
    pub background: bool,
    /// Make sockets.
    pub sockets: bool,
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// `libc::SYS_*` of both architectures.
macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name as u32),*] };
}

/// Memory, time, signals, and whatever is open.
const ALWAYS: &[u32] = calls! {
    SYS_read SYS_write SYS_readv SYS_writev SYS_close SYS_ppoll SYS_recvfrom SYS_recvmsg SYS_sendto SYS_sendmsg
    SYS_getsockopt SYS_getpeername SYS_getsockname SYS_fstat SYS_lseek SYS_fsync SYS_ftruncate SYS_fchmod SYS_flock
    SYS_timerfd_settime SYS_clock_gettime SYS_getrandom SYS_getpid SYS_gettid SYS_wait4 SYS_waitid SYS_futex
    SYS_restart_syscall SYS_rt_sigreturn SYS_rt_sigprocmask SYS_rt_sigaction SYS_sigaltstack SYS_brk SYS_munmap SYS_mremap
    SYS_madvise SYS_exit SYS_exit_group
};
/// Those only x86-64 has.
#[cfg(target_arch = "x86_64")]
const ALWAYS_HERE: &[u32] = calls! { SYS_poll };
#[cfg(not(target_arch = "x86_64"))]
const ALWAYS_HERE: &[u32] = &[];

const FILES: &[u32] = calls! {
    SYS_openat SYS_newfstatat SYS_statx SYS_renameat SYS_renameat2 SYS_unlinkat SYS_mkdirat SYS_inotify_add_watch
    SYS_getdents64
};
#[cfg(target_arch = "x86_64")]
const FILES_HERE: &[u32] = calls! { SYS_open SYS_stat SYS_lstat SYS_rename SYS_unlink SYS_mkdir };
#[cfg(not(target_arch = "x86_64"))]
const FILES_HERE: &[u32] = &[];

const CONNECT: &[u32] = calls! { SYS_connect };

const BACKGROUND: &[u32] = calls! { SYS_clone SYS_setsid SYS_dup3 SYS_set_robust_list SYS_rseq };
#[cfg(target_arch = "x86_64")]
const BACKGROUND_HERE: &[u32] = calls! { SYS_fork SYS_dup2 };
#[cfg(not(target_arch = "x86_64"))]
const BACKGROUND_HERE: &[u32] = &[];

const SOCKETS: &[u32] = calls! { SYS_socket SYS_bind SYS_connect SYS_setsockopt };

// Classic BPF (linux/filter.h) over struct seccomp_data: number at 0, architecture at 4, arguments from 16 on.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER_OR_EQUAL: u16 = 0x35;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The lower half of the n-th argument, on a little-endian machine.
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;
/// The bit of the x32 table, whose calls come as x86-64's.
const X32: u32 = 0x4000_0000;

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

fn program(calls: Calls) -> Vec<libc::sock_filter> {
    let mut p = vec![
        instruction(LOAD, 0, 0, ARCH),
        instruction(IF_EQUAL, 1, 0, ARCHITECTURE),
        instruction(RETURN, 0, 0, KILL_PROCESS),
        instruction(LOAD, 0, 0, NUMBER),
    ];
    if cfg!(target_arch = "x86_64") {
        p.extend([instruction(IF_GREATER_OR_EQUAL, 0, 1, X32), instruction(RETURN, 0, 0, KILL_PROCESS)]);
    }
    // Memory, but none that can be executed; and of a descriptor's settings none that make the kernel send signals.
    for (call, at, forbidden) in [
        (libc::SYS_mmap as u32, argument(2), libc::PROT_EXEC as u32),
        (libc::SYS_mprotect as u32, argument(2), libc::PROT_EXEC as u32),
    ] {
        p.extend([
            instruction(IF_EQUAL, 0, 4, call),
            instruction(LOAD, 0, 0, at),
            instruction(IF_ANY_BIT, 0, 1, forbidden),
            instruction(RETURN, 0, 0, REFUSE),
            instruction(RETURN, 0, 0, ALLOW),
        ]);
    }
    let settings = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC];
    p.extend([
        instruction(IF_EQUAL, 0, 2 + 2 * settings.len() as u8, libc::SYS_fcntl as u32),
        instruction(LOAD, 0, 0, argument(1)),
    ]);
    p.extend(settings.iter().flat_map(|s| allow(*s as u32)));
    p.push(instruction(RETURN, 0, 0, REFUSE));
    let lists = [
        (true, ALWAYS),
        (true, ALWAYS_HERE),
        (calls.files, FILES),
        (calls.files, FILES_HERE),
        (calls.connect, CONNECT),
        (calls.background, BACKGROUND),
        (calls.background, BACKGROUND_HERE),
        (calls.sockets, SOCKETS),
    ];
    let listed = lists.into_iter().filter(|(wanted, _)| *wanted).flat_map(|(_, list)| list);
    p.extend(listed.flat_map(|call| allow(*call)));
    p.push(instruction(RETURN, 0, 0, REFUSE));
    p
}

const fn allow(value: u32) -> [libc::sock_filter; 2] {
    [instruction(IF_EQUAL, 0, 1, value), instruction(RETURN, 0, 0, ALLOW)]
}

/// SECCOMP_SET_MODE_FILTER.
const SET_FILTER: u32 = 1;
/// SECCOMP_FILTER_FLAG_LOG, since Linux 4.14.
const LOG: u32 = 2;

/// From here on only `calls` may be made. The process must have no new privileges.
#[expect(unsafe_code, reason = "seccomp has no wrapper")]
pub(super) fn install(calls: Calls) -> Result<(), Errno> {
    let mut program = program(calls);
    // Below 200 instructions.
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let set = |flags: u32| {
        // SAFETY: the program and the structure that points to it live through the call, which only reads them.
        Errno::result(unsafe { libc::syscall(libc::SYS_seccomp, SET_FILTER, flags, core::ptr::from_ref(&filter)) })
    };
    match set(LOG) {
        Err(Errno::EINVAL) => set(0).map(drop),
        other => other.map(drop),
    }
}

/// No program this process starts gets more rights than it has itself.
#[expect(unsafe_code, reason = "nix's prctl module is not among its features used here")]
pub(super) fn no_new_privileges() -> Result<(), Errno> {
    // SAFETY: plain numbers.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn verdict(calls: Calls, arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [number.to_ne_bytes(), arch.to_ne_bytes(), [0; 4], [0; 4]].concat();
        data.extend(arguments.iter().flat_map(|a| a.to_ne_bytes()));
        let program = program(calls);
        let (mut at, mut a) = (0, 0);
        loop {
            let i = program[at];
            at += 1;
            let skip = |yes| usize::from(if yes { i.jt } else { i.jf });
            match i.code {
                LOAD => {
                    let from = usize::try_from(i.k).unwrap();
                    a = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
                }
                IF_EQUAL => at += skip(a == i.k),
                IF_GREATER_OR_EQUAL => at += skip(a >= i.k),
                IF_ANY_BIT => at += skip(a & i.k != 0),
                RETURN => return i.k,
                other => panic!("no such instruction: {other}"),
            }
        }
    }

    fn here(calls: Calls, number: libc::c_long, arguments: [u64; 6]) -> u32 {
        verdict(calls, ARCHITECTURE, u32::try_from(number).unwrap(), arguments)
    }

    #[test]
    fn what_is_listed_and_nothing_else() {
        let none = Calls::default();
        let all = Calls { files: true, connect: true, background: true, sockets: true };
        for number in 0..1024 {
            let listed = [ALWAYS, ALWAYS_HERE].concat().contains(&number);
            let checked = [libc::SYS_mmap, libc::SYS_mprotect].contains(&libc::c_long::from(number));
            let expected = if listed || checked { ALLOW } else { REFUSE };
            assert_eq!(verdict(none, ARCHITECTURE, number, [0; 6]), expected, "{number}");
        }
        for number in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace, libc::SYS_kill, libc::SYS_prctl] {
            assert_eq!((here(none, number, [0; 6]), here(all, number, [0; 6])), (REFUSE, REFUSE));
        }
        for (number, calls) in [
            (libc::SYS_openat, Calls { files: true, ..none }),
            (libc::SYS_connect, Calls { connect: true, ..none }),
            (libc::SYS_clone, Calls { background: true, ..none }),
            (libc::SYS_socket, Calls { sockets: true, ..none }),
        ] {
            assert_eq!((here(none, number, [0; 6]), here(calls, number, [0; 6])), (REFUSE, ALLOW));
        }
    }

    #[test]
    fn arguments_and_architectures() {
        let none = Calls::default();
        let third = |value: i32| [0, 0, u64::try_from(value).unwrap(), 0, 0, 0];
        let second = |value: i32| [0, u64::try_from(value).unwrap(), 0, 0, 0, 0];
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            assert_eq!(here(none, call, third(libc::PROT_READ | libc::PROT_WRITE)), ALLOW);
            assert_eq!(here(none, call, third(libc::PROT_READ | libc::PROT_EXEC)), REFUSE);
        }
        assert_eq!(here(none, libc::SYS_fcntl, second(libc::F_SETFL)), ALLOW);
        assert_eq!(here(none, libc::SYS_fcntl, second(libc::F_SETOWN)), REFUSE);
        assert_eq!(verdict(none, 0x4000_0003, 0, [0; 6]), KILL_PROCESS, "another architecture");
        if cfg!(target_arch = "x86_64") {
            assert_eq!(verdict(none, ARCHITECTURE, X32, [0; 6]), KILL_PROCESS);
        }
    }
}
