//! Where a program of ours begins, without the standard library's own beginning.
//!
//! That one prepares threads and a report of stack overflows: a dozen system calls and several pages, a tenth of the life of a
//! program that only prints a line. What matters of it is done here: SIGPIPE is ignored, so that a reader who left is an
//! error of the write, and the descriptors 0 to 2 are open, so that no file of ours gets to be one of them.

use crate::file::CWD;
use crate::poll::{PollFd, PollFlags};
use core::ffi::{c_char, c_int};
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::Mode;
use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;

/// Makes the function, from all arguments to the exit code, the program. The crate is to be `no_main`.
#[macro_export]
macro_rules! entry {
    ($program:path) => {
        #[expect(unsafe_code, reason = "libc calls it by this name")]
        #[unsafe(no_mangle)]
        extern "C" fn main(argc: core::ffi::c_int, argv: *const *const core::ffi::c_char) -> core::ffi::c_int {
            // SAFETY: called by libc, once, with the arguments of the program.
            unsafe { $crate::entry::run(argc, argv, $program) }
        }
    };
}

/// What [`entry!`] makes of `main`.
///
/// # Safety
///
/// `argv` holds `argc` valid strings, for good.
#[expect(unsafe_code, reason = "the arguments as libc gives them")]
pub unsafe fn run(argc: c_int, argv: *const *const c_char, program: fn(Vec<OsString>) -> u8) -> c_int {
    // SAFETY: nothing is installed that could be called.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    open_standard();
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: the caller's own promise.
    let args = (0..count).map(|n| unsafe { CStr::from_ptr(*argv.add(n)) });
    program(args.map(|arg| OsStr::from_bytes(arg.to_bytes()).to_owned()).collect()).into()
}

/// Opens `/dev/null` where a standard descriptor is closed.
#[expect(unsafe_code, reason = "descriptors by their numbers")]
fn open_standard() {
    // SAFETY: only asked about, and poll says of a closed one that it is.
    let mut fds = [0, 1, 2].map(|n| PollFd::new(unsafe { BorrowedFd::borrow_raw(n) }, PollFlags::empty()));
    if poll(&mut fds, PollTimeout::ZERO) == Ok(0) {
        return;
    }
    // The lowest free number is taken each time.
    while let Ok(null) = openat(CWD, c"/dev/null", OFlag::O_RDWR, Mode::empty()) {
        if null.as_raw_fd() > 2 {
            return;
        }
        let _ = null.into_raw_fd();
    }
}
