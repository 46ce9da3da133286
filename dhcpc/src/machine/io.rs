//! What goes into the machine and what comes out.

use super::claim::Defence;
use super::note::Note;
use super::policy::Policy;
use super::schedule::Schedule;
use crate::lease::Lease;
use crate::message::{Reply, Request};
use crate::remember::Remembered;
use core::time::Duration;
use std::net::Ipv4Addr;
use std::rc::Rc;
use sys::clock::Instant;

/// What the administrator decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// When to repeat.
    pub schedule: Schedule,
    /// The first DISCOVER waits a random part of this (RFC 2131 §4.4.1 suggests up to ten seconds).
    pub initial_delay: Duration,
    /// T1 and T2 are put off a little, each lease by another time (RFC 2131 §4.4.5).
    pub fuzz: bool,
    /// T1 and T2 are the server's, if it gives any.
    pub server_times: bool,
    /// Now and then ask for an answer by broadcast when nobody answers.
    pub broadcast_fallback: bool,
    /// An ACK to a DISCOVER is a lease (RFC 4039); the profile has the option that asks for it.
    pub rapid_commit: bool,
    /// As udhcpc has it what is different without being safer: one transaction id and one count of seconds for a lease's life,
    /// a single probe, its own pauses.
    pub as_busybox: bool,
    /// Option 108 is asked for, and obeyed (RFC 8925).
    pub v6_only: bool,
    /// Never mention an address of before (RFC 7844).
    pub anonymous: bool,
    /// A server that gave a nonce may tell us to renew (RFC 6704).
    pub forcerenew: bool,
    /// Option 116 is sent: a server may say that nobody is to make up an address (RFC 2563).
    pub autoconf: bool,
    /// Whose offers are taken.
    pub policy: Policy,
    /// Address to wish for in the first DISCOVER (`-r`).
    pub wish: Option<Ipv4Addr>,
    /// Whether somebody else uses the address is asked for at most this long before it is used (`-a`).
    pub check: Option<Duration>,
    /// The address is announced and defended while it is used; none: it is not.
    pub defend: Option<Defence>,
    /// A link is recognised by its gateway (RFC 4436).
    pub verify_link: bool,
    /// Exit 1 when nobody answered and there never was a lease (`-n`).
    pub exit_without_lease: bool,
    /// Exit 0 after the first `bound` (`-q`).
    pub exit_when_bound: bool,
    /// Give the lease back on the way out (`-R`).
    pub release_on_exit: bool,
    /// `deconfig` on TERM: for those who publish by themselves and leave nobody behind to withdraw it.
    pub withdraw_on_exit: bool,
    /// Use a remembered lease to its end when no server answers at all (RFC 2131 §3.2 (4) allows it).
    pub use_unconfirmed: bool,
    /// Exit 0 when the interface goes, as udhcpc does; else wait for its return.
    pub exit_without_link: bool,
}

/// The interface as the driver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Hardware address.
    pub mac: [u8; 6],
    /// Up, and the other end is there.
    pub carrier: bool,
}

/// What the world can tell the machine.
#[derive(Debug)]
pub enum Input {
    /// First of all, once.
    Start {
        /// The interface; none if it is not there yet.
        link: Option<Link>,
        /// What the lease file says.
        remembered: Option<Remembered>,
        /// The gateway that was there, if it was seen.
        neighbour: Option<Neighbour>,
        /// The remembered address is still published from the last run: no `deconfig` while it is verified.
        published: bool,
    },
    /// The interface changed or may have; none when it is gone.
    Link(Option<Link>),
    /// A reply for this client, of any transaction.
    Packet(Box<Reply>),
    /// An ARP packet, as [`Watch`] wants it.
    Arp(Arp),
    /// The machine has slept: the link may be another one, though nothing says so.
    Woken,
    /// Time has passed.
    Timer,
    /// The administrator wants something.
    Command(Command),
}

/// The part of an ARP packet that matters for a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Sender's hardware address.
    pub mac: [u8; 6],
    /// Sender's protocol address; 0.0.0.0 in a probe.
    pub sender: Ipv4Addr,
    /// Target's protocol address.
    pub target: Ipv4Addr,
}

/// A host on the link by which the link is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address: the gateway of the lease, or the server where there is none.
    pub address: Ipv4Addr,
    /// Its hardware address.
    pub mac: [u8; 6],
}

/// Signals, by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// USR1.
    Renew,
    /// USR2.
    Release,
    /// TERM.
    Stop,
}

/// What the machine asks for. Drain until [`Output::Wait`] or [`Output::Done`].
#[derive(Debug)]
pub enum Output {
    /// Open these ears (and close the others) before doing anything else.
    Listen(Listen),
    /// Send a message.
    Send(Request, Via),
    /// Hear these ARP packets, and no others, from here on.
    Watch(Watch),
    /// Send an ARP request.
    Arp(Announcing),
    /// Tell the script, or publish.
    Event(Event),
    /// Keep this lease, and by what to recognise its link, for the next start.
    Save(Rc<Lease>, Option<Neighbour>),
    /// Forget the kept lease.
    Forget,
    /// Log one line.
    Note(Note),
    /// A reply changed nothing, for this reason.
    Ignored(Ignored),
    /// Wait for input, until then at most. The string names the timer.
    Wait(Option<Instant>, &'static str),
    /// Exit with this code once all events are told.
    Done(u8),
}

/// Why a reply changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The link is down.
    NoLink,
    /// Nobody asked.
    State,
    /// Another transaction's.
    Xid,
    /// A NAK of another server than the one chosen.
    Server,
    /// The administrator does not want it, see [`Policy`].
    Policy,
    /// An address that no host can have.
    Address,
    /// The lease is over already.
    Late,
    /// A FORCERENEW without the right signature, or that nobody waits for.
    Unsigned,
}

/// Which socket the machine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// None.
    Nothing,
    /// Raw: no address yet, or the answer may come by broadcast.
    Broadcast,
    /// UDP on the leased address.
    Unicast(Ipv4Addr),
}

/// Which ARP packets the machine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// None.
    Nothing,
    /// Those with this address as sender's or target's.
    About(Ipv4Addr),
    /// Those with this address as sender's: nobody wakes us who only looks for us.
    Claims(Ipv4Addr),
}

/// What is said by ARP, always as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcing {
    /// To all, from nobody: has anybody this address (RFC 5227 §2.1.1)?
    Probe(Ipv4Addr),
    /// To all: this address is ours (RFC 5227 §2.3).
    Claim(Ipv4Addr),
    /// Who has `to`? Asked of that host alone if its hardware address is given (RFC 4436 §2.1.1).
    Ask {
        /// Our address.
        from: Ipv4Addr,
        /// Whose hardware address is wanted.
        to: Ipv4Addr,
        /// Where to send the question; none: to all.
        mac: Option<[u8; 6]>,
    },
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Raw, to everybody on the link, from this address (0.0.0.0 while there is none).
    Broadcast {
        /// IP source.
        from: Ipv4Addr,
    },
    /// UDP to the server.
    Unicast {
        /// Our address.
        from: Ipv4Addr,
        /// The server.
        to: Ipv4Addr,
    },
}

/// What the script is told (spec: script contract).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// No address may be used.
    Deconfig,
    /// A new lease.
    Bound {
        /// The lease.
        lease: Rc<Lease>,
        /// Another address was in use until now and must go.
        replaces: bool,
    },
    /// The same address, granted again.
    Renew(Rc<Lease>),
    /// A server refused.
    Nak(Box<Reply>),
    /// A round of tries was for nothing; or a server says that there will be no lease, in this message.
    LeaseFail(Option<Box<Reply>>),
}
