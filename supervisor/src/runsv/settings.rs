//! The optional files of a service directory, read before each start of `run`. None of them is usually there.

use super::pair::Which;
use super::place::prefix;
use super::policy::{self, Policy};
use crate::service;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use sys::Errno;
use sys::file;
use sys::msg::{Level, say};

/// What the files say.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The machine's part.
    pub(crate) policy: Policy,
    /// The number of the descriptor `run` notifies on.
    pub(crate) notify: Option<i32>,
}

/// Files whose fault was told and has not gone away.
#[derive(Debug, Default)]
pub(crate) struct Told {
    throttle: bool,
    timeout: bool,
    notify: bool,
    group: bool,
}

/// The longest line that makes sense is much shorter.
const LEN_MAX: usize = 64;

/// Where the files are, and whose words are used about them.
pub(crate) struct Reader<'a> {
    pub(crate) dir: BorrowedFd<'a>,
    pub(crate) which: Which,
    pub(crate) program: &'a [u8],
}

impl Reader<'_> {
    /// A file that is bad is a warning, told once until it is good again, and counts as absent. The error is for when the
    /// system has no room even to look.
    pub(crate) fn read(&self, told: &mut Told) -> Result<Settings, Errno> {
        let mut policy = Policy::default();
        let expected = b"expected one line: MIN [MAX], seconds above 0";
        if let Some((min, max)) = self.file(service::THROTTLE, policy::throttle, expected, &mut told.throttle)? {
            (policy.delay_min, policy.delay_max) = (min, max);
        }
        let expected = b"expected one line: seconds above 0";
        policy.stop_limit = self.file(service::TIMEOUT_STOP, policy::timeout, expected, &mut told.timeout)?;
        let expected = b"expected one line: a number from 3 to 1023";
        let notify = self.file(service::NOTIFICATION_FD, policy::descriptor, expected, &mut told.notify)?;
        policy.notifies = notify.is_some();
        policy.group = self.there(service::KILL_GROUP, &mut told.group)?;
        told.group &= !policy.group;
        Ok(Settings { policy, notify })
    }

    fn file<T>(
        &self,
        name: &CStr,
        parse: impl FnOnce(&[u8]) -> Option<T>,
        expected: &[u8],
        told: &mut bool,
    ) -> Result<Option<T>, Errno> {
        // First without a descriptor: a system that has none left still starts the services that need none.
        if !self.there(name, told)? {
            return Ok(None);
        }
        let mut buf = [0; LEN_MAX];
        let content = match file::read_into(self.dir, name, &mut buf) {
            Ok(content) => content,
            Err(why) => return self.unreadable(name, why, told).map(|()| None),
        };
        // A file that fills the buffer is cut.
        let value = if content.len() < LEN_MAX { parse(content) } else { None };
        if value.is_none() && !*told {
            say(self.program, Level::Warning, &[prefix(self.which), name.to_bytes(), b":1: ", expected], None);
        }
        *told = value.is_none();
        Ok(value)
    }

    fn there(&self, name: &CStr, told: &mut bool) -> Result<bool, Errno> {
        match file::exists(self.dir, name) {
            Ok(there) => {
                *told &= there;
                Ok(there)
            }
            Err(why) => self.unreadable(name, why, told).map(|()| false),
        }
    }

    fn unreadable(&self, name: &CStr, why: Errno, told: &mut bool) -> Result<(), Errno> {
        if matches!(why, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) {
            return Err(why);
        }
        let absent = why == Errno::ENOENT;
        if !absent && !*told {
            let what = [b"unable to read ", prefix(self.which), name.to_bytes()];
            say(self.program, Level::Warning, &what, Some(why));
        }
        *told = !absent;
        Ok(())
    }
}
