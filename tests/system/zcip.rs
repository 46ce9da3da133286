//! zcip on a real bridge: RFC 3927 as seen on the wire, its contract with scripts and with fw, and avahi-autoipd as neighbour.

use lab::{Cmd, Lab, Netns, Proc, unpacked_peer, wait_for};
use netif::Mac;
use netif::frame::{Arp, ArpOp, Ethernet, parse_arp};
use netif::link::query;
use netif::packet::{Listen, PacketSocket};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use sys::poll::{PollFd, PollFlags};

/// What an observer at the bridge saw.
type Seen = Arc<Mutex<Vec<(Instant, Ethernet, Arp)>>>;

/// A bridge in the lab's namespace with one host per name, each with its `eth0` in a namespace of its own.
fn bridge(lab: &Lab, hosts: &[&str]) -> Vec<Netns> {
    let spaces: Vec<Netns> = hosts.iter().map(|name| lab.netns(name)).collect();
    let ports: Vec<String> = hosts.iter().map(|name| format!("p-{name}")).collect();
    for (ns, port) in spaces.iter().zip(&ports) {
        lab.cable((ns, "eth0"), (&lab.net(), port));
    }
    lab.net().bridge("br0", &ports.iter().map(String::as_str).collect::<Vec<_>>());
    for ns in &spaces {
        ns.wait_carrier("eth0", true);
    }
    spaces
}

fn socket() -> PacketSocket {
    PacketSocket::open(query("br0".parse().unwrap()).unwrap().index, Listen::Arp).unwrap()
}

/// Writes down every ARP packet on the bridge until the test ends.
fn observe() -> Seen {
    let seen = Seen::default();
    let (out, socket) = (Arc::clone(&seen), socket());
    std::thread::spawn(move || {
        let mut buf = [0; 128];
        loop {
            let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            sys::poll::wait(&mut fds, sys::clock::monotonic(), None).unwrap();
            while let Ok(Some(received)) = socket.receive(&mut buf) {
                let (ethernet, arp) = parse_arp(received.frame).unwrap();
                out.lock().unwrap().push((Instant::now(), ethernet, arp));
            }
        }
    });
    seen
}

fn mac_of(ns: &Netns) -> Mac {
    ns.mac("eth0").parse().unwrap()
}

fn sent_by(seen: &Seen, mac: Mac) -> Vec<(Instant, Ethernet, Arp)> {
    seen.lock().unwrap().iter().filter(|(_, _, arp)| arp.sha == mac).copied().collect()
}

/// Says with a foreign hardware address that `ip` is ours.
fn claim_it_too(ip: Ipv4Addr) {
    let mac = Mac([2, 0, 0, 0, 0, 0x66]);
    let arp = Arp { op: ArpOp::Reply, sha: mac, spa: ip, tha: Mac::BROADCAST, tpa: ip };
    socket().send(&arp.frame(Ethernet { dst: Mac::BROADCAST, src: mac }).unwrap()).unwrap();
}

fn zcip(lab: &Lab, ns: &Netns, options: &str) -> Cmd {
    let state = lab.path(&format!("state-{}", ns.name().unwrap()));
    lab.cmd("zcip").args(["-v", "--state"]).arg(state).args(options.split_whitespace()).netns(ns)
}

/// A script that writes down what it hears, into the file `heard-NAME`.
fn script(lab: &Lab, name: &str) -> String {
    let path =
        lab.write(name, format!("#!/bin/sh\necho \"$1 $interface $ip\" >>{}\n", lab.path(&heard(name)).display()));
    lab.cmd("chmod").arg("+x").arg(&path).ok();
    path.to_str().unwrap().to_owned()
}

fn heard(name: &str) -> String {
    format!("heard-{name}")
}

fn lines(lab: &Lab, file: &str) -> Vec<String> {
    std::fs::read_to_string(lab.path(file)).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The address in the last `using` line.
fn address(proc: &Proc, n: usize) -> Ipv4Addr {
    let lines = proc.wait_lines("*: using *", n);
    lines[n - 1].rsplit(' ').next().unwrap().parse().unwrap()
}

/// Every frame, gap and field of section 9; published for fw and taken back on TERM; the same address next time.
#[test]
fn claims_an_address_to_the_letter() {
    lab::test(|lab| {
        let ns = bridge(lab, &["a"]).remove(0);
        let fw = lab.service("fw").run("sv o .\necho ran >>ran\n").build();
        let _fw = lab.runsv(&fw);
        fw.wait_lines("ran", 1);
        let mac = mac_of(&ns);
        let seen = observe();
        let began = Instant::now();
        let options = format!("--run-dir {} --fw {} eth0", lab.path("run").display(), fw.arg());
        let proc = zcip(lab, &ns, &options).spawn();
        let ip = address(&proc, 1);
        wait_for("the second announcement", || sent_by(&seen, mac).len() == 5);
        let frames = sent_by(&seen, mac);
        for (n, (_, ethernet, arp)) in frames.iter().enumerate() {
            let spa = if n < 3 { Ipv4Addr::UNSPECIFIED } else { ip };
            assert_eq!(*arp, Arp { op: ArpOp::Request, sha: mac, spa, tha: Mac::ZERO, tpa: ip });
            assert_eq!(*ethernet, Ethernet { dst: Mac::BROADCAST, src: mac });
        }
        // Sent in time; seen a little later or, when the machine is busy, more so.
        let (early, late) = (Duration::from_millis(50), Duration::from_secs(2));
        let gaps: Vec<_> = frames.windows(2).map(|w| w[1].0.duration_since(w[0].0)).collect();
        for (gap, (least, most)) in gaps.iter().zip([(1, 2), (1, 2), (2, 2), (2, 2)]) {
            let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
            assert!(*gap + early >= least && *gap <= most + late, "{gaps:?}");
        }
        assert!(frames[0].0.duration_since(began) <= Duration::from_secs(1) + late);

        let file = "run/zcip_eth0.ipconf";
        let expected =
            format!("let cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]='{ip}'\nipmask[$cfg]='{ip}/16'\nmetric[$cfg]='1000'\n");
        assert_eq!(lab.read(file), expected);
        assert_eq!(lab.read("state-a/zcip_eth0"), format!("{ip}\n"));
        fw.wait_lines("ran", 2);
        assert_eq!(proc.stop(), 0);
        assert!(!lab.path(file).exists());
        fw.wait_lines("ran", 3);
        assert_eq!(sent_by(&seen, mac).len(), 5);

        // It comes back to the same address, remembered or chosen anew; -r is stronger.
        let first = |options: &str| {
            let proc = zcip(lab, &ns, &format!("{options} eth0 /bin/true")).spawn();
            let line = proc.wait_line("*probing for *");
            proc.stop();
            line.rsplit(' ').next().unwrap().parse::<Ipv4Addr>().unwrap()
        };
        assert_eq!(first(""), ip);
        std::fs::remove_dir_all(lab.path("state-a")).unwrap();
        assert_eq!(first(""), ip);
        assert_eq!(first("-r 169.254.9.9"), Ipv4Addr::new(169, 254, 9, 9));
        lab.write("state-a/zcip_eth0", "169.254.8.8\n");
        assert_eq!(first(""), Ipv4Addr::new(169, 254, 8, 8));
    });
}

/// Two of ours want one address at the same time: each ends with one, and they differ.
#[test]
fn two_hosts_never_hold_one_address() {
    lab::test(|lab| {
        let spaces = bridge(lab, &["a", "b"]);
        let procs: Vec<Proc> = spaces.iter().map(|ns| zcip(lab, ns, "-r 169.254.7.8 eth0 /bin/true").spawn()).collect();
        let held: Vec<Ipv4Addr> = procs.iter().map(|p| address(p, 1)).collect();
        assert_ne!(held[0], held[1]);
        // One that holds it keeps it against a newcomer.
        let late = lab.netns("c");
        lab.cable((&late, "eth0"), (&lab.net(), "p-c"));
        lab.net().ip("link set p-c master br0");
        late.wait_carrier("eth0", true);
        let newcomer = zcip(lab, &late, &format!("-r {} eth0 /bin/true", held[0])).spawn();
        let third = address(&newcomer, 1);
        assert!(!held.contains(&third), "{held:?} {third}");
        for proc in &procs {
            assert_eq!(proc.wait_lines("*: using *", 1).len(), 1);
        }
    });
}

/// Somebody has every address there is: ten conflicts, then one candidate a minute.
#[test]
fn many_conflicts_are_rationed() {
    lab::test(|lab| {
        let ns = bridge(lab, &["a"]).remove(0);
        let mac = mac_of(&ns);
        let seen = observe();
        let proc = zcip(lab, &ns, "eth0 /bin/true").spawn();
        for n in 1..=10 {
            let probing = proc.wait_lines("*: probing for *", n).pop().unwrap();
            // Listens for its candidate from the first probe on.
            wait_for("a probe", || sent_by(&seen, mac).len() >= n);
            claim_it_too(probing.rsplit(' ').next().unwrap().parse().unwrap());
        }
        proc.wait_line("zcip: warning: eth0: too many conflicts, next try in a minute");
        assert_eq!(proc.wait_lines("*: probing for *", 10).len(), 10);
        assert_eq!(proc.stop(), 0);
    });
}

/// A conflict is answered once; the second within ten seconds ends it, and the script hears all of it.
#[test]
fn defends_once_then_moves() {
    lab::test(|lab| {
        let ns = bridge(lab, &["a"]).remove(0);
        let mac = mac_of(&ns);
        let seen = observe();
        let proc = zcip(lab, &ns, &format!("-r 169.254.7.8 eth0 {}", script(lab, "script"))).spawn();
        let ip = address(&proc, 1);
        wait_for("the second announcement", || sent_by(&seen, mac).len() == 5);
        claim_it_too(ip);
        proc.wait_line("*: 02:00:00:00:00:66 uses 169.254.7.8 too, defending it");
        wait_for("the defence", || sent_by(&seen, mac).len() == 6);
        let (_, ethernet, defence) = sent_by(&seen, mac)[5];
        assert_eq!((ethernet.dst, defence.op, defence.spa, defence.tpa), (Mac::BROADCAST, ArpOp::Request, ip, ip));
        claim_it_too(ip);
        proc.wait_line("*: not using 169.254.7.8 any more");
        let other = address(&proc, 2);
        assert_ne!(other, ip);
        assert_eq!(proc.stop(), 0);
        let expected = [
            "init eth0 ".to_owned(),
            format!("config eth0 {ip}"),
            format!("deconfig eth0 {ip}"),
            format!("config eth0 {other}"),
            format!("deconfig eth0 {other}"),
        ];
        assert_eq!(lines(lab, &heard("script")), expected);
    });
}

/// Requests for our address are answered by broadcast (section 2.5), even where the kernel has it not.
#[test]
fn answers_by_broadcast() {
    lab::test(|lab| {
        let ns = bridge(lab, &["a"]).remove(0);
        let mac = mac_of(&ns);
        let seen = observe();
        let proc = zcip(lab, &ns, "eth0 /bin/true").spawn();
        let ip = address(&proc, 1);
        let asking = Mac([2, 0, 0, 0, 0, 0x77]);
        let probe = Arp { op: ArpOp::Request, sha: asking, spa: Ipv4Addr::UNSPECIFIED, tha: Mac::ZERO, tpa: ip };
        socket().send(&probe.frame(Ethernet { dst: Mac::BROADCAST, src: asking }).unwrap()).unwrap();
        let replies =
            || sent_by(&seen, mac).into_iter().filter(|(_, _, arp)| arp.op == ArpOp::Reply).collect::<Vec<_>>();
        wait_for("the answer", || !replies().is_empty());
        let (_, ethernet, arp) = replies()[0];
        assert_eq!((ethernet.dst, arp.spa, arp.tha), (Mac::BROADCAST, ip, asking));
        proc.stop();
    });
}

/// The carrier goes: the address goes too; it comes back: the same is probed for again.
#[test]
fn follows_the_carrier() {
    lab::test(|lab| {
        let ns = bridge(lab, &["a"]).remove(0);
        let proc = zcip(lab, &ns, &format!("eth0 {}", script(lab, "script"))).spawn();
        let ip = address(&proc, 1);
        lab.net().ip("link set p-a down");
        proc.wait_line(&format!("*: not using {ip} any more"));
        lab.net().ip("link set p-a up");
        assert_eq!(address(&proc, 2), ip);
        // The interface goes for good: so do we.
        ns.ip("link del eth0");
        assert_eq!(proc.wait(), 1);
        proc.wait_line("zcip: fatal: eth0: unable to go on: no such interface");
        let heard = lines(lab, &heard("script"));
        assert_eq!(heard.last().unwrap(), &format!("deconfig eth0 {ip}"));
        assert_eq!(heard.len(), 5);
    });
}

/// -q ends with 0 and leaves the address; without -f it goes to the background after `init`.
#[test]
fn quits_and_goes_to_the_background() {
    lab::test(|lab| {
        let ns = bridge(lab, &["a"]).remove(0);
        let path = script(lab, "script");
        let (state, run) = (lab.path("state"), |options: &[&str]| lab.cmd("zcip").args(options).netns(&ns));
        run(&["-q", "-f", "-r", "169.254.7.8", "--state", state.to_str().unwrap(), "eth0", &path]).ok();
        assert_eq!(lines(lab, &heard("script")), ["init eth0 ", "config eth0 169.254.7.8"]);
        run(&["-q", "-r", "169.254.7.9", "--state", state.to_str().unwrap(), "eth0", &path]).ok();
        assert_eq!(lines(lab, &heard("script")).len(), 3, "only init before the start returns");
        wait_for("the address", || lines(lab, &heard("script")).len() == 4);
        assert_eq!(lines(lab, &heard("script"))[3], "config eth0 169.254.7.9");
    });
}

/// A script that refuses to begin, and interfaces that cannot be used.
#[test]
fn refuses_to_begin() {
    lab::test(|lab| {
        let ns = bridge(lab, &["a"]).remove(0);
        let out = zcip(lab, &ns, "eth0 /bin/false").fails(1);
        assert!(out.stderr.contains("warning: eth0: script init: exit 1\n"), "{}", out.stderr);
        let out = zcip(lab, &ns, "eth7").fails(1);
        assert_eq!(out.stderr, "zcip: fatal: eth7: unable to use it: no such interface\n");
        let out = zcip(lab, &ns, "-r 10.0.0.1 eth0").fails(1);
        assert!(out.stderr.starts_with("zcip: fatal: -r 10.0.0.1: expected an address"), "{}", out.stderr);
    });
}

/// avahi-autoipd; what it hears itself say goes to the file `avahi`.
fn avahi(lab: &Lab, ns: &Netns, first: &str) -> Proc {
    let (program, (variable, libraries)) = unpacked_peer("avahi-autoipd");
    let bound = lab.write("avahi.action", "#!/bin/sh\necho \"$*\" >>/tmp/lab/avahi\n");
    lab.cmd("chmod").arg("+x").arg(&bound).ok();
    let fixed = ["--no-drop-root", "--no-chroot", "--force-bind", "-t"];
    let cmd = lab.cmd(&program).args(fixed).arg(&bound).arg(format!("--start={first}")).arg("eth0");
    cmd.env(variable, libraries).netns(ns).spawn()
}

/// avahi-autoipd and two of ours fight for one address: nobody gets what another one has, and one of them has it.
#[test]
fn three_hosts_fight_for_one_address() {
    lab::test(|lab| {
        let spaces = bridge(lab, &["a", "b", "avahi"]);
        let seen = observe();
        let avahi = avahi(lab, &spaces[2], "169.254.7.8");
        let ours: Vec<Proc> =
            spaces[..2].iter().map(|ns| zcip(lab, ns, "-r 169.254.7.8 eth0 /bin/true").spawn()).collect();
        let held = || -> Option<[Ipv4Addr; 3]> {
            let avahis = lines(lab, "avahi").last()?.rsplit(' ').next()?.parse().ok()?;
            let last = |p: &Proc| {
                let text = p.stderr();
                text.lines().rfind(|l| l.contains(": using "))?.rsplit(' ').next()?.parse().ok()
            };
            Some([last(&ours[0])?, last(&ours[1])?, avahis])
        };
        wait_for("all three to have one", || held().is_some());
        let [a, b, c] = held().unwrap();
        assert!(a != b && b != c && a != c, "{a} {b} {c}");
        // RFC 3927 on the wire, for ours: broadcast only, and no announcement of what was not probed for.
        for ns in &spaces[..2] {
            let frames = sent_by(&seen, mac_of(ns));
            assert!(frames.iter().all(|(_, ethernet, _)| ethernet.dst == Mac::BROADCAST), "{frames:?}");
            for (n, (_, _, arp)) in frames.iter().enumerate().filter(|(_, (_, _, arp))| !arp.spa.is_unspecified()) {
                let probes = frames[..n].iter().filter(|(_, _, p)| p.spa.is_unspecified() && p.tpa == arp.spa);
                assert_eq!(probes.count(), 3, "{} was announced: {frames:?}", arp.spa);
            }
        }
        assert!(!avahi.ended());
    });
}

/// avahi-autoipd and ours start for the same address on one bridge: exactly one gets it.
#[test]
fn beside_avahi() {
    lab::test(|lab| {
        let spaces = bridge(lab, &["ours", "avahi"]);
        let avahi = avahi(lab, &spaces[1], "169.254.7.8");
        let ours = zcip(lab, &spaces[0], "-r 169.254.7.8 eth0 /bin/true").spawn();
        wait_for("both to have one", || !lines(lab, "avahi").is_empty() && ours.stderr().contains("using"));
        let last = |file: &[String]| file.last().unwrap().rsplit(' ').next().unwrap().parse::<Ipv4Addr>().unwrap();
        let (us, they) = (address(&ours, 1), last(&lines(lab, "avahi")));
        assert_ne!(us, they);
        assert!(lines(lab, "avahi").iter().all(|l| l.starts_with("BIND ")), "{:?}", lines(lab, "avahi"));
        // Ours, started again, wants what avahi holds, and leaves it alone.
        ours.stop();
        let again = zcip(lab, &spaces[0], &format!("-r {they} eth0 /bin/true")).spawn();
        let now = address(&again, 1);
        assert_ne!(now, they);
        assert!(!avahi.ended() && lines(lab, "avahi").len() == 1, "{:?}", lines(lab, "avahi"));
    });
}
