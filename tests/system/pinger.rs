//! pinger against real routers that die, come back and answer in the wrong place.

use lab::{Lab, Netns, Proc, Service, wait_for, wait_for_within};
use netif::Mac;
use netif::frame::{ArpOp, parse_arp};
use netif::link::query;
use netif::packet::{Listen, PacketSocket};
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

/// The services around an uplink: fw, which counts its runs, and dhcp_eth0, which counts its starts.
struct Uplink {
    fw: Service,
    dhcp: Service,
    client: Netns,
}

/// A client `c` with eth0, cabled to `router` in the lab's own namespace, which has 192.0.2.1 and, by itself, 192.0.2.3.
fn uplink(lab: &Lab) -> Uplink {
    let client = lab.netns("c");
    lab.cable((&client, "eth0"), (&lab.net(), "router"));
    client.address("eth0", "192.0.2.7/24");
    lab.net().address("router", "192.0.2.1/24");
    lab.net().address("router", "192.0.2.3/32");
    client.wait_carrier("eth0", true);
    let fw = lab.service("fw").run("sv o .\necho ran >>ran\n").build();
    let dhcp = lab.service("dhcp_eth0").run("echo started >>started\nexec sleep 1000\n").build();
    lab.runsv(&fw);
    lab.runsv(&dhcp);
    fw.wait_lines("ran", 1);
    dhcp.wait_lines("started", 1);
    Uplink { fw, dhcp, client }
}

fn lease(lab: &Lab, gw: &str) {
    let text = format!(
        "let cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]='192.0.2.7'\nipmask[$cfg]='192.0.2.7/24'\ngw[$cfg]='{gw}'\nnet[$cfg]='0/0'\n"
    );
    let new = lab.write("run/.new", text);
    std::fs::rename(new, lab.path("run/dhcp_eth0.ipconf")).unwrap();
}

fn pinger(lab: &Lab, u: &Uplink, options: &str) -> Proc {
    let fixed = format!("--run-dir run --svdir sv --fw {} --interval 0.4 --down 3 --up 2 --hold 0", u.fw.arg());
    let words = fixed.split_whitespace().chain(options.split_whitespace());
    lab.cmd("pinger").args(words).netns(&u.client).spawn()
}

/// The file without its comments.
fn published(lab: &Lab) -> String {
    let text = std::fs::read_to_string(lab.path("run/dhcp_eth0_pinger.ipconf")).unwrap_or_default();
    text.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect()
}

fn verdict(health: &str) -> String {
    format!("let cfg=cfg+1\nif[$cfg]='eth0'\nhealth[$cfg]='{health}'\n")
}

/// Lease, silent death, restart of DHCP, return; fw is kicked at every change of the verdict and at no other time.
#[test]
fn a_dead_router_restarts_dhcp() {
    lab::test(|lab| {
        let u = uplink(lab);
        let proc = pinger(lab, &u, "-v eth0");
        lease(lab, "192.0.2.1");
        proc.wait_line("pinger: info: eth0: up");
        wait_for("the verdict", || published(lab) == verdict("up"));
        u.fw.wait_lines("ran", 2);
        proc.wait_lines("*1 of 1 answered", 5);
        lab.net().ip("addr del 192.0.2.1/24 dev router");
        proc.wait_line("pinger: info: eth0: down");
        proc.wait_line("pinger: info: eth0: restarting sv/dhcp_eth0");
        u.dhcp.wait_lines("started", 2);
        assert_eq!(published(lab), verdict("down"));
        u.fw.wait_lines("ran", 3);
        assert_eq!(proc.wait_lines("*0 of 1 answered", 3).len(), 3);
        lab.net().address("router", "192.0.2.1/24");
        proc.wait_lines("pinger: info: eth0: up", 2);
        u.fw.wait_lines("ran", 4);
        // Another router is asked at once; no lease, nobody to ask, nothing to say.
        lease(lab, "192.0.2.3");
        proc.wait_lines("*1 of 1 answered", 9);
        std::fs::remove_file(lab.path("run/dhcp_eth0.ipconf")).unwrap();
        proc.wait_line("pinger: info: eth0: nobody to ask");
        wait_for("the verdict to be taken back", || published(lab).is_empty());
        u.fw.wait_lines("ran", 5);
        assert_eq!(proc.stop(), 0);
        assert_eq!((u.fw.lines("ran").len(), u.dhcp.lines("started").len()), (5, 2));
    });
}

/// A service that is down on purpose stays down; services that do not exist are passed over.
#[test]
fn what_is_down_stays_down() {
    lab::test(|lab| {
        let u = uplink(lab);
        u.dhcp.tell("d");
        u.dhcp.wait_stat("down");
        lease(lab, "192.0.2.200");
        let proc = pinger(lab, &u, "eth0");
        proc.wait_line("*restarting sv/dhcp_eth0");
        u.fw.wait_lines("ran", 2);
        assert_eq!(u.dhcp.stat(), "down");
        assert!(!proc.stderr().contains("supplicant"), "{}", proc.stderr());
        proc.stop();
        // Asked for by name, a missing one is worth a word.
        let proc = pinger(lab, &u, "--restart nowhere eth0");
        proc.wait_line("pinger: warning: eth0: unable to restart sv/nowhere: file does not exist");
        proc.stop();
    });
}

/// One dead target of three is no verdict; two are, with a quorum of two.
#[test]
fn quorum() {
    lab::test(|lab| {
        let u = uplink(lab);
        lab.net().address("router", "192.0.2.4/32");
        let proc = pinger(lab, &u, "-v --no-restart --quorum 2 --target 192.0.2.1,arp:192.0.2.3,192.0.2.4 eth0");
        proc.wait_line("pinger: info: eth0: up");
        lab.net().ip("addr del 192.0.2.4/32 dev router");
        proc.wait_lines("*2 of 3 answered", 6);
        assert_eq!(published(lab), verdict("up"));
        lab.net().ip("addr del 192.0.2.3/32 dev router");
        proc.wait_line("pinger: info: eth0: down");
        assert_eq!(proc.wait_lines("*1 of 3 answered", 3).len(), 3);
        proc.stop();
        assert!(!lab.path("run/dhcp_eth0_pinger.ipconf").exists());
    });
}

/// One packet of five gets lost, at random: a line like many, no verdict.
#[test]
fn random_loss_is_no_verdict() {
    lab::test_within(Duration::from_secs(120), |lab| {
        let u = uplink(lab);
        let rules = "table inet loss { chain in { type filter hook input priority 0; numgen random mod 100 < 20 counter drop; }; }";
        lab.cmd("nft").arg(rules).netns(&u.client).ok();
        let proc = pinger(lab, &u, "-v --no-restart --target 192.0.2.1 eth0");
        proc.wait_line("pinger: info: eth0: up");
        wait_for_within("sixty rounds", Duration::from_secs(90), || {
            proc.stderr().matches(" of 1 answered").count() >= 60
        });
        assert!(!proc.stderr().contains("down"), "{}", proc.stderr());
        // The loss was there.
        let text = lab.cmd("nft").args(["list", "table", "inet", "loss"]).netns(&u.client).ok();
        let lost = text.split("packets ").nth(1).and_then(|t| t.split(' ').next()?.parse::<u32>().ok()).unwrap();
        assert!(lost >= 5, "{text}");
        proc.stop();
    });
}

/// The answer is about this uplink: a target that only another interface reaches is dead here.
#[test]
fn another_uplinks_answer_does_not_count() {
    lab::test(|lab| {
        let u = uplink(lab);
        let other = lab.netns("other");
        lab.cable((&u.client, "eth1"), (&other, "router"));
        u.client.address("eth1", "198.51.100.7/24");
        other.address("router", "198.51.100.1/24");
        other.address("lo", "203.0.113.9/32");
        u.client.ip("route add default via 198.51.100.1 dev eth1");
        u.client.ip("route add default via 192.0.2.1 dev eth0 metric 500");
        u.client.cmd(lab, "ping").args(["-c1", "-W5", "203.0.113.9"]).ok();
        let dead = pinger(lab, &u, "-v --no-restart --target icmp:203.0.113.9,tcp:203.0.113.9:9 eth0");
        dead.wait_line("pinger: info: eth0: down");
        assert!(!dead.stderr().contains("1 of") && !dead.stderr().contains("2 of"), "{}", dead.stderr());
        dead.stop();
        let alive = pinger(lab, &u, "-v --no-restart --quorum 2 --target icmp:203.0.113.9,tcp:203.0.113.9:9 eth1");
        alive.wait_line("pinger: info: eth1: up");
        alive.stop();
    });
}

/// TCP connections and DNS questions; a port nobody listens to is an answer for TCP and none for DNS.
#[test]
fn tcp_and_dns() {
    lab::test(|lab| {
        let u = uplink(lab);
        let _dns = lab.dnsmasq(&lab.net(), "router", &["--port=53", "--address=/#/192.0.2.9"]);
        let all = "-v --no-restart --quorum 4 --target dns:192.0.2.1,tcp:192.0.2.1:53,tcp:192.0.2.1:9,dns:192.0.2.1:9";
        let proc = pinger(lab, &u, &format!("{all} eth0"));
        assert!(proc.wait_line("*of 4 answered").ends_with("3 of 4 answered"));
        proc.wait_line("pinger: info: eth0: down");
        assert!(!proc.stderr().contains("4 of 4"), "{}", proc.stderr());
        proc.stop();
    });
}

/// The router's hardware address is learnt: the first request asks everybody, later ones only the router.
#[test]
fn asks_the_router_alone() {
    lab::test(|lab| {
        let u = uplink(lab);
        let router = query("router".parse().unwrap()).unwrap();
        let wire = PacketSocket::open(router.index, Listen::Arp).unwrap();
        lease(lab, "192.0.2.1");
        let proc = pinger(lab, &u, "-v eth0");
        proc.wait_lines("*1 of 1 answered", 4);
        proc.stop();
        let (mut to, mut buf) = (Vec::new(), [0; 128]);
        while let Ok(Some(received)) = wire.receive(&mut buf) {
            let (ethernet, arp) = parse_arp(received.frame).unwrap();
            if arp.op == ArpOp::Request && arp.tpa.to_string() == "192.0.2.1" {
                to.push(ethernet.dst);
            }
        }
        assert!(to.len() >= 4, "{to:?}");
        assert_eq!((to[0], to[1..].iter().all(|mac| Some(*mac) == router.mac)), (Mac::BROADCAST, true), "{to:?}");
    });
}

/// What the kernel hears from the router in passing is enough: nobody is asked while there is traffic, and silence is noticed.
#[test]
fn traffic_is_an_answer() {
    lab::test(|lab| {
        let u = uplink(lab);
        // What is acknowledged on a connection confirms the neighbour it went through.
        let listener = TcpListener::bind("192.0.2.1:99").unwrap();
        let talk = "while sleep 0.05; do echo hello; done | busybox nc 192.0.2.1 99";
        let traffic = lab.sh(talk).netns(&u.client).group().spawn();
        let (mut connection, _) = listener.accept().unwrap();
        connection.read_exact(&mut [0; 18]).unwrap();
        let router = query("router".parse().unwrap()).unwrap();
        let wire = PacketSocket::open(router.index, Listen::Arp).unwrap();
        let requests = || {
            let (mut n, mut buf) = (0, [0; 128]);
            while let Ok(Some(received)) = wire.receive(&mut buf) {
                let (_, arp) = parse_arp(received.frame).unwrap();
                n += usize::from(arp.op == ArpOp::Request && arp.tpa.to_string() == "192.0.2.1");
            }
            n
        };
        lease(lab, "192.0.2.1");
        // What counts may be half a second old.
        let proc = pinger(lab, &u, "-v --interval 2 --retry 0.4 eth0");
        proc.wait_lines("*1 of 1 answered", 3);
        assert_eq!(requests(), 0);
        assert!(!lab.read("run/dhcp_eth0_pinger.ipconf").contains("rtt"), "nothing was measured");
        traffic.kill_group();
        wait_for("a question", || requests() > 0);
        proc.wait_lines("*1 of 1 answered", 5);
        lab.net().ip("addr del 192.0.2.1/24 dev router");
        proc.wait_line("pinger: info: eth0: down");
        proc.stop();
    });
}

/// The example directories as they are, linked under the names of one interface: the cable goes, both services go down; it
/// comes back, they come back, and the zeroconf address with them.
#[test]
fn the_example_directories() {
    lab::test(|lab| {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize().unwrap();
        let far = lab.netns("far");
        let cable = lab.cable((&lab.net(), "eth0"), (&far, "port"));
        let link = |name: &str, to: &Path| {
            // The files of a checkout are not the lab's to write to: supervise/ and links of our own.
            let dir = Path::new("/var/service").join(name);
            lab.cmd("cp").arg("-rL").arg(to).arg(&dir).ok();
            std::fs::remove_dir_all(dir.join("log")).unwrap();
            Service::at(dir)
        };
        let fw = lab.service_at("/var/service/fw").run("sv o .\necho ran >>ran\n").build();
        let dhcp = lab.service_at("/var/service/dhcp_eth0").run("exec sleep 1000\n").build();
        let zcip = link("zcip_eth0", &examples.join("zcip_if"));
        let watch = link("ifplugd_eth0", &examples.join("ifplugd_if"));
        let pinger = link("dhcp_eth0_pinger", &examples.join("dhcp_if_pinger"));
        lab.sh("sed -i 's/-u0 -d8/-u0 -d0/' /var/service/ifplugd_eth0/run").ok();
        for service in [&fw, &dhcp, &zcip, &watch, &pinger] {
            lab.runsv(service);
        }
        let file = "/var/run/service/fw/zcip_eth0.ipconf";
        wait_for("the zeroconf address", || Path::new(file).exists());
        let address = lab.read(file);
        assert!(address.contains("ipmask[$cfg]='169.254."), "{address}");
        assert_eq!(dhcp.stat(), "run");
        cable.pull();
        dhcp.wait_stat("down");
        zcip.wait_stat("down");
        wait_for("the address to be taken back", || !Path::new(file).exists());
        cable.plug();
        dhcp.wait_stat("run");
        zcip.wait_stat("run");
        wait_for("the same address again", || std::fs::read_to_string(file).is_ok_and(|text| text == address));
        assert!(fw.lines("ran").len() >= 3);
        // pinger waits for a lease.
        assert_eq!(pinger.stat(), "run");
    });
}
