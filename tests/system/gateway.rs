//! The whole gateway: what `examples/gateway/setup` makes of a machine with two ports, between a provider and a host.

mod newcomer;
mod reach;
mod scenes;
mod setup;
mod tree;

use crate::install::in_place;
use lab::{Cable, Cmd, Lab, Netns, Proc, wait_for};

/// The provider's side of the world: `cable` leads to the gateway's eth0, `port` from its eth1 to a host.
///
/// ```text
///   provider br0 192.0.2.1/24, "the internet" 198.51.100.1  == cable == eth0  gateway  eth1 == port == eth0  host
/// ```
struct World {
    provider: Netns,
    host: Netns,
    cable: Cable,
    dnsmasq: Proc,
}

/// Daemons that are only unpacked appear as if they were installed, before anything of ours is. No server is named to ntpd in
/// these labs, so it sets no clock.
fn all_daemons(lab: &Lab) {
    lab.install_peers();
    lab.account("sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin");
    lab.sh("rm -rf /etc/ssh; mkdir /etc/ssh; : >/etc/ssh/sshd_config").ok();
}

/// A gateway that is up: installed, set up and started as the README says, but quicker to notice what happens.
fn gateway(lab: &Lab) -> World {
    in_place(lab);
    let world = World::new(lab);
    lab.sh(r#"/etc/sv/gateway/setup eth0 eth1
        sed -i 's/^options="-u0 -d8"/options="-u0 -d0"/' /etc/sv/ifplugd_if/run
        sed -i 's/^options=""/options="--interval 1 --down 3"/' /etc/sv/dhcp_if_pinger/run
        grep -l -- '-d0"' /etc/sv/ifplugd_if/run && grep -l 'down 3"' /etc/sv/dhcp_if_pinger/run"#)
        .ok();
    lab.cmd("/usr/local/sbin/portreeve-start").spawn();
    wait_for("a lease and its route", || lab.net().ip("route show default").contains("via 192.0.2.1 dev eth0 "));
    wait_for("dnsmasq", || lab.sh("sv check dnsmasq").output().code == 0);
    world
}

const INTERNET: &str = "198.51.100.1";

impl World {
    fn new(lab: &Lab) -> Self {
        let (provider, host) = (lab.netns("provider"), lab.netns("host"));
        let cable = lab.cable((&lab.net(), "eth0"), (&provider, "cable"));
        lab.cable((&lab.net(), "eth1"), (&host, "eth0"));
        // A port of its own, so that the bridge stays up without the cable.
        lab.cable((&provider, "neighbour"), (&provider, "far"));
        provider.bridge("br0", &["cable", "neighbour"]);
        provider.ip("address add 192.0.2.1/24 dev br0");
        provider.ip(&format!("address add {INTERNET}/32 dev lo"));
        let dnsmasq = Self::serve(lab, &provider, "192.0.2.100,192.0.2.150,2m");
        Self { provider, host, cable, dnsmasq }
    }

    fn serve(lab: &Lab, provider: &Netns, range: &str) -> Proc {
        let range = format!("--dhcp-range={range}");
        let options = [&range, "--port=53", "--dhcp-authoritative", "--no-ping", "--address=/www.example/198.51.100.1"];
        lab.dnsmasq(provider, "br0", &options)
    }

    /// A command of a machine behind the gateway.
    fn on_host(&self, lab: &Lab, script: &str) -> Cmd {
        lab.sh(script).netns(&self.host)
    }

    /// The host asks for an address, as any machine does, and gets a way to the internet and to names.
    fn host_comes_up(&self, lab: &Lab) {
        self.host_comes_up_in(lab, "192.168.1");
    }

    /// In that network, whatever it was in before. The address is the gateway's choice, twice the same or not.
    fn host_comes_up_in(&self, lab: &Lab, network: &str) {
        self.host.ip("address flush dev eth0");
        let script = lab.write(
            "lease",
            "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip address add \"$ip/$mask\" dev \"$interface\"\n\
             ip route add default via \"$router\"\necho \"$ip $router $dns\" >lease.txt\n",
        );
        lab.sh("chmod 755 lease").ok();
        self.on_host(lab, &format!("/bin/busybox udhcpc -q -f -n -t 20 -T 1 -i eth0 -s {}", script.display())).ok();
        let lease = lab.read("lease.txt");
        assert!(lab::matches(&lease, &format!("{network}.# {network}.1 {network}.1\n")), "{lease}");
    }

    fn host_reaches_the_internet(&self, lab: &Lab) -> bool {
        self.on_host(lab, &format!("ping -n -c 1 -W 1 {INTERNET}")).output().code == 0
    }
}
