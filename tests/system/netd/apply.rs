//! `netd apply`: the difference only, our own objects only, errors with their file and line.

use super::{applied, apply, changes, conf, fact, gateway, incomplete, remove};
use lab::{Lab, eqnice};

const LEASE: &str = "if=eth0; ip=192.0.2.7; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0";
const LAN: &str = "if=eth1; ip=10.0.0.1; ipmask=10.0.0.1/24; net=10.0.0.0/24; mtu=1400";

#[test]
fn a_gateway_comes_up_and_goes() {
    lab::test(|lab| {
        gateway(lab);
        lab.net().ip("link set eth1 down");
        conf(lab, "lan", &format!("{LAN}\nif=eth1; ipmask=2001:db8::1/64; net=2001:db8:5::/48; gw=2001:db8::2"));
        fact(lab, "dhcp_eth0", LEASE);
        assert_eq!(
            applied(lab),
            [
                "eth1: set mtu 1400 (lan.ipconf:1)",
                "eth1: set up (lan.ipconf:1)",
                "eth1: add address 10.0.0.1/24 (lan.ipconf:1)",
                "eth1: add address 2001:db8::1/64 (lan.ipconf:7)",
                "eth0: add address 192.0.2.7/24 (dhcp_eth0.ipconf:1)",
                "eth1: add route 2001:db8:5::/48 via 2001:db8::2 metric 1024 (lan.ipconf:7)",
                "eth0: add route default via 192.0.2.1 metric 100 (dhcp_eth0.ipconf:1)",
            ]
        );
        eqnice!(
            routes(lab, "-4"),
            "default via 192.0.2.1 dev eth0 proto 80 metric 100\n\
             10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.1\n\
             192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.7\n"
        );
        assert!(routes(lab, "-6").contains("2001:db8:5::/48 via 2001:db8::2 dev eth1 proto 80 metric 1024"));
        let addresses = lab.net().ip("-4 -o addr show dev eth0");
        assert!(addresses.contains("inet 192.0.2.7/24 brd 192.0.2.255 scope global eth0"), "{addresses}");
        assert!(lab.net().ip("-o link show eth1").contains("mtu 1400"));

        remove(lab, "run/dhcp_eth0.ipconf");
        assert_eq!(
            applied(lab),
            ["eth0: delete route default via 192.0.2.1 metric 100", "eth0: delete address 192.0.2.7/24"]
        );
        remove(lab, "conf/lan.ipconf");
        assert_eq!(applied(lab).len(), 3);
        assert_eq!(routes(lab, "-4"), "");
    });
}

/// `ip route` without the blanks it ends lines with.
fn routes(lab: &Lab, family: &str) -> String {
    lab.net().ip(&format!("{family} route show")).lines().map(|l| l.trim_end().to_owned() + "\n").collect()
}

#[test]
fn nothing_to_do_is_no_write() {
    lab::test(|lab| {
        gateway(lab);
        conf(lab, "lan", LAN);
        fact(lab, "dhcp_eth0", LEASE);
        applied(lab);
        let before: Vec<_> = std::fs::read_dir(lab.path("run")).unwrap().map(|e| e.unwrap().file_name()).collect();
        let monitor = lab.cmd("ip").args(["monitor", "link", "address", "route"]).spawn();
        // The monitor hears us: the first event is ours. (It may take several before it listens.)
        lab::wait_for("the monitor", || {
            lab.net().ip("address replace 198.51.100.1/32 dev lo");
            monitor.stdout().contains("198.51.100.1/32")
        });
        for _ in 0..3 {
            assert_eq!(applied(lab), [""; 0]);
        }
        lab.net().ip("address add 198.51.100.2/32 dev lo");
        monitor.wait_line("*198.51.100.2/32*");
        let heard = monitor.stdout();
        // What IPv6 does by itself on new links (fe80:: addresses) is not ours.
        for ours in ["192.0.2.7", "10.0.0.1", "default", "proto 80"] {
            assert!(!heard.contains(ours), "{heard}");
        }
        let after: Vec<_> = std::fs::read_dir(lab.path("run")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(before, after);
    });
}

#[test]
fn a_new_address_from_the_same_network_loses_nothing() {
    lab::test(|lab| {
        gateway(lab);
        lab.net().sysctl(lab, "net.ipv4.conf.all.promote_secondaries", "0");
        lab.net().sysctl(lab, "net.ipv4.conf.eth0.promote_secondaries", "0");
        fact(lab, "dhcp_eth0", LEASE);
        applied(lab);
        lab.net().ip("address add 192.0.2.77/24 dev eth0");
        fact(lab, "dhcp_eth0", &LEASE.replace("2.7", "2.8"));
        assert_eq!(
            applied(lab),
            [
                "eth0: let other addresses outlive the first of their network",
                "eth0: add address 192.0.2.8/24 (dhcp_eth0.ipconf:1)",
                "eth0: delete address 192.0.2.7/24",
            ]
        );
        let left = lab.net().ip("-4 -o addr show dev eth0");
        assert!(left.contains("192.0.2.8/24") && left.contains("192.0.2.77/24") && !left.contains("2.7/24"), "{left}");
        assert!(routes(lab, "-4").contains("default via 192.0.2.1 dev eth0"));
    });
}

#[test]
fn objects_of_others_survive() {
    lab::test(|lab| {
        gateway(lab);
        let ip = |args: &str| lab.net().ip(args);
        ip("address add 203.0.113.1/24 dev eth0");
        ip("address add 192.0.2.99/24 dev eth0");
        ip("-6 address add 2001:db8:9::1/64 dev eth1 nodad");
        ip("route add 198.51.100.0/24 via 203.0.113.9 proto bird metric 5");
        ip("route add default via 203.0.113.254 metric 50");
        ip("route add 198.51.100.0/24 via 203.0.113.9 table 100");
        ip("-6 route add 2001:db8:77::/48 dev eth1 proto static");
        ip("rule add from 203.0.113.1 table 100");
        let others = || {
            let all = ["-4 route show table all", "-6 route show table all", "addr show", "rule show"].map(ip).concat();
            let ours = |l: &&str| l.contains("proto 80") || l.contains("192.0.2.7") || l.contains("192.0.2.8");
            // Secondary or not changes with the company.
            all.lines()
                .filter(|l| !ours(l) && l.contains("203.0.113") || l.contains("bird") || l.contains("2001:db8:"))
                .map(|l| l.trim_end().replace(" secondary", "") + "\n")
                .collect::<String>()
        };
        // The kernel makes the local route of an IPv6 address a moment later.
        lab::wait_for("the IPv6 address", || ip("-6 route show table local").contains("2001:db8:9::1"));
        let before = others();
        assert!(before.lines().count() > 8, "{before}");
        for round in 0..20 {
            fact(lab, "dhcp_eth0", &LEASE.replace("2.7", ["2.7", "2.8"][round % 2]));
            fact(lab, "vpn", "if=eth0; net=172.16.0.0/12; gw=192.0.2.5; table=100");
            applied(lab);
            if round % 3 == 0 {
                remove(lab, "run/dhcp_eth0.ipconf");
                remove(lab, "run/vpn.ipconf");
                applied(lab);
            }
        }
        remove(lab, "run/dhcp_eth0.ipconf");
        remove(lab, "run/vpn.ipconf");
        applied(lab);
        eqnice!(others(), before);
        assert!(!ip("route show table all").contains("proto 80"));
    });
}

#[test]
fn what_is_there_already_is_accepted_and_not_taken() {
    lab::test(|lab| {
        gateway(lab);
        lab.net().ip("address add 192.0.2.7/24 brd + dev eth0");
        lab.net().ip("route add 198.51.100.0/24 via 192.0.2.1 proto boot");
        let routes = "routes=198.51.100.0/24 192.0.2.1";
        fact(lab, "dhcp_eth0", &format!("if=eth0; ipmask=192.0.2.7/24; {routes}"));
        assert_eq!(applied(lab), [""; 0]);
        fact(lab, "dhcp_eth0", "if=eth0; ipmask=192.0.2.7/24; routes=198.51.100.0/24 192.0.2.2");
        let (done, said) = incomplete(lab);
        assert_eq!(done, [""; 0]);
        assert_eq!(
            said,
            ["warning: run/dhcp_eth0.ipconf:1: eth0: route 198.51.100.0/24 metric 0: \
              a route that is not ours (proto 3) is in its place"]
        );
        remove(lab, "run/dhcp_eth0.ipconf");
        assert_eq!(applied(lab), [""; 0]);
        assert!(lab.net().ip("-4 addr show eth0").contains("192.0.2.7/24"));
        assert!(lab.net().ip("route").contains("198.51.100.0/24 via 192.0.2.1"));
    });
}

#[test]
fn a_bad_file_changes_nothing_of_what_it_is_about() {
    lab::test(|lab| {
        gateway(lab);
        conf(lab, "lan", LAN);
        fact(lab, "dhcp_eth0", LEASE);
        applied(lab);
        let broken = lab.read("conf/lan.ipconf").replace("10.0.0.1/24'", "10.0.0.1/24");
        lab.write("conf/lan.ipconf", broken);
        fact(lab, "dhcp_eth0", &LEASE.replace("2.7", "2.8"));
        let (done, said) = incomplete(lab);
        assert_eq!(said, ["warning: conf/lan.ipconf:4: expected the closing quote on the same line"]);
        assert_eq!(done.last().unwrap(), "eth0: delete address 192.0.2.7/24");
        assert!(lab.net().ip("-4 addr show eth1").contains("10.0.0.1/24"));

        // A file that does not say what it is about holds everything.
        lab.write("run/odd.ipconf", "let cfg=cfg+1\nif[$cfg]=$(hostname)\n");
        remove(lab, "run/dhcp_eth0.ipconf");
        let (done, said) = incomplete(lab);
        assert_eq!((done.len(), said.len()), (0, 2), "{said:?}");
        remove(lab, "run/odd.ipconf");
        assert_eq!(incomplete(lab).0.len(), 2);
        conf(lab, "lan", LAN);
        assert_eq!(applied(lab), [""; 0]);
    });
}

#[test]
fn an_interface_that_is_not_there_yet() {
    lab::test(|lab| {
        gateway(lab);
        fact(lab, "dhcp_eth0", LEASE);
        fact(lab, "ppp", "if=ppp0; ipmask=10.9.0.1/32\nif=ppp0; net=10.9.0.0/16");
        let (done, said) = incomplete(lab);
        assert_eq!(done.len(), 2);
        assert_eq!(said, ["warning: run/ppp.ipconf:1: ppp0: there is no such interface"]);
        lab.net().ip("link add ppp0 type bridge");
        lab.net().ip("link set ppp0 up");
        assert_eq!(
            applied(lab),
            ["ppp0: add address 10.9.0.1/32 (ppp.ipconf:1)", "ppp0: add route 10.9.0.0/16 (ppp.ipconf:4)"]
        );
        // Gone with all its addresses and routes, and back under another number.
        lab.net().ip("link del ppp0");
        assert_eq!(incomplete(lab).0, [""; 0]);
        lab.net().ip("link add ppp0 type bridge");
        let (done, said) = incomplete(lab);
        assert_eq!(done, ["ppp0: add address 10.9.0.1/32 (ppp.ipconf:1)"]);
        assert_eq!(
            said,
            ["warning: run/ppp.ipconf:4: ppp0: add route 10.9.0.0/16: Device for nexthop is not up (Network is down)"]
        );
        lab.net().ip("link set ppp0 up");
        assert_eq!(applied(lab), ["ppp0: add route 10.9.0.0/16 (ppp.ipconf:4)"]);
    });
}

#[test]
fn without_rights() {
    lab::test(|lab| {
        gateway(lab);
        fact(lab, "dhcp_eth0", LEASE);
        let powerless = |lab: &Lab| {
            lab.cmd("setpriv").args(["--bounding-set=-all", "--inh-caps=-all", "netd", "apply", "conf", "run"])
        };
        let out = powerless(lab).fails(1);
        assert_eq!(out.stdout, "");
        assert_eq!(out.stderr, "netd: fatal: no right to change the network: it takes root, or CAP_NET_ADMIN\n");
        applied(lab);
        powerless(lab).prints("");
        // Once, whatever it is about.
        conf(lab, "bridge", "if=br0; bridge=eth1; ipmask=10.0.0.1/24");
        let fatal = "netd: fatal: no right to change the network: it takes root, or CAP_NET_ADMIN\n";
        assert_eq!(powerless(lab).fails(1).stderr, fatal);
        lab.net().ip("link set eth1 down");
        assert_eq!(powerless(lab).fails(1).stderr, fatal);
    });
}

#[test]
fn wrong_calls() {
    lab::test(|lab| {
        gateway(lab);
        fact(lab, "dhcp_eth0", LEASE);
        applied(lab);
        let said = |args: &[&str]| lab.cmd("netd").arg("apply").args(args).fails(100).stderr;
        assert_eq!(said(&["nowhere", "run"]), "netd: fatal: unable to read directory nowhere: file does not exist\n");
        assert_eq!(
            said(&["conf", "run/dhcp_eth0.ipconf"]),
            "netd: fatal: unable to read directory run/dhcp_eth0.ipconf: not a directory\n"
        );
        assert_eq!(said(&["--prefer", "a/b", "conf"]).lines().count(), 1);
        assert_eq!(said(&["conf", "run", "more"]), "netd: fatal: usage: unexpected argument \"more\"\n");
        assert_eq!(applied(lab), [""; 0]);
        assert!(lab.cmd("netd").fails(100).stderr.contains("netd apply [--wan IF,IF...] [--prefer IF]"));
        lab.cmd("netd").arg("nonsense").fails(100);
        // Nobody has published yet.
        assert_eq!(changes(&lab.cmd("netd").args(["apply", "conf", "run/none"]).ok()).len(), 2);
    });
}

#[test]
fn default_routes_stand_by() {
    lab::test(|lab| {
        gateway(lab);
        fact(lab, "dhcp_eth0", LEASE);
        fact(lab, "dhcp_eth1", "if=eth1; ipmask=10.0.0.7/24; gw=10.0.0.254; net=0/0");
        applied(lab);
        let way = || lab.net().ip("route get 198.51.100.1");
        assert!(way().contains("via 192.0.2.1 dev eth0"));
        let preferred = || changes(&apply(lab).args(["--prefer", "eth1"]).ok());
        let changes = preferred();
        assert_eq!(
            changes.iter().filter(|c| c.contains("replace route")).count(),
            2,
            "two keys, two routes: {changes:?}"
        );
        assert_eq!(changes[2..], ["eth0: connections from 192.0.2.7 ended"]);
        assert!(way().contains("via 10.0.0.254 dev eth1"));
        assert_eq!(preferred(), [""; 0]);
        remove(lab, "run/dhcp_eth1.ipconf");
        preferred();
        assert!(way().contains("via 192.0.2.1 dev eth0"));
    });
}

#[test]
fn gateways_off_the_network() {
    lab::test(|lab| {
        gateway(lab);
        fact(lab, "dhcp_eth0", "if=eth0; ipmask=203.0.113.9/32; gw=192.0.2.1; net=0/0");
        applied(lab);
        assert_eq!(routes(lab, "-4"), "default via 192.0.2.1 dev eth0 proto 80 src 203.0.113.9 metric 100 onlink\n");
        assert_eq!(applied(lab), [""; 0]);
        // The route would go with the last address of its link: it is set again, onlink as before.
        fact(lab, "dhcp_eth0", "if=eth0; gw=192.0.2.1; net=0/0");
        applied(lab);
        assert_eq!(routes(lab, "-4"), "default via 192.0.2.1 dev eth0 proto 80 metric 100 onlink\n");
        assert_eq!(applied(lab), [""; 0]);
    });
}

#[test]
fn a_router_forwards() {
    lab::test(|lab| {
        gateway(lab);
        let forward = || changes(&apply(lab).arg("--forward").ok());
        assert_eq!(forward(), ["set net/ipv4/ip_forward to 1", "set net/ipv6/conf/all/forwarding to 1"]);
        assert_eq!(lab.read("/proc/sys/net/ipv4/ip_forward"), "1\n");
        assert_eq!(forward(), [""; 0]);
        // An uplink may live by what other routers announce; what somebody has turned off stays so.
        let uplink = || changes(&apply(lab).args(["--forward", "--wan", "eth0,eth1,eth9"]).ok());
        lab.net().sysctl(lab, "net.ipv6.conf.eth1.accept_ra", "0");
        assert_eq!(uplink(), ["set net/ipv6/conf/eth0/accept_ra to 2"]);
        lab.cmd("netd").args(["plan", "--forward", "--wan", "eth0,eth1,eth9", "conf", "run"]).prints("");
        assert_eq!(uplink(), [""; 0]);
        assert_eq!(lab.read("/proc/sys/net/ipv6/conf/eth1/accept_ra"), "0\n");
        // A machine without IPv6.
        lab.net().sysctl(lab, "net.ipv6.conf.all.forwarding", "0");
        lab.sh("mount -t tmpfs none /proc/sys/net/ipv6").ok();
        assert_eq!(forward(), [""; 0]);
    });
}

#[test]
fn addresses_on_a_list_are_ours_too() {
    lab::test(|lab| {
        gateway(lab);
        // What an older kernel shows: the address without our mark, and the list that says so.
        lab.net().ip("address add 192.0.2.7/24 brd + dev eth0");
        lab.net().ip("address add 192.0.2.9/24 brd + dev eth0");
        lab.write("run/netd.addresses", "eth0 192.0.2.7/24\n");
        fact(lab, "dhcp_eth0", LEASE);
        assert_eq!(applied(lab), ["eth0: add route default via 192.0.2.1 metric 100 (dhcp_eth0.ipconf:1)"]);
        assert_eq!(lab.read("run/netd.addresses"), "eth0 192.0.2.7/24\n");
        remove(lab, "run/dhcp_eth0.ipconf");
        assert_eq!(
            applied(lab),
            [
                "eth0: let other addresses outlive the first of their network",
                "eth0: delete route default via 192.0.2.1 metric 100",
                "eth0: delete address 192.0.2.7/24"
            ]
        );
        assert!(lab.net().ip("-4 addr show eth0").contains("192.0.2.9/24"));
        assert!(!lab.path("run/netd.addresses").exists(), "a list of nothing is no list");
    });
}

#[test]
fn a_thousand_of_each() {
    lab::test(|lab| {
        gateway(lab);
        let mut records = String::from("if=eth0; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0\n");
        for n in 0..1000 {
            let (a, b) = (n / 250, n % 250);
            records += &format!("if=eth1; ipmask=10.1.{a}.{b}/32; net=10.{}.{b}.0/24; gw=192.0.2.9\n", 100 + a);
        }
        fact(lab, "many", &records);
        assert_eq!(applied(lab).len(), 2002);
        assert_eq!(lab.net().ip("-4 -o addr show").lines().filter(|l| !l.contains(" lo ")).count(), 1001);
        assert_eq!(lab.net().ip("-4 route show proto 80").lines().count(), 1001);
        assert_eq!(applied(lab), [""; 0]);
        fact(lab, "many", "if=eth0; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0");
        assert_eq!(applied(lab).len(), 2000);
        assert_eq!(lab.net().ip("route show proto 80"), "default via 192.0.2.1 dev eth0 metric 100 \n");
    });
}

#[test]
fn a_stream_of_packets_does_not_notice() {
    lab::test(|lab| {
        gateway(lab);
        let isp = lab.netns("far");
        lab.cable((&lab.net(), "eth2"), (&isp, "eth0"));
        isp.address("eth0", "192.0.2.1/24");
        isp.ip("address add 198.51.100.1/32 dev lo");
        fact(lab, "dhcp_eth2", &LEASE.replace("eth0", "eth2"));
        conf(lab, "lan", LAN);
        applied(lab);
        let ping = lab.cmd("ping").args(["-q", "-i", "0.001", "-c", "1000", "198.51.100.1"]).spawn();
        let mut runs = 0;
        while !ping.ended() {
            assert_eq!(applied(lab), [""; 0]);
            conf(lab, "lan", &LAN.replace("10.0.0.1", ["10.0.0.1", "10.0.0.2"][(runs + 1) % 2]));
            assert_eq!(applied(lab).len(), if runs == 0 { 3 } else { 2 });
            runs += 1;
        }
        assert_eq!(ping.wait(), 0);
        ping.wait_line("*1000 received, 0% packet loss*");
        assert!(runs >= 3, "too quick to have tested anything: {runs}");
    });
}
