//! `sshd`: a login with a key; the host key is made once.

use super::{edit, enable, goes_down, log, program, supervise, wait_log};
use lab::{Cmd, Lab, Service, wait_for};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// An account `keeper` that lets in who has `id`, and /etc/ssh with nothing but a configuration.
fn prepare(lab: &Lab) {
    lab.install_peers();
    lab.account("keeper:x:0:0::/run/keeper:/bin/sh");
    lab.account("sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin");
    lab.cmd("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "id"]).ok();
    lab.write("/run/keeper/.ssh/authorized_keys", lab.read("id.pub"));
    for (path, mode) in
        [("/run/keeper", 0o755), ("/run/keeper/.ssh", 0o700), ("/run/keeper/.ssh/authorized_keys", 0o600)]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // A link to the machine's, if it has one.
    let _ = fs::remove_file("/etc/ssh");
    lab.write("/etc/ssh/sshd_config", "PasswordAuthentication no\n");
}

/// A command on the other side, as `keeper`; the host must be the one whose key is `known`.
fn ssh(lab: &Lab, known: &str, command: &str) -> Cmd {
    let options = ["UserKnownHostsFile=known", "StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=5"];
    lab.write("known", format!("[127.0.0.1]:2222 {known}\n"));
    lab.cmd("ssh").args(options.iter().flat_map(|o| ["-o", o])).args([
        "-F",
        "/dev/null",
        "-i",
        "id",
        "-p",
        "2222",
        "keeper@127.0.0.1",
        command,
    ])
}

fn logs_in(lab: &Lab, sshd: &Service, key: &str) {
    let key = sshd.path().join(key);
    lab.cmd("sv").args(["-w20", "wait", "ready", sshd.arg()]).ok();
    let known = fs::read_to_string(&key).unwrap();
    assert_eq!(ssh(lab, known.trim_end(), "echo this is $USER").ok(), "this is keeper\n");
    // The key stays.
    lab.cmd("sv").args(["-w20", "restart", sshd.arg()]).ok();
    assert_eq!(ssh(lab, known.trim_end(), "echo again").ok(), "again\n");
    assert_eq!(fs::read_to_string(&key).unwrap(), known);
}

#[test]
fn sshd_lets_in_who_has_the_key() {
    lab::test(|lab| {
        prepare(lab);
        let sshd = enable("sshd", "sshd");
        edit(lab, "sshd/run", "port=22", "port=2222");
        let _runsvdir = supervise(lab);
        wait_log("sshd", "sshd: runs /usr/sbin/sshd");
        logs_in(lab, &sshd, "ssh_host_ed25519_key.pub");
        wait_log("sshd", "Accepted publickey for keeper from 127.0.0.1");
        assert_eq!(program(&sshd), "sshd");
        // Nobody else.
        lab.cmd("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "other"]).ok();
        fs::rename(lab.path("other"), lab.path("id")).unwrap();
        let known = fs::read_to_string(sshd.path().join("ssh_host_ed25519_key.pub")).unwrap();
        assert_eq!(ssh(lab, known.trim_end(), "true").output().code, 255);
        let private = fs::metadata(sshd.path().join("ssh_host_ed25519_key")).unwrap().permissions().mode();
        assert_eq!(private & 0o777, 0o600);
        goes_down(lab, &sshd);
    });
}

/// A machine that has host keys already keeps them: its clients know them.
#[test]
fn sshd_takes_the_machines_own_key() {
    lab::test(|lab| {
        prepare(lab);
        let key = "/etc/ssh/ssh_host_ed25519_key";
        lab.cmd("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", key]).ok();
        let sshd = enable("sshd", "sshd");
        edit(lab, "sshd/run", "port=22", "port=2222");
        let _runsvdir = supervise(lab);
        let known = lab.read("/etc/ssh/ssh_host_ed25519_key.pub");
        sshd.wait_listening();
        lab.cmd("sv").args(["-w20", "wait", "ready", sshd.arg()]).ok();
        assert_eq!(ssh(lab, known.trim_end(), "echo in").ok(), "in\n");
        assert!(!sshd.path().join("ssh_host_ed25519_key").exists());
    });
}

#[test]
fn dropbear_does_as_well() {
    lab::test(|lab| {
        prepare(lab);
        lab.write("nothing", "");
        // Not there: no program for who looks for one.
        lab.cmd("mount").args(["--bind", "nothing", "/usr/sbin/sshd"]).ok();
        let sshd = enable("sshd", "sshd");
        edit(lab, "sshd/run", "port=22", "port=2222");
        let _runsvdir = supervise(lab);
        wait_log("sshd", "sshd: runs /usr/sbin/dropbear");
        let key = sshd.path().join("dropbear_ed25519_host_key");
        wait_for("the key", || key.exists());
        let shown = lab.cmd("dropbearkey").args(["-y", "-f", key.to_str().unwrap()]).ok();
        let known = shown.lines().find(|l| l.starts_with("ssh-ed25519 ")).unwrap().to_owned();
        fs::write(sshd.path().join("known.pub"), known).unwrap();
        logs_in(lab, &sshd, "known.pub");
        assert!(log("sshd").contains("Pubkey auth succeeded for 'keeper'"), "{}", log("sshd"));
        assert!(Path::new(&key).exists());
    });
}
