//! What holds for every `run` of `examples/`: both shells do the same with it.

use crate::fw::{install, source};
use lab::Lab;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The shells that must do.
const SHELLS: [&str; 2] = ["dash", "busybox sh"];

/// The examples whose `run` is found out by this test: those that look for a daemon.
fn services() -> Vec<String> {
    let examples = fs::read_dir(source("examples")).unwrap().map(|e| e.unwrap().path());
    let mut names: Vec<_> = examples
        .filter(|dir| dir.join("daemon").exists())
        .map(|dir| dir.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// What may be installed: everything at once decides for the first choice, the others are alone.
const INSTALLED: [&[&str]; 5] = [
    &["busybox", "agetty", "gpm", "sshd", "nscd", "vpnc"],
    &["busybox-extras", "dropbear"],
    &["inetd", "vmstat", "vsftpd", "in.tftpd", "chronyd", "unscd"],
    &["busybox"],
    &[],
];

/// Services that look at the network before they start a daemon.
const LOOK_FIRST: [&str; 2] = ["dhcpd_if", "dnsmasq"];

/// Of the stand-in for busybox.
const APPLETS: [&str; 8] = ["ftpd", "getty", "httpd", "inetd", "nmeter", "ntpd", "tftpd", "udhcpd"];

/// A directory for PATH with a few tools and with programs that print how they were called.
fn stand_ins(lab: &Lab, programs: &[&str]) -> String {
    let bin = lab.path(&format!("bin{}", lab.fresh()));
    fs::create_dir_all(&bin).unwrap();
    for tool in ["cat", "cmp", "env", "grep", "ip", "mkdir", "printenv", "printf", "rm", "sed", "sort", "tr"] {
        std::os::unix::fs::symlink(lab::peer(tool), bin.join(tool)).unwrap();
    }
    for program in programs {
        let path = bin.join(program);
        let list = APPLETS.join("\\n");
        let script = format!("#!/bin/sh\n[ \"$1\" != --list ] || exec printf '{list}\\n'\necho \"{program} $*\"\n");
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin.to_str().unwrap().to_owned()
}

/// Runs `run` of the service in `dir` with one of [`SHELLS`]. Returns what it and the daemon's stand-in printed.
fn started(lab: &Lab, dir: &str, path: &str, shell: &str) -> String {
    let screen = lab.write("/run/screen", "");
    let (shell, applet) = shell.split_once(' ').map_or((shell, None), |(shell, applet)| (shell, Some(applet)));
    let out = lab
        .cmd("/usr/bin/env")
        .args([&format!("PATH={path}"), &format!("PWD={dir}"), lab::peer(shell).to_str().unwrap()])
        .args(applet)
        .arg("./run")
        .dir(dir)
        .output();
    let out = out.stdout + &lab.read(screen);
    // vsftpd is told its own process id.
    match out.split_once("/proc/") {
        Some((before, after)) => format!("{before}/proc/PID{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => out,
    }
}

/// Both shells come to the same command line, whatever is installed.
#[test]
fn both_shells_start_the_same_daemon() {
    lab::test(|lab| {
        lab.write("/run/service/ntpd/a.ntpconf", "let cfg=cfg+1\nntpip[$cfg]='192.0.2.1'\n");
        let mut daemons = std::collections::BTreeSet::new();
        for service in services() {
            let dir = format!("/run/sv/{service}");
            install(&format!("examples/{service}"), &dir);
            for (file, content) in [
                ("vpnc.conf", "IPSec gateway 192.0.2.1\n"),
                ("ssh_host_ed25519_key", "key\n"),
                ("dropbear_ed25519_host_key", "key\n"),
            ] {
                fs::write(format!("{dir}/{file}"), content).unwrap();
            }
            let run = format!("{dir}/run");
            fs::write(&run, lab.read(&run).replace("/dev/tty9", "/run/screen")).unwrap();
            for installed in INSTALLED {
                // netd only waits, and what it waits for is there.
                let path = stand_ins(lab, &[installed, &["netd"]].concat());
                let [dash, ash] = SHELLS.map(|shell| started(lab, &dir, &path, shell));
                lab::eqnice!(ash, dash);
                let first = dash.lines().next().unwrap();
                if LOOK_FIRST.contains(&service.as_str()) || first.ends_with(&format!("; then say: sv up {service}")) {
                    continue;
                }
                let daemon = first.strip_prefix(&format!("{service}: runs ")).unwrap();
                let daemon = daemon.rsplit('/').next().unwrap();
                let last = dash.lines().last().unwrap();
                assert!(last.contains(daemon) && last != first, "{service} is to start {daemon}: {dash}");
                daemons.insert(daemon.to_owned());
            }
        }
        assert!(daemons.len() > 25, "{daemons:?}");
    });
}

#[test]
fn every_service_is_in_the_document() {
    let document = fs::read_to_string(source("docs/services.md")).unwrap();
    let examples =
        fs::read_dir(source("examples")).unwrap().map(|e| e.unwrap().path()).filter(|path| path.join("run").exists());
    let missing: Vec<_> = examples
        .map(|dir| format!("`{}`", dir.file_name().unwrap().to_str().unwrap()))
        .filter(|name| !document.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
