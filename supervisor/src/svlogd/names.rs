//! Names in a log directory: `@` and 24 hex digits of the time, then `.s` (finished), `.u` (not processed) or `.t` (a processor's
//! output so far); and which of them goes when there are too many (spec runit §4.6).

use sys::clock::Tai64n;

/// `@`, 24 digits, dot and letter.
const LEN: usize = 27;

/// What the last letter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.s`
    Finished,
    /// `.u`
    Unprocessed,
    /// `.t`
    Temporary,
}

/// The name of a file that becomes old at `time`.
pub(crate) fn name(time: Tai64n, kind: Kind) -> Vec<u8> {
    with_kind(&time.hex(), kind)
}

/// `stem` with the letter of `kind`.
pub(crate) fn with_kind(stem: &[u8], kind: Kind) -> Vec<u8> {
    let mut name = stem.to_vec();
    name.extend_from_slice(match kind {
        Kind::Finished => b".s",
        Kind::Unprocessed => b".u",
        Kind::Temporary => b".t",
    });
    name
}

/// The name without its letter, and what that says; none if it is not one of ours.
pub(crate) fn split(name: &[u8]) -> Option<(&[u8], Kind)> {
    if name.len() != LEN || name[0] != b'@' {
        return None;
    }
    let (stem, letter) = name.split_at(LEN - 2);
    let kind = match letter {
        b".s" => Kind::Finished,
        b".u" => Kind::Unprocessed,
        b".t" => Kind::Temporary,
        _ => return None,
    };
    Some((stem, kind))
}

/// Of the old files, the first `all.len() - keep` in the order of their names, but never one of `spared`.
///
/// A clock that was wrong at boot gives the newest file the smallest name, which is why it has to be spared: runit deletes
/// it, or the one at the processor, and then looks for it for ever.
pub(crate) fn surplus<'a>(all: &'a [Vec<u8>], keep: u64, spared: &[&[u8]]) -> Vec<&'a [u8]> {
    let mut old: Vec<&[u8]> = all.iter().map(Vec::as_slice).filter(|n| is_old(n)).collect();
    old.sort_unstable();
    let too_many = old.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    old.retain(|n| !spared.contains(&&n[..LEN - 2]));
    old.truncate(too_many);
    old
}

/// Finished or not, both count.
fn is_old(name: &[u8]) -> bool {
    match split(name) {
        Some((_, Kind::Finished | Kind::Unprocessed)) => true,
        Some((_, Kind::Temporary)) | None => false,
    }
}

/// The file the processor takes next, without its letter.
pub(crate) fn oldest_unprocessed(all: &[Vec<u8>]) -> Option<&[u8]> {
    all.iter().filter_map(|n| split(n)).filter(|(_, k)| *k == Kind::Unprocessed).map(|(stem, _)| stem).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(n: u64, kind: Kind) -> Vec<u8> {
        name(Tai64n { label: n, nanos: 0 }, kind)
    }

    #[test]
    fn names() {
        let name = file(0x4000_0000_6b03_11ac, Kind::Finished);
        assert_eq!(name, b"@400000006b0311ac00000000.s");
        assert_eq!(split(&name), Some((&name[..25], Kind::Finished)));
        assert_eq!(split(b"@400000006b0311ac00000000.x"), None);
        assert_eq!(split(b"@400000006b0311ac0000000.s"), None);
        assert_eq!(split(b"current"), None);
    }

    #[test]
    fn the_oldest_go_first_and_never_those_in_use() {
        use Kind::{Finished, Temporary, Unprocessed};
        let all = [file(3, Finished), file(1, Unprocessed), file(1, Temporary), file(2, Finished), b"config".to_vec()];
        let gone = |keep, spared: &[&[u8]]| surplus(&all, keep, spared).len();
        assert_eq!((gone(3, &[]), gone(2, &[]), gone(0, &[]), gone(u64::MAX, &[])), (0, 1, 3, 0));
        assert_eq!(surplus(&all, 2, &[]), [&all[1]]);
        assert_eq!(surplus(&all, 2, &[&all[1][..25]]), [&all[3]]);
        assert_eq!(surplus(&all, 0, &[&all[1][..25]]), [&all[3], &all[0]]);
        assert_eq!(oldest_unprocessed(&all), Some(&all[1][..25]));
        assert_eq!(oldest_unprocessed(&all[2..]), None);
    }
}
