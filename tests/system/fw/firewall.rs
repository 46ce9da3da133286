//! What the rules let through and what not: IPv6, port forwards, classic iptables beside ours, and what `fw/stat` shows of it.

use super::{World, edit};
use lab::{Lab, Netns, Proc, udp, wait_for};
use std::net::UdpSocket;
use std::time::Duration;

/// Behind the provider, over a link that takes 1300 bytes.
const FAR: &str = "2001:db8:c::1";

/// IPv6 from a far network to the host, by static routes; the gateway's policy as it ships.
fn six(lab: &Lab) -> (World<'_>, Netns, Proc) {
    let world = World::new(lab);
    let far = lab.netns("far");
    lab.cable((&world.provider, "narrow"), (&far, "eth0"));
    let nodad = |ns: &Netns, link: &str, address: &str| drop(ns.ip(&format!("address add {address} dev {link} nodad")));
    for (ns, link) in [(&world.provider, "narrow"), (&far, "eth0")] {
        ns.ip(&format!("link set {link} mtu 1300"));
    }
    nodad(&world.provider, "narrow", "2001:db8:c::2/64");
    nodad(&world.provider, "cable", "2001:db8:a::1/64");
    nodad(&far, "eth0", &format!("{FAR}/64"));
    nodad(&world.host, "eth0", "2001:db8:b::10/64");
    world.provider.sysctl(lab, "net.ipv6.conf.all.forwarding", "1");
    far.ip("route add default via 2001:db8:c::2");
    world.provider.ip("-6 route add 2001:db8:b::/64 via 2001:db8:a::7");
    world.host.ip("route add default via 2001:db8:b::1");
    world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
    world.publish("a6", "if=eth0 ipmask=2001:db8:a::7/64 net=0/0 gw=2001:db8:a::1");
    world.publish("b6", "if=eth1 ipmask=2001:db8:b::1/64");
    let runsvdir = world.supervise();
    wait_for("a way to the far end", || ping(lab, &world.host, &["-c1", FAR]).0 == 0);
    (world, far, runsvdir)
}

fn ping(lab: &Lab, from: &Netns, args: &[&str]) -> (i32, String) {
    let out = from.cmd(lab, "ping").args(["-n", "-W2"]).args(args).output();
    (out.code, out.stdout + &out.stderr)
}

fn heard(at: &UdpSocket) -> bool {
    at.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    at.recv(&mut [0; 16]).is_ok()
}

/// RFC 4890: neighbours are found, errors and echoes pass, and nothing else that nobody asked for.
#[test]
fn ipv6_works_and_is_closed() {
    lab::test(|lab| {
        let (world, far, _runsvdir) = six(lab);
        // Neighbours forget each other: they have to be found again through the rules.
        for (ns, link) in
            [(&world.provider, "cable"), (&lab.net(), "eth0"), (&lab.net(), "eth1"), (&world.host, "eth0")]
        {
            ns.ip(&format!("-6 neighbour flush dev {link}"));
        }
        for to in ["2001:db8:a::7", "2001:db8:b::10"] {
            assert_eq!(ping(lab, &far, &["-c2", to]).0, 0, "echo, section 4.3.1: {to}");
        }
        // Too big for the link behind the provider: its word reaches the host, which cuts its packets.
        let (_, said) = ping(lab, &world.host, &["-c2", "-M", "do", "-s", "1400", FAR]);
        assert!(said.contains("Packet too big: mtu=1300") || said.contains("Message too long, mtu: 1300"), "{said}");
        assert!(world.host.ip(&format!("-6 route get {FAR}")).contains("mtu 1300"));

        // A conversation the host begins, and one that somebody else does.
        let (host, there) = (udp(&world.host, "[2001:db8:b::10]:7000"), udp(&far, &format!("[{FAR}]:7000")));
        there.send_to(b"unasked", "[2001:db8:b::10]:7000").unwrap();
        assert!(!heard(&host), "into the own network");
        let gateway = udp(&lab.net(), "[::]:7001");
        there.send_to(b"unasked", "[2001:db8:a::7]:7001").unwrap();
        assert!(!heard(&gateway), "to the gateway");
        host.send_to(b"question", format!("[{FAR}]:7000")).unwrap();
        assert!(heard(&there));
        there.send_to(b"answer", "[2001:db8:b::10]:7000").unwrap();
        assert!(heard(&host));
    });
}

/// A port of the gateway belongs to a host of the own network, for TCP and for IPv6 too.
#[test]
fn port_forwards() {
    lab::test(|lab| {
        let (world, far, _runsvdir) = six(lab);
        edit(
            "ruleset",
            "# iifname @wan tcp dport 8080 dnat ip to 192.168.1.10:80",
            "iifname @wan tcp dport 8080 dnat ip to 192.168.1.10:80\n\
             \t\tiifname @wan udp dport 8081 dnat ip6 to [2001:db8:b::10]:81",
        );
        world.kick();
        let web = world.host.cmd(lab, "busybox").args(["nc", "-l", "-p", "80", "-e", "echo", "hello"]).spawn();
        let ask = || world.provider.cmd(lab, "busybox").args(["nc", "-w", "2", "192.0.2.7", "8080"]).output().stdout;
        wait_for("an answer", || ask() == "hello\n");
        drop(web);
        let (host, there) = (udp(&world.host, "[2001:db8:b::10]:81"), udp(&far, &format!("[{FAR}]:7000")));
        there.send_to(b"question", "[2001:db8:a::7]:8081").unwrap();
        assert!(heard(&host));
    });
}

/// Rules of iptables that an administrator adds to `run`, in the classic style, beside our table, run after run.
#[test]
fn classic_iptables_in_run() {
    lab::test(|lab| {
        let world = World::new(lab);
        world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
        let classic = "    iptables -N games 2>/dev/null || iptables -F games\n    \
                       iptables -A games -p udp --dport 9 -j DROP\n    \
                       iptables -C FORWARD -i eth1 -j games 2>/dev/null || iptables -A FORWARD -i eth1 -j games\n    date ";
        edit("run", "    date ", classic);
        let _runsvdir = world.supervise();
        for _ in 0..3 {
            world.kick();
        }
        assert_eq!(
            lab.cmd("iptables").args(["-S", "FORWARD"]).ok(),
            "-P FORWARD ACCEPT\n-A FORWARD -i eth1 -j games\n"
        );
        assert_eq!(
            lab.cmd("iptables").args(["-S", "games"]).ok(),
            "-N games\n-A games -p udp -m udp --dport 9 -j DROP\n"
        );
        assert!(world.host_reaches_internet());
        let host = udp(&world.host, "192.168.1.10:0");
        for (port, passes) in [(9, false), (10, true)] {
            let there = udp(&world.provider, &format!("{}:{port}", super::INTERNET));
            host.send_to(b"x", format!("{}:{port}", super::INTERNET)).unwrap();
            assert_eq!(heard(&there), passes, "port {port}");
        }
        assert!(!world.log().contains("warning"), "{}", world.log());
    });
}

#[test]
fn stat_shows_what_is_known_and_counted() {
    lab::test(|lab| {
        let world = World::new(lab);
        world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
        let _runsvdir = world.supervise();
        assert!(world.host_reaches_internet());
        wait_for("the log", || world.log().contains("revision 1"));
        let shown = lab.cmd("/run/sv/fw/stat").ok();
        for what in [
            "a               eth0            192.0.2.7/24    0/0             192.0.2.1",
            "== last run of fw that came to its end: 20",
            "netd: this configuration is revision 1",
            "default via 192.0.2.1 dev eth0 metric 100",
            "oifname @wan counter packets 1 bytes 84 accept",
        ] {
            assert!(shown.contains(what), "{what}:\n{shown}");
        }
        assert!(shown.contains("eth0") && shown.contains("UP"), "{shown}");
    });
}
