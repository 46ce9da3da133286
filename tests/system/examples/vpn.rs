//! Links that publish what the other end gave them: OpenVPN, PPP.

use super::{edit, log, under_ash};
use crate::fw::{World, install};
use lab::{Lab, Proc, install_peer, peer, wait_for};
use std::fs;
use std::path::Path;

/// A host behind the other end of the tunnel.
const BEHIND: &str = "203.0.113.1";

const BEHIND_V6: &str = "2001:db8:5::1";

/// Keys and certificates `server` and `client` in the lab's directory; fingerprints are returned in this order.
fn certificates(lab: &Lab) -> [String; 2] {
    ["server", "client"].map(|name| {
        lab.cmd(peer("openssl"))
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30".split(' '))
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt"), "-subj", &format!("/CN={name}")])
            .ok();
        let shown = lab.cmd(peer("openssl")).args(["x509", "-in", &format!("{name}.crt"), "-noout"]);
        let shown = shown.args(["-fingerprint", "-sha256"]).ok();
        shown.trim().split_once('=').unwrap().1.to_owned()
    })
}

/// The provider is the other end. What is behind it answers only what comes through the tunnel.
fn serve(world: &World<'_>, kind: &str, client: &str) -> Proc {
    let config = format!(
        "dev vpn\ndev-type {kind}\ntopology subnet\nserver 10.8.0.0 255.255.255.0\nserver-ipv6 fd00:8::/64\nkeepalive 1 3\ndh none\n\
         cert server.crt\nkey server.key\npeer-fingerprint {client}\npush \"route 203.0.113.0 255.255.255.0\"\n\
         push \"route-ipv6 2001:db8:5::/48\"\npush \"dhcp-option DNS 10.8.0.53\"\npush \"dhcp-option DOMAIN vpn.example\"\n"
    );
    let config = world.lab.write("server.conf", config);
    let server = world.lab.cmd("openvpn").arg(config).named("openvpn server").netns(&world.provider).spawn();
    server.wait_line("*Initialization Sequence Completed*");
    server
}

fn openvpn_if(lab: &Lab, kind: &str) {
    let (name, device) = (format!("openvpn_{kind}0"), format!("{kind}0"));
    install_peer("openvpn");
    let [server, client] = certificates(lab);
    let world = World::new(lab);
    world.publish("dhcp_eth0", "if=eth0 ipmask=192.0.2.7/24 gw=192.0.2.1 net=0/0 dns=192.0.2.1");
    world.provider.address("lo", &format!("{BEHIND}/32"));
    world.provider.address("lo", &format!("{BEHIND_V6}/128"));
    let rules = format!(
        "table ip t {{ chain c {{ type filter hook input priority 0; iifname cable ip daddr {BEHIND} drop; }}; }}"
    );
    lab.cmd("nft").arg(rules).netns(&world.provider).ok();
    let fw = "/run/sv/fw/run";
    fs::write(fw, lab.read(fw).replacen("wan=\"eth0\" ", &format!("wan=\"eth0, {device}\" "), 1)).unwrap();

    // Copied, or edited in place and enabled for an interface.
    let copied = kind == "tap";
    let dir = if copied { format!("/var/service/{name}") } else { "/etc/sv/openvpn_if".to_owned() };
    let _ = fs::remove_file("/etc/sv");
    install("examples/openvpn_if", &dir);
    if copied {
        under_ash(&dir);
    }
    for file in ["client.crt", "client.key"] {
        fs::copy(lab.path(file), format!("{dir}/{file}")).unwrap();
    }
    let conf = format!("{dir}/openvpn.conf");
    let text = lab.read(&conf).replace("remote vpn.example 1194", "remote 192.0.2.1 1194");
    let text = text.replace("ca ca.crt\n", "").replace("remote-cert-tls server", &format!("peer-fingerprint {server}"));
    fs::write(conf, text).unwrap();
    let serving = serve(&world, kind, &client);
    if !copied {
        lab.cmd("sv").args(["enable", &name]).ok();
    }
    let _runsvdir = world.supervise();
    lab.cmd("sv").args(["-w", "15", "start", &format!("/var/service/{name}")]).ok();

    let file = format!("/run/service/fw/{name}.ipconf");
    let expected = format!(
        "let cfg=cfg+1\nif[$cfg]='{device}'\nip[$cfg]='10.8.0.2'\nipmask[$cfg]='10.8.0.2/24'\n\
         routes[$cfg]='203.0.113.0/24 10.8.0.1'\ndns[$cfg]='10.8.0.53'\ndns_prio[$cfg]='1'\n\
         search[$cfg]='vpn.example'\nlet cfg=cfg+1\nif[$cfg]='{device}'\nip[$cfg]='fd00:8::1000'\n\
         ipmask[$cfg]='fd00:8::1000/64'\nroutes[$cfg]='2001:db8:5::/48 fd00:8::1'\n"
    );
    lab::eqnice!(lab.read(&file), expected);
    let ping = || world.host.cmd(lab, "ping").args(["-n", "-c1", "-W1", BEHIND]).output().code == 0;
    wait_for("a path from the host through the tunnel", ping);
    let net = lab.net();
    wait_for("its other end over IPv6", || lab.cmd("ping").args(["-n", "-c1", "-W1", BEHIND_V6]).output().code == 0);
    assert!(net.ip("route get 203.0.113.1").contains(&format!("via 10.8.0.1 dev {device} ")));
    wait_for("the tunnel's name server", || {
        lab.read("/etc/resolv.conf").ends_with("search vpn.example\nnameserver 10.8.0.53\n")
    });

    // The other end dies and comes back.
    serving.stop();
    wait_for("the file's end", || !Path::new(&file).exists());
    wait_for("the route's end", || !net.ip("route").contains("203.0.113.0/24"));
    let _serving = serve(&world, kind, &client);
    wait_for("a path from the host through the tunnel", ping);

    lab.cmd("sv").args(["down", &format!("/var/service/{name}")]).ok();
    wait_for("the file's end", || !Path::new(&file).exists());
    wait_for("the name server's end", || lab.read("/etc/resolv.conf").ends_with("nameserver 192.0.2.1\n"));
    wait_for("the route's end", || !net.ip("route").contains("203.0.113.0/24"));
    wait_for("the interface's end", || !net.ip("-o link").contains(&device));
}

#[test]
fn openvpn_tun() {
    lab::test(|lab| openvpn_if(lab, "tun"));
}

#[test]
fn openvpn_tap() {
    lab::test(|lab| openvpn_if(lab, "tap"));
}

/// The real pppd, where the kernel has no PPP: it says so, and is not started again every second for ever.
#[test]
fn ppp_without_the_kernels_help() {
    lab::test(|lab| {
        let _ = fs::remove_file("/dev/ppp");
        install_peer("pppd");
        let world = World::new(lab);
        install("examples/ppp_if", "/var/service/ppp_ppp0");
        edit(lab, "ppp_ppp0/options", "plugin rp-pppoe.so\neth0\n", "/dev/ptmx\n");
        let _runsvdir = world.supervise();
        wait_for("two starts", || log("ppp_ppp0").matches("this kernel has no PPP").count() == 2);
        let said = log("ppp_ppp0");
        assert!(said.contains("ppp_ppp0: runs /run/lab/bin/pppd") && said.contains("/dev/ppp"), "{said}");
        assert!(lab.cmd("sv").args(["check", "/var/service/ppp_ppp0"]).env("SVWAIT", "1").output().code != 0);
    });
}

/// What pppd runs when the link is up, called as pppd calls it, and what fw makes of it.
#[test]
fn ppp_publishes() {
    lab::test(|lab| {
        let world = World::new(lab);
        let fw = "/run/sv/fw/run";
        fs::write(fw, lab.read(fw).replacen("wan=\"eth0\" ", "wan=\"ppp0\" ", 1)).unwrap();
        install("examples/ppp_if", "/var/service/ppp_ppp0");
        under_ash("/var/service/ppp_ppp0");
        fs::write("/var/service/ppp_ppp0/down", "").unwrap();
        let _runsvdir = world.supervise();
        let net = lab.net();
        net.ip("tuntap add ppp0 mode tun");
        net.ip("addr add 100.64.0.2 peer 100.64.0.1 dev ppp0");
        net.ip("link set ppp0 up");
        let call = |script: &str| {
            lab.cmd(format!("/var/service/ppp_ppp0/{script}"))
                .args(["ppp0", "/dev/pts/3", "115200", "100.64.0.2", "100.64.0.1", "/var/service/ppp_ppp0"])
                .env("DNS1", "100.64.0.53")
                .dir("/")
                .ok()
        };
        call("ip-up");
        lab::eqnice!(
            lab.read("/run/service/fw/ppp_ppp0.ipconf"),
            "let cfg=cfg+1\nif[$cfg]='ppp0'\nip[$cfg]='100.64.0.2'\nipmask[$cfg]='100.64.0.2/32'\n\
             gw[$cfg]='100.64.0.1'\nnet[$cfg]='0/0'\ndns[$cfg]='100.64.0.53'\n"
        );
        wait_for("the default route", || net.ip("route show default").contains("via 100.64.0.1 dev ppp0"));
        wait_for("the name server", || lab.read("/etc/resolv.conf").contains("nameserver 100.64.0.53\n"));
        assert_eq!(net.ip("-o -4 addr show dev ppp0").lines().count(), 1, "pppd's address is not added again");
        let ready = || lab.cmd("./check").dir("/var/service/ppp_ppp0").output().code;
        assert_eq!(ready(), 0);
        call("ip-down");
        assert_eq!(ready(), 1);
        wait_for("the route's end", || net.ip("route show default").is_empty());
    });
}

/// What the other end says reaches no shell: it is an address, or nothing is published.
#[test]
fn hostile_values() {
    lab::test(|lab| {
        let world = World::new(lab);
        install("examples/openvpn_if", "/var/service/openvpn_tun0");
        fs::write("/var/service/openvpn_tun0/down", "").unwrap();
        let _runsvdir = world.supervise();
        let handler = |shell: &str, name: &str, value: &str| {
            let cmd = lab.cmd(peer(shell)).args((shell == "busybox").then_some("sh")).arg("openvpn_handler");
            let usual = [("script_type", "up"), ("dev", "lo"), ("ifconfig_local", "10.8.0.2"), ("tun_mtu", "1500")];
            let usual =
                usual.into_iter().chain([("ifconfig_netmask", "255.255.255.0"), ("route_netmask_1", "255.0.0.0")]);
            let cmd = usual.filter(|(n, _)| *n != name).fold(cmd, |cmd, (n, v)| cmd.env(n, v));
            cmd.env(name, value).dir("/var/service/openvpn_tun0").output()
        };
        for shell in ["dash", "busybox"] {
            let good = handler(shell, "foreign_option_1", "dhcp-option DNS 10.8.0.53");
            assert_eq!((good.code, good.stderr.as_str()), (0, ""));
            assert!(lab.read("/run/service/fw/openvpn_tun0.ipconf").contains("dns[$cfg]='10.8.0.53'\n"));
            for evil in
                ["$(touch /run/pwned)", "`touch /run/pwned`", "';touch /run/pwned;'", "1.2.3.4 \n> /run/pwned", "*"]
            {
                for (name, value) in [
                    ("foreign_option_1", format!("dhcp-option DNS {evil}")),
                    ("foreign_option_1", format!("dhcp-option DOMAIN {evil}")),
                    ("route_network_1", evil.to_owned()),
                    ("ifconfig_local", evil.to_owned()),
                    ("ifconfig_netmask", evil.to_owned()),
                ] {
                    let out = handler(shell, name, &value);
                    assert!(out.code == 1 && out.stderr.contains("netd: fatal: expected "), "{name}={value}: {out:?}");
                }
            }
        }
        assert!(!Path::new("/run/pwned").exists());
    });
}
