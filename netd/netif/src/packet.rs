//! Raw frames on one interface: the AF_PACKET socket of DHCP and ARP exchanges. May be `unsafe`: it lays out the addresses
//! and control messages no safe wrapper offers.
//!
//! SOCK_RAW, so frames come and go with their Ethernet header ([`crate::frame`] reads and builds them). The order in
//! [`PacketSocket::open`] is the point: with protocol 0 nothing is queued until the filter is attached and locked, and the
//! one bind starts delivery. Binding again or closing costs a wait in the kernel of 7 to 19 ms (RCU), so a socket is made
//! per exchange, never re-bound. Nothing foreign gets in between and nothing else ever gets through.

use crate::frame::UdpChecksum;
use crate::ifname::IfIndex;
use core::fmt;
use core::mem::{MaybeUninit, offset_of, size_of};
use nix::libc;
use socket2::{Domain, SockFilter, Socket, Type};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use sys::Errno;

/// Buffer for any frame worth reading: a 9000-byte MTU with its headers. Longer ones are cut and then refused by the parser.
pub const MAX_FRAME: usize = 9018;

/// A non-blocking packet socket, bound to one interface and one kind of frame.
#[derive(Debug)]
pub struct PacketSocket(Socket);

/// What the kernel lets through. Fragments and frames of VLANs above the interface never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// IPv4/UDP to this port (68 for a DHCP client).
    Udp(u16),
    /// IPv4 ARP, requests and replies.
    Arp,
    /// Only the ARP packets with this address as sender's or target's: a busy link wakes nobody who just holds an address.
    ArpAbout(Ipv4Addr),
    /// Only the ARP packets whose sender says this address is its own: nobody wakes us but who uses what is ours.
    ArpFrom(Ipv4Addr),
}

/// A frame in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// From the Ethernet header on.
    pub frame: &'a [u8],
    /// What the kernel says of the UDP checksum.
    pub checksum: UdpChecksum,
}

/// Why a packet socket does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// The interface is set down. It may come up again and the socket then works again.
    Down,
    /// The interface does not exist, or not any more. A new one of the same name has another number.
    Gone,
    /// No CAP_NET_RAW.
    Denied,
    /// Anything else.
    Other(Errno),
}

impl PacketSocket {
    /// Opens, filters, locks the filter and binds; only then do frames arrive.
    ///
    /// On an interface that is down this succeeds, and [`Self::receive`] tells.
    pub fn open(index: IfIndex, listen: Listen) -> Result<Self, PacketError> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&filter(listen, Some(index)))?;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_LOCK_FILTER)?;
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA)?;
        bind(&socket, index, listen.ethertype())?;
        Ok(Self(socket))
    }

    /// The next frame, none when there is none now.
    pub fn receive<'b>(&self, buf: &'b mut [u8]) -> Result<Option<Received<'b>>, PacketError> {
        match receive(&self.0, buf) {
            Ok((len, checksum)) => Ok(Some(Received { frame: &buf[..len], checksum })),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Sends a whole frame. A full queue (`ENOBUFS`, `EAGAIN`) loses it as the wire might: retransmission is the caller's.
    pub fn send(&self, frame: &[u8]) -> Result<(), PacketError> {
        let error = match self.0.send(frame) {
            Ok(_) => return Ok(()),
            Err(e) => errno(&e),
        };
        if matches!(error, Errno::ENOBUFS | Errno::EAGAIN) { Ok(()) } else { Err(error.into()) }
    }
}

/// One that was opened for us by [`Self::open`] in another process.
impl From<Socket> for PacketSocket {
    fn from(socket: Socket) -> Self {
        Self(socket)
    }
}

impl From<PacketSocket> for OwnedFd {
    fn from(socket: PacketSocket) -> Self {
        socket.0.into()
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listen {
    const fn ethertype(self) -> u16 {
        match self {
            Self::Udp(_) => IPV4,
            Self::Arp | Self::ArpAbout(_) | Self::ArpFrom(_) => ARP,
        }
    }
}

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const UDP: u32 = 17;

// Classic BPF, the few instructions used (linux/filter.h). Offsets count from the Ethernet header.
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF_AT_X: u16 = 0x48;
const X_IS_IP_HEADER_LENGTH: u16 = 0xb1;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
/// What the kernel knows of a frame beside its bytes (SKF_AD_OFF).
const ANCILLARY: u32 = 0xffff_f000;
/// SKF_AD_PKTTYPE.
const KIND: u32 = ANCILLARY + 4;
/// SKF_AD_IFINDEX.
const INTERFACE: u32 = ANCILLARY + 8;
/// PACKET_OTHERHOST.
const OTHER_HOST: u32 = 3;

/// The program for `listen` on `index` (none in tests, which have no interface).
///
/// An interface also sees frames that are not its own, with their VLAN tag already taken off: those of VLAN interfaces above
/// it come with the number of these, those of VLANs nobody has made as somebody else's.
fn filter(listen: Listen, index: Option<IfIndex>) -> Vec<SockFilter> {
    let mut checks = vec![
        Check::equal(LOAD_HALF, 12, u32::from(listen.ethertype())),
        Check { code: LOAD_WORD, at: KIND, holds: IF_EQUAL, value: OTHER_HOST, wanted: false },
    ];
    checks.extend(index.map(|index| Check::equal(LOAD_WORD, INTERFACE, index.raw())));
    match listen {
        Listen::Udp(port) => {
            checks.push(Check::equal(LOAD_BYTE, 23, UDP));
            // More fragments, or an offset.
            checks.push(Check { code: LOAD_HALF, at: 20, holds: IF_ANY_BIT, value: 0x3fff, wanted: false });
            checks.push(Check::equal(LOAD_HALF_AT_X, 16, u32::from(port)));
        }
        Listen::Arp | Listen::ArpAbout(_) | Listen::ArpFrom(_) => {
            checks.push(Check::equal(LOAD_HALF, 14, 1));
            checks.push(Check::equal(LOAD_HALF, 16, u32::from(IPV4)));
        }
    }
    match listen {
        Listen::Udp(_) | Listen::Arp => assemble(&checks, &[]),
        // Sender's and target's protocol address.
        Listen::ArpAbout(ip) => assemble(&checks, &[(28, ip.to_bits()), (38, ip.to_bits())]),
        Listen::ArpFrom(ip) => assemble(&checks, &[(28, ip.to_bits())]),
    }
}

/// Load something, and go on only if the comparison comes out as wanted.
struct Check {
    code: u16,
    at: u32,
    holds: u16,
    value: u32,
    wanted: bool,
}

impl Check {
    const fn equal(code: u16, at: u32, value: u32) -> Self {
        Self { code, at, holds: IF_EQUAL, value, wanted: true }
    }
}

/// The checks in a row, then one of the alternatives (word at an offset, its value) if there are any, then "all of it", then
/// "nothing".
fn assemble(checks: &[Check], alternatives: &[(u32, u32)]) -> Vec<SockFilter> {
    let mut program = vec![SockFilter::new(RETURN, 0, 0, 0), SockFilter::new(RETURN, 0, 0, u32::MAX)];
    for (n, &(at, value)) in (0..).zip(alternatives.iter().rev()) {
        // The last one falls through to "all of it" or skips it; the others skip the rest of them.
        let (yes, no) = if n == 0 { (0, 1) } else { (2 * n, 0) };
        program.push(SockFilter::new(IF_EQUAL, yes, no, value));
        program.push(SockFilter::new(LOAD_WORD, 0, 0, at));
    }
    // Built backwards, so the distance to the end is the length so far.
    for check in checks.iter().rev() {
        let to_end = u8::try_from(program.len() - 1).unwrap_or(u8::MAX);
        let (yes, no) = if check.wanted { (0, to_end) } else { (to_end, 0) };
        program.push(SockFilter::new(check.holds, yes, no, check.value));
        program.push(SockFilter::new(check.code, 0, 0, check.at));
        if check.code == LOAD_HALF_AT_X {
            program.push(SockFilter::new(X_IS_IP_HEADER_LENGTH, 0, 0, 14));
        }
    }
    program.reverse();
    program
}

/// Switches a boolean option on.
#[expect(unsafe_code, reason = "options socket2 does not have")]
fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int) -> Result<(), PacketError> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the option is an int that lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop).map_err(PacketError::from)
}

#[expect(unsafe_code, reason = "sockaddr_ll, which std and socket2 cannot make")]
fn bind(socket: &Socket, index: IfIndex, ethertype: u16) -> Result<(), PacketError> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::sa_family_t,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: index.raw().cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the descriptor is open; the address is a whole sockaddr_ll that lives through the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    Errno::result(result).map(drop).map_err(PacketError::from)
}

/// Room for one control message with a tpacket_auxdata, aligned as a cmsghdr must be.
#[repr(C, align(8))]
struct Control([u8; 64]);

#[expect(unsafe_code, reason = "recvmsg with a control message no safe wrapper decodes")]
fn receive(socket: &Socket, buf: &mut [u8]) -> Result<(usize, UdpChecksum), Errno> {
    let mut control = Control([0; 64]);
    let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: all zeros is a valid msghdr (null pointers, no lengths).
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control.0).cast();
    header.msg_controllen = control.0.len() as _;
    // SAFETY: the header points to one iovec over `buf` and to `control`, with their true lengths; all outlive the call.
    let len = Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) })?;
    let len = usize::try_from(len).map_or(0, |n| n.min(buf.len()));
    // What the kernel did not fill is zero, and a message of length zero ends the list.
    Ok((len, checksum_state(&control.0)))
}

/// Looks for PACKET_AUXDATA among the control messages and reads its status word.
///
/// A cmsghdr is its length (a word of the machine), level and type, then the data; the next begins at the next word.
fn checksum_state(mut control: &[u8]) -> UdpChecksum {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    let int_at = |bytes: &[u8], at: usize| -> Option<libc::c_int> {
        Some(libc::c_int::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    while let Some(len) = control.get(..size_of::<usize>()).and_then(|b| b.try_into().ok()).map(usize::from_ne_bytes) {
        if len < HEADER || len > control.len() {
            break;
        }
        let level = int_at(control, offset_of!(libc::cmsghdr, cmsg_level));
        let kind = int_at(control, offset_of!(libc::cmsghdr, cmsg_type));
        if (level, kind) == (Some(libc::SOL_PACKET), Some(libc::PACKET_AUXDATA)) {
            let status = int_at(&control[..len], HEADER + offset_of!(libc::tpacket_auxdata, tp_status));
            let not_ready = status.is_some_and(|s| s.cast_unsigned() & libc::TP_STATUS_CSUMNOTREADY != 0);
            return if not_ready { UdpChecksum::NotReady } else { UdpChecksum::Verify };
        }
        control = control.get(len.next_multiple_of(size_of::<usize>())..).unwrap_or(&[]);
    }
    UdpChecksum::Verify
}

fn errno(e: &io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl From<Errno> for PacketError {
    fn from(e: Errno) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "three of a hundred error numbers have a meaning here")]
        match e {
            Errno::ENETDOWN => Self::Down,
            Errno::ENODEV | Errno::ENXIO => Self::Gone,
            Errno::EPERM | Errno::EACCES => Self::Denied,
            other => Self::Other(other),
        }
    }
}

impl From<PacketError> for Errno {
    fn from(e: PacketError) -> Self {
        match e {
            PacketError::Down => Self::ENETDOWN,
            PacketError::Gone => Self::ENODEV,
            PacketError::Denied => Self::EPERM,
            PacketError::Other(e) => e,
        }
    }
}

impl From<io::Error> for PacketError {
    fn from(e: io::Error) -> Self {
        errno(&e).into()
    }
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "interface is down",
            Self::Gone => "no such interface",
            Self::Denied => "no right to open packet sockets",
            Self::Other(e) => sys::errtext::errtext(*e),
        })
    }
}

impl core::error::Error for PacketError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Arp, ArpOp, Ethernet, UdpDatagram};
    use crate::ifname::Mac;

    const WIRE: Ethernet = Ethernet { dst: Mac::BROADCAST, src: Mac([2, 0, 0, 0, 0, 7]) };

    /// Runs the program in the kernel, on a socket pair, which needs no rights: how many bytes come through?
    fn passes(listen: Listen, frame: &[u8]) -> bool {
        let (a, b) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        b.attach_filter(&filter(listen, None)).unwrap();
        b.set_nonblocking(true).unwrap();
        a.send(frame).unwrap();
        let mut buf = [MaybeUninit::uninit(); 200];
        match b.recv(&mut buf) {
            Ok(len) => {
                assert_eq!(len, frame.len());
                true
            }
            Err(e) => {
                assert_eq!(errno(&e), Errno::EAGAIN);
                false
            }
        }
    }

    fn udp() -> Vec<u8> {
        let d =
            UdpDatagram { src: Ipv4Addr::LOCALHOST, dst: Ipv4Addr::BROADCAST, sport: 67, dport: 68, payload: b"hi" };
        d.frame(WIRE).unwrap()
    }

    fn arp() -> Vec<u8> {
        let a =
            Arp { op: ArpOp::Reply, sha: WIRE.src, spa: Ipv4Addr::LOCALHOST, tha: Mac::ZERO, tpa: Ipv4Addr::LOCALHOST };
        a.frame(WIRE).unwrap().to_vec()
    }

    #[test]
    fn udp_filter() {
        let frame = udp();
        assert!(passes(Listen::Udp(68), &frame));
        assert!(!passes(Listen::Udp(69), &frame));
        assert!(!passes(Listen::Udp(68), &arp()));
        for (at, value) in [(12, 0x86), (23, 6), (20, 0x20), (20, 0x1f), (21, 1), (36, 1), (37, 69)] {
            let mut bad = frame.clone();
            bad[at] = value;
            assert!(!passes(Listen::Udp(68), &bad), "byte {at}");
        }
        // "Do not fragment" is fine, and so are IP options in front of the ports.
        let mut good = frame.clone();
        good[20] = 0x40;
        assert!(passes(Listen::Udp(68), &good));
        good[14] = 0x46;
        assert!(!passes(Listen::Udp(68), &good));
        good.splice(34..34, [1; 4]);
        assert!(passes(Listen::Udp(68), &good));
        assert!(!passes(Listen::Udp(68), &frame[..30]));
    }

    #[test]
    fn arp_filter() {
        let frame = arp();
        assert!(passes(Listen::Arp, &frame));
        assert!(!passes(Listen::Arp, &udp()));
        for at in [12, 15, 16] {
            let mut bad = frame.clone();
            bad[at] ^= 1;
            assert!(!passes(Listen::Arp, &bad), "byte {at}");
        }
    }

    #[test]
    fn arp_about_one_address() {
        let ours = Ipv4Addr::new(169, 254, 7, 8);
        let packet = |spa, tpa| {
            let a = Arp { op: ArpOp::Request, sha: WIRE.src, spa, tha: Mac::ZERO, tpa };
            a.frame(WIRE).unwrap()
        };
        let other = Ipv4Addr::new(169, 254, 8, 7);
        for (spa, tpa, wanted) in [(ours, other, true), (other, ours, true), (ours, ours, true), (other, other, false)]
        {
            assert_eq!(passes(Listen::ArpAbout(ours), &packet(spa, tpa)), wanted, "{spa} {tpa}");
            assert_eq!(passes(Listen::ArpFrom(ours), &packet(spa, tpa)), spa == ours, "{spa} {tpa}");
        }
        for at in [12, 15, 16] {
            let mut bad = packet(ours, ours);
            bad[at] ^= 1;
            assert!(!passes(Listen::ArpAbout(ours), &bad), "byte {at}");
        }
        assert!(!passes(Listen::ArpAbout(ours), &udp()));
    }

    #[test]
    fn auxdata() {
        let message = |kind: libc::c_int, status: u32| {
            let mut m = Vec::new();
            m.extend((size_of::<libc::cmsghdr>() + size_of::<libc::tpacket_auxdata>()).to_ne_bytes());
            m.extend(libc::SOL_PACKET.to_ne_bytes());
            m.extend(kind.to_ne_bytes());
            m.extend(status.to_ne_bytes());
            m.extend([0; 16]);
            m.resize(m.len().next_multiple_of(size_of::<usize>()), 0);
            m
        };
        assert_eq!(checksum_state(&[]), UdpChecksum::Verify);
        assert_eq!(checksum_state(&message(libc::PACKET_AUXDATA, 1)), UdpChecksum::Verify);
        let not_ready = message(libc::PACKET_AUXDATA, libc::TP_STATUS_CSUMNOTREADY | 1);
        assert_eq!(checksum_state(&not_ready), UdpChecksum::NotReady);
        let second = [message(1, 0), not_ready.clone()].concat();
        assert_eq!(checksum_state(&second), UdpChecksum::NotReady);
        for len in 0..not_ready.len() {
            checksum_state(&not_ready[..len]);
        }
        assert_eq!(checksum_state(&[0; 64]), UdpChecksum::Verify);
        assert_eq!(checksum_state(&[0xff; 64]), UdpChecksum::Verify);
    }

    #[test]
    fn errors_have_a_meaning() {
        assert_eq!(PacketError::from(Errno::ENETDOWN), PacketError::Down);
        assert_eq!(PacketError::from(Errno::ENXIO), PacketError::Gone);
        assert_eq!(PacketError::from(io::Error::from_raw_os_error(libc::EPERM)), PacketError::Denied);
    }
}
