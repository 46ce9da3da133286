//! The words runit does not know: `list`, `wait`, `log`, `enable` and `disable`. They must match exactly. runit refuses the first
//! three; the last two it takes for `exit` and `down`, which any other spelling still means here. As an init script `sv` keeps to
//! runit's words.

use super::command::{Action, Format, Goal, Late, Logging, Order, Template, Waits};
use super::invocation::{Refused, leading_number};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use sys::opt::{Opt, Options};

const LIST_USAGE: &[u8] = b"sv list [--json] [directory|service ...]";
const WAIT_USAGE: &[u8] = b"sv [-w sec] wait up|down|ready service ...";
const LOG_USAGE: &[u8] = b"sv log [-pr] [-n lines] service";
const ENABLE_USAGE: &[u8] = b"sv [-v] [-w sec] enable [-t template] service ...";
const DISABLE_USAGE: &[u8] = b"sv [-w sec] disable service ...";

/// Lines shown before following, when `-n` does not say otherwise: as `tail` does.
const LINES: u64 = 10;

/// What `word` and the arguments after it ask for, and the services it is about; none if it is runit's word or nobody's.
pub(crate) fn parse<'a>(word: &[u8], rest: &'a [OsString]) -> Option<Result<(Action, &'a [OsString]), Refused>> {
    match word {
        b"list" => Some(list(rest).ok_or(Refused::Extra(LIST_USAGE))),
        b"wait" => Some(wait(rest).ok_or(Refused::Extra(WAIT_USAGE))),
        b"log" => Some(log(rest).ok_or(Refused::Extra(LOG_USAGE))),
        b"enable" => Some(enable(rest).ok_or(Refused::Extra(ENABLE_USAGE))),
        b"disable" => Some(disable(rest).ok_or(Refused::Extra(DISABLE_USAGE))),
        _ => None,
    }
}

fn list(rest: &[OsString]) -> Option<(Action, &[OsString])> {
    match rest.split_first() {
        Some((first, services)) if first == "--json" => Some((Action::List(Format::Json), services)),
        Some((first, _)) if first.as_bytes().starts_with(b"-") => None,
        Some(_) | None => Some((Action::List(Format::Table), rest)),
    }
}

fn wait(rest: &[OsString]) -> Option<(Action, &[OsString])> {
    let (state, services) = rest.split_first()?;
    let until: &[Goal] = match state.as_bytes() {
        b"up" => &[Goal::Running],
        b"down" => &[Goal::Down],
        b"ready" => &[Goal::Ready],
        _ => return None,
    };
    let order = Order { send: b"", until, waits: Waits::Always, late: Late::Timeout };
    (!services.is_empty()).then_some((Action::Send(order), services))
}

fn log(rest: &[OsString]) -> Option<(Action, &[OsString])> {
    let mut logging = Logging { page: false, raw: false, lines: LINES };
    let mut options = Options::new(rest, "prn:");
    for option in options.by_ref() {
        match option {
            Opt::Flag(b'p') => logging.page = true,
            Opt::Flag(_) => logging.raw = true,
            Opt::Value(_, lines) => logging.lines = leading_number(lines),
            Opt::Unknown(_) | Opt::Missing(_) => return None,
        }
    }
    let services = options.rest();
    (services.len() == 1).then_some((Action::Log(logging), services))
}

fn enable(rest: &[OsString]) -> Option<(Action, &[OsString])> {
    match rest {
        [option, with_template @ ..] if option == "-t" => {
            (with_template.len() >= 2).then_some((Action::Enable(Template::First), with_template))
        }
        _ => plain(rest).map(|services| (Action::Enable(Template::ByName), services)),
    }
}

fn disable(rest: &[OsString]) -> Option<(Action, &[OsString])> {
    plain(rest).map(|services| (Action::Disable, services))
}

/// At least one service, and no options.
fn plain(rest: &[OsString]) -> Option<&[OsString]> {
    rest.first().filter(|first| !first.as_bytes().starts_with(b"-")).map(|_| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(args: &str) -> Vec<OsString> {
        args.split(' ').filter(|w| !w.is_empty()).map(OsString::from).collect()
    }

    fn read(args: &str) -> Option<Result<(Action, usize), Refused>> {
        let args = words(args);
        parse(args[0].as_bytes(), &args[1..]).map(|r| r.map(|(action, services)| (action, services.len())))
    }

    #[test]
    fn only_whole_words() {
        for word in
            ["l", "lis", "lists", "lo", "logs", "w", "waits", "status", "List", "enabl", "enabled", "disabl", "d"]
        {
            assert_eq!(read(word), None, "{word}");
        }
    }

    #[test]
    fn list() {
        assert_eq!(read("list"), Some(Ok((Action::List(Format::Table), 0))));
        assert_eq!(read("list a b"), Some(Ok((Action::List(Format::Table), 2))));
        assert_eq!(read("list --json a"), Some(Ok((Action::List(Format::Json), 1))));
        assert_eq!(read("list --jso"), Some(Err(Refused::Extra(LIST_USAGE))));
    }

    #[test]
    fn wait() {
        for (word, goal) in [("up", Goal::Running), ("down", Goal::Down), ("ready", Goal::Ready)] {
            match read(&format!("wait {word} a b")) {
                Some(Ok((Action::Send(order), 2))) => assert_eq!((order.send, order.until), (&b""[..], &[goal][..])),
                other => panic!("{word}: {other:?}"),
            }
        }
        for wrong in ["wait", "wait up", "wait u a", "wait a"] {
            assert_eq!(read(wrong), Some(Err(Refused::Extra(WAIT_USAGE))), "{wrong}");
        }
    }

    #[test]
    fn log() {
        let follow = Logging { page: false, raw: false, lines: 10 };
        assert_eq!(read("log a"), Some(Ok((Action::Log(follow), 1))));
        assert_eq!(read("log -rn3 a"), Some(Ok((Action::Log(Logging { raw: true, lines: 3, ..follow }), 1))));
        assert_eq!(read("log -p -- -a"), Some(Ok((Action::Log(Logging { page: true, ..follow }), 1))));
        for wrong in ["log", "log a b", "log -x a", "log -n", "log -p"] {
            assert_eq!(read(wrong), Some(Err(Refused::Extra(LOG_USAGE))), "{wrong}");
        }
    }

    #[test]
    fn enable_and_disable() {
        assert_eq!(read("enable a b"), Some(Ok((Action::Enable(Template::ByName), 2))));
        assert_eq!(read("enable -t dhcp_if a b"), Some(Ok((Action::Enable(Template::First), 3))));
        assert_eq!(read("disable a b"), Some(Ok((Action::Disable, 2))));
        for wrong in ["enable", "enable -t", "enable -t dhcp_if", "enable -x a"] {
            assert_eq!(read(wrong), Some(Err(Refused::Extra(ENABLE_USAGE))), "{wrong}");
        }
        for wrong in ["disable", "disable -t a b"] {
            assert_eq!(read(wrong), Some(Err(Refused::Extra(DISABLE_USAGE))), "{wrong}");
        }
    }
}
