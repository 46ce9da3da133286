//! Lines as datagrams (`u` and `U` in `config`): a socket for each, as with runit, so that a changed route or address is no
//! concern.
#![expect(clippy::disallowed_types, reason = "driver: a datagram needs no more than the standard library's socket")]

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use sys::Errno;

/// Sends one datagram, without waiting.
pub(crate) fn send(to: SocketAddrV4, text: &[u8]) -> Result<(), Errno> {
    let errno = |e: io::Error| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(errno)?;
    socket.set_nonblocking(true).map_err(errno)?;
    socket.send_to(text, to).map(drop).map_err(errno)
}
