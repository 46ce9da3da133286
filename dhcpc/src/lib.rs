//! The DHCPv4 client (RFC 2131), and udhcpc's place-taker.
//!
//! [`machine`] decides, [`message`] and [`options`] read and write the wire, [`environment`] and [`remember`] turn a lease
//! into what scripts and the next start see; none of them touches the world. `driver`, `sockets`, `outlet` and `memory` do.

#![forbid(unsafe_code)]

pub mod args;
mod driver;
pub mod environment;
mod identity;
pub mod lease;
mod log;
pub mod machine;
mod memory;
pub mod message;
pub mod options;
mod outlet;
pub mod remember;
mod repeats;
mod sockets;
mod stats;

pub use driver::{main, udhcpc};
