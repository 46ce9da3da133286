//! The one place that talks to the kernel's network configuration: reads it whole, carries out steps.
//!
//! rtnetlink and tokio are named in this folder only. The runtime lives as long as one run of `netd apply` and has one
//! thread. Steps go out in order, many in flight together; the kernel works on them in that order, and an answer is matched
//! to its step, so that an error names the object it is about.
#![expect(clippy::disallowed_methods, reason = "driver: owns the netlink socket and /proc/sys")]

mod decode;
mod dump;
mod encode;
mod link;
mod message;

use crate::state::object::Actual;
use crate::state::plan::Step;
use futures::{Stream, StreamExt};
use message::Message;
use rtnetlink::packet_core::{ErrorMessage, NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use rtnetlink::proto::{Connection, ConnectionHandle, new_connection};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, SocketAddr};
use std::fmt;
use sys::{Errno, file};
use tokio::runtime::Runtime;

/// Requests in flight: enough to keep the kernel busy, few enough that the answers fit into the socket's buffer.
const WINDOW: usize = 64;

/// Bytes the kernel may queue for us; what it grants without privilege is less.
const RECEIVE_BUFFER: i32 = 1 << 20;

/// Takes requests and gives answers.
type Handle = ConnectionHandle<Message>;

/// What the kernel said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    /// Its own words (extended acknowledgement), when it has any.
    pub(crate) text: Option<String>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, text: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{} ({})", text.trim_end_matches('.'), self.errno.desc()),
            None => f.write_str(self.errno.desc()),
        }
    }
}

/// An open connection to the kernel.
pub(crate) struct Kernel {
    runtime: Runtime,
    handle: Handle,
}

impl Kernel {
    /// Opens the socket. Needs no rights; changing anything does.
    pub(crate) fn open() -> Result<Self, Refusal> {
        let failed = |e: std::io::Error| Refusal::from(Errno::from_raw(e.raw_os_error().unwrap_or(0)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let context = runtime.enter();
        let (mut connection, handle, _) = new_connection(NETLINK_ROUTE).map_err(failed)?;
        prepare(&mut connection);
        drop(context);
        runtime.spawn(connection);
        Ok(Self { runtime, handle })
    }

    /// Everything the plan looks at: all links and addresses, the routes of `tables`, and ours in any table.
    pub(crate) fn dump(&self, tables: &[u32]) -> Result<Actual, Refusal> {
        self.runtime.block_on(dump::dump(&self.handle, tables))
    }

    /// Whether a switch below /proc/sys has the value.
    #[expect(clippy::unused_self, reason = "it is the kernel's state")]
    pub(crate) fn has_switch(&self, path: &str, value: &str) -> bool {
        switched(&format!("/proc/sys/{path}"), value).unwrap_or(false)
    }

    /// Carries out `steps` in order and returns what became of each.
    pub(crate) fn apply(&self, steps: &[&Step], actual: &Actual) -> Vec<Result<Done, Refusal>> {
        let handle = &self.handle;
        let work = futures::stream::iter(steps).map(|step| async move {
            match step {
                Step::Promote(index) => match actual.link(*index) {
                    Some(link) => switch(&format!("net/ipv4/conf/{}/promote_secondaries", link.name), "1"),
                    None => Err(Errno::ENODEV.into()),
                },
                Step::Sysctl(path, value) => switch(path, value),
                Step::AddLink(_)
                | Step::DeleteLink(_)
                | Step::Join(..)
                | Step::Leave(_)
                | Step::SetUp(_)
                | Step::SetMtu(..)
                | Step::AddAddress(_)
                | Step::DeleteAddress(_)
                | Step::AddRoute(_)
                | Step::ReplaceRoute(_)
                | Step::DeleteRoute(_)
                | Step::AddRule(_)
                | Step::DeleteRule(_) => request(handle, encode::step(step)).await,
            }
        });
        self.runtime.block_on(work.buffered(WINDOW).collect())
    }
}

/// Options of the socket. All are wishes: an old kernel without them is served as well, only with more words to read.
fn prepare<S: AsyncSocket>(connection: &mut Connection<Message, S>) {
    let socket = connection.socket_mut().socket_mut();
    let _ = socket.set_netlink_get_strict_chk(true);
    let _ = socket.set_cap_ack(true);
    let _ = socket.set_ext_ack(true);
    let _ = socket.set_rx_buf_sz(RECEIVE_BUFFER);
}

/// Whether a step changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Changed,
    /// It was so already.
    Already,
}

/// Writes a switch below /proc/sys unless it has the value.
fn switch(path: &str, value: &str) -> Result<Done, Refusal> {
    let path = format!("/proc/sys/{path}");
    if switched(&path, value)? {
        return Ok(Done::Already);
    }
    match std::fs::write(&path, value) {
        Ok(()) => Ok(Done::Changed),
        Err(e) => Err(Errno::from_raw(e.raw_os_error().unwrap_or(0)).into()),
    }
}

fn switched(path: &str, value: &str) -> Result<bool, Errno> {
    let mut now = [0; 32];
    let now = file::read_into(file::CWD, path, &mut now)?;
    Ok(now.trim_ascii() == value.as_bytes())
}

async fn request(handle: &Handle, message: Option<(Message, u16)>) -> Result<Done, Refusal> {
    let Some((message, flags)) = message else { return Err(Errno::EINVAL.into()) };
    let mut answers = ask(handle, message, NLM_F_ACK | flags)?;
    while let Some(answer) = answers.next().await {
        refusal(&answer.payload)?;
    }
    Ok(Done::Changed)
}

/// The kernel's answers to a request.
fn ask(
    handle: &Handle,
    message: Message,
    flags: u16,
) -> Result<impl Stream<Item = NetlinkMessage<Message>> + use<>, Refusal> {
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(message));
    message.header.flags = NLM_F_REQUEST | flags;
    let kernel = SocketAddr::new(0, 0);
    handle.request(message, kernel).map_err(|_| Errno::EPIPE.into())
}

/// Whether the kernel says no. Answers that are no answer to us are passed over.
fn refusal<T>(payload: &NetlinkPayload<T>) -> Result<(), Refusal> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive; the rest is no refusal")]
    match payload {
        NetlinkPayload::Error(e) => match e.code {
            Some(code) => Err(Refusal { errno: Errno::from_raw(code.get().saturating_neg()), text: extended_text(e) }),
            None => Ok(()),
        },
        NetlinkPayload::Overrun(_) => Err(Errno::ENOBUFS.into()),
        _ => Ok(()),
    }
}

/// `NLMSGERR_ATTR_MSG`: after the header of our own request (16 bytes, NETLINK_CAP_ACK cuts the rest) come attributes.
fn extended_text(e: &ErrorMessage) -> Option<String> {
    const REQUEST_HEADER: usize = 16;
    const ATTR_MSG: u16 = 1;
    let mut rest = e.header.get(REQUEST_HEADER..)?;
    while let [l0, l1, t0, t1, ..] = *rest {
        let (len, kind) = (usize::from(u16::from_ne_bytes([l0, l1])), u16::from_ne_bytes([t0, t1]));
        let body = rest.get(4..len)?;
        if kind == ATTR_MSG {
            return Some(String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body)).into_owned());
        }
        rest = rest.get(len.next_multiple_of(4)..)?;
    }
    None
}
