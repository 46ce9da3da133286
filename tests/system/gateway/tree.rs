//! The process tree of the seed's live system, beside ours with the same services: `runsvdir -P /var/service`, a `runsv NAME`
//! for each, its `svlogd -tt /var/log/service/NAME`, and the daemon unless the service is down.

use super::{World, all_daemons};
use crate::install::in_place;
use lab::{Lab, Service, wait_for};
use std::collections::HashMap;
use std::path::Path;

/// A service of the seed's tree: its name, whether its logger is there, and its daemon.
#[derive(Debug)]
struct Block {
    name: String,
    logger: bool,
    daemon: Option<String>,
}

/// `tests/demo/seed-tree`, two blanks for each generation.
fn seed() -> Vec<Block> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/seed-tree");
    let mut blocks: Vec<Block> = Vec::new();
    for line in std::fs::read_to_string(file).unwrap().lines().skip(1) {
        match (line.strip_prefix("  runsv "), blocks.last_mut()) {
            (Some(name), _) => blocks.push(Block { name: name.to_owned(), logger: false, daemon: None }),
            (None, Some(last)) if line.starts_with("    svlogd -tt ") => last.logger = true,
            (None, Some(last)) => last.daemon = Some(line.trim().to_owned()),
            (None, None) => panic!("{line}"),
        }
    }
    blocks
}

/// Children of every process: their numbers and command lines.
fn children(lab: &Lab) -> HashMap<u32, Vec<(u32, String)>> {
    let mut all: HashMap<u32, Vec<(u32, String)>> = HashMap::new();
    for line in lab.sh("ps -ww -e -o pid= -o ppid= -o args=").ok().lines() {
        let mut words = line.split_whitespace();
        let (pid, parent) = (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
        all.entry(parent).or_default().push((pid, words.collect::<Vec<_>>().join(" ")));
    }
    all
}

/// Ours for the seed's daemons, where it is called otherwise.
fn ours(daemon: &str) -> &str {
    let program = daemon.split(' ').find(|word| *word != "busybox").unwrap();
    match program.rsplit('/').next().unwrap() {
        "udhcpc" => "dhcpc",
        "ifplugd" => "linkwatch",
        // A shell script that slept between its pings.
        "sleep" => "pinger",
        same => same,
    }
}

/// What is otherwise with one of our services than with the seed's, but for the logger, which all of ours have.
fn differs(all: &HashMap<u32, Vec<(u32, String)>>, root: u32, block: &Block) -> Option<String> {
    let none = Vec::new();
    let of = |pid: u32| all.get(&pid).unwrap_or(&none);
    let wanted = format!("runsv {}", block.name);
    let Some((runsv, _)) = of(root).iter().find(|(_, args)| *args == wanted) else { return Some(wanted) };
    let (loggers, others): (Vec<_>, Vec<_>) = of(*runsv).iter().partition(|(_, args)| args.starts_with("svlogd "));
    let daemon = match (&block.daemon, &others[..]) {
        (None, []) => true,
        // After busybox, or after the shell of a script.
        (Some(theirs), [(_, args)]) => args.split(' ').take(2).any(|w| w.rsplit('/').next() == Some(ours(theirs))),
        (None | Some(_), _) => false,
    };
    let logger = format!("svlogd -tt /var/log/service/{}", block.name);
    let logged = matches!(&loggers[..], [(_, args)] if *args == logger);
    (!daemon || !logged).then(|| format!("{block:?}: {loggers:?} {others:?}\n"))
}

#[test]
fn beside_the_seeds() {
    lab::test(|lab| {
        all_daemons(lab);
        in_place(lab);
        let _world = World::new(lab);
        // What wlan0 is does not matter here; a wired supplicant runs on anything.
        lab.cable((&lab.net(), "wlan0"), (&lab.netns("air"), "air"));
        lab.sh("printf 'ap_scan=0\nnetwork={\n key_mgmt=IEEE8021X\n eap=MD5\n identity=\"x\"\n password=\"y\"\n}\n' \
                >/etc/sv/supplicant_if/wpa_supplicant.conf\n: >/etc/sv/ftpd/down\n\
             sed -i 's/^servers=\"\"/servers=192.0.2.1/' /etc/sv/ntpd/run")
            .ok();
        let blocks = seed();
        let names: Vec<_> = blocks.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names.len(), 14);
        lab.cmd("sv").arg("enable").args(&names).ok();
        // No ntpd of a lab sets the machine's clock.
        let runsvdir = lab
            .cmd("setpriv")
            .args(["--bounding-set=-sys_time", "--inh-caps=-sys_time", "runsvdir", "-P", "/var/service"])
            .spawn();
        let is_down = |b: &Block| b.daemon.is_none();
        for block in &blocks {
            let service = Service::at(Path::new("/var/service").join(&block.name));
            service.wait_stat(if is_down(block) { "down" } else { "run" });
            service.log().wait_stat("run");
        }
        let root = u32::try_from(runsvdir.pid()).unwrap();
        let mut wrong = String::new();
        let there = lab::wait_quietly(lab::PATIENCE, || {
            let all = children(lab);
            wrong = blocks.iter().filter_map(|block| differs(&all, root, block)).collect();
            wrong.is_empty() && all[&root].len() == blocks.len()
        });
        let processes = lab.sh("ps -ww -e -o pid= -o ppid= -o args=").ok();
        let shown = lab.cmd(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/tree")).stdin(processes).ok();
        assert!(there, "{wrong}\n{shown}\n{}", lab.sh("tail -n 5 /var/log/service/*/current").ok());
        // What the demo prints: both on the same line, nothing of ours without its counterpart.
        for block in &blocks {
            let line = format!("  runsv {}", block.name);
            let both =
                |l: &str| l.split_once('|').is_some_and(|(l, r)| l.trim_end() == line && r.trim() == line.trim());
            assert_eq!(shown.lines().filter(|l| both(l)).count(), 1, "{}:\n{shown}", block.name);
        }
        wait_for("nothing more", || runsvdir.stderr().is_empty());
    });
}
