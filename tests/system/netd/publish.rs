//! `netd publish`: environment in, `.ipconf` out, fw kicked when there is news and only then.

use lab::{Cmd, Lab};
use std::os::fd::AsFd;
use sys::{fifo, file};

/// fw's control fifo, and what came through it since the last look.
fn kicks(lab: &Lab) -> impl Fn() -> usize + use<> {
    std::fs::create_dir_all(lab.path("fw/supervise")).unwrap();
    let control = lab.path("fw/supervise/control");
    fifo::make(file::CWD, &control, 0o600).unwrap();
    let reader = fifo::reader(file::CWD, &control).unwrap();
    // Held, so that an empty fifo is not an ended one.
    let writer = fifo::writer(file::CWD, &control).unwrap();
    move || {
        let _held = &writer;
        let mut buffer = [0; 64];
        let n = file::read_some(reader.as_fd(), &mut buffer).unwrap_or(0);
        assert!(buffer[..n].iter().all(|b| *b == b'u'));
        n
    }
}

fn publish(lab: &Lab, words: &[&str]) -> Cmd {
    std::fs::create_dir_all(lab.path("sv/dhcp_eth0")).unwrap();
    lab.cmd("netd")
        .dir(lab.path("sv/dhcp_eth0"))
        .arg("publish")
        .args(words)
        .env("FW_RUNDIR", lab.path("run"))
        .env("FW_SERVICE", lab.path("fw"))
        .env("NTPD_RUNDIR", lab.path("ntp"))
}

fn lease(lab: &Lab, action: &str, seconds: &str, ip: &str) -> Cmd {
    publish(lab, &[action])
        .env("interface", "eth0")
        .env("ip", ip)
        .env("mask", "24")
        .env("router", "192.0.2.1")
        .env("dns", "192.0.2.1 198.51.100.53")
        .env("ntpsrv", "192.0.2.123")
        .env("lease", seconds)
        .env("serverid", "192.0.2.1")
}

#[test]
fn as_the_handler_of_udhcpc() {
    lab::test(|lab| {
        let kicks = kicks(lab);
        lease(lab, "bound", "3600", "192.0.2.7").prints("");
        let expected = "# lease 3600 from 192.0.2.1\nlet cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]='192.0.2.7'\n\
            ipmask[$cfg]='192.0.2.7/24'\ngw[$cfg]='192.0.2.1'\nnet[$cfg]='0/0'\n\
            dns[$cfg]='192.0.2.1 198.51.100.53'\nntp[$cfg]='192.0.2.123'\n";
        assert_eq!(lab.read("run/dhcp_eth0.ipconf"), expected);
        assert_eq!(lab.read("ntp/dhcp_eth0.ntpconf"), "let cfg=cfg+1\nntpip[$cfg]='192.0.2.123'\n");
        assert_eq!(kicks(), 1);
        lease(lab, "renew", "3600", "192.0.2.7").ok();
        assert_eq!(kicks(), 0);
        lease(lab, "renew", "7200", "192.0.2.7").ok();
        assert_eq!((kicks(), lab.read("run/dhcp_eth0.ipconf")), (0, expected.replace("3600", "7200")));
        publish(lab, &["leasefail"]).env("interface", "eth0").ok();
        assert_eq!(kicks(), 0);
        lease(lab, "renew", "7200", "192.0.2.8").ok();
        assert_eq!(kicks(), 1);
        publish(lab, &["nak"]).env("interface", "eth0").ok();
        assert!(!lab.path("run/dhcp_eth0.ipconf").exists() && !lab.path("ntp/dhcp_eth0.ntpconf").exists());
        assert_eq!(kicks(), 1);
        publish(lab, &["deconfig"]).ok();
        assert_eq!(kicks(), 0);
    });
}

#[test]
fn as_the_handler_of_zcip_and_by_hand() {
    lab::test(|lab| {
        let kicks = kicks(lab);
        publish(lab, &["--name", "zcip_eth0", "config"]).env("interface", "eth0").env("ip", "169.254.3.4").ok();
        assert!(lab.read("run/zcip_eth0.ipconf").contains("ipmask[$cfg]='169.254.3.4/16'"));
        let vpn = [
            "--name",
            "vpn",
            "up",
            "if=tun0",
            "ipmask=10.8.0.2/24",
            "net=10.0.0.0/8",
            "gw=10.8.0.1",
            "+",
            "if=tun0",
            "dns=10.8.0.53",
        ];
        publish(lab, &vpn).ok();
        assert_eq!(lab.read("run/vpn.ipconf").matches("let cfg=cfg+1").count(), 2);
        assert_eq!(kicks(), 2);
        publish(lab, &vpn).ok();
        publish(lab, &["--name", "vpn", "down"]).ok();
        assert_eq!((kicks(), lab.path("run/vpn.ipconf").exists()), (1, false));
        let out = publish(lab, &["up", "if=tun0", "net=x"]).fails(1);
        assert_eq!(
            out.stderr,
            "netd: fatal: expected net to be 0/0 or a network with its prefix length, of gw's address family\n"
        );
        assert!(publish(lab, &["--help"]).ok().starts_with("netd publish ACTION"));
        for wrong in [&[][..], &["bound", "x=y"], &["--name", "../x", "down"], &["--no-such", "down"]] {
            assert_eq!(publish(lab, wrong).fails(100).stderr.lines().count(), 1);
        }
        publish(lab, &["bound"]).fails(1);
    });
}

#[test]
fn nobody_supervises_fw() {
    lab::test(|lab| {
        std::fs::create_dir_all(lab.path("ntp")).unwrap();
        let out = lease(lab, "bound", "3600", "192.0.2.7").output();
        assert_eq!(out.code, 0);
        assert_eq!(
            out.stderr,
            format!("netd: warning: unable to kick {}: file does not exist\n", lab.path("fw").display())
        );
        assert!(lab.path("run/dhcp_eth0.ipconf").exists());
    });
}

#[test]
fn nothing_from_the_network_reaches_a_shell() {
    lab::test(|lab| {
        let evil = "$(touch /tmp/lab/owned)`touch /tmp/lab/owned`';touch /tmp/lab/owned;'\n\"\\";
        let mut cmd = lease(lab, "bound", "3600", "192.0.2.7");
        for name in [
            "domain",
            "search",
            "hostname",
            "message",
            "rootpath",
            "bootfile",
            "wpad",
            "router",
            "dns",
            "ntpsrv",
            "lease",
            "mtu",
            "routes",
            "staticroutes",
            "serverid",
            "broadcast",
            "opt43",
        ] {
            cmd = cmd.env(name, evil);
        }
        let out = cmd.output();
        assert_eq!(out.code, 0);
        assert!(out.stderr.lines().all(|l| l.starts_with("netd: warning: ")), "{}", out.stderr);
        let written = lab.read("run/dhcp_eth0.ipconf");
        assert_eq!(written, "let cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]='192.0.2.7'\nipmask[$cfg]='192.0.2.7/24'\n");
        lab.cmd("bash").args(["-c", ". run/dhcp_eth0.ipconf"]).ok();
        assert!(!lab.path("owned").exists());
    });
}
