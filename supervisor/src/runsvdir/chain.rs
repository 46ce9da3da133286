//! Which names decide where a path leads: its last one, and every symbolic link on the way.
//!
//! `/etc/service` may be a link to `/run/runit/current`, itself a link that is swapped. To see a swap one has to watch each
//! directory that holds such a name; a watch on the end of the chain sees nothing (g-pape/runit pull request 40).

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows.
const LINKS_MAX: usize = 40;

/// Calls `watch(directory, name)` for each deciding name of `path`, seen from the directory `base`. `read_link` answers what a link says, none for anything
/// else or nothing. A name that is not there yet decides too, and ends the walk.
pub(crate) fn walk(base: &Path, path: &Path, read_link: impl Fn(&Path) -> Link, mut watch: impl FnMut(&Path, &OsStr)) {
    let mut rest: VecDeque<OsString> = components(path).collect();
    let mut at = base.to_owned();
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.push("..");
            continue;
        }
        let full = at.join(&name);
        match read_link(&full) {
            Link::To(target) if links < LINKS_MAX => {
                links += 1;
                watch(&at, &name);
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                for part in components(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(part);
                }
            }
            Link::To(_) | Link::Missing => return watch(&at, &name),
            Link::No => {
                if rest.is_empty() {
                    watch(&at, &name);
                }
                at = full;
            }
        }
    }
}

/// What a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A link that says this.
    To(PathBuf),
    /// Something else.
    No,
    /// Nothing.
    Missing,
}

/// Names and `..`, without `/` and `.`.
fn components(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(path: &str, links: &[(&str, &str)], missing: &[&str]) -> Vec<String> {
        let mut out = Vec::new();
        let read = |p: &Path| {
            let p = p.to_str().unwrap();
            match links.iter().find(|(from, _)| *from == p) {
                Some((_, to)) => Link::To(to.into()),
                None if missing.contains(&p) => Link::Missing,
                None => Link::No,
            }
        };
        let base = if path.starts_with('/') { "/" } else { "." };
        walk(Path::new(base), Path::new(path), read, |dir, name| {
            out.push(format!("{} {}", dir.display(), name.display()));
        });
        out
    }

    #[test]
    fn a_plain_path_depends_on_its_last_name() {
        assert_eq!(walked("/var/service", &[], &[]), ["/var service"]);
        assert_eq!(walked("sv/x/", &[], &[]), ["./sv x"]);
        assert_eq!(walked(".", &[], &[]), [""; 0]);
        assert_eq!(walked("/", &[], &[]), [""; 0]);
    }

    #[test]
    fn every_link_of_a_chain_counts() {
        let links = [
            ("/etc/service", "/run/runit/current"),
            ("/run/runit/current", "../sets/./default/"),
            ("/run/runit/../sets", "/etc/runit/sets"),
        ];
        assert_eq!(
            walked("/etc/service", &links, &[]),
            ["/etc service", "/run/runit current", "/run/runit/.. sets", "/etc/runit/sets default"]
        );
    }

    #[test]
    fn the_first_missing_name_is_waited_for() {
        assert_eq!(walked("/a/b/c", &[("/a", "/x")], &["/x"]), ["/ a", "/ x"]);
        assert_eq!(walked("/a/b/c", &[], &["/a/b"]), ["/a b"]);
    }

    #[test]
    fn a_loop_ends() {
        assert_eq!(walked("/a", &[("/a", "/a")], &[]).len(), LINKS_MAX + 1);
    }
}
