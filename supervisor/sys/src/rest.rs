#![expect(clippy::disallowed_methods, reason = "a way to wait")]
//! A long wait takes next to no memory.
//!
//! A page fault maps sixteen pages of the program's file at once, so a program that ran through an event has most of its code
//! mapped and is charged for it, while waiting takes a page or two. What is handed back stays in the page cache and is mapped
//! again, a microsecond per fault, when it is next needed.

use crate::clock::Instant;
use crate::poll::{self, PollFd};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use core::arch::asm;
use core::ffi::{c_int, c_long, c_void};
use core::ops::Range;
use core::time::Duration;
use nix::errno::Errno;
use nix::libc;

/// Far above what it costs to come back, some twenty microseconds.
const LONG: Duration = Duration::from_millis(500);

const PAGE: usize = 4096;

/// As [`poll::wait`], for a daemon that has nothing on hand: when it may take long, the code and the constants of this
/// executable are unmapped meanwhile. They come back by themselves.
pub fn wait(fds: &mut [PollFd<'_>], now: Instant, deadline: Option<Instant>) -> Result<usize, Errno> {
    if deadline.is_some_and(|at| at.since(now) < LONG) {
        return poll::wait(fds, now, deadline);
    }
    let (parts, timeout) = (file_parts(), poll::timeout(now, deadline));
    let timeout = timeout.as_ref().map_or(core::ptr::null(), |t| core::ptr::from_ref(t.as_ref()));
    poll::outcome(match unmap_and_poll(&parts, fds, timeout) {
        ready @ 0.. => Ok(ready as c_int),
        errno => Err(Errno::from_raw(-errno as c_int)),
    })
}

/// The one step from running to waiting. Its own pages stay mapped, and it makes its system calls itself: every other page it
/// went through would bring its neighbours back, on newer kernels half a megabyte of them.
#[inline(never)]
#[expect(unsafe_code, reason = "madvise and ppoll by themselves")]
fn unmap_and_poll(parts: &[Range<usize>; 4], fds: &mut [PollFd<'_>], timeout: *const libc::timespec) -> isize {
    let here = unmap_and_poll as *const () as usize & !(PAGE - 1);
    for part in parts {
        for hole in [part.start..part.end.min(here), part.start.max(here + 2 * PAGE)..part.end] {
            if !hole.is_empty() {
                let arguments = [hole.start, hole.len(), libc::MADV_DONTNEED as usize, 0];
                // SAFETY: a private mapping of a file that is never written to: what is dropped is read again as it was. Where
                // pages are larger the kernel refuses the address, or goes on to the end of a page of the same part.
                unsafe { system_call(libc::SYS_madvise, arguments) };
            }
        }
    }
    // Exposed: the kernel writes through the number.
    let arguments = [fds.as_mut_ptr().expose_provenance(), fds.len(), timeout.expose_provenance(), 0];
    // SAFETY: a PollFd is a pollfd; the time is none or one that lives longer than the call; no signal mask.
    unsafe { system_call(libc::SYS_ppoll, arguments) }
}

/// What the kernel returns: below 0 a negative errno.
///
/// # Safety
///
/// As the system call.
#[inline(always)]
#[expect(unsafe_code, reason = "a system call without libc")]
#[cfg(target_arch = "x86_64")]
unsafe fn system_call(number: c_long, [a, b, c, d]: [usize; 4]) -> isize {
    let result;
    // SAFETY: the kernel's convention; it changes no other register and no stack. The fifth argument is the size of a signal
    // mask that is not there.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") 0, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// What the kernel returns: below 0 a negative errno.
///
/// # Safety
///
/// As the system call.
#[inline(always)]
#[expect(unsafe_code, reason = "a system call without libc")]
#[cfg(target_arch = "aarch64")]
unsafe fn system_call(number: c_long, [a, b, c, d]: [usize; 4]) -> isize {
    let result;
    // SAFETY: as on x86-64.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x4") 0,
            options(nostack));
    }
    result
}

/// What the kernel returns: below 0 a negative errno. Elsewhere libc's page is touched, and its neighbours are mapped.
///
/// # Safety
///
/// As the system call.
#[inline(always)]
#[expect(unsafe_code, reason = "a system call by its number")]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn system_call(number: c_long, [a, b, c, d]: [usize; 4]) -> isize {
    // SAFETY: the caller's own promise.
    match unsafe { libc::syscall(number, a, b, c, d, 0) } {
        -1 => -(Errno::last_raw() as isize),
        result => result as isize,
    }
}

/// Where the parts of the executable are mapped that are only read.
fn file_parts() -> [Range<usize>; 4] {
    let mut parts = [const { 0..0 }; 4];
    #[expect(unsafe_code, reason = "program headers")]
    // SAFETY: the callback gets what it expects, keeps nothing and does not unwind.
    unsafe {
        libc::dl_iterate_phdr(Some(executable), (&raw mut parts).cast());
    }
    parts
}

/// For the first object, the executable; a result other than 0 ends the walk.
#[expect(unsafe_code, reason = "program headers")]
unsafe extern "C" fn executable(info: *mut libc::dl_phdr_info, _: usize, parts: *mut c_void) -> c_int {
    // SAFETY: libc passes a valid object with its headers, and what `file_parts` gave it.
    let (base, headers, parts) = unsafe {
        let info = &*info;
        let headers = core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        (info.dlpi_addr as usize, headers, &mut *parts.cast::<[Range<usize>; 4]>())
    };
    let read_only = headers.iter().filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_W == 0);
    for (part, header) in parts.iter_mut().zip(read_only) {
        let start = base.wrapping_add(header.p_vaddr as usize);
        // Whole pages: the last one may be shared with what is writable.
        *part = start & !(PAGE - 1)..start.wrapping_add(header.p_memsz as usize) & !(PAGE - 1);
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;
    use crate::file::pipe;
    use crate::poll::PollFlags;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn waits_as_poll_does_and_goes_on_as_before() {
        let (reader, writer) = pipe().unwrap();
        let text = "constants stay what they were";
        for deadline in [Some(monotonic()), Some(monotonic() + LONG), None] {
            let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            if deadline.is_none() {
                std::fs::File::from(writer.try_clone().unwrap()).write_all(b"x").unwrap();
            }
            let now = monotonic();
            assert_eq!(wait(&mut fds, now, deadline), Ok(usize::from(deadline.is_none())));
            assert!(deadline.is_none_or(|at| monotonic() >= at));
            assert_eq!(text.split(' ').count(), 5);
        }
    }
}
