//! TAI64N stamps made readable: a line that begins with one gets what `svlogd -tt` would have written (UTC). All else stays.

use crate::svlogd::stamp::{Kind, Stamper};
use sys::clock::{Tai64n, Wall};

/// `@` and 24 digits.
const LEN: usize = 25;

/// A stream of lines that comes in pieces.
#[derive(Debug)]
pub(super) struct Stamps {
    stamper: Option<Stamper>,
    /// The beginning of a line that may become a stamp.
    held: Vec<u8>,
    within_line: bool,
    out: Vec<u8>,
}

impl Stamps {
    /// `raw`: nothing is changed.
    pub(super) fn new(raw: bool) -> Self {
        let stamper = (!raw).then(|| Stamper::new(Kind::Underscore));
        Self { stamper, held: Vec::new(), within_line: false, out: Vec::new() }
    }

    /// What to show of the next piece; less than 25 bytes may be held back.
    pub(super) fn pass<'a>(&'a mut self, piece: &'a [u8]) -> &'a [u8] {
        let Some(stamper) = &mut self.stamper else { return piece };
        self.held.extend_from_slice(piece);
        let input = core::mem::take(&mut self.held);
        self.out.clear();
        for line in input.split_inclusive(|&b| b == b'\n') {
            let ends = line.ends_with(b"\n");
            let mut rest = line;
            if !self.within_line && line.starts_with(b"@") {
                if line.len() < LEN && !ends {
                    self.held = line.to_vec();
                    break;
                }
                if let Some(time) = line.get(..LEN).and_then(Tai64n::from_hex) {
                    self.out.extend_from_slice(&stamper.stamp(Wall::from(time))[..LEN]);
                    rest = &line[LEN..];
                }
            }
            self.out.extend_from_slice(rest);
            self.within_line = !ends;
        }
        &self.out
    }

    /// What was held back, at the end.
    pub(super) fn rest(self) -> Vec<u8> {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: &[u8] =
        b"@400000006b0311ac20e9b284 one\n@4 two\n@\nthree @400000006b0311ac20e9b284\n@400000006b0311ad20e9b284\n@40";
    const OUT: &[u8] =
        b"2026-11-22_16:00:34.55218 one\n@4 two\n@\nthree @400000006b0311ac20e9b284\n2026-11-22_16:00:35.55218\n@40";

    #[test]
    fn any_pieces_give_the_same() {
        for size in 1..=IN.len() {
            let mut stamps = Stamps::new(false);
            let mut out: Vec<u8> = IN.chunks(size).flat_map(|piece| stamps.pass(piece).to_vec()).collect();
            out.extend(stamps.rest());
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(OUT), "{size}");
        }
    }

    #[test]
    fn raw() {
        let mut stamps = Stamps::new(true);
        assert_eq!(stamps.pass(IN), IN);
        assert!(stamps.rest().is_empty());
    }
}
