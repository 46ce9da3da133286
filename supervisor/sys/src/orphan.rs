#![expect(clippy::disallowed_methods, reason = "asks once whether a process has ended, waits for nothing")]
//! A process that is not our child: held by a pidfd, so that a signal never goes to whoever has its number later, and its end
//! is seen by whoever polls (pidfd_open(2), Linux 5.3).
//!
//! A pid alone says little, as it is given out again. With the time of its start, which `/proc/PID/stat` has as field 22 in
//! ticks since boot (proc(5)), it names one process of one boot; [`this_boot`] names the boot, and within it the life of
//! pid 1, as a container that was started again has the boot's pids over again.

use crate::clock::Instant;
use crate::file::{CWD, read_into};
use crate::poll::{PollFd, PollFlags, readable, wait};
use crate::signal::{Signal, kill_group};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::Pid;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel shows times to programs in hundredths of a second on every architecture (USER_HZ).
const TICK: u64 = 10_000_000;

/// Length of `/proc/sys/kernel/random/boot_id`, without its line end.
pub const BOOT_ID_LEN: usize = 36;

/// Which boot this is, and the start of its pid 1 in ticks. None without `/proc`.
pub fn this_boot() -> Option<([u8; BOOT_ID_LEN], u64)> {
    let mut buf = [0; BOOT_ID_LEN];
    let id = read_into(CWD, c"/proc/sys/kernel/random/boot_id", &mut buf).ok()?;
    let id: [u8; BOOT_ID_LEN] = id.try_into().ok()?;
    Some((id, start_ticks(Pid::from_raw(1))?))
}

/// See the module.
#[derive(Debug)]
pub struct Orphan {
    pid: Pid,
    handle: OwnedFd,
}

/// Why a process cannot be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It has ended, or its number belongs to another process.
    Gone,
    /// It is there, and this kernel has no pidfd or no descriptor is left.
    Here(Errno),
}

impl Orphan {
    /// Takes hold of the process `pid` that started between the two moments (CLOCK_BOOTTIME).
    pub fn find(pid: Pid, born: (Instant, Instant)) -> Result<Self, Lost> {
        let it_is = || {
            let born = (born.0.as_nanos() / TICK)..=(born.1.as_nanos() / TICK);
            start_ticks(pid).is_some_and(|ticks| born.contains(&ticks))
        };
        if pid.as_raw() <= 0 || !it_is() {
            return Err(Lost::Gone);
        }
        match pidfd_open(pid) {
            Ok(handle) => {
                let orphan = Self { pid, handle };
                // It may have ended, and its number been given away, before it was held.
                if it_is() && !orphan.ended() { Ok(orphan) } else { Err(Lost::Gone) }
            }
            Err(Errno::ESRCH) => Err(Lost::Gone),
            Err(why) => Err(Lost::Here(why)),
        }
    }

    /// Its number.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it has ended.
    pub fn ended(&self) -> bool {
        let mut fds = [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)];
        wait(&mut fds, Instant::ZERO, Some(Instant::ZERO)).is_ok() && readable(&fds[0])
    }

    /// Sends a signal. That it has ended is `ESRCH`.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        self.send(signal, 0)
    }

    /// Sends a signal to the process group it leads or led, if it ever did.
    pub fn signal_group(&self, signal: Signal) -> Result<(), Errno> {
        // PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9.
        const GROUP: libc::c_uint = 1 << 2;
        match self.send(signal, GROUP) {
            // An older kernel. While it lives the number is its own.
            Err(Errno::EINVAL) if !self.ended() => kill_group(self.pid, signal),
            other => other,
        }
    }

    #[expect(unsafe_code, reason = "nix has no pidfd_send_signal")]
    fn send(&self, signal: Signal, flags: libc::c_uint) -> Result<(), Errno> {
        let info = core::ptr::null::<libc::siginfo_t>();
        // SAFETY: a valid descriptor; without siginfo the kernel makes that of kill(2).
        let result = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.handle.as_raw_fd(), signal as libc::c_int, info, flags)
        };
        Errno::result(result).map(drop)
    }

    /// Both ends (reading, writing) of the pipe with the inode `pipe` that it has as descriptor `fd`, opened anew; none if it has something else there.
    pub fn pipe(&self, fd: u8, pipe: u64) -> Option<(OwnedFd, OwnedFd)> {
        let mut buf = [0; PATH_MAX];
        let path = proc_path(self.pid, b"fd/", Some(fd), &mut buf)?;
        let open = |how| {
            // What is there may be anything, so it must not block; the pipe's own ends do.
            let fd =
                openat(CWD, path, how | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty()).ok()?;
            if pipe_inode(&fstat(&fd).ok()?) != Some(pipe) {
                return None;
            }
            fcntl(&fd, FcntlArg::F_SETFL(how)).ok()?;
            Some(fd)
        };
        let ends = (open(OFlag::O_RDONLY)?, open(OFlag::O_WRONLY)?);
        (!self.ended()).then_some(ends)
    }
}

impl AsFd for Orphan {
    /// Readable when it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Which pipe that is; none if it is no pipe.
pub fn pipe_of(fd: BorrowedFd<'_>) -> Option<u64> {
    fstat(fd).ok().and_then(|stat| pipe_inode(&stat))
}

fn pipe_inode(stat: &FileStat) -> Option<u64> {
    let fifo = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO;
    fifo.then_some(stat.st_ino)
}

/// `/proc/`, a pid, the longest name below it and a number.
const PATH_MAX: usize = 40;

/// `/proc/PID/NAME[FD]`
fn proc_path<'b>(pid: Pid, name: &[u8], fd: Option<u8>, buf: &'b mut [u8; PATH_MAX]) -> Option<&'b CStr> {
    let number = |n: i64| crate::msg::Dec::new(n.unsigned_abs());
    let (pid, fd) = (number(pid.as_raw().into()), fd.map(|fd| number(fd.into())));
    let parts: [&[u8]; 5] = [b"/proc/", pid.as_bytes(), b"/", name, fd.as_ref().map_or(b"", |fd| fd.as_bytes())];
    let mut rest = buf.as_mut_slice();
    for part in parts {
        let (slot, after) = rest.split_at_mut_checked(part.len())?;
        slot.copy_from_slice(part);
        rest = after;
    }
    *rest.first_mut()? = 0;
    CStr::from_bytes_until_nul(buf).ok()
}

/// Field 22 of `/proc/PID/stat`. The name of the program, in parentheses, can hold anything; what counts comes behind it.
fn start_ticks(pid: Pid) -> Option<u64> {
    let (mut path, mut buf) = ([0; PATH_MAX], [0; 512]);
    let stat = read_into(CWD, proc_path(pid, b"stat", None, &mut path)?, &mut buf).ok()?;
    let end = stat.iter().rposition(|&b| b == b')')?;
    // The next field is the third.
    let field = stat.get(end + 2..)?.split(|&b| b == b' ').nth(22 - 3)?;
    core::str::from_utf8(field).ok()?.parse().ok()
}

#[expect(unsafe_code, reason = "nix has no pidfd_open")]
fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: numbers only; the result is a new descriptor, close-on-exec, that nobody else knows.
    unsafe {
        let fd = Errno::result(libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0))?;
        let fd = libc::c_int::try_from(fd).map_err(|_| Errno::EBADF)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::boottime;
    use crate::file::{pipe, read_some, write_all};
    use crate::spawn::{Spawn, Status, reap_child};

    fn cat() -> (Pid, (Instant, Instant), (OwnedFd, OwnedFd)) {
        let (r, w) = pipe().unwrap();
        let before = boottime();
        let pid = Spawn::new(c"/bin/cat", &[c"cat"]).stdin(r.as_fd()).start().unwrap();
        (pid, (before, boottime()), (r, w))
    }

    #[test]
    fn holds_signals_and_sees_the_end() {
        let (pid, born, _pipe) = cat();
        let orphan = Orphan::find(pid, born).unwrap();
        assert!(!orphan.ended());
        orphan.signal(Signal::SIGKILL).unwrap();
        let mut fds = [PollFd::new(orphan.as_fd(), PollFlags::POLLIN)];
        wait(&mut fds, Instant::ZERO, None).unwrap();
        assert!(orphan.ended());
        // Not reaped yet: there is a pid, and nobody lives there.
        assert_eq!(Orphan::find(pid, born).unwrap_err(), Lost::Gone);
        assert_eq!(reap_child(pid), Some(Status(9)));
        assert_eq!(orphan.signal(Signal::SIGKILL), Err(Errno::ESRCH));
        assert_eq!(Orphan::find(pid, born).unwrap_err(), Lost::Gone);
    }

    #[test]
    fn a_process_of_another_time_is_another_process() {
        let (pid, (before, after), _pipe) = cat();
        let second = core::time::Duration::from_secs(1);
        assert_eq!(Orphan::find(pid, (before - second, before - second)).unwrap_err(), Lost::Gone);
        assert_eq!(Orphan::find(pid, (after + second, after + second)).unwrap_err(), Lost::Gone);
        assert_eq!(Orphan::find(Pid::from_raw(0), (Instant::ZERO, after)).unwrap_err(), Lost::Gone);
        let orphan = Orphan::find(pid, (before, after)).unwrap();
        orphan.signal(Signal::SIGKILL).unwrap();
    }

    #[test]
    fn a_group_is_reached_after_its_leader() {
        let (r, w) = pipe().unwrap();
        let before = boottime();
        // The child keeps the pipe open, the leader ends.
        let args = [c"sh", c"-c", c"sleep 1000 & echo; read x"];
        let (input, hold) = pipe().unwrap();
        let sh = Spawn::new(c"/bin/sh", &args).stdin(input.as_fd()).stdout(w.as_fd()).group().start().unwrap();
        let leader = Orphan::find(sh, (before, boottime())).unwrap();
        drop(w);
        let mut buf = [0; 8];
        assert_eq!(read_some(r.as_fd(), &mut buf), Ok(1));
        leader.signal(Signal::SIGKILL).unwrap();
        drop(hold);
        wait(&mut [PollFd::new(leader.as_fd(), PollFlags::POLLIN)], Instant::ZERO, None).unwrap();
        assert_eq!(reap_child(sh), Some(Status(9)));
        match leader.signal_group(Signal::SIGKILL) {
            Ok(()) => assert_eq!(read_some(r.as_fd(), &mut buf), Ok(0)),
            // Before Linux 6.9; the sleep ends by itself.
            Err(e) => assert_eq!(e, Errno::EINVAL),
        }
    }

    #[test]
    fn its_pipe_can_be_opened_again() {
        let (pid, born, (r, w)) = cat();
        let inode = pipe_of(r.as_fd()).unwrap();
        write_all(w.as_fd(), b"").unwrap();
        let orphan = Orphan::find(pid, born).unwrap();
        assert!(orphan.pipe(0, inode + 1).is_none());
        assert!(orphan.pipe(200, inode).is_none());
        let (again, writer) = orphan.pipe(0, inode).unwrap();
        assert_eq!((pipe_of(again.as_fd()), pipe_of(writer.as_fd())), (Some(inode), Some(inode)));
        orphan.signal(Signal::SIGKILL).unwrap();
        wait(&mut [PollFd::new(orphan.as_fd(), PollFlags::POLLIN)], Instant::ZERO, None).unwrap();
        drop((r, w));
        write_all(writer.as_fd(), b"still the same").unwrap();
        let mut buf = [0; 20];
        assert_eq!(read_some(again.as_fd(), &mut buf), Ok(14));
    }

    #[test]
    fn this_boot_is_the_same_each_time() {
        let (id, init) = this_boot().unwrap();
        assert_eq!(this_boot(), Some((id, init)));
        assert_eq!(id.iter().filter(|&&b| b == b'-').count(), 4);
    }
}
