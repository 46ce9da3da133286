//! A minute of random SIGKILLs over a whole tree that works hard. Afterwards nothing runs twice, nothing is stuck, and no line
//! that a service has written is missing in its log.
//!
//! One thing is spared: the last process that could still read a log pipe. A pipe lives no longer than those who hold it, so
//! somebody has to be left who reads it: the log service or its supervisor (docs/supervision.md).

use lab::{Lab, Proc, Service, note, wait_for_within, wait_quietly};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long it lasts.
const STORM: Duration = Duration::from_secs(60);
/// The longest pause between two kills.
const PAUSE_MAX_MS: u64 = 30;
/// For everything to be as it should be again.
const CALM: Duration = Duration::from_secs(40);

#[test]
fn a_tree_of_processes() {
    lab::test_within(STORM * 4, |lab| torture(lab, &[]));
}

#[test]
fn a_tree_in_one_process() {
    lab::test_within(STORM * 4, |lab| torture(lab, &["-1"]));
}

/// Small, good enough: xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % sides
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.roll(from.len())].clone()) }
    }
}

/// A living process.
#[derive(Clone, Debug)]
struct Process {
    pid: u32,
    parent: u32,
    name: String,
    dir: PathBuf,
}

fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut rest = rest.split_ascii_whitespace();
    let (state, parent) = (rest.next()?, rest.next()?.parse().ok()?);
    if state == "Z" || state == "X" {
        return None;
    }
    let dir = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    Some(Process { pid, parent, name: name.to_owned(), dir })
}

impl Process {
    fn pipes(&self) -> BTreeSet<PathBuf> {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("pipe:")).collect()
    }

    fn kill(&self) {
        note(&format!("KILL {} {} in {}", self.name, self.pid, self.dir.display()));
        let _ = kill(Pid::from_raw(i32::try_from(self.pid).unwrap()), Signal::SIGKILL);
    }

    fn supervises(&self) -> bool {
        self.name == "runsv" || self.name == "runsvdir"
    }

    /// Is, or is about to become, a log service.
    fn logs(&self) -> bool {
        !self.supervises() && self.dir.ends_with("log")
    }
}

/// Whether every pipe it holds has somebody else who reads it, or at least keeps it.
fn can_be_spared(victim: &Process, all: &[Process]) -> bool {
    let held = match (victim.supervises(), victim.logs()) {
        (true, _) => victim.pipes(),
        // It may have one for itself, too.
        (false, true) => std::fs::read_link(format!("/proc/{}/fd/0", victim.pid)).into_iter().collect(),
        (false, false) => return true,
    };
    // A child has all that its parent has until its exec, and is called as its parent.
    let unborn = |p: &Process| all.iter().any(|parent| parent.pid == p.parent && parent.name == p.name);
    let holders = all.iter().filter(|p| p.pid != victim.pid && (p.logs() || (p.supervises() && !unborn(p))));
    let kept: BTreeSet<PathBuf> = holders.flat_map(Process::pipes).collect();
    held.is_subset(&kept)
}

struct Tree<'l> {
    lab: &'l Lab,
    options: &'static [&'static str],
    services: Vec<Service>,
    /// Those of them that log.
    talkers: Vec<Service>,
    tops: Vec<Proc>,
}

/// Only one holds the lock for its life. What a killed one left behind lets go of it within a moment.
const ALONE: &str = "exec 9>>once\nflock -w 1 -E 75 9\n[ $? -ne 75 ] || { echo \"$$ $PWD\" >>../../twins; exit 1; }\n";

/// Lines `ID N`, N counting from 1; ID's file in `counts` says how many were written.
const TALK: &str = "id=$$-$(date +%s%N)\ni=0\nwhile :; do\n\tn=0\n\twhile [ $n -lt 300 ]; do\n\t\tn=$((n+1)); i=$((i+1))\n\
    \t\techo \"$id $i\" || exit 1\n\t\tprintf %010d $i 1<>\"../../counts/$id\"\n\tdone\n\tsleep 0.02 9>&-\ndone";

fn build<'l>(lab: &'l Lab, options: &'static [&'static str]) -> Tree<'l> {
    std::fs::create_dir(lab.path("counts")).unwrap();
    let service = |name: &str| lab.service_at(format!("services/{name}"));
    let quick = |service: lab::ServiceBuilder| service.file("throttle", "0.05\n", 0o644);
    let talkers: Vec<Service> = (0..3)
        .map(|n| {
            let log = if n == 0 { "exec svlogd main" } else { "exec svlogd -tt main" };
            quick(service(&format!("talk{n}")))
                .run(&format!("{ALONE}{TALK}"))
                .log(&format!("[ -d main ] || mkdir main\n{log}"))
                .file("log/throttle", "0.05\n", 0o644)
                .file("log/main/config", "s100000\nn0\n", 0o644)
                .build()
        })
        .collect();
    let mut services = talkers.clone();
    services.push(quick(service("mute")).run(&format!("{ALONE}exec sleep 100000")).finish("echo $* >>ends").build());
    services.push(quick(service("kick")).run(&format!("{ALONE}sv o . 9>&-\necho done >>done")).build());
    services.push(quick(service("off")).run(&format!("{ALONE}echo run >>started\nexec sleep 100000")).build());
    Tree { lab, options, services, talkers, tops: Vec::new() }
}

impl Tree<'_> {
    /// Starts the top, as an init would.
    fn top(&mut self) {
        let top = self.lab.cmd("runsvdir").args(self.options).arg(self.lab.path("services")).named("runsvdir").spawn();
        self.tops.push(top);
    }

    fn service(&self, name: &str) -> &Service {
        self.services.iter().find(|service| service.name() == name).unwrap()
    }

    fn sv(&self, command: &str, service: &Service) -> String {
        self.lab.cmd("sv").args(["-w", "30", command, service.arg()]).ok()
    }

    /// Those that run the service, or its log: `run` that was not forked by another `run`, or what it became.
    fn runs(&self, dir: &Path) -> Vec<u32> {
        let all: Vec<Process> = processes().into_iter().filter(|p| p.dir == dir && !p.supervises()).collect();
        let own = |p: &&Process| !all.iter().any(|other| other.pid == p.parent);
        all.iter().filter(own).map(|p| p.pid).collect()
    }

    fn storm(&mut self, dice: &mut Dice) {
        let began = Instant::now();
        let mut kills: BTreeMap<String, u32> = BTreeMap::new();
        while began.elapsed() < STORM {
            let pause = 2 + dice.roll(usize::try_from(PAUSE_MAX_MS).unwrap());
            wait_quietly(Duration::from_millis(u64::try_from(pause).unwrap()), || false);
            let name = match dice.roll(20) {
                0 | 1 => "runsvdir",
                2..=7 => "runsv",
                8..=11 => "run",
                12..=14 => "svlogd",
                _ => {
                    // A log service that is told to be down at the end loses what is on its way, so it is not.
                    let (of_log, of_main) =
                        (["u", "t", "k", "h", "tu"], ["u", "d", "t", "o", "k", "tu", "du", "h", "p", "c", "x"]);
                    let touched = &self.services[..self.services.len() - 1];
                    let Some(service) = dice.pick(touched) else { continue };
                    let (target, command) = match dice.roll(4) {
                        0 => (service.log(), dice.pick(&of_log)),
                        _ => (service, dice.pick(&of_main)),
                    };
                    let command = command.unwrap();
                    note(&format!("{command} to {}", target.path().display()));
                    // There may be nobody who listens at the moment.
                    if let Ok(control) = sys::fifo::writer(sys::file::CWD, &target.path().join("supervise/control")) {
                        let _ = nix::unistd::write(&control, command.as_bytes());
                    }
                    continue;
                }
            };
            let all = processes();
            // A child is called as its parent until its exec; of the top there is one.
            let top = u32::try_from(self.tops.last().unwrap().pid()).unwrap();
            let is_one = |p: &&Process| p.name == name && (name != "runsvdir" || p.pid == top);
            let candidates: Vec<Process> = all.iter().filter(is_one).cloned().collect();
            let Some(victim) = dice.pick(&candidates).filter(|v| can_be_spared(v, &all)) else { continue };
            victim.kill();
            *kills.entry(name.to_owned()).or_default() += 1;
            if name == "runsvdir" {
                self.tops.last().unwrap().wait();
                self.top();
            }
        }
        note(&format!("killed: {kills:?}"));
        eprintln!("killed: {kills:?}");
    }

    /// Everything that is wanted runs once; nothing else does.
    fn check_calm(&self) {
        for service in self.services.iter().filter(|s| s.name() != "off") {
            wait_for_within(&format!("{} to be supervised", service.name()), CALM, || service.listening());
            let commands = if service.name() == "kick" { "cd" } else { "cu" };
            service.tell(commands);
        }
        for talker in &self.talkers {
            wait_for_within(&format!("{}/log to be supervised", talker.name()), CALM, || talker.log().listening());
            talker.log().tell("cu");
        }
        let once = |dir: &Path, pid: Option<u32>| pid.is_some_and(|pid| self.runs(dir) == [pid]);
        for service in self.talkers.iter().chain([self.service("mute")]) {
            let what = format!("{} to run once", service.name());
            wait_for_within(&what, CALM, || service.stat() == "run" && once(service.path(), service.pid()));
        }
        for log in self.talkers.iter().map(Service::log) {
            let what = format!("{} to run once", log.path().display());
            wait_for_within(&what, CALM, || log.stat() == "run" && once(log.path(), log.pid()));
        }
        for service in [self.service("kick"), self.service("off")] {
            let what = format!("{} to be down", service.name());
            wait_for_within(&what, CALM, || service.stat() == "down" && self.runs(service.path()).is_empty());
        }
        let supervisors = processes().into_iter().filter(|p| p.name == "runsv").map(|p| p.dir);
        let mut dirs: Vec<PathBuf> = supervisors.collect();
        dirs.sort();
        let mut expected: Vec<PathBuf> = self.services.iter().map(|s| s.path().to_owned()).collect();
        expected.sort();
        assert_eq!(dirs, if self.options.is_empty() { expected } else { Vec::new() });
        assert!(!self.lab.path("twins").exists(), "ran twice: {}", self.lab.read("twins"));
        assert_eq!(self.service("off").lines("started"), ["run"], "was told to be down before the storm");
    }

    fn check_commands(&self) {
        for service in self.talkers.iter().chain([self.service("mute")]) {
            let old = service.pid();
            self.sv("restart", service);
            service.wait_new_pid(old);
            assert!(self.sv("status", service).starts_with("run: "));
        }
        let kick = self.service("kick");
        let done = kick.lines("done").len();
        self.sv("once", kick);
        kick.wait_lines("done", done + 1);
        self.sv("up", self.service("off"));
    }

    /// The end in order; nobody is left, and no lock.
    fn end(&self) {
        let top = self.tops.last().unwrap();
        top.signal(Signal::SIGHUP);
        assert_eq!(top.wait_within(CALM), 111);
        wait_for_within("everybody's end", CALM, || {
            !processes().iter().any(|p| p.supervises() || self.services.iter().any(|s| p.dir.starts_with(s.path())))
        });
        let logs = self.talkers.iter().map(Service::log);
        for dir in self.services.iter().cloned().chain(logs) {
            self.lab.cmd("flock").arg("-n").arg(dir.path().join("supervise/lock")).arg("true").ok();
        }
    }

    /// Every line is there.
    fn check_lines(&self) {
        let mut seen: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        let (mut lines, mut twice, mut torn) = (0, 0, 0);
        for talker in &self.talkers {
            for file in std::fs::read_dir(talker.path().join("log/main")).unwrap().flatten() {
                let name = file.file_name();
                if name != "current" && !name.to_string_lossy().starts_with('@') {
                    continue;
                }
                for line in self.lab.read(file.path()).lines() {
                    lines += 1;
                    let mut words = line.rsplitn(3, ' ');
                    let (number, id) = (words.next().and_then(|n| n.parse().ok()), words.next());
                    match id.zip(number) {
                        Some((id, number)) => {
                            if !seen.entry(id.to_owned()).or_default().insert(number) {
                                twice += 1;
                            }
                        }
                        None => torn += 1,
                    }
                }
            }
        }
        let counts: Vec<_> = std::fs::read_dir(self.lab.path("counts")).unwrap().flatten().collect();
        let told = format!("{lines} lines of {} writers, {twice} twice, {torn} torn", counts.len());
        eprintln!("{told}");
        note(&told);
        let mut missing = Vec::new();
        for file in counts {
            let id = file.file_name().to_string_lossy().into_owned();
            let written: u64 = self.lab.read(file.path()).parse().unwrap_or(0);
            let have = seen.remove(&id).unwrap_or_default();
            let last = have.last().copied().unwrap_or(0).max(written);
            let gaps: Vec<u64> = (1..=last).filter(|n| !have.contains(n)).collect();
            if let (Some(first), Some(last)) = (gaps.first(), gaps.last()) {
                missing.push(format!("{id}: {} of {written} between {first} and {last}", gaps.len()));
            }
        }
        assert!(missing.is_empty(), "missing lines:\n{}", missing.join("\n"));
        assert!(lines > 1000, "too few to mean anything");
    }
}

fn torture(lab: &Lab, options: &'static [&'static str]) {
    let seed = now();
    note(&format!("seed {seed}"));
    let mut tree = build(lab, options);
    tree.top();
    for service in &tree.services {
        service.wait_listening();
    }
    let off = tree.service("off");
    off.wait_lines("started", 1);
    tree.sv("down", off);
    tree.storm(&mut Dice(seed | 1));
    tree.check_calm();
    tree.check_commands();
    tree.end();
    tree.check_lines();
    let said: String = tree.tops.iter().map(Proc::stderr).collect();
    let adopted = said.lines().filter(|line| line.contains(": adopted ")).count();
    note(&format!("{adopted} adoptions"));
    eprintln!("{adopted} adoptions");
    assert!(adopted > 10, "it did not hurt");
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos() & u128::from(u64::MAX)).unwrap()
}
