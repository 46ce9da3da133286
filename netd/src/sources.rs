//! Reads the `.ipconf` files: the administrator's directory first, then the run directory, each in the order of the names.
//!
//! A file with a mistake is left out as a whole. That must not take away what it asked for yesterday, so its interfaces
//! are remembered as far as they can be made out, and nothing is deleted on them until the file is good again.

use crate::state::desired::{Hold, Source};
use netif::IfName;
use netif::ipconf::{Entries, Expected, File, MAX_FILE};
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sys::{Errno, file};

/// The administrator's files, below fw's service directory, which is where fw's `run` is.
pub(crate) const CONF_DIR: &str = "conf";

/// What the directories say.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) good: Vec<Source>,
    /// One line for each file that was left out.
    pub(crate) bad: Vec<String>,
    /// Every file there was, good or bad.
    files: Vec<PathBuf>,
    /// Where nothing may be deleted because of them.
    pub(crate) hold: Hold,
}

/// A directory that cannot be read. Nothing can be said then about what is wanted.
#[derive(Debug)]
pub(crate) struct Unreadable {
    dir: PathBuf,
    why: Errno,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unable to read directory {}: {}", self.dir.display(), sys::errtext::errtext(self.why))
    }
}

/// Reads both directories. The run directory need not exist: no service has published yet.
pub(crate) fn read(conf: &Path, run: &Path) -> Result<Sources, Unreadable> {
    let mut sources = Sources::default();
    for path in names(conf)? {
        sources.add(&path, true);
    }
    match names(run) {
        Ok(paths) => paths.iter().for_each(|p| sources.add(p, false)),
        Err(Unreadable { why: Errno::ENOENT, .. }) => {}
        Err(e) => return Err(e),
    }
    Ok(sources)
}

/// One file: its records as text and typed; or the line that says what is wrong, and what was read.
pub(crate) fn parse(path: &Path) -> Result<(File, Entries), (String, Vec<u8>)> {
    let shown = path.display();
    let unread = |e| {
        if e == Errno::EFBIG {
            format!("{shown}: expected {}", Expected::SmallFile)
        } else {
            format!("{shown}: unable to read: {}", sys::errtext::errtext(e))
        }
    };
    let bytes = file::read_bounded(file::CWD, path, MAX_FILE).map_err(|e| (unread(e), Vec::new()))?;
    let typed = File::parse(&bytes).and_then(|f| f.entries().map(|e| (f, e)));
    typed.map_err(|e| (format!("{shown}:{e}"), bytes))
}

impl Sources {
    /// The files that were there.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    fn add(&mut self, path: &Path, is_static: bool) {
        self.files.push(path.to_owned());
        match parse(path) {
            Ok((_, Entries { entries, .. })) => {
                self.good.push(Source { path: Rc::from(path.to_string_lossy()), is_static, entries });
            }
            // Withdrawn while we were looking.
            Err((_, bytes)) if bytes.is_empty() && !path.exists() => {}
            Err((line, bytes)) => {
                self.bad.push(line);
                self.hold.add(mentioned(&bytes));
            }
        }
    }
}

/// The interfaces a file seems to be about; none when one of its `if` lines is not to be understood.
fn mentioned(bytes: &[u8]) -> HashSet<IfName> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split(['\n', ';']).map(str::trim).filter(|l| l.starts_with("if"));
    let name = |line: &str| {
        let value = line.strip_prefix("if[$cfg]=")?.split('#').next()?.trim().trim_matches(['\'', '"']);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        value.parse().ok().filter(|_| value.chars().all(plain))
    };
    lines.map(name).collect::<Option<_>>().unwrap_or_default()
}

fn names(dir: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let failed = |e: &std::io::Error| Unreadable {
        dir: dir.to_owned(),
        why: e.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| failed(&e))? {
        let name = entry.map_err(|e| failed(&e))?.file_name();
        let path = Path::new(&name);
        let hidden = path.to_string_lossy().starts_with('.');
        if path.extension().is_some_and(|e| e == "ipconf") && !hidden {
            found.push(dir.join(&name));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_of_a_bad_file() {
        let text = b"let cfg=cfg+1\n  if[$cfg]='eth1' # lan\nip[$cfg]='10.0.0.1\nlet cfg++; if[$cfg]=ppp0; ip[\n\xff\n";
        assert_eq!(mentioned(text), ["eth1", "ppp0"].map(|n| n.parse().unwrap()).into());
        for unclear in ["iff[$cfg]='eth1'", "if[$cfg]=eth0\nif[$cfg]=$x", "if[$cfg='eth0'", "ip[$cfg]=10.0.0.1"] {
            assert_eq!(mentioned(unclear.as_bytes()), HashSet::new());
        }
    }
}
