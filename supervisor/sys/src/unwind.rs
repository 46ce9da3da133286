//! No unwinding and no backtrace in a release.
//!
//! It aborts on a panic and has no symbols: nobody walks its stack, and a backtrace would be bare addresses. The standard library
//! links what both would take all the same, an unwinder and readers of debug information, compressed too: a third of the
//! supervisor. All of it hangs on a few functions of the unwinder, and here they are, by the names the library calls them. What a
//! panic says, its file and line included, is printed as ever. `tests/static.ld` leaves out the tables an unwinder reads.
//!
//! A linker that calls one of these names defined twice tells that a newer library uses one more: it belongs into the list.

use core::ffi::{c_int, c_void};

/// `_URC_NO_REASON`: there was nothing wrong.
const DONE: c_int = 0;

/// Visits no frame.
#[expect(unsafe_code, reason = "the unwinder's interface")]
// SAFETY: the name is the unwinder's (Itanium C++ ABI), which is not linked; so are the arguments and the meaning of the result.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_visit: *const c_void, _argument: *mut c_void) -> c_int {
    DONE
}

/// Functions that only an unwinding program calls.
macro_rules! never_called {
    ($($name:ident)*) => { $(
        #[expect(unsafe_code, reason = "the unwinder's interface")]
        // SAFETY: the name is the unwinder's, which is not linked. Whatever it is called with, it does not return.
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            std::process::abort()
        }
    )* };
}

never_called! {
    _Unwind_Resume
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_GetDataRelBase
    _Unwind_SetGR
    _Unwind_SetIP
}
