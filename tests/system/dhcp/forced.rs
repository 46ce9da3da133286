//! A server that tells its client to renew (RFC 6704).

use super::server::{ACK, ADDRESS, Answer, DISCOVER, OFFER, REQUEST, count, serve};
use super::{net, script, udhcpc, wait_call};
use lab::wait_for;
use std::net::UdpSocket;

/// Option 90 of the ACK: counter 4, the nonce 00 01 .. 0f.
const NONCE: [u8; 28] = [3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// HMAC-MD5 over [`message`] with that nonce, by Python's hmac module, for the counters 5 and 6.
const DIGESTS: [(u8, [u8; 16]); 2] = [
    (5, [67, 70, 232, 25, 167, 242, 28, 78, 174, 139, 172, 204, 247, 84, 48, 103]),
    (6, [209, 2, 96, 223, 167, 160, 40, 174, 195, 150, 124, 77, 27, 124, 18, 151]),
];

/// For the client with the hardware address 02:00:00:00:00:07.
fn message((counter, digest): (u8, [u8; 16])) -> Vec<u8> {
    let mut m = vec![2, 1, 6, 0, 0, 0, 0, 9, 0, 0, 0, 0];
    m.extend(ADDRESS.octets());
    m.resize(28, 0);
    m.extend([2, 0, 0, 0, 0, 7]);
    m.resize(236, 0);
    m.extend([99, 130, 83, 99, 53, 1, 9, 54, 4, 192, 0, 2, 1, 90, 28, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, counter, 2]);
    m.extend(digest);
    m.push(255);
    m
}

/// D31: forged, valid, replayed, and valid again: two renewals.
#[test]
fn d31_forced_to_renew() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        host.ip("link set eth0 address 02:00:00:00:00:07");
        let heard = serve("isp", |asked| match asked.kind {
            DISCOVER => vec![Answer::new(asked, OFFER).lease(3600)],
            REQUEST => vec![Answer::new(asked, ACK).lease(3600).with(90, &NONCE)],
            _ => vec![],
        });
        let script = script(lab, "hook");
        let client = udhcpc(lab, &host, &script, "--forcerenew -vv").spawn();
        wait_call(lab, "hook", "bound", 1);
        wait_for("the address", || host.ip("-o addr show dev eth0").contains("192.0.2.7"));
        assert_eq!(heard.lock().unwrap()[0].option(145), Some([1].as_slice()));
        let server = UdpSocket::bind("192.0.2.1:67").unwrap();
        let say = |m: &[u8]| assert_eq!(server.send_to(m, (ADDRESS, 68)).unwrap(), m.len());
        let (first, second) = (message(DIGESTS[0]), message(DIGESTS[1]));
        let mut forged = first.clone();
        forged[12] ^= 1;
        say(&forged);
        client.wait_lines("udhcpc: eth0: reply ignored: unsigned", 1);
        say(&first);
        wait_call(lab, "hook", "renew", 1);
        say(&first);
        client.wait_lines("udhcpc: eth0: reply ignored: unsigned", 2);
        say(&second);
        // The ACKs repeat the nonce with its old counter, which does not make an old signature new.
        wait_call(lab, "hook", "renew", 2);
        assert_eq!(count(&heard, REQUEST), 3);
    });
}
