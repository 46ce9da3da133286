#![expect(clippy::disallowed_methods, reason = "driver: reads the clock that dates what it hears")]
//! Packets: the socket the machine asks for, what goes out of it and what comes in.

use super::Daemon;
use crate::machine::{Announcing, Input, Listen, Via, Watch};
use crate::message::{Expect, Request, encode};
use crate::repeats::Kind;
use crate::sockets::{Ears, Heard};
use crate::stats::Counted;
use netif::packet::PacketError;
use sys::Errno;
use sys::clock::boottime;

/// Most packets looked at before anything else gets its turn.
const BURST: usize = 32;

/// One of the two sockets.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Dhcp,
    Arp,
}

impl Daemon {
    pub(super) fn expect(&self, mac: [u8; 6]) -> Expect<'_> {
        Expect { mac, client_id: self.client_id.as_deref() }
    }

    /// The socket is not listened to any more, and closed when there is time for it.
    pub(super) fn retire(&mut self) {
        self.spend(Ears::Closed, Which::Dhcp);
    }

    /// Both of them: the interface is gone.
    pub(super) fn retire_all(&mut self) {
        self.retire();
        self.spend(Ears::Closed, Which::Arp);
    }

    fn spend(&mut self, now: Ears, which: Which) {
        let place = match which {
            Which::Dhcp => &mut self.ears,
            Which::Arp => &mut self.arp,
        };
        match core::mem::replace(place, now) {
            Ears::Closed => {}
            spent @ (Ears::Raw(..) | Ears::Udp(..) | Ears::Arp(_)) => self.spent.push(spent),
        }
    }

    pub(super) fn watch(&mut self, what: Watch) {
        let opened = match &self.interface {
            Some(link) => Ears::arp(&self.rights, link, what),
            None => Ok(Ears::Closed),
        };
        let ears = opened.unwrap_or_else(|e| {
            self.log.warn(&format!("unable to listen to ARP: {e}"));
            Ears::Closed
        });
        self.spend(ears, Which::Arp);
    }

    pub(super) fn listen(&mut self, what: Listen) {
        self.retire();
        let Some(link) = self.interface else { return };
        let opened = match what {
            Listen::Nothing => return,
            Listen::Broadcast => Ears::raw(&self.rights, &link, self.ports),
            Listen::Unicast(address) => {
                let early = self.options.config.forcerenew;
                Ears::udp(&self.rights, link.mtu, address, early).map_err(PacketError::Other)
            }
        };
        match opened {
            Ok(ears) => self.ears = ears,
            Err(PacketError::Other(Errno::EADDRNOTAVAIL)) => {
                self.log.warn("the leased address is not on the interface, unable to talk to the server from it");
            }
            Err(e) => self.log.warn(&format!("unable to listen: {e}")),
        }
    }

    pub(super) fn send(&mut self, request: &Request, via: Via) {
        let Some(mac) = self.interface.and_then(|i| i.mac) else { return };
        let payload = encode(request, &self.options.profile, mac.0);
        let (to, sent) = match via {
            Via::Broadcast { from } => ("everybody".to_owned(), self.ears.broadcast(&payload, from, mac, self.ports)),
            Via::Unicast { to, .. } => {
                let sent = self.ears.unicast(&payload, to, self.ports);
                (to.to_string(), sent.map_err(PacketError::Other))
            }
        };
        self.stats.count(Counted::Sent(request.body));
        self.log.detail(1, || format!("{} to {to}, transaction {:08x}", request.body.verb(), request.xid));
        match sent {
            // The interface's own event tells; for the rest there is the next try.
            Ok(()) | Err(PacketError::Down | PacketError::Gone) => {}
            Err(e @ (PacketError::Denied | PacketError::Other(_))) => {
                // A socket that could not be opened was complained about already.
                if self.ears.fd().is_some() {
                    self.log.warn(&format!("unable to send a {}: {e}", request.body.verb()));
                }
            }
        }
    }

    pub(super) fn ask(&self, what: Announcing) {
        let Some(mac) = self.interface.and_then(|i| i.mac) else { return };
        match self.arp.ask(what, mac) {
            Ok(()) | Err(PacketError::Down | PacketError::Gone) => {}
            Err(e @ (PacketError::Denied | PacketError::Other(_))) => {
                self.log.warn(&format!("unable to send an ARP request: {e}"));
            }
        }
    }

    pub(super) fn hear(&mut self, which: Which) {
        for _ in 0..BURST {
            let Some(mac) = self.interface.and_then(|i| i.mac) else { return };
            let expect = Expect { mac: mac.0, client_id: self.client_id.as_deref() };
            let ears = match which {
                Which::Dhcp => &mut self.ears,
                Which::Arp => &mut self.arp,
            };
            match ears.hear(&expect, self.ports) {
                Ok(Some(Heard::Reply(reply))) => {
                    self.stats.count(Counted::Heard(reply.kind));
                    self.packet_line(1, Kind::Heard(reply.kind), || {
                        format!("{:?}, transaction {:08x}", reply.kind, reply.xid).to_lowercase()
                    });
                    self.machine.handle(boottime(), Input::Packet(reply));
                }
                Ok(Some(Heard::Arp(arp))) => self.machine.handle(boottime(), Input::Arp(arp)),
                Ok(Some(Heard::Refused(why))) => {
                    self.stats.count(Counted::Refused(why));
                    self.packet_line(2, Kind::Dropped(why), || format!("packet dropped: {}", why.text()));
                }
                Ok(Some(Heard::Damaged(why))) => self.stats.count(Counted::Damaged(why)),
                Ok(Some(Heard::Foreign)) => self.stats.count(Counted::Foreign),
                Ok(None) => return,
                // The error is taken by reading it; the link's own event says what became of it.
                Err(PacketError::Down | PacketError::Gone) => return,
                Err(e) => {
                    self.log.warn(&format!("unable to receive: {e}"));
                    return;
                }
            }
            // The next packet is for the next socket, if there is one.
            if self.act().is_none() {
                return;
            }
        }
    }
}
