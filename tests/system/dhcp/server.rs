//! A DHCP server that says whatever a test wants it to.

use netif::Mac;
use netif::frame::{Ethernet, UdpDatagram, parse_udp};
use netif::link::query;
use netif::packet::{Listen, PacketSocket};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use sys::poll::{PollFd, PollFlags};

/// The server's address, on the interface it listens on.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// What it hands out.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// Message types (RFC 2132 §9.6).
pub(super) const DISCOVER: u8 = 1;
pub(super) const OFFER: u8 = 2;
pub(super) const REQUEST: u8 = 3;
pub(super) const ACK: u8 = 5;
pub(super) const RELEASE: u8 = 7;

/// A client's message.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) kind: u8,
    pub(super) bytes: Vec<u8>,
}

impl Asked {
    fn read(bytes: &[u8]) -> Option<Self> {
        let kind = *option(bytes, 53)?.first()?;
        Some(Self { kind, bytes: bytes.to_vec() })
    }

    pub(super) fn option(&self, code: u8) -> Option<&[u8]> {
        option(&self.bytes, code)
    }
}

fn option(message: &[u8], code: u8) -> Option<&[u8]> {
    let mut rest = message.get(240..)?;
    loop {
        match rest {
            [0, tail @ ..] => rest = tail,
            [c, len, tail @ ..] if *c != 255 => {
                let (value, after) = tail.split_at_checked(usize::from(*len))?;
                if *c == code {
                    return Some(value);
                }
                rest = after;
            }
            _ => return None,
        }
    }
}

/// An answer under construction: to the client that asked, with its transaction.
#[derive(Clone, Debug)]
pub(super) struct Answer(Vec<u8>);

impl Answer {
    pub(super) fn new(asked: &Asked, kind: u8) -> Self {
        Self::from(asked, kind, SERVER.octets())
    }

    /// Of another server.
    pub(super) fn from(asked: &Asked, kind: u8, server: [u8; 4]) -> Self {
        let mut m = vec![2, 1, 6, 0];
        m.extend(&asked.bytes[4..8]);
        m.resize(16, 0);
        m.extend(ADDRESS.octets());
        m.resize(28, 0);
        m.extend(&asked.bytes[28..34]);
        m.resize(236, 0);
        m.extend([99, 130, 83, 99, 53, 1, kind, 54, 4]);
        m.extend(server);
        Self(m)
    }

    /// Any message, made one that answers `asked`, and offers no address that a host can have.
    pub(super) fn copy(asked: &Asked, message: &[u8]) -> Self {
        let mut m = message.to_vec();
        for (field, from) in [(4..8, &asked.bytes[4..8]), (16..20, &[127, 0, 0, 1]), (28..34, &asked.bytes[28..34])] {
            if let Some(to) = m.get_mut(field) {
                to.copy_from_slice(from);
            }
        }
        Self(m)
    }

    /// Gives another address.
    pub(super) fn to(mut self, address: [u8; 4]) -> Self {
        self.0[16..20].copy_from_slice(&address);
        self
    }

    /// Names the next server (`siaddr`) and the relay (`giaddr`).
    pub(super) fn through(mut self, next_server: [u8; 4], relay: [u8; 4]) -> Self {
        self.0[20..24].copy_from_slice(&next_server);
        self.0[24..28].copy_from_slice(&relay);
        self
    }

    /// Appends an option as it is, in pieces of 255 bytes.
    pub(super) fn with(mut self, code: u8, value: &[u8]) -> Self {
        for piece in value.chunks(255) {
            self.0.extend([code, u8::try_from(piece.len()).unwrap()]);
            self.0.extend(piece);
        }
        self
    }

    pub(super) fn lease(self, secs: u32) -> Self {
        self.with(51, &secs.to_be_bytes()).with(1, &[255, 255, 255, 0])
    }

    /// The `sname` and `file` fields.
    pub(super) fn fields(mut self, sname: &[u8], file: &[u8]) -> Self {
        self.0[44..44 + sname.len()].copy_from_slice(sname);
        self.0[108..108 + file.len()].copy_from_slice(file);
        self
    }

    /// Raw bytes after what is there, for what no server should say.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// All it was asked.
pub(super) type Heard = Arc<Mutex<Vec<Asked>>>;

/// Serves on `ifname` until the test ends: for every message `answer` says what goes back.
pub(super) fn serve(ifname: &str, answer: impl FnMut(&Asked) -> Vec<Answer> + Send + 'static) -> Heard {
    serve_on(ifname, 67, answer)
}

/// The same on another port; clients are one above.
pub(super) fn serve_on(
    ifname: &str,
    port: u16,
    mut answer: impl FnMut(&Asked) -> Vec<Answer> + Send + 'static,
) -> Heard {
    let link = query(ifname.parse().unwrap()).unwrap();
    let socket = PacketSocket::open(link.index, Listen::Udp(port)).unwrap();
    let heard = Heard::default();
    let out = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut buf = [0; 2048];
        loop {
            let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            sys::poll::wait(&mut fds, sys::clock::monotonic(), None).unwrap();
            while let Ok(Some(received)) = socket.receive(&mut buf) {
                let (wire, udp) = parse_udp(received.frame, received.checksum).unwrap();
                let Some(asked) = Asked::read(udp.payload).filter(|a| a.bytes[0] == 1) else { continue };
                let answers = answer(&asked);
                out.lock().unwrap().push(asked);
                send_from(&socket, port, wire.src, &answers);
            }
        }
    });
    heard
}

/// Sends answers to the client with this hardware address.
pub(super) fn send(socket: &PacketSocket, to: Mac, answers: &[Answer]) {
    send_from(socket, 67, to, answers);
}

fn send_from(socket: &PacketSocket, port: u16, to: Mac, answers: &[Answer]) {
    for Answer(payload) in answers {
        let reply = UdpDatagram { src: SERVER, dst: ADDRESS, sport: port, dport: port + 1, payload };
        socket.send(&reply.frame(Ethernet { dst: to, src: Mac::ZERO }).unwrap()).unwrap();
    }
}

/// How often it was asked for something of that type.
pub(super) fn count(heard: &Heard, kind: u8) -> usize {
    heard.lock().unwrap().iter().filter(|a| a.kind == kind).count()
}
