//! exec of the client -> its script called with `bound`, against dnsmasq --no-ping over a veth pair.
//!
//! Every start has a new hardware address and no lease, so each exchange is the full one of four packets.

use crate::measure::{Samples, budget, now, stamp, stamps, table};
use lab::{Cmd, Lab, Proc, peer, unpacked_peer, wait_for};
use std::path::{Path, PathBuf};

const ROUNDS: usize = 9;

/// A client: how it is started in the foreground on eth0 with nothing remembered, and where its executable is.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    program: PathBuf,
    start: fn(&Lab, &Run<'_>) -> Cmd,
    pub(crate) cable: Cable,
}

/// How it learns of its cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cable {
    Watches,
    /// By signals, from something like ifplugd.
    IsTold,
    Ignores,
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

/// Ours first. Busybox twice: Debian's, which shares libc with the whole machine, and alone and static, as on a router.
pub(crate) fn clients() -> Vec<Client> {
    let (dhcpcd_, dhclient_) = (unpacked_peer("dhcpcd").0, unpacked_peer("dhclient").0);
    let mut all = vec![
        Client { name: "portreeve udhcpc", program: lab::our("udhcpc"), start: udhcpc, cable: Cable::Watches },
        Client { name: "busybox udhcpc", program: peer("udhcpc"), start: udhcpc, cable: Cable::IsTold },
        Client { name: "dhcpcd", program: dhcpcd_, start: dhcpcd, cable: Cable::Watches },
        Client { name: "dhclient", program: dhclient_, start: dhclient, cable: Cable::Ignores },
    ];
    let built = std::env::var_os("PORTREEVE_PEERS").map(|dir| Path::new(&dir).join("bb-net/udhcpc"));
    if let Some(program) = built.filter(|p| p.exists()) {
        all.push(Client { name: "udhcpc, static musl", program, start: udhcpc, cable: Cable::IsTold });
    }
    all
}

impl Client {
    /// Starts it; its hook writes into `file`, it may remember things in `dir`.
    pub(crate) fn spawn(&self, lab: &Lab, file: &Path, dir: PathBuf) -> Proc {
        let hook = lab.path("hook");
        if !hook.exists() {
            std::fs::copy(stamp(), &hook).unwrap();
            // dhcpcd makes only the last directory.
            std::fs::create_dir_all("/var/lib/dhcpcd").unwrap();
        }
        std::fs::create_dir_all(&dir).unwrap();
        let stamp = format!("STAMP={}", file.display());
        (self.start)(lab, &Run { program: &self.program, hook: &hook, stamp, dir }).spawn()
    }
}

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

/// eth0 with a hardware address that was not there before, and so no lease.
pub(crate) fn fresh_interface(lab: &Lab, client: usize, round: usize) {
    let eth0 = lab.net();
    eth0.ip("addr flush dev eth0");
    eth0.ip("link set eth0 down");
    eth0.ip(&format!("link set eth0 address 02:00:00:00:{client:02x}:{round:02x}"));
    eth0.ip("link set eth0 up");
    eth0.wait_carrier("eth0", true);
}

pub(crate) fn run(lab: &Lab) {
    let isp = lab.netns("isp");
    let _cable = lab.cable((&lab.net(), "eth0"), (&isp, "isp0"));
    isp.address("isp0", "10.77.0.1/24");
    let _dnsmasq =
        lab.dnsmasq(&isp, "isp0", &["--dhcp-range=10.77.0.20,10.77.0.250,1h", "--dhcp-authoritative", "--no-ping"]);
    let clients = clients();
    let rows = || clients.iter().map(|c| Samples::of(c.name)).collect::<Vec<_>>();
    let (mut bound, mut size) = (rows(), rows());
    for round in 0..ROUNDS {
        for (i, client) in clients.iter().enumerate() {
            fresh_interface(lab, i, round);
            let file = lab.path(&format!("stamps{i}-{round}"));
            let begun = now();
            let process = client.spawn(lab, &file, lab.path(&format!("state{i}-{round}")));
            let is_bound = || stamps(&file).into_iter().find(|(_, _, args)| args.eq_ignore_ascii_case("bound"));
            wait_for("bound", || is_bound().is_some());
            bound[i].add_span(is_bound().unwrap().0 - begun);
            process.stop();
        }
    }
    for (row, client) in size.iter_mut().zip(&clients) {
        row.add(std::fs::metadata(&client.program).unwrap().len() as f64 / 1024.0);
    }
    table("DHCP: start of the client -> script called with bound", "ms", false, &bound);
    budget("at most 6 ms (best peer 20 ms)");
    table(
        "DHCP: the executable (ours: all network services; busybox: Debian's applets, our three; libraries not counted)",
        "kB",
        false,
        &size,
    );
}
