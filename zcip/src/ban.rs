//! What a DHCP server says of link-local addresses: none are wanted (RFC 2563). dhcpc, the only one who hears it, writes
//! `autoconf='no'` into its file in fw's run directory; while that is there, this interface has no address of ours.

use netif::IfName;
use netif::ipconf::{Autoconf, File, MAX_FILE};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use sys::file::{CWD, read_bounded};
use sys::watch::{Change, Interest, Watch};

/// The file, and how we hear that it has changed.
#[derive(Debug)]
pub(crate) struct Ban {
    file: PathBuf,
    interface: IfName,
    /// None where the run directory cannot be watched, which is where nobody publishes.
    watch: Option<Watch>,
}

impl Ban {
    /// `file` is the DHCP service's, in a directory that exists by now if it is ever used.
    pub(crate) fn new(file: PathBuf, interface: IfName) -> Self {
        let watch = Watch::new().ok().filter(|w| w.add(directory(&file), Interest::Names).is_ok());
        Self { file, interface, watch }
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        directory(&self.file)
    }

    /// Readable when something changed in the directory.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Whether the file may say something else now.
    pub(crate) fn changed(&mut self) -> bool {
        let Some(watch) = &self.watch else { return false };
        let (mut changed, mut lost) = (false, false);
        watch.changes(|_, change| match change {
            Change::Made(name) | Change::Came(name) | Change::Went(name) => {
                changed |= Some(name) == self.file.file_name();
            }
            Change::Itself => lost = true,
            Change::Overflow => changed = true,
        });
        if lost {
            self.watch = None;
        }
        changed || lost
    }

    /// Whether it is there now. A file that cannot be read or understood forbids nothing; fw says what is wrong with it.
    pub(crate) fn holds(&self) -> bool {
        read_bounded(CWD, &self.file, MAX_FILE).is_ok_and(|bytes| forbids(&bytes, self.interface))
    }
}

fn directory(file: &Path) -> &Path {
    file.parent().filter(|dir| *dir != Path::new("")).unwrap_or_else(|| Path::new("."))
}

fn forbids(bytes: &[u8], interface: IfName) -> bool {
    let entries = File::parse(bytes).and_then(|file| file.entries());
    entries.is_ok_and(|found| {
        found.entries.iter().any(|e| e.iface == interface && e.autoconf == Some(Autoconf::Forbidden))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_no_for_this_interface() {
        let forbids = |text: &str| forbids(text.as_bytes(), "eth0".parse().unwrap());
        assert!(forbids("let cfg=cfg+1\nif[$cfg]='eth0'\nautoconf[$cfg]='no'\n"));
        for other in [
            "let cfg=cfg+1\nif[$cfg]='eth1'\nautoconf[$cfg]='no'\n",
            "let cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]='192.0.2.7'\n",
            "let cfg=cfg+1\nif[$cfg]='eth0'\nautoconf[$cfg]='yes'\n",
            "autoconf",
            "",
        ] {
            assert!(!forbids(other), "{other}");
        }
    }
}
