//! Carrier (linkwatch) and reachability (pinger).

#![forbid(unsafe_code)]

pub mod carrier;
mod driver;
mod feed;
mod handler;
pub mod options;
pub mod pinger;
pub mod services;

pub use driver::main;
pub use feed::SetUp;
