//! Every packaged server with everything a client does. What a server has no means for is shown, too: that it really does not
//! do it, and that the client lives with that. `rapid.rs`, `forced.rs` and `link.rs` have a server of our own for the rest.

use super::peers::{Server, Setup, letters};
use super::server::{DISCOVER, Heard, RELEASE, REQUEST, count, serve};
use super::{calls, native, script, udhcpc, wait_call};
use lab::{Cable, Lab, Netns, wait_for, wait_for_within};
use nix::sys::signal::Signal;
use std::time::Duration;

/// One test: it waits ten seconds for a rebinding and ten after a DECLINE, among much else.
const LIFE: Duration = Duration::from_secs(110);
const NET: &str = "192.0.2";
const OTHER: &str = "198.51.100";

macro_rules! matrix {
    ($($name:ident: $server:ident;)*) => {$(
        mod $name {
            use super::{Server, LIFE};

            #[test]
            fn lease_and_its_life() {
                lab::test_within(LIFE, |lab| super::lease_and_its_life(lab, Server::$server));
            }

            #[test]
            fn moved_and_conflict() {
                lab::test_within(LIFE, |lab| super::moved_and_conflict(lab, Server::$server));
            }

            #[test]
            fn rapid_commit() {
                lab::test_within(LIFE, |lab| super::rapid_commit(lab, Server::$server));
            }

            #[test]
            fn long_replies() {
                lab::test_within(LIFE, |lab| super::long_replies(lab, Server::$server));
            }
        }
    )*};
}

matrix! {
    dnsmasq: Dnsmasq;
    isc_dhcpd: Isc;
    kea: Kea;
    udhcpd: Busybox;
}

/// A host and a second one on the provider's bridge `isp`, and all that clients say there.
fn street(lab: &Lab) -> (Netns, Netns, [Cable; 2], Heard) {
    let (host, other) = (lab.netns("host"), lab.netns("other"));
    let cables = [("port1", &host), ("port2", &other)].map(|(port, ns)| lab.cable((ns, "eth0"), (&lab.net(), port)));
    lab.net().bridge("isp", &["port1", "port2"]);
    lab.net().address("isp", &format!("{NET}.1/24"));
    host.wait_carrier("eth0", true);
    (host, other, cables, serve("isp", |_| vec![]))
}

fn number_of(lab: &Lab, action: &str) -> usize {
    calls(lab, "hook").iter().filter(|c| c.action == action).count()
}

/// Bind, option 121, renew, rebind, release, and INIT-REBOOT.
fn lease_and_its_life(lab: &Lab, server: Server) {
    let (host, _other, _cables, heard) = street(lab);
    let serving = server.start(lab, &Setup::new(NET));
    let hook = script(lab, "hook");
    let client = udhcpc(lab, &host, &hook, "-O staticroutes").spawn();
    let bound = wait_call(lab, "hook", "bound", 1);
    for (name, value) in
        [("mask", "24"), ("lease", "120"), ("serverid", "192.0.2.1"), ("staticroutes", "10.0.0.0/8 192.0.2.9")]
    {
        assert_eq!(bound.var(name), value, "{name}");
    }
    let address = bound.var("ip").to_owned();
    wait_for_within("the address", LIFE, || host.ip("-o addr show dev eth0").contains(&address));

    // Renewed by the server it is from, in one packet from the address itself.
    client.signal(Signal::SIGUSR1);
    assert_eq!(wait_call(lab, "hook", "renew", 1).var("ip"), address);
    wait_for("both REQUESTs", || count(&heard, REQUEST) == 2);
    let asked = heard.lock().unwrap().last().unwrap().clone();
    assert_eq!((asked.option(50), asked.option(54)), (None, None));
    assert_eq!(asked.bytes[12..16], address.parse::<std::net::Ipv4Addr>().unwrap().octets(), "ciaddr");

    // Rebound by broadcast: what is sent to the server's address alone does not arrive any more.
    host.ip("neigh replace 192.0.2.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent");
    client.signal(Signal::SIGUSR1);
    wait_for_within("rebinding", LIFE, || number_of(lab, "renew") == 2);
    assert_eq!(wait_call(lab, "hook", "renew", 2).var("ip"), address);
    host.ip("neigh del 192.0.2.1 dev eth0");

    // Given back, and taken again.
    client.signal(Signal::SIGUSR2);
    wait_call(lab, "hook", "deconfig", 2);
    server.wait_released(lab, &serving);
    wait_for("one RELEASE", || count(&heard, RELEASE) == 1);
    client.signal(Signal::SIGUSR1);
    wait_call(lab, "hook", "bound", 2);
    client.stop();
    wait_for("two DISCOVERs", || count(&heard, DISCOVER) == 2);

    // The next start asks for it by name and nobody else for nothing.
    udhcpc(lab, &host, &hook, "-q -O staticroutes").ok();
    assert_eq!(wait_call(lab, "hook", "bound", 3).var("staticroutes"), "10.0.0.0/8 192.0.2.9");
    wait_for("a REQUEST of an address and no server", || {
        let heard = heard.lock().unwrap();
        heard.last().is_some_and(|asked| asked.option(50).is_some() && asked.option(54).is_none())
    });
    assert_eq!(count(&heard, DISCOVER), 2);
}

/// INIT-REBOOT in another network is refused; then an address that somebody has is declined, and another one taken.
fn moved_and_conflict(lab: &Lab, server: Server) {
    let (host, other, _cables, heard) = street(lab);
    let serving = server.start(lab, &Setup::new(NET));
    let hook = script(lab, "hook");
    udhcpc(lab, &host, &hook, "-q").ok();
    serving.stop();
    lab.net().ip("addr flush dev isp");
    lab.net().address("isp", &format!("{OTHER}.1/24"));
    let serving = server.start(lab, &Setup::new(OTHER));
    udhcpc(lab, &host, &hook, "-q").ok();
    let nak = wait_call(lab, "hook", "nak", 1);
    assert_eq!((nak.var("opt53"), nak.var("serverid")), ("06", "198.51.100.1"));
    let first = wait_call(lab, "hook", "bound", 2).var("ip").to_owned();
    assert!(first.starts_with(OTHER), "{first}");

    host.ip("addr flush dev eth0");
    other.address("eth0", &format!("{first}/24"));
    let client = udhcpc(lab, &host, &hook, "-a200 -A 1").spawn();
    client.wait_line(&format!("udhcpc: eth0: declined {first}: in use by {}", other.mac("eth0")));
    server.wait_declined(lab, &serving);
    wait_for_within("another address ten seconds later", LIFE, || number_of(lab, "bound") == 3);
    assert_ne!(wait_call(lab, "hook", "bound", 3).var("ip"), first);
    wait_for("a DECLINE", || count(&heard, 4) >= 1);
}

/// Two packets with dnsmasq. The others have no RFC 4039 for IPv4: asked for it, they offer.
fn rapid_commit(lab: &Lab, server: Server) {
    let (host, _other, _cables, heard) = street(lab);
    let _serving = server.start(lab, &Setup { rapid: true, ..Setup::new(NET) });
    native(lab, &host, "--state ''").wait_line("dhcpc: eth0: bound 192.0.2.*/24 from 192.0.2.1, *");
    wait_for("a DISCOVER that asks for it", || {
        heard.lock().unwrap().first().is_some_and(|asked| asked.option(80).is_some())
    });
    let requests = match server {
        Server::Dnsmasq => 0,
        Server::Isc | Server::Kea | Server::Busybox => 1,
    };
    wait_for("the REQUEST of those that offer", || count(&heard, REQUEST) == requests);
    assert_eq!(count(&heard, DISCOVER), 1);
}

/// More than 656 bytes, which udhcpc drops; and options that had to go into `file` and `sname`.
fn long_replies(lab: &Lab, server: Server) {
    let (host, _other, _cables, _heard) = street(lab);
    let hook = script(lab, "hook");
    let got = |n| wait_call(lab, "hook", "bound", n);
    let value = |code, len| letters(code, len).bytes().map(|b| format!("{b:02x}")).collect::<String>();

    let long: Vec<(u8, usize)> = (224..229).map(|code| (code, 200)).collect();
    let serving = server.start(lab, &Setup { long: long.clone(), ..Setup::new(NET) });
    udhcpc(lab, &host, &hook, "-q -O 224 -O 225 -O 226 -O 227 -O 228").ok();
    let bound = got(1);
    let all = long.iter().filter(|(code, len)| bound.var(&format!("opt{code}")) == value(*code, *len)).count();
    match server {
        Server::Dnsmasq | Server::Isc | Server::Kea => assert_eq!(all, 5, "1000 bytes of options"),
        // Its packets have 308 bytes for options, and it does not use the other fields.
        Server::Busybox => {
            assert!(all < 2, "{all}");
            serving.wait_line("*option 0x* did not fit into the packet*");
            return;
        }
    }
    serving.stop();

    // A client that takes 576 bytes: three options of 100 are more than its 308 beside what each reply has.
    let long: Vec<(u8, usize)> = (224..227).map(|code| (code, 100)).collect();
    let serving = server.start(lab, &Setup { long: long.clone(), ..Setup::new(NET) });
    udhcpc(lab, &host, &hook, "-q --busybox-compat -O 224 -O 225 -O 226").ok();
    let bound = got(2);
    for (code, len) in long {
        assert_eq!(bound.var(&format!("opt{code}")), value(code, len), "{code}");
    }
    // Kea sends a longer packet instead.
    assert_eq!(bound.var("opt52") != "(unset)", server != Server::Kea, "overloaded: {}", bound.var("opt52"));
    serving.stop();
}
