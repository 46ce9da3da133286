//! From the parent's call to the child's exec.
//!
//! The child shares the parent's memory until its exec (`CLONE_VM | CLONE_VFORK`, as in libc's `posix_spawn`): that costs the
//! same from a large and a small process, and the child can say why there was no exec. libc's own function would do, were it
//! not for its stack and heap: musl's takes four pages for good from a supervisor whose budget is six.

use super::few::leave_table;
use crate::limit::Files;
use core::ffi::{c_char, c_int, c_uint, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::Pid;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A list of strings as exec wants it, ended by null. Up to `N` of them need no heap.
#[repr(C)]
pub(super) struct Pointers<const N: usize> {
    inline: [*const c_char; N],
    /// The end of `inline`.
    _null: *const c_char,
    /// All of them, when they are too many.
    heap: Vec<*const c_char>,
}

impl<const N: usize> FromIterator<*const c_char> for Pointers<N> {
    fn from_iter<I: IntoIterator<Item = *const c_char>>(all: I) -> Self {
        let mut list = Self { inline: [ptr::null(); N], _null: ptr::null(), heap: Vec::new() };
        for (n, item) in all.into_iter().enumerate() {
            match list.inline.get_mut(n) {
                Some(slot) => *slot = item,
                None => {
                    if n == N {
                        list.heap.extend_from_slice(&list.inline);
                    }
                    list.heap.push(item);
                }
            }
        }
        if !list.heap.is_empty() {
            list.heap.push(ptr::null());
        }
        list
    }
}

impl<const N: usize> Pointers<N> {
    pub(super) fn as_ptr(&self) -> *const *const c_char {
        if self.heap.is_empty() { (&raw const *self).cast() } else { self.heap.as_ptr() }
    }
}

/// What the child does between its birth and its exec. The pointers are the caller's and outlive [`Self::run`].
pub(super) struct Plan {
    programs: *const *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    /// What becomes 0, 1, ...; -1 for nothing.
    fds: [c_int; super::MAX_FDS],
    /// What becomes another number after that.
    also: (c_int, c_int),
    /// Null for nothing.
    dir: *const c_char,
    /// Negative for nothing.
    dir_fd: c_int,
    /// Negative for nothing.
    cgroup: c_int,
    session: bool,
    group: bool,
    /// Limit of descriptors, if it is not the parent's.
    files: Option<libc::rlimit>,
    birth: Option<Birth>,
    /// The child is to copy the descriptors below this number only.
    few: Option<c_uint>,
    /// Why there was no exec, written by the child.
    error: c_int,
}

/// Longest line of [`super::Spawn::birth`].
pub const BIRTH_MAX: usize = 192;

/// A line the child completes and writes.
struct Birth {
    file: c_int,
    line: [u8; BIRTH_MAX],
    len: usize,
}

/// The child makes a few system calls through libc. musl's functions need next to nothing.
const STACK: usize = if cfg!(target_env = "musl") { 2048 } else { 16384 };

#[repr(align(16))]
struct Stack(MaybeUninit<[u8; STACK]>);

impl Plan {
    /// Executes the first of `programs` that can be. All three lists end in null.
    pub(super) const fn new(
        programs: *const *const c_char,
        argv: *const *const c_char,
        envp: *const *const c_char,
    ) -> Self {
        let fds = [-1; super::MAX_FDS];
        Self {
            programs,
            argv,
            envp,
            fds,
            also: (-1, -1),
            cgroup: -1,
            dir: ptr::null(),
            dir_fd: -1,
            session: false,
            group: false,
            files: None,
            birth: None,
            few: None,
            error: 0,
        }
    }

    /// Changes to `dir`, then to `dir_fd`; the working directory's own pseudo descriptor, which is negative, means "stay".
    pub(super) fn directory(mut self, dir: Option<&CStr>, dir_fd: Option<BorrowedFd<'_>>) -> Self {
        self.dir = dir.map_or(ptr::null(), CStr::as_ptr);
        self.dir_fd = dir_fd.map_or(-1, |fd| fd.as_raw_fd());
        self
    }

    pub(super) fn descriptors(
        mut self,
        fds: &[Option<BorrowedFd<'_>>; super::MAX_FDS],
        also: Option<(BorrowedFd<'_>, c_int)>,
    ) -> Self {
        self.also = also.map_or((-1, -1), |(fd, number)| (fd.as_raw_fd(), number));
        self.fds = fds.map(|fd| fd.map_or(-1, |fd| fd.as_raw_fd()));
        self
    }

    pub(super) fn cgroup(mut self, door: Option<BorrowedFd<'_>>) -> Self {
        self.cgroup = door.map_or(-1, |fd| fd.as_raw_fd());
        self
    }

    pub(super) const fn session(mut self, session: bool, group: bool) -> Self {
        self.session = session;
        // The leader of a session leads a group, too.
        self.group = group && !session;
        self
    }

    pub(super) fn files(mut self, given: Option<Files>) -> Self {
        self.files = given.map(|(soft, hard)| libc::rlimit { rlim_cur: soft, rlim_max: hard });
        self
    }

    pub(super) const fn few(mut self, end: Option<c_uint>) -> Self {
        self.few = end;
        self
    }

    pub(super) fn birth(mut self, birth: Option<(BorrowedFd<'_>, &[u8])>) -> Self {
        self.birth = birth.map(|(file, text)| {
            let mut line = [0; BIRTH_MAX];
            line.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
            Birth { file: file.as_raw_fd(), line, len: text.len().min(BIRTH_MAX) }
        });
        self
    }
}

#[expect(unsafe_code, reason = "nix's clone allocates its stack and hides the shared memory")]
impl Plan {
    pub(super) fn run(mut self) -> Result<Pid, Errno> {
        let mut stack = Stack(MaybeUninit::uninit());
        // No handler of ours may run in the child, on our memory.
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
        // SAFETY: the stack grows down from its end, which is aligned. The child uses it and `self` only while this thread is
        // suspended, and ends in exec or _exit.
        let pid = unsafe {
            let top = (&raw mut stack.0).cast::<u8>().add(STACK).cast::<c_void>();
            let share = if self.few.is_some() { libc::CLONE_FILES } else { 0 };
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | share;
            libc::clone(Self::child, top, flags, (&raw mut self).cast::<c_void>())
        };
        let cloned = Errno::result(pid).map(Pid::from_raw);
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
        let pid = cloned?;
        // SAFETY: the child, which wrote through a raw pointer, does not share our memory any more.
        match unsafe { (&raw const self.error).read_volatile() } {
            0 => Ok(pid),
            error => {
                while nix::sys::wait::waitpid(pid, None) == Err(Errno::EINTR) {}
                Err(Errno::from_raw(error))
            }
        }
    }

    extern "C" fn child(plan: *mut c_void) -> c_int {
        let plan = plan.cast::<Self>();
        // SAFETY: the suspended parent's `self`; system calls only, no allocation, no unwinding.
        unsafe {
            if let Some(birth) = &mut (*plan).birth {
                birth.write();
            }
            let error = (*plan).attempt();
            (&raw mut (*plan).error).write_volatile(error as c_int);
        }
        127
    }

    /// Returns only if it failed.
    ///
    /// # Safety
    /// Only in the child.
    unsafe fn attempt(&self) -> Errno {
        // SAFETY: plain system calls on valid pointers. Signals stay blocked until right before the exec; one that is pending
        // then meets the dispositions the program would have.
        unsafe {
            if (self.session && libc::setsid() < 0) || (self.group && libc::setpgid(0, 0) < 0) {
                return Errno::last();
            }
            if self.cgroup >= 0 {
                // Itself.
                libc::write(self.cgroup, c"0".as_ptr().cast(), 1);
            }
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            // First, while `dir_fd` cannot have been replaced by a descriptor of the child's.
            if (!self.dir.is_null() && libc::chdir(self.dir) < 0) || (self.dir_fd >= 0 && libc::fchdir(self.dir_fd) < 0)
            {
                return Errno::last();
            }
            // Up to here the descriptors may be the parent's.
            if let Some(Err(e)) = self.few.map(leave_table) {
                return e;
            }
            for (target, fd) in (0..).zip(self.fds).chain(core::iter::once((self.also.1, self.also.0))) {
                let result = match fd {
                    ..0 => 0,
                    // dup2 would leave its close-on-exec.
                    fd if fd == target => libc::fcntl(fd, libc::F_SETFD, 0),
                    fd => libc::dup2(fd, target),
                };
                if result < 0 {
                    return Errno::last();
                }
            }
            if let Some(files) = &self.files
                && libc::setrlimit(libc::RLIMIT_NOFILE, files) < 0
            {
                return Errno::last();
            }
            let mut none = MaybeUninit::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
            self.exec()
        }
    }

    /// Tries the paths as execvp does: one that is not there, or may not be executed, is passed over.
    ///
    /// # Safety
    /// Only in the child.
    unsafe fn exec(&self) -> Errno {
        let mut denied = false;
        let mut next = self.programs;
        loop {
            // SAFETY: the lists end in null, `programs` has one entry at least; exec returns only if it failed.
            let (error, last) = unsafe {
                libc::execve(*next, self.argv, self.envp);
                next = next.add(1);
                (Errno::last(), (*next).is_null())
            };
            let missing = matches!(error, Errno::ENOENT | Errno::ENOTDIR);
            denied |= error == Errno::EACCES;
            if last || !(missing || error == Errno::EACCES) {
                return if missing && denied { Errno::EACCES } else { error };
            }
        }
    }
}

/// Where the two numbers of [`super::BIRTH`] end.
const PID_END: usize = 10;
const TIME_END: usize = super::BIRTH.len() - 1;

/// Puts `n` into all of `places`, zeros first. Cannot panic.
fn digits<'b>(places: impl DoubleEndedIterator<Item = &'b mut u8>, mut n: u64) {
    for place in places.rev() {
        *place = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

impl Birth {
    /// # Safety
    /// Only in the child.
    #[expect(unsafe_code, reason = "bare system calls between clone and exec")]
    #[expect(clippy::disallowed_methods, reason = "what the child is to tell")]
    unsafe fn write(&mut self) {
        // SAFETY: a plain system call.
        let pid = unsafe { libc::getpid() };
        let now = crate::clock::boottime().as_nanos();
        digits(self.line.iter_mut().take(PID_END), u64::from(pid.unsigned_abs()));
        digits(self.line.iter_mut().take(TIME_END).skip(PID_END + 1), now);
        // SAFETY: the line's bytes, of which `len` are no more than there are.
        let _ = unsafe { libc::pwrite(self.file, self.line.as_ptr().cast(), self.len, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "reads the lists as exec does")]
    fn lists_of_any_length_end_in_null() {
        for n in [0, 1, 2, 3, 4, 9] {
            let strings = vec![c"x".to_owned(); n];
            let list: Pointers<3> = strings.iter().map(|s| s.as_ptr()).collect();
            for (i, string) in strings.iter().enumerate() {
                // SAFETY: within the list.
                assert_eq!(unsafe { *list.as_ptr().add(i) }, string.as_ptr());
            }
            // SAFETY: the end of the list.
            assert!(unsafe { *list.as_ptr().add(n) }.is_null());
        }
    }
}
