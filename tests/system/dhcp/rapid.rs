//! Whose offers are taken, and in how few packets.

use super::server::{ACK, Answer, DISCOVER, OFFER, REQUEST, count, serve};
use super::{DNSMASQ, native, net};
use lab::wait_for;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// D21: the client id stays over a restart and a change of hardware.
#[test]
fn d21_same_identity_with_other_hardware() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let heard = serve("isp", super::polite);
        let client = native(lab, &host, "--duid");
        client.wait_line("dhcpc: eth0: bound *");
        client.stop();
        host.ip("link set eth0 address 02:00:00:00:77:01");
        let client = native(lab, &host, "--duid");
        client.wait_line("dhcpc: eth0: bound *");
        let asked = heard.lock().unwrap();
        let ids: Vec<_> = [asked.first(), asked.last()].map(|a| a.unwrap().option(61).unwrap().to_vec()).into();
        assert_eq!((ids[0].len(), ids[0][0]), (23, 255));
        assert_eq!(ids[0], ids[1]);
    });
}

/// D17: an ACK that fills a frame. busybox drops what is longer than 656 bytes.
#[test]
fn d17_reply_of_a_whole_frame() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let heard = serve("isp", |asked| {
            let kind = if asked.kind == DISCOVER { OFFER } else { ACK };
            let big = Answer::new(asked, kind).lease(3600).with(43, &[7; 1160]);
            vec![big.with(3, &[192, 0, 2, 1]).raw(&[255])]
        });
        let client = native(lab, &host, "--state ''");
        client.wait_line("dhcpc: eth0: bound *");
        assert!(super::published(lab).unwrap().contains("gw[$cfg]='192.0.2.1'"), "what comes last is read, too");
        assert_eq!(heard.lock().unwrap()[0].option(57), Some([5, 220].as_slice()), "announced: the MTU");
    });
}

/// A server that forces its routes on everybody has its way only where it is let.
#[test]
fn routes_that_nobody_asked_for() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let forced =
            ["--dhcp-option-force=121,0.0.0.0/1,192.0.2.9,128.0.0.0/1,192.0.2.9", "--dhcp-option-force=3,192.0.2.1"];
        let _dnsmasq = lab.dnsmasq(&lab.net(), "isp", &[&DNSMASQ[..], &forced].concat());
        for (which, gateway, routes) in [("all", false, true), ("default", true, false), ("none", false, false)] {
            let client = native(lab, &host, &format!("--state '' --routes {which}"));
            client.wait_line("dhcpc: eth0: bound *");
            let text = super::published(lab).unwrap();
            assert_eq!(text.contains("gw[$cfg]='192.0.2.1'"), gateway, "{which}: {text}");
            assert_eq!(text.contains("routes["), routes, "{which}: {text}");
            client.stop();
        }
    });
}

/// D30: zcip gives up its address while the network wants none, and takes it again when the cable goes into another one.
#[test]
fn d30_zcip_obeys() {
    lab::test(|lab| {
        let (host, cable) = net(lab);
        let zcip = lab.cmd("zcip").args(["-v", "--state"]).arg(lab.path("zcip")).arg("--run-dir").arg(lab.path("fw"));
        let zcip = zcip.arg("eth0").netns(&host).spawn();
        zcip.wait_line("*: using *");
        let address = lab.path("fw/zcip_eth0.ipconf");
        wait_for("the address", || address.exists());
        let refusing = Arc::new(AtomicBool::new(true));
        let refuses = Arc::clone(&refusing);
        serve("isp", move |asked| match (asked.kind, refuses.load(Ordering::SeqCst)) {
            (DISCOVER, true) => vec![Answer::new(asked, OFFER).to([0; 4]).with(116, &[0]).raw(&[255])],
            (_, true) => vec![],
            (_, false) => super::polite(asked),
        });
        let client = native(lab, &host, "--state '' -x 116:01 --first-retry 500");
        client.wait_line("dhcpc: eth0: no address here, and no link-local one wanted");
        zcip.wait_line("*: the DHCP server wants no link-local address here");
        wait_for("the address to be taken back", || !address.exists());
        assert_eq!(super::published(lab).unwrap(), "let cfg=cfg+1\nif[$cfg]='eth0'\nautoconf[$cfg]='no'\n");
        // Started now, it does not even probe.
        zcip.stop();
        let zcip = lab.cmd("zcip").args(["-v", "--state"]).arg(lab.path("zcip")).arg("--run-dir").arg(lab.path("fw"));
        let zcip = zcip.arg("eth0").netns(&host).spawn();
        zcip.wait_line("*: the DHCP server wants no link-local address here");
        assert!(!zcip.stderr().contains("probing"), "{}", zcip.stderr());
        cable.pull();
        zcip.wait_line("*: the DHCP server has nothing against a link-local address here");
        cable.plug();
        client.wait_lines("dhcpc: eth0: no address here, and no link-local one wanted", 2);
        zcip.wait_lines("*: the DHCP server wants no link-local address here", 2);
        // A lease ends it, too.
        refusing.store(false, Ordering::SeqCst);
        client.wait_line("dhcpc: eth0: bound *");
        zcip.wait_line("*: using *");
    });
}

/// Another name for the interface is no interface any more; another hardware address another client.
#[test]
fn interface_renamed_and_replaced() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        serve("isp", super::polite);
        let client = native(lab, &host, "--state ''");
        client.wait_lines("dhcpc: eth0: bound *", 1);
        host.ip("link set eth0 address 02:00:00:00:77:02");
        client.wait_line("dhcpc: eth0: hardware address is now 02:00:00:00:77:02, starting over");
        client.wait_lines("dhcpc: eth0: bound *", 2);
        host.ip("link set eth0 down");
        host.ip("link set eth0 name lan0");
        client.wait_line("dhcpc: eth0: no such interface, waiting for it");
        wait_for("the file to go", || super::published(lab).is_none());
        host.ip("link set lan0 name eth0");
        client.wait_lines("dhcpc: eth0: bound *", 3);
    });
}

/// The counters say what was dropped and why.
#[test]
fn counters_of_what_was_dropped() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        serve("isp", |asked| match asked.kind {
            DISCOVER => {
                let good = || Answer::new(asked, OFFER).lease(3600);
                // Another's client id, an odd type, an ACK to nothing; then the offer, twice.
                let odd =
                    [good().with(61, b"x"), Answer::new(asked, 13), Answer::new(asked, ACK).lease(9), good(), good()];
                odd.to_vec()
            }
            REQUEST => vec![Answer::from(asked, 6, [192, 0, 2, 66]), Answer::new(asked, ACK).lease(3600)],
            _ => vec![],
        });
        let client = native(lab, &host, "--state ''");
        client.wait_line("dhcpc: eth0: bound *");
        let stats = || std::fs::read_to_string(lab.path("fw/dhcp_eth0.stats")).unwrap_or_default();
        for line in [
            "bound 1",
            "dropped_client_id 1",
            "dropped_type 1",
            "heard_ack 2",
            "heard_nak 1",
            "heard_offer 2",
            "ignored_other_server 1",
            "ignored_state 2",
            "sent_discover 1",
            "sent_request 1",
        ] {
            wait_for(line, || stats().lines().any(|l| l == line));
        }
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
