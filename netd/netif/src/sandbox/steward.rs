#![expect(clippy::disallowed_methods, reason = "driver: the process that keeps the rights")]
//! The steward: a small process forked before anything is read from the network. It keeps the rights its daemon gives up and
//! uses them on order, for the daemon's own interface, script and services only. It reads nothing but orders, and ends when
//! the daemon does.

use super::capabilities::Capability;
use super::hands::{Done, Hands};
use super::order::{LONGEST, Order};
use super::{Confinement, confine_all};
use core::ffi::c_int;
use core::time::Duration;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, recv, recvmsg, send,
    sendmsg, socketpair,
};
use nix::unistd::{ForkResult, fork};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use sys::clock::monotonic;
use sys::poll::{PollFd, PollFlags, readable, wait};
use sys::signal::{Signal, Signals};
use sys::spawn::Status;
use sys::{Errno, Pid, rest};

/// The daemon's end of the line.
#[derive(Debug)]
pub(super) struct Steward {
    orders: OwnedFd,
    /// Ends of scripts; at its own end when the steward is gone.
    ends: OwnedFd,
}

/// How long after an order the next one may be of the same group.
const BUSY: Duration = Duration::from_millis(100);

/// An answer: 0 or an errno, and a number.
const ANSWER: usize = 8;

impl Steward {
    /// Forks. Returns in the daemon only.
    pub(super) fn fork(hands: &mut Hands, kept: &[Capability]) -> Result<Self, Errno> {
        let (orders, theirs) = pair()?;
        let (ends, their_ends) = pair()?;
        nix::fcntl::fcntl(&ends, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
        match fork_process()? {
            ForkResult::Parent { .. } => Ok(Self { orders, ends }),
            ForkResult::Child => {
                drop((orders, ends));
                let _ = serve(hands, &theirs, &their_ends, kept);
                exit()
            }
        }
    }

    pub(super) fn ask(&self, order: &Order) -> Result<Done, Errno> {
        let order = order.encode();
        if order.len() > LONGEST {
            return Err(Errno::EMSGSIZE);
        }
        again(|| send(self.orders.as_raw_fd(), &order, MsgFlags::MSG_NOSIGNAL))?;
        let mut bytes = [0; ANSWER];
        let mut space = nix::cmsg_space!([c_int; 1]);
        let (len, socket) = again(|| {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let fd = self.orders.as_raw_fd();
            let got = recvmsg::<UnixAddr>(fd, &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
            let fds = got.cmsgs().into_iter().flatten().find_map(|c| {
                if let ControlMessageOwned::ScmRights(fds) = c { fds.first().copied().map(own) } else { None }
            });
            Ok((got.bytes, fds))
        })?;
        let [a, b, c, d, e, f, g, h] = bytes;
        if len != ANSWER {
            return Err(Errno::EPIPE);
        }
        match (i32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h]), socket) {
            (0, _, Some(socket)) => Ok(Done::Socket(socket)),
            (0, 0, None) => Ok(Done::Nothing),
            (0, pid, None) => Ok(Done::Pid(Pid::from_raw(pid))),
            (errno, ..) => Err(Errno::from_raw(errno)),
        }
    }

    /// The script, if it has ended. An error: the steward is gone.
    pub(super) fn ended(&self) -> Result<Option<(Pid, Status)>, Errno> {
        let mut bytes = [0; ANSWER];
        match again(|| recv(self.ends.as_raw_fd(), &mut bytes, MsgFlags::empty())) {
            Ok(ANSWER) => {
                let [a, b, c, d, e, f, g, h] = bytes;
                let pid = Pid::from_raw(i32::from_ne_bytes([a, b, c, d]));
                Ok(Some((pid, Status(i32::from_ne_bytes([e, f, g, h])))))
            }
            Ok(_) => Err(Errno::EPIPE),
            Err(Errno::EAGAIN) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.ends.as_fd()
    }
}

/// Until the daemon is gone. Nobody is left then to be told of an error.
fn serve(hands: &mut Hands, orders: &OwnedFd, ends: &OwnedFd, kept: &[Capability]) -> Result<(), Errno> {
    set_name();
    // Those that end daemons are the daemon's to obey: its last script may still be ours to run.
    let deaf = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];
    let _deaf = Signals::take(&deaf)?;
    let children = Signals::take(&[Signal::SIGCHLD])?;
    if hands.policy.script.is_none() {
        confine_all(&Confinement::steward(&hands.policy, kept), |_, _| {});
    }
    let mut busy = true;
    loop {
        let listen = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [listen(orders.as_fd()), listen(children.as_fd())];
        // Orders come in groups, and the daemon waits for each: only a while after the last one is there time to rest.
        let now = monotonic();
        let ready = if busy { wait(&mut fds, now, Some(now + BUSY))? } else { rest::wait(&mut fds, now, None)? };
        busy = ready > 0;
        let [order, child] = fds.each_ref().map(readable);
        if child {
            while children.next().is_some() {}
            if let Some((pid, status)) = hands.ended() {
                answer(ends, pid.as_raw(), status.0, None)?;
            }
        }
        if order {
            let Some(order) = next(orders)? else { return Ok(()) };
            match Order::decode(&order).ok_or(Errno::EINVAL).and_then(|o| hands.obey(o)) {
                Ok(Done::Nothing) => answer(orders, 0, 0, None)?,
                Ok(Done::Pid(pid)) => answer(orders, 0, pid.as_raw(), None)?,
                Ok(Done::Socket(socket)) => answer(orders, 0, 0, Some(&socket))?,
                Err(e) => answer(orders, e as i32, 0, None)?,
            }
        }
    }
}

/// The next order, none when the daemon is gone.
fn next(orders: &OwnedFd) -> Result<Option<Vec<u8>>, Errno> {
    let fd = orders.as_raw_fd();
    let len = again(|| recv(fd, &mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC))?.min(LONGEST);
    let mut order = vec![0; len];
    let got = again(|| recv(fd, &mut order, MsgFlags::empty()))?;
    order.truncate(got);
    Ok(Some(order).filter(|o| !o.is_empty()))
}

fn answer(to: &OwnedFd, first: i32, second: i32, socket: Option<&OwnedFd>) -> Result<(), Errno> {
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, g, h] = second.to_ne_bytes();
    let fds = socket.map(|s| [s.as_raw_fd()]);
    let rights = fds.as_ref().map(|f| [ControlMessage::ScmRights(f)]);
    let rights: &[ControlMessage<'_>] = rights.as_ref().map_or(&[], |r| r);
    let bytes = [a, b, c, d, e, f, g, h];
    let parts = [IoSlice::new(&bytes)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    again(|| sendmsg::<UnixAddr>(to.as_raw_fd(), &parts, rights, flags, None)).map(drop)
}

fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Whole messages, and an end that is noticed.
fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

#[expect(unsafe_code, reason = "nix hands out bare numbers")]
fn own(fd: c_int) -> OwnedFd {
    // SAFETY: the kernel made this descriptor for us in the recvmsg right before, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[expect(unsafe_code, reason = "fork")]
fn fork_process() -> Result<ForkResult, Errno> {
    // SAFETY: our daemons have one thread, so the child may do whatever the parent may.
    unsafe { fork() }
}

#[expect(unsafe_code, reason = "an exit that cleans up nothing")]
fn exit() -> ! {
    // SAFETY: always sound; destructors must not run, what they would remove is the daemon's.
    unsafe { libc::_exit(0) }
}

/// What `ps` shows, and so that `killall dhcpc` means the daemon.
#[expect(unsafe_code, reason = "prctl")]
fn set_name() {
    // SAFETY: a string that ends in NUL and lives through the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"steward".as_ptr()) };
}
