//! The environment of the program to come, and the form of a file in an environment directory (spec runit §5).

use std::ffi::{CString, NulError};

/// `NAME=value` strings. What is changed is there once; what is not stays as it was inherited.
#[derive(Debug, Default)]
pub(crate) struct Environment(Vec<Vec<u8>>);

impl FromIterator<Vec<u8>> for Environment {
    fn from_iter<T: IntoIterator<Item = Vec<u8>>>(entries: T) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Environment {
    /// Adds it in place of what is there under that name. A name with `=` is the part before it, as with runit.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        let entry = [name, b"=", value].concat();
        self.unset(name_of(&entry));
        self.0.push(entry);
    }

    /// Removes it.
    pub(crate) fn unset(&mut self, name: &[u8]) {
        self.0.retain(|entry| name_of(entry) != name);
    }

    /// For exec.
    pub(crate) fn into_strings(self) -> Result<Vec<CString>, NulError> {
        self.0.into_iter().map(CString::new).collect()
    }
}

/// `NAME` of `NAME=value`.
fn name_of(entry: &[u8]) -> &[u8] {
    entry.split(|&b| b == b'=').next().unwrap_or_default()
}

/// What a file says: nothing in it removes the variable; otherwise its first line without blanks at its end, in which a NUL
/// stands for a line end.
pub(crate) fn value(content: &[u8]) -> Option<Vec<u8>> {
    if content.is_empty() {
        return None;
    }
    let line = content.split(|&b| b == b'\n').next().unwrap_or_default();
    let end = line.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |last| last + 1);
    Some(line[..end].iter().map(|&b| if b == 0 { b'\n' } else { b }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(value(b""), None);
        for (content, expected) in [
            ("\n", ""),
            (" \t\nx", ""),
            ("a", "a"),
            (" a b \t\nsecond\n", " a b"),
            ("cr\r\n", "cr\r"),
            ("a\0b\0\n", "a\nb\n"),
            ("a \0", "a \n"),
        ] {
            assert_eq!(value(content.as_bytes()).unwrap(), expected.as_bytes(), "{content:?}");
        }
    }

    #[test]
    fn a_name_that_is_changed_is_there_once() {
        let mut env: Environment = ["A=0", "Z=1", "A=9", "Z=2"].map(|e| e.as_bytes().to_vec()).into_iter().collect();
        for (name, value) in [("A", "1"), ("AB", "2"), ("A", "3"), ("C", ""), ("D=x", "4"), ("D", "5"), ("B", "6")] {
            env.set(name.as_bytes(), value.as_bytes());
        }
        env.unset(b"C");
        env.unset(b"nosuch");
        env.unset(b"AB");
        assert_eq!(env.into_strings().unwrap(), [c"Z=1", c"Z=2", c"A=3", c"D=5", c"B=6"].map(ToOwned::to_owned));
    }
}
