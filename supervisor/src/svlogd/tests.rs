//! Lines, rotation and directories together: whatever the sizes and chunks, nothing is lost, nothing is reordered, no file
//! gets too long.

use super::config::Config;
use super::directory::Directory;
use super::journal::{Journal, Limits};
use super::lines::{Clean, Copies, Lines, Log};
use super::names::{self, Kind};
use core::time::Duration;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use sys::clock::Instant;

const T: Instant = Instant::from_secs(5000);

/// xorshift64: seeded, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn size(&mut self, n: u64) -> usize {
        usize::try_from(self.below(n)).unwrap()
    }
}

fn log(config: &str, line: u64) -> Log {
    let (config, complaints) = Config::parse(config.as_bytes());
    assert_eq!(complaints, []);
    let limits = Limits { size: config.size, line, age: config.age };
    Log::new(config, Journal::new(T, limits, 0))
}

/// Writes what is pending to imaginary files; the last one is `current`.
fn write(journal: &mut Journal, files: &mut Vec<Vec<u8>>) {
    let (bytes, cuts) = journal.pending();
    let mut from = 0;
    for cut in cuts {
        files.last_mut().unwrap().extend_from_slice(&bytes[from..*cut]);
        files.push(Vec::new());
        from = *cut;
    }
    files.last_mut().unwrap().extend_from_slice(&bytes[from..]);
    journal.written();
}

/// Feeds `input` in random chunks, each with `stamp`; the files it becomes.
fn run(random: &mut Random, mut log: Log, length: usize, stamp: &[u8], input: &[u8]) -> (Vec<Vec<u8>>, Copies) {
    let mut lines = Lines::new(length, None);
    let (mut files, mut copies) = (vec![Vec::new()], Copies::default());
    let mut rest = input.to_vec();
    while !rest.is_empty() {
        let n = (1 + random.size(120)).min(rest.len());
        let mut tail = rest.split_off(n);
        let mut fed = 0;
        while fed < n {
            let taken = lines.feed(T, stamp, &mut rest[fed..], std::slice::from_mut(&mut log), &mut copies);
            assert!(fed + taken == n || log.journal.full() && rest[fed + taken - 1] == b'\n');
            fed += taken;
            if random.below(3) == 0 {
                write(&mut log.journal, &mut files);
            }
        }
        core::mem::swap(&mut rest, &mut tail);
        if random.below(50) == 0 {
            log.journal.rotate(T);
        }
    }
    lines.finish(T, std::slice::from_mut(&mut log), &mut copies);
    write(&mut log.journal, &mut files);
    (files, copies)
}

/// Lines of random length, now and then without LF at the end.
fn input(random: &mut Random) -> Vec<u8> {
    let mut text = Vec::new();
    for i in 0..random.below(60) {
        let longest = if random.below(9) == 0 { 900 } else { 60 };
        for _ in 0..random.below(longest) {
            text.push(b'a' + u8::try_from(i % 26).unwrap());
        }
        text.push(b'\n');
    }
    text.extend_from_slice(&b"zz"[..random.size(3)]);
    text
}

/// What the files must hold together.
fn expected(input: &[u8], stamp: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = input.split(|c| *c == b'\n').collect();
    lines.pop_if(|last| last.is_empty());
    lines.iter().flat_map(|l| [stamp, *l, b"\n"].concat()).collect()
}

#[test]
fn the_files_are_the_input() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..8000 {
        let size = [0, 1, 7, 100, 500, 1000, 5000][random.size(7)] + random.below(30);
        let length = [10, 100, 1000][random.size(3)];
        let stamp: &[u8] = if random.below(2) == 0 { b"" } else { b"@stamp: " };
        // A pattern that selects everything makes lines wait for their head.
        let rules = ["", "\n-x*\n+*"][random.size(2)];
        let text = input(&mut random);
        let (files, _) = run(&mut random, log(&format!("s{size}{rules}"), length), length as usize, stamp, &text);
        assert_eq!(files.concat(), expected(&text, stamp), "round {round}");
        for (i, file) in files.iter().enumerate() {
            assert!(size == 0 || file.len() as u64 <= size, "round {round}: {} bytes, size {size}", file.len());
            assert!(!file.is_empty() || i == files.len() - 1, "round {round}: file {i} is empty");
        }
    }
}

#[test]
fn whole_lines_stay_whole_when_they_fit() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let size = 60 + random.below(300);
        let mut log = log(&format!("s{size}"), [20, 1000][random.size(2)]);
        let mut files = vec![Vec::new()];
        for _ in 0..100 {
            log.journal.line(T, b"", b"", &vec![b'x'; random.size(59)]);
        }
        write(&mut log.journal, &mut files);
        for file in files.iter().filter(|f| !f.is_empty()) {
            assert_eq!(file.last(), Some(&b'\n'));
        }
    }
}

#[test]
fn files_are_as_long_as_runits() {
    // s2000, l1000: the first line that reaches 1000 bytes is the last one. Lines of 100 bytes with LF.
    let mut small = log("s2000", 1000);
    (0..30).for_each(|_| small.journal.line(T, b"", b"", &[b'x'; 99]));
    assert_eq!(small.journal.pending().1, [1000, 2000, 3000]);
    let mut default = log("", 1000);
    (0..10_000).for_each(|_| default.journal.line(T, b"", b"", &[b'x'; 99]));
    assert_eq!(default.journal.pending().1, [999_000]);
}

#[test]
fn prefix_patterns_copies_and_long_lines() {
    let config = "pP: \ne*ERR*\n-drop*\nu127.0.0.1:9\n";
    let text = b"one\ndrop ERR\n\nERR and more than the length\nexactly10!\n";
    for seed in 1..200 {
        let (files, copies) = run(&mut Random(seed), log(config, 10), 10, b"@ ", text);
        let all = "@ P: one\n@ P: \n@ P: ERR and more than the length\n@ P: exactly10!\n";
        assert_eq!(String::from_utf8(files.concat()).unwrap(), all);
        assert_eq!(String::from_utf8(copies.stderr).unwrap(), "@ P: drop ERR\n@ P: ERR and mo...\n");
        let sent: Vec<_> = copies.datagrams.iter().map(|d| std::str::from_utf8(&d.text).unwrap()).collect();
        assert_eq!(sent, ["@ P: one\n", "@ P: \n", "@ P: ERR and mo...\n", "@ P: exactly10!...\n"]);
    }
    let (files, copies) = run(&mut Random(1), log("U127.0.0.1", 10), 10, b"", b"x\n");
    assert_eq!((files.concat().len(), copies.datagrams.len(), copies.stderr.len()), (0, 1, 0));
}

#[test]
fn unprintable_characters_are_replaced() {
    let mut log = log("", 1000);
    let mut lines = Lines::new(1000, Some(Clean::new(b'_', b"x\n")));
    let mut chunk = *b"a\tb\x1b[\xc3\xa4x~\nxy\r\n";
    lines.feed(T, b"", &mut chunk, std::slice::from_mut(&mut log), &mut Copies::default());
    assert_eq!(log.journal.pending().0, b"a_b_[___~\n_y_\n");
}

#[test]
fn age() {
    let second = Duration::from_secs(1);
    let mut log = log("t10", 1000);
    let j = &mut log.journal;
    assert_eq!(j.due(), None, "an empty file does not age");
    // Its first period has passed unnoticed.
    j.line(T + second * 13, b"", b"", b"x");
    assert_eq!(j.due(), Some(T + second * 20));
    j.rotate(T + second * 20);
    assert_eq!((j.due(), j.pending().1), (None, [2].as_slice()));
    j.begin(T + second * 21, b"", b"", b"y");
    assert_eq!(j.due(), Some(T + second * 30));
    // Inside a line the file waits for its end.
    j.rotate(T + second * 30);
    assert_eq!((j.due(), j.pending().1.len()), (None, 1));
    j.end(T + second * 31);
    assert_eq!((j.pending().1, j.due()), ([2, 4].as_slice(), None));
    j.rotate(T + second * 40);
    assert_eq!(j.pending().1.len(), 2, "nothing to rotate");
}

/// A directory for one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, config: &str) -> Self {
        let path = std::env::temp_dir().join(format!("svlogd-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        put(&path.join("config"), config);
        Self(path)
    }

    fn open(&self) -> Directory {
        Directory::open(self.0.as_os_str().as_encoded_bytes(), 1000, false, T).unwrap()
    }

    /// Content of the files that are not processed, processed, and current.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().path()).collect();
        names.retain(|p| p.file_name().is_some_and(|n| n.as_encoded_bytes()[0] == b'@' || n == "current"));
        names.sort();
        names.iter().map(|p| format!("{} {}", p.extension().map_or("", |e| e.to_str().unwrap()), read(p))).collect()
    }

    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.0.join(name)).unwrap().permissions().mode() & 0o777
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "test files")]
fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "test files")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn modes_tell_clean_files() {
    let scratch = Scratch::new("modes", "s11\n");
    let mut d = scratch.open();
    assert_eq!((scratch.mode("current"), scratch.mode("lock")), (0o644, 0o600));
    d.journal().line(T, b"", b"", b"12345");
    d.journal().line(T, b"", b"", b"67890");
    d.write().unwrap();
    assert_eq!(scratch.files(), ["s 12345\n", " 67890\n"]);
    d.close();
    assert_eq!(scratch.mode("current"), 0o744);
    drop(d);
    // A clean file is continued.
    let mut d = scratch.open();
    d.journal().line(T, b"", b"", b"abc");
    d.write().unwrap();
    assert_eq!(scratch.files(), ["s 12345\n", " 67890\nabc\n"]);
    // Not closed: as after a crash.
    drop(d);
    let d = scratch.open();
    assert_eq!(scratch.files(), ["s 12345\n", "u 67890\nabc\n", " "]);
    drop(d);
}

#[test]
fn a_directory_has_one_svlogd() {
    let scratch = Scratch::new("lock", "");
    let first = scratch.open();
    let path = scratch.0.as_os_str().as_encoded_bytes();
    assert!(Directory::open(path, 1000, false, T).is_none());
    drop(first);
    assert!(Directory::open(path, 1000, false, T).is_some());
    assert!(Directory::open(b"/nowhere/at/all", 1000, false, T).is_none());
}

#[test]
fn as_many_old_files_as_configured() {
    let scratch = Scratch::new("keep", "s4\nn3\n");
    put(&scratch.0.join("@400000000000000000000001.u"), "old");
    put(&scratch.0.join("@400000000000000000000002.t"), "left over");
    // The clock was ahead once.
    put(&scratch.0.join("@7fffffffffffffff00000000.s"), "from the future");
    let mut d = scratch.open();
    for text in ["aaa", "bbb", "ccc", "ddd"] {
        d.journal().line(T, b"", b"", text.as_bytes());
        d.write().unwrap();
    }
    assert_eq!(scratch.files(), ["s ccc\n", "s ddd\n", "s from the future", " "]);
}

#[test]
fn the_newest_file_is_kept_though_its_name_is_the_smallest() {
    let scratch = Scratch::new("newest", "s4\nn1\n");
    put(&scratch.0.join("@7fffffffffffffff00000000.s"), "from the future");
    let mut d = scratch.open();
    d.journal().line(T, b"", b"", b"aaa");
    d.write().unwrap();
    assert_eq!(scratch.files(), ["s aaa\n", " "]);
}

#[test]
fn names_that_are_taken_are_not_replaced() {
    let scratch = Scratch::new("names", "s2\nn0\n");
    let mut d = scratch.open();
    for _ in 0..500 {
        d.journal().line(T, b"", b"", b"x");
    }
    d.write().unwrap();
    assert_eq!(scratch.files().len(), 501);
    let all = std::fs::read_dir(&scratch.0).unwrap().map(|e| e.unwrap().file_name());
    let ours = all.filter(|n| matches!(names::split(n.as_encoded_bytes()), Some((_, Kind::Finished))));
    assert_eq!(ours.count(), 500);
}
