//! The kernel as the files concern it: the tables they mention, and which of its addresses and ports are ours.

mod owned;
mod ports;

use crate::kernel::{Done, Kernel, Refusal};
use crate::say;
use crate::state::desired::{Source, tables};
use crate::state::object::Actual;
use crate::state::plan::{Change, Plan, Step};
use owned::OwnedAddresses;
use ports::OwnedPorts;
use std::path::{Path, PathBuf};
use sys::Errno;

/// See the module.
pub(crate) struct Host {
    pub(crate) kernel: Kernel,
    tables: Vec<u32>,
    owned: OwnedAddresses,
    ports: OwnedPorts,
}

impl Host {
    /// Needs no rights; changing anything does.
    pub(crate) fn open(sources: &[Source], run_dir: &Path) -> Result<Self, Refusal> {
        let (owned, ports) = (OwnedAddresses::read(run_dir), OwnedPorts::read(run_dir));
        Ok(Self { kernel: Kernel::open()?, tables: tables(sources), owned, ports })
    }

    /// The kernel's state, with the addresses that are ours by the list marked so.
    pub(crate) fn dump(&self) -> Result<Actual, Refusal> {
        let mut actual = self.kernel.dump(&self.tables)?;
        self.owned.claim(&mut actual);
        self.ports.claim(&mut actual);
        Ok(actual)
    }

    /// Carries out `changes` in order and returns what became of each.
    pub(crate) fn carry_out(&mut self, changes: &[Change], actual: &Actual) -> Vec<Result<Done, Refusal>> {
        unwritten(self.ports.intend(changes, actual));
        let steps: Vec<&Step> = changes.iter().map(|c| &c.step).collect();
        self.kernel.apply(&steps, actual)
    }

    /// The kernel's state after a round, and the lists of what is ours where there are some.
    pub(crate) fn look_again(&mut self, done: &Plan, refused: &[(Change, Refusal)]) -> Result<Actual, Refusal> {
        let mut now = self.kernel.dump(&self.tables)?;
        unwritten(self.owned.update(&now, done, refused));
        self.owned.claim(&mut now);
        self.ports.claim(&mut now);
        unwritten(self.ports.intend(&[], &now));
        Ok(now)
    }
}

/// The network is as it should be without the list.
fn unwritten(written: Result<(), (PathBuf, Errno)>) {
    if let Err((path, why)) = written {
        say::warning(&format!("unable to write {}: {}", path.display(), sys::errtext::errtext(why)));
    }
}
