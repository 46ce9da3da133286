#![expect(clippy::disallowed_methods, reason = "driver: owns supervise/child")]
//! `supervise/child`: who runs, so that the next runsv finds it should this one be killed.
//!
//! One line of fixed length, written over in place. A child writes it itself, right before its exec: there is no moment in
//! which it runs and the record does not say so. (Until its exec it shares the lock, so nobody reads the record before it is
//! complete.)
//!
//! | digits | meaning |
//! |---|---|
//! | 10 | pid; 0 if nothing runs |
//! | 20, 20 | latest and earliest possible start of it, nanoseconds since boot (CLOCK_BOOTTIME) |
//! | 20 | start of pid 1, in ticks: a container that is started again has the boot's name |
//! | 20 | inode of the log pipe, 0 without one |
//! | 20 | inode of the pipe to notify on, 0 without one |
//! | 20 | inode of this file: the copy of a directory says nothing |
//! | 36 | name of the boot |
//! | 6 | `run`, `finish`, or `none` |
//!
//! The line stays until something else is true: `none` when nothing runs and none of the dead has an open end. A file of
//! another boot, or an empty one, says nothing; the one who ends in order leaves it empty.

use super::pair::Which;
use super::place::prefix;
use crate::service;
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use sys::Pid;
use sys::clock::{self, Instant};
use sys::file;
use sys::msg::{Level, say};
use sys::orphan::{BOOT_ID_LEN, this_boot};
use sys::spawn::{BIRTH, BIRTH_MAX};

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `run`
    Run,
    /// `finish`
    Finish,
    /// Nothing.
    None,
}

/// What the file says, of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) pid: Pid,
    /// It started between these two.
    pub(crate) born: (Instant, Instant),
    /// The log pipe's inode.
    pub(crate) pipe: u64,
    /// Inode of the pipe it notifies on.
    pub(crate) notify: u64,
}

/// The boot, and the start of pid 1.
type Life = ([u8; BOOT_ID_LEN], u64);

/// Length of the line.
pub(crate) const LEN: usize = BIRTH.len() + 5 * 21 + BOOT_ID_LEN + 1 + KIND_LEN + 1;
const _: () = assert!(LEN <= BIRTH_MAX);

/// Length of a kind's word, filled up with blanks.
const KIND_LEN: usize = 6;

/// See the module.
#[derive(Debug)]
pub(crate) struct Record {
    /// Otherwise, after a kill nobody is adopted.
    kept: bool,
    /// Of the file itself.
    inode: u64,
    pipe: u64,
    says: Cell<Says>,
}

/// What this supervisor knows the file to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// A child, or something that was found there.
    Something,
    /// [`Kind::None`]
    Nobody,
    /// Nothing at all.
    Empty,
}

impl Record {
    /// Opens it and reads what is there. The lock must be held.
    pub(crate) fn open(dir: BorrowedFd<'_>, which: Which, program: &[u8]) -> (Self, Option<Entry>) {
        let file = life().and_then(|_| match file::open_update(dir, service::CHILD, 0o600) {
            Ok(file) => Some(file),
            Err(why) => {
                say(
                    program,
                    Level::Warning,
                    &[b"unable to open ", prefix(which), service::CHILD.to_bytes()],
                    Some(why),
                );
                None
            }
        });
        let mut buf = [0; LEN + 1];
        let inode = file::stat(dir, service::CHILD).map_or(0, |s| s.st_ino);
        let found = life().zip(file.as_ref()).and_then(|(life, file)| {
            let n = file::read_some(file.as_fd(), &mut buf).ok()?;
            parse(buf.get(..n)?, inode, life)
        });
        (Self { kept: file.is_some(), inode, pipe: 0, says: Cell::new(Says::Something) }, found)
    }

    /// The log pipe has this inode from now on.
    pub(crate) const fn pipe(&mut self, inode: u64) {
        self.pipe = inode;
    }

    /// Where and what the next child is to write; `notify` is the inode of its pipe to notify on.
    pub(crate) fn birth(&self, dir: BorrowedFd<'_>, kind: Kind, notify: u64) -> Option<(OwnedFd, [u8; LEN])> {
        self.says.set(Says::Something);
        Some((self.file(dir)?, line(kind, [self.pipe, notify, self.inode], life()?)))
    }

    /// Nothing runs, and if `over` nothing is to run any more.
    pub(crate) fn down(&self, dir: BorrowedFd<'_>, over: bool) {
        if over {
            self.clear(dir);
        } else {
            self.nobody(dir);
        }
    }

    /// It is not held open: a process may have thousands of services.
    fn file(&self, dir: BorrowedFd<'_>) -> Option<OwnedFd> {
        if self.kept { file::open_update(dir, service::CHILD, 0o600).ok() } else { None }
    }

    fn nobody(&self, dir: BorrowedFd<'_>) {
        if self.says.get() != Says::Nobody
            && let (Some(file), Some(life)) = (self.file(dir), life())
        {
            // The disk has the place already, and what cannot be helped makes no difference unless runsv is killed.
            let _ = file::write_at_start(file.as_fd(), &line(Kind::None, [self.pipe, 0, self.inode], life));
            self.says.set(Says::Nobody);
        }
    }

    fn clear(&self, dir: BorrowedFd<'_>) {
        if self.says.get() != Says::Empty
            && let Some(file) = self.file(dir)
        {
            let _ = file::truncate(file.as_fd());
            self.says.set(Says::Empty);
        }
    }
}

/// This life of this machine; none without `/proc`.
fn life() -> Option<&'static Life> {
    static LIFE: OnceLock<Option<Life>> = OnceLock::new();
    LIFE.get_or_init(this_boot).as_ref()
}

/// `inodes`: of the log pipe, of the pipe to notify on, of the file.
fn line(kind: Kind, inodes: [u64; 3], (boot, init): &Life) -> [u8; LEN] {
    let mut line = [b' '; LEN];
    let mut rest = line.as_mut_slice();
    let mut put = |bytes: &[u8], width| {
        let (field, after) = core::mem::take(&mut rest).split_at_mut(width);
        field.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        rest = after;
    };
    put(BIRTH, BIRTH.len());
    for number in [clock::boottime().as_nanos(), *init].into_iter().chain(inodes) {
        put(&digits(number), DIGITS + 1);
    }
    put(boot, BOOT_ID_LEN + 1);
    put(word(kind), KIND_LEN);
    put(b"\n", 1);
    line
}

const fn word(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Run => b"run",
        Kind::Finish => b"finish",
        Kind::None => b"none",
    }
}

/// Every 64-bit number fits.
const DIGITS: usize = 20;

fn digits(mut n: u64) -> [u8; DIGITS] {
    let mut out = [b'0'; DIGITS];
    for digit in out.iter_mut().rev() {
        *digit += (n % 10) as u8;
        n /= 10;
    }
    out
}

/// None if it is not of this life, or was written into a file of another inode.
fn parse(line: &[u8], inode: u64, (boot, init): &Life) -> Option<Entry> {
    if line.len() != LEN || line.last() != Some(&b'\n') {
        return None;
    }
    let mut words = line.trim_ascii().split(|&b| b == b' ');
    let mut number = || -> Option<u64> { core::str::from_utf8(words.next()?).ok()?.parse().ok() };
    let (pid, latest, earliest, its_init) = (number()?, number()?, number()?, number()?);
    let (pipe, notify, its_file) = (number()?, number()?, number()?);
    if its_file != inode || its_init != *init || words.next() != Some(boot) {
        return None;
    }
    let (kind, None) = (words.next()?, words.next()) else { return None };
    let kind = [Kind::Run, Kind::Finish, Kind::None].into_iter().find(|k| word(*k) == kind)?;
    let born = (Instant::from_nanos(earliest), Instant::from_nanos(latest));
    Some(Entry { kind, pid: Pid::from_raw(i32::try_from(pid).ok()?), born, pipe, notify })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Life = (*b"01234567-89ab-cdef-0123-456789abcdef", 77);

    fn found(line: &[u8]) -> Option<Entry> {
        parse(line, 5, &LIFE)
    }

    #[test]
    fn what_is_written_is_read() {
        for kind in [Kind::Run, Kind::Finish, Kind::None] {
            for pipe in [0, 4711, u64::MAX] {
                let mut text = line(kind, [pipe, 9, 5], &LIFE);
                text[..BIRTH.len()].copy_from_slice(b"0000000815 99999999999999999999 ".as_slice());
                assert_eq!(found(&text), None, "no such time");
                text[..BIRTH.len()].copy_from_slice(b"0000000815 00000000000000000012 ".as_slice());
                let entry = found(&text).unwrap();
                assert_eq!((entry.kind, entry.pid, entry.pipe, entry.notify), (kind, Pid::from_raw(815), pipe, 9));
                assert_eq!(entry.born.1, Instant::from_nanos(12));
                assert!(entry.born.0 > Instant::ZERO && entry.born.0 <= clock::boottime());
            }
        }
    }

    #[test]
    fn other_lives_and_other_lines_say_nothing() {
        let text = line(Kind::Run, [1, 0, 5], &LIFE);
        assert!(found(&text).is_some());
        assert_eq!(parse(&text, 6, &LIFE), None, "a copy");
        assert_eq!(parse(&text, 5, &(LIFE.0, 78)), None);
        assert_eq!(parse(&text, 5, &(*b"01234567-89ab-cdef-0123-456789abcdeg", 77)), None);
        assert_eq!(found(b""), None);
        assert_eq!(found(&text[..LEN - 1]), None);
        assert_eq!(found(&[text.as_slice(), b"\n"].concat()), None);
        for at in [0, 5, 40, 60, 80, LEN - 3] {
            let mut bad = text;
            bad[at] = b'x';
            assert_eq!(found(&bad), None, "{at}");
        }
        let mut huge = text;
        huge[..10].copy_from_slice(b"9999999999");
        assert_eq!(found(&huge), None);
    }
}
