//! What happens on the wire below DHCP: the cable moved to the same network and to others (RFC 4436), and neighbours who use
//! our address (RFC 5227).

use super::server::{ACK, ADDRESS, Answer, Asked, DISCOVER, OFFER, REQUEST, SERVER, count, serve};
use super::{DNSMASQ, calls, native, net, script, udhcpc, wait_call};
use lab::{Lab, Netns, Proc, peer, wait_for, wait_for_within};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How the server behaves.
const POLITE: u8 = 0;
const MUTE: u8 = 1;
/// Refuses the old address, and offers .8.
const ELSEWHERE: u8 = 2;

const NAK: u8 = 6;
const MOVED: [u8; 4] = [192, 0, 2, 8];

fn moody(mood: &AtomicU8, asked: &Asked) -> Vec<Answer> {
    let answer = |kind| Answer::new(asked, kind).lease(3600).with(3, &SERVER.octets());
    match (mood.load(Ordering::SeqCst), asked.kind) {
        (POLITE, DISCOVER) => vec![answer(OFFER)],
        (POLITE, REQUEST) => vec![answer(ACK)],
        (ELSEWHERE, DISCOVER) => vec![answer(OFFER).to(MOVED)],
        (ELSEWHERE, REQUEST) if asked.option(50) == Some(&MOVED) => vec![answer(ACK).to(MOVED)],
        (ELSEWHERE, REQUEST) => vec![Answer::new(asked, NAK)],
        _ => vec![],
    }
}

/// A client bound to [`ADDRESS`], which has seen its gateway.
fn attached(lab: &Lab, host: &Netns) -> (Proc, Arc<AtomicU8>, super::server::Heard) {
    let mood = Arc::new(AtomicU8::new(POLITE));
    let of_server = Arc::clone(&mood);
    let heard = serve("isp", move |asked| moody(&of_server, asked));
    let script = script(lab, "hook");
    let client = udhcpc(lab, host, &script, "").spawn();
    wait_call(lab, "hook", "bound", 1);
    wait_for("the lease file with the gateway's hardware address", || {
        let mac: Vec<u8> = lab.net().mac("isp").split(':').map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
        let known = [SERVER.octets().as_slice(), &mac].concat();
        std::fs::read(lab.path("state/dhcp_eth0.lease")).is_ok_and(|f| f.windows(10).any(|w| w == known))
    });
    (client, mood, heard)
}

fn actions(lab: &Lab) -> Vec<String> {
    calls(lab, "hook").into_iter().map(|c| c.action).collect()
}

/// D27: back on the same network the gateway says so, although no server answers any more.
#[test]
fn d27_same_network_back() {
    lab::test(|lab| {
        let (host, cable) = net(lab);
        let (client, mood, heard) = attached(lab, &host);
        cable.pull();
        client.wait_line("udhcpc: eth0: link is down, waiting for it");
        mood.store(MUTE, Ordering::SeqCst);
        let plugged = Instant::now();
        cable.plug();
        client.wait_line("udhcpc: eth0: kept 192.0.2.7: 192.0.2.1 is the same gateway");
        lab.note(format!("kept {:?} after `ip link set up` began", plugged.elapsed()));
        wait_call(lab, "hook", "renew", 1);
        assert_eq!(actions(lab), ["deconfig", "bound", "renew"]);
        assert_eq!(count(&heard, DISCOVER), 1, "no new DISCOVER");
        // The server is asked beside it, and its silence changes nothing.
        wait_for("both REQUESTs of INIT-REBOOT", || count(&heard, REQUEST) == 3);
        assert!(host.ip("-o addr show dev eth0").contains("192.0.2.7/24"));
    });
}

/// D27: another network, whose gateway has the same address and other hardware: a new lease, nothing kept in between.
#[test]
fn d27_other_network() {
    lab::test(|lab| {
        let (host, cable) = net(lab);
        let (client, mood, _heard) = attached(lab, &host);
        cable.pull();
        client.wait_line("udhcpc: eth0: link is down, waiting for it");
        mood.store(ELSEWHERE, Ordering::SeqCst);
        lab.net().ip("link set isp address 02:00:00:00:99:01");
        cable.plug();
        assert_eq!(wait_call(lab, "hook", "bound", 2).var("ip"), "192.0.2.8");
        assert_eq!(actions(lab), ["deconfig", "bound", "nak", "deconfig", "bound"]);
    });
}

/// D27: another network whose gateway looks the same (VRRP): what the gateway said is corrected by the server's NAK.
#[test]
fn d27_look_alike() {
    lab::test(|lab| {
        let (host, cable) = net(lab);
        let (client, mood, _heard) = attached(lab, &host);
        cable.pull();
        client.wait_line("udhcpc: eth0: link is down, waiting for it");
        mood.store(MUTE, Ordering::SeqCst);
        cable.plug();
        wait_call(lab, "hook", "renew", 1);
        mood.store(ELSEWHERE, Ordering::SeqCst);
        assert_eq!(wait_call(lab, "hook", "bound", 2).var("ip"), "192.0.2.8");
        assert_eq!(actions(lab), ["deconfig", "bound", "renew", "nak", "deconfig", "bound"]);
    });
}

/// D25, D12: somebody has the address that dnsmasq gives: DECLINE, and ten seconds later another is used.
#[test]
fn d25_conflict_with_dnsmasq() {
    lab::test_within(Duration::from_secs(60), |lab| {
        let (host, other) = (lab.netns("host"), lab.netns("other"));
        let _cables =
            [("port1", &host), ("port2", &other)].map(|(port, ns)| lab.cable((ns, "eth0"), (&lab.net(), port)));
        lab.net().bridge("isp", &["port1", "port2"]);
        lab.net().address("isp", "192.0.2.1/24");
        host.wait_carrier("eth0", true);
        let dnsmasq = lab.dnsmasq(&lab.net(), "isp", &DNSMASQ);
        let script = script(lab, "hook");
        udhcpc(lab, &host, &script, "-q --state ''").ok();
        let first = wait_call(lab, "hook", "bound", 1).var("ip").to_owned();
        host.ip("addr flush dev eth0");
        other.address("eth0", &format!("{first}/24"));
        let client = udhcpc(lab, &host, &script, "-a200 -A 1").spawn();
        client.wait_line(&format!("udhcpc: eth0: declined {first}: in use by {}", other.mac("eth0")));
        dnsmasq.wait_line(&format!("*DHCPDECLINE(isp) {first}*"));
        wait_for_within("bound to another address after ten seconds", Duration::from_secs(30), || {
            calls(lab, "hook").iter().filter(|c| c.action == "bound").count() == 2
        });
        assert_ne!(wait_call(lab, "hook", "bound", 2).var("ip"), first);
    });
}

/// D25: three probes, then two announcements, as a neighbour sees them.
#[test]
fn d25_probes_and_announcements_on_the_wire() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let seen = hear_arp("isp");
        serve("isp", super::polite);
        let client = native(lab, &host, "-a500 --state ''");
        client.wait_line("dhcpc: eth0: bound *");
        let about =
            |spa: std::net::Ipv4Addr| seen.lock().unwrap().iter().filter(|a| a.spa == spa && a.tpa == ADDRESS).count();
        assert_eq!(about(std::net::Ipv4Addr::UNSPECIFIED), 3, "probes before it is used");
        wait_for("two announcements", || about(ADDRESS) == 2);
    });
}

fn hear_arp(ifname: &str) -> Arc<Mutex<Vec<netif::frame::Arp>>> {
    let link = netif::link::query(ifname.parse().unwrap()).unwrap();
    let socket = netif::packet::PacketSocket::open(link.index, netif::packet::Listen::Arp).unwrap();
    let seen = Arc::<Mutex<Vec<_>>>::default();
    let out = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut buf = [0; 128];
        loop {
            let fd = std::os::fd::AsFd::as_fd(&socket);
            let mut fds = [sys::poll::PollFd::new(fd, sys::poll::PollFlags::POLLIN)];
            sys::poll::wait(&mut fds, sys::clock::monotonic(), None).unwrap();
            while let Ok(Some(received)) = socket.receive(&mut buf) {
                out.lock().unwrap().push(netif::frame::parse_arp(received.frame).unwrap().1);
            }
        }
    });
    seen
}

/// D25: an address in use is defended once, and given up when the other insists.
#[test]
fn d25_defended_and_given_up() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let heard = serve("isp", super::polite);
        let client = native(lab, &host, "--state ''");
        client.wait_line("dhcpc: eth0: bound *");
        lab.net().address("isp", "192.0.2.7/32");
        let insist_until = |what: &str| {
            let arping = ["arping", "-U", "-c", "1", "-I", "isp", "192.0.2.7"];
            wait_for(what, || {
                lab.cmd(peer("busybox")).args(arping).netns(&lab.net()).output();
                client.stderr().contains(what)
            });
        };
        insist_until("defended 192.0.2.7 against");
        insist_until("declined 192.0.2.7");
        client.wait_line("dhcpc: eth0: declined 192.0.2.7: in use by *");
        wait_for("the file to go", || super::published(lab).is_none());
        wait_for("a decline", || count(&heard, 4) == 1);
    });
}
