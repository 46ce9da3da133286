//! The list for programs: one JSON array, one object a line. The fields are documented in docs/supervision.md; all of them are
//! always there, `null` where nothing is known.
//!
//! Written by hand: it is little, and a general writer is larger than all of `sv`. A name that is no UTF-8 has U+FFFD in place
//! of what is wrong, and a field `name_hex` with its bytes.

use super::{Entry, Facts, problem, signal, state};
use crate::history::Exit;
use crate::status::Want;
use crate::sv::report::{Normally, Trouble};
use sys::clock::Wall;
use sys::msg::Dec;

/// The array and a line end.
pub(super) fn text(entries: &[Entry], now: Wall) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for (i, entry) in entries.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"\n" } else { b",\n" });
        object(&mut out, entry, now);
    }
    out.extend_from_slice(b"\n]\n");
    out
}

fn object(out: &mut Vec<u8>, entry: &Entry, now: Wall) {
    out.extend_from_slice(b"{\"name\":");
    string(out, &entry.name);
    if core::str::from_utf8(&entry.name).is_err() {
        out.extend_from_slice(b",\"name_hex\":\"");
        entry.name.iter().for_each(|b| hex(out, *b));
        out.push(b'"');
    }
    facts(out, &entry.service, now);
    key(out, b"log");
    match &entry.log {
        None => null(out),
        Some(log) => {
            out.push(b'{');
            facts(out, log, now);
            out.push(b'}');
        }
    }
    out.push(b'}');
}

/// Everything that a service and its log service have alike.
fn facts(out: &mut Vec<u8>, found: &Result<Facts, Trouble>, now: Wall) {
    key(out, b"problem");
    match found {
        Ok(_) => null(out),
        Err(trouble) => string(out, &problem(*trouble)),
    }
    let found = found.as_ref().ok();
    let status = found.map(|f| f.status);
    word(out, b"state", status.map(|s| state(s.state)));
    number(out, b"pid", status.map(|s| s.pid.into()).filter(|&pid| pid != 0));
    number(out, b"since", status.map(|s| u64::try_from(Wall::from(s.since).secs).unwrap_or(0)));
    if let Some(s) = status {
        let digits = Dec::new(1_000_000_000 + u64::from(s.since.nanos % 1_000_000_000));
        out.push(b'.');
        out.extend_from_slice(&digits.as_bytes()[1..]);
    }
    number(out, b"uptime", found.map(|f| f.age(now)));
    boolean(out, b"paused", status.map(|s| s.paused));
    boolean(out, b"got_term", status.map(|s| s.got_term));
    let want = status.and_then(|s| match s.want {
        Want::Up => Some(&b"up"[..]),
        Want::Down | Want::Exit => Some(b"down"),
        Want::Once => None,
    });
    word(out, b"want", want);
    let normally = found.and_then(|f| match f.normally {
        Normally::Up => Some(&b"up"[..]),
        Normally::Down => Some(b"down"),
        Normally::Unknown => None,
    });
    word(out, b"normally", normally);
    boolean(out, b"ready", found.and_then(Facts::ready));
    number(out, b"restarts", found.and_then(Facts::restarts));
    key(out, b"exit");
    match found.and_then(Facts::exit) {
        None => null(out),
        Some(e) => exit(out, e),
    }
}

fn exit(out: &mut Vec<u8>, exit: Exit) {
    out.push(b'{');
    number(out, b"code", exit.code.map(u64::from));
    let killed = exit.code.is_none().then(|| signal(exit));
    key(out, b"signal");
    match killed {
        None => null(out),
        Some((_, Some(name), _)) => string(out, name.as_bytes()),
        Some((number, None, _)) => string(out, Dec::new(number.into()).as_bytes()),
    }
    boolean(out, b"core", Some(killed.is_some_and(|(_, _, core)| core)));
    out.push(b'}');
}

fn key(out: &mut Vec<u8>, name: &[u8]) {
    if !out.ends_with(b"{") {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn word(out: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
    key(out, name);
    match value {
        None => null(out),
        Some(text) => string(out, text),
    }
}

fn number(out: &mut Vec<u8>, name: &[u8], value: Option<u64>) {
    key(out, name);
    match value {
        None => null(out),
        Some(n) => out.extend_from_slice(Dec::new(n).as_bytes()),
    }
}

fn boolean(out: &mut Vec<u8>, name: &[u8], value: Option<bool>) {
    key(out, name);
    out.extend_from_slice(match value {
        None => b"null",
        Some(true) => b"true",
        Some(false) => b"false",
    });
}

/// Quoted and escaped (RFC 8259 §7); DEL is escaped too, so that no control character reaches a terminal.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for &b in chunk.valid().as_bytes() {
            match b {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
                0..0x20 | 0x7f => {
                    out.extend_from_slice(b"\\u00");
                    hex(out, b);
                }
                _ => out.push(b),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend([byte >> 4, byte & 15].map(|d| DIGITS[usize::from(d)]));
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{NOW, all};
    use super::*;

    #[test]
    fn objects() {
        let text = String::from_utf8(text(&all(), NOW)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines[0], lines[6], lines.len()), ("[", "]", 7));
        let nothing = r#""want":null,"normally":null,"ready":null,"restarts":null,"exit":null"#;
        assert_eq!(
            lines[1],
            concat!(
                r#"{"name":"crash","problem":null,"state":"down","pid":null,"since":999997.250000000,"uptime":3,"#,
                r#""paused":false,"got_term":false,"want":"up","normally":"up","ready":null,"restarts":6,"#,
                r#""exit":{"code":1,"signal":null,"core":false},"log":null},"#
            )
        );
        let log = [
            r#""log":{"problem":"runsv not running","state":null,"pid":null,"since":null,"uptime":null,"#,
            r#""paused":null,"got_term":null,"#,
            nothing,
            "}},",
        ];
        assert!(lines[2].ends_with(&log.concat()), "{}", lines[2]);
        assert!(lines[3].contains(r#""ready":true,"restarts":2,"exit":{"code":null,"signal":"KILL","core":false},"#));
        assert!(lines[3].contains(r#""log":{"problem":null,"state":"run","pid":8,"#), "{}", lines[3]);
        let odd = "{\"name\":\"odd\\u001b\\\"\u{fffd}\",\"name_hex\":\"6f64641b22ff\",\
                   \"problem\":\"unable to open supervise/ok: file does not exist\",\"state\":null,";
        assert!(lines[4].starts_with(odd), "{}", lines[4]);
        assert!(lines[5].contains(r#""ready":false,"restarts":0,"exit":null,"log":null}"#), "{}", lines[5]);
        assert_eq!(super::text(&[], NOW), b"[\n]\n");
    }

    #[test]
    fn strings() {
        let mut out = Vec::new();
        string(&mut out, b"a\\\n\x7f\xf0\x9f\x90\xa7\xf0\x9f");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\\\\u000a\\u007f\u{1f427}\u{fffd}\"");
    }

    #[test]
    fn core_and_real_time_signals() {
        let shown = |status| {
            let mut out = Vec::new();
            exit(&mut out, Exit { code: None, status });
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(139), r#"{"code":null,"signal":"SEGV","core":true}"#);
        assert_eq!(shown(40), r#"{"code":null,"signal":"40","core":false}"#);
    }
}
