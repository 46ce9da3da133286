#![expect(clippy::disallowed_methods, reason = "driver: tries what must not be possible")]
//! For the tests, and in debug builds only: tries inside the confined daemon what an intruder would, and says how it went.

use nix::libc;
use socket2::{Domain, Type};
use std::ffi::CString;
use std::fmt::Write as _;

/// The variable that asks for it.
const ASKED: &str = "PORTREEVE_PROVE_SANDBOX";

/// One line for standard error, if it is asked for: `open: REASON, exec: REASON, ...`.
pub fn attempt() -> Option<String> {
    std::env::var_os(ASKED)?;
    let os = |r: std::io::Result<()>| r.map_or_else(|e| e.raw_os_error().unwrap_or(-1), |()| 0);
    let mut line = String::from("sandbox:");
    for (what, errno) in [
        ("read /etc/shadow", os(std::fs::File::open("/etc/shadow").map(drop))),
        ("write /tmp", os(std::fs::File::create("/tmp/intruder").map(drop))),
        ("exec", os(exec())),
        ("inet socket", os(socket2::Socket::new(Domain::IPV4, Type::STREAM, None).map(drop))),
        ("packet socket", os(socket2::Socket::new(Domain::PACKET, Type::RAW, None).map(drop))),
        (
            "signal",
            sys::signal::kill(nix::unistd::getppid(), sys::signal::Signal::SIGCONT).map_or_else(|e| e as i32, |()| 0),
        ),
        ("executable memory", os(executable())),
    ] {
        let _ = write!(line, " {what} {errno},");
    }
    Some(line)
}

#[expect(unsafe_code, reason = "execv without a fork")]
fn exec() -> std::io::Result<()> {
    let program = CString::from(c"/bin/true");
    let args = [program.as_ptr(), core::ptr::null()];
    // SAFETY: a list of valid strings that ends in null; returns only if it failed.
    unsafe { libc::execv(program.as_ptr(), args.as_ptr()) };
    Err(std::io::Error::last_os_error())
}

#[expect(unsafe_code, reason = "mmap")]
fn executable() -> std::io::Result<()> {
    let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh anonymous page nobody uses.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), 4096, rights, flags, -1, 0) };
    if at == libc::MAP_FAILED { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
