//! IPv4 link-local addresses (RFC 3927).

#![forbid(unsafe_code)]

mod ban;
mod driver;
pub mod machine;
pub mod options;
mod publish;
pub mod remember;

pub use driver::main;
