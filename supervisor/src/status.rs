//! `supervise/status` and `supervise/stat`: the state of one service as everybody else reads it (spec runit §1.3, §1.4).
//!
//! | byte | meaning |
//! |---|---|
//! | 0–11 | TAI64N of the last start of `run`, or of the moment the service became down |
//! | 12–15 | little-endian pid of `run` or `finish`, 0 when neither runs |
//! | 16 | 1 = paused |
//! | 17 | `u` wanted up, `d` wanted down (and to exit); 0 in daemontools' files when it ran `once` |
//! | 18 | 1 = TERM was sent and the child has not ended yet |
//! | 19 | 0 down, 1 run, 2 finish |
//!
//! daemontools writes the first 18 bytes only.

use sys::clock::Tai64n;

/// Length of the file.
pub(crate) const LEN: usize = 20;
/// Length of daemontools' file.
pub(crate) const SHORT_LEN: usize = 18;

/// Which child there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// None, and none is about to be started except `run`.
    #[default]
    Down,
    /// `run`.
    Run,
    /// `finish`, or it is about to be started.
    Finish,
}

/// What was asked for last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Want {
    /// Restart whenever it ends.
    Up,
    /// Do not restart.
    #[default]
    Down,
    /// Do not restart and end the supervisor. Written as `d` in `status`; only `stat` tells the difference.
    Exit,
    /// daemontools' `once`: written as 0. Never ours.
    Once,
}

/// The content of both files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// When the state began; see the module's table.
    pub(crate) since: Tai64n,
    /// 0 when nothing runs.
    pub(crate) pid: u32,
    /// STOP was sent and no CONT since.
    pub(crate) paused: bool,
    /// Last of `u d o x`.
    pub(crate) want: Want,
    /// TERM was sent to the running child.
    pub(crate) got_term: bool,
    /// Which child there is.
    pub(crate) state: State,
}

impl Status {
    /// The bytes of `supervise/status`.
    pub(crate) fn pack(&self) -> [u8; LEN] {
        let mut b = [0; LEN];
        b[..12].copy_from_slice(&self.since.pack());
        b[12..16].copy_from_slice(&self.pid.to_le_bytes());
        b[16] = self.paused.into();
        b[17] = match self.want {
            Want::Up => b'u',
            Want::Down | Want::Exit => b'd',
            Want::Once => 0,
        };
        b[18] = self.got_term.into();
        b[19] = match self.state {
            State::Down => 0,
            State::Run => 1,
            State::Finish => 2,
        };
        b
    }

    /// Reads a whole `supervise/status`; none unless it has 20 bytes and the bytes with a fixed range are in it.
    pub(crate) fn unpack(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let state = match bytes[19] {
            0 => State::Down,
            1 => State::Run,
            2 => State::Finish,
            _ => return None,
        };
        Some(Self { got_term: bytes[18] != 0, state, ..Self::unpack_short(bytes)? })
    }

    /// Reads the first 18 bytes, as daemontools' `svstat` does: a pid means up, `finish` included.
    pub(crate) fn unpack_short(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SHORT_LEN] = bytes.first_chunk()?;
        let since = Tai64n::unpack(*bytes.first_chunk()?);
        let [.., p0, p1, p2, p3, paused, want] = *bytes;
        let pid = u32::from_le_bytes([p0, p1, p2, p3]);
        let want = match want {
            b'u' => Want::Up,
            b'd' => Want::Down,
            _ => Want::Once,
        };
        let state = if pid == 0 { State::Down } else { State::Run };
        Some(Self { since, pid, paused: paused != 0, want, got_term: false, state })
    }

    /// The line of `supervise/stat`: `(down|run|finish)[, paused][, got TERM][, want down|, want exit]` and LF. What is
    /// wanted is left out when the state is `down`.
    pub(crate) fn text(&self) -> Text {
        let mut t = Text { bytes: [0; TEXT_MAX], len: 0 };
        t.push(match self.state {
            State::Down => b"down",
            State::Run => b"run",
            State::Finish => b"finish",
        });
        if self.paused {
            t.push(b", paused");
        }
        if self.got_term {
            t.push(b", got TERM");
        }
        match (self.state, self.want) {
            (State::Run | State::Finish, Want::Down) => t.push(b", want down"),
            (State::Run | State::Finish, Want::Exit) => t.push(b", want exit"),
            (State::Run | State::Finish, Want::Up | Want::Once)
            | (State::Down, Want::Up | Want::Down | Want::Exit | Want::Once) => {}
        }
        t.push(b"\n");
        t
    }
}

/// `finish, paused, got TERM, want down` and LF fit.
const TEXT_MAX: usize = 40;

/// The line of `stat`, made without the formatting machinery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

impl Text {
    fn push(&mut self, part: &[u8]) {
        for (slot, byte) in self.bytes[self.len..].iter_mut().zip(part) {
            *slot = *byte;
            self.len += 1;
        }
    }

    /// The line, LF included.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by packaged runit: running, pid 31626.
    const SEEN: [u8; LEN] =
        [0x40, 0, 0, 0, 0x6b, 0x03, 0x11, 0xac, 0x20, 0xe9, 0xb2, 0x84, 0x8a, 0x7b, 0, 0, 0, 0x75, 0, 1];

    #[test]
    fn bytes_are_runits() {
        let since = Tai64n { label: 0x4000_0000_6b03_11ac, nanos: 0x20e9_b284 };
        let running = Status { since, pid: 31626, paused: false, want: Want::Up, got_term: false, state: State::Run };
        assert_eq!(running.pack(), SEEN);
        assert_eq!(Status::unpack(&SEEN), Some(running));
        assert_eq!(Status::unpack_short(&SEEN[..18]), Some(running));
    }

    #[test]
    fn every_status_reads_back() {
        for state in [State::Down, State::Run, State::Finish] {
            for want in [Want::Up, Want::Down, Want::Exit, Want::Once] {
                for (paused, got_term) in [(false, false), (true, false), (false, true), (true, true)] {
                    let s = Status { since: Tai64n { label: 7, nanos: 8 }, pid: 9, paused, want, got_term, state };
                    let read = if want == Want::Exit { Want::Down } else { want };
                    assert_eq!(Status::unpack(&s.pack()), Some(Status { want: read, ..s }));
                }
            }
        }
    }

    #[test]
    fn other_lengths_and_states_are_refused() {
        assert_eq!(Status::unpack(&SEEN[..19]), None);
        assert_eq!(Status::unpack(&SEEN[..18]), None);
        assert_eq!(Status::unpack_short(&SEEN[..17]), None);
        assert_eq!(Status::unpack(&[]), None);
        let mut bad = SEEN;
        bad[19] = 3;
        assert_eq!(Status::unpack(&bad), None);
    }

    #[test]
    fn daemontools_knows_up_and_down_only() {
        let mut b = SEEN;
        b[17] = 0;
        let s = Status::unpack_short(&b).unwrap();
        assert_eq!((s.state, s.want), (State::Run, Want::Once));
        b[12..16].fill(0);
        assert_eq!(Status::unpack_short(&b).unwrap().state, State::Down);
    }

    #[test]
    fn stat_lines() {
        let text = |s: Status| String::from_utf8(s.text().as_bytes().to_vec()).unwrap();
        let s = Status::default();
        assert_eq!(text(s), "down\n");
        assert_eq!(text(Status { want: Want::Up, ..s }), "down\n");
        assert_eq!(text(Status { state: State::Run, want: Want::Up, ..s }), "run\n");
        assert_eq!(
            text(Status { state: State::Run, paused: true, got_term: true, ..s }),
            "run, paused, got TERM, want down\n"
        );
        assert_eq!(
            text(Status { state: State::Run, got_term: true, want: Want::Exit, ..s }),
            "run, got TERM, want exit\n"
        );
        let longest = Status { state: State::Finish, paused: true, got_term: true, ..s };
        assert_eq!(text(longest), "finish, paused, got TERM, want down\n");
    }
}
