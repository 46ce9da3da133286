//! The shape of the tree: what the supervisor links, that scripts are plain sh, that nothing belongs to one machine.

use lab::peer;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the tree but what is built or fetched.
fn files() -> Vec<PathBuf> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name();
            let fetched = dir == root() && ["target", "peers", "bench-out", "dist"].iter().any(|d| name == *d);
            if kind.is_dir() && !fetched && name != ".git" {
                walk(&path, into);
            } else if kind.is_file() {
                into.push(path);
            }
        }
    }
    let mut all = Vec::new();
    walk(&root(), &mut all);
    assert!(all.len() > 50, "the tree is at {}", root().display());
    all.sort();
    all
}

fn texts() -> impl Iterator<Item = (PathBuf, String)> {
    files().into_iter().filter_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text)))
}

/// The supervisor is small because of what it does not link; a new name here needs a reason.
#[test]
fn supervisor_links_nix_and_nothing_else() {
    const ALLOWED: [&str; 7] = ["supervisor", "sys", "nix", "libc", "bitflags", "cfg-if", "cfg_aliases"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "--package", "supervisor", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8_lossy(&tree.stdout);
    let names: BTreeSet<&str> = text.lines().filter_map(|l| l.split_whitespace().next()).collect();
    let foreign: Vec<_> = names.iter().filter(|n| !ALLOWED.contains(n)).collect();
    assert!(names.contains("nix") && foreign.is_empty(), "{foreign:?} in\n{text}");
}

/// Not those that are bash on purpose: what people have from before (`fw::legacy`).
fn scripts() -> Vec<(PathBuf, String)> {
    texts()
        .filter(|(path, text)| {
            let first = text.lines().next().unwrap_or("");
            let ours = !path.starts_with(root().join("tests/system/fw/legacy"));
            first.starts_with("#!") && first.trim_end().ends_with("sh") && ours
        })
        .collect()
}

#[test]
fn scripts_are_plain_sh() {
    let scripts = scripts();
    assert!(scripts.iter().any(|(path, _)| path.ends_with("fw/run")), "fw/run is a script");
    let mut wrong = String::new();
    let mut check = |words: &[&str], files: &[PathBuf]| {
        let out = Command::new(peer(words[0])).args(&words[1..]).args(files).current_dir(root()).output().unwrap();
        if !out.status.success() {
            wrong += &format!("{}: {}\n", words.join(" "), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()));
        }
    };
    let names: Vec<_> = scripts.iter().map(|(path, _)| path.strip_prefix(root()).unwrap().to_owned()).collect();
    check(&["shellcheck", "-x", "--shell=sh"], &names);
    for name in names {
        check(&["dash", "-n"], std::slice::from_ref(&name));
        check(&["busybox", "sh", "-n"], &[name]);
    }
    for (path, text) in &scripts {
        let first = text.lines().next().unwrap_or("");
        if first != "#!/bin/sh" {
            wrong += &format!("{}: {first}, expected #!/bin/sh\n", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A service's script ends by becoming the daemon, so that signals reach it.
#[test]
fn log_scripts_end_in_exec() {
    for (path, text) in scripts().iter().filter(|(path, _)| path.ends_with("log/run")) {
        let last = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("");
        assert!(last.trim_start().starts_with("exec "), "{}: {last}", path.display());
    }
}

#[test]
fn nothing_belongs_to_one_machine() {
    // In two parts, so that this file is no finding.
    let paths = [["/wor", "k/"], ["/tmp/te", "am"], ["/ro", "ot/"], ["/ho", "me/"]].map(|p| p.concat());
    let mut wrong = String::new();
    for (path, text) in texts() {
        for (n, line) in text.lines().enumerate() {
            if paths.iter().any(|p| line.contains(p.as_str())) {
                wrong += &format!("{}:{}: {line}\n", path.display(), n + 1);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// `unsafe` has its places (design §3); the lints refuse it elsewhere unless a file lifts them.
#[test]
fn unsafe_has_its_places() {
    const PLACES: [&str; 6] = [
        "supervisor/sys/",
        "netd/netif/src/packet",
        "netd/netif/src/sandbox",
        "tests/lab/tap.rs",
        // What a child does before its exec, and the filter that makes a kernel an older one.
        "tests/lab/cmd.rs",
        "tests/lab/kernel.rs",
    ];
    let word = ["unsafe_", "code"].concat();
    let forbidden = ["forbid(", &word].concat();
    let lifted: Vec<_> = texts()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "rs"))
        .filter(|(_, text)| text.replace(&forbidden, "").contains(&word))
        .map(|(path, _)| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned())
        .filter(|path| !PLACES.iter().any(|p| path.starts_with(p)))
        .collect();
    assert!(lifted.is_empty(), "{lifted:?}");
}
