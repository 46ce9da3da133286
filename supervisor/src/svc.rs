//! `svc -udopchaitkx12q DIR ...`: daemontools' way to control services (spec runit §6).
//!
//! The letters are sent in the order given, each once, in one write, as daemontools does; busybox sends them in an order of its
//! own. Like busybox, a bare name is looked for in the services directory, what is wrong is told as `sv` tells it, and the
//! exit code is 1 then.

use crate::sv::{Place, Report, Whose, alive, send, svdir};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use sys::msg;
use sys::opt::{Opt, Options};

/// The letters of `supervise/control`.
const LETTERS: &str = "udopchaitkx12q";
const USAGE: u8 = 100;
const FAILED: u8 = 1;

/// The program. `args[0]` is the name it was called by.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let Some(order) = parse(args.get(1..).unwrap_or_default()) else { return USAGE };
    let svdir = svdir();
    let mut report = Report::default();
    let mut code = 0;
    for name in order.services {
        let mut place = Place::of(name.as_bytes(), &svdir);
        if let Err(trouble) = alive(&mut place).and_then(|_| send(&mut place, &order.bytes)) {
            report.trouble(name.as_bytes(), Whose::Service, trouble);
            report.put(b"\n");
            code = FAILED;
        }
    }
    report.flush();
    code
}

#[derive(Debug, PartialEq, Eq)]
struct Order<'a> {
    bytes: Vec<u8>,
    services: &'a [OsString],
}

/// Reads the command line; none after having said what is wrong with it.
fn parse(args: &[OsString]) -> Option<Order<'_>> {
    let mut bytes = Vec::new();
    let mut options = Options::new(args, LETTERS);
    for option in options.by_ref() {
        match option {
            Opt::Flag(c) if bytes.contains(&c) => {}
            Opt::Flag(c) => bytes.push(c),
            Opt::Unknown(c) | Opt::Missing(c) | Opt::Value(c, _) => {
                msg::eprint(&[b"svc: illegal option -- ", &[c], b"\n"]);
                bytes.clear();
                break;
            }
        }
    }
    let services = options.rest();
    if bytes.is_empty() || services.is_empty() {
        msg::eprint(&[b"usage: svc -", LETTERS.as_bytes(), b" dir ...\n\n"]);
        return None;
    }
    Some(Order { bytes, services })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str) -> Option<(String, usize)> {
        let args: Vec<OsString> = args.split(' ').filter(|w| !w.is_empty()).map(OsString::from).collect();
        parse(&args).map(|o| (String::from_utf8(o.bytes).unwrap(), o.services.len()))
    }

    #[test]
    fn letters_in_order_each_once() {
        assert_eq!(read("-tu a"), Some(("tu".into(), 1)));
        assert_eq!(read("-u -t -u -q1 a b"), Some(("utq1".into(), 2)));
        assert_eq!(read("-- a"), None);
        assert_eq!(read("a -u"), None);
        assert_eq!(read("-u"), None);
        assert_eq!(read("-uz a"), None);
        assert_eq!(read(""), None);
    }
}
