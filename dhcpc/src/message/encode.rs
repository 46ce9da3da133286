//! Writing messages. Order of options as udhcpc sends them: type, requested address, server, maximum size, parameter list,
//! then the rest ascending by code; padded to 300 bytes, which old relays and servers insist on (RFC 1542 §2.1).

use super::{Body, Request, code};
use std::net::Ipv4Addr;

/// BOOTP's fixed part, a 64-byte vendor area included.
const MIN_LEN: usize = 300;
/// The flags field's top bit: "answer by broadcast, I cannot take unicast yet".
const FLAG_BROADCAST: u16 = 0x8000;

/// How the client names itself (option 61).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientId {
    /// Hardware type 1 and the interface's address, as everybody does.
    #[default]
    Mac,
    /// Not at all; the server then goes by chaddr.
    None,
    /// These bytes, the leading type byte included.
    Given(Vec<u8>),
}

/// What every message of this client says about it, whatever the message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Option 61.
    pub client_id: ClientId,
    /// Option 57: the biggest message we take, in bytes of IP. At least 576.
    pub max_size: u16,
    /// Option 55 in the order sent. Empty: the option is left out.
    pub requested: Vec<u8>,
    /// Everything else (60, 12, 81, whatever `-x` gave), ascending by code.
    pub options: Vec<(u8, Vec<u8>)>,
    /// Ask for answers by broadcast while we have no address, always.
    pub broadcast: bool,
    /// Option 80 in every DISCOVER (RFC 4039).
    pub rapid_commit: bool,
}

impl Profile {
    /// The client id as it goes on the wire.
    pub fn client_id(&self, mac: [u8; 6]) -> Option<Vec<u8>> {
        match &self.client_id {
            ClientId::Mac => Some([&[1], mac.as_slice()].concat()),
            ClientId::None => None,
            ClientId::Given(id) => Some(id.clone()),
        }
    }
}

/// The fields of RFC 2131 tables 4 and 5 that depend on what the message is for.
struct Fields {
    message_type: u8,
    ciaddr: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    /// Parameter list, maximum size and our own options go along. MUST NOT in DECLINE and RELEASE, but for the client id.
    full: bool,
}

/// RFC 2131 table 4 (REQUEST) and table 5 (the others):
///
/// ```text
///                   DISCOVER  SELECTING  INIT-REBOOT  RENEWING/REBINDING  DECLINE  RELEASE
/// broadcast/unicast b'cast    b'cast     b'cast       unicast/b'cast      b'cast   unicast
/// server id (54)    MUST NOT  MUST       MUST NOT     MUST NOT            MUST     MUST
/// requested ip (50) MAY       MUST       MUST         MUST NOT            MUST     MUST NOT
/// ciaddr            zero      zero       zero         the address         zero     the address
/// secs              time      as DISC.   time         time                0        0
/// ```
const fn fields(body: &Body) -> Fields {
    const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
    match *body {
        Body::Discover { wish } => Fields { message_type: 1, ciaddr: NONE, requested: wish, server: None, full: true },
        Body::Select { server, address } => {
            Fields { message_type: 3, ciaddr: NONE, requested: Some(address), server, full: true }
        }
        Body::Reboot { address } => {
            Fields { message_type: 3, ciaddr: NONE, requested: Some(address), server: None, full: true }
        }
        Body::Extend { address } => {
            Fields { message_type: 3, ciaddr: address, requested: None, server: None, full: true }
        }
        Body::Decline { server, address } => {
            Fields { message_type: 4, ciaddr: NONE, requested: Some(address), server, full: false }
        }
        Body::Release { server, address } => {
            Fields { message_type: 7, ciaddr: address, requested: None, server: Some(server), full: false }
        }
    }
}

/// The UDP payload of `request`.
pub fn encode(request: &Request, profile: &Profile, mac: [u8; 6]) -> Vec<u8> {
    let f = fields(&request.body);
    // A DECLINE or RELEASE belongs to no acquisition and wants no answer (table 5: secs 0, flags 0).
    let (secs, flags) = match (f.full, (profile.broadcast || request.broadcast) && f.ciaddr.is_unspecified()) {
        (true, true) => (request.secs, FLAG_BROADCAST),
        (true, false) => (request.secs, 0),
        (false, _) => (0, 0),
    };
    let mut out = Vec::with_capacity(MIN_LEN);
    out.extend_from_slice(&[1, 1, 6, 0]); // BOOTREQUEST, Ethernet, 6-byte address, no hops
    out.extend_from_slice(&request.xid.to_be_bytes());
    out.extend_from_slice(&secs.to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&f.ciaddr.octets());
    out.resize(28, 0); // yiaddr, siaddr, giaddr
    out.extend_from_slice(&mac);
    out.resize(236, 0); // rest of chaddr, sname, file
    out.extend_from_slice(&[99, 130, 83, 99]); // magic cookie

    option(&mut out, code::MESSAGE_TYPE, &[f.message_type]);
    if let Some(address) = f.requested {
        option(&mut out, code::REQUESTED_ADDRESS, &address.octets());
    }
    if let Some(server) = f.server {
        option(&mut out, code::SERVER_ID, &server.octets());
    }
    let client_id = profile.client_id(mac);
    if f.full {
        option(&mut out, code::MAX_SIZE, &profile.max_size.to_be_bytes());
        if !profile.requested.is_empty() {
            option(&mut out, code::PARAMETER_LIST, &profile.requested);
        }
        let mut rest: Vec<(u8, &[u8])> = profile.options.iter().map(|(c, value)| (*c, value.as_slice())).collect();
        rest.extend(client_id.iter().map(|id| (code::CLIENT_ID, id.as_slice())));
        if profile.rapid_commit && matches!(request.body, Body::Discover { .. }) {
            rest.push((code::RAPID_COMMIT, &[]));
        }
        rest.sort_by_key(|o| o.0);
        rest.iter().for_each(|(c, value)| option(&mut out, *c, value));
    } else if let Some(id) = client_id {
        option(&mut out, code::CLIENT_ID, &id);
    }
    out.push(255);
    if out.len() < MIN_LEN {
        out.resize(MIN_LEN, 0);
    }
    out
}

/// Appends one option, in pieces when it is longer than one can be (RFC 3396).
fn option(out: &mut Vec<u8>, code: u8, value: &[u8]) {
    if value.is_empty() {
        out.extend_from_slice(&[code, 0]);
    }
    for piece in value.chunks(255) {
        out.push(code);
        out.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(piece);
    }
}
