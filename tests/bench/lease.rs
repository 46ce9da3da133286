//! A client that holds a lease: its memory after a renewal, how often it wakes while nothing happens, and how soon its script
//! hears that it has its network again when the cable is back.
//!
//! Each has an address of its own from dnsmasq, which it finds on its interface as if its script had set it.

use crate::dhcp::{Cable, Client, clients, fresh_interface};
use crate::measure::{Samples, budget, children, footprint, now, stamps, switches, table};
use lab::{Lab, Proc, wait_for};
use netif::link::{Event, LinkEvents};
use nix::sys::signal::Signal;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use sys::clock::monotonic;
use sys::poll::{PollFd, PollFlags, wait};

/// How long a client is looked at while nothing happens.
const IDLE: Duration = Duration::from_secs(10);
const CABLE_ROUNDS: usize = 4;
/// For a client to come to rest.
const REST: Duration = Duration::from_millis(1100);

pub(crate) fn run(lab: &Lab) {
    let isp = lab.netns("isp");
    let cable = lab.cable((&lab.net(), "eth0"), (&isp, "isp0"));
    isp.address("isp0", "10.77.0.1/24");
    let clients = clients();
    let hosts = (0..clients.len()).map(|i| format!("--dhcp-host=02:00:00:00:{i:02x}:00,{}", address(i)));
    let mut options = vec!["--dhcp-range=10.77.0.20,10.77.0.250,1h".to_owned()];
    options.extend(["--dhcp-authoritative", "--no-ping"].map(str::to_owned));
    options.extend(hosts);
    let dnsmasq = lab.dnsmasq(&isp, "isp0", &options.iter().map(String::as_str).collect::<Vec<_>>());
    let discovers = || dnsmasq.stderr().lines().filter(|l| l.contains("DHCPDISCOVER(")).count();

    let rows = || clients.iter().map(|c| Samples::of(c.name)).collect::<Vec<_>>();
    let (mut memory, mut dirty, mut wakes, mut back, mut asked) = (rows(), rows(), rows(), rows(), rows());
    for (i, client) in clients.iter().enumerate() {
        fresh_interface(lab, i, 0);
        let file = lab.path(&format!("stamps{i}"));
        let process = client.spawn(lab, &file, lab.path(&format!("state{i}")));
        heard(&file, 0, &["bound"]);
        lab.net().ip(&format!("addr replace {}/24 dev eth0", address(i)));
        if client.cable != Cable::Ignores {
            let before = stamps(&file).len();
            process.signal(Signal::SIGUSR1);
            heard(&file, before, &["renew"]);
        }
        let figures = settled(process.pid());
        memory[i].add(figures.0);
        dirty[i].add(figures.1);
        let before = switches(process.pid());
        std::thread::sleep(IDLE);
        wakes[i].add((switches(process.pid()) - before) * 60.0 / IDLE.as_secs_f64());
        for _ in 0..if client.cable == Cable::Ignores { 0 } else { CABLE_ROUNDS } {
            let before = discovers();
            back[i].add_span(cable_back(client, &process, &cable, &file));
            asked[i].add((discovers() - before) as f64);
        }
        process.stop();
    }
    table("DHCP: memory after a renewal (PSS of all its processes; dhclient renews at T1 only)", "kB", false, &memory);
    budget("at most 220 kB");
    table("DHCP: private dirty memory after a renewal", "kB", false, &dirty);
    table("DHCP: wake-ups of a bound client", "per minute", false, &wakes);
    budget("0");
    let title =
        "DHCP: cable back -> script hears of it (`ip link set` included; udhcpc is told at once by USR2 and USR1)";
    table(title, "ms", false, &back);
    budget("less than 20 ms, without a DISCOVER");
    table("DHCP: DISCOVERs when the cable is back", "each", false, &asked);
}

fn address(client: usize) -> String {
    format!("10.77.0.{}", 10 + client)
}

/// When the script was called with one of `words`, after its first `before` calls.
fn heard(file: &Path, before: usize, words: &[&str]) -> i64 {
    let find = || {
        let mut calls = stamps(file).into_iter().skip(before);
        calls.find(|(_, _, args)| words.iter().any(|word| args.eq_ignore_ascii_case(word)))
    };
    wait_for(&format!("{} in {}", words.join(" or "), file.display()), || find().is_some());
    find().unwrap().0
}

/// Nanoseconds from plugging the cable in to the script that says the network is there.
fn cable_back(client: &Client, process: &Proc, cable: &lab::Cable, file: &Path) -> i64 {
    let told = client.cable == Cable::IsTold;
    let before = stamps(file).len();
    let mut events = LinkEvents::open().unwrap();
    cable.pull();
    // The kernel holds back what it tells of a lost carrier, for a second and more when there are many links on the machine.
    loop {
        match events.event().unwrap() {
            Some(Event::New(link)) if link.name.as_str() == "eth0" && !link.carrier => break,
            Some(Event::New(_) | Event::Del { .. } | Event::Overrun) => {}
            None => drop(wait(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], monotonic(), None).unwrap()),
        }
    }
    if told {
        process.signal(Signal::SIGUSR2);
        heard(file, before, &["deconfig"]);
    }
    std::thread::sleep(REST);
    let before = stamps(file).len();
    let begun = now();
    cable.plug();
    if told {
        process.signal(Signal::SIGUSR1);
    }
    let heard = heard(file, before, &["bound", "renew", "reboot", "rebind"]);
    std::thread::sleep(REST);
    heard - begun
}

/// PSS and private dirty memory of a client and its children, when they are at rest.
fn settled(pid: i32) -> (f64, f64) {
    // The script is a child, or a child's child, until it was reaped.
    let scripts = || children(pid).into_iter().flat_map(children).count();
    // PSS changes with every other process that has the same library.
    let (mut last, mut since) = (footprint(pid).1, now());
    wait_for("its memory to be what it stays", || {
        let (before, reading) = (last, footprint(pid).1);
        last = reading;
        if scripts() > 0 || reading.total_cmp(&before).is_ne() {
            since = now();
        }
        // Longer than it takes to write a lease file and to close a packet socket, and than our steward waits for more.
        now() - since > 1_500_000_000
    });
    footprint(pid)
}
