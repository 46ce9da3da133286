//! Reading replies, all of it hostile until shown otherwise.
//!
//! dhcproto's borrowed view gives the fixed fields and one option at a time; its owned decoder is not used, because it stops
//! silently at the first option it dislikes. Joining repeats (RFC 3396) and the overloaded `file` and `sname` fields
//! (RFC 2131 §4.1) are done here: options first, then file, then sname, adjacent or not.
#![deny(clippy::indexing_slicing)]

use super::code;
use dhcproto::v4::borrowed::{DhcpOptionIterator, Message};
use std::net::Ipv4Addr;

/// Where the fields are that the view has no safe accessor for.
const FILE: core::ops::Range<usize> = 108..236;
const SNAME: core::ops::Range<usize> = 44..108;
const COOKIE: core::ops::Range<usize> = 236..240;
const OPTIONS: usize = 240;

/// What servers say to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// DHCPOFFER.
    Offer,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
    /// DHCPFORCERENEW (RFC 3203), to be believed only if [`super::auth`] says so.
    ForceRenew,
}

/// A reply that is for this client. Every value is as the server sent it: checked for shape, not for sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which of the three.
    pub kind: ReplyKind,
    /// Transaction it answers.
    pub xid: u32,
    /// `yiaddr`: the address for us.
    pub address: Ipv4Addr,
    /// `siaddr`: where to boot from.
    pub next_server: Ipv4Addr,
    /// `giaddr`: the relay it came through.
    pub relay: Ipv4Addr,
    /// The `file` field up to its first NUL, empty when it held options.
    pub boot_file: Vec<u8>,
    /// The `sname` field likewise.
    pub server_name: Vec<u8>,
    /// All options, joined.
    pub options: Options,
    /// The message as it came, for the lease file.
    pub raw: Box<[u8]>,
}

/// Option values by code, in order of first appearance, repeats joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(Vec<(u8, Vec<u8>)>);

impl Options {
    /// The bytes of an option.
    pub fn value(&self, code: u8) -> Option<&[u8]> {
        self.0.iter().find(|o| o.0 == code).map(|o| o.1.as_slice())
    }

    /// An address; none if absent or not exactly four bytes.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.fixed::<4>(code).map(Ipv4Addr::from)
    }

    /// A list of addresses; a length that is no multiple of four makes the option void (RFC 2132 §2).
    pub fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        self.value(code).map(addresses).unwrap_or_default()
    }

    /// A 32-bit number; none if absent or of another length.
    pub fn u32(&self, code: u8) -> Option<u32> {
        self.fixed(code).map(u32::from_be_bytes)
    }

    /// A 16-bit number likewise.
    pub fn u16(&self, code: u8) -> Option<u16> {
        self.fixed(code).map(u16::from_be_bytes)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.0.iter().map(|(code, value)| (*code, value.as_slice()))
    }

    fn fixed<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.value(code)?.try_into().ok()
    }

    /// Adds what one area holds. An option cut off by the area's end is left out, as is what follows it.
    fn read(&mut self, area: &[u8]) {
        for option in DhcpOptionIterator::new(area) {
            let code = u8::from(option.code());
            match self.0.iter_mut().find(|o| o.0 == code) {
                Some((_, value)) => value.extend_from_slice(option.data()),
                None => self.0.push((code, option.data().to_vec())),
            }
        }
    }
}

/// The addresses in `bytes`, none if the length is no multiple of four.
fn addresses(bytes: &[u8]) -> Vec<Ipv4Addr> {
    let (whole, rest) = bytes.as_chunks::<4>();
    if rest.is_empty() { whole.iter().copied().map(Ipv4Addr::from).collect() } else { Vec::new() }
}

/// Whom a reply must be for.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// Our hardware address.
    pub mac: [u8; 6],
    /// The client id we send, if any.
    pub client_id: Option<&'a [u8]>,
}

/// Why a message is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Shorter than the fixed part.
    Short,
    /// A request, not a reply (`op`).
    Op,
    /// Not for Ethernet (`htype`, `hlen`).
    Hardware,
    /// For another machine (`chaddr`).
    Address,
    /// BOOTP without DHCP's cookie.
    Cookie,
    /// No message type, or one that no server sends to a client.
    Type,
    /// Echoes a client id that is not ours (RFC 6842 §3).
    ClientId,
}

impl Refused {
    /// The reason, for the log.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Short => "too short",
            Self::Op => "no reply",
            Self::Hardware => "not for Ethernet",
            Self::Address => "for another client",
            Self::Cookie => "no DHCP cookie",
            Self::Type => "message type missing or not for clients",
            Self::ClientId => "client id is not ours",
        }
    }
}

/// Reads the UDP payload `bytes` as a reply for `expect`. The transaction id is left to the machine, which knows it.
pub fn decode(bytes: &[u8], expect: &Expect<'_>) -> Result<Reply, Refused> {
    // The view indexes its fixed fields and checks only here that they are there.
    let view = Message::new(bytes).map_err(|_| Refused::Short)?;
    if u8::from(view.opcode()) != 2 {
        return Err(Refused::Op);
    }
    if u8::from(view.htype()) != 1 || view.hlen() != 6 {
        return Err(Refused::Hardware);
    }
    if bytes.get(28..34) != Some(expect.mac.as_slice()) {
        return Err(Refused::Address);
    }
    if bytes.get(COOKIE) != Some([99, 130, 83, 99].as_slice()) {
        return Err(Refused::Cookie);
    }
    let mut options = Options::default();
    options.read(bytes.get(OPTIONS..).unwrap_or_default());
    // 1: file holds options, 2: sname does, 3: both. Only the main area's word counts, so that none can refer to itself.
    let overload = options.value(code::OVERLOAD).and_then(|v| v.first().copied()).unwrap_or(0);
    let field = |range, held: bool| if held { bytes.get(range).unwrap_or_default() } else { [].as_slice() };
    let (in_file, in_sname) = (overload <= 3 && overload & 1 != 0, overload <= 3 && overload & 2 != 0);
    options.read(field(FILE, in_file));
    options.read(field(SNAME, in_sname));

    let kind = match options.value(code::MESSAGE_TYPE) {
        Some([2]) => ReplyKind::Offer,
        Some([5]) => ReplyKind::Ack,
        Some([6]) => ReplyKind::Nak,
        Some([9]) => ReplyKind::ForceRenew,
        Some(_) | None => return Err(Refused::Type),
    };
    if options.value(code::CLIENT_ID).is_some_and(|id| expect.client_id.is_some_and(|ours| ours != id)) {
        return Err(Refused::ClientId);
    }
    Ok(Reply {
        kind,
        xid: view.xid(),
        address: view.yiaddr(),
        next_server: view.siaddr(),
        relay: view.giaddr(),
        boot_file: text(field(FILE, !in_file)),
        server_name: text(field(SNAME, !in_sname)),
        options,
        raw: bytes.into(),
    })
}

/// Bytes up to the first NUL.
fn text(field: &[u8]) -> Vec<u8> {
    field.split(|&b| b == 0).next().unwrap_or_default().to_vec()
}
