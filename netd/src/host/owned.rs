//! Which addresses are ours on a kernel that does not keep `IFA_PROTO` (before 5.18): a list in the run directory.
//!
//! The list is written only where it is needed, that is, when an address that was just added comes back without our mark;
//! on a newer kernel there is no such file. It lives as long as the addresses: both are gone after a reboot.

use crate::kernel::Refusal;
use crate::state::object::{Actual, Owner};
use crate::state::plan::{Change, Plan, Step};
use netif::{IfName, Prefix};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::file::{self, CWD, Durability};

const NAME: &str = "netd.addresses";

/// Longest list: a hundred thousand addresses.
const MAX: usize = 8 << 20;

/// The list: link and address with its length, one pair a line.
#[derive(Debug)]
pub(super) struct OwnedAddresses {
    path: PathBuf,
    list: BTreeSet<(IfName, Prefix)>,
}

impl OwnedAddresses {
    /// An absent or unreadable list is an empty one; a line that is none of ours is skipped.
    pub(crate) fn read(run_dir: &Path) -> Self {
        let path = run_dir.join(NAME);
        let bytes = file::read_bounded(CWD, &path, MAX).unwrap_or_default();
        let pair = |line: &str| {
            let (link, prefix) = line.split_once(' ')?;
            Some((link.parse().ok()?, prefix.parse().ok()?))
        };
        let list = String::from_utf8_lossy(&bytes).lines().filter_map(pair).collect();
        Self { path, list }
    }

    /// Marks the listed addresses as ours.
    pub(super) fn claim(&self, actual: &mut Actual) {
        if self.list.is_empty() {
            return;
        }
        let Actual { links, addresses, .. } = actual;
        for address in addresses.iter_mut().filter(|a| a.owner == Owner::Other(0)) {
            let link = links.iter().find(|l| l.index == address.object.link);
            if link.is_some_and(|l| self.list.contains(&(l.name, address.object.prefix))) {
                address.owner = Owner::Us;
            }
        }
    }

    /// Takes up what was just added and came back without our mark, and forgets what is gone.
    pub(super) fn update(
        &mut self,
        raw: &Actual,
        done: &Plan,
        refused: &[(Change, Refusal)],
    ) -> Result<(), (PathBuf, Errno)> {
        let next = self.next(raw, done, refused);
        if next == self.list {
            return Ok(());
        }
        self.list = next;
        if self.list.is_empty() {
            return file::unlink(CWD, &self.path).map_err(|e| (self.path.clone(), e));
        }
        let text: String = self.list.iter().map(|(link, prefix)| format!("{link} {prefix}\n")).collect();
        let temp = self.path.with_file_name(format!(".{NAME}.tmp"));
        file::replace(CWD, &temp, &self.path, text.as_bytes(), 0o644, Durability::Atomic)
            .map_err(|e| (self.path.clone(), e))
    }

    fn next(&self, raw: &Actual, done: &Plan, refused: &[(Change, Refusal)]) -> BTreeSet<(IfName, Prefix)> {
        let added: BTreeSet<_> = done
            .changes
            .iter()
            .filter(|c| refused.iter().all(|(r, _)| r.step != c.step))
            .filter_map(|c| if let Step::AddAddress(a) = &c.step { Some((a.link, a.prefix)) } else { None })
            .collect();
        raw.addresses
            .iter()
            .filter(|a| a.owner == Owner::Other(0))
            .filter_map(|a| Some((raw.link(a.object.link)?.name, a)))
            .filter(|(name, a)| {
                added.contains(&(a.object.link, a.object.prefix)) || self.list.contains(&(*name, a.object.prefix))
            })
            .map(|(name, a)| (name, a.object.prefix))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::object::{Address, Link, Owned};
    use netif::IfIndex;

    fn address(text: &str, owner: Owner) -> Owned<Address> {
        let prefix: Prefix = text.parse().unwrap();
        let object = Address { link: IfIndex::new(2).unwrap(), prefix, broadcast: None, peer: None };
        Owned { object, owner }
    }

    #[test]
    fn takes_up_what_came_back_unmarked_and_forgets_what_is_gone() {
        let old = Owner::Other(0);
        let add = |text: &str| Step::AddAddress(address(text, old).object);
        let (refused, done) = (add("10.0.0.9/24"), add("10.0.0.2/24"));
        let change = |step: &Step| Change { step: step.clone(), origin: None };
        let plan =
            Plan { changes: vec![change(&done), change(&refused), change(&add("10.0.0.3/24"))], ..Plan::default() };
        let link = Link::new(IfIndex::new(2).unwrap(), "eth0".parse().unwrap());
        let raw = Actual {
            links: vec![link],
            addresses: vec![
                address("10.0.0.1/24", old),
                address("10.0.0.2/24", old),
                address("10.0.0.3/24", Owner::Us),
                address("10.0.0.9/24", old),
                address("10.0.0.10/24", old),
            ],
            ..Actual::default()
        };
        let pair = |text: &str| ("eth0".parse::<IfName>().unwrap(), text.parse::<Prefix>().unwrap());
        let mut owned =
            OwnedAddresses { path: PathBuf::new(), list: [pair("10.0.0.1/24"), pair("10.0.0.77/24")].into() };
        owned.list = owned.next(&raw, &plan, &[(change(&refused), Errno::EEXIST.into())]);
        assert_eq!(owned.list, [pair("10.0.0.1/24"), pair("10.0.0.2/24")].into());
        let mut claimed = raw;
        owned.claim(&mut claimed);
        let owners: Vec<bool> = claimed.addresses.iter().map(|a| a.owner == Owner::Us).collect();
        assert_eq!(owners, [true, true, true, false, false]);
    }
}
