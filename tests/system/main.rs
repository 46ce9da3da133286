//! The system suites: one module per area. Every test runs in a lab of its own (see the `lab` crate).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_names,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a panic is how they report, and a service is called foo as in runit's own documents"
)]

mod adopt;
mod boot;
mod compat;
mod container;
mod demo;
mod dhcp;
mod examples;
mod fw;
mod gateway;
mod hosted;
mod install;
mod ipconf;
mod lab_itself;
mod linkwatch;
mod migration;
mod mixed;
mod netd;
mod netif;
mod page;
mod pinger;
mod policy;
mod runsv;
mod runsvdir;
mod sandbox;
mod shape;
mod sv;
mod svlogd;
mod syslog;
mod template;
mod torture;
mod trouble;
mod zcip;
