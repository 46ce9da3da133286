//! The gateway: `fw/` and `examples/` as they ship, our programs, a real provider (dnsmasq) and a host behind it.

mod failover;
mod firewall;
mod kicks;
mod leases;
mod legacy;
mod mistakes;
mod names;
mod show;
mod told;
mod traffic;
mod trial;
mod uplinks;

use lab::{Cable, Lab, Netns, Proc, Service, wait_for};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What stands for the rest of the internet, behind the provider.
pub(crate) const INTERNET: &str = "198.51.100.1";

/// A directory of the source tree.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the tree").join(name)
}

/// The lab's own network namespace is the gateway: eth0 to the provider, eth1 to the host.
pub(crate) struct World<'l> {
    pub(crate) lab: &'l Lab,
    pub(crate) provider: Netns,
    pub(crate) host: Netns,
    pub(crate) cable: Cable,
    pub(crate) fw: Service,
}

impl<'l> World<'l> {
    /// Everything plugged, `fw` installed with the LAN's address set, nothing running yet.
    pub(crate) fn new(lab: &'l Lab) -> Self {
        let (provider, host) = (lab.netns("provider"), lab.netns("host"));
        let cable = lab.cable((&lab.net(), "eth0"), (&provider, "cable"));
        lab.cable((&lab.net(), "eth1"), (&host, "eth0"));
        provider.address("cable", "192.0.2.1/24");
        provider.address("lo", &format!("{INTERNET}/32"));
        host.address("eth0", "192.168.1.10/24");
        host.ip("route add default via 192.168.1.1");

        install("fw", "/run/sv/fw");
        let conf = "/run/sv/fw/conf/lan.ipconf";
        fs::write(conf, lab.read(conf).replace("\n#", "\n")).unwrap();
        symlink("/run/sv/fw", "/var/service/fw").unwrap();
        Self { lab, provider, host, cable, fw: Service::at("/var/service/fw") }
    }

    /// The provider's DHCP server.
    pub(crate) fn serve(&self, options: &[&str]) -> Proc {
        let range = ["--dhcp-range=192.0.2.100,192.0.2.200,2m", "--dhcp-authoritative", "--no-ping"];
        self.lab.dnsmasq(&self.provider, "cable", &[&range, options].concat())
    }

    /// `runsvdir -P /var/service`, until fw has run once.
    pub(crate) fn supervise(&self) -> Proc {
        let runsvdir = self.lab.cmd("runsvdir").args(["-P", "/var/service"]).spawn();
        wait_for("the first run of fw", || Path::new("/run/service/fw/up").exists());
        self.wait_idle();
        runsvdir
    }

    /// What a service with this one record would publish, without the kick.
    pub(crate) fn publish(&self, name: &str, record: &str) {
        let text: String = record.split(' ').map(|word| word.replacen('=', "[$cfg]=", 1) + "\n").collect();
        fs::create_dir_all("/run/service/fw").unwrap();
        let (new, file) = (format!("/run/service/fw/.{name}.new"), format!("/run/service/fw/{name}.ipconf"));
        fs::write(&new, format!("let cfg=cfg+1\n{text}")).unwrap();
        fs::rename(new, file).unwrap();
    }

    /// No run is under way and none will follow.
    pub(crate) fn wait_idle(&self) {
        wait_for("fw to be down", || self.fw.stat() == "down");
    }

    /// A kick, and the run it causes.
    pub(crate) fn kick(&self) {
        let before = self.fw.status();
        self.fw.tell("u");
        wait_for("a run of fw", || self.fw.stat() == "down" && self.fw.status() != before);
    }

    /// All that fw has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string("/var/log/service/fw/current").unwrap_or_default()
    }

    /// Addresses, routes, rules without their counters, and the rendered files.
    fn state(&self) -> String {
        let net = self.lab.net();
        let rules = self.lab.cmd("nft").args(["--stateless", "list", "ruleset"]).ok();
        let files: String =
            ["resolv.conf", "hosts"].map(|f| fs::read_to_string(Path::new("/etc").join(f)).unwrap()).concat();
        net.ip("-4 -o address") + &net.ip("route") + &rules + &files
    }

    pub(crate) fn has_address(&self, address: &str) -> bool {
        self.lab.net().ip("-4 -o address").contains(&format!(" {address} "))
    }

    pub(crate) fn host_reaches_internet(&self) -> bool {
        self.host.cmd(self.lab, "ping").args(["-n", "-c1", "-W1", INTERNET]).output().code == 0
    }
}

/// Edits a file of the installed fw.
fn edit(file: &str, from: &str, to: &str) {
    let path = format!("/run/sv/fw/{file}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has {from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Copies a service directory as `make install` does: links become files.
pub(crate) fn install(name: &str, to: &str) {
    fs::create_dir_all(Path::new(to).parent().unwrap()).unwrap();
    let done = std::process::Command::new("cp").args(["-rL"]).arg(source(name)).arg(to).status();
    assert!(done.unwrap().success(), "cp {name} {to}");
}
