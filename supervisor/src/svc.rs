//! `svc`: not in this commit yet; the dispatch and its entry come first.

use std::ffi::OsString;

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(_args: &[OsString]) -> u8 {
    sys::msg::eprint(&[b"svc: fatal: not built in\n"]);
    111
}
