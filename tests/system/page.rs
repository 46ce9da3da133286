//! Commands of a page for people, typed as they are written there, on a machine that has nothing of ours.

use lab::Lab;
use std::path::Path;

/// The indented blocks of a section, a command per line. Paths are from the top of the tree.
pub(crate) fn commands(page: &str, section: &str) -> Vec<Vec<String>> {
    let page = std::fs::read_to_string(tree().join(page)).unwrap();
    let text = page.split("\n## ").find_map(|s| s.strip_prefix(section)).expect("the section");
    let mut blocks = vec![Vec::new()];
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(command) => blocks.last_mut().unwrap().push(command.to_owned()),
            None if blocks.last().unwrap().is_empty() => {}
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

fn tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A machine without anything of ours: its own /usr/local and /etc/sv.
pub(crate) fn bare(lab: &Lab) {
    lab.sh("mount -t tmpfs bare /usr/local && rm -f /etc/sv && rmdir /var/service").ok();
}

/// Whoever edits: `cases` are those of a shell's `case` of the file's name.
pub(crate) fn editor(lab: &Lab, cases: &str) {
    lab.write(
        "editor",
        format!("#!/bin/sh\ncase $1 in\n{cases}\n*) echo \"nothing to edit in $1\" >&2; exit 1 ;;\nesac\n"),
    );
    lab.sh("chmod 755 editor").ok();
}

/// One line as it is typed into root's shell, in the source tree; what it starts in the background lives on.
pub(crate) fn typed(lab: &Lab, line: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    let built = exe.parent().and_then(Path::parent).unwrap().to_owned();
    // What stays in the background would keep the pipes of this command open.
    let line = format!("{line} ").replace(" & ", " >/dev/null 2>&1 & ");
    lab.sh(&format!("cd {} && {line}", tree().display()))
        .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("BUILT", std::env::var_os("PORTREEVE_BIN").map_or(built, Into::into))
        .env("EDITOR", lab.path("editor"))
        .ok()
}
