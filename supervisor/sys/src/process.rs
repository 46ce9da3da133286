//! What `/proc` says about processes (proc(5)).

use crate::file::{CWD, read_into};
use crate::msg::Dec;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::unix::ffi::OsStrExt;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// Its parent's; 0 when that is in another pid namespace.
    pub parent: Pid,
    /// It has ended and is not reaped yet.
    pub ended: bool,
}

/// This process's number.
pub fn me() -> Pid {
    nix::unistd::getpid()
}

/// Orphans below this process become its children, as those of pid 1.
pub fn adopt_orphans() -> Result<(), Errno> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// All processes that can be seen; none without `/proc`.
pub fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pid = |name: &[u8]| core::str::from_utf8(name).ok()?.parse().ok();
    entries.filter_map(|entry| pid(entry.file_name().as_bytes())).filter_map(|pid| read(Pid::from_raw(pid))).collect()
}

/// The parent of a process.
pub fn parent(pid: Pid) -> Option<Pid> {
    read(pid).map(|process| process.parent)
}

fn read(pid: Pid) -> Option<Process> {
    let digits = Dec::new(u64::from(pid.as_raw().cast_unsigned()));
    let path = [b"/proc/", digits.as_bytes(), b"/stat"].concat();
    let mut buf = [0; 512];
    parse(pid, read_into(CWD, path.as_slice(), &mut buf).ok()?)
}

/// `PID (NAME) STATE PARENT ...`, where NAME can hold anything.
fn parse(pid: Pid, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|&b| b == b')')?;
    let mut fields = core::str::from_utf8(stat.get(end + 1..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid, parent: Pid::from_raw(parent), ended: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_anything() {
        let pid = Pid::from_raw(7);
        let it = |parent, ended| Some(Process { pid, parent: Pid::from_raw(parent), ended });
        assert_eq!(parse(pid, b"7 (sh) S 3 7 7 0 -1"), it(3, false));
        assert_eq!(parse(pid, b"7 (a) Z 1 (b) Z 4 7"), it(4, true));
        assert_eq!(parse(pid, b"7 (a\n) R 0 7"), it(0, false));
        for bad in [b"".as_slice(), b"7 (sh", b"7 (sh) S", b"7 (sh) S x"] {
            assert_eq!(parse(pid, bad), None);
        }
    }

    #[test]
    fn we_are_among_them() {
        let us = all().into_iter().find(|process| process.pid == me()).unwrap();
        assert_eq!((us.parent, us.ended), (nix::unistd::getppid(), false));
        assert_eq!(parent(me()), Some(us.parent));
    }
}
