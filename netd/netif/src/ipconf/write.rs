//! Records to bytes. Every value is quoted with `'`; what cannot stand there is refused.

use super::{MAX_ASSIGNMENTS, MAX_FILE, MAX_LINE, MAX_RECORDS, Record, harmless, key_ok};
use core::fmt;

/// Why records cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// Not `[a-z][a-z0-9_]*`, or `cfg`.
    Key(String),
    /// The value of this key has a quote, `$`, backquote, backslash or control character in it.
    Unquotable(String),
    /// The line of this key would be longer than the reader takes.
    LongLine(String),
    /// More records, assignments or bytes than the reader takes.
    TooMuch,
}

/// The text of a file that says `records`, with each of `comments` on a line of its own in front.
///
/// Control characters in comments become `?`, overlong ones are cut: a comment is never a reason to fail.
pub fn write(records: &[Record], comments: &[&str]) -> Result<Vec<u8>, WriteError> {
    let mut out = String::new();
    for comment in comments {
        out.push_str("# ");
        out.extend(comment.chars().take(MAX_LINE / 4 - 2).map(|c| if c.is_control() { '?' } else { c }));
        out.push('\n');
    }
    if records.len() > MAX_RECORDS {
        return Err(WriteError::TooMuch);
    }
    for record in records {
        if record.assignments.len() > MAX_ASSIGNMENTS {
            return Err(WriteError::TooMuch);
        }
        out.push_str("let cfg=cfg+1\n");
        for a in &record.assignments {
            if !key_ok(&a.key) {
                return Err(WriteError::Key(a.key.clone()));
            }
            if !a.value.chars().all(|c| harmless(c) && c != '\'') {
                return Err(WriteError::Unquotable(a.key.clone()));
            }
            let start = out.len();
            out.extend([&a.key, "[$cfg]='", &a.value, "'"]);
            if out.len() - start > MAX_LINE {
                return Err(WriteError::LongLine(a.key.clone()));
            }
            out.push('\n');
        }
    }
    if out.len() > MAX_FILE { Err(WriteError::TooMuch) } else { Ok(out.into_bytes()) }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "no key of an ipconf file: {key:?}"),
            Self::Unquotable(key) => write!(f, "the value of {key} has a character that cannot be quoted"),
            Self::LongLine(key) => write!(f, "the value of {key} is too long for a line"),
            Self::TooMuch => f.write_str("too much for one ipconf file"),
        }
    }
}

impl core::error::Error for WriteError {}
