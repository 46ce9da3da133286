//! The networking scheme as a whole: everything around one uplink, named and shaped as in the process tree of busybox's
//! var_service README, and what each does when the cable, the DHCP server and the router go and come back.

use super::supplicant::{guard, peers, wired};
use super::{edit, wait_log};
use crate::fw::{World, install};
use lab::{Lab, Proc, wait_for};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// The services and their daemons' command lines.
const SERVICES: [(&str, &str); 5] = [
    ("dhcp_eth0", "dhcpc -f -i eth0 -v -x 116:01"),
    ("dhcp_eth0_pinger", "pinger --name dhcp_eth0_pinger * eth0"),
    ("ifplugd_eth0", "linkwatch -nsMlqI -i eth0 * -u0 -d0"),
    ("supplicant_eth0", "*/wpa_supplicant -i eth0 -D wired -c wpa_supplicant.conf"),
    ("zcip_eth0", "zcip -f --name zcip_eth0 -v eth0"),
];

/// A host at the provider's without an address from a server.
const NEIGHBOUR: &str = "169.254.1.1";

/// One service as `sv list` has it.
fn listed(lab: &Lab, name: &str) -> Value {
    let list: Vec<Value> = serde_json::from_str(&lab.cmd("sv").args(["list", "--json"]).ok()).unwrap();
    list.into_iter().find(|service| service["name"] == name).unwrap_or_else(|| panic!("{name} is not listed"))
}

fn is(lab: &Lab, name: &str, state: &str) -> bool {
    listed(lab, name)["state"] == state
}

/// Arguments and parent of a process.
fn process(pid: &Value) -> (String, Value) {
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let args = String::from_utf8_lossy(&cmdline).trim_end_matches('\0').replace('\0', " ");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().to_owned();
    (args, parent.parse().unwrap())
}

/// `runsvdir -P /var/service`, below it `runsv NAME`, below that the logger, and the daemon unless it is down.
fn has_the_shape(lab: &Lab) {
    for (name, daemon) in SERVICES.iter().copied().chain([("fw", "")]) {
        let service = listed(lab, name);
        let (logger, runsv) = process(&service["log"]["pid"]);
        assert_eq!(logger, format!("svlogd -tt /var/log/service/{name}"));
        let (args, runsvdir) = process(&runsv);
        assert_eq!(args, format!("runsv {name}"));
        assert_eq!(process(&runsvdir).0.rsplit('/').next(), Some("service"));
        if daemon.is_empty() {
            assert_eq!((&service["state"], &service["pid"]), (&"down".into(), &Value::Null));
        } else {
            let (args, parent) = process(&service["pid"]);
            assert!(lab::matches(&args, daemon), "{name}: {args}, expected {daemon}");
            assert_eq!(parent, runsv, "{name}");
        }
    }
}

fn addresses(lab: &Lab) -> String {
    lab.net().ip("-4 -o addr show dev eth0")
}

/// What a lease brings is everywhere.
fn leased(lab: &Lab) -> bool {
    addresses(lab).contains("inet 192.0.2.")
        && lab.net().ip("route show default").contains("via 192.0.2.1 dev eth0 ")
        && lab.read("/etc/resolv.conf").contains("nameserver 192.0.2.1\n")
}

fn link_local(lab: &Lab) -> bool {
    addresses(lab).contains("inet 169.254.")
}

/// A port of a switch that asks who is there, a DHCP server and a neighbour behind it; all services at the gateway.
fn boot<'l>(lab: &'l Lab, world: &World<'l>) -> (Proc, Proc) {
    wired(lab, "secret");
    for (name, from) in [
        ("dhcp_eth0", "dhcp_if"),
        ("zcip_eth0", "zcip_if"),
        ("ifplugd_eth0", "ifplugd_if"),
        ("dhcp_eth0_pinger", "dhcp_if_pinger"),
    ] {
        install(&format!("examples/{from}"), &format!("/var/service/{name}"));
    }
    edit(lab, "ifplugd_eth0/run", "options=\"-u0 -d8\"", "options=\"-u0 -d0\"");
    edit(lab, "dhcp_eth0_pinger/run", "options=\"\" ", "options=\"--interval 0.5 --down 3\" ");
    world.provider.address("cable", &format!("{NEIGHBOUR}/16"));
    let (dhcp, switch) = (world.serve(&["--port=53"]), guard(world));
    let _runsvdir = world.supervise();
    (dhcp, switch)
}

#[test]
fn around_one_uplink() {
    lab::test_within(Duration::from_secs(100), |lab| {
        peers();
        let world = World::new(lab);
        let (dhcp, switch) = boot(lab, &world);
        switch.wait_line("*IEEE 802.1X: authorizing port");
        wait_for("a lease", || leased(lab));
        wait_for("a link-local address", || link_local(lab));
        wait_log("dhcp_eth0_pinger", "eth0: up");
        wait_for("a path from the host", || world.host_reaches_internet());
        world.wait_idle();
        has_the_shape(lab);

        // Cable out: both clients down, fw done without the interface.
        world.cable.pull();
        wait_for("both to be down", || is(lab, "dhcp_eth0", "down") && is(lab, "zcip_eth0", "down"));
        wait_for("nothing left on eth0", || addresses(lab).is_empty());
        wait_for("no way out", || lab.net().ip("route show default").is_empty());
        wait_for("no name server", || !lab.read("/etc/resolv.conf").contains("nameserver"));
        world.wait_idle();
        assert!(is(lab, "supplicant_eth0", "run") && is(lab, "dhcp_eth0_pinger", "run"));

        // Cable in: all back.
        world.cable.plug();
        let plugged = Instant::now();
        wait_for("everything the lease brings", || leased(lab));
        lab.note(format!("cable in: {} ms to address, route and resolv.conf", plugged.elapsed().as_millis()));
        wait_for("a path from the host", || world.host_reaches_internet());
        wait_for("both to be up", || is(lab, "dhcp_eth0", "run") && is(lab, "zcip_eth0", "run"));
        wait_for("a link-local address", || link_local(lab));

        // No DHCP server, and nothing remembered of it: the link-local address is in use.
        dhcp.stop();
        lab.sh("sv down dhcp_eth0 && rm -f /var/lib/portreeve/dhcp_eth0* && sv u dhcp_eth0").ok();
        wait_for("the link-local address alone", || addresses(lab).lines().count() == 1 && link_local(lab));
        let ping = lab.cmd("ping").args(["-n", "-c1", "-W5", NEIGHBOUR]).ok();
        assert!(ping.contains(&format!(" bytes from {NEIGHBOUR}")), "{ping}");
        let route = lab.net().ip(&format!("route get {NEIGHBOUR}"));
        assert!(route.contains("dev eth0 src 169.254."), "{route}");

        // The server is back, then the router dies: DHCP and the supplicant are started again.
        let _dhcp = world.serve(&["--port=53"]);
        lab.cmd("sv").args(["t", "dhcp_eth0"]).ok();
        wait_for("everything the lease brings", || leased(lab));
        let verdict = || fs::read_to_string("/run/service/fw/dhcp_eth0_pinger.ipconf").unwrap_or_default();
        wait_for("pinger's good word", || verdict().contains("health[$cfg]='up'"));
        let authorized = switch.wait_lines("*IEEE 802.1X: authorizing port", 1).len();
        let before = ["dhcp_eth0", "supplicant_eth0"].map(|name| listed(lab, name)["restarts"].as_u64());
        world.provider.ip("addr del 192.0.2.1/24 dev cable");
        for (name, before) in ["dhcp_eth0", "supplicant_eth0"].into_iter().zip(before) {
            wait_log("dhcp_eth0_pinger", &format!("restarting /var/service/{name}"));
            wait_for("another start", || listed(lab, name)["restarts"].as_u64() > before);
        }
        switch.wait_lines("*IEEE 802.1X: authorizing port", authorized + 1);
        world.provider.address("cable", "192.0.2.1/24");
        wait_for("everything the lease brings", || leased(lab));
        wait_for("a path from the host", || world.host_reaches_internet());

        // Everyone said what they did.
        for (name, said) in [
            ("ifplugd_eth0", "eth0"),
            ("zcip_eth0", "169.254."),
            ("supplicant_eth0", "CTRL-EVENT-CONNECTED"),
            ("fw", "/etc/resolv.conf: written"),
        ] {
            wait_log(name, said);
        }
        wait_for("pinger's good word", || verdict().contains("health[$cfg]='up'"));
        wait_for("a link-local address", || link_local(lab));
        world.wait_idle();
        has_the_shape(lab);
    });
}
