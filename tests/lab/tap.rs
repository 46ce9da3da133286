//! A TAP device. Unlike veth it shows the kernel's rate limit of link events, and its carrier is the test's own.

use crate::{Netns, note};
use nix::libc;
use std::fs::File;
use std::os::fd::AsRawFd;

/// A TAP device; it is gone when this is dropped.
#[derive(Debug)]
pub struct Tap {
    name: String,
    device: File,
}

impl Tap {
    pub(crate) fn new(name: &str) -> Self {
        let device = File::options().read(true).write(true).open("/dev/net/tun");
        let device = device.unwrap_or_else(|e| panic!("/dev/net/tun: {e} (modprobe tun)"));
        attach(&device, name);
        Netns::root().ip(&format!("link set {name} up"));
        Self { name: name.to_owned(), device }
    }

    /// Its interface name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pulls or plugs the cable, by one system call.
    #[track_caller]
    #[expect(unsafe_code, reason = "no safe wrapper for TUNSETCARRIER")]
    pub fn carrier(&self, there: bool) {
        note(&format!("{}: carrier {there}", self.name));
        let there = libc::c_int::from(there);
        // SAFETY: TUNSETCARRIER reads one int, which lives until the call is over.
        let result = unsafe { libc::ioctl(self.device.as_raw_fd(), TUNSETCARRIER as _, &raw const there) };
        assert!(result == 0, "TUNSETCARRIER {}: {}", self.name, std::io::Error::last_os_error());
    }
}

/// linux/if_tun.h, since Linux 5.0.
const TUNSETCARRIER: u32 = 0x4004_54e2;

#[expect(unsafe_code, reason = "no safe wrapper for TUNSETIFF")]
fn attach(device: &File, name: &str) {
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: libc::c_short::try_from(libc::IFF_TAP | libc::IFF_NO_PI).expect("two small flags"),
        },
    };
    assert!(name.len() < libc::IFNAMSIZ, "{name} is too long for an interface");
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives until the call is over.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    assert!(result == 0, "TUNSETIFF {name}: {}", std::io::Error::last_os_error());
}
