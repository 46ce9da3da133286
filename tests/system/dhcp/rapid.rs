//! Whose offers are taken, and in how few packets.

use super::server::{ACK, Answer, DISCOVER, OFFER, REQUEST, count, serve};
use super::{DNSMASQ, native, net};

/// D24: one exchange with dnsmasq, when both want it; four packets when dnsmasq does not.
#[test]
fn d24_rapid_commit_with_dnsmasq() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let dnsmasq = lab.dnsmasq(&lab.net(), "isp", &[&DNSMASQ[..], &["--dhcp-rapid-commit"]].concat());
        let client = native(lab, &host, "--state ''");
        client.wait_line("dhcpc: eth0: bound 192.0.2.*/24 from 192.0.2.1, renew in 1800 s");
        dnsmasq.wait_line("*DHCPACK(isp)*");
        assert!(!dnsmasq.stderr().contains("DHCPOFFER") && !dnsmasq.stderr().contains("DHCPREQUEST"));
        client.stop();
        dnsmasq.stop();
        let dnsmasq = lab.dnsmasq(&lab.net(), "isp", &DNSMASQ);
        let client = native(lab, &host, "--state ''");
        client.wait_line("dhcpc: eth0: bound *");
        dnsmasq.wait_line("*DHCPOFFER(isp)*");
    });
}

/// D40: a rogue server that is faster than the good one.
#[test]
fn d40_rogue_server() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let heard = serve("isp", |asked| {
            let rogue = |kind| Answer::from(asked, kind, [192, 0, 2, 66]).lease(30);
            match asked.kind {
                DISCOVER => vec![rogue(OFFER).to([192, 0, 2, 99]), Answer::new(asked, OFFER).lease(3600)],
                REQUEST => vec![rogue(6), Answer::new(asked, ACK).lease(3600)],
                _ => vec![],
            }
        });
        let client = native(lab, &host, "--state '' --reject-server 192.0.2.66");
        client.wait_line("dhcpc: eth0: not taken: a reply from 192.0.2.66, a rejected server");
        client.wait_line("dhcpc: eth0: bound 192.0.2.7/24 from 192.0.2.1, renew in 1800 s");
        assert_eq!((count(&heard, DISCOVER), count(&heard, REQUEST)), (1, 1));
    });
}
