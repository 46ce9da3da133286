//! exec of the client -> its script called with `bound`, against dnsmasq --no-ping over a veth pair; then its memory.
//!
//! Every start has a new hardware address and no lease, so each exchange is the full one of four packets.

use crate::measure::{Samples, budget, children, kilobytes, now, stamp, stamps, table};
use lab::{Lab, wait_for};
use std::path::PathBuf;

const ROUNDS: usize = 9;

pub(crate) fn run(lab: &Lab) {
    let isp = lab.netns("isp");
    let cable = lab.cable((&lab.net(), "eth0"), (&isp, "isp0"));
    isp.address("isp0", "10.77.0.1/24");
    let _dnsmasq =
        lab.dnsmasq(&isp, "isp0", &["--dhcp-range=10.77.0.20,10.77.0.250,1h", "--dhcp-authoritative", "--no-ping"]);
    let clients: [(&str, PathBuf); 2] =
        [("portreeve udhcpc", lab::our("udhcpc")), ("busybox udhcpc", lab::peer("udhcpc"))];
    let hook = lab.path("hook");
    std::fs::copy(stamp(), &hook).unwrap();
    let mut bound: Vec<_> = clients.iter().map(|(name, _)| Samples::of(name)).collect();
    let mut memory: Vec<_> = clients.iter().map(|(name, _)| Samples::of(name)).collect();
    for round in 0..ROUNDS {
        for (i, (_, client)) in clients.iter().enumerate() {
            lab.net().ip("link set eth0 down");
            lab.net().ip(&format!("link set eth0 address 02:00:00:00:{i:02x}:{round:02x}"));
            lab.net().ip("link set eth0 up");
            lab.net().wait_carrier("eth0", true);
            let file = lab.path(&format!("stamps{i}-{round}"));
            let cmd = lab.cmd(client).args(["-f", "-i", "eth0", "-s"]).arg(&hook).env("STAMP", &file);
            let begun = now();
            let process = cmd.env("PORTREEVE_STATE", lab.path(&format!("state{i}-{round}"))).spawn();
            let is_bound = || stamps(&file).into_iter().find(|(_, _, args)| args == "bound");
            wait_for("bound", || is_bound().is_some());
            bound[i].add_span(is_bound().unwrap().0 - begun);
            memory[i].add(settled(process.pid()));
            process.stop();
        }
    }
    drop(cable);
    table("DHCP: start of the client -> script called with bound", "ms", false, &bound);
    budget("at most 6 ms (best peer 20 ms)");
    table("DHCP: memory of the bound client (PSS of all its processes)", "kB", false, &memory);
    budget("at most 220 kB");
}

/// PSS of a client and its children, when it does not change any more.
fn settled(pid: i32) -> f64 {
    let sum = || [pid].into_iter().chain(children(pid)).map(|p| kilobytes(p).1).sum::<f64>();
    // The script is a child, or a child's child, until it was reaped.
    let scripts = || children(pid).into_iter().flat_map(children).count();
    let (mut last, mut since) = (f64::NAN, now());
    wait_for("its memory to be what it stays", || {
        let (before, reading) = (last, sum());
        last = reading;
        if scripts() > 0 || reading.total_cmp(&before).is_ne() {
            since = now();
        }
        // Longer than it takes to write a lease file and to close a packet socket.
        now() - since > 300_000_000
    });
    last
}
