//! dhcpc against dnsmasq and against a server without manners: its contract with udhcpc's scripts, with fw, and with time.

mod beside;
mod differential;
mod forced;
mod hostile;
mod link;
mod matrix;
mod peers;
mod rapid;
mod server;

use lab::{Cable, Lab, Netns, Proc, wait_for, wait_for_within};
use nix::sys::signal::Signal;
use server::{ACK, ADDRESS, Answer, Asked, DISCOVER, OFFER, RELEASE, REQUEST, count, serve, serve_on};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One call of a script: the action and the variables that are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    action: String,
    vars: BTreeMap<String, String>,
}

impl Call {
    fn var(&self, name: &str) -> &str {
        self.vars.get(name).map_or("(unset)", String::as_str)
    }
}

/// A provider's end `isp` here, with 192.0.2.1, and a host with `eth0`.
fn net(lab: &Lab) -> (Netns, Cable) {
    let host = lab.netns("host");
    let cable = lab.cable((&host, "eth0"), (&lab.net(), "isp"));
    lab.net().address("isp", "192.0.2.1/24");
    host.wait_carrier("eth0", true);
    (host, cable)
}

const DNSMASQ: [&str; 3] = ["--dhcp-range=192.0.2.10,192.0.2.50,3600", "--no-ping", "--dhcp-authoritative"];

/// A script that writes down what it gets and sets the address, as the peers' do.
fn script(lab: &Lab, name: &str) -> String {
    let path = lab.write(
        name,
        format!(
            "#!/bin/sh\n{{ echo \"== $1\"; env; echo ==; }} >>{}\ncase $1 in\ndeconfig) ip addr flush dev $interface ;;\n\
             bound | renew) ip addr replace $ip/$mask dev $interface ;;\nesac\n",
            lab.path(&format!("calls-{name}")).display()
        ),
    );
    lab.cmd("chmod").arg("+x").arg(&path).ok();
    path.to_str().unwrap().to_owned()
}

/// The complete calls so far.
fn calls(lab: &Lab, name: &str) -> Vec<Call> {
    let text = std::fs::read(lab.path(&format!("calls-{name}"))).unwrap_or_default();
    let text = String::from_utf8(text).expect("values are ASCII");
    let mut found = Vec::new();
    let mut open: Option<Call> = None;
    for line in text.lines() {
        if line == "==" {
            found.extend(open.take());
        } else if let Some(action) = line.strip_prefix("== ") {
            open = Some(Call { action: action.to_owned(), vars: BTreeMap::new() });
        } else if let (Some(call), Some((name, value))) = (&mut open, line.split_once('=')) {
            let ours = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') && name != "_";
            if ours {
                call.vars.insert(name.to_owned(), value.to_owned());
            }
        } else if let Some(call) = &open {
            panic!("{}: no variable: {line:?}", call.action);
        }
    }
    found
}

/// Waits for the `n`th call of `action`.
#[track_caller]
fn wait_call(lab: &Lab, name: &str, action: &str, n: usize) -> Call {
    let find = || calls(lab, name).into_iter().filter(|c| c.action == action).nth(n - 1);
    wait_for(&format!("{action} number {n} of {name}"), || find().is_some());
    find().unwrap()
}

fn udhcpc(lab: &Lab, host: &Netns, script: &str, options: &str) -> lab::Cmd {
    lab.cmd("udhcpc")
        .args(["-f", "-i", "eth0", "-s", script, "--state"])
        .arg(lab.path("state"))
        .args(words(options))
        .netns(host)
}

/// Words of a command line, `''` being an empty one.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace().map(|w| if w == "''" { "" } else { w })
}

/// Without a script, publishing below the lab's directory.
fn native(lab: &Lab, host: &Netns, options: &str) -> Proc {
    lab.cmd("dhcpc")
        .args(["-i", "eth0", "-v", "--state"])
        .arg(lab.path("state"))
        .arg("--run-dir")
        .arg(lab.path("fw"))
        .arg("--ntp-dir")
        .arg(lab.path("ntp"))
        .args(words(options))
        .netns(host)
        .spawn()
}

fn published(lab: &Lab) -> Option<String> {
    std::fs::read_to_string(lab.path("fw/dhcp_eth0.ipconf")).ok()
}

/// Answers DISCOVER and REQUEST alike, an hour's lease.
fn polite(asked: &Asked) -> Vec<Answer> {
    match asked.kind {
        DISCOVER => vec![Answer::new(asked, OFFER).lease(3600)],
        REQUEST => vec![Answer::new(asked, ACK).lease(3600)],
        _ => vec![],
    }
}

#[test]
fn udhcpc_contract_with_dnsmasq() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let options = ["--domain=example.org", "--dhcp-option=option:ntp-server,192.0.2.1"];
        let dnsmasq = lab.dnsmasq(&lab.net(), "isp", &[&DNSMASQ[..], &options].concat());
        let script = script(lab, "hook");
        let pidfile = lab.path("udhcpc.pid");
        let client = udhcpc(lab, &host, &script, "-O search").arg("-p").arg(&pidfile).env("metric", "5").spawn();
        let bound = wait_call(lab, "hook", "bound", 1);
        let first = &calls(lab, "hook")[0];
        assert_eq!((first.action.as_str(), first.var("interface"), first.var("ip")), ("deconfig", "eth0", "(unset)"));
        for (name, value) in [
            ("interface", "eth0"),
            ("subnet", "255.255.255.0"),
            ("mask", "24"),
            ("broadcast", "192.0.2.255"),
            ("router", "192.0.2.1"),
            ("serverid", "192.0.2.1"),
            ("siaddr", "192.0.2.1"),
            ("domain", "example.org"),
            ("ntpsrv", "192.0.2.1"),
            ("lease", "3600"),
            ("opt53", "05"),
            ("metric", "5"),
        ] {
            assert_eq!(bound.var(name), value, "{name}");
        }
        assert_eq!(lab.read("udhcpc.pid").trim(), client.pid().to_string());
        client.wait_line("udhcpc: eth0: bound 192.0.2.*/24 from 192.0.2.1, renew in 1800 s");

        client.signal(Signal::SIGUSR1);
        let renew = wait_call(lab, "hook", "renew", 1);
        assert_eq!(renew.var("ip"), bound.var("ip"));
        client.signal(Signal::SIGUSR2);
        wait_call(lab, "hook", "deconfig", 2);
        dnsmasq.wait_line("*DHCPRELEASE(isp)*");
        assert!(!client.ended());
        client.signal(Signal::SIGUSR1);
        wait_call(lab, "hook", "bound", 2);
        assert_eq!(client.stop(), 0);
        assert!(!pidfile.exists());
        assert!(host.ip("-o addr show dev eth0").contains(bound.var("ip")), "TERM leaves the address");
    });
}

/// The same request, three ways: as a stranger, with the lease file, and refused because the network is another one.
#[test]
fn init_reboot_and_nak() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let dnsmasq = lab.dnsmasq(&lab.net(), "isp", &DNSMASQ);
        let script = script(lab, "hook");
        let client = udhcpc(lab, &host, &script, "").spawn();
        let address = wait_call(lab, "hook", "bound", 1).var("ip").to_owned();
        client.stop();
        let client = udhcpc(lab, &host, &script, "").spawn();
        client.wait_line(&format!("udhcpc: eth0: asking whether {address} is still ours"));
        assert_eq!(wait_call(lab, "hook", "bound", 2).var("ip"), address);
        client.stop();
        dnsmasq.wait_lines("*DHCPACK(isp)*", 2);
        assert_eq!(dnsmasq.wait_lines("*DHCPDISCOVER(isp)*", 1).len(), 1, "no new DISCOVER");
        dnsmasq.stop();

        lab.net().ip("addr flush dev isp");
        lab.net().address("isp", "198.51.100.1/24");
        let range = ["--dhcp-range=198.51.100.10,198.51.100.50,3600", "--no-ping", "--dhcp-authoritative"];
        lab.dnsmasq(&lab.net(), "isp", &range);
        let client = udhcpc(lab, &host, &script, "").spawn();
        let nak = wait_call(lab, "hook", "nak", 1);
        assert_eq!((nak.var("ip"), nak.var("opt53"), nak.var("serverid")), ("0.0.0.0", "06", "198.51.100.1"));
        assert!(wait_call(lab, "hook", "bound", 3).var("ip").starts_with("198.51.100."));
        client.wait_line("udhcpc: eth0: refused by 198.51.100.1: *");
    });
}

#[test]
fn publishes_by_itself() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let options = [
            "--domain=example.org",
            "--dhcp-option=6,192.0.2.1",
            "--dhcp-option=121,10.0.0.0/8,192.0.2.9",
            "--dhcp-option=option:ntp-server,192.0.2.123",
        ];
        let dnsmasq = lab.dnsmasq(&lab.net(), "isp", &[&DNSMASQ[..], &options].concat());
        let client = native(lab, &host, "--metric 7");
        client.wait_line("dhcpc: eth0: bound *");
        let text = published(lab).unwrap();
        for line in [
            "if[$cfg]='eth0'",
            "routes[$cfg]='10.0.0.0/8 192.0.2.9'",
            "dns[$cfg]='192.0.2.1'",
            "metric[$cfg]='7'",
            "# lease 3600 from 192.0.2.1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in:\n{text}");
        }
        assert!(!text.contains("gw["), "RFC 3442: with option 121 the router does not count");
        assert_eq!(lab.read("ntp/dhcp_eth0.ntpconf"), "let cfg=cfg+1\nntpip[$cfg]='192.0.2.123'\n");

        // Killed, it leaves its file; started again it verifies the lease and touches nothing.
        wait_for("the lease file", || lab.path("state/dhcp_eth0.lease").exists());
        client.signal(Signal::SIGKILL);
        client.wait();
        let inode = |path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
        let before = inode(lab.path("fw/dhcp_eth0.ipconf"));
        let client = native(lab, &host, "--metric 7");
        client.wait_line("dhcpc: eth0: bound *");
        assert_eq!(inode(lab.path("fw/dhcp_eth0.ipconf")), before);
        assert_eq!(dnsmasq.wait_lines("*DHCPDISCOVER(isp)*", 1).len(), 1);
        // Ended in order, it withdraws it.
        assert_eq!(client.stop(), 0);
        assert_eq!(published(lab), None);
        assert!(!lab.path("ntp/dhcp_eth0.ntpconf").exists());
    });
}

/// Cable out: nothing is given up and nothing sent; cable in: verified without a DISCOVER.
#[test]
fn cable_pulled_and_plugged() {
    lab::test(|lab| {
        let (host, cable) = net(lab);
        let heard = serve("isp", polite);
        let script = script(lab, "hook");
        let client = udhcpc(lab, &host, &script, "").spawn();
        wait_call(lab, "hook", "bound", 1);
        cable.pull();
        client.wait_line("udhcpc: eth0: link is down, waiting for it");
        cable.plug();
        wait_call(lab, "hook", "renew", 1);
        assert_eq!(calls(lab, "hook").iter().filter(|c| c.action == "deconfig").count(), 1, "only the one at start");
        assert_eq!(count(&heard, DISCOVER), 1);
        let asked = heard.lock().unwrap();
        let reboot = asked.last().unwrap();
        assert_eq!((reboot.option(50), reboot.option(54)), (Some(ADDRESS.octets().as_slice()), None));
    });
}

/// A lease of ten seconds: renewed at T1 by unicast from the address; then the server falls silent, and the address is given
/// up when the lease is over, not before.
#[test]
fn short_lease_renewed_and_expired() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let mut acks = 0;
        let heard = serve("isp", move |asked| match asked.kind {
            DISCOVER => vec![Answer::new(asked, OFFER).lease(10)],
            REQUEST if acks < 2 => {
                acks += 1;
                vec![Answer::new(asked, ACK).lease(10)]
            }
            _ => vec![],
        });
        let script = script(lab, "hook");
        let started = Instant::now();
        udhcpc(lab, &host, &script, "").spawn();
        wait_call(lab, "hook", "bound", 1);
        wait_call(lab, "hook", "renew", 1);
        let renewed = Instant::now();
        assert!(started.elapsed() >= Duration::from_millis(4900), "T1 is half of ten seconds");
        let asked = heard.lock().unwrap().last().unwrap().clone();
        assert_eq!(asked.bytes[12..16], ADDRESS.octets(), "ciaddr");
        assert_eq!((asked.option(50), asked.option(54)), (None, None));
        wait_call(lab, "hook", "deconfig", 2);
        assert!(renewed.elapsed() >= Duration::from_millis(9500), "not before its end: {:?}", renewed.elapsed());
        // Renewing once, rebinding once, then a search that wishes for the old address.
        wait_for("a new search", || count(&heard, DISCOVER) >= 2);
        let last = heard.lock().unwrap().last().unwrap().clone();
        assert_eq!(last.option(50), Some(ADDRESS.octets().as_slice()));
    });
}

#[test]
fn release_on_exit_and_quit() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let heard = serve("isp", polite);
        let script = script(lab, "hook");
        let client = udhcpc(lab, &host, &script, "-R").spawn();
        wait_call(lab, "hook", "bound", 1);
        // The script sets the address, from which the RELEASE goes.
        wait_for("the address", || host.ip("-o addr show dev eth0").contains("192.0.2.7"));
        assert_eq!(client.stop(), 0);
        wait_for("a release", || count(&heard, RELEASE) == 1);
        assert_eq!(calls(lab, "hook").last().unwrap().action, "deconfig");
        let quit = udhcpc(lab, &host, &script, "-q").spawn();
        assert_eq!(quit.wait(), 0);
        assert_eq!(calls(lab, "hook").last().unwrap().action, "bound", "the script came to its end first");
    });
}

/// -P: other ports, in the exchange by broadcast and from the address.
#[test]
fn other_ports() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let heard = serve_on("isp", 1067, polite);
        let script = script(lab, "hook");
        let client = udhcpc(lab, &host, &script, "-P 1068 -R").spawn();
        wait_call(lab, "hook", "bound", 1);
        wait_for("the address", || host.ip("-o addr show dev eth0").contains("192.0.2.7"));
        client.signal(Signal::SIGUSR1);
        wait_call(lab, "hook", "renew", 1);
        assert_eq!(client.stop(), 0);
        wait_for("a release", || count(&heard, RELEASE) == 1);
    });
}

#[test]
fn nobody_there() {
    lab::test(|lab| {
        let (host, cable) = net(lab);
        let script = script(lab, "hook");
        let out = udhcpc(lab, &host, &script, "-n -t 2 -T 1").output();
        assert_eq!(out.code, 1);
        assert!(out.stderr.contains("udhcpc: eth0: no lease: nobody answered"), "{}", out.stderr);
        assert_eq!(calls(lab, "hook").iter().map(|c| c.action.as_str()).collect::<Vec<_>>(), ["deconfig", "leasefail"]);
        // The same with the cable out: a boot must not hang.
        cable.pull();
        assert_eq!(udhcpc(lab, &host, &script, "-n -t 2 -T 1").output().code, 1);
        // -b: the process that was started ends well, another goes on and finds a server later.
        cable.plug();
        let pidfile = lab.path("pid");
        let started = lab
            .cmd("udhcpc")
            .args(["-b", "-t", "1", "-T", "1", "-A", "1", "-i", "eth0", "-s", &script, "--state", "", "-p"])
            .arg(&pidfile)
            .netns(&host)
            .spawn();
        assert_eq!(started.wait(), 0);
        // The one that goes on writes its own number once the other is gone.
        wait_for("its process id", || lab.read("pid").trim().parse() != Ok(started.pid()));
        serve("isp", polite);
        wait_call(lab, "hook", "bound", 1);
    });
}

#[test]
fn interface_missing_and_vanishing() {
    lab::test(|lab| {
        let host = lab.netns("host");
        let script = script(lab, "hook");
        let out = udhcpc(lab, &host, &script, "").output();
        assert_eq!((out.code, out.stderr.as_str()), (1, "udhcpc: fatal: eth0: no such interface\n"));
        let client = native(lab, &host, "");
        client.wait_line("dhcpc: eth0: no such interface, waiting for it");
        let _cable = lab.cable((&host, "eth0"), (&lab.net(), "isp"));
        lab.net().address("isp", "192.0.2.1/24");
        serve("isp", polite);
        client.wait_line("dhcpc: eth0: bound 192.0.2.7/24 from 192.0.2.1, renew in 1800 s");
        assert!(published(lab).is_some());
        host.ip("link del eth0");
        client.wait_lines("dhcpc: eth0: no such interface, waiting for it", 2);
        wait_for("the file to go", || published(lab).is_none());
        let _cable = lab.cable((&host, "eth0"), (&lab.net(), "isp"));
        let heard = serve("isp", polite);
        client.wait_lines("dhcpc: eth0: bound *", 2);
        assert!(!heard.lock().unwrap().is_empty());

        // With a script: udhcpc ends.
        let client = udhcpc(lab, &host, &script, "").spawn();
        wait_call(lab, "hook", "bound", 1);
        host.ip("link del eth0");
        assert_eq!(client.wait(), 0);
    });
}

#[test]
fn hanging_script_is_stopped() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        serve("isp", polite);
        let path = lab.write(
            "hang",
            format!("#!/bin/sh\necho $1 >>{}\n[ $1 != bound ] || sleep 1000\n", lab.path("said").display()),
        );
        lab.cmd("chmod").arg("+x").arg(&path).ok();
        let client = udhcpc(lab, &host, path.to_str().unwrap(), "--script-limit 1").spawn();
        client.wait_line("udhcpc: warning: eth0: script bound: took too long and was stopped");
        client.signal(Signal::SIGUSR2);
        wait_for("the next call", || lab.read("said") == "deconfig\nbound\ndeconfig\n");
        // One that is not there is told of, and changes nothing.
        let client = udhcpc(lab, &host, "/nowhere", "").spawn();
        client.wait_line("udhcpc: warning: eth0: script bound: unable to start it: file does not exist");
        assert!(!client.ended());
    });
}

/// ARP says that somebody else uses the address: DECLINE, a pause, and once the other is gone it works.
#[test]
fn conflict_is_declined() {
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        // The server's own kernel holds the address it hands out.
        lab.net().address("isp", "192.0.2.7/32");
        let heard = serve("isp", polite);
        let script = script(lab, "hook");
        let client = udhcpc(lab, &host, &script, "-a500 -A 1").spawn();
        client.wait_line("udhcpc: eth0: declined 192.0.2.7: in use by *");
        wait_for("a decline", || count(&heard, 4) == 1);
        let decline = heard.lock().unwrap().last().unwrap().clone();
        assert_eq!(
            (decline.option(50), decline.option(54)),
            (Some([192, 0, 2, 7].as_slice()), Some([192, 0, 2, 1].as_slice()))
        );
        assert_eq!(calls(lab, "hook").len(), 1, "no bound");
        lab.net().ip("addr del 192.0.2.7/32 dev isp");
        wait_for_within("bound after the pause", Duration::from_secs(30), || {
            calls(lab, "hook").iter().any(|c| c.action == "bound")
        });
    });
}
