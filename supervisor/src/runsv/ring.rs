//! A queue of fixed size: a supervisor's steady state allocates nothing.

/// First in, first out, at most `N`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<T, const N: usize> {
    slots: [Option<T>; N],
}

impl<T: Copy + PartialEq, const N: usize> Ring<T, N> {
    pub(crate) const fn new() -> Self {
        Self { slots: [None; N] }
    }

    /// Appends `item`; an equal one that waits already is taken out first, so a queue with a slot for every different item
    /// is never full.
    pub(crate) fn push(&mut self, item: T) {
        let mut kept = [None; N];
        let mut len = 0;
        for old in self.slots.into_iter().flatten().filter(|&old| old != item) {
            kept[len] = Some(old);
            len += 1;
        }
        if let Some(slot) = kept.get_mut(len) {
            *slot = Some(item);
        }
        self.slots = kept;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = self.slots.first_mut()?.take();
        self.slots.rotate_left(1);
        first
    }

    pub(crate) fn clear(&mut self) {
        self.slots = [None; N];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_of_the_last_mention() {
        let mut r = Ring::<u8, 3>::new();
        for item in [1, 2, 1, 3, 2, 2] {
            r.push(item);
        }
        assert_eq!([r.pop(), r.pop(), r.pop(), r.pop()], [Some(1), Some(3), Some(2), None]);
        r.push(5);
        assert_eq!((r.pop(), r.pop()), (Some(5), None));
    }
}
