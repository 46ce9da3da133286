//! A heap that begins inside the program's own data.
//!
//! A supervisor allocates a few hundred bytes once, at its start. From libc that costs two pages for good, a third of its
//! budget; here the first KiB comes out of a page the program has dirtied anyway. Programs that need more get it from the
//! system as usual. What is freed in the first KiB is only used again if it was the last piece.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::alloc::System;

/// To be the `#[global_allocator]`.
#[derive(Debug)]
pub struct SmallHeap {
    first: UnsafeCell<[u8; FIRST]>,
    used: AtomicUsize,
}

const FIRST: usize = 1024;

impl SmallHeap {
    /// Nothing is allocated yet.
    pub const fn new() -> Self {
        Self { first: UnsafeCell::new([0; FIRST]), used: AtomicUsize::new(0) }
    }

    /// Where in the first KiB `ptr` points.
    fn offset(&self, ptr: *const u8) -> Option<usize> {
        ptr.addr().checked_sub(self.first.get().addr()).filter(|&at| at < FIRST)
    }

    fn take(&self, layout: Layout) -> Option<usize> {
        let base = self.first.get().addr();
        let place = |used: usize| (base + used).next_multiple_of(layout.align()) - base;
        let end = |used| place(used).checked_add(layout.size()).filter(|&end| end <= FIRST);
        self.used.fetch_update(Relaxed, Relaxed, end).ok().map(place)
    }
}

impl Default for SmallHeap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the bytes are only handed out, each by one successful update of `used`.
#[expect(unsafe_code, reason = "an allocator")]
unsafe impl Sync for SmallHeap {}

// SAFETY: pieces of the first KiB are disjoint, aligned and within it; everything else is the system's.
#[expect(unsafe_code, reason = "an allocator")]
unsafe impl GlobalAlloc for SmallHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            // SAFETY: within the array.
            Some(at) => unsafe { self.first.get().cast::<u8>().add(at) },
            // SAFETY: the caller's own promise.
            None => unsafe { System.alloc(layout) },
        }
    }

    // The system's fresh pages are zero and stay untouched until they are used; the default would write to all of them.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            // SAFETY: within the array, and as long as the layout. It may have been used before.
            Some(at) => unsafe {
                let piece = self.first.get().cast::<u8>().add(at);
                piece.write_bytes(0, layout.size());
                piece
            },
            // SAFETY: the caller's own promise.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        match self.offset(ptr) {
            Some(at) => {
                // Only the last piece can be given back.
                let _ = self.used.compare_exchange(at + layout.size(), at, Relaxed, Relaxed);
            }
            // SAFETY: not from the first KiB, so it came from the system.
            None => unsafe { System.dealloc(ptr, layout) },
        }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(at) = self.offset(ptr) else {
            // SAFETY: not from the first KiB, so it came from the system.
            return unsafe { System.realloc(ptr, layout, size) };
        };
        // The last piece grows where it is.
        if size <= FIRST - at && self.used.compare_exchange(at + layout.size(), at + size, Relaxed, Relaxed).is_ok() {
            return ptr;
        }
        // SAFETY: a layout of the caller's size and its old alignment; both pieces are at least as long as what is copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(ptr, new, layout.size().min(size));
                self.dealloc(ptr, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "calls the allocator by hand")]
    fn pieces_are_disjoint_grow_and_overflow_into_the_system() {
        let heap = SmallHeap::new();
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        // SAFETY: every piece is used within its layout and freed once.
        unsafe {
            let a = heap.alloc(layout(3, 1));
            let b = heap.alloc(layout(16, 8));
            assert_eq!(b.addr() % 8, 0);
            assert!(b.addr() >= a.addr() + 3);
            a.write_bytes(1, 3);
            b.write_bytes(2, 16);
            // The last piece grows in place, another moves with its content.
            assert_eq!(heap.realloc(b, layout(16, 8), 32), b);
            let moved = heap.realloc(a, layout(3, 1), 5);
            assert_ne!(moved, a);
            assert_eq!(core::slice::from_raw_parts(moved, 3), [1, 1, 1]);
            heap.dealloc(moved, layout(5, 1));
            let again = heap.alloc_zeroed(layout(5, 1));
            assert_eq!(again, moved);
            assert_eq!(core::slice::from_raw_parts(again, 5), [0; 5]);
            let big = heap.alloc(layout(4096, 16));
            assert_eq!(heap.offset(big), None);
            big.write_bytes(3, 4096);
            let big = heap.realloc(big, layout(4096, 16), 8192);
            assert_eq!(*big.add(4095), 3);
            heap.dealloc(big, layout(8192, 16));
            let grown = heap.realloc(again, layout(5, 1), FIRST * 2);
            assert_eq!(heap.offset(grown), None);
            heap.dealloc(grown, layout(FIRST * 2, 1));
            assert_eq!(core::slice::from_raw_parts(b, 16), [2; 16]);
        }
    }
}
