//! The directory of a service that a template serves: dhcp_eth0 from dhcp_if.
//!
//! It holds links to what is in the template, and `supervise/` and `log/` of its own. So one template serves any number of
//! interfaces, a change in it counts for all of them, and a script finds the name of its service in its directory's whoever
//! supervises it: runit's runsv leaves `PWD` to the shell, which says where a link leads.

use super::{Failure, Why, failure, under};
use std::os::fd::{AsFd, OwnedFd};
use sys::Errno;
use sys::file::{self, CWD};

/// Makes `sources/name` of `template`, or of the one that its name says, and returns the template's name.
pub(super) fn make(sources: &[u8], name: &[u8], template: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    if template.is_some_and(|template| template.contains(&b'/')) {
        return Err(Failure {
            path: template.unwrap_or_default().to_vec(),
            why: Why::Words(b"not the name of a template"),
        });
    }
    let candidates = template.map_or_else(|| by_name(name), |template| vec![template.to_vec()]);
    let is_there =
        |template: &&Vec<u8>| file::exists(CWD, under(&under(sources, template), b"run").as_slice()) == Ok(true);
    let Some(found) = candidates.iter().find(is_there) else {
        // The first is the nearest; without any it is the directory itself that is missing.
        let missing = candidates.first().map_or(name, Vec::as_slice);
        let why = if missing == name {
            Why::System(Errno::ENOENT)
        } else {
            Why::Words(b"no such directory, and no such template")
        };
        return Err(Failure { path: under(sources, missing), why });
    };
    let new = [b".", name, b".new"].concat();
    let build = || {
        let dir = file::open_dir(CWD, sources)?;
        file::make_dir(dir.as_fd(), new.as_slice(), 0o755)?;
        let to = file::open_dir(dir.as_fd(), new.as_slice())?;
        fill(&file::open_dir(dir.as_fd(), found.as_slice())?, &under(b"..", found), &to)?;
        file::rename(dir.as_fd(), new.as_slice(), name)
    };
    build().map_err(failure(under(sources, name)))?;
    Ok(Some(found.clone()))
}

/// Templates for a name, the nearest first: dhcp_if_pinger and dhcp_if for dhcp_eth0_pinger.
fn by_name(name: &[u8]) -> Vec<Vec<u8>> {
    let Some(kind) = name.iter().position(|c| *c == b'_').filter(|at| at + 1 < name.len()) else { return Vec::new() };
    let (kind, interface) = (&name[..kind], &name[kind + 1..]);
    let role = interface.iter().rposition(|c| *c == b'_').filter(|at| *at > 0).map(|at| &interface[at..]);
    let plain = [kind, b"_if"].concat();
    role.map(|role| [&plain, role].concat()).into_iter().chain([plain.clone()]).collect()
}

/// Makes links in `to` to what is in `from`, where `link` leads from `to`. What an interrupted call left is used.
fn fill(from: &OwnedFd, link: &[u8], to: &OwnedFd) -> Result<(), Errno> {
    let mut names = Vec::new();
    file::for_each_name(from.as_fd(), |name| names.push(name.to_vec()))?;
    names.retain(|name| name != b"supervise" && !name.starts_with(b"."));
    for name in &names {
        if name == b"log" && file::is_dir(&file::stat(from.as_fd(), name.as_slice())?) {
            // A service directory too, one level further down.
            file::make_dir(to.as_fd(), name.as_slice(), 0o755)?;
            let (from, to) =
                (file::open_dir(from.as_fd(), name.as_slice())?, file::open_dir(to.as_fd(), name.as_slice())?);
            fill(&from, &under(&under(b"..", link), name), &to)?;
        } else {
            file::unlink(to.as_fd(), name.as_slice())?;
            file::make_link(&under(link, name), to.as_fd(), name.as_slice())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(name: &str) -> Vec<String> {
        by_name(name.as_bytes()).into_iter().map(|t| String::from_utf8(t).unwrap()).collect()
    }

    #[test]
    fn a_name_says_its_template() {
        assert_eq!(templates("dhcp_eth0"), ["dhcp_if"]);
        assert_eq!(templates("dhcp_eth0_pinger"), ["dhcp_if_pinger", "dhcp_if"]);
        assert_eq!(templates("dhcp_wlan_0_pinger"), ["dhcp_if_pinger", "dhcp_if"]);
        assert_eq!(templates("dhcp__x"), ["dhcp_if"]);
        for name in ["fw", "", "dhcp_", "_"] {
            assert_eq!(templates(name), [""; 0], "{name}");
        }
    }
}
