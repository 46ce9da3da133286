//! Reads the kernel's state with as few messages as it takes: routes by table and by our protocol number, so that a full
//! table of a routing daemon elsewhere is never walked in user space.

use super::link::LinkMessage;
use super::message::Message;
use super::{Handle, Refusal, ask, decode, refusal};
use crate::state::object::{Actual, MAIN, Owned, Owner, PROTOCOL, Route, Rule};
use futures::StreamExt;
use rtnetlink::packet_core::{NLM_F_DUMP, NetlinkPayload};
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol};
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::packet_route::{AddressFamily, address::AddressMessage};
use sys::Errno;

/// The kernel's mark on a dump during which something changed (`NLM_F_DUMP_INTR`).
const INTERRUPTED: u16 = 0x10;

/// How often a dump is begun anew because something changed meanwhile.
const TRIES: usize = 10;

pub(super) async fn dump(handle: &Handle, tables: &[u32]) -> Result<Actual, Refusal> {
    let mut actual = Actual {
        links: all(handle, Message::GetLink(LinkMessage::all()), decode::link).await?,
        addresses: all(handle, Message::GetAddress(AddressMessage::default()), decode::address).await?,
        routes: Vec::new(),
        rules: Vec::new(),
    };
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        for &table in tables {
            let others = |r: &Owned<Route>| r.owner != Owner::Us && r.object.table == table;
            actual
                .routes
                .extend(routes(handle, family, Some(table), RouteProtocol::Unspec).await?.into_iter().filter(others));
        }
        let ours = |r: &Owned<Route>| r.owner == Owner::Us;
        actual.routes.extend(routes(handle, family, None, PROTOCOL.into()).await?.into_iter().filter(ours));
        actual.rules.extend(rules(handle, family).await?);
    }
    Ok(actual)
}

async fn routes(
    handle: &Handle,
    family: AddressFamily,
    table: Option<u32>,
    protocol: RouteProtocol,
) -> Result<Vec<Owned<Route>>, Refusal> {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.protocol = protocol;
    if let Some(table) = table {
        message.header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
        message.attributes.push(RouteAttribute::Table(table));
    }
    match all(handle, Message::GetRoute(message), decode::route).await {
        // A table is made with its first route. (main always is there, and so is IPv6 where it can be used.)
        Err(Refusal { errno: Errno::ENOENT, .. }) if table != Some(MAIN) => Ok(Vec::new()),
        Err(Refusal { errno: Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT, .. }) if family == AddressFamily::Inet6 => {
            Ok(Vec::new())
        }
        other => other,
    }
}

/// A kernel may be built without rules, or without IPv6.
async fn rules(handle: &Handle, family: AddressFamily) -> Result<Vec<Owned<Rule>>, Refusal> {
    let mut message = RuleMessage::default();
    message.header.family = family;
    match all(handle, Message::GetRule(message), decode::rule).await {
        Err(Refusal { errno: Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT, .. }) => Ok(Vec::new()),
        other => other,
    }
}

/// One whole dump, begun anew when something changed meanwhile. `decode` leaves out what is none of our business.
async fn all<T>(handle: &Handle, request: Message, decode: fn(Message) -> Option<T>) -> Result<Vec<T>, Refusal> {
    for _ in 0..TRIES {
        let mut answers = ask(handle, request.clone(), NLM_F_DUMP)?;
        let (mut found, mut interrupted) = (Vec::new(), false);
        while let Some(answer) = answers.next().await {
            interrupted |= answer.header.flags & INTERRUPTED != 0;
            match refusal(&answer.payload) {
                Ok(()) => {}
                Err(r) if r.errno == Errno::ENOBUFS => interrupted = true,
                Err(r) => return Err(r),
            }
            if let NetlinkPayload::InnerMessage(inner) = answer.payload {
                found.extend(decode(inner));
            }
        }
        if !interrupted {
            return Ok(found);
        }
    }
    Err(Errno::EAGAIN.into())
}
