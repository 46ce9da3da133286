//! pinger: is the uplink alive? The native form of the classic dhcp_if_pinger script.
//!
//! [`verdict`] decides; the driver probes the targets, publishes the verdict for `fw` and restarts services.

mod driver;
pub mod icmp;
pub mod lease;
pub mod options;
mod probe;
pub mod target;
pub mod verdict;

pub use driver::main;
