//! Carrier (linkwatch) and reachability (pinger).

pub mod carrier;
pub mod pinger;
