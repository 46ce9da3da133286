//! Connections through an uplink that is not the used one any more: ended, so that they begin anew through the one that is.
//!
//! After a switch, and only when the new default route is there, the kernel's record of every connection that left under an
//! address of the old uplink is deleted (`conntrack -D --reply-dst ADDRESS`, conntrack-tools). What came in there, and what
//! uses a third uplink, is not touched. The old uplink's `failback` says `keep`, `drop` or after how many seconds; one that
//! is dead or has gone keeps nothing. IPv6 connections are not translated and end by themselves.
//!
//! `netd forget [--after SEC] IF ADDRESS...` does it later: the same, unless IF is the used uplink again by then.
#![expect(clippy::disallowed_methods, reason = "driver: runs conntrack, waits for the time that failback names")]

use crate::host::Host;
use crate::say;
use crate::state::desired::{Source, dead_links};
use crate::state::object::{Actual, Link, MAIN};
use netif::IfName;
use netif::ipconf::Failback;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use sys::{clock, poll};

/// For the usage text.
pub(crate) const ARGS: &str = "[--after SEC] IF ADDRESS...";

/// What a switch leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    link: IfName,
    addresses: Vec<Ipv4Addr>,
    failback: Failback,
}

/// The used uplink as it is before anything is changed: its link and its addresses.
pub(crate) fn uplink(actual: &Actual) -> Option<(Link, Vec<Ipv4Addr>)> {
    used(actual).map(|link| (link.clone(), addresses(actual, link)))
}

/// What a switch from `old` leaves behind; none when the used uplink is the same, or there is no other to use.
pub(crate) fn left(old: Option<(Link, Vec<Ipv4Addr>)>, after: &Actual, sources: &[Source]) -> Option<Left> {
    let ((old, addresses), new) = (old?, used(after)?);
    if old.name == new.name {
        return None;
    }
    let works = after.link(old.index).is_some_and(|l| l.up) && !dead_links(sources, &after.links).contains(&old.index);
    let asked = || sources.iter().flat_map(|s| &s.entries).find_map(|e| e.failback.filter(|_| e.iface == old.name));
    let failback = if works { asked().unwrap_or(Failback::Drop) } else { Failback::Drop };
    Some(Left { link: old.name, addresses, failback })
}

/// Carries it out, or sees to it that it will be.
pub(crate) fn end(left: &Left) {
    let Left { link, addresses, failback } = left;
    match failback {
        Failback::Keep => {}
        Failback::Drop => forget(*link, addresses),
        Failback::After(seconds) => {
            let mut later = Command::new("/proc/self/exe");
            later.arg0(crate::NETD).args(["forget", "--after", &seconds.to_string(), &link.to_string()]);
            later.args(addresses.iter().map(ToString::to_string)).process_group(0);
            later.stdin(Stdio::null()).stdout(Stdio::null());
            match later.spawn() {
                Ok(_) => say::done(&[format!("{link}: its connections end in {seconds} s")]),
                Err(e) => say::warning(&format!("{link}: unable to end its connections later: {e}")),
            }
        }
    }
}

/// `netd forget`.
pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let (after, link, addresses) = match options(args) {
        Ok(options) => options,
        Err(e) => return crate::wrong_usage(&e),
    };
    let deadline = clock::monotonic() + after;
    while clock::monotonic() < deadline && poll::wait(&mut [], clock::monotonic(), Some(deadline)).is_ok() {}
    match Host::open(&[], std::path::Path::new("")).and_then(|host| host.dump()) {
        Ok(actual) if used(&actual).is_some_and(|l| l.name != link) => forget(link, &addresses),
        Ok(_) => {}
        Err(refusal) => return crate::give_up(&format!("unable to read the kernel's network state: {refusal}")),
    }
    ExitCode::SUCCESS
}

fn options(args: &[OsString]) -> Result<(Duration, IfName, Vec<Ipv4Addr>), lexopt::Error> {
    use lexopt::prelude::*;
    let (mut after, mut link, mut addresses) = (Duration::ZERO, None, Vec::new());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("after") => after = Duration::from_secs(parser.value()?.parse::<u32>()?.into()),
            Value(name) if link.is_none() => link = Some(name.parse()?),
            Value(address) => addresses.push(address.parse()?),
            Short(_) | Long(_) => return Err(arg.unexpected()),
        }
    }
    Ok((after, link.ok_or("an interface is missing")?, addresses))
}

/// The link of the IPv4 default route that is used: of those whose link is up, the one with the smallest metric. Of several
/// links that share a route none is abandoned while the others go on.
fn used(actual: &Actual) -> Option<&Link> {
    let default = |r: &&crate::state::object::Route| {
        r.table == MAIN && r.destination.is_default() && r.destination.addr().is_ipv4()
    };
    let hop = |r: &crate::state::object::Route| r.hops.iter().find_map(|h| actual.link(h.link).filter(|l| l.up));
    let routes = actual.routes.iter().map(|r| &r.object).filter(default);
    routes.filter_map(|r| Some((r.metric, hop(r)?))).min_by_key(|(metric, _)| *metric).map(|(_, link)| link)
}

fn addresses(actual: &Actual, link: &Link) -> Vec<Ipv4Addr> {
    let of_link = actual.addresses.iter().filter(|a| a.object.link == link.index);
    let v4 = |a: IpAddr| if let IpAddr::V4(v4) = a { Some(v4) } else { None };
    of_link.filter_map(|a| v4(a.object.prefix.addr())).collect()
}

fn forget(link: IfName, addresses: &[Ipv4Addr]) {
    for address in addresses {
        let mut conntrack = Command::new("conntrack");
        conntrack.args(["-D", "-f", "ipv4", "--reply-dst", &address.to_string()]);
        conntrack.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match conntrack.status() {
            // 1: there was none.
            Ok(status) if matches!(status.code(), Some(0 | 1)) => {
                say::done(&[format!("{link}: connections from {address} ended")]);
            }
            Ok(status) => say::warning(&format!("{link}: unable to end connections: conntrack: {status}")),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return say::warning(&format!("{link}: unable to end connections: conntrack is not installed"));
            }
            Err(e) => return say::warning(&format!("{link}: unable to end connections: conntrack: {e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::desired::{Hold, Policy, desired};
    use crate::state::object::{Owned, Owner};
    use netif::IfIndex;
    use netif::ipconf::File;

    fn source(text: &str) -> Source {
        let text = text.replace(' ', "\n").replace('=', "[$cfg]=").replace(';', "\nlet cfg++\n");
        let entries = File::parse(format!("let cfg++\n{text}").as_bytes()).unwrap().entries().unwrap().entries;
        Source { path: "run/x.ipconf".into(), is_static: false, entries }
    }

    /// The kernel after an apply of these records.
    fn applied(sources: &[Source]) -> Actual {
        let link = |(i, name): (u32, &str)| Link::new(IfIndex::new(i).unwrap(), name.parse().unwrap());
        let links: Vec<Link> = [(2, "eth0"), (3, "eth1")].map(link).into();
        let d = desired(sources, &Hold::Nowhere, &links, &Policy::default());
        let ours = |object| Owned { object, owner: Owner::Us };
        Actual {
            addresses: d.addresses.into_iter().map(|w| Owned { object: w.object, owner: Owner::Us }).collect(),
            routes: d.routes.into_iter().map(|w| ours(w.object)).collect(),
            links,
            rules: Vec::new(),
        }
    }

    const FIRST: &str = "if=eth0 ipmask=192.0.2.7/24 gw=192.0.2.1 net=0/0 metric=10";
    const SECOND: &str = "if=eth1 ipmask=198.51.100.7/24 gw=198.51.100.1 net=0/0 metric=20 failback=30";

    #[test]
    fn the_used_uplink_is_left_when_another_takes_over() {
        let both = [source(FIRST), source(SECOND)];
        let dead = [source(FIRST), source(SECOND), source("if=eth0 health=down")];
        let left_of = |link: &str, address: [u8; 4], failback| {
            Some(Left { link: link.parse().unwrap(), addresses: vec![address.into()], failback })
        };
        assert_eq!(left(uplink(&applied(&both)), &applied(&both), &both), None);
        let failover = left(uplink(&applied(&both)), &applied(&dead), &dead);
        assert_eq!(failover, left_of("eth0", [192, 0, 2, 7], Failback::Drop));
        let failback = left(uplink(&applied(&dead)), &applied(&both), &both);
        assert_eq!(failback, left_of("eth1", [198, 51, 100, 7], Failback::After(30)));
        // A dead one keeps nothing, whatever it says.
        let gone = [source(FIRST), source(SECOND), source("if=eth1 health=down")];
        assert_eq!(
            left(uplink(&applied(&dead)), &applied(&gone), &gone),
            left_of("eth1", [198, 51, 100, 7], Failback::Drop)
        );
    }

    #[test]
    fn the_last_uplink_keeps_its_connections() {
        let none: [Source; 0] = [];
        assert_eq!(left(uplink(&applied(&[source(FIRST)])), &applied(&none), &none), None);
        assert_eq!(left(uplink(&applied(&none)), &applied(&[source(FIRST)]), &none), None);
    }
}
