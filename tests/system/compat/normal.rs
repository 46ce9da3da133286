//! What differs from run to run is replaced: `(pid 123)` by `(pid P)`, seconds by `Ns`, stamps by their form, the case's own
//! directory by `DIR`.

pub(super) fn normalise(text: &str, dir: &str) -> String {
    let text = text.replace(dir, "DIR");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let (with, len) = volatile(rest, &out).unwrap_or_else(|| (String::from(c), c.len_utf8()));
        out.push_str(&with);
        rest = &rest[len..];
    }
    out
}

/// If `rest` begins with something volatile: its replacement and its length.
fn volatile(rest: &str, before: &str) -> Option<(String, usize)> {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(after) = rest.strip_prefix("(pid ") {
        let n = digits(after);
        return (n > 0).then(|| ("(pid P".to_owned(), 5 + n));
    }
    if rest.starts_with('@') && rest.len() >= 25 && rest[1..25].bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(("@TAI".to_owned(), 25));
    }
    if rest.len() >= 25 && stamp_like(&rest.as_bytes()[..25]) {
        return Some((format!("DATE{}TIME", &rest[10..11]), 25));
    }
    // Seconds follow `(pid N) ` or `NAME: ` and end the field.
    let n = digits(rest);
    let after_mark = before.ends_with(") ") || before.ends_with(": ");
    let ends = |s: &str| s.is_empty() || s.starts_with([',', ';', '\n']);
    (n > 0 && after_mark && rest[n..].strip_prefix('s').is_some_and(ends)).then(|| ("N".to_owned(), n))
}

/// `2026-01-02_03:04:05.12345` with `_` or `T`.
fn stamp_like(b: &[u8]) -> bool {
    b"dddd-dd-dd?dd:dd:dd.ddddd".iter().zip(b).all(|(form, c)| match form {
        b'd' => c.is_ascii_digit(),
        b'?' => matches!(c, b'_' | b'T'),
        form => form == c,
    })
}

#[test]
fn volatile_parts_are_masked() {
    let line = "run: foo: (pid 123) 5s, paused; down: log: 17s\n";
    assert_eq!(normalise(line, "/x"), "run: foo: (pid P) Ns, paused; down: log: Ns\n");
    assert_eq!(normalise("/x/sv: 12s4 3s", "/x"), "DIR/sv: 12s4 3s");
    assert_eq!(normalise("@400000006b0311ac20e9b284 a", "/x"), "@TAI a");
    assert_eq!(normalise("2026-01-02_03:04:05.12345 a", "/x"), "DATE_TIME a");
    assert_eq!(normalise("2026-01-02T03:04:05.12345 ü", "/x"), "DATETTIME ü");
}
