#![expect(clippy::disallowed_methods, reason = "driver: reads the clock that dates what it hears")]
//! The interface: what the kernel says of it, and what of that the machine has to know.

use super::{Daemon, Fatal};
use crate::machine::{Input, Link};
use netif::link::{Event as LinkEvent, Link as Interface, LinkError};
use sys::clock::boottime;

impl Daemon {
    pub(super) fn link_events(&mut self) -> Result<(), Fatal> {
        let ours = |i: Option<Interface>, index| i.is_some_and(|i| i.index == index);
        while let Some(event) = self.events.event().map_err(|e| Fatal(format!("unable to hear of links: {e}")))? {
            match event {
                LinkEvent::New(link) if link.name == self.options.interface => self.changed(Some(link))?,
                // Renamed: what we look after has another name now, and ours is free.
                LinkEvent::New(link) if ours(self.interface, link.index) => self.changed(None)?,
                LinkEvent::Del { index, .. } if ours(self.interface, index) => self.changed(None)?,
                LinkEvent::New(_) | LinkEvent::Del { .. } => {}
                LinkEvent::Overrun => match self.questions.query(self.options.interface) {
                    Ok(link) => self.changed(Some(link))?,
                    Err(LinkError::NoSuchInterface) => self.changed(None)?,
                    Err(e) => return Err(Fatal(e.to_string())),
                },
            }
        }
        Ok(())
    }

    /// Tells the machine how the interface is now, and what the last message may have hidden.
    fn changed(&mut self, link: Option<Interface>) -> Result<(), Fatal> {
        let before = self.interface;
        let Some(link) = link else {
            self.interface = None;
            self.retire_all();
            self.link(None);
            return Ok(());
        };
        if before.is_some_and(|b| b.index != link.index) {
            self.retire_all();
            self.link(None);
        } else if self.options.ignore_carrier {
            // Nor its changes.
        } else if before.is_some_and(|b| b.carrier_losses != link.carrier_losses && b.running()) && link.running() {
            // Down and up between two messages: the kernel merges them.
            self.link(link.mac.map(|mac| Link { mac: mac.0, carrier: false }));
        }
        let link = match before {
            Some(b) if b.index == link.index => self.note(link)?,
            Some(_) | None => self.adopt(link)?,
        };
        self.link(Some(link));
        Ok(())
    }

    /// An interface we have not seen before: it is set up by us, once.
    pub(super) fn adopt(&mut self, link: Interface) -> Result<Link, Fatal> {
        if !link.up
            && let Err(e) = self.rights.set_up(link.index)
        {
            self.log.warn(&format!("unable to set it up: {e}"));
        }
        self.note(link)
    }

    fn note(&mut self, link: Interface) -> Result<Link, Fatal> {
        let mac = link.mac.ok_or_else(|| Fatal("not an Ethernet interface".to_owned()))?;
        self.interface = Some(link);
        self.client_id = self.options.profile.client_id(mac.0);
        let mtu = u16::try_from(link.mtu).unwrap_or(u16::MAX).max(576);
        self.options.profile.max_size = self.options.max_size.unwrap_or(mtu);
        Ok(Link { mac: mac.0, carrier: link.running() || self.options.ignore_carrier })
    }

    fn link(&mut self, link: Option<Link>) {
        if link.is_none_or(|l| !l.carrier) {
            self.outlet.link_lost();
        }
        self.machine.handle(boottime(), Input::Link(link));
    }
}
