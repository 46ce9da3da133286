//! From the provider's answer to a configured network, through `dhcp_if` as it ships.

use super::{World, install, source};
use lab::{Lab, Service, wait_for};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const IPCONF: &str = "/run/service/fw/dhcp_eth0.ipconf";

/// A lease becomes a file, a kick, and a network; `sv d` takes all of it back.
fn lease_comes_and_goes(lab: &Lab, world: &World<'_>) {
    let _dnsmasq = world
        .serve(&["--dhcp-option=option:domain-name,provider.example", "--dhcp-option=option:dns-server,192.0.2.1"]);
    let _runsvdir = world.supervise();
    wait_for("the file", || Path::new(IPCONF).exists());
    wait_for("a way from the host to the internet", || world.host_reaches_internet());
    let lease = lab.read(lab.path("dnsmasq1.leases"));
    let address = lease.split(' ').nth(2).unwrap();
    let dumped = lab.cmd("netd").args(["check", "--dump", IPCONF]).ok();
    assert!(dumped.contains(&format!("1 ip {address}\n")), "{dumped}");
    assert!(world.has_address(&format!("{address}/24")));
    assert!(lab.net().ip("route").contains("default via 192.0.2.1 dev eth0"));
    wait_for("resolv.conf", || {
        let text = lab.read("/etc/resolv.conf");
        text.contains("search provider.example\n") && text.contains("nameserver 192.0.2.1\n")
    });
    let log = || fs::read_to_string("/var/log/service/dhcp_eth0/current").unwrap_or_default();
    wait_for("the client's own log", || log().contains(address));

    lab.cmd("sv").args(["down", "/var/service/dhcp_eth0"]).ok();
    wait_for("the file's end", || !Path::new(IPCONF).exists());
    wait_for("the address's end", || !lab.net().ip("-4 -o address").contains("eth0"));
    assert!(!lab.net().ip("route").contains("default"));
    wait_for("resolv.conf without it", || !lab.read("/etc/resolv.conf").contains("nameserver"));
}

#[test]
fn dhcp_if_as_a_copy() {
    lab::test(|lab| {
        let world = World::new(lab);
        install("examples/dhcp_if", "/var/service/dhcp_eth0");
        lease_comes_and_goes(lab, &world);
    });
}

#[test]
fn dhcp_if_as_a_link() {
    lab::test(|lab| {
        let world = World::new(lab);
        install("examples/dhcp_if", "/run/sv/dhcp_if");
        symlink("/run/sv/dhcp_if", "/var/service/dhcp_eth0").unwrap();
        lease_comes_and_goes(lab, &world);
    });
}

#[test]
fn dhcp_if_with_its_handler() {
    lab::test(|lab| {
        let world = World::new(lab);
        install("examples/dhcp_if", "/var/service/dhcp_eth0");
        use_handler(lab);
        lease_comes_and_goes(lab, &world);
    });
}

fn use_handler(lab: &Lab) {
    let run = "/var/service/dhcp_eth0/run";
    let text = lab.read(run);
    assert!(text.contains("\nscript= "));
    fs::write(run, text.replacen("\nscript= ", "\nscript=./dhcp_handler ", 1)).unwrap();
}

/// The cable is out and in again: a new address if the provider wants so, and a path in any case.
#[test]
fn the_cable_comes_back() {
    lab::test(|lab| {
        let world = World::new(lab);
        install("examples/dhcp_if", "/var/service/dhcp_eth0");
        let _dnsmasq = world.serve(&[]);
        let _runsvdir = world.supervise();
        wait_for("a way from the host to the internet", || world.host_reaches_internet());
        world.cable.pull();
        lab.net().wait_carrier("eth0", false);
        assert!(!world.host_reaches_internet());
        world.cable.plug();
        wait_for("a way from the host to the internet", || world.host_reaches_internet());
    });
}

/// Everything a server can put into a string, meant for a shell on the way.
const HOSTILE: [&str; 5] = [
    "$(touch /run/pwned)",
    "`touch /run/pwned`",
    "';touch /run/pwned;'",
    "\";touch /run/pwned;\"",
    "x;touch${IFS}/run/pwned",
];

/// Options of type string: hostname, domain, root path, NIS domain, message, vendor class, TFTP name, boot file, time zones,
/// private ones of boot loaders, WPAD, and some that nobody knows.
const STRINGS: [u8; 16] = [12, 15, 17, 40, 56, 60, 66, 67, 100, 101, 114, 160, 209, 210, 224, 252];

fn hostile_server(lab: &Lab, handler: bool) {
    let world = World::new(lab);
    install("examples/dhcp_if", "/var/service/dhcp_eth0");
    if handler {
        use_handler(lab);
    }
    let run = "/var/service/dhcp_eth0/run";
    let text = lab.read(run);
    let asked: String = STRINGS.iter().map(|code| format!(" -O {code}")).collect();
    fs::write(run, text.replacen("options=\"-v\"", &format!("options=\"-v{asked}\""), 1)).unwrap();
    let options: Vec<String> = STRINGS
        .iter()
        .zip(HOSTILE.iter().cycle())
        .map(|(code, text)| format!("--dhcp-option-force={code},{}", text.replace(',', "")))
        .chain([format!("--dhcp-boot={},{}", HOSTILE[0], HOSTILE[1])])
        .collect();
    let dnsmasq = world.serve(&options.iter().map(String::as_str).collect::<Vec<_>>());
    let _runsvdir = world.supervise();
    for code in STRINGS {
        dnsmasq.wait_line(&format!("*sent size:*option:{code:>3} *"));
    }
    wait_for("a way from the host to the internet", || world.host_reaches_internet());
    world.wait_idle();

    let published = lab.read(IPCONF);
    lab.cmd("bash").args(["-ec", ". /run/service/fw/dhcp_eth0.ipconf && [ $cfg = 1 ] && [ \"${if[1]}\" = eth0 ]"]).ok();
    for (name, content) in [(IPCONF, published), ("resolv.conf", lab.read("/etc/resolv.conf"))] {
        assert!(!content.contains("touch"), "{name}: {content}");
    }
    assert!(!Path::new("/run/pwned").exists());
}

#[test]
fn a_hostile_server() {
    lab::test(|lab| hostile_server(lab, false));
}

#[test]
fn a_hostile_server_and_the_handler() {
    lab::test(|lab| hostile_server(lab, true));
}

/// Every example logs through the one script.
#[test]
fn every_log_is_the_standard_logger() {
    let logger = fs::read(source("examples/logger")).unwrap();
    let mut seen = 0;
    for dir in fs::read_dir(source("examples")).unwrap().map(|e| e.unwrap().path()).chain([source("fw")]) {
        let run = dir.join("log/run");
        if dir.is_dir() && run.symlink_metadata().is_ok() {
            assert_eq!(fs::read(&run).unwrap(), logger, "{}", run.display());
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

/// The logger alone: it finds its name, makes its directory, and what the service says ends up there.
#[test]
fn a_log_is_named_after_its_service() {
    lab::test(|lab| {
        install("examples/dhcp_if", "/run/sv/dhcp_if");
        fs::write("/run/sv/dhcp_if/run", "#!/bin/sh\necho \"I am ${PWD##*/}\"\nexec sleep 1000\n").unwrap();
        symlink("/run/sv/dhcp_if", "/var/service/dhcp_eth7").unwrap();
        let _runsvdir = lab.cmd("runsvdir").args(["-P", "/var/service"]).spawn();
        let log = Path::new("/var/log/service/dhcp_eth7/current");
        wait_for("the line", || fs::read_to_string(log).is_ok_and(|t| t.ends_with(" I am dhcp_eth7\n")));
        Service::at("/var/service/dhcp_eth7").tell("x");
    });
}
