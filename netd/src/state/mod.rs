//! The network's state as data: what the kernel has ([`Actual`](object::Actual)), what the records ask for
//! ([`Desired`](desired::Desired)), and the least set of changes between the two ([`Plan`](plan::Plan)).
//!
//! Nothing here touches the world; `kernel` reads and writes it.

pub(crate) mod command;
pub(crate) mod desired;
pub(crate) mod object;
pub(crate) mod plan;
pub(crate) mod text;
pub(crate) mod view;
pub(crate) mod why;
