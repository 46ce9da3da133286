//! Private memory of the supervisors of 100 services, without and with a log service (kB, median per service); and what a
//! further service costs when one process hosts all.

use crate::measure::{Samples, budget, children, kilobytes, stamp_service, supervisors, table, wait_stamp};
use lab::{Lab, wait_for};

const SERVICES: usize = 100;

pub(crate) fn run(lab: &Lab) {
    for with_log in [false, true] {
        let mut rows = Vec::new();
        for (i, (name, bin)) in supervisors().into_iter().enumerate() {
            rows.push(measure(lab, name, &bin, 2 * i + usize::from(with_log), with_log));
        }
        let what = if with_log { "runsv and svlogd" } else { "runsv" };
        table(&format!("Private memory of each of {SERVICES} {what}"), "kB", false, &rows);
        budget(if with_log { "56 kB" } else { "24 kB" });
    }
    hosted(lab);
}

/// Services in one process, few and many: the difference is what they cost, without the program itself.
const FEW: usize = 100;
const MANY: usize = 1100;

fn hosted(lab: &Lab) {
    let bin = lab::our("runsvdir").parent().unwrap().to_owned();
    let [few, many] = [(FEW, 100), (MANY, 101)].map(|(n, set)| {
        let dirs: Vec<_> = (0..n).map(|i| stamp_service(lab, set, &format!("s{i}"))).collect();
        let above = dirs[0].parent().unwrap();
        let began = crate::measure::now();
        let runsvdir = lab.cmd(bin.join("runsvdir")).arg("-1").arg(above).spawn();
        let last = dirs.iter().map(|dir| wait_stamp(&dir.join("stamp"), 1).0).max().unwrap();
        println!("\n{n} services in one process: all started after {:.0} ms", (last - began) as f64 / 1e6);
        let (private, _) = kilobytes(runsvdir.pid());
        println!("  private {private} kB");
        runsvdir.signal(nix::sys::signal::SIGHUP);
        runsvdir.wait();
        private
    });
    println!("  a service more: {:.2} kB", (many - few) / (MANY - FEW) as f64);
    budget("2 kB");
}

fn measure(lab: &Lab, name: &str, bin: &std::path::Path, set: usize, with_log: bool) -> Samples {
    let mut dirs = Vec::new();
    for n in 0..SERVICES {
        let dir = stamp_service(lab, set, &format!("s{n}"));
        if with_log {
            std::fs::create_dir_all(dir.join("log/main")).unwrap();
            // A link to the program would be called by the wrong name; `exec` leaves no shell behind.
            let run = lab.write(
                dir.join("log/run").strip_prefix(lab.dir()).unwrap().to_str().unwrap(),
                format!("#!/bin/sh\nexec {} -tt ./main\n", bin.join("svlogd").display()),
            );
            std::fs::set_permissions(run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        dirs.push(dir);
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let above = dirs[0].parent().unwrap();
    let scanner = lab.cmd(bin.join("runsvdir")).args(["-P", above.to_str().unwrap()]).env("PATH", path).spawn();
    for dir in &dirs {
        wait_stamp(&dir.join("stamp"), 1);
        if with_log {
            wait_for("the logger", || dir.join("log/main/current").exists());
        }
    }
    let mut samples = Samples::of(name);
    for runsv in children(scanner.pid()) {
        // The service itself is left out: it is the same small program everywhere.
        let loggers = children(runsv).into_iter().filter(|p| comm(*p) == "svlogd");
        let all = [runsv].into_iter().chain(loggers).map(|p| kilobytes(p).0);
        samples.add(all.sum());
    }
    for runsv in children(scanner.pid()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(runsv), nix::sys::signal::SIGTERM);
    }
    scanner.stop();
    samples
}

fn comm(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
