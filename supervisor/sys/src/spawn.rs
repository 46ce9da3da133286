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
mod tests {
    use super::*;
    use crate::file::{pipe, read_some};

    fn output(spawn: Spawn<'_>) -> String {
        output_with(spawn, None)
    }

    fn output_with(spawn: Spawn<'_>, few: Option<&few::Few>) -> String {
        let (r, w) = pipe().unwrap();
        let pid = spawn.stdout(w.as_fd()).start_with(few).unwrap();
        drop(w);
        let (mut all, mut buf) = (Vec::new(), [0; 256]);
        while let Ok(n @ 1..) = read_some(r.as_fd(), &mut buf) {
            all.extend_from_slice(&buf[..n]);
        }
        assert_eq!(nix::sys::wait::waitpid(pid, None).unwrap(), nix::sys::wait::WaitStatus::Exited(pid, 0));
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn sets_up_the_child() {
        let script = c"echo $X; pwd; ps -o pid=,pgid= -p $$ | { read p g; [ $p = $g ] && echo group; }; grep SigBlk /proc/self/status";
        let env = [c"X=1 2".to_owned(), c"PATH=/usr/bin:/bin".to_owned()];
        let args = [c"sh", c"-c", script];
        assert_eq!(
            output(Spawn::new(c"/bin/sh", &args).env(&env).dir(c"/usr").group()),
            "1 2\n/usr\ngroup\nSigBlk:\t0000000000000000\n"
        );
        assert_eq!(output(Spawn::new(c"echo", &[c"x", c"a b"]).search_path().session()), "a b\n");
    }

    #[test]
    fn starts_in_a_directory_given_as_descriptor() {
        let usr = crate::file::open_dir(crate::file::CWD, c"/usr").unwrap();
        assert_eq!(output(Spawn::new(c"/bin/pwd", &[c"pwd"]).dir_fd(usr.as_fd())), "/usr\n");
        let here = std::env::current_dir().unwrap();
        let args = [c"pwd"];
        assert_eq!(output(Spawn::new(c"/bin/pwd", &args).dir_fd(crate::file::CWD)), format!("{}\n", here.display()));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the child reads the clock, too")]
    fn the_child_writes_its_birth() {
        let path = std::env::temp_dir().join(format!("birth-{}", std::process::id()));
        let file = crate::file::open_empty(crate::file::CWD, &path, 0o600).unwrap();
        let line = [BIRTH.as_slice(), b"and more\n"].concat();
        let before = crate::clock::boottime();
        let args = [c"sh", c"-c", c"echo $$"];
        let pid = output(Spawn::new(c"/bin/sh", &args).birth(file.as_fd(), &line));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text.len(), line.len());
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!(words[0].parse::<u32>().unwrap(), pid.trim().parse::<u32>().unwrap());
        let born = crate::clock::Instant::from_nanos(words[1].parse().unwrap());
        assert!(before <= born && born <= crate::clock::boottime(), "{text}");
        assert_eq!(words[2..], ["and", "more\n"]);
    }

    #[test]
    fn an_unknown_end_is_neither_an_exit_nor_a_signal() {
        let s = Status::UNKNOWN;
        assert_eq!((s.code(), s.signal(), s.low_byte()), (None, None, 0));
        assert_eq!((Status(139).code(), Status(139).signal(), Status(139).low_byte()), (None, Some(11), 139));
    }

    #[test]
    fn a_dead_child_can_be_seen_before_it_is_reaped() {
        let pid = Spawn::new(c"/bin/sh", &[c"sh", c"-c", c"exit 7"]).start().unwrap();
        // Other tests of this process have children too: wait for this one only.
        while reap_is_pending(pid) {}
        assert!(ended().is_some());
        assert_eq!(reap_child(pid), Some(Status::exited(7)));
        assert_eq!(reap_child(pid), None);
    }

    fn reap_is_pending(pid: Pid) -> bool {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(pid), flags).unwrap() == WaitStatus::StillAlive
    }

    #[test]
    fn children_get_the_limit_we_were_given() {
        limit::set_soft(limit::Resource::RLIMIT_NOFILE, 500).unwrap();
        limit::raise_files().unwrap();
        let (ours, hard) = nix::sys::resource::getrlimit(limit::Resource::RLIMIT_NOFILE).unwrap();
        assert!(ours >= 1024 && ours == hard, "{ours} of {hard}");
        assert_eq!(output(Spawn::new(c"/bin/sh", &[c"sh", c"-c", c"ulimit -n"])), "500\n");
    }

    #[test]
    fn a_child_of_many_descriptors_gets_its_own_only() {
        let keep = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty());
        let inherited = pipe().unwrap();
        nix::fcntl::fcntl(&inherited.0, keep).unwrap();
        // Every kernel this is tested with can do it.
        let few = Some(&few::Few::new().unwrap());
        let many: Vec<_> = (0..100).map(|_| pipe().unwrap()).collect();
        let late = many.last().unwrap();
        let args = [c"sh", c"-c", c"read x; echo $x >&4; exec ls /proc/self/fd"];
        let number = late.0.as_raw_fd() + 1000;
        crate::file::write_all(many[7].1.as_fd(), b"through\n").unwrap();
        let shown = output_with(
            Spawn::new(c"/bin/sh", &args).stdin(many[7].0.as_fd()).fd4(late.1.as_fd()).also(many[8].0.as_fd(), number),
            few,
        );
        let mut fds: Vec<i32> = shown.lines().map(|n| n.parse().unwrap()).collect();
        fds.sort_unstable();
        // Others of this process's tests may have left some to inherit; none of the many is there. ls itself has one.
        assert!(fds.starts_with(&[0, 1, 2, 3, 4]) && fds.contains(&inherited.0.as_raw_fd()), "{fds:?}");
        assert_eq!(fds.last(), Some(&number));
        assert!(fds.iter().all(|fd| !many.iter().any(|(r, w)| [r.as_raw_fd(), w.as_raw_fd()].contains(fd))), "{fds:?}");
        let mut buf = [0; 16];
        let n = read_some(late.0.as_fd(), &mut buf).unwrap();
        assert_eq!(&buf[..n], b"through\n");
        // Nothing of it stays open here: the pipe ends when its owner closes it.
        let (reader, writer) = pipe().unwrap();
        output_with(Spawn::new(c"/bin/sh", &[c"sh", c"-c", c":"]).fd5(writer.as_fd()), few);
        drop(writer);
        assert_eq!(read_some(reader.as_fd(), &mut buf), Ok(0));
        assert_eq!(Spawn::new(c"./nowhere", &[c"x"]).start_with(few), Err(Errno::ENOENT));
    }

    #[test]
    fn one_variable_replaces_the_inherited_one() {
        let args = [c"sh", c"-c", c"env | grep -c ^PATH=; echo $PATH; env | wc -l"];
        let (kept, path) = (std::env::vars_os().count(), c"PATH=/bin:/usr/bin:/replaced");
        let shown = output(Spawn::new(c"/bin/sh", &args).var(path));
        assert_eq!(shown.lines().take(2).collect::<Vec<_>>(), ["1", "/bin:/usr/bin:/replaced"]);
        // The shell adds a few of its own (PWD, _), none is lost.
        assert!(shown.lines().nth(2).unwrap().trim().parse::<usize>().unwrap() >= kept, "{shown}");
        let env = [c"PATH=/usr/bin:/bin".to_owned(), c"X=old".to_owned()];
        let args = [c"sh", c"-c", c"echo $X; env | grep -c ^X="];
        assert_eq!(output(Spawn::new(c"/bin/sh", &args).env(&env).var(c"X=new")), "new\n1\n");
    }

    #[test]
    fn descriptors_do_not_replace_each_other() {
        // Whatever numbers the two ends have, the child sees them swapped round and still tells them apart.
        let (r, w) = pipe().unwrap();
        let args = [c"sh", c"-c", c"read x <&5; echo $x >&4; echo 1"];
        let script = Spawn::new(c"/bin/sh", &args);
        let (r2, w2) = pipe().unwrap();
        crate::file::write_all(w.as_fd(), b"hello\n").unwrap();
        assert_eq!(output(script.fd4(w2.as_fd()).fd5(r.as_fd())), "1\n");
        let mut buf = [0; 16];
        let n = read_some(r2.as_fd(), &mut buf).unwrap();
        assert_eq!(&buf[..n], b"hello\n");
    }

    #[test]
    fn one_more_descriptor_has_any_number() {
        for number in [3, 6, 77] {
            let (r, w) = pipe().unwrap();
            let text = CString::new(format!("echo ready >&{number}; echo 1")).unwrap();
            // bash: dash knows numbers of one digit only.
            let args = [c"bash", c"-c", text.as_c_str()];
            assert_eq!(output(Spawn::new(c"/bin/bash", &args).also(w.as_fd(), number)), "1\n");
            // The child's own number, which has to stay open.
            let same = CString::new(format!("echo again >&{}; echo 2", w.as_raw_fd())).unwrap();
            let args = [c"bash", c"-c", same.as_c_str()];
            assert_eq!(output(Spawn::new(c"/bin/bash", &args).also(w.as_fd(), w.as_raw_fd())), "2\n");
            let mut buf = [0; 16];
            let n = read_some(r.as_fd(), &mut buf).unwrap();
            assert_eq!(&buf[..n], b"ready\nagain\n");
        }
    }

    #[test]
    fn exec_errors_are_the_callers() {
        assert_eq!(Spawn::new(c"./nowhere", &[c"x"]).start(), Err(Errno::ENOENT));
        assert_eq!(Spawn::new(c"/etc/passwd", &[c"x"]).start(), Err(Errno::EACCES));
        assert_eq!(Spawn::new(c"./x", &[c"x"]).dir(c"/nowhere").start(), Err(Errno::ENOENT));
        assert_eq!(Spawn::new(c"no-such-program", &[c"x"]).search_path().start(), Err(Errno::ENOENT));
        assert_eq!(Spawn::new(c"../etc/passwd", &[c"x"]).dir(c"/usr").start(), Err(Errno::EACCES));
    }

    #[test]
    fn status_bytes() {
        assert_eq!((Status(0x0100).code(), Status(0x0100).low_byte()), (Some(1), 0));
        assert_eq!((Status(139).code(), Status(139).signal(), Status(139).low_byte()), (None, Some(11), 139));
        assert_eq!(Status::exited(111), Status(111 << 8));
    }
}
