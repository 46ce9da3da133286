//! The one place that talks to the kernel's network configuration: reads it whole, carries out steps.
//!
//! rtnetlink and tokio are named in this folder only. The runtime lives as long as one run of `netd apply` and has one
//! thread. Steps go out in order, many in one message; the kernel works on them in that order and answers in it, so that an
//! error names the object it is about.
#![expect(clippy::disallowed_methods, reason = "driver: owns the netlink socket and /proc/sys")]

mod decode;
mod dump;
mod encode;
mod link;
mod message;

use crate::state::desired::Switch;
use crate::state::object::Actual;
use crate::state::plan::Step;
use futures::channel::mpsc::UnboundedReceiver;
use futures::future::{Either, select};
use futures::{Stream, StreamExt};
use message::Message;
use rtnetlink::packet_core::{ErrorMessage, NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use rtnetlink::proto::{Connection, ConnectionHandle, new_connection};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, SocketAddr};
use std::fmt;
use std::pin::pin;
use sys::{Errno, file};
use tokio::runtime::Runtime;

/// Requests in one message: so many that sending does not count, and so few that the answers fit into the socket's buffer.
const BATCH: usize = 128;

/// Bytes the kernel may queue for us; what it grants without privilege is less.
const RECEIVE_BUFFER: i32 = 1 << 20;

/// Takes requests and gives answers.
type Handle = ConnectionHandle<Message>;

/// Whom all requests go to.
fn kernel() -> SocketAddr {
    SocketAddr::new(0, 0)
}

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
    /// Answers to nobody: that the buffer was full and an answer is lost.
    unsolicited: UnboundedReceiver<(NetlinkMessage<Message>, SocketAddr)>,
}

impl Kernel {
    /// Opens the socket. Needs no rights; changing anything does.
    pub(crate) fn open() -> Result<Self, Refusal> {
        Self::with_buffer(RECEIVE_BUFFER)
    }

    fn with_buffer(size: i32) -> Result<Self, Refusal> {
        let failed = |e: std::io::Error| Refusal::from(Errno::from_raw(e.raw_os_error().unwrap_or(0)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let context = runtime.enter();
        let (mut connection, handle, unsolicited) = new_connection(NETLINK_ROUTE).map_err(failed)?;
        prepare(&mut connection, size);
        drop(context);
        runtime.spawn(connection);
        Ok(Self { runtime, handle, unsolicited })
    }

    /// Everything the plan looks at: all links and addresses, the routes of `tables`, and ours in any table.
    pub(crate) fn dump(&self, tables: &[u32]) -> Result<Actual, Refusal> {
        self.runtime.block_on(dump::dump(&self.handle, tables))
    }

    /// Whether a switch is as it should be.
    #[expect(clippy::unused_self, reason = "it is the kernel's state")]
    pub(crate) fn has_switch(&self, wanted: &Switch) -> bool {
        switched(&path(wanted), wanted).unwrap_or(false)
    }

    /// Carries out `steps` in order and returns what became of each. Nobody knows what became of those with ENOBUFS: there was
    /// no room for an answer.
    pub(crate) fn apply(&mut self, steps: &[&Step], actual: &Actual) -> Vec<Result<Done, Refusal>> {
        let (mut results, mut left) = (Vec::with_capacity(steps.len()), steps);
        while let Some((first, others)) = left.split_first() {
            let requests = left.iter().take(BATCH).map_while(|step| encode::step(step));
            let requests: Vec<_> = requests.map(|(message, flags)| request(message, NLM_F_ACK | flags)).collect();
            if requests.is_empty() {
                results.push(set_switch(first, actual));
                left = others;
                continue;
            }
            let asked = requests.len();
            let answers = self.exchange(requests);
            let complete = answers.len() == asked;
            results.extend(answers);
            if !complete {
                break;
            }
            left = &left[asked..];
        }
        results.resize(steps.len(), Err(Errno::ENOBUFS.into()));
        results
    }

    /// Sends the requests as one and returns the answers, in order, as many as came.
    fn exchange(&mut self, requests: Vec<NetlinkMessage<Message>>) -> Vec<Result<Done, Refusal>> {
        let Self { runtime, handle, unsolicited } = self;
        let asked = requests.len();
        let mut results = Vec::with_capacity(asked);
        let Ok(answers) = handle.request_batch(requests, kernel()) else { return results };
        let mut answers = pin!(answers);
        runtime.block_on(async {
            while results.len() < asked {
                match select(answers.next(), unsolicited.next()).await {
                    Either::Left((Some(answer), _)) => results.push(refusal(&answer.payload).map(|()| Done::Changed)),
                    Either::Right((Some((message, _)), _)) if refusal(&message.payload).is_ok() => {}
                    Either::Left((None, _)) | Either::Right(_) => break,
                }
            }
        });
        results
    }
}

fn request(message: Message, flags: u16) -> NetlinkMessage<Message> {
    let mut request = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(message));
    request.header.flags = NLM_F_REQUEST | flags;
    request
}

/// The steps that are no requests.
fn set_switch(step: &Step, actual: &Actual) -> Result<Done, Refusal> {
    if let Step::Sysctl(wanted) = step {
        switch(wanted)
    } else if let Step::Promote(index) = step {
        let link = actual.link(*index).ok_or(Errno::ENODEV)?;
        switch(&Switch::new(format!("net/ipv4/conf/{}/promote_secondaries", link.name), "1"))
    } else {
        Err(Errno::EINVAL.into())
    }
}

/// Options of the socket. All are wishes: an old kernel without them is served as well, only with more words to read.
fn prepare<S: AsyncSocket>(connection: &mut Connection<Message, S>, buffer: i32) {
    connection.set_forward_ack(true);
    let socket = connection.socket_mut().socket_mut();
    let _ = socket.set_netlink_get_strict_chk(true);
    let _ = socket.set_cap_ack(true);
    let _ = socket.set_ext_ack(true);
    let _ = socket.set_rx_buf_sz(buffer);
}

/// Whether a step changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Changed,
    /// It was so already.
    Already,
}

/// Writes a switch unless it is as it should be.
fn switch(wanted: &Switch) -> Result<Done, Refusal> {
    let path = path(wanted);
    if switched(&path, wanted)? {
        return Ok(Done::Already);
    }
    match std::fs::write(&path, wanted.value) {
        Ok(()) => Ok(Done::Changed),
        Err(e) => Err(Errno::from_raw(e.raw_os_error().unwrap_or(0)).into()),
    }
}

fn path(switch: &Switch) -> String {
    format!("/proc/sys/{}", switch.path)
}

fn switched(path: &str, wanted: &Switch) -> Result<bool, Errno> {
    let mut now = [0; 32];
    match file::read_into(file::CWD, path, &mut now) {
        Ok(now) => Ok(wanted.is_served_by(now.trim_ascii())),
        // A machine without IPv6 does all it should with it.
        Err(Errno::ENOENT) if wanted.path.starts_with("net/ipv6/") => Ok(true),
        Err(e) => Err(e),
    }
}

/// The kernel's answers to a request.
fn ask(
    handle: &Handle,
    message: Message,
    flags: u16,
) -> Result<impl Stream<Item = NetlinkMessage<Message>> + use<>, Refusal> {
    handle.request(request(message, flags), kernel()).map_err(|_| Errno::EPIPE.into())
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

#[cfg(test)]
mod tests {
    use super::*;
    use netif::IfIndex;

    /// Requests the kernel has to refuse, whoever asks, wherever this runs; and no room for the answers.
    #[test]
    fn a_lost_answer_is_not_waited_for() {
        let nowhere = Step::SetMtu(IfIndex::new(0x7fff_fff0).unwrap(), 1500);
        let steps: Vec<&Step> = std::iter::repeat_n(&nowhere, 500).collect();
        let run = |buffer| {
            let results = Kernel::with_buffer(buffer).unwrap().apply(&steps, &Actual::default());
            let count = |errno| results.iter().filter(|r| r.as_ref().is_err_and(|r| r.errno == errno)).count();
            (results.len(), count(Errno::ENOBUFS), count(Errno::ENODEV) + count(Errno::EPERM))
        };
        assert_eq!(run(RECEIVE_BUFFER), (500, 0, 500));
        let (all, lost, refused) = run(1);
        assert!(all == 500 && lost > 0 && lost + refused == 500, "{lost} lost, {refused} refused");
    }
}
