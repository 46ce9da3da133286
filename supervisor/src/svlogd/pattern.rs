//! The patterns of `config` (spec runit §4.4): anchored at both ends; `*` at the end matches anything, `*c` skips to the first
//! `c`, `+c` is one or more `c`. There is no going back, so a match costs one pass over the line at most.

/// Whether `pattern` matches the whole of `text`.
///
/// A `+` at the end of the pattern, or when the text has ended, matches nothing; runit reads past the line there.
pub(crate) fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    loop {
        match pattern {
            [] => return text.is_empty(),
            [b'*'] => return true,
            [b'*', rest @ ..] => {
                let Some(at) = text.iter().position(|c| c == &rest[0]) else { return false };
                text = &text[at..];
                pattern = rest;
            }
            [b'+'] => return false,
            [b'+', c, rest @ ..] => {
                let many = text.iter().take_while(|t| *t == c).count();
                if many == 0 {
                    return false;
                }
                text = &text[many..];
                pattern = rest;
            }
            [c, rest @ ..] => match text {
                [t, tail @ ..] if t == c => {
                    text = tail;
                    pattern = rest;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_runit() {
        for (pattern, yes, no) in [
            ("foo*", vec!["foo", "foobar"], vec!["fo", "xfoo", ""]),
            ("*bar*", vec!["bar", "foobar", "barx"], vec!["ba", "bba"]),
            ("foo", vec!["foo"], vec!["foo ", "fo", ""]),
            ("fo*o", vec!["foo", "foxo"], vec!["fooo", "fo"]),
            ("*pid*", vec!["pid", "an id: pid"], vec!["tcpsvd: info: pid"]),
            ("", vec![""], vec!["x"]),
            ("*", vec!["", "x"], vec![]),
            ("+a", vec!["a", "aaa"], vec!["", "ab", "b"]),
            ("+ab", vec!["ab", "aab"], vec!["aaa", "b", ""]),
            ("a+", vec![], vec!["a", "a+", "aa"]),
            ("x+ y*", vec!["x y", "x   yes"], vec!["xy", "x z"]),
        ] {
            for text in yes {
                assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern:?} {text:?}");
            }
            for text in no {
                assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern:?} {text:?}");
            }
        }
    }
}
