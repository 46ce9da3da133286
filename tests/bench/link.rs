//! linkwatch, zcip and pinger beside their peers: a change of carrier -> the handler's first instruction, with no delays; what each of
//! them costs while nothing happens; a silent router -> the verdict; and what many uplinks cost a processor.
//!
//! ifplugd is Debian's, busybox's is the one that `tests/bench/peers` builds, where it was built.

use crate::measure::{Samples, budget, footprint, now, stamp, switches, table, wait_stamp, with_helpers};
use lab::{Cmd, Lab, Netns, Proc, unpacked_peer};
use netif::link::LinkEvents;
use nix::sys::signal::Signal;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;
use sys::clock::monotonic;
use sys::poll::{PollFd, PollFlags, wait};

/// Edges of each kind in one life of a watcher; each lives twice, in turns with the others.
const ROUNDS: usize = 6;
const LIVES: usize = 2;
/// The kernel tells of links once a second; what comes sooner after the last event waits.
const RATE: Duration = Duration::from_millis(1100);
/// How long a daemon is looked at while nothing happens.
const IDLE: Duration = Duration::from_secs(10);

pub(crate) fn run(lab: &Lab) {
    idle(lab);
    silence(lab);
    uplinks(lab);
}

/// The watchers with delays of 0, the n-th of them on `interface(n)`.
fn watchers(lab: &Lab, hook: &str, interface: fn(usize) -> String) -> Vec<(&'static str, Cmd)> {
    let (ifplugd, (variable, libraries)) = unpacked_peer("ifplugd");
    let words = |cmd: Cmd, n: usize, more: &str| {
        let fixed = ["-n", "-s", "-I", "-q", "-u", "0", "-d", "0", "-r", hook, "-i"];
        cmd.args(fixed).arg(interface(n)).args(more.split_whitespace())
    };
    let mut all = vec![
        ("portreeve linkwatch", words(lab.cmd("linkwatch"), 0, "")),
        // As quick as their options make them: they take whole seconds.
        ("ifplugd", words(lab.cmd(ifplugd), 1, "-t 1 -f").env(variable, libraries)),
    ];
    if let Some(busybox) = built_busybox() {
        all.push(("busybox ifplugd -M", words(lab.cmd(busybox).arg("ifplugd"), 2, "-t 1 -M")));
    }
    all
}

fn built_busybox() -> Option<PathBuf> {
    let peers = PathBuf::from(std::env::var_os("PORTREEVE_PEERS")?);
    Some(peers.join("bb-net/busybox")).filter(|program| program.exists())
}

/// On a TAP device, whose carrier is one system call of this process. A carrier that is back is told of at once: the time is
/// from before that call. One that is lost the kernel holds back for up to a second after any link's event, on the whole machine:
/// the time is from when a bare netlink socket hears of it. A peer that polls may know before.
pub(crate) fn carrier(lab: &Lab) {
    let tap = lab.tap("eth0");
    lab.net().wait_carrier("eth0", true);
    let hook = lab.path("hook");
    std::fs::copy(stamp(), &hook).unwrap();
    let watchers = || watchers(lab, hook.to_str().unwrap(), |_| "eth0".to_owned());
    let of = || watchers().iter().map(|(name, _)| Samples::of(name)).collect::<Vec<_>>();
    let (mut lost, mut back, mut event) = (of(), of(), Samples::of("the event alone"));
    let mut events = LinkEvents::open().unwrap();
    // When the change was made, and when it was heard of.
    let mut edge = |there| {
        std::thread::sleep(RATE);
        while events.event().unwrap().is_some() {}
        let begun = now();
        tap.carrier(there);
        wait(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], monotonic(), None).unwrap();
        (begun, now())
    };
    for life in 0..LIVES {
        for (n, (name, cmd)) in watchers().into_iter().enumerate() {
            let file = lab.path(&format!("edges-{}-{life}", name.replace(' ', "-")));
            let proc = cmd.env("STAMP", &file).spawn();
            wait_stamp(&file, 1);
            for round in 0..ROUNDS {
                let (_, heard) = edge(false);
                lost[n].add_span(wait_stamp(&file, 2 * round + 2).0 - heard);
                let (begun, heard) = edge(true);
                event.add_span(heard - begun);
                back[n].add_span(wait_stamp(&file, 2 * round + 3).0 - begun);
            }
            proc.stop();
        }
    }
    table("Carrier lost -> handler, delays 0 (TAP, from the kernel's event)", "ms", false, &lost);
    table("Carrier back -> handler, delays 0 (TAP, from before the change)", "ms", false, &back);
    budget("at most 1.5 ms median");
    table("Carrier back -> the kernel's event at a bare netlink socket", "ms", false, &[event]);
}

/// A link-local claim takes up to seven seconds, busybox's twelve; what is measured is the time after it.
const SETTLED: Duration = Duration::from_secs(16);

/// Memory and wake-ups of each daemon with its helpers, when it has settled and nothing happens. All at once, each on an interface
/// of its own.
fn idle(lab: &Lab) {
    let (avahi, (variable, libraries)) = unpacked_peer("avahi-autoipd");
    let mut claimers = vec![
        ("portreeve zcip", lab.cmd("zcip").arg("--state").arg(lab.path("state")).args(["-f", "eth3", "/bin/true"])),
        (
            "avahi-autoipd",
            lab.cmd(avahi)
                .args(["--no-drop-root", "--no-chroot", "--force-bind", "-t", "/bin/true", "eth4"])
                .env(variable, libraries),
        ),
    ];
    if let Some(busybox) = built_busybox() {
        claimers.push(("busybox zcip", lab.cmd(busybox).args(["zcip", "-f", "eth5", "/bin/true"])));
    }
    let pinger = lab.cmd("pinger").args(["--run-dir", "run", "eth6"]);
    let groups = [
        ("link watcher", watchers(lab, "/bin/true", |n| format!("eth{n}"))),
        ("link-local address", claimers),
        ("pinger without a lease", vec![("portreeve pinger", pinger)]),
    ];
    for n in 0..7 {
        lab.cable((&lab.net(), &format!("eth{n}")), (&lab.net(), &format!("port{n}")));
    }
    let groups = groups.map(|(what, programs)| {
        (what, programs.into_iter().map(|(name, cmd)| (name, cmd.spawn())).collect::<Vec<_>>())
    });
    std::thread::sleep(SETTLED);
    let count = |proc: &Proc| switches(proc.pid());
    let before: Vec<f64> = groups.iter().flat_map(|(_, procs)| procs).map(|(_, p)| count(p)).collect();
    std::thread::sleep(IDLE);
    let after: Vec<f64> = groups.iter().flat_map(|(_, procs)| procs).map(|(_, p)| count(p)).collect();
    let mut woken = before.iter().zip(after).map(|(before, after)| (after - before) * 60.0 / IDLE.as_secs_f64());
    for (what, procs) in &groups {
        let (mut wakes, mut memory, mut dirty) = (Vec::new(), Vec::new(), Vec::new());
        for (name, proc) in procs {
            let mut row = Samples::of(name);
            row.add(woken.next().unwrap());
            wakes.push(row);
            let figures = footprint(proc.pid());
            for (table, figure) in [(&mut memory, figures.0), (&mut dirty, figures.1)] {
                let mut row = Samples::of(name);
                row.add(figure);
                table.push(row);
            }
            proc.signal(Signal::SIGKILL);
        }
        table(&format!("Wake-ups of an idle {what}"), "per minute", false, &wakes);
        table(&format!("Memory of an idle {what}, helpers included (PSS)"), "kB", false, &memory);
        table(&format!("Private dirty memory of an idle {what}, helpers included"), "kB", false, &dirty);
    }
    budget("0 wake-ups");
    for n in 0..7 {
        lab.net().ip(&format!("link del eth{n}"));
    }
}

/// A router at the other end of `host`'s eth0.
fn router(lab: &Lab, host: &Netns, name: &str, n: usize) -> Netns {
    let router = lab.netns(name);
    lab.cable((host, &format!("eth{n}")), (&router, "port"));
    host.address(&format!("eth{n}"), &format!("10.{n}.0.7/24"));
    for last in 1..=3 {
        router.address("port", &format!("10.{n}.0.{last}/24"));
    }
    router
}

fn pinger(lab: &Lab, host: &Netns, n: usize, options: &str) -> Proc {
    let run = lab.path("run");
    let targets = format!("arp:10.{n}.0.1,icmp:10.{n}.0.2,tcp:10.{n}.0.3:9");
    lab.cmd("pinger")
        .args(["--no-restart", "--target", &targets, "--run-dir"])
        .arg(run)
        .args(options.split_whitespace())
        .arg(format!("eth{n}"))
        .netns(host)
        .spawn()
}

/// All three targets of an uplink fall silent at once: until it is said.
fn silence(lab: &Lab) {
    for (interval, limit) in [("1", "4000 ms"), ("0.2", "1000 ms")] {
        let host = lab.netns(&format!("host{interval}"));
        let router = router(lab, &host, &format!("router{interval}"), 0);
        let proc = pinger(lab, &host, 0, &format!("--interval {interval} --down 3 --up 1 --hold 0"));
        let mut row = Samples::of("portreeve pinger");
        for round in 1..=3 {
            proc.wait_lines("*: eth0: up", round);
            let begun = now();
            // The cable stays; nobody is behind it.
            router.ip("link set port arp off");
            router.ip("addr flush dev port");
            proc.wait_lines("*: eth0: down", round);
            row.add_span(now() - begun);
            router.ip("link set port arp on");
            for last in 1..=3 {
                router.address("port", &format!("10.0.0.{last}/24"));
            }
        }
        proc.stop();
        table(&format!("Silent router -> verdict, --interval {interval} --down 3"), "ms", false, &[row]);
        budget(&format!("at most {limit}"));
    }
}

/// Ten uplinks with three targets each, asked every second: share of one processor, helpers included.
fn uplinks(lab: &Lab) {
    let host = lab.netns("many");
    let procs: Vec<(Netns, Proc)> = (0..10)
        .map(|n| {
            let router = router(lab, &host, &format!("r{n}"), n);
            (router, pinger(lab, &host, n, "--interval 1"))
        })
        .collect();
    for (_, proc) in &procs {
        proc.wait_line("*: up");
    }
    let used = || {
        let pids = procs.iter().flat_map(|(_, p)| with_helpers(p.pid()));
        pids.map(nanoseconds_on_processor).sum::<i64>()
    };
    let (before, begun) = (used(), now());
    std::thread::sleep(IDLE);
    let mut row = Samples::of("10 pingers");
    row.add((used() - before) as f64 * 100.0 / (now() - begun) as f64);
    table("10 uplinks with 3 targets each, every second", "% of a core", false, &[row]);
    budget("less than 1 %");
}

/// Time a process has run, from the scheduler (nanoseconds).
fn nanoseconds_on_processor(pid: i32) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    text.split_whitespace().next().and_then(|t| t.parse().ok()).unwrap()
}
