//! An uplink is lost, by its cable or without a word, and comes back, with the services as they ship: how a flow fares, and
//! that a third uplink's conversations go on.

use super::{INTERNET, World, edit, install};
use lab::{Netns, Stream, udp, wait_for, wait_for_within};
use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

/// Somebody who talks to the gateway by the third uplink.
const THIRD: &str = "198.51.100.77";

/// A further provider with a static address of ours, whose internet is everybody's.
fn provider(world: &World<'_>, name: &str, link: &str, net: &str) -> Netns {
    let lab = world.lab;
    let ns = lab.netns(name);
    lab.cable((&lab.net(), link), (&ns, "cable"));
    lab.net().wait_carrier(link, true);
    ns.address("cable", &format!("{net}.1/24"));
    world.publish(name, &format!("if={link} ipmask={net}.7/24 gw={net}.1 net=0/0 metric=1000"));
    ns
}

/// Until the first datagram arrives there that was sent after this moment.
fn until(what: &str, at: &UdpSocket, deadline: Duration) -> Duration {
    let begun = Instant::now();
    let mut number = [0; 4];
    at.set_nonblocking(true).unwrap();
    while at.recv(&mut number).is_ok() {}
    at.set_nonblocking(false).unwrap();
    at.set_read_timeout(Some(deadline)).unwrap();
    match at.recv(&mut number) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("{what}: nothing within {deadline:?}"),
        Err(e) => panic!("{what}: {e}"),
    }
    let took = begun.elapsed();
    println!("failover: {what}: {} ms", took.as_millis());
    lab::note(&format!("{what}: {took:?}"));
    took
}

#[test]
fn a_flow_moves_with_the_uplinks() {
    lab::test_within(Duration::from_secs(120), |lab| {
        // An interface whose other end has the same number is one to the kernel that tells of its cable once a second.
        for pad in ["pad0", "pad1", "pad2"] {
            lab.net().ip(&format!("link add {pad} type bridge"));
        }
        let world = World::new(lab);
        let second = provider(&world, "second", "eth2", "203.0.113");
        second.address("lo", &format!("{INTERNET}/32"));
        let third = provider(&world, "third", "eth3", "100.64.0");
        third.address("lo", &format!("{THIRD}/32"));
        edit("run", "wan=\"eth0\" ", "wan=\"eth0, eth2, eth3\" ");
        edit("run", "open_udp=\"\"", "open_udp=\"5353\"");
        for (service, options) in
            [("dhcp_if", ""), ("ifplugd_if", ""), ("dhcp_if_pinger", "--interval 1 --down 3 --up 1 --hold 0")]
        {
            let to = format!("/var/service/{}", service.replace("_if", "_eth0"));
            install(&format!("examples/{service}"), &to);
            if !options.is_empty() {
                let run = format!("{to}/run");
                fs::write(&run, lab.read(&run).replace("\noptions=\"\"", &format!("\noptions=\"{options}\""))).unwrap();
            }
        }
        let _dnsmasq = world.serve(&[]);
        let _runsvdir = world.supervise();
        let health = |word: &str| {
            let known = fs::read_to_string("/run/service/fw/dhcp_eth0_pinger.ipconf").unwrap_or_default();
            known.contains(&format!("health[$cfg]='{word}'"))
        };
        wait_for("the lease", || Path::new("/run/service/fw/dhcp_eth0.ipconf").exists());
        wait_for("the first verdict", || health("up"));
        let primary = || lab.net().ip("route get 198.51.100.1").contains(" dev eth0 ");
        wait_for("the primary's route", primary);
        world.wait_idle();

        // The third uplink's conversation, which nobody may disturb.
        let (gateway, stranger) = (udp(&lab.net(), "100.64.0.7:5353"), udp(&third, &format!("{THIRD}:5001")));
        let talk = || {
            stranger.send_to(b"question", "100.64.0.7:5353").unwrap();
            gateway.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            stranger.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let (_, from) = gateway.recv_from(&mut [0; 16]).unwrap();
            gateway.send_to(b"answer", from).unwrap();
            assert_eq!(stranger.recv_from(&mut [0; 16]).unwrap().1.to_string(), "100.64.0.7:5353");
            let known = lab.cmd("conntrack").args(["-L", "-p", "udp", "-o", "id", "--orig-src", THIRD]).ok();
            known.split(" id=").nth(1).expect("a connection").trim().to_owned()
        };
        let conversation = talk();

        let internet = format!("{INTERNET}:7");
        let (first_at, second_at) = (udp(&world.provider, &internet), udp(&second, &internet));
        let nowhere = udp(&lab.net(), "127.0.0.1:0");
        let flow = Stream::start(udp(&world.host, "192.168.1.10:5000"), &[internet.parse().unwrap()], nowhere, 200);
        let second_ = Duration::from_secs(1);
        until("the flow on the primary", &first_at, 5 * second_);

        world.cable.pull();
        until("cable out, the flow on the other uplink", &second_at, 5 * second_);
        assert_eq!(talk(), conversation);
        world.cable.plug();
        until("cable in again, the flow on the primary", &first_at, 10 * second_);
        wait_for("the good word", || health("up"));
        world.wait_idle();

        // The provider answers nothing, with its cable in.
        let deaf =
            "add table inet deaf; add chain inet deaf c { type filter hook prerouting priority -300; policy drop; }";
        world.provider.cmd(lab, "nft").arg(deaf).ok();
        world.provider.ip("link set cable arp off");
        until("silent loss, the flow on the other uplink", &second_at, 20 * second_);
        assert!(lab.net().carrier("eth0"));
        assert_eq!(talk(), conversation);
        world.provider.ip("link set cable arp on");
        world.provider.cmd(lab, "nft").args(["delete", "table", "inet", "deaf"]).ok();
        wait_for_within("the primary's route", Duration::from_secs(40), primary);
        until("the primary's route is back, the flow on it", &first_at, 10 * second_);
        wait_for("the good word", || health("up"));
        assert_eq!(talk(), conversation, "the third uplink's conversation is the one it was");
        flow.stop();
    });
}
