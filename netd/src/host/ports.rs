//! Which ports of bridges are ours: the kernel keeps no mark of who made a link a port, so a list in the run directory does.
//!
//! The list is written before the kernel is asked, so that a port can be taken out again whoever is killed in between; an
//! entry counts only while the kernel says the same. It lives as long as the ports: both are gone after a reboot.

use crate::state::object::{Actual, Link, Owner};
use crate::state::plan::{Change, Step};
use netif::{IfIndex, IfName};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::file::{self, CWD, Durability};

const NAME: &str = "netd.ports";

/// Longest list: ten thousand ports.
const MAX: usize = 1 << 20;

/// The list: port and bridge, one pair a line.
#[derive(Debug)]
pub(super) struct OwnedPorts {
    path: PathBuf,
    list: BTreeSet<(IfName, IfName)>,
}

impl OwnedPorts {
    /// An absent or unreadable list is an empty one; a line that is none of ours is skipped.
    pub(super) fn read(run_dir: &Path) -> Self {
        let path = run_dir.join(NAME);
        let bytes = file::read_bounded(CWD, &path, MAX).unwrap_or_default();
        let pair = |line: &str| {
            let (port, bridge) = line.split_once(' ')?;
            Some((port.parse().ok()?, bridge.parse().ok()?))
        };
        let list = String::from_utf8_lossy(&bytes).lines().filter_map(pair).collect();
        Self { path, list }
    }

    /// Marks the listed ports as ours.
    pub(super) fn claim(&self, actual: &mut Actual) {
        if self.list.is_empty() {
            return;
        }
        let pairs: Vec<_> = actual.links.iter().map(|l| pair(l, actual)).collect();
        for (link, pair) in actual.links.iter_mut().zip(pairs) {
            if let Some(member) = &mut link.member
                && pair.is_some_and(|p| self.list.contains(&p))
            {
                member.owner = Owner::Us;
            }
        }
    }

    /// Takes up what is about to be made a port, and forgets what is none any more.
    pub(super) fn intend(&mut self, changes: &[Change], actual: &Actual) -> Result<(), (PathBuf, Errno)> {
        let next = self.next(changes, actual);
        if next == self.list {
            return Ok(());
        }
        self.list = next;
        if self.list.is_empty() {
            return file::unlink(CWD, &self.path).map_err(|e| (self.path.clone(), e));
        }
        let text: String = self.list.iter().map(|(port, bridge)| format!("{port} {bridge}\n")).collect();
        let temp = self.path.with_file_name(format!(".{NAME}.tmp"));
        file::replace(CWD, &temp, &self.path, text.as_bytes(), 0o644, Durability::Atomic)
            .map_err(|e| (self.path.clone(), e))
    }

    fn next(&self, changes: &[Change], actual: &Actual) -> BTreeSet<(IfName, IfName)> {
        let name = |index: IfIndex| actual.link(index).map(|l| l.name);
        let asked = changes
            .iter()
            .filter_map(|c| if let Step::Join(port, bridge) = c.step { name(port).zip(name(bridge)) } else { None });
        let ours = actual.links.iter().filter(|l| l.member.is_some_and(|m| m.owner == Owner::Us));
        ours.filter_map(|l| pair(l, actual)).chain(asked).collect()
    }
}

fn pair(link: &Link, actual: &Actual) -> Option<(IfName, IfName)> {
    Some((link.name, actual.link(link.member?.of)?.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::object::Member;

    fn index(n: u32) -> IfIndex {
        IfIndex::new(n).unwrap()
    }

    #[test]
    fn an_entry_counts_while_the_kernel_says_the_same() {
        let member = |of| Some(Member { of: index(of), owner: Owner::Other(0) });
        let link = |n, name: &str, member| Link { member, ..Link::new(index(n), name.parse().unwrap()) };
        let mut actual = Actual {
            links: vec![
                link(2, "br0", None),
                link(3, "br1", None),
                link(4, "eth1", member(2)),
                link(5, "eth2", member(3)),
                link(6, "eth3", None),
                link(7, "tap0", member(2)),
            ],
            ..Actual::default()
        };
        let pair = |port: &str, bridge: &str| (port.parse().unwrap(), bridge.parse().unwrap());
        let list = ["eth1", "eth2", "eth3", "gone"].map(|port| pair(port, "br0")).into();
        let owned = OwnedPorts { path: PathBuf::new(), list };
        owned.claim(&mut actual);
        let ours = actual.links.iter().filter(|l| l.member.is_some_and(|m| m.owner == Owner::Us));
        assert_eq!(ours.map(|l| l.name.to_string()).collect::<Vec<_>>(), ["eth1"]);

        let change = |step| Change { step, origin: None };
        let next = owned.next(&[change(Step::Join(index(6), index(3))), change(Step::Leave(index(4)))], &actual);
        assert_eq!(next, [pair("eth1", "br0"), pair("eth3", "br1")].into(), "until it has left, it is ours");
    }
}
