//! The last good address, so that a host keeps it over restarts (RFC 3927 section 2.1). One line of text, `169.254.7.8`.

use netif::IfName;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::file::{CWD, Durability, make_dir, read_bounded, replace};

/// Longest file worth reading.
const MAX: usize = 64;

/// The file of an interface.
#[derive(Debug)]
pub struct Memory(PathBuf);

impl Memory {
    /// `DIR/zcip_IF`.
    pub fn new(dir: &Path, interface: IfName) -> Self {
        Self(dir.join(format!("zcip_{interface}")))
    }

    /// The directory it is kept in; made, if it is not there.
    pub fn dir(&self) -> Option<&Path> {
        let dir = self.0.parent()?;
        // What is wrong is said at writing.
        let _ = make_dir(CWD, dir, 0o755);
        Some(dir)
    }

    /// The address, none when there is no file or nothing sensible in it.
    pub fn read(&self) -> Option<Ipv4Addr> {
        let bytes = read_bounded(CWD, &self.0, MAX).ok()?;
        core::str::from_utf8(&bytes).ok()?.trim_end().parse().ok()
    }

    /// Writes the address down, unless it is there already.
    pub fn write(&self, address: Ipv4Addr) -> Result<(), Errno> {
        if self.read() == Some(address) {
            return Ok(());
        }
        if let Some(dir) = self.0.parent() {
            make_dir(CWD, dir, 0o755)?;
        }
        let mut temp = self.0.clone().into_os_string();
        temp.push(".new");
        replace(
            CWD,
            temp.as_os_str(),
            self.0.as_os_str(),
            format!("{address}\n").as_bytes(),
            0o644,
            Durability::PowerLoss,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_one_address() {
        let dir = std::env::temp_dir().join(format!("zcip-memory-{}", std::process::id()));
        let memory = Memory::new(&dir, "eth0".parse().unwrap());
        let address = Ipv4Addr::new(169, 254, 7, 8);
        assert_eq!(memory.read(), None);
        memory.write(address).unwrap();
        assert_eq!(memory.read(), Some(address));
        memory.write(address).unwrap();
        for bad in [&b"169.254.7.8.9"[..], b"", b"\xff", &[b'1'; 100]] {
            replace(CWD, &dir.join("t"), &dir.join("zcip_eth0"), bad, 0o644, Durability::Atomic).unwrap();
            assert_eq!(memory.read(), None, "{bad:?}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
