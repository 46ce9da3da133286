//! The daemon's view: what it may still do, whoever does it for it.

use super::capabilities::Capability;
use super::hands::{Done, Hands, Policy};
use super::order::{Order, Outbound};
use super::steward::Steward;
use super::{Confinement, Failure, confine_all};
use crate::hook::Hook;
use crate::ifname::IfIndex;
use crate::link::LinkError;
use crate::packet::{Listen, PacketError, PacketSocket};
use socket2::Socket;
use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use sys::pidfile::PidFile;
use sys::signal::Signal;
use sys::spawn::Status;
use sys::{Errno, Pid};

/// Whether a daemon gives up its rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// As soon as it has what it needs.
    #[default]
    On,
    /// `--no-sandbox`
    Off,
}

/// What a daemon may do: by itself at first, through its steward once it is confined.
#[derive(Debug)]
pub struct Rights {
    hands: RefCell<Hands>,
    steward: Option<Steward>,
    confined: Cell<bool>,
}

impl Rights {
    /// Starts the steward, early: what it inherits stays small. `kept`: the capabilities it keeps; with a script, all.
    ///
    /// `failed` hears why there is none, and the daemon then keeps its rights.
    pub fn new(policy: Policy, kept: &[Capability], sandbox: Sandbox, failed: impl FnOnce(Failure, Errno)) -> Self {
        let mut hands = Hands { policy, running: None };
        let steward = match sandbox {
            Sandbox::Off => None,
            Sandbox::On => Steward::fork(&mut hands, kept).map_err(|e| failed(Failure::Steward, e)).ok(),
        };
        Self { hands: RefCell::new(hands), steward, confined: Cell::new(false) }
    }

    /// Gives up everything but `what`, unless there is no sandbox. `failed` hears, once each, which part of it this kernel
    /// does not have.
    pub fn confine(&self, what: &Confinement<'_>, failed: impl FnMut(Failure, Errno)) {
        if self.steward.is_some() && !self.confined.replace(true) {
            confine_all(what, failed);
        }
    }

    /// To be polled; readable when a script has ended, or the steward has.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.steward.as_ref().map(Steward::fd)
    }

    /// A script that has ended; to be asked when there was a SIGCHLD or [`Self::fd`] is readable. An error: the steward is
    /// gone, and without it there is no going on.
    pub fn ended(&self) -> Result<Option<(Pid, Status)>, Errno> {
        match &self.steward {
            Some(steward) => steward.ended(),
            None => Ok(self.hands.borrow_mut().ended()),
        }
    }

    /// See [`PacketSocket::open`].
    pub fn packet(&self, index: IfIndex, listen: Listen) -> Result<PacketSocket, PacketError> {
        match self.confined() {
            Some(steward) => {
                socket(steward, &Order::Packet(index, listen)).map(|s| PacketSocket::from(Socket::from(s)))
            }
            None => self.hands.borrow().packet(index, listen),
        }
        .map_err(PacketError::from)
    }

    /// A UDP socket on our own address (`early`: which is not there yet), our port and our interface.
    pub fn udp(&self, address: Ipv4Addr, early: bool) -> Result<Socket, Errno> {
        match self.confined() {
            Some(steward) => socket(steward, &Order::Udp(address, early)).map(Socket::from),
            None => self.hands.borrow().udp(address, early),
        }
    }

    /// A raw socket that hears the echo replies to this identifier.
    pub fn icmp(&self, identifier: u16) -> Result<Socket, Errno> {
        match self.confined() {
            Some(steward) => socket(steward, &Order::Icmp(identifier)).map(Socket::from),
            None => self.hands.borrow().icmp(identifier),
        }
    }

    /// A socket through our interface, to be connected.
    pub fn outbound(&self, kind: Outbound) -> Result<Socket, Errno> {
        match self.confined() {
            Some(steward) => socket(steward, &Order::Outbound(kind)).map(Socket::from),
            None => self.hands.borrow().outbound(kind),
        }
    }

    /// Sets the interface up.
    pub fn set_up(&self, index: IfIndex) -> Result<(), LinkError> {
        match self.confined() {
            Some(steward) => steward.ask(&Order::SetUp(index)).map(drop),
            None => self.hands.borrow().set_up(index),
        }
        .map_err(LinkError::from)
    }

    /// Writes a command byte to the service of this number in the policy, without waiting for it.
    pub fn tell(&self, service: usize, command: u8) -> Result<(), Errno> {
        let service = u16::try_from(service).map_err(|_| Errno::EINVAL)?;
        match self.confined() {
            Some(steward) => steward.ask(&Order::Tell(service, command)).map(drop),
            None => self.hands.borrow().tell(service, command),
        }
    }

    /// Goes to the background, steward and all; see [`sys::daemon::background`].
    pub fn background(&self, pidfile: Option<&HeldPidFile>) -> Result<(), Errno> {
        if let Some(steward) = &self.steward {
            steward.ask(&Order::Detach)?;
        }
        sys::daemon::background(pidfile.and_then(|held| held.file.as_ref()))
    }

    /// Removes the pid file of the policy, if there is one.
    fn remove_pidfile(&self) {
        if self.hands.borrow().policy.pidfile.is_some() {
            // Nobody is left to be told.
            let _ = self.ask(&Order::RemovePidFile);
        }
    }

    pub(crate) fn start(&self, hook: &Hook) -> Result<Pid, Errno> {
        let number = {
            let hands = self.hands.borrow();
            let calls = hands.policy.script.as_ref().map_or(&[][..], |s| &s.calls);
            calls.iter().position(|(event, _)| *event == hook.event).and_then(|n| u8::try_from(n).ok())
        };
        let variables = hook.variables.iter().map(|v| v.as_bytes().to_vec()).collect();
        match self.spawned(&Order::Start(number.ok_or(Errno::EINVAL)?, variables))? {
            Done::Pid(pid) => Ok(pid),
            Done::Nothing | Done::Socket(_) => Err(Errno::EPROTO),
        }
    }

    /// To the script's group.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        self.spawned(&Order::Signal(signal)).map(drop)
    }

    /// Scripts are the steward's children from the first one on.
    fn spawned(&self, order: &Order) -> Result<Done, Errno> {
        match &self.steward {
            Some(steward) => steward.ask(order),
            None => self.hands.borrow_mut().obey(order.clone()),
        }
    }

    fn ask(&self, order: &Order) -> Result<Done, Errno> {
        match self.confined() {
            Some(steward) => steward.ask(order),
            None => self.hands.borrow_mut().obey(order.clone()),
        }
    }

    fn confined(&self) -> Option<&Steward> {
        self.steward.as_ref().filter(|_| self.confined.get())
    }
}

/// A pid file that is removed at the end, by whoever may.
#[derive(Debug)]
pub struct HeldPidFile {
    /// None only while it is dropped.
    file: Option<PidFile>,
    rights: Rc<Rights>,
}

impl HeldPidFile {
    /// `file` is the one of the policy.
    pub const fn new(file: PidFile, rights: Rc<Rights>) -> Self {
        Self { file: Some(file), rights }
    }
}

impl Drop for HeldPidFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // While it is still locked, so that nobody else's is removed.
            self.rights.remove_pidfile();
            file.forget();
        }
    }
}

fn socket(steward: &Steward, order: &Order) -> Result<OwnedFd, Errno> {
    match steward.ask(order)? {
        Done::Socket(socket) => Ok(socket),
        Done::Nothing | Done::Pid(_) => Err(Errno::EPROTO),
    }
}
