//! Two gateways, of which one is the master: the other takes over when it dies, and gives back when it is there again.

use crate::fw::{INTERNET, source};
use lab::{Lab, Netns, Proc, install_peer, wait_for};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A gateway with `wan` and `eth1` in a network namespace of its name, its own file system and its own processes.
struct Gateway<'l> {
    lab: &'l Lab,
    name: &'static str,
    net: Netns,
    root: PathBuf,
}

/// Runs as the gateway's first process: its own files over those of the lab, then runsvdir.
const BOOT: &str = r#"
for dir in /etc /run/service /var/service /var/log /var/lib; do mount --bind "$1$dir" "$dir"; done
exec runsvdir -P /var/service
"#;

impl<'l> Gateway<'l> {
    /// Its services, as its owner sets them up.
    fn new(lab: &'l Lab, name: &'static str, address: &str, priority: &str) -> Self {
        let root = lab.path(name);
        let service = root.join("var/service");
        for dir in ["run/service", "var/service", "var/log/service", "var/lib/portreeve"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        lab.cmd("cp").args(["-a", "/etc", root.to_str().unwrap()]).ok();
        for (from, to) in [("fw", "fw"), ("examples/dhcp_if", "dhcp_wan"), ("examples/keepalived", "keepalived")] {
            lab.cmd("cp").arg("-rL").arg(source(from)).arg(service.join(to)).ok();
        }
        let edit = |file: &str, from: &str, to: &str| {
            let path = service.join(file);
            let text = lab.read(&path);
            assert!(text.contains(from), "{from:?} is not in {text}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        };
        edit("fw/run", "wan=\"eth0\" ", "wan=\"wan\" ");
        edit("keepalived/keepalived.conf", "priority 100 ", &format!("priority {priority} "));
        let lan = format!("let cfg=cfg+1\nif[$cfg]='eth1'\nipmask[$cfg]='{address}/24'\n");
        fs::write(service.join("fw/conf/lan.ipconf"), lan).unwrap();
        fs::write(service.join("dhcp_wan/down"), "").unwrap();
        Self { lab, name, net: lab.netns(name), root }
    }

    fn boot(&self) -> Proc {
        let unshare = self.lab.cmd("unshare").args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        let booted =
            unshare.args(["sh", "-ec", BOOT, "boot"]).arg(&self.root).netns(&self.net).named(self.name).spawn();
        wait_for("fw of a gateway", || self.root.join("run/service/fw/up").exists());
        booted
    }

    /// `run`, `down`, ... of its DHCP client.
    fn dhcp(&self) -> String {
        fs::read_to_string(self.root.join("var/service/dhcp_wan/supervise/stat")).unwrap_or_default().trim().to_owned()
    }

    fn has_shared_address(&self) -> bool {
        self.net.ip("-4 -o addr show dev eth1").contains(" 192.168.1.1/24 ")
    }

    fn has_default_route(&self) -> bool {
        !self.net.ip("route show default").is_empty()
    }

    /// It is the one that has everything, and the other one nothing.
    #[track_caller]
    fn wait_alone(&self, other: &Self) {
        wait_for(&format!("{} to be the gateway", self.name), || {
            self.has_shared_address() && self.dhcp() == "run" && self.has_default_route()
        });
        wait_for(&format!("{} to be none", other.name), || {
            !other.has_shared_address() && other.dhcp() == "down" && !other.has_default_route()
        });
    }

    fn log(&self, service: &str) -> String {
        fs::read_to_string(self.root.join(format!("var/log/service/{service}/current"))).unwrap_or_default()
    }
}

#[test]
fn failover() {
    lab::test(|lab| {
        install_peer("keepalived");
        fs::create_dir_all("/run/service").unwrap();
        let (provider, host) = (lab.netns("provider"), lab.netns("host"));
        let first = Gateway::new(lab, "first", "192.168.1.2", "100");
        let second = Gateway::new(lab, "second", "192.168.1.3", "50");
        super::under_ash(second.root.join("var/service/keepalived").to_str().unwrap());
        let cables: Vec<_> = [&first, &second]
            .map(|gateway| {
                let wan = lab.cable((&gateway.net, "wan"), (&provider, gateway.name));
                let lan = lab.cable((&gateway.net, "eth1"), (&host, gateway.name));
                [wan, lan]
            })
            .into();
        provider.bridge("isp", &["first", "second"]);
        provider.address("isp", "192.0.2.1/24");
        provider.address("lo", &format!("{INTERNET}/32"));
        let _dhcp = lab.dnsmasq(&provider, "isp", &["--dhcp-range=192.0.2.100,192.0.2.200,2m", "--no-ping"]);
        host.bridge("lan", &["first", "second"]);
        host.address("lan", "192.168.1.10/24");
        host.ip("route add default via 192.168.1.1");
        let reaches = || host.cmd(lab, "ping").args(["-n", "-c1", "-W0.1", INTERNET]).output().code == 0;

        let booted = first.boot();
        let _second = second.boot();
        first.wait_alone(&second);
        wait_for("a path through the first", reaches);

        // The power of the first is gone.
        cables[0].iter().for_each(lab::Cable::pull);
        booted.signal(nix::sys::signal::Signal::SIGKILL);
        let dead = Instant::now();
        wait_for("a path through the second", reaches);
        let failover = dead.elapsed();
        lab.note(format!("failover took {failover:?}"));
        assert!(failover <= Duration::from_secs(4), "{failover:?}");
        println!("failover: {} ms", failover.as_millis());
        assert_eq!((second.has_shared_address(), second.dhcp().as_str()), (true, "run"));
        booted.wait();

        // It is back, and the master again.
        ["wan", "eth1"].iter().for_each(|device| drop(first.net.ip(&format!("addr flush dev {device}"))));
        fs::remove_dir_all(first.root.join("run/service")).unwrap();
        fs::create_dir_all(first.root.join("run/service")).unwrap();
        cables[0].iter().for_each(lab::Cable::plug);
        let _booted = first.boot();
        first.wait_alone(&second);
        wait_for("a path through the first", reaches);

        // Taken out of service in order: the other one need not wait for silence.
        first.net.cmd(lab, "sv").args(["down"]).arg(first.root.join("var/service/keepalived")).ok();
        second.wait_alone(&first);
        wait_for("a path through the second", reaches);
        // Killed, without a word to anybody: nothing of it is left that would run beside the next one, which takes over again.
        second.net.cmd(lab, "sv").args(["k"]).arg(second.root.join("var/service/keepalived")).ok();
        wait_for("its end to be noticed", || second.log("keepalived").contains("\"keepalived\" STOP: sv d dhcp_wan\n"));
        second.wait_alone(&first);
        wait_for("a path through the second", reaches);

        for line in ["MASTER: sv u dhcp_wan", "BACKUP: sv d dhcp_wan", "STOP: sv d dhcp_wan"] {
            let line = format!("vrrp_handler: \"gateway\" {line}\n");
            wait_for(&line, || first.log("keepalived").contains(&line));
        }
    });
}
