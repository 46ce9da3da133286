//! The few things that need rights, each for the one interface, script and list of services given at the start.

use super::order::{Order, Outbound};
use crate::hook::Environment;
use crate::ifname::{IfIndex, IfName};
use crate::link::{query, set_up};
use crate::packet::{Listen, PacketSocket};
use core::time::Duration;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::ffi::{CStr, CString};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use sys::file::{CWD, unlink, write_some};
use sys::signal::{Signal, kill};
use sys::spawn::{Spawn, Status, reap_child};
use sys::{Errno, Pid, fifo};

/// What may be asked for, fixed before the first packet is read.
#[derive(Debug)]
pub struct Policy {
    /// The only interface sockets are made for.
    pub interface: IfName,
    /// DHCP client port; none: no UDP sockets.
    pub port: Option<u16>,
    /// Packet sockets.
    pub packets: bool,
    /// ICMP, TCP and UDP sockets to ask somebody with.
    pub probes: bool,
    /// Set the interface up.
    pub set_up: bool,
    /// Service directories that may be told something.
    pub services: Vec<PathBuf>,
    /// What may be executed.
    pub script: Option<Script>,
    /// Leave the terminal.
    pub background: bool,
    /// To be removed at the end.
    pub pidfile: Option<PathBuf>,
}

impl Policy {
    /// Nothing at all.
    pub const fn nothing(interface: IfName) -> Self {
        Self {
            interface,
            port: None,
            packets: false,
            probes: false,
            set_up: false,
            services: Vec::new(),
            script: None,
            background: false,
            pidfile: None,
        }
    }
}

/// A program and the calls of it there are.
#[derive(Debug)]
pub struct Script {
    /// Its path, and its own first argument.
    pub program: CString,
    /// What it finds in its environment in any case.
    pub environment: Environment,
    /// Event, and the arguments for it.
    pub calls: Vec<(&'static str, Vec<CString>)>,
    /// Which names a call may set.
    pub may_set: fn(&str) -> bool,
}

/// Does what a [`Policy`] allows.
#[derive(Debug)]
pub(super) struct Hands {
    pub(super) policy: Policy,
    /// The script that runs.
    pub(super) running: Option<Pid>,
}

/// What came of an order.
#[derive(Debug)]
pub(super) enum Done {
    Nothing,
    Pid(Pid),
    Socket(OwnedFd),
}

impl Hands {
    pub(super) fn obey(&mut self, order: Order) -> Result<Done, Errno> {
        match order {
            Order::Packet(index, listen) => {
                self.ours(index)?;
                self.packet(index, listen).map(|s| Done::Socket(s.into()))
            }
            Order::Udp(address, early) => self.udp(address, early).map(|s| Done::Socket(s.into())),
            Order::Icmp(identifier) => self.icmp(identifier).map(|s| Done::Socket(s.into())),
            Order::Outbound(kind) => self.outbound(kind).map(|s| Done::Socket(s.into())),
            Order::SetUp(index) => {
                self.ours(index)?;
                self.set_up(index).map(|()| Done::Nothing)
            }
            Order::Tell(service, command) => self.tell(service, command).map(|()| Done::Nothing),
            Order::Start(call, variables) => self.start(call, &variables).map(Done::Pid),
            Order::Signal(signal) => self.signal(signal).map(|()| Done::Nothing),
            Order::RemovePidFile => {
                let path = self.policy.pidfile.as_ref().ok_or(Errno::EPERM)?;
                unlink(CWD, path).map(|()| Done::Nothing)
            }
            Order::Detach if self.policy.background => sys::daemon::detach().map(|()| Done::Nothing),
            Order::Detach => Err(Errno::EPERM),
        }
    }

    /// A number the daemon says; the name is what we were given.
    fn ours(&self, index: IfIndex) -> Result<(), Errno> {
        if query(self.policy.interface)?.index == index { Ok(()) } else { Err(Errno::ENODEV) }
    }

    pub(super) fn packet(&self, index: IfIndex, listen: Listen) -> Result<PacketSocket, Errno> {
        let wanted = match listen {
            Listen::Udp(port) => self.policy.port == Some(port),
            Listen::Arp | Listen::ArpAbout(_) | Listen::ArpFrom(_) => self.policy.packets,
        };
        if wanted { PacketSocket::open(index, listen).map_err(Errno::from) } else { Err(Errno::EPERM) }
    }

    /// On our own address (`early`: which the script may not have set yet), for one interface: the kernel does routing, ARP and
    /// checksums.
    pub(super) fn udp(&self, address: Ipv4Addr, early: bool) -> Result<Socket, Errno> {
        let port = self.policy.port.ok_or(Errno::EPERM)?;
        let socket = self.socket(Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true).map_err(|e| errno(&e))?;
        socket.set_freebind_v4(early).map_err(|e| errno(&e))?;
        socket.bind(&SocketAddrV4::new(address, port).into()).map_err(|e| errno(&e))?;
        Ok(socket)
    }

    /// A raw socket that hears the echo replies to our identifier and nothing else.
    pub(super) fn icmp(&self, identifier: u16) -> Result<Socket, Errno> {
        self.probing()?;
        let socket = self.socket(Type::RAW, Some(Protocol::ICMPV4))?;
        // Classic BPF (linux/filter.h), from the IP header on: type 0, our identifier, or nothing.
        let filter = [
            SockFilter::new(0xb1, 0, 0, 0),                     // x = 4 * (byte 0 & 15)
            SockFilter::new(0x50, 0, 0, 0),                     // a = byte x: the type
            SockFilter::new(0x15, 0, 3, 0),                     // echo reply, else skip 3
            SockFilter::new(0x48, 0, 0, 4),                     // a = half word x + 4: the identifier
            SockFilter::new(0x15, 0, 1, u32::from(identifier)), // ours, else skip 1
            SockFilter::new(0x06, 0, 0, u32::MAX),
            SockFilter::new(0x06, 0, 0, 0),
        ];
        socket.attach_filter(&filter).map_err(|e| errno(&e))?;
        Ok(socket)
    }

    pub(super) fn outbound(&self, kind: Outbound) -> Result<Socket, Errno> {
        self.probing()?;
        match kind {
            Outbound::Tcp => {
                let socket = self.socket(Type::STREAM, None)?;
                // Closed by a reset: nothing of it stays behind on either side.
                socket.set_linger(Some(Duration::ZERO)).map_err(|e| errno(&e))?;
                Ok(socket)
            }
            Outbound::Udp => self.socket(Type::DGRAM, None),
        }
    }

    fn probing(&self) -> Result<(), Errno> {
        if self.policy.probes { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn socket(&self, kind: Type, protocol: Option<Protocol>) -> Result<Socket, Errno> {
        let socket = Socket::new(Domain::IPV4, kind, protocol).map_err(|e| errno(&e))?;
        socket.set_nonblocking(true).map_err(|e| errno(&e))?;
        socket.bind_device(Some(self.policy.interface.as_bytes())).map_err(|e| errno(&e))?;
        Ok(socket)
    }

    pub(super) fn set_up(&self, index: IfIndex) -> Result<(), Errno> {
        if self.policy.set_up { set_up(index, true).map_err(Errno::from) } else { Err(Errno::EPERM) }
    }

    /// One byte to the service's control fifo, without ever waiting.
    pub(super) fn tell(&self, service: u16, command: u8) -> Result<(), Errno> {
        let service = self.policy.services.get(usize::from(service)).ok_or(Errno::EPERM)?;
        if !command.is_ascii_alphanumeric() {
            return Err(Errno::EPERM);
        }
        let control = fifo::writer(CWD, &service.join("supervise/control"))?;
        write_some(control.as_fd(), &[command]).map(drop)
    }

    /// In a process group of its own; standard input and output are the daemon's, as with the peers. One at a time.
    pub(super) fn start(&mut self, call: u8, variables: &[Vec<u8>]) -> Result<Pid, Errno> {
        let script = self.policy.script.as_ref().filter(|_| self.running.is_none()).ok_or(Errno::EPERM)?;
        let (_, args) = script.calls.get(usize::from(call)).ok_or(Errno::EPERM)?;
        let mut environment = script.environment.clone();
        for variable in variables {
            let (name, value) = super::assignment(variable).ok_or(Errno::EPERM)?;
            if !(script.may_set)(name) || !environment.set(name, value) {
                return Err(Errno::EPERM);
            }
        }
        let args: Vec<&CStr> = core::iter::once(&script.program).chain(args).map(CString::as_c_str).collect();
        let pid = Spawn::new(&script.program, &args).env(environment.strings()).group().start()?;
        self.running = Some(pid);
        Ok(pid)
    }

    /// To the script's group, so that what it waits for ends too. It may have ended by itself just now.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        let pid = self.running.ok_or(Errno::ESRCH)?;
        kill(Pid::from_raw(-pid.as_raw()), signal)
    }

    /// The script, if it has ended.
    pub(super) fn ended(&mut self) -> Option<(Pid, Status)> {
        let pid = self.running?;
        let status = reap_child(pid)?;
        self.running = None;
        Some((pid, status))
    }
}

fn errno(e: &io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
