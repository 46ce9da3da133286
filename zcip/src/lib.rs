//! IPv4 link-local addresses (RFC 3927).

pub mod machine;
pub mod options;
pub mod remember;
