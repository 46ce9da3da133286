//! Where a service's log is. The running logger knows best: an argument of its that is a directory with a file `current` in it,
//! which is so for svlogd and for multilog and its descendants. Without one, where logs usually are.

use crate::sv::look;
use crate::sv::place::Place;
use std::ffi::CStr;
use std::os::unix::ffi::OsStringExt;
use sys::file::{CWD, exists, link_target, read_bounded};
use sys::msg::Dec;

/// Longest command line looked at.
const COMMAND_MAX: usize = 128 << 10;

/// The directory with `current`. `name` is the service as typed.
pub(super) fn directory(place: &mut Place, name: &[u8]) -> Option<Vec<u8>> {
    of_logger(place).or_else(|| usual(place, name))
}

fn of_logger(place: &mut Place) -> Option<Vec<u8>> {
    let pid = look::log_status(place)?.ok()?.pid;
    let process = [b"/proc/", Dec::new(pid.into()).as_bytes()].concat();
    let command = read_bounded(CWD, [&process[..], b"/cmdline"].concat().as_slice(), COMMAND_MAX).ok()?;
    // Only its owner may see where it is; it was started in log/.
    let at = link_target(CWD, [&process[..], b"/cwd"].concat().as_slice());
    let at = at.map_or_else(|_| within(place, c"log"), OsStringExt::into_vec);
    arguments(&command).map(|argument| join(&at, argument)).find(|dir| is_log(dir))
}

/// What may be a directory among the arguments of a command line as `/proc` has it.
fn arguments(command: &[u8]) -> impl Iterator<Item = &[u8]> {
    command.split(|&b| b == 0).skip(1).filter(|a| !a.is_empty() && !a.starts_with(b"-"))
}

fn usual(place: &mut Place, name: &[u8]) -> Option<Vec<u8>> {
    let mut places = vec![within(place, c"log/main"), within(place, c"log")];
    let plain = name.trim_ascii_end().split(|&b| b == b'/').rfind(|part| !part.is_empty());
    if let Some(plain) = plain.filter(|part| !part.starts_with(b".")) {
        places.push([b"/var/log/service/", plain].concat());
        places.push([b"/var/log/", plain].concat());
    }
    // Perhaps it is one itself.
    places.push(within(place, c"."));
    places.into_iter().find(|dir| is_log(dir))
}

fn within(place: &mut Place, name: &CStr) -> Vec<u8> {
    place.file(name).to_vec()
}

fn is_log(dir: &[u8]) -> bool {
    matches!(exists(CWD, join(dir, b"current").as_slice()), Ok(true))
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if name.starts_with(b"/") { name.to_vec() } else { [dir, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_words_and_not_options() {
        let words: Vec<_> = arguments(b"svlogd\0-tt\0-l\x005\0./main\0\0/var/log/x\0").collect();
        assert_eq!(words, [&b"5"[..], b"./main", b"/var/log/x"]);
        assert_eq!(arguments(b"").count(), 0);
    }

    #[test]
    fn joined_to_where_the_logger_is() {
        assert_eq!(join(b"/a", b"main"), b"/a/main");
        assert_eq!(join(b"/a", b"/b"), b"/b");
    }
}
