//! A descriptor that becomes readable when an interface appears, changes or goes.

use super::{DATAGRAM, Link, LinkError, RTM_DELLINK, RTM_NEWLINK, message, open, parse, receive};
use crate::ifname::{IfIndex, IfName};
use nix::sys::socket::{NetlinkAddr, bind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use sys::Errno;

/// RTMGRP_LINK.
const LINK_GROUP: u32 = 1;

/// What happened to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is new or has changed; this is how it is now.
    New(Link),
    /// It is gone.
    Del {
        /// Its number.
        index: IfIndex,
        /// Its last name.
        name: IfName,
    },
    /// The kernel had more to tell than the socket holds and threw events away: ask anew.
    Overrun,
}

/// Events of all interfaces, from the moment of [`LinkEvents::open`]. Query after opening, so that nothing falls between.
#[derive(Debug)]
pub struct LinkEvents {
    socket: OwnedFd,
    buf: Vec<u8>,
    /// The part of `buf` not looked at yet.
    rest: core::ops::Range<usize>,
}

impl LinkEvents {
    /// Joins the kernel's link group.
    pub fn open() -> Result<Self, LinkError> {
        let socket = open()?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, LINK_GROUP))?;
        Ok(Self { socket, buf: vec![0; DATAGRAM], rest: 0..0 })
    }

    /// The next event, none when there is none now.
    pub fn event(&mut self) -> Result<Option<Event>, LinkError> {
        loop {
            while let Some((kind, payload, len)) = message(&self.buf[self.rest.clone()]) {
                let event = decode(kind, payload);
                self.rest.start = (self.rest.start + len.next_multiple_of(4)).min(self.rest.end);
                if event.is_some() {
                    return Ok(event);
                }
            }
            self.rest = match receive(&self.socket, &mut self.buf) {
                Ok(datagram) => 0..datagram.len(),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::ENOBUFS) => return self.drain().map(|()| Some(Event::Overrun)),
                Err(e) => return Err(e.into()),
            };
        }
    }
}

impl LinkEvents {
    /// Throws away what is queued. A socket that ran over takes nothing new before it is empty, and does not tell: only what
    /// the caller asks after that is followed by every further change.
    fn drain(&mut self) -> Result<(), LinkError> {
        loop {
            match receive(&self.socket, &mut self.buf) {
                Ok(_) | Err(Errno::ENOBUFS) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

fn decode(kind: u16, payload: &[u8]) -> Option<Event> {
    let link = parse(payload)?;
    match kind {
        RTM_NEWLINK => Some(Event::New(link)),
        RTM_DELLINK => Some(Event::Del { index: link.index, name: link.name }),
        _ => None,
    }
}

impl AsFd for LinkEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
