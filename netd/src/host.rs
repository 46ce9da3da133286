//! The kernel as the files concern it: the tables they mention, and which of its addresses are ours.

mod owned;

use crate::kernel::{Kernel, Refusal};
use crate::say;
use crate::state::desired::{Source, tables};
use crate::state::object::Actual;
use crate::state::plan::{Change, Plan};
use owned::OwnedAddresses;
use std::path::Path;

/// See the module.
pub(crate) struct Host {
    pub(crate) kernel: Kernel,
    tables: Vec<u32>,
    owned: OwnedAddresses,
}

impl Host {
    /// Needs no rights; changing anything does.
    pub(crate) fn open(sources: &[Source], run_dir: &Path) -> Result<Self, Refusal> {
        Ok(Self { kernel: Kernel::open()?, tables: tables(sources), owned: OwnedAddresses::read(run_dir) })
    }

    /// The kernel's state, with the addresses that are ours by the list marked so.
    pub(crate) fn dump(&self) -> Result<Actual, Refusal> {
        let mut actual = self.kernel.dump(&self.tables)?;
        self.owned.claim(&mut actual);
        Ok(actual)
    }

    /// The kernel's state after a round, and the list of our addresses where there is one.
    pub(crate) fn look_again(&mut self, done: &Plan, refused: &[(Change, Refusal)]) -> Result<Actual, Refusal> {
        let mut now = self.kernel.dump(&self.tables)?;
        if let Err((path, why)) = self.owned.update(&now, done, refused) {
            say::warning(&format!("unable to write {}: {}", path.display(), sys::errtext::errtext(why)));
        }
        self.owned.claim(&mut now);
        Ok(now)
    }
}
