//! `fw` as it ships, under runsv: from a kick to the end of the run it causes, with nothing changed, with one address changed,
//! beside N addresses and N routes; a kick right after a run; what a run without a change costs, step by step. And the same
//! kicks with a script of the old style, which flushes.

use crate::measure::{Budget, Samples, budget, compare, now, stamp, table};
use lab::{Lab, Proc, Service, wait_for};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SIZES: [(usize, usize); 4] = [(1, 15), (10, 15), (100, 9), (1000, 5)];

const SERVICE: &str = "/var/service/fw";

pub(crate) fn run(lab: &Lab) {
    let other = lab.netns("other");
    let _cables = ["eth0", "eth1"].map(|eth| lab.cable((&lab.net(), eth), (&other, &format!("far-{eth}"))));
    lab.net().wait_carrier("eth1", true);
    for (size, rounds) in SIZES {
        let names = || [Samples::of("ours"), Samples::of("bash, flushing")];
        let (mut same, mut one, mut soon) = (names(), names(), [Samples::of("ours")]);
        for (n, style) in [false, true].into_iter().enumerate() {
            let fw = Fw::install(style);
            let runsv = fw.supervise(lab, size);
            for round in 0..if style { rounds.min(3) } else { rounds } {
                same[n].add_span(fw.kick());
                publish(size, round + 1);
                one[n].add_span(fw.kick());
                if !style {
                    // The run has just ended.
                    soon[0].add_span(fw.kick());
                }
            }
            fw.end(lab, &runsv);
        }
        compare(
            &format!("{size} addresses and routes, kick -> end of a run without a change, ms"),
            &same,
            Budget::BestPeer,
        );
        compare(&format!("{size} addresses and routes, kick -> one address changed, ms"), &one, Budget::BestPeer);
        compare(
            &format!("{size} addresses and routes, kick right after a run -> its end, ms"),
            &soon,
            Budget::AtMost(10.0),
        );
    }
    let fw = Fw::install(false);
    let runsv = fw.supervise(lab, 1);
    steps(lab);
    fw.end(lab, &runsv);
}

/// fw in its directory.
struct Fw {
    service: Service,
    stamps: PathBuf,
}

impl Fw {
    /// As it ships, or with the script of the old style. `run` says when it began and when it is done.
    fn install(flushing: bool) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let _ = std::fs::remove_dir_all("/run/sv");
        std::fs::create_dir_all("/run/sv").unwrap();
        let copied = Command::new("cp").arg("-rL").arg(source.join("fw")).arg("/run/sv/fw").status().unwrap();
        assert!(copied.success());
        let run = source.join(if flushing { "tests/system/fw/legacy/run" } else { "fw/run" });
        let stamps = PathBuf::from("/run/stamps");
        let (end, said) =
            (format!("STAMP={} {} done\n", stamps.display(), stamp().display()), "date '+%Y-%m-%d %H:%M:%S' >");
        let text = std::fs::read_to_string(run).unwrap();
        let (before, date) = text.split_at(text.rfind(said).unwrap());
        let (date, after) = date.split_at(date.find('\n').unwrap() + 1);
        // What comes after it is not waited for by anybody: `up` is there.
        std::fs::write("/run/sv/fw/run", format!("{before}{date}{end}{after}")).unwrap();
        let _ = std::fs::remove_dir_all("/run/sv/fw/log");
        let _ = std::os::unix::fs::symlink("/run/sv/fw", SERVICE);
        Self { service: Service::at(SERVICE), stamps }
    }

    fn supervise(&self, lab: &Lab, size: usize) -> Proc {
        let _ = std::fs::remove_dir_all("/run/service/fw");
        std::fs::create_dir_all("/run/service/fw").unwrap();
        let _ = std::fs::remove_file(&self.stamps);
        publish(size, 0);
        let runsv = lab.runsv(&self.service);
        wait_for("the first run", || self.done() > 0);
        self.wait_down();
        runsv
    }

    fn done(&self) -> usize {
        crate::measure::stamps(&self.stamps).len()
    }

    fn wait_down(&self) {
        wait_for("the end of the run", || self.service.stat() == "down");
    }

    /// From the kick to the word that the run is done; then waits for its end.
    fn kick(&self) -> i64 {
        let before = self.done();
        let begun = now();
        self.service.tell("u");
        let (at, _) = crate::measure::wait_stamp(&self.stamps, before + 1);
        self.wait_down();
        at - begun
    }

    fn end(&self, lab: &Lab, runsv: &Proc) {
        self.service.tell("x");
        runsv.wait();
        for link in ["eth0", "eth1"] {
            lab.net().ip(&format!("addr flush dev {link}"));
        }
        lab.sh("nft flush ruleset; rm -rf /run/service/fw /run/sv").ok();
    }
}

/// N addresses and N routes; the first address is another one in each `version`.
fn publish(size: usize, version: usize) {
    let mut text =
        "let cfg=cfg+1\nif[$cfg]='eth0'\nipmask[$cfg]='10.77.0.2/24'\nnet[$cfg]='0/0'\ngw[$cfg]='10.77.0.1'\n"
            .to_owned();
    for n in 0..size {
        let (a, b) = if n == 0 { (200 + version / 250, version % 250) } else { (100 + n / 250, n % 250) };
        writeln!(text, "let cfg=cfg+1\nif[$cfg]='eth1'\nipmask[$cfg]='10.{a}.{b}.1/32'\nnet[$cfg]=\ngw[$cfg]=")
            .unwrap();
        writeln!(
            text,
            "let cfg=cfg+1\nif[$cfg]='eth0'\nipmask[$cfg]=\nnet[$cfg]='10.{}.{}.0/24'\ngw[$cfg]='10.77.0.1'",
            150 + n / 250,
            n % 250
        )
        .unwrap();
    }
    std::fs::write("/run/service/fw/.new", text).unwrap();
    std::fs::rename("/run/service/fw/.new", "/run/service/fw/a.ipconf").unwrap();
}

/// What a run without a change does, one after the other, each a whole process, with what a shell needs to start it.
fn steps(lab: &Lab) {
    let rules = "netd rules -D wan='{ eth0 }' -D lan='{ eth1 }' -D hidden='{ eth0 }' -D uplinks='{ eth0 : 8001 }' \
                 -D leaving='{ eth0 : 9001 }' -D open_tcp='{ 22 }' -D open_udp='{  }' ruleset";
    let steps = [
        ("nothing", ":"),
        ("netd settle", "exec netd settle"),
        ("netd rules", &format!("exec {rules}")),
        ("netd apply", "exec netd apply --wan eth0 --forward conf /run/service/fw"),
        ("netd render", "exec netd render etc /etc"),
        ("date", "exec date"),
        ("netd keep", "exec netd keep"),
    ];
    let path = lab.sh("echo $PATH").ok();
    let mut rows: Vec<Samples> = steps.iter().map(|(name, _)| Samples::of(name)).collect();
    for _ in 0..25 {
        for ((_, script), samples) in steps.iter().zip(&mut rows) {
            let mut command = Command::new("sh");
            command.args(["-c", script]).current_dir("/run/sv/fw").env("PATH", path.trim());
            let begun = now();
            command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
            samples.add_span(now() - begun);
        }
    }
    table("steps of a run without a change, each with the start of a shell", "ms", false, &rows);
    budget("second kick right after a run: at most 10 ms (an idle machine; see the load above)");
}
