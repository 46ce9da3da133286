//! `vpnc`: down until it is asked for; what it reports without a concentrator; what its handler publishes.

use super::{enable, goes_down, log, supervise, wait_log};
use lab::{Cmd, Lab};
use std::fs;
use std::path::Path;

#[test]
fn vpnc_is_down_and_reports() {
    lab::test(|lab| {
        lab.install_peers();
        let vpnc = enable("vpnc", "vpnc");
        let _runsvdir = supervise(lab);
        vpnc.log().wait_stat("run");
        // As in the process tree of the README: only its logger runs.
        lab.cmd("sv").args(["status", vpnc.arg()]).prints_matching("down: * #s; run: log: (pid #) #s");
        assert_eq!(log("vpnc"), "");

        lab.cmd("sv").args(["u", vpnc.arg()]).ok();
        wait_log("vpnc", "vpnc: no IPSec gateway in vpnc.conf; then say: sv up vpnc");
        vpnc.wait_stat("down");

        // A concentrator that does not answer: 127.0.0.1 refuses at once.
        let conf =
            "IPSec gateway 127.0.0.1\nIPSec ID group\nIPSec secret secret\nXauth username me\nXauth password mine\n";
        fs::write(vpnc.path().join("vpnc.conf"), conf).unwrap();
        lab.cmd("sv").args(["up", vpnc.arg()]).ok();
        wait_log("vpnc", "vpnc: runs /usr/sbin/vpnc");
        wait_log("vpnc", "vpnc: receiving packet: Connection refused");
        goes_down(lab, &vpnc);
    });
}

/// Runs the handler as vpnc does, in the service's directory, once by each shell.
fn handler(lab: &Lab, reason: &str, more: &[(&str, &str)]) {
    handler_by(lab.cmd("/bin/busybox").args(["sh", "./vpnc_handler"]), reason, more);
    handler_by(lab.cmd("dash").arg("./vpnc_handler"), reason, more);
}

fn handler_by(mut cmd: Cmd, reason: &str, more: &[(&str, &str)]) {
    let told = [
        ("reason", reason),
        ("VPNGATEWAY", "198.51.100.9"),
        ("TUNDEV", "tun0"),
        ("INTERNAL_IP4_ADDRESS", "10.8.0.7"),
        ("INTERNAL_IP4_DNS", "10.8.0.53 10.8.0.54"),
        ("CISCO_DEF_DOMAIN", "corp.example"),
    ];
    cmd = cmd.dir("/run/sv/vpnc");
    for (name, value) in told.iter().chain(more) {
        cmd = cmd.env(name, value);
    }
    cmd.ok();
}

#[test]
fn vpnc_handler_publishes_what_the_concentrator_says() {
    lab::test(|lab| {
        lab.install_peers();
        enable("vpnc", "vpnc");
        let net = lab.net();
        net.ip("tuntap add tun0 mode tun");
        lab.cable((&net, "eth0"), (&lab.netns("provider"), "cable"));
        net.address("eth0", "192.0.2.7/24");
        net.ip("route add default via 192.0.2.1");
        let ipconf = "/run/service/fw/vpnc.ipconf";
        let ready = || lab.cmd("./check").dir("/run/sv/vpnc").output().code == 0;
        let dump = || lab.cmd("netd").args(["check", "--dump", ipconf]).ok();

        handler(lab, "pre-init", &[]);
        assert!(!Path::new(ipconf).exists() && !ready());
        handler(lab, "connect", &[]);
        assert!(ready());
        let all = dump();
        for line in [
            "1 if tun0",
            "1 ipmask 10.8.0.7/32",
            "1 routes 0.0.0.0/0 0.0.0.0",
            "1 dns 10.8.0.53 10.8.0.54",
            "1 domain corp.example",
            "2 if eth0",
            "2 net 198.51.100.9/32",
            "2 gw 192.0.2.1",
        ] {
            assert!(all.contains(&format!("{line}\n")), "{line:?} is not in\n{all}");
        }
        assert!(net.ip("link show tun0").contains("mtu 1412"));

        let split = [
            ("CISCO_SPLIT_INC", "2"),
            ("CISCO_SPLIT_INC_0_ADDR", "10.0.0.0"),
            ("CISCO_SPLIT_INC_0_MASKLEN", "8"),
            ("CISCO_SPLIT_INC_1_ADDR", "172.16.0.0"),
            ("CISCO_SPLIT_INC_1_MASKLEN", "12"),
        ];
        handler(lab, "connect", &split);
        let some = dump();
        assert!(some.contains("1 routes 10.0.0.0/8 0.0.0.0 172.16.0.0/12 0.0.0.0\n"), "{some}");
        assert!(!some.contains("eth0") && !some.contains("0.0.0.0/0"), "{some}");

        // Nothing of it is ever read by a shell.
        handler(lab, "connect", &[("CISCO_DEF_DOMAIN", "$(touch /run/owned)`touch /run/owned`")]);
        assert!(dump().contains("1 dns 10.8.0.53 10.8.0.54\n") && !dump().contains("touch"), "{}", dump());
        handler(lab, "disconnect", &[]);
        assert!(!Path::new(ipconf).exists() && !Path::new("/run/owned").exists());
    });
}
