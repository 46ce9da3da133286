//! pinger: is the uplink alive?

pub mod verdict;
