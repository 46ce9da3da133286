//! The supervision suites that are compared, and how each of them is told what.

use crate::measure::{children, stamp};
use lab::{Cmd, Lab, Proc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Runit,
    S6,
    Daemontools,
}

/// A set of supervision programs.
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    kind: Kind,
    bin: PathBuf,
    /// One process for all services.
    hosted: bool,
}

/// All of them; ours is the first.
pub(crate) fn suites() -> Vec<Suite> {
    let above = |program: PathBuf| program.parent().unwrap().to_owned();
    let built = std::env::var_os("PORTREEVE_PEERS").map(PathBuf::from).expect("started by tests/bench/run");
    let suite = |name, kind, bin| Suite { name, kind, bin, hosted: false };
    vec![
        suite("portreeve", Kind::Runit, above(lab::our("runsv"))),
        suite("runit", Kind::Runit, above(lab::peer("runsv"))),
        suite("bb-full", Kind::Runit, built.join("bb-full")),
        suite("bb-small", Kind::Runit, built.join("bb-small")),
        suite("s6", Kind::S6, above(lab::peer("s6-svscan"))),
        suite("daemontools", Kind::Daemontools, above(lab::peer("svscan"))),
    ]
}

/// Ours as one process.
pub(crate) fn hosted() -> Suite {
    Suite { name: "hosted", hosted: true, ..suites().swap_remove(0) }
}

impl Suite {
    fn words(&self, runit: &[&str], s6: &[&str], daemontools: &[&str]) -> Vec<String> {
        let words = match self.kind {
            Kind::Runit => runit,
            Kind::S6 => s6,
            Kind::Daemontools => daemontools,
        };
        let program = self.bin.join(words[0]).display().to_string();
        [program].into_iter().chain(words[1..].iter().map(|w| (*w).to_owned())).collect()
    }

    fn cmd(&self, lab: &Lab, words: &[String], dir: &Path) -> Cmd {
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        lab.cmd(&words[0]).args(&words[1..]).arg(dir).env("PATH", path)
    }

    /// The supervisor of one service.
    pub(crate) fn supervise(&self, lab: &Lab, dir: &Path) -> Proc {
        self.cmd(lab, &self.words(&["runsv"], &["s6-supervise"], &["supervise"]), dir).spawn()
    }

    /// The supervisor of a directory of services.
    pub(crate) fn scan(&self, lab: &Lab, dir: &Path) -> Proc {
        let runsvdir: &[_] = if self.hosted { &["runsvdir", "-1"] } else { &["runsvdir"] };
        self.cmd(lab, &self.words(runsvdir, &["s6-svscan", "-c", "2000"], &["svscan"]), dir).spawn()
    }

    /// After a change of that directory: s6 has to be told.
    pub(crate) fn rescan(&self, lab: &Lab, dir: &Path) {
        match self.kind {
            Kind::S6 => drop(lab.cmd(self.bin.join("s6-svscanctl")).arg("-a").arg(dir).ok()),
            Kind::Runit | Kind::Daemontools => {}
        }
    }

    /// `status`, `up` or `down` of a service, not waiting for its effect.
    pub(crate) fn tell(&self, what: &str, dir: &Path) -> std::process::Command {
        let words = match what {
            "status" => self.words(&["sv", "status"], &["s6-svstat"], &["svstat"]),
            "up" => self.words(&["sv", "up"], &["s6-svc", "-u"], &["svc", "-u"]),
            _ => self.words(&["sv", "down"], &["s6-svc", "-d"], &["svc", "-d"]),
        };
        let mut command = std::process::Command::new(&words[0]);
        command.args(&words[1..]).arg(dir).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command
    }

    /// The logger with a readable time, 1,000,000 bytes and ten old files.
    pub(crate) fn log(&self) -> Vec<String> {
        self.words(&["svlogd", "-tt"], &["s6-log", "T", "n10", "s1000000"], &["multilog", "t", "s1000000", "n10"])
    }
}

/// A service directory that runs the stamp program, and perhaps `suite`'s logger.
pub(crate) fn service(lab: &Lab, suite: &Suite, at: &str, with_log: bool) -> PathBuf {
    let dir = lab.path(&format!("{}/{at}", suite.name));
    std::fs::create_dir_all(&dir).unwrap();
    let program = lab.path("the-stamp");
    if !program.exists() {
        std::fs::copy(stamp(), &program).unwrap();
    }
    std::fs::hard_link(program, dir.join("run")).unwrap();
    if with_log {
        std::fs::create_dir_all(dir.join("log/main")).unwrap();
        let run = dir.join("log/run");
        // `exec` leaves no shell behind.
        std::fs::write(&run, format!("#!/bin/sh\nexec {} ./main\n", suite.log().join(" "))).unwrap();
        std::fs::set_permissions(run, PermissionsExt::from_mode(0o755)).unwrap();
    }
    dir
}

/// All below a process, but not the services themselves.
pub(crate) fn supervisors_below(pid: i32) -> Vec<i32> {
    let mut all = children(pid);
    let mut at = 0;
    while at < all.len() {
        all.extend(children(all[at]));
        at += 1;
    }
    all.retain(|p| std::fs::read_to_string(format!("/proc/{p}/comm")).is_ok_and(|c| c.trim() != "run"));
    all
}

/// Ends a scanner and all below it at once.
pub(crate) fn end(scanner: &Proc) {
    scanner.signal(Signal::SIGSTOP);
    let mut all = supervisors_below(scanner.pid());
    let services: Vec<_> = all.iter().chain([&scanner.pid()]).flat_map(|p| children(*p)).collect();
    // Supervisors first: they would start again what ends.
    all.insert(0, scanner.pid());
    all.extend(services);
    for pid in &all {
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    scanner.wait();
    // The next one measured has the machine for itself.
    lab::wait_for("all to be gone", || all.iter().all(|p| !Path::new(&format!("/proc/{p}")).exists()));
}
