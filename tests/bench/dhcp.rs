//! exec of the client -> its script called with `bound`, against dnsmasq --no-ping over a veth pair; then its memory.
//!
//! Every start has a new hardware address and no lease, so each exchange is the full one of four packets.

use crate::measure::{Samples, budget, children, kilobytes, now, stamp, stamps, table};
use lab::{Cmd, Lab, peer, unpacked_peer, wait_for};
use std::path::{Path, PathBuf};

const ROUNDS: usize = 9;

/// A client: how it is started in the foreground on eth0 with nothing remembered, and where its executable is.
struct Client {
    name: &'static str,
    program: PathBuf,
    start: fn(&Lab, &Run<'_>) -> Cmd,
}

/// One start of one client.
struct Run<'a> {
    program: &'a Path,
    hook: &'a Path,
    /// Where the hook writes: in the environment, which two clients do not pass on.
    stamp: String,
    /// For what the client wants to remember.
    dir: PathBuf,
}

const CLIENTS: [fn() -> Client; 4] = [
    || Client { name: "portreeve udhcpc", program: lab::our("udhcpc"), start: udhcpc },
    || Client { name: "busybox udhcpc", program: peer("udhcpc"), start: udhcpc },
    || Client { name: "dhcpcd", program: unpacked_peer("dhcpcd").0, start: dhcpcd },
    || Client { name: "dhclient", program: unpacked_peer("dhclient").0, start: dhclient },
];

fn udhcpc(lab: &Lab, run: &Run<'_>) -> Cmd {
    let cmd = lab.cmd(run.program).args(["-f", "-i", "eth0", "-s"]).arg(run.hook);
    cmd.env("PORTREEVE_STATE", &run.dir).env("STAMP", run.stamp.strip_prefix("STAMP=").unwrap())
}

/// Without its ARP check and its random delay, as the others.
fn dhcpcd(lab: &Lab, run: &Run<'_>) -> Cmd {
    let cmd =
        lab.cmd(run.program).args(["-B", "-4", "--noarp", "--nodelay", "-f", "/dev/null", "-e", &run.stamp, "-c"]);
    cmd.arg(run.hook).arg("eth0")
}

fn dhclient(lab: &Lab, run: &Run<'_>) -> Cmd {
    let (name, libraries) = unpacked_peer("dhclient").1;
    let cmd = lab.cmd(run.program).args(["-4", "-d", "-cf", "/dev/null", "-e", &run.stamp, "-sf"]).arg(run.hook);
    let cmd = cmd.arg("-lf").arg(run.dir.join("leases")).arg("-pf").arg(run.dir.join("pid"));
    cmd.arg("eth0").env(name, libraries)
}

pub(crate) fn run(lab: &Lab) {
    let isp = lab.netns("isp");
    let cable = lab.cable((&lab.net(), "eth0"), (&isp, "isp0"));
    isp.address("isp0", "10.77.0.1/24");
    let _dnsmasq =
        lab.dnsmasq(&isp, "isp0", &["--dhcp-range=10.77.0.20,10.77.0.250,1h", "--dhcp-authoritative", "--no-ping"]);
    let clients = CLIENTS.map(|c| c());
    let hook = lab.path("hook");
    std::fs::copy(stamp(), &hook).unwrap();
    // dhcpcd makes only the last directory.
    std::fs::create_dir_all("/var/lib/dhcpcd").unwrap();
    let rows = || clients.iter().map(|c| Samples::of(c.name)).collect::<Vec<_>>();
    let (mut bound, mut memory, mut size) = (rows(), rows(), rows());
    for round in 0..ROUNDS {
        for (i, client) in clients.iter().enumerate() {
            lab.net().ip("addr flush dev eth0");
            lab.net().ip("link set eth0 down");
            lab.net().ip(&format!("link set eth0 address 02:00:00:00:{i:02x}:{round:02x}"));
            lab.net().ip("link set eth0 up");
            lab.net().wait_carrier("eth0", true);
            let file = lab.path(&format!("stamps{i}-{round}"));
            let dir = lab.path(&format!("state{i}-{round}"));
            std::fs::create_dir_all(&dir).unwrap();
            let stamp = format!("STAMP={}", file.display());
            let cmd = (client.start)(lab, &Run { program: &client.program, hook: &hook, stamp, dir });
            let begun = now();
            let process = cmd.spawn();
            let is_bound = || stamps(&file).into_iter().find(|(_, _, args)| args.eq_ignore_ascii_case("bound"));
            wait_for("bound", || is_bound().is_some());
            bound[i].add_span(is_bound().unwrap().0 - begun);
            memory[i].add(settled(process.pid()));
            process.stop();
        }
    }
    drop(cable);
    for (row, client) in size.iter_mut().zip(&clients) {
        row.add(std::fs::metadata(&client.program).unwrap().len() as f64 / 1024.0);
    }
    table("DHCP: start of the client -> script called with bound", "ms", false, &bound);
    budget("at most 6 ms (best peer 20 ms)");
    table("DHCP: memory of the bound client (PSS of all its processes)", "kB", false, &memory);
    budget("at most 220 kB");
    table(
        "DHCP: the executable (ours: all network services; busybox: all applets; shared libraries not counted)",
        "kB",
        false,
        &size,
    );
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
