//! What is wrong with a configuration, as far as can be said without running it: the administrator's `.ipconf` files, the
//! syntax of the shell scripts, and the rules. These need the policy that `run` sets, so `run check` is asked, where `run`
//! knows that word.
#![expect(clippy::disallowed_methods, reason = "driver: runs sh -n and run check")]

use crate::{say, sources};
use netif::nftables::{Family, Table};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use sys::Errno;
use sys::file::{self, CWD};

/// Largest script in bytes.
const MAX: usize = 1 << 20;

/// How a `run` begins that does nothing but look when it is given a word. Any other would do all it does.
const GUARD: &str = "\n[ $# != 0 ] || sv o .";

/// A line for each mistake, of whatever kind.
pub(crate) fn all(dir: &Path) -> Vec<String> {
    let bad = [ipconf(dir), scripts(dir)].concat();
    if bad.is_empty() { rules(dir) } else { bad }
}

/// One line for each `.ipconf` file below `conf/` that cannot be used. Without `conf/` it is a configuration of another style.
pub(crate) fn ipconf(dir: &Path) -> Vec<String> {
    sources::read(&dir.join(sources::CONF_DIR), Path::new("/nonexistent")).map(|s| s.bad).unwrap_or_default()
}

/// What `run check` says: nft's words, or those about the policy.
fn rules(dir: &Path) -> Vec<String> {
    let knows = file::read_bounded(CWD, &dir.join("run"), MAX).is_ok_and(|run| contains(&run, GUARD.as_bytes()));
    if !knows {
        return Vec::new();
    }
    let probe = Table { family: Family::INET, name: String::new() };
    if probe.handle() == Err(Errno::EPERM) {
        say::warning(&format!("{}: the rules were not looked at: it takes root", dir.display()));
        return Vec::new();
    }
    match Command::new("./run").arg("check").current_dir(dir).stdin(Stdio::null()).output() {
        Ok(out) if out.status.success() => Vec::new(),
        Ok(out) => {
            let said = [out.stdout, out.stderr].concat();
            let lines: Vec<String> = String::from_utf8_lossy(&said).lines().map(str::to_owned).collect();
            if lines.is_empty() { vec![format!("{}: `run check` fails", dir.display())] } else { lines }
        }
        Err(e) => vec![format!("{}: unable to run it: {e}", dir.join("run").display())],
    }
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

/// What shells say of the scripts: `run`, `finish` and the templates. A script in another language is not looked at.
fn scripts(dir: &Path) -> Vec<String> {
    let templates = std::fs::read_dir(dir.join("etc")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> = templates.collect();
    all.sort();
    ["run", "finish"].map(|name| dir.join(name)).iter().chain(&all).flat_map(|path| script(path)).collect()
}

fn script(path: &Path) -> Vec<String> {
    let Some(shell) = file::read_bounded(CWD, path, MAX).ok().as_deref().and_then(shell) else { return Vec::new() };
    match Command::new(&shell).arg("-n").arg(path).stdin(Stdio::null()).output() {
        Ok(out) if out.status.success() => Vec::new(),
        Ok(out) => String::from_utf8_lossy(&out.stderr).lines().map(str::to_owned).collect(),
        Err(e) => vec![format!("{}: unable to run {shell}: {e}", path.display())],
    }
}

/// The program after `#!`, if it is a shell.
fn shell(script: &[u8]) -> Option<String> {
    let first = script.strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    let program = std::str::from_utf8(first).ok()?.split_whitespace().next()?;
    let name = Path::new(program).file_name()?.to_str()?;
    ["sh", "dash", "bash", "ash", "ksh", "mksh"].contains(&name).then(|| program.to_owned())
}

#[cfg(test)]
mod tests {
    use super::shell;

    #[test]
    fn shells_are_known_by_their_name() {
        assert_eq!(shell(b"#!/bin/sh\nexit\n").as_deref(), Some("/bin/sh"));
        assert_eq!(shell(b"#! /usr/bin/bash -e").as_deref(), Some("/usr/bin/bash"));
        for other in
            [&b"#!/usr/bin/perl\n"[..], b"#!/usr/bin/env sh\n", b"#!", b"", b"nameserver 192.0.2.1\n", b"#!\xff\n"]
        {
            assert_eq!(shell(other), None);
        }
    }
}
