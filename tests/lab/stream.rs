//! Streams of numbered datagrams from one namespace to another: what is lost on the way, and what should not get through.

use crate::{Netns, note};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::HashSet;
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a datagram may be under way when all have been sent.
const ON_THE_WAY: Duration = Duration::from_millis(500);

/// A UDP socket of a namespace, bound to `local`. It stays there when the thread that made it is gone.
pub fn udp(ns: &Netns, local: &str) -> UdpSocket {
    let (name, local) = (ns.name().map(str::to_owned), local.to_owned());
    let made = std::thread::spawn(move || {
        if let Some(name) = name {
            let there = File::open(format!("/run/netns/{name}")).expect("a namespace of the lab");
            setns(there, CloneFlags::CLONE_NEWNET).expect("setns");
        }
        UdpSocket::bind(&local).unwrap_or_else(|e| panic!("bind {local}: {e}"))
    });
    let socket = made.join().expect("a socket");
    // So that a receiver that does not get its share of the processor loses nothing. A wish.
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20));
    socket
}

/// A stream under way.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    /// The sender has sent its last.
    ended: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    sender: JoinHandle<()>,
    /// Ends soon after the sender, with the numbers that came.
    receiver: JoinHandle<HashSet<u32>>,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Datagrams that were sent.
    pub sent: u32,
    /// Those of them that arrived.
    pub received: u32,
}

impl Stream {
    /// Sends `rate` datagrams a second from `from` to each address of `to` in turn; `at` is where they should arrive.
    pub fn start(from: UdpSocket, to: &[SocketAddr], at: UdpSocket, rate: u32) -> Self {
        let flag = || Arc::new(AtomicBool::new(false));
        let (stop, ended, sent) = (flag(), flag(), Arc::new(AtomicU32::new(0)));
        let sender = {
            let (stop, sent, to) = (Arc::clone(&stop), Arc::clone(&sent), to.to_vec());
            std::thread::spawn(move || {
                let begun = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    let n = sent.load(Ordering::Relaxed);
                    // What is refused (no route, a closed port) is lost, and that is for the receiver to tell.
                    let _ = from.send_to(&n.to_be_bytes(), to[n as usize % to.len()]);
                    sent.store(n + 1, Ordering::Relaxed);
                    let due = begun + Duration::from_secs(1) * (n + 1) / rate;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            })
        };
        let receiver = {
            let (ended, sent) = (Arc::clone(&ended), Arc::clone(&sent));
            at.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
            std::thread::spawn(move || receive(&at, &ended, &sent))
        };
        Self { stop, ended, sent, sender, receiver }
    }

    /// Datagrams sent so far.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it and waits for what is still on its way.
    pub fn stop(self) -> Delivery {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.join().expect("the sender");
        self.ended.store(true, Ordering::Relaxed);
        let received = self.receiver.join().expect("the receiver").len();
        let result =
            Delivery { sent: self.sent.load(Ordering::Relaxed), received: u32::try_from(received).unwrap_or(0) };
        note(&format!("stream: {result}"));
        result
    }
}

fn receive(at: &UdpSocket, ended: &AtomicBool, sent: &AtomicU32) -> HashSet<u32> {
    let (mut got, mut deadline) = (HashSet::new(), None);
    loop {
        let mut number = [0; 4];
        if let Ok(4) = at.recv(&mut number) {
            got.insert(u32::from_be_bytes(number));
        }
        if ended.load(Ordering::Relaxed) {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + ON_THE_WAY);
            if got.len() >= sent.load(Ordering::Relaxed) as usize || Instant::now() >= deadline {
                return got;
            }
        }
    }
}

impl Delivery {
    /// Datagrams that did not arrive.
    pub const fn lost(self) -> u32 {
        self.sent - self.received
    }
}

impl std::fmt::Display for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sent, {} received, {} lost", self.sent, self.received, self.lost())
    }
}
