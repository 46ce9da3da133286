//! Carrier (linkwatch) and reachability (pinger).

pub mod carrier;
pub mod options;
pub mod pinger;
pub mod services;
