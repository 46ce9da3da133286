//! A cable that is back -> everything the lease brings is in place: the whole way from the kernel's event through the link watcher,
//! the DHCP client and its file to the end of fw's run, under runsvdir and as it ships, with the watcher's delays at 0.
//!
//! The time is from before the `ip` that puts the far end up, so it has that process in it. No peer does all of this.

use crate::measure::{Samples, budget, now, table};
use lab::{Lab, wait_for};
use nix::sys::signal::Signal;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use sys::clock::monotonic;
use sys::poll::{PollFd, PollFlags, wait};
use sys::watch::{Change, Interest, Watch};

const ROUNDS: usize = 12;
/// The kernel tells of links once a second; what comes sooner after the last event waits.
const RATE: Duration = Duration::from_millis(1100);

pub(crate) fn run(lab: &Lab) {
    let isp = lab.netns("isp");
    let cable = lab.cable((&lab.net(), "eth0"), (&isp, "isp0"));
    isp.address("isp0", "192.0.2.1/24");
    let _dnsmasq = lab.dnsmasq(
        &isp,
        "isp0",
        &["--port=53", "--dhcp-range=192.0.2.100,192.0.2.200,1h", "--dhcp-authoritative", "--no-ping"],
    );
    for (from, name) in [("fw", "fw"), ("examples/dhcp_if", "dhcp_eth0"), ("examples/ifplugd_if", "ifplugd_eth0")] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(from);
        lab.cmd("cp").arg("-rL").arg(from).arg(format!("/var/service/{name}")).ok();
    }
    lab.cmd("sed").args(["-i", "s/^options=.*/options=\"-u0 -d0\"/", "/var/service/ifplugd_eth0/run"]).ok();
    let runsvdir = lab.cmd("runsvdir").args(["-P", "/var/service"]).spawn();
    wait_for("a lease", named);

    let (mut names, mut done) = (Samples::of("portreeve"), Samples::of("portreeve"));
    let watch = Watch::new().unwrap();
    for dir in ["/etc", "/run/service/fw"] {
        watch.add(dir, Interest::Content).unwrap();
    }
    for _ in 0..ROUNDS {
        std::thread::sleep(RATE);
        cable.pull();
        wait_for("the end of the lease", || !named());
        std::thread::sleep(RATE);
        watch.changes(|_, _| {});
        let begun = now();
        cable.plug();
        let (named_at, done_at) = in_place(&watch);
        names.add_span(named_at - begun);
        done.add_span(done_at - begun);
    }
    runsvdir.signal(Signal::SIGHUP);
    table("Cable back -> address, route and name servers", "ms", false, &[names]);
    table("Cable back -> fw has done everything, rules included", "ms", false, &[done]);
    budget("at most 60 ms");
}

fn named() -> bool {
    fs::read_to_string("/etc/resolv.conf").is_ok_and(|text| text.contains("nameserver 192.0.2.1\n"))
}

/// When resolv.conf had the name server, and when the run that wrote it had ended.
fn in_place(watch: &Watch) -> (i64, i64) {
    let (mut named_at, mut done_at) = (None, None);
    while done_at.is_none() {
        wait(&mut [PollFd::new(watch.as_fd(), PollFlags::POLLIN)], monotonic(), None).unwrap();
        watch.changes(|_, change| match change {
            Change::Came(name) if name == "resolv.conf" && named() => named_at = named_at.or_else(|| Some(now())),
            Change::Came(name) if name == "up" && named_at.is_some() => done_at = Some(now()),
            Change::Came(_) | Change::Made(_) | Change::Went(_) | Change::Itself | Change::Overflow => {}
        });
    }
    named_at.zip(done_at).unwrap()
}
