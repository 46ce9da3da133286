//! `netd apply` of N addresses and N routes, beside `ip -batch` and a script of single `ip` commands that flush and do all of it
//! again, as `fw/run` scripts do: nothing changed, one address changed, all new. Whole processes.

use crate::measure::{Budget, Samples, compare, now};
use lab::Lab;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many, and how often.
const SIZES: [(usize, usize); 5] = [(1, 15), (10, 15), (100, 11), (1000, 7), (10_000, 3)];

/// The script takes minutes beyond this.
const MOST_SCRIPTED: usize = 1000;

pub(crate) fn run(lab: &Lab) {
    let other = lab.netns("other");
    let _cables = ["eth0", "eth1"].map(|eth| lab.cable((&lab.net(), eth), (&other, &format!("far-{eth}"))));
    lab.net().wait_carrier("eth1", true);
    lab.net().sysctl(lab, "net.ipv4.conf.all.promote_secondaries", "1");
    for (size, rounds) in SIZES {
        measure(lab, size, rounds);
    }
}

/// Everything of one size.
struct World {
    conf: PathBuf,
    run: PathBuf,
    batch: PathBuf,
    script: PathBuf,
}

impl World {
    fn new(lab: &Lab, size: usize) -> Self {
        let dir = |name: &str| {
            let path = lab.path(&format!("{name}{size}"));
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let (conf, run) = (dir("conf"), dir("run"));
        let mut batch =
            "addr flush dev eth0\naddr flush dev eth1\nroute flush table main\naddr add 10.77.0.2/24 dev eth0\n"
                .to_owned();
        for n in 0..size {
            writeln!(batch, "addr add {} dev eth1", address(n)).unwrap();
        }
        for n in 0..size {
            writeln!(batch, "route add {} via 10.77.0.1 dev eth0", network(n)).unwrap();
        }
        let script: String = batch.lines().map(|line| format!("{} {line}\n", lab::peer("ip").display())).collect();
        let (batch, script) = (lab.write("batch", batch), lab.write("script", script));
        let world = Self { conf, run, batch, script };
        world.write(size, 0);
        world
    }

    /// The first address is another one in each `version`. A file holds a limited number of records.
    fn write(&self, size: usize, version: usize) {
        let first = format!("10.{}.{}.1/32", 200 + version / 250, version % 250);
        let mut records = vec![("eth0", "10.77.0.2/24".to_owned(), None)];
        for n in 0..size {
            records.push(("eth1", if n == 0 { first.clone() } else { address(n) }, Some(network(n))));
        }
        for (n, chunk) in records.chunks(5000).enumerate() {
            let mut text = String::new();
            for (link, address, net) in chunk {
                writeln!(text, "let cfg=cfg+1\nif[$cfg]='{link}'\nipmask[$cfg]='{address}'").unwrap();
                if let Some(net) = net {
                    writeln!(text, "let cfg=cfg+1\nif[$cfg]='eth0'\nnet[$cfg]='{net}'\ngw[$cfg]='10.77.0.1'").unwrap();
                }
            }
            std::fs::write(self.conf.join(format!("{n}.ipconf")), text).unwrap();
        }
    }

    fn apply(&self) -> i64 {
        timed(&lab::our("netd"), &[Path::new("apply"), &self.conf, &self.run])
    }

    fn batch(&self) -> i64 {
        timed(&lab::peer("ip"), &[Path::new("-batch"), &self.batch])
    }

    fn script(&self) -> i64 {
        timed(&lab::peer("sh"), &[&self.script])
    }
}

fn address(n: usize) -> String {
    format!("10.{}.{}.1/32", 100 + n / 250, n % 250)
}

fn network(n: usize) -> String {
    format!("10.{}.{}.0/24", 150 + n / 250, n % 250)
}

fn empty(lab: &Lab) {
    for link in ["eth0", "eth1"] {
        lab.net().ip(&format!("addr flush dev {link}"));
    }
}

fn measure(lab: &Lab, size: usize, rounds: usize) {
    let world = World::new(lab, size);
    let rows = || [Samples::of("ours"), Samples::of("ip -batch"), Samples::of("script of ip")];
    let (mut same, mut one, mut all) = (rows(), rows(), rows());
    for round in 0..rounds {
        empty(lab);
        all[0].add_span(world.apply());
        same[0].add_span(world.apply());
        world.write(size, round + 1);
        one[0].add_span(world.apply());
        empty(lab);
        // They know one way only.
        all[1].add_span(world.batch());
        for rows in [&mut same, &mut one] {
            rows[1].add_span(world.batch());
        }
        if size <= MOST_SCRIPTED && round < 2000 / size {
            empty(lab);
            all[2].add_span(world.script());
            let again = world.script();
            same[2].add_span(again);
            one[2].add_span(again);
        }
        world.write(size, 0);
    }
    empty(lab);
    let budget = if size == 1000 { Budget::AtMost(15.0) } else { Budget::BestPeer };
    compare(&format!("{size} addresses and {size} routes, nothing changed, ms"), &same, budget);
    compare(&format!("{size} addresses and {size} routes, one address changed, ms"), &one, Budget::BestPeer);
    compare(&format!("{size} addresses and {size} routes, all new, ms"), &all, Budget::BestPeer);
}

fn timed(program: &Path, args: &[&Path]) -> i64 {
    let begun = now();
    let out = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    let span = now() - begun;
    assert!(out.status.success(), "{program:?} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    span
}
