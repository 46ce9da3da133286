//! What an instance gives the children it starts: where they are, what they read and write, what they are told.

use super::Instance;
use crate::runsv::pair::{Input, Which};
use crate::runsv::place::{Prepared, now, prefix};
use crate::runsv::record;
use crate::runsv::service::{Refused, Start};
use crate::service;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use sys::file;
use sys::msg::{Dec, Level, say};
use sys::orphan::pipe_of;
use sys::spawn::Spawn;
use sys::{Errno, Pid};

impl Instance {
    pub(super) fn start(&mut self, which: Which, start: Start) -> Result<Pid, Refused> {
        match start {
            Start::Run => self.start_run(which),
            Start::Finish(status) => {
                // A finish that cannot be read does not count, whatever its execute bit says.
                if file::exists(self.main.dir(), service::FINISH) != Ok(true) {
                    return Err(Refused::Absent);
                }
                file::open_read(self.main.dir(), service::FINISH).map_err(|why| match no_room(why) {
                    true => self.refused(which, service::FINISH, why),
                    false => Refused::Absent,
                })?;
                let code = status.code().map_or(Arg::MINUS_ONE, |code| Arg::number(code.into()));
                let signal = Arg::number(status.low_byte().into());
                let args = [service::FINISH, code.as_c_str(), signal.as_c_str()];
                self.spawn(
                    which,
                    service::FINISH,
                    &args,
                    Extra { kind: Some(record::Kind::Finish), ..Extra::default() },
                )
            }
            Start::Script(script, pid) => {
                let path = script.path();
                match file::stat(self.main.dir(), path) {
                    Ok(s) if s.st_mode & 0o100 != 0 => {}
                    Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => return Err(Refused::Absent),
                    Err(e) => {
                        say(&self.program, Level::Warning, &[b"unable to stat ", path.to_bytes()], Some(e));
                        return Err(Refused::Broken);
                    }
                }
                let pid = Arg::number(u64::from(pid.as_raw().cast_unsigned()));
                self.spawn(which, path, &[path, pid.as_c_str()], Extra::default())
            }
        }
    }

    fn start_run(&mut self, which: Which) -> Result<Pid, Refused> {
        let Self { main, log, program, pair, more, .. } = self;
        let place = match (which, log) {
            (Which::Log, Some(log)) => log,
            (Which::Main | Which::Log, _) => main,
        };
        let Prepared { settings, notify, door } = match place.prepare(program) {
            Ok(prepared) => prepared,
            Err(why) => return Err(self.refused(which, service::RUN, why)),
        };
        *more |= notify.is_some();
        pair.handle(now(), Input::Policy(which, settings.policy));
        let notify = notify.as_ref().map(AsFd::as_fd).zip(settings.notify);
        let args = [service::RUN, self.log_name.as_deref().unwrap_or_default()];
        let named = which == Which::Log && self.log_name.is_some();
        self.spawn(
            which,
            service::RUN,
            if named { &args } else { &args[..1] },
            Extra {
                kind: Some(record::Kind::Run),
                notify,
                door: door.as_ref().map(AsFd::as_fd),
                group: settings.policy.group,
            },
        )
    }

    fn spawn(&self, which: Which, path: &CStr, args: &[&CStr], extra: Extra<'_>) -> Result<Pid, Refused> {
        let [main_pwd, log_pwd] = &self.pwd;
        let (place, pwd) = match (which, self.log.as_deref()) {
            (Which::Log, Some(log)) => (log, log_pwd),
            (Which::Main | Which::Log, _) => (&self.main, main_pwd),
        };
        let mut spawn = Spawn::new(path, args).dir_fd(place.home());
        let notify = extra.notify.and_then(|(fd, _)| pipe_of(fd)).unwrap_or(0);
        let birth = extra.kind.and_then(|kind| place.birth(kind, notify));
        if let Some((file, line)) = &birth {
            spawn = spawn.birth(file.as_fd(), line);
        }
        if let Some(pwd) = pwd {
            spawn = spawn.var(pwd);
        }
        if self.session {
            spawn = spawn.session();
        }
        if let Some((reader, writer)) = &self.pipe {
            spawn = match which {
                Which::Main => spawn.stdout(writer.as_fd()),
                Which::Log => spawn.stdin(reader.as_fd()),
            };
        }
        if let Some((fd, number)) = extra.notify {
            spawn = spawn.also(fd, number);
        }
        if let Some(door) = extra.door {
            spawn = spawn.cgroup(door);
        }
        if extra.group {
            spawn = spawn.group();
        }
        spawn.start().map_err(|why| self.refused(which, path, why))
    }

    fn refused(&self, which: Which, path: &CStr, why: Errno) -> Refused {
        if no_room(why) {
            say(&self.program, Level::Warning, &[b"unable to fork, sleeping"], Some(why));
            Refused::NoRoom
        } else {
            let what = [b"unable to start ", prefix(which), path.to_bytes()];
            say(&self.program, Level::Fatal, &what, Some(why));
            Refused::Broken
        }
    }
}

/// Whether it is the system that has no room at the moment.
const fn no_room(why: Errno) -> bool {
    matches!(why, Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE)
}

/// What only some children get.
#[derive(Clone, Copy, Default)]
struct Extra<'a> {
    /// It says who it is.
    kind: Option<record::Kind>,
    /// The descriptor to notify on, and its number.
    notify: Option<(BorrowedFd<'a>, i32)>,
    /// The way into its cgroup.
    door: Option<BorrowedFd<'a>>,
    /// A process group of its own.
    group: bool,
}

/// A number as an argument of a child, without allocation.
struct Arg {
    text: [u8; 12],
}

impl Arg {
    const MINUS_ONE: Self = Self { text: *b"-1\0\0\0\0\0\0\0\0\0\0" };

    fn number(n: u64) -> Self {
        let mut text = [0; 12];
        let digits = Dec::new(n);
        // The last byte stays 0: pids and exit codes have ten digits at most.
        for (slot, digit) in text[..11].iter_mut().zip(digits.as_bytes()) {
            *slot = *digit;
        }
        Self { text }
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.text).unwrap_or_default()
    }
}
