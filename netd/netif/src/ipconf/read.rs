//! Bytes to records. Every line stands alone, so the reader is a loop over lines with one cursor into each.

use super::{
    Assignment, Expected, File, MAX_ASSIGNMENTS, MAX_FILE, MAX_LINE, MAX_RECORDS, ParseError, Record, harmless, key_ok,
};

impl File {
    /// Reads a whole file. The first mistake refuses all of it: half a file is worse than none.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_FILE {
            return Err(ParseError { line: 1, expected: Expected::SmallFile });
        }
        let mut file = Self::default();
        for (line, text) in (1..).zip(bytes.split(|&b| b == b'\n')) {
            file.take_line(line, text).map_err(|expected| ParseError { line, expected })?;
        }
        Ok(file)
    }

    fn take_line(&mut self, line: u32, text: &[u8]) -> Result<(), Expected> {
        if text.len() > MAX_LINE {
            return Err(Expected::ShortLine);
        }
        match statement(text)? {
            Statement::Nothing => {}
            Statement::RecordStart if self.records.len() == MAX_RECORDS => return Err(Expected::FewRecords),
            Statement::RecordStart => self.records.push(Record { line, assignments: Vec::new() }),
            Statement::Assign(key, value) => {
                let record = self.records.last_mut().ok_or(Expected::RecordStart)?;
                if record.assignments.len() == MAX_ASSIGNMENTS {
                    return Err(Expected::FewAssignments);
                }
                record.assignments.push(Assignment { key: key.to_owned(), value: value.to_owned(), line });
            }
        }
        Ok(())
    }
}

enum Statement<'a> {
    Nothing,
    RecordStart,
    Assign(&'a str, &'a str),
}

fn statement(line: &[u8]) -> Result<Statement<'_>, Expected> {
    let line = trim_start(line);
    if line.is_empty() {
        return Ok(Statement::Nothing);
    }
    // A comment may hold anything but NUL, which bash drops with a complaint of its own.
    if line[0] == b'#' {
        return if line.contains(&0) { Err(Expected::Statement) } else { Ok(Statement::Nothing) };
    }
    let line = core::str::from_utf8(line).map_err(|_| Expected::Statement)?;
    if let Some(rest) = after_record_start(line) {
        return only_comment(rest).then_some(Statement::RecordStart).ok_or(Expected::Statement);
    }
    let end = line.find(|c: char| !matches!(c, 'a'..='z' | '0'..='9' | '_')).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    if key == "cfg" {
        return Err(Expected::OtherKey);
    }
    if !key_ok(key) {
        return Err(Expected::Statement);
    }
    // "let x", "set -e": a word that is no key of ours rather than a key without a subscript.
    if !rest.starts_with(['[', '=']) {
        return Err(Expected::Statement);
    }
    let (value, rest) = value(rest.strip_prefix("[$cfg]=").ok_or(Expected::Subscript)?)?;
    if only_comment(rest) { Ok(Statement::Assign(key, value)) } else { Err(Expected::EndOfLine) }
}

/// What follows one of the three spellings of "next record".
fn after_record_start(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("cfg=$((cfg+1))") {
        return Some(rest);
    }
    let rest = line.strip_prefix("let")?;
    let word = rest.trim_start_matches([' ', '\t']);
    if word.len() == rest.len() {
        return None;
    }
    word.strip_prefix("cfg=cfg+1").or_else(|| word.strip_prefix("cfg++"))
}

/// The value at the start of `text`, and what follows it.
fn value(text: &str) -> Result<(&str, &str), Expected> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote) {
            let (value, rest) = inner.split_once(quote).ok_or(Expected::ClosingQuote)?;
            return if value.chars().all(harmless) { Ok((value, rest)) } else { Err(Expected::Value) };
        }
    }
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.bytes().all(bare) { Ok((word, rest)) } else { Err(Expected::Value) }
}

/// Characters that mean themselves in an unquoted bash word.
fn bare(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'/' | b',' | b'@' | b'%' | b'+' | b'=' | b'-')
}

fn only_comment(rest: &str) -> bool {
    let text = rest.trim_start_matches([' ', '\t']);
    text.is_empty() || (text.len() < rest.len() && text.starts_with('#') && !text.contains('\0'))
}

fn trim_start(line: &[u8]) -> &[u8] {
    let at = line.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(line.len());
    &line[at..]
}
