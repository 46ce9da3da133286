//! The list for people: a line a service, columns aligned, the state coloured where that is wanted. Control characters of a name
//! are shown as `?`.

use super::{Entry, Facts, problem, signal, state};
use crate::history::{Exit, Readiness};
use crate::status::{State, Want};
use crate::sv::report::{Trouble, flags};
use sys::clock::Wall;
use sys::msg::Dec;

/// Whether the state has a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    On,
    Off,
}

const COLUMNS: usize = 8;
const HEAD: [&[u8]; COLUMNS] = [b"NAME", b"STATE", b"PID", b"UPTIME", b"READY", b"RESTARTS", b"EXIT", b"LOG"];
/// Numbers stand at the right.
const RIGHT: [bool; COLUMNS] = [false, false, true, true, false, true, false, false];
const STATE: usize = 1;
/// Where nothing is known.
const NONE: &[u8] = b"-";

/// SGR sequences (ECMA-48): green as it should be, yellow on its way, red not as it should be.
const GREEN: &[u8] = b"\x1b[32m";
const YELLOW: &[u8] = b"\x1b[33m";
const RED: &[u8] = b"\x1b[31m";
const PLAIN: &[u8] = b"\x1b[0m";

type Row = [Vec<u8>; COLUMNS];

/// A line for the columns' names and one for each service.
pub(super) fn text(entries: &[Entry], now: Wall, colour: Colour) -> Vec<u8> {
    let rows: Vec<Row> = entries.iter().map(|e| row(e, now)).collect();
    let mut widths = HEAD.map(<[u8]>::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns(cell));
        }
    }
    let mut out = Vec::new();
    line(&mut out, HEAD, widths, b"");
    for (row, entry) in rows.iter().zip(entries) {
        let paint = match colour {
            Colour::On => paint(&entry.service),
            Colour::Off => b"",
        };
        line(&mut out, core::array::from_fn(|i| row[i].as_slice()), widths, paint);
    }
    out
}

fn line(out: &mut Vec<u8>, cells: [&[u8]; COLUMNS], widths: [usize; COLUMNS], paint: &[u8]) {
    for (i, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
        let gap = width - columns(cell);
        if RIGHT[i] {
            out.resize(out.len() + gap, b' ');
        }
        if i == STATE && !paint.is_empty() {
            out.extend_from_slice(paint);
            out.extend_from_slice(cell);
            out.extend_from_slice(PLAIN);
        } else {
            out.extend_from_slice(cell);
        }
        if i + 1 < COLUMNS {
            out.resize(out.len() + if RIGHT[i] { 2 } else { gap + 2 }, b' ');
        }
    }
    out.push(b'\n');
}

fn row(entry: &Entry, now: Wall) -> Row {
    let name = entry.name.iter().map(|&b| if b.is_ascii_control() { b'?' } else { b }).collect();
    let log = match &entry.log {
        None => NONE.to_vec(),
        Some(log) => with_flags(log),
    };
    let cell = |value: Option<u64>| value.map_or_else(|| NONE.to_vec(), |n| Dec::new(n).as_bytes().to_vec());
    let found = entry.service.as_ref().ok();
    [
        name,
        with_flags(&entry.service),
        cell(found.map(|f| f.status.pid.into()).filter(|&pid| pid != 0)),
        found.map_or_else(|| NONE.to_vec(), |f| span(f.age(now))),
        found.and_then(Facts::ready).map_or(NONE, |ready| if ready { b"yes" } else { b"no" }).to_vec(),
        cell(found.and_then(Facts::restarts)),
        found.and_then(Facts::exit).map_or_else(|| NONE.to_vec(), ended),
        log,
    ]
}

/// State and flags as `sv status` has them. That it is not ready has a column of its own.
fn with_flags(found: &Result<Facts, Trouble>) -> Vec<u8> {
    match found {
        Err(trouble) => problem(*trouble),
        Ok(f) => {
            let mut text = state(f.status.state).to_vec();
            for flag in flags(&f.status, f.normally, Readiness::Untold) {
                text.extend_from_slice(b", ");
                text.extend_from_slice(flag);
            }
            text
        }
    }
}

/// The code, or the signal's name.
fn ended(exit: Exit) -> Vec<u8> {
    match exit.code {
        Some(code) => Dec::new(code.into()).as_bytes().to_vec(),
        None => {
            let (number, name, core) = signal(exit);
            let mut text = b"SIG".to_vec();
            match name {
                Some(name) => text.extend_from_slice(name.as_bytes()),
                None => text.extend_from_slice(Dec::new(number.into()).as_bytes()),
            }
            if core {
                text.extend_from_slice(b" (core)");
            }
            text
        }
    }
}

/// The two largest units: `7s`, `2m05s`, `3h04m`, `12d03h`.
fn span(seconds: u64) -> Vec<u8> {
    let (major, unit, minor, small) = match seconds {
        0..60 => (seconds, b's', None, b' '),
        60..3600 => (seconds / 60, b'm', Some(seconds % 60), b's'),
        3600..86_400 => (seconds / 3600, b'h', Some(seconds / 60 % 60), b'm'),
        86_400.. => (seconds / 86_400, b'd', Some(seconds / 3600 % 24), b'h'),
    };
    let mut text = Dec::new(major).as_bytes().to_vec();
    text.push(unit);
    if let Some(n) = minor {
        text.extend_from_slice(&Dec::new(100 + n).as_bytes()[1..]);
        text.push(small);
    }
    text
}

fn paint(found: &Result<Facts, Trouble>) -> &'static [u8] {
    let Ok(f) = found else { return RED };
    let s = &f.status;
    match s.state {
        State::Run if s.paused || s.got_term || f.ready() == Some(false) => YELLOW,
        State::Run => GREEN,
        State::Finish => YELLOW,
        State::Down => match s.want {
            Want::Up => RED,
            Want::Down | Want::Exit | Want::Once => b"",
        },
    }
}

/// Columns of a terminal, near enough: characters. What is no UTF-8 counts by bytes that begin something.
fn columns(text: &[u8]) -> usize {
    text.iter().filter(|&&b| b & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{NOW, all, facts};
    use super::*;
    use crate::status::Status;

    #[test]
    fn columns_are_aligned() {
        let text = String::from_utf8_lossy(&text(&all(), NOW, Colour::Off)).into_owned();
        let lines = [
            "NAME    STATE                                             PID  UPTIME  READY  RESTARTS  EXIT     LOG\n",
            "crash   down, normally up, want up                          -      3s  -             6  1        -\n",
            "legacy  run                                                77   1h06m  -             -  -        \
             runsv not running\n",
            "n\u{e4}me    run                                                 9   1d03h  yes           2  SIGKILL  run\n",
            "odd?\"\u{fffd}  unable to open supervise/ok: file does not exist    -       -  -             -  -        -\n",
            "slow    run                                                33   1m10s  no            0  -        -\n",
        ];
        assert_eq!(text, lines.concat());
    }

    #[test]
    fn colours() {
        let shown = |service| {
            let entry = Entry { name: b"a".to_vec(), service, log: None };
            let text = String::from_utf8(text(&[entry], NOW, Colour::On)).unwrap();
            let line = text.lines().nth(1).unwrap().strip_prefix("a     ").unwrap();
            line.split("  ").next().unwrap().to_owned()
        };
        let run = facts(5, 3);
        let with = |status: Status| Facts { status, ..run };
        assert_eq!(shown(Ok(run)), "\x1b[32mrun\x1b[0m");
        assert_eq!(shown(Ok(with(Status { paused: true, ..run.status }))), "\x1b[33mrun, paused\x1b[0m");
        assert_eq!(shown(Ok(facts(0, 3))), "\x1b[31mdown, normally up, want up\x1b[0m");
        let down = Status { want: Want::Down, ..facts(0, 3).status };
        assert_eq!(shown(Ok(with(down))), "down, normally up");
        assert_eq!(shown(Err(Trouble::NotRunning)), "\x1b[31mrunsv not running\x1b[0m");
    }

    #[test]
    fn spans() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (3599, "59m59s"),
            (3600, "1h00m"),
            (86_399, "23h59m"),
            (86_400, "1d00h"),
            (u64::MAX, "213503982334601d07h"),
        ] {
            assert_eq!(String::from_utf8(span(seconds)).unwrap(), text);
        }
    }
}
