//! Bytes to records. Every line stands alone, so the reader is a loop over lines with one cursor into each. Several
//! statements may share a line with `;` between them, as people write them by hand (`if[$cfg]=eth1; ip[$cfg]=...`).

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
        let Some(mut rest) = code(text)? else { return Ok(()) };
        loop {
            let (statement, after) = statement(rest)?;
            self.take(line, statement)?;
            match separator(after) {
                Some(Some(next)) => rest = next,
                Some(None) => return Ok(()),
                None => return Err(statement.misfit()),
            }
        }
    }

    fn take(&mut self, line: u32, statement: Statement<'_>) -> Result<(), Expected> {
        match statement {
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

#[derive(Clone, Copy)]
enum Statement<'a> {
    RecordStart,
    Assign(&'a str, &'a str),
}

impl Statement<'_> {
    /// What to say of something behind it that does not belong there.
    const fn misfit(self) -> Expected {
        match self {
            Self::RecordStart => Expected::Statement,
            Self::Assign(..) => Expected::EndOfLine,
        }
    }
}

/// The line from its first statement on; none when it is blank or a comment.
fn code(line: &[u8]) -> Result<Option<&str>, Expected> {
    let line = trim_start(line);
    match line.first() {
        None => Ok(None),
        // A comment may hold anything but NUL, which bash drops with a complaint of its own.
        Some(b'#') if line.contains(&0) => Err(Expected::Statement),
        Some(b'#') => Ok(None),
        Some(_) => core::str::from_utf8(line).map(Some).map_err(|_| Expected::Statement),
    }
}

/// The statement at the start of `line`, and what follows it.
fn statement(line: &str) -> Result<(Statement<'_>, &str), Expected> {
    if let Some(rest) = after_record_start(line) {
        return Ok((Statement::RecordStart, rest));
    }
    let end = line.find(|c: char| !matches!(c, 'a'..='z' | '0'..='9' | '_')).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    if key == "cfg" {
        return Err(Expected::OtherKey);
    }
    // "let x", "set -e": a word that is no key of ours rather than a key without a subscript.
    if !key_ok(key) || !rest.starts_with(['[', '=']) {
        return Err(Expected::Statement);
    }
    let (value, rest) = value(rest.strip_prefix("[$cfg]=").ok_or(Expected::Subscript)?)?;
    Ok((Statement::Assign(key, value), rest))
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
    let end = text.find([' ', '\t', ';']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.bytes().all(bare) { Ok((word, rest)) } else { Err(Expected::Value) }
}

/// Characters that mean themselves in an unquoted bash word.
fn bare(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'/' | b',' | b'@' | b'%' | b'+' | b'=' | b'-')
}

/// What may follow a statement: `;` and another one on the same line (then that), or nothing but blanks and a comment.
fn separator(rest: &str) -> Option<Option<&str>> {
    const BLANK: [char; 2] = [' ', '\t'];
    let text = rest.trim_start_matches(BLANK);
    let comment = |text: &str| text.starts_with('#') && !text.contains('\0');
    if text.is_empty() || (text.len() < rest.len() && comment(text)) {
        return Some(None);
    }
    let next = text.strip_prefix(';')?.trim_start_matches(BLANK);
    if next.is_empty() || comment(next) { Some(None) } else { Some(Some(next)) }
}

fn trim_start(line: &[u8]) -> &[u8] {
    let at = line.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(line.len());
    &line[at..]
}
