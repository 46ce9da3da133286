//! What all network services share: the types of an interface, `.ipconf` files, frames, packet sockets, link events, hooks.
//!
//! Parsers turn untrusted text and packets into the real types defined here and never panic; only the modules marked as
//! drivers touch the world. Nothing here knows DHCP, ARP probing or the `fw` policy: those are the callers.

pub mod domain;
pub mod frame;
pub mod hook;
pub mod ifname;
pub mod ipconf;
pub mod link;
pub mod log;
pub mod nftables;
pub mod packet;
pub mod places;
pub mod prefix;
pub mod publish;
pub mod random;
pub mod sandbox;

pub use ifname::{IfIndex, IfName, Mac};
pub use prefix::Prefix;
