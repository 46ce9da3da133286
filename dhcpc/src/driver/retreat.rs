//! What the daemon lets go of once it runs: its rights, and the terminal.

use super::{Daemon, Fatal};
use crate::args::Background;
use netif::sandbox::{Access, Calls, Confinement, Exempt};
use std::path::Path;

impl Daemon {
    /// Gives up every right, once: the first message is on its way, its answer not yet looked at.
    pub(super) fn confine(&mut self) {
        if core::mem::replace(&mut self.confined, true) {
            return;
        }
        let mut files = self.outlet.files();
        files.extend(self.memory.dir().map(|dir| (dir, Access::Files)));
        // Its directory, because it is replaced as a whole.
        let stats = self.options.stats.as_deref().and_then(Path::parent);
        files.extend(stats.map(|dir| (if dir == Path::new("") { Path::new(".") } else { dir }, Access::Files)));
        let background = match self.options.background {
            Background::Never => false,
            Background::Bound | Background::BoundOrNot => true,
        };
        if background {
            files.push((Path::new("/dev/null"), Access::Write));
        }
        let confinement = Confinement {
            capabilities: &[],
            files,
            exempt: Exempt::default(),
            calls: Calls { files: true, background, ..Calls::default() },
        };
        self.rights.confine(&confinement, |part, e| self.log.warn_errno(&format!("sandbox: {}", part.text()), e));
        #[cfg(debug_assertions)]
        if let Some(line) = netif::sandbox::proof::attempt() {
            self.log.line(line);
        }
    }

    /// Leaves the terminal once the scripts are through: whoever started us then finds the network up.
    pub(super) fn background(&mut self) -> Result<(), Fatal> {
        if self.leave_terminal && self.outlet.idle() {
            self.leave_terminal = false;
            self.options.background = Background::Never;
            self.rights
                .background(self.pidfile.as_ref())
                .map_err(|e| Fatal::errno("unable to go to the background", e))?;
        }
        Ok(())
    }
}
