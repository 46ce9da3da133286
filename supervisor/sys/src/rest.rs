//! Before a long wait: hand back the pages of the program file that only the way here needed.
//!
//! A page fault maps sixteen pages of the file at once, so a program that ran through its start has nearly all of its code
//! mapped and is charged for it, while waiting takes a few pages of it. What is handed back stays in the page cache and is
//! mapped again, a microsecond per fault, when it is next needed.

use core::ffi::{c_int, c_void};
use nix::libc;

/// Unmaps the code and constants of this executable; they come back by themselves. Not worth it when the next event is near.
#[expect(unsafe_code, reason = "program headers and madvise")]
pub fn before_a_long_wait() {
    // SAFETY: the callback keeps nothing and does not unwind.
    unsafe { libc::dl_iterate_phdr(Some(release), core::ptr::null_mut()) };
}

/// For the first object, the executable; a result other than 0 ends the walk.
#[expect(unsafe_code, reason = "program headers and madvise")]
unsafe extern "C" fn release(info: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    const PAGE: usize = 4096;
    // SAFETY: libc passes a valid object with its headers.
    let (base, headers) = unsafe {
        let info = &*info;
        (info.dlpi_addr as usize, core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    // All of them before the first call: they are in the pages that go.
    let mut ranges = [(0, 0); 4];
    let code = headers.iter().filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_W == 0);
    for (range, header) in ranges.iter_mut().zip(code) {
        let start = base.wrapping_add(header.p_vaddr as usize);
        // Whole pages: the last one may be shared with what is writable.
        *range = (start & !(PAGE - 1), start.wrapping_add(header.p_memsz as usize) & !(PAGE - 1));
    }
    for (from, to) in ranges {
        // SAFETY: a private mapping of a file that is never written to: what is dropped is read again as it was. Where pages
        // are larger than this the kernel refuses the address and nothing happens; an empty range is nothing.
        unsafe { libc::madvise(from as *mut c_void, to.saturating_sub(from), libc::MADV_DONTNEED) };
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_as_before() {
        let text = "constants stay what they were";
        before_a_long_wait();
        assert_eq!(text.split(' ').count(), 5);
        before_a_long_wait();
    }
}
