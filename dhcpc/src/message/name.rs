//! Domain names on the wire (RFC 1035 §3.1, §4.1.4, as RFC 3397 uses them in an option).
//!
//! Pointers count from the start of the joined option and may only go backwards, a name has at most 255 bytes, and a name
//! that breaks a rule is discarded alone if it can be skipped, else with everything after it.
#![deny(clippy::indexing_slicing)]

/// Longest name, dots included.
const MAX_NAME: usize = 255;
/// Most names taken from one option.
const MAX_NAMES: usize = 64;
/// Most pointers followed in one name; each goes backwards, so this only bounds the time.
const MAX_JUMPS: usize = 16;

/// The names in `data`, without final dots. Names with bytes outside `[A-Za-z0-9_-]` are left out.
pub fn decode_list(data: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < data.len() && names.len() < MAX_NAMES {
        let (name, next) = match decode_at(data, at) {
            Ok(found) => found,
            Err(Broken) => break,
        };
        names.extend(name);
        at = next;
    }
    names
}

/// Appends `name` ("example.org", a final dot allowed) in wire form, uncompressed. Whether it is a name at all.
#[must_use]
pub fn encode(name: &[u8], out: &mut Vec<u8>) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() || name.len() > MAX_NAME - 2 {
        return false;
    }
    for label in name.split(|&b| b == b'.') {
        let Ok(len @ 1..=63) = u8::try_from(label.len()) else { return false };
        out.push(len);
        out.extend_from_slice(label);
    }
    out.push(0);
    true
}

/// Cannot be read, and where the next name begins is unknown.
struct Broken;

/// The name at `start` (none if it is empty or has odd bytes) and where the next begins.
fn decode_at(data: &[u8], start: usize) -> Result<(Option<String>, usize), Broken> {
    let mut name = String::new();
    let mut good = true;
    let (mut at, mut next, mut jumps) = (start, None, 0);
    // A pointer must lead before everything read so far, or two names could point at each other for ever.
    let mut lowest = start;
    loop {
        let len = *data.get(at).ok_or(Broken)?;
        match len {
            0 => {
                let name = (good && !name.is_empty()).then_some(name);
                return Ok((name, next.unwrap_or(at + 1)));
            }
            1..=63 => {
                let label = data.get(at + 1..at + 1 + usize::from(len)).ok_or(Broken)?;
                if name.len() + label.len() + 1 > MAX_NAME {
                    return Err(Broken);
                }
                if !name.is_empty() {
                    name.push('.');
                }
                for &b in label {
                    good &= b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
                    name.push(char::from(b & 0x7f));
                }
                good &= label.first() != Some(&b'-');
                at += 1 + label.len();
            }
            64..=191 => return Err(Broken),
            192..=255 => {
                let low = *data.get(at + 1).ok_or(Broken)?;
                let target = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                next = next.or(Some(at + 2));
                jumps += 1;
                if target >= lowest || jumps > MAX_JUMPS {
                    return Err(Broken);
                }
                (at, lowest) = (target, target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d19_reads_compressed_lists() {
        // RFC 3397 §2's own example: eng.apple.com. and marketing.apple.com.
        let mut data = b"\x03eng\x05apple\x03com\x00\x09marketing".to_vec();
        data.extend_from_slice(&[0xc0, 4]);
        assert_eq!(decode_list(&data), ["eng.apple.com", "marketing.apple.com"]);
        assert!(decode_list(b"").is_empty());
        assert!(decode_list(b"\x00").is_empty());
    }

    /// D19: pointers to themselves, forward, beyond the end; names cut off; and none of it takes long.
    #[test]
    fn d19_hostile_lists_end() {
        assert!(decode_list(&[0xc0, 0]).is_empty(), "points at itself");
        assert!(decode_list(&[0xc0, 2, 0xc0, 0]).is_empty(), "points forward");
        assert!(decode_list(b"\x03en").is_empty(), "cut");
        assert!(decode_list(&[0x40, 1, 0]).is_empty(), "reserved length");
        assert_eq!(
            decode_list(b"\x01a\x00\x03b c\x00\x01d\x00\x02e"),
            ["a", "d"],
            "odd name skipped, cut name dropped"
        );
        let long = [b"\x3f".as_slice(), &[b'x'; 63]].concat().repeat(5);
        assert!(decode_list(&long).is_empty(), "longer than a name may be");
        let many = b"\x01a\x00".repeat(1000);
        assert_eq!(decode_list(&many).len(), MAX_NAMES);
        // A staircase of pointers: each name points to the one before.
        let mut stairs = b"\x01a\x00".to_vec();
        for i in 0..200_u16 {
            let target = if i == 0 { 0 } else { 3 + (i - 1) * 4 };
            stairs.extend_from_slice(b"\x01b");
            stairs.extend_from_slice(&(0xc000 | target).to_be_bytes());
        }
        assert!(decode_list(&stairs).len() <= MAX_NAMES);
    }

    #[test]
    fn writes_names() {
        let mut out = Vec::new();
        assert!(encode(b"a.example.", &mut out));
        assert_eq!(out, b"\x01a\x07example\x00");
        for bad in [b"".as_slice(), b".", b"a..b", &[b'x'; 64], &[b'x'; 254]] {
            assert!(!encode(bad, &mut Vec::new()));
        }
    }
}
