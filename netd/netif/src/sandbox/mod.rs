//! Rights: a daemon opens what it needs and gives up the rest, before it reads the first packet.
//!
//! What it cannot open beforehand (a socket for the next exchange, a script, another service's control fifo) it gets from its
//! [`steward`], a small process forked at the start that keeps the rights and takes bounded orders. Then the daemon itself has
//! no capabilities, no way to new ones, sees only the files below its own directories (Landlock) and can make only the system
//! calls of a list (seccomp): no socket, no program, no other process.
//!
//! Kernels without one of these go on without it; the daemon says so once, by name. May be `unsafe`: the system calls have no
//! safe wrapper.

mod capabilities;
mod filter;
mod hands;
mod landlock;
mod order;
#[cfg(debug_assertions)]
pub mod proof;
mod rights;
mod steward;

pub use capabilities::Capability;
pub use filter::Calls;
pub use hands::{Policy, Script};
pub use landlock::{Access, Exempt};
pub use order::Outbound;
pub use rights::{HeldPidFile, Rights, Sandbox};
use std::path::Path;
use sys::Errno;

/// What a process keeps.
#[derive(Clone, Debug)]
pub struct Confinement<'a> {
    /// Its capabilities.
    pub capabilities: &'a [Capability],
    /// The files it may open.
    pub files: Vec<(&'a Path, Access)>,
    /// Uses of the network and of existing files that stay as they are.
    pub exempt: Exempt,
    /// Its system calls, beside those on what is open.
    pub calls: Calls,
}

impl<'a> Confinement<'a> {
    /// A steward without a script: it makes sockets, writes to control fifos wherever they come to be, and removes the pid file.
    fn steward(policy: &'a Policy, kept: &'a [Capability]) -> Self {
        let pidfile = policy.pidfile.as_deref().and_then(parent).map(|dir| (dir, Access::Remove));
        let null = policy.background.then_some((Path::new("/dev/null"), Access::Write));
        Self {
            capabilities: kept,
            files: pidfile.into_iter().chain(null).collect(),
            exempt: Exempt { write: true, ..Exempt::default() },
            calls: Calls { files: true, sockets: true, background: policy.background, ..Calls::default() },
        }
    }
}

/// The directory a file is in.
fn parent(file: &Path) -> Option<&Path> {
    file.parent().map(|dir| if dir == Path::new("") { Path::new(".") } else { dir })
}

/// A part of the sandbox that could not be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The process that keeps the rights: nothing is given up then.
    Steward,
    /// capset.
    Capabilities,
    /// PR_SET_NO_NEW_PRIVS.
    NoNewPrivileges,
    /// Landlock, Linux 5.13.
    Landlock,
    /// A seccomp filter.
    Seccomp,
}

impl Failure {
    /// Its name, for the log.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Steward => "no steward",
            Self::Capabilities => "no capset",
            Self::NoNewPrivileges => "no PR_SET_NO_NEW_PRIVS",
            Self::Landlock => "no Landlock",
            Self::Seccomp => "no seccomp",
        }
    }
}

/// In this order: without no_new_privs the kernel lets only CAP_SYS_ADMIN do the last two, and the filter would refuse the rest.
fn confine_all(what: &Confinement<'_>, mut failed: impl FnMut(Failure, Errno)) {
    let mut note = |failure, result: Result<(), Errno>| {
        if let Err(e) = result {
            failed(failure, e);
        }
    };
    note(Failure::NoNewPrivileges, filter::no_new_privileges());
    note(Failure::Landlock, landlock::restrict(&what.files, what.exempt));
    note(Failure::Capabilities, capabilities::keep(what.capabilities));
    note(Failure::Seccomp, filter::install(what.calls));
}

/// The two sides of `NAME=value`.
fn assignment(variable: &[u8]) -> Option<(&str, &[u8])> {
    let at = variable.iter().position(|b| *b == b'=')?;
    let (name, value) = variable.split_at_checked(at)?;
    Some((core::str::from_utf8(name).ok()?, value.get(1..)?))
}
