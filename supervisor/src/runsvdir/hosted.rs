#![expect(
    clippy::disallowed_methods,
    reason = "driver: owns the service directories and the children of `runsvdir -1`"
)]
//! `runsvdir -1`: the service directories themselves, all in this process, where else there is a runsv for each.
//!
//! What a runsv does is in [`Instance`]; this finds out whom an event concerns. Nothing here looks at all services: a
//! descriptor carries the number of its service, children are looked up by pid, deadlines are sorted.

mod slots;

use crate::runsv::{self, How, Instance, Rest};
pub(crate) use slots::Number;
use slots::Slots;
use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::clock::{self, Instant};
use sys::file::{self, CWD};
use sys::msg::{Level, say};
use sys::ready::Ready;
use sys::{Errno, Pid, limit, spawn};

/// So many services are settled, which may start a child each, before others are listened to again.
const AT_ONCE: usize = 32;

/// Descriptors that are left for those who run: to start, and to write what became of them.
const SPARE: u64 = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Hosted {
    ready: Ready,
    slots: Slots<Instance>,
    /// Ended, and not yet told.
    ended: Vec<Number>,
    session: bool,
    /// See [`How::template`].
    template: Option<OsString>,
    /// So many descriptors this process may have.
    most: u64,
    /// The working directory: the services directory is known by a path from here.
    here: OwnedFd,
}

impl Hosted {
    /// No service yet. From now on this process may have as many descriptors as it is allowed; its children get the limit it
    /// had.
    pub(crate) fn new(session: bool, template: Option<OsString>) -> Result<Self, Errno> {
        let most = limit::raise_files()?;
        spawn::expect_many_descriptors();
        let here = file::open_dir(CWD, c".")?;
        Ok(Self { ready: Ready::new()?, slots: Slots::new(), ended: Vec::new(), session, template, most, here })
    }

    /// Takes the service directory `name` of `dir`. If that does not work it has ended at once, as a runsv would; none if the
    /// system has no room for another one now.
    pub(crate) fn start(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> Option<Number> {
        let number = self.slots.reserve();
        match self.open(number, dir, name) {
            Ok(instance) => self.slots.insert(number, instance),
            Err(Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOSPC)) => {
                self.slots.give_back(number);
                return None;
            }
            Err(_) => self.ended.push(number),
        }
        Some(number)
    }

    /// The same as TERM to a runsv.
    pub(crate) fn stop(&mut self, number: Number) {
        concern(&mut self.slots, number, Instance::terminate);
    }

    /// The same as `k` in its control fifo.
    pub(crate) fn kill(&mut self, number: Number) {
        concern(&mut self.slots, number, Instance::kill);
    }

    /// All processes of all services.
    pub(crate) fn children(&self) -> impl Iterator<Item = Pid> {
        self.slots.each().flat_map(|instance| instance.children().into_iter().flatten())
    }

    /// The processes of all log services.
    pub(crate) fn logs(&self) -> impl Iterator<Item = Pid> {
        self.slots.each().flat_map(|instance| instance.log_children().into_iter().flatten())
    }

    /// One that has ended since the last call. Its number may then be another's.
    pub(crate) fn ended(&mut self) -> Option<Number> {
        let number = self.ended.pop()?;
        self.slots.give_back(number);
        Some(number)
    }

    /// Whether there is no service.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// When [`Self::turn`] has something to do at the latest, unless the descriptor becomes readable or a child ends.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.ended.is_empty() { self.slots.deadline() } else { Some(Instant::ZERO) }
    }

    /// Takes commands, and deaths if a child has ended, and does what is due.
    pub(crate) fn turn(&mut self, child: bool) {
        self.ready.take(|number| {
            if let Ok(number) = u32::try_from(number) {
                concern(&mut self.slots, Number(number), Instance::take);
            }
        });
        if child {
            self.bury();
        }
        self.settle();
    }

    /// Children that have ended, also those that are nobody's.
    fn bury(&mut self) {
        while let Some(pid) = spawn::ended() {
            let owner = self.slots.orphan(pid);
            if let Some(number) = owner {
                concern(&mut self.slots, number, |instance| instance.dead(pid));
            }
            if let (Some(status), Some(number)) = (spawn::reap_child(pid), owner) {
                concern(&mut self.slots, number, |instance| instance.exited(pid, status));
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..AT_ONCE {
            let Some(number) = self.slots.next(clock::monotonic()) else { return };
            let rest = self.slots.get(number).map(Instance::settle);
            self.watch(number);
            match rest {
                Some(Rest::Until(at)) => {
                    adopt(&mut self.slots, number);
                    self.slots.rest(number, at);
                }
                Some(Rest::Done) => {
                    self.slots.remove(number);
                    self.ended.push(number);
                }
                None => {}
            }
        }
    }

    fn open(&self, number: Number, dir: BorrowedFd<'_>, name: &CStr) -> Result<Instance, Option<Errno>> {
        let program = [b"runsv ", name.to_bytes()].concat();
        let unable = |what: &[u8], why| {
            say(&program, Level::Fatal, &[what], Some(why));
            Some(why)
        };
        let opened = file::open_dir(dir, name).and_then(|opened| {
            // The kernel gives the lowest number there is. Those who are here need some for a moment now and then.
            let number = u64::from(opened.as_raw_fd().unsigned_abs());
            if number + SPARE > self.most { Err(Errno::EMFILE) } else { Ok(opened) }
        });
        // The path a runsv would see, which is started in the services directory.
        let opened = opened.and_then(|opened| file::enter(dir).map(|()| opened));
        let path = runsv::name(OsStr::from_bytes(name.to_bytes()));
        let back = file::enter(self.here.as_fd());
        let opened =
            opened.and_then(|opened| back.map(|()| opened)).map_err(|e| unable(b"unable to change to directory", e))?;
        let how = How { session: self.session, patient: false, template: self.template.as_deref() };
        let instance = Instance::open(opened, path.as_deref(), program.clone(), how)?;
        let mut trouble = None;
        instance.watched(|fd, flags| trouble = self.ready.add_for(fd, flags, number.0.into()).err().or(trouble));
        match trouble {
            Some(why) => Err(unable(b"unable to watch supervise/control", why)),
            None => Ok(instance),
        }
    }

    /// Also looks at what it has opened since.
    fn watch(&mut self, number: Number) {
        let Some(instance) = self.slots.get(number) else { return };
        if !instance.watches_more() {
            return;
        }
        let mut trouble = None;
        instance.watched(|fd, flags| trouble = self.ready.add_for(fd, flags, number.0.into()).err().or(trouble));
        if let Some(why) = trouble {
            say(b"runsvdir", Level::Warning, &[b"unable to watch what a service opened"], Some(why));
        }
    }
}

/// Does that to a service. It is settled later.
fn concern(slots: &mut Slots<Instance>, number: Number, act: impl FnOnce(&mut Instance)) {
    if let Some(instance) = slots.get(number) {
        act(instance);
        adopt(slots, number);
        slots.touch(number);
    }
}

/// Learns which children it has. Before any is reaped, or the pid might be another's already.
fn adopt(slots: &mut Slots<Instance>, number: Number) {
    let Some(instance) = slots.get(number) else { return };
    for pid in instance.children().into_iter().flatten() {
        slots.parent_of(pid, number);
    }
}

impl AsFd for Hosted {
    /// Readable when there are commands for a service.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}
