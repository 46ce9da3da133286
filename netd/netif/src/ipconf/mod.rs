//! `.ipconf` files: how services tell `fw` what they know (design §5). Sourced by bash in a legacy `fw/run`, parsed here.
//!
//! ```text
//! # a comment
//! let cfg=cfg+1
//! if[$cfg]='eth0'
//! ip[$cfg]='192.0.2.7'
//! ipmask[$cfg]='192.0.2.7/24'
//! ```
//!
//! The language is the part of bash in which nothing can be expanded or run: no `$`, backquote, backslash, tilde or control
//! character in a value, so bash and we always read the same. [`File::parse`] reads records of plain text, [`Entry`] gives
//! them types, [`write`] is the way back. A value that cannot be written safely is refused, never changed.

mod entry;
mod read;
#[cfg(test)]
mod tests;
mod write;

use core::fmt;
pub use entry::{Autoconf, Entries, Entry, Failback, Health, Route, Unknown, Vlan};
pub use write::{WriteError, write};

/// Largest file.
pub const MAX_FILE: usize = 1 << 20;
/// Longest line, without its end.
pub const MAX_LINE: usize = 4096;
/// Most records in a file.
pub const MAX_RECORDS: usize = 16384;
/// Most assignments in a record.
pub const MAX_ASSIGNMENTS: usize = 64;

/// What a file says, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// One per `let cfg=cfg+1`.
    pub records: Vec<Record>,
}

/// The assignments of one record. Two records are equal when they say the same, wherever they stand.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Where it starts, from 1; 0 when it was not read from a file.
    pub line: u32,
    /// In the order of the file. A repeated key stays in; its last value counts, as in bash.
    pub assignments: Vec<Assignment>,
}

/// `KEY[$cfg]='VALUE'`.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// `[a-z][a-z0-9_]*`.
    pub key: String,
    /// The text without its quotes.
    pub value: String,
    /// From 1; 0 when it was not read from a file.
    pub line: u32,
}

impl Record {
    /// The assignment that counts for `key`.
    pub fn assignment(&self, key: &str) -> Option<&Assignment> {
        self.assignments.iter().rfind(|a| a.key == key)
    }

    /// The value of `key`; an empty one is none.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.assignment(key).map(|a| a.value.as_str()).filter(|v| !v.is_empty())
    }

    /// Adds an assignment at the end. Whether it can be written is [`write`]'s question.
    pub fn push(&mut self, key: &str, value: impl fmt::Display) {
        self.assignments.push(Assignment { key: key.to_owned(), value: value.to_string(), line: 0 });
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.assignments == other.assignments
    }
}

impl Eq for Record {}

impl PartialEq for Assignment {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Eq for Assignment {}

/// What is wrong with a file; printed as `FILE:LINE: expected ...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// From 1.
    pub line: u32,
    /// What should have been there.
    pub expected: Expected,
}

/// What a reader was looking for when it gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// At most [`MAX_FILE`] bytes.
    SmallFile,
    /// At most [`MAX_LINE`] bytes.
    ShortLine,
    /// At most [`MAX_RECORDS`] of them.
    FewRecords,
    /// At most [`MAX_ASSIGNMENTS`] in one record.
    FewAssignments,
    /// One of the four kinds of line.
    Statement,
    /// A record to assign to.
    RecordStart,
    /// `[$cfg]=` after the key.
    Subscript,
    /// Another name: `cfg` is the counter.
    OtherKey,
    /// A bare word or a quoted text of allowed characters.
    Value,
    /// The quote that ends the value.
    ClosingQuote,
    /// Nothing but blanks and a comment.
    EndOfLine,
    /// A key the record must have.
    Key(&'static str),
    /// A value of the key's type: key, what it should be.
    Typed(&'static str, &'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.line, self.expected)
    }
}

impl core::error::Error for ParseError {}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SmallFile => "a file of at most 1 MiB",
            Self::ShortLine => "a line of at most 4096 bytes",
            Self::FewRecords => "at most 16384 records",
            Self::FewAssignments => "at most 64 assignments in a record",
            Self::Statement => "'let cfg=cfg+1', KEY[$cfg]=VALUE, a comment or a blank line",
            Self::RecordStart => "'let cfg=cfg+1' before the first assignment",
            Self::Subscript => "[$cfg]= after the key",
            Self::OtherKey => "another key: cfg is the record counter",
            Self::Value => "a word or a quoted text, without $, backquote, backslash and control characters",
            Self::ClosingQuote => "the closing quote on the same line",
            Self::EndOfLine => "nothing after the value",
            Self::Key(key) => return write!(f, "{key}[$cfg]= in this record"),
            Self::Typed(key, what) => return write!(f, "{key} to be {what}"),
        })
    }
}

/// Whether bash and we may meet `c` inside quotes. The quote itself is the caller's business.
fn harmless(c: char) -> bool {
    !c.is_control() && !matches!(c, '$' | '`' | '\\')
}

/// Whether `key` has the form `[a-z][a-z0-9_]*` and is not the counter's name.
fn key_ok(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && key != "cfg"
}
