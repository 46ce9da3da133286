//! The rights of the daemons, seen from outside in /proc and tried from inside (debug builds try when they are asked to):
//! whoever reads packets can open, execute and send nothing of its own, and everything works all the same.

use lab::kernel::{LANDLOCK_OFF, Missing, NO_LANDLOCK, NO_SECCOMP};
use lab::{Lab, Netns, Proc, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;

/// What the daemon says it got for its attempts: EACCES from Landlock, EPERM from seccomp.
const REFUSED: &str = "*sandbox: read /etc/shadow 13, write /tmp 13, exec 1, inet socket 1, packet socket 1, signal 1, \
                       executable memory 1,";
/// linkwatch may not even try to open a file.
const REFUSED_NO_FILES: &str = "*sandbox: read /etc/shadow 1, write /tmp 1, exec 1, inet socket 1, packet socket 1, signal 1, \
                                executable memory 1,";
const PROVE: &str = "PORTREEVE_PROVE_SANDBOX";

/// CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW.
const NET: [u64; 3] = [1 << 10, 1 << 12, 1 << 13];

/// What /proc says of a process.
#[derive(Debug, PartialEq, Eq)]
struct Rights {
    effective: u64,
    permitted: u64,
    no_new_privs: bool,
    filter: bool,
}

impl Rights {
    /// As they are of a confined process that keeps these capabilities.
    fn only(capabilities: u64) -> Self {
        Self { effective: capabilities, permitted: capabilities, no_new_privs: true, filter: true }
    }

    fn of(pid: i32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(":"));
            line.map_or_else(String::new, |v| v.trim().to_owned())
        };
        let set = |name| u64::from_str_radix(&field(name), 16).unwrap_or(u64::MAX);
        Self {
            effective: set("CapEff"),
            permitted: set("CapPrm"),
            no_new_privs: field("NoNewPrivs") == "1",
            filter: field("Seccomp") == "2",
        }
    }
}

#[track_caller]
fn wait_rights(pid: i32, expected: &Rights) {
    wait_for(&format!("{expected:?}, not {:?}", Rights::of(pid)), || Rights::of(pid) == *expected);
}

/// The processes of the lab that keep daemons' rights.
fn stewards() -> Vec<i32> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c == "steward\n"))
        .collect()
}

#[track_caller]
fn wait_stewards(n: usize) -> Vec<i32> {
    wait_for(&format!("{n} stewards"), || stewards().len() == n);
    stewards()
}

/// Only debug builds try; the lab always says where the programs are.
fn tries() -> bool {
    std::env::var_os("PORTREEVE_BIN").is_none_or(|dir| PathBuf::from(dir).ends_with("debug"))
}

fn wait_refused(proc: &Proc, how: &str) {
    if tries() {
        proc.wait_line(how);
    }
}

/// A host with `eth0` and a DHCP server at the other end.
fn net(lab: &Lab) -> (Netns, Proc) {
    let host = lab.netns("host");
    lab.cable((&host, "eth0"), (&lab.net(), "isp"));
    lab.net().address("isp", "192.0.2.1/24");
    host.wait_carrier("eth0", true);
    let options = ["--dhcp-range=192.0.2.10,192.0.2.50,3600", "--no-ping", "--dhcp-authoritative"];
    let dnsmasq = lab.dnsmasq(&lab.net(), "isp", &options);
    (host, dnsmasq)
}

/// A script that sets the address and then writes down its call.
fn script(lab: &Lab) -> String {
    let path = lab.write(
        "hook",
        format!(
            "#!/bin/sh\ncase $1 in\ndeconfig) ip addr flush dev $interface ;;\n\
             bound | renew) ip addr replace $ip/$mask dev $interface ;;\nesac\necho \"$1 $ip\" >>{}\n",
            lab.path("calls").display()
        ),
    );
    lab.cmd("chmod").arg("+x").arg(&path).ok();
    path.to_str().unwrap().to_owned()
}

#[track_caller]
fn wait_call(lab: &Lab, action: &str) {
    let calls = || std::fs::read_to_string(lab.path("calls")).unwrap_or_default();
    wait_for(&format!("the script's {action}"), || calls().lines().any(|l| l.starts_with(action)));
}

#[test]
fn dhcpc_with_a_script() {
    lab::test(|lab| {
        let (host, dnsmasq) = net(lab);
        let cmd =
            lab.cmd("udhcpc").args(["-f", "-R", "-i", "eth0", "-s", &script(lab), "--state"]).arg(lab.path("state"));
        let client = cmd.env(PROVE, "1").netns(&host).spawn();
        wait_refused(&client, REFUSED);
        wait_call(lab, "bound");
        wait_rights(client.pid(), &Rights::only(0));
        // What runs scripts is all-powerful, and reads nothing but orders.
        let [steward] = wait_stewards(1)[..] else { unreachable!() };
        assert_eq!(Rights::of(steward).effective, Rights::of(std::process::id() as i32).effective);
        wait_for("the lease file", || lab.path("state/dhcp_eth0.lease").exists());
        client.signal(Signal::SIGUSR1);
        wait_call(lab, "renew");
        client.signal(Signal::SIGUSR2);
        dnsmasq.wait_line("*DHCPRELEASE(isp)*");
        client.signal(Signal::SIGUSR1);
        wait_for("a second lease", || lab.read("calls").matches("bound").count() == 2);
        assert_eq!(client.stop(), 0);
        dnsmasq.wait_lines("*DHCPRELEASE(isp)*", 2);
        assert!(lab.read("calls").lines().last().unwrap().starts_with("deconfig"));
        wait_stewards(0);
    });
}

#[test]
fn dhcpc_by_itself() {
    lab::test(|lab| {
        let (host, dnsmasq) = net(lab);
        let fw = lab.service("fw").run("sv o .\necho ran >>ran\n").build();
        lab.runsv(&fw);
        fw.wait_lines("ran", 1);
        let cmd =
            lab.cmd("dhcpc").args(["-i", "eth0", "-a200", "--state", "state", "--run-dir", "run", "--ntp-dir", "ntp"]);
        let client = cmd.args(["-p", "client.pid", "--fw", fw.arg()]).env(PROVE, "1").netns(&host).spawn();
        wait_refused(&client, REFUSED);
        client.wait_line("dhcpc: eth0: bound *");
        fw.wait_lines("ran", 2);
        let [steward] = wait_stewards(1)[..] else { unreachable!() };
        wait_rights(client.pid(), &Rights::only(0));
        wait_rights(steward, &Rights::only(NET.iter().sum()));
        // A unicast renewal takes a UDP socket on the address.
        let text = lab.read("run/dhcp_eth0.ipconf");
        let address = text.split('\'').find(|w| w.starts_with("192.0.2.") && w.contains('/')).expect("an address");
        host.address("eth0", address);
        client.signal(Signal::SIGUSR1);
        dnsmasq.wait_lines("*DHCPACK(isp)*", 2);
        // The same lease again is nothing to tell fw. Withdrawn, fw told, pid file gone.
        assert_eq!(client.stop(), 0);
        assert!(!lab.path("run/dhcp_eth0.ipconf").exists() && !lab.path("client.pid").exists());
        fw.wait_lines("ran", 3);
        assert_eq!(fw.lines("ran").len(), 3);
        wait_stewards(0);
    });
}

/// An interface that is taken away and comes back, down: the steward sets it up and opens the sockets.
#[test]
fn dhcpc_and_a_new_interface() {
    lab::test(|lab| {
        let (host, _dnsmasq) = net(lab);
        let client = lab.cmd("dhcpc").args(["-i", "eth0", "--state", "", "--run-dir", "run"]).netns(&host).spawn();
        client.wait_line("dhcpc: eth0: bound *");
        host.ip("link del eth0");
        client.wait_line("dhcpc: eth0: *interface*");
        lab.cable((&host, "new"), (&lab.net(), "isp2"));
        lab.net().bridge("br0", &["isp2"]);
        host.ip("link set new down");
        host.ip("link set new name eth0");
        host.wait_carrier("eth0", true);
        wait_rights(client.pid(), &Rights::only(0));
    });
}

/// One cannot live without the other.
#[test]
fn daemon_and_steward_end_together() {
    lab::test(|lab| {
        let (host, _dnsmasq) = net(lab);
        let start = || lab.cmd("dhcpc").args(["-i", "eth0", "--state", "", "--run-dir", "run"]).netns(&host).spawn();
        let client = start();
        client.wait_line("dhcpc: eth0: bound *");
        let steward = wait_stewards(1)[0];
        // It is deaf to what ends daemons.
        kill(Pid::from_raw(steward), Signal::SIGTERM).unwrap();
        client.signal(Signal::SIGKILL);
        client.wait();
        wait_stewards(0);

        let client = start();
        client.wait_line("dhcpc: eth0: bound *");
        kill(Pid::from_raw(wait_stewards(1)[0]), Signal::SIGKILL).unwrap();
        client.wait_line("dhcpc: fatal: eth0: the process that keeps our rights is gone*");
        assert_eq!(client.wait(), 1);
    });
}

/// udhcpc's way: the terminal is left by both, and the pid file is right and goes.
#[test]
fn in_the_background() {
    lab::test(|lab| {
        let (host, _dnsmasq) = net(lab);
        let cmd = lab.cmd("udhcpc").args(["-i", "eth0", "-s", &script(lab), "--state", "", "-p", "client.pid"]);
        // The command is over when nobody has its output open any more.
        cmd.netns(&host).ok();
        wait_call(lab, "bound");
        let pid: i32 = lab.read("client.pid").trim().parse().unwrap();
        wait_rights(pid, &Rights::only(0));
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        wait_for("the end", || !lab.path("client.pid").exists());
        wait_stewards(0);
    });
}

#[test]
fn zcip_linkwatch_and_pinger() {
    lab::test(|lab| {
        let host = lab.netns("host");
        let cable = lab.cable((&host, "eth0"), (&lab.net(), "far"));
        host.wait_carrier("eth0", true);
        let service = lab.service("dhcp_eth0").run("exec sleep 1000").build();
        lab.runsv(&service);
        let on = |program: &str, args: &str| {
            lab.cmd(program).args(args.split_whitespace()).env(PROVE, "1").netns(&host).spawn()
        };

        let zcip = on("zcip", "-f -v --state state --run-dir run eth0");
        wait_refused(&zcip, REFUSED);
        wait_rights(zcip.pid(), &Rights::only(0));
        wait_rights(wait_stewards(1)[0], &Rights::only(NET[2]));
        zcip.wait_line("zcip: info: eth0: using 169.254.*");
        wait_for("what it publishes", || lab.path("run/zcip_eth0.ipconf").exists());
        assert!(lab.path("state/zcip_eth0").exists());
        assert_eq!(zcip.stop(), 0);
        wait_stewards(0);

        let options = format!("-n -i eth0 -d0 --up {} --pidfile lw.pid", service.arg());
        let linkwatch = on("linkwatch", &options);
        wait_refused(&linkwatch, REFUSED_NO_FILES);
        linkwatch.wait_line("linkwatch: info: eth0: link is up");
        wait_rights(linkwatch.pid(), &Rights::only(0));
        wait_rights(wait_stewards(1)[0], &Rights::only(NET[1]));
        service.wait_stat("run");
        cable.pull();
        service.wait_stat("down");
        linkwatch.stop();
        assert!(!lab.path("lw.pid").exists());
        cable.plug();
        wait_stewards(0);

        lab.net().address("far", "192.0.2.1/24");
        host.address("eth0", "192.0.2.7/24");
        host.wait_carrier("eth0", true);
        let targets = "arp:192.0.2.1,icmp:192.0.2.1,tcp:192.0.2.1:9,dns:192.0.2.1";
        let pinger = on("pinger", &format!("--interval 0.4 --up 1 --quorum 3 --run-dir run --target {targets} eth0"));
        wait_refused(&pinger, REFUSED);
        pinger.wait_line("pinger: info: eth0: up");
        wait_rights(pinger.pid(), &Rights::only(0));
        wait_rights(wait_stewards(1)[0], &Rights::only(NET[2]));
        pinger.stop();
        wait_stewards(0);
    });
}

#[test]
fn switched_off() {
    lab::test(|lab| {
        let (host, _dnsmasq) = net(lab);
        let cmd = lab.cmd("udhcpc").args(["-f", "-i", "eth0", "-s", &script(lab), "--state", "", "--no-sandbox"]);
        let client = cmd.netns(&host).spawn();
        wait_call(lab, "bound");
        let full = Rights::of(std::process::id() as i32);
        assert_eq!(Rights::of(client.pid()).effective, full.effective);
        assert!(stewards().is_empty());
        client.stop();
    });
}

/// How many seccomp filters bind a process.
fn filters(pid: i32) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    text.lines().find_map(|l| l.strip_prefix("Seccomp_filters:")?.trim().parse().ok()).expect("Linux 5.9")
}

/// dhcpc on such a kernel gets and gives back a lease all the same; it says once what is missing, does the rest of the sandbox
/// (`proof`: how an intruder fares) and has `own` filters beside the one that makes the kernel old.
fn on_an_older_kernel(lab: &Lab, missing: &'static [Missing], said: &[&str], proof: Option<&str>, own: u32) {
    let (host, dnsmasq) = net(lab);
    let cmd = lab.cmd("udhcpc").args(["-f", "-R", "-i", "eth0", "-s", &script(lab), "--state", ""]);
    let cmd = if proof.is_some() { cmd.env(PROVE, "1") } else { cmd };
    let client = cmd.without(missing).netns(&host).spawn();
    if let (Some(proof), true) = (proof, tries()) {
        client.wait_line(proof);
    }
    wait_call(lab, "bound");
    client.signal(Signal::SIGUSR1);
    wait_call(lab, "renew");
    wait_rights(client.pid(), &Rights::only(0));
    assert_eq!(filters(client.pid()), 1 + own);
    assert_eq!(client.stop(), 0);
    dnsmasq.wait_line("*DHCPRELEASE(isp)*");
    let warnings = client.stderr();
    let warnings: Vec<&str> = warnings.lines().filter(|l| l.contains("warning")).collect();
    assert_eq!(warnings, said);
}

#[test]
fn a_kernel_without_landlock() {
    lab::test(|lab| {
        let said = ["udhcpc: warning: eth0: sandbox: no Landlock: system call not available"];
        let proof = "*sandbox: read /etc/shadow *, write /tmp 0, exec 1, inet socket 1, packet socket 1, signal 1, \
                     executable memory 1,";
        on_an_older_kernel(lab, &[NO_LANDLOCK], &said, Some(proof), 1);
    });
}

/// Booted with `lsm=` and no `landlock` in it.
#[test]
fn a_kernel_with_landlock_switched_off() {
    lab::test(|lab| {
        let said = ["udhcpc: warning: eth0: sandbox: no Landlock: operation not supported"];
        let proof = "*sandbox: *, exec 1, inet socket 1, *";
        on_an_older_kernel(lab, &[LANDLOCK_OFF], &said, Some(proof), 1);
    });
}

#[test]
fn a_kernel_without_seccomp() {
    lab::test(|lab| {
        let said = ["udhcpc: warning: eth0: sandbox: no seccomp: system call not available"];
        let proof = "*sandbox: read /etc/shadow 13, write /tmp 13, exec 13, inet socket 0, packet socket 1, *";
        on_an_older_kernel(lab, &[NO_SECCOMP], &said, Some(proof), 0);
    });
}

/// What is left are capabilities: none. An exec would succeed, so nobody tries.
#[test]
fn a_kernel_without_both() {
    lab::test(|lab| {
        let said = [
            "udhcpc: warning: eth0: sandbox: no Landlock: system call not available",
            "udhcpc: warning: eth0: sandbox: no seccomp: system call not available",
        ];
        on_an_older_kernel(lab, &[NO_LANDLOCK, NO_SECCOMP], &said, None, 0);
    });
}

/// The other daemons say it as well, under their own names, and go on.
#[test]
fn zcip_linkwatch_and_pinger_without_landlock() {
    lab::test(|lab| {
        let host = lab.netns("host");
        lab.cable((&host, "eth0"), (&lab.net(), "far"));
        lab.net().address("far", "192.0.2.1/24");
        host.address("eth0", "192.0.2.7/24");
        host.wait_carrier("eth0", true);
        let on = |program: &str, args: &str| {
            lab.cmd(program).args(args.split_whitespace()).without(&[NO_LANDLOCK]).netns(&host).spawn()
        };
        for (name, proc, works) in [
            ("zcip", on("zcip", "-f --state state --run-dir run eth0"), "using 169.254.*"),
            ("linkwatch", on("linkwatch", "-n -s -i eth0 -r /bin/true --pidfile lw.pid"), "link is up"),
            ("pinger", on("pinger", "--interval 0.4 --up 1 --run-dir run --target arp:192.0.2.1 eth0"), "up"),
        ] {
            proc.wait_line(&format!("{name}: info: eth0: {works}"));
            wait_rights(proc.pid(), &Rights::only(0));
            assert_eq!(filters(proc.pid()), 2, "{name}");
            proc.stop();
            let line = format!("{name}: warning: eth0: sandbox: no Landlock: system call not available");
            let said = proc.stderr();
            assert_eq!(said.lines().filter(|l| l.contains("sandbox:")).collect::<Vec<_>>(), [line]);
        }
    });
}
