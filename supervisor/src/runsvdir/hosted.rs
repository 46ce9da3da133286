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
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::clock::{self, Instant};
use sys::file::{self, CWD};
use sys::msg::{Level, say};
use sys::ready::Ready;
use sys::{Errno, Pid, limit, spawn};

/// So many services are settled, which may start a child each, before others are listened to again.
const AT_ONCE: usize = 32;

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
    /// The working directory: the services directory is known by a path from here.
    here: OwnedFd,
}

impl Hosted {
    /// No service yet. From now on this process may have as many descriptors as it is allowed; its children get the limit it
    /// had.
    pub(crate) fn new(session: bool, template: Option<OsString>) -> Result<Self, Errno> {
        limit::raise_files()?;
        spawn::expect_many_descriptors();
        let here = file::open_dir(CWD, c".")?;
        Ok(Self { ready: Ready::new()?, slots: Slots::new(), ended: Vec::new(), session, template, here })
    }

    /// Takes the service directory `name` of `dir`. If that does not work it has ended at once, as a runsv would.
    pub(crate) fn start(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> Number {
        let number = self.slots.reserve();
        match self.open(number, dir, name) {
            Some(instance) => self.slots.insert(number, instance),
            None => self.ended.push(number),
        }
        number
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

    fn open(&self, number: Number, dir: BorrowedFd<'_>, name: &CStr) -> Option<Instance> {
        let program = [b"runsv ", name.to_bytes()].concat();
        let unable = |why| say(&program, Level::Fatal, &[b"unable to change to directory"], Some(why));
        let opened = file::open_dir(dir, name).map_err(unable).ok()?;
        // The path a runsv would see, which is started in the services directory.
        file::enter(dir).map_err(unable).ok()?;
        let path = runsv::name(OsStr::from_bytes(name.to_bytes()));
        file::enter(self.here.as_fd()).map_err(unable).ok()?;
        let how = How { session: self.session, patient: false, template: self.template.as_deref() };
        let instance = Instance::open(opened, path.as_deref(), program.clone(), how)?;
        let mut trouble = None;
        instance.watched(|fd, flags| trouble = self.ready.add_for(fd, flags, number.0.into()).err().or(trouble));
        let Some(why) = trouble else { return Some(instance) };
        say(&program, Level::Fatal, &[b"unable to watch supervise/control"], Some(why));
        None
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
