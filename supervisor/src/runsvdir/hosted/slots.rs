//! Many services in one process: who is meant by a child or a deadline, found without looking at all of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use sys::Pid;
use sys::clock::Instant;

/// A service's number. It is given to another when the service is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(pub(crate) u32);

/// See the module.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Option<Box<Slot<T>>>>,
    free: Vec<Number>,
    children: BTreeMap<Pid, Number>,
    deadlines: BTreeSet<(Instant, Number)>,
    unsettled: VecDeque<Number>,
    used: usize,
}

#[derive(Debug)]
struct Slot<T> {
    item: T,
    /// In `deadlines`.
    deadline: Option<Instant>,
    /// In `unsettled`.
    unsettled: bool,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            children: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            unsettled: VecDeque::new(),
            used: 0,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// A number that means nobody yet. It is nobody else's until it is [given back](Self::give_back).
    pub(crate) fn reserve(&mut self) -> Number {
        self.free.pop().unwrap_or_else(|| {
            let next = Number(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            self.slots.push(None);
            next
        })
    }

    /// The number may be used again.
    pub(crate) fn give_back(&mut self, number: Number) {
        self.free.push(number);
    }

    /// A new service of that number, to be settled.
    pub(crate) fn insert(&mut self, number: Number, item: T) {
        if let Some(slot) = self.slots.get_mut(number.index()) {
            *slot = Some(Box::new(Slot { item, deadline: None, unsettled: false }));
            self.used += 1;
        }
        self.touch(number);
    }

    /// The service is gone; its number is not given to another yet.
    pub(crate) fn remove(&mut self, number: Number) {
        if let Some(slot) = self.slots.get_mut(number.index()).and_then(Option::take) {
            self.used -= 1;
            if let Some(at) = slot.deadline {
                self.deadlines.remove(&(at, number));
            }
        }
    }

    pub(crate) fn get(&mut self, number: Number) -> Option<&mut T> {
        self.slot(number).map(|slot| &mut slot.item)
    }

    /// All services.
    pub(crate) fn each(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten().map(|slot| &slot.item)
    }

    /// The child is this service's.
    pub(crate) fn parent_of(&mut self, pid: Pid, number: Number) {
        self.children.insert(pid, number);
    }

    /// Whose child it was. It is nobody's afterwards.
    pub(crate) fn orphan(&mut self, pid: Pid) -> Option<Number> {
        self.children.remove(&pid)
    }

    /// The service is to be settled.
    pub(crate) fn touch(&mut self, number: Number) {
        if let Some(slot) = self.slot(number)
            && !core::mem::replace(&mut slot.unsettled, true)
        {
            self.unsettled.push_back(number);
        }
    }

    /// The service is settled until then.
    pub(crate) fn rest(&mut self, number: Number, until: Option<Instant>) {
        let Some(slot) = self.slot(number) else { return };
        let old = core::mem::replace(&mut slot.deadline, until);
        if old != until {
            if let Some(at) = old {
                self.deadlines.remove(&(at, number));
            }
            if let Some(at) = until {
                self.deadlines.insert((at, number));
            }
        }
    }

    /// When [`Self::next`] has somebody at the latest; zero if it has now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.unsettled.is_empty() { self.deadlines.first().map(|(at, _)| *at) } else { Some(Instant::ZERO) }
    }

    /// The next one to be settled.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Number> {
        while let Some(&(at, number)) = self.deadlines.first()
            && at <= now
        {
            self.rest(number, None);
            self.touch(number);
        }
        loop {
            let number = self.unsettled.pop_front()?;
            // It may be gone.
            if let Some(slot) = self.slot(number) {
                slot.unsettled = false;
                return Some(number);
            }
        }
    }

    fn slot(&mut self, number: Number) -> Option<&mut Slot<T>> {
        self.slots.get_mut(number.index())?.as_deref_mut()
    }
}

impl Number {
    fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Instant {
        Instant::from_secs(n)
    }

    fn pid(n: i32) -> Pid {
        Pid::from_raw(n)
    }

    fn add(slots: &mut Slots<char>, name: char) -> Number {
        let number = slots.reserve();
        slots.insert(number, name);
        number
    }

    fn all(slots: &mut Slots<char>, now: u64) -> String {
        let mut said = String::new();
        while let Some(number) = slots.next(at(now)) {
            said.push(*slots.get(number).unwrap());
        }
        said
    }

    #[test]
    fn everybody_comes_once_when_touched_or_due() {
        let mut slots = Slots::new();
        let [a, b, c] = ['a', 'b', 'c'].map(|name| add(&mut slots, name));
        assert_eq!((slots.deadline(), all(&mut slots, 1), slots.deadline()), (Some(at(0)), "abc".into(), None));
        slots.rest(a, Some(at(9)));
        slots.rest(b, Some(at(5)));
        slots.rest(c, Some(at(7)));
        slots.rest(c, Some(at(5)));
        assert_eq!((slots.deadline(), all(&mut slots, 4)), (Some(at(5)), String::new()));
        slots.touch(c);
        slots.touch(c);
        assert_eq!((slots.deadline(), all(&mut slots, 4)), (Some(at(0)), "c".into()));
        slots.touch(b);
        assert_eq!((all(&mut slots, 5), slots.deadline()), ("bc".into(), Some(at(9))));
        slots.rest(a, None);
        assert_eq!(slots.deadline(), None);
    }

    #[test]
    fn who_is_gone_is_not_meant_any_more() {
        let mut slots = Slots::new();
        let [a, b] = ['a', 'b'].map(|name| add(&mut slots, name));
        slots.rest(a, Some(at(3)));
        slots.remove(a);
        assert!(!slots.is_empty() && slots.get(a).is_none());
        slots.touch(a);
        assert_eq!((all(&mut slots, 4), slots.deadline()), ("b".into(), None));
        assert_eq!(add(&mut slots, 'c').0, 2, "the old number is not free yet");
        slots.give_back(a);
        assert_eq!(add(&mut slots, 'd'), a);
        assert_eq!(all(&mut slots, 4), "cd");
        for number in [b, b, a, Number(2)] {
            assert!(!slots.is_empty());
            slots.remove(number);
        }
        assert!(slots.is_empty());
    }

    #[test]
    fn children_are_found_once() {
        let mut slots = Slots::new();
        let [a, b] = ['a', 'b'].map(|name| add(&mut slots, name));
        slots.parent_of(pid(7), a);
        slots.parent_of(pid(8), b);
        slots.parent_of(pid(8), b);
        assert_eq!([slots.orphan(pid(8)), slots.orphan(pid(8)), slots.orphan(pid(9))], [Some(b), None, None]);
        // The pid comes again with another service.
        slots.parent_of(pid(7), b);
        assert_eq!(slots.orphan(pid(7)), Some(b));
    }
}
