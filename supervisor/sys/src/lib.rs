//! The OS layer of both halves: what the kernel offers, in the few shapes our daemons need.
//!
//! Nothing here decides anything. Supervision must stay tiny, so this crate links `nix` and nothing else, formats nothing,
//! and allocates only where a function says so. It is one of the few places that may be `unsafe`.

pub mod clock;
pub mod daemon;
pub mod entry;
pub mod errtext;
pub mod exec;
pub mod fifo;
pub mod file;
pub mod heap;
pub mod identity;
pub mod limit;
pub mod lock;
pub mod msg;
pub mod opt;
pub mod orphan;
pub mod peek;
pub mod pidfile;
pub mod poll;
pub mod process;
pub mod ready;
pub mod rest;
pub mod signal;
pub mod sleep;
pub mod spawn;
pub mod timer;
// 32-bit ARM has names of its own.
#[cfg(all(panic = "abort", not(target_arch = "arm")))]
mod unwind;
pub mod watch;

pub use nix::errno::Errno;
pub use nix::unistd::Pid;
