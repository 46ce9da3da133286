//! Start and reap children.
//!
//! A failed exec is reported to the caller as an error instead of a child that dies. Children get a clean signal mask,
//! SIGPIPE's default and the limit of descriptors that [`crate::limit::raise_files`] found; every other inherited disposition
//! and limit stays, as with runit. How they are started is in [`child`].

mod child;
mod few;

use crate::limit;
pub use child::BIRTH_MAX;
use child::{Plan, Pointers};
use core::ffi::{c_char, c_int};
use core::mem::MaybeUninit;
pub use few::expect_many_descriptors;
use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::WaitPidFlag;
use nix::unistd::Pid;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Descriptors 0 to 5 can be given (svlogd's processors get 4 and 5).
const MAX_FDS: usize = 6;
/// And one more, of any number.
const GIVEN: usize = MAX_FDS + 1;

/// A child about to be started: program, arguments and what differs from the parent.
#[derive(Debug)]
#[must_use]
pub struct Spawn<'a> {
    program: &'a CStr,
    args: &'a [&'a CStr],
    search_path: bool,
    env: Option<&'a [CString]>,
    var: Option<&'a CStr>,
    dir: Option<&'a CStr>,
    dir_fd: Option<BorrowedFd<'a>>,
    fds: [Option<BorrowedFd<'a>>; MAX_FDS],
    also: Option<(BorrowedFd<'a>, c_int)>,
    cgroup: Option<BorrowedFd<'a>>,
    session: bool,
    group: bool,
    birth: Option<(BorrowedFd<'a>, &'a [u8])>,
}

/// How the line of [`Spawn::birth`] begins; the child writes its own over it.
pub const BIRTH: &[u8; 32] = b"0000000000 00000000000000000000 ";

impl<'a> Spawn<'a> {
    /// Runs the file `program` (no PATH, no shell) with `args`, of which the first is the name the program sees.
    pub const fn new(program: &'a CStr, args: &'a [&'a CStr]) -> Self {
        Self {
            program,
            args,
            search_path: false,
            env: None,
            var: None,
            dir: None,
            dir_fd: None,
            fds: [None; MAX_FDS],
            also: None,
            cgroup: None,
            session: false,
            group: false,
            birth: None,
        }
    }

    /// Looks `program` up in PATH when it has no slash.
    pub const fn search_path(mut self) -> Self {
        self.search_path = true;
        self
    }

    /// `NAME=value` strings instead of the parent's environment.
    pub const fn env(mut self, env: &'a [CString]) -> Self {
        self.env = Some(env);
        self
    }

    /// One `NAME=value` in place of what the environment has under that name.
    pub const fn var(mut self, var: &'a CStr) -> Self {
        self.var = Some(var);
        self
    }

    /// Working directory, relative to the parent's. `program` is then relative to it.
    pub const fn dir(mut self, dir: &'a CStr) -> Self {
        self.dir = Some(dir);
        self
    }

    /// Working directory, as a descriptor. `program` is then relative to it.
    pub const fn dir_fd(mut self, dir: BorrowedFd<'a>) -> Self {
        self.dir_fd = Some(dir);
        self
    }

    /// Standard input.
    pub const fn stdin(mut self, fd: BorrowedFd<'a>) -> Self {
        self.fds[0] = Some(fd);
        self
    }

    /// Standard output.
    pub const fn stdout(mut self, fd: BorrowedFd<'a>) -> Self {
        self.fds[1] = Some(fd);
        self
    }

    /// Standard error.
    pub const fn stderr(mut self, fd: BorrowedFd<'a>) -> Self {
        self.fds[2] = Some(fd);
        self
    }

    /// Descriptor 4.
    pub const fn fd4(mut self, fd: BorrowedFd<'a>) -> Self {
        self.fds[4] = Some(fd);
        self
    }

    /// Descriptor 5.
    pub const fn fd5(mut self, fd: BorrowedFd<'a>) -> Self {
        self.fds[5] = Some(fd);
        self
    }

    /// One more descriptor, under any number. It takes the place of what the child has there.
    pub const fn also(mut self, fd: BorrowedFd<'a>, number: i32) -> Self {
        self.also = Some((fd, number));
        self
    }

    /// In the cgroup whose `cgroup.procs` this is. That it could not enter does not keep the child from its exec.
    pub const fn cgroup(mut self, door: BorrowedFd<'a>) -> Self {
        self.cgroup = Some(door);
        self
    }

    /// In a session of its own (`runsvdir -P`).
    pub const fn session(mut self) -> Self {
        self.session = true;
        self
    }

    /// In a process group of its own.
    pub const fn group(mut self) -> Self {
        self.group = true;
        self
    }

    /// The last thing the child does before its exec is to write `line` to the start of `file`, its beginning, [`BIRTH`],
    /// replaced by its pid and the time (CLOCK_BOOTTIME, nanoseconds): whatever becomes of the parent, who runs here is
    /// known. `line` is cut after [`BIRTH_MAX`] bytes. That it could not be written does not keep the child from its exec.
    pub const fn birth(mut self, file: BorrowedFd<'a>, line: &'a [u8]) -> Self {
        self.birth = Some((file, line));
        self
    }

    /// Starts it. The error is `fork`'s or the exec's own (`ENOENT`, `EACCES`, `ENOEXEC`, ...).
    pub fn start(self) -> Result<Pid, Errno> {
        self.start_with(few::few())
    }

    fn start_with(self, few: Option<&few::Few>) -> Result<Pid, Errno> {
        let argv: Pointers<8> = self.args.iter().map(|arg| arg.as_ptr()).collect();
        let env: Option<Pointers<48>> = self.environment().map(Iterator::collect);
        let found = if self.search_path { candidates(self.program) } else { Vec::new() };
        let programs: Pointers<1> = if found.is_empty() {
            core::iter::once(self.program.as_ptr()).collect()
        } else {
            found.iter().map(|path| path.as_ptr()).collect()
        };
        let given = self.given();
        let lent = few.map(|few| few.lend(given)).transpose()?;
        let lifted = if lent.is_none() { self.lifted()? } else { [const { None }; GIVEN] };
        let mut fds = lent.as_ref().map_or(given, few::Lent::fds);
        for (slot, lifted) in fds.iter_mut().zip(&lifted) {
            *slot = lifted.as_ref().map(AsFd::as_fd).or(*slot);
        }
        let [fds @ .., also] = fds;
        let also = also.zip(self.also).map(|(fd, (_, number))| (fd, number));
        let envp = env.as_ref().map_or_else(parent_env, Pointers::as_ptr);
        Plan::new(programs.as_ptr(), argv.as_ptr(), envp)
            .directory(self.dir, self.dir_fd)
            .descriptors(&fds, also)
            .session(self.session, self.group)
            .cgroup(self.cgroup)
            .files(limit::given_files())
            .birth(self.birth)
            .few(few.map(few::Few::end))
            .run()
    }
}

impl Spawn<'_> {
    /// Everything the child is given, in the order it takes it.
    fn given(&self) -> [Option<BorrowedFd<'_>>; GIVEN] {
        let [a, b, c, d, e, f] = self.fds;
        [a, b, c, d, e, f, self.also.map(|(fd, _)| fd)]
    }

    /// Copies of those descriptors that another one of the child's would replace before it is their turn.
    fn lifted(&self) -> Result<[Option<OwnedFd>; GIVEN], Errno> {
        let mut copies = [const { None }; GIVEN];
        for (turn, (copy, fd)) in copies.iter_mut().zip(self.given()).enumerate() {
            let Some(fd) = fd else { continue };
            let before = &self.fds[..turn.min(MAX_FDS)];
            if usize::try_from(fd.as_raw_fd()).is_ok_and(|n| before.get(n).is_some_and(Option::is_some)) {
                *copy = Some(above_the_childs(fd)?);
            }
        }
        Ok(copies)
    }

    /// The child's environment; none: the parent's.
    fn environment(&self) -> Option<impl Iterator<Item = *const c_char>> {
        if self.env.is_none() && self.var.is_none() {
            return None;
        }
        let given = self.env.map(|env| env.iter().map(CString::as_c_str));
        let inherited = if given.is_some() { None } else { Some(inherited()) };
        let all = given.into_iter().flatten().chain(inherited.into_iter().flatten());
        let kept = all.filter(|have| self.var.is_none_or(|var| name_of(have) != name_of(var)));
        Some(kept.chain(self.var).map(CStr::as_ptr))
    }
}

/// Where a program without a slash may be, in the order of PATH; none if it has one.
#[expect(clippy::disallowed_methods, reason = "PATH is the parent's, as with execvp")]
fn candidates(program: &CStr) -> Vec<CString> {
    let name = program.to_bytes();
    if name.contains(&b'/') {
        return Vec::new();
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let join = |dir: &[u8]| match dir {
        b"" => CString::new(name),
        dir => CString::new([dir, b"/", name].concat()),
    };
    path.as_bytes().split(|&b| b == b':').filter_map(|dir| join(dir).ok()).collect()
}

/// `NAME` of `NAME=value`.
fn name_of(var: &CStr) -> &[u8] {
    var.to_bytes().split(|&b| b == b'=').next().unwrap_or_default()
}

/// The strings of the parent's environment.
#[expect(unsafe_code, reason = "libc's environ")]
fn inherited<'e>() -> impl Iterator<Item = &'e CStr> {
    let mut next = parent_env();
    core::iter::from_fn(move || {
        // SAFETY: an array of valid strings that ends in a null pointer, never changed while we run (see parent_env).
        let (entry, after) = unsafe { (*next, next.add(1)) };
        if entry.is_null() {
            return None;
        }
        next = after;
        // SAFETY: not null, so a valid string of the environment.
        Some(unsafe { CStr::from_ptr(entry) })
    })
}

/// A copy whose number no descriptor of the child's has.
#[expect(unsafe_code, reason = "nix returns a bare number")]
fn above_the_childs(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    const FIRST: c_int = 10;
    let copy = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(FIRST))?;
    // SAFETY: the call just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// The parent's environment as exec wants it.
#[expect(unsafe_code, reason = "libc's environ")]
fn parent_env() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: `environ` is libc's own pointer; we are single-threaded and never change the environment (clippy.toml).
    unsafe { environ }
}

/// How a child ended: the kernel's wait status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// It ended, and how was told to somebody else: no code and no signal.
    pub const UNKNOWN: Self = Self(-1);

    /// As if the child had called `exit(code)`.
    pub const fn exited(code: u8) -> Self {
        Self((code as i32) << 8)
    }

    /// The exit code, none when a signal ended it.
    pub const fn code(self) -> Option<u8> {
        if self.0 & 0x7f == 0 { Some((self.0 >> 8) as u8) } else { None }
    }

    /// The signal that ended it.
    pub const fn signal(self) -> Option<u8> {
        if self.0 & 0x7f == 0 || self.0 == Self::UNKNOWN.0 { None } else { Some((self.0 & 0x7f) as u8) }
    }

    /// The low byte: 0, or the signal with the core bit (runit's second argument to `finish`). 0 if it is unknown.
    pub const fn low_byte(self) -> u8 {
        if self.0 == Self::UNKNOWN.0 { 0 } else { (self.0 & 0xff) as u8 }
    }
}

/// The pid of a child that has ended, without reaping it: until [`reap_child`] its pid belongs to nobody else, and what it
/// wrote before it ended is there to be read.
#[expect(unsafe_code, reason = "nix would decode the siginfo, of which only the pid is wanted")]
pub fn ended() -> Option<Pid> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: waitid fills the structure it is given or leaves its zeros; si_pid is valid for either.
    let pid = unsafe {
        if libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) != 0 {
            return None;
        }
        info.assume_init_ref().si_pid()
    };
    (pid > 0).then(|| Pid::from_raw(pid))
}

/// Whether there is a child, running or not yet reaped.
pub fn any_child() -> bool {
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    nix::sys::wait::waitid(nix::sys::wait::Id::All, options) != Err(Errno::ECHILD)
}

/// Reaps the child `pid` if it has ended.
pub fn reap_child(pid: Pid) -> Option<Status> {
    wait_for(pid.as_raw()).map(|(_, status)| status)
}

/// A child that has ended and was not yet reaped, if any.
pub fn reap() -> Option<(Pid, Status)> {
    wait_for(-1)
}

#[expect(unsafe_code, reason = "nix decodes the status and loses the core bit")]
fn wait_for(which: libc::pid_t) -> Option<(Pid, Status)> {
    let mut status = 0;
    // SAFETY: waitpid writes the status through a valid pointer.
    let pid = unsafe { libc::waitpid(which, &raw mut status, libc::WNOHANG) };
    (pid > 0).then(|| (Pid::from_raw(pid), Status(status)))
}

#[cfg(test)]
mod tests;
