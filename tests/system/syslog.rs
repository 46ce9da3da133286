//! What the daemons say to the system's log, read by busybox's syslogd: which of them, when, and from within the sandbox.

use lab::{Lab, Netns, Proc, wait_for};
use nix::sys::signal::Signal;
use std::os::unix::net::UnixDatagram;

/// A syslogd that writes to `messages`.
fn syslogd(lab: &Lab) -> Proc {
    let proc = lab.cmd("busybox").args(["syslogd", "-n", "-O", "messages"]).spawn();
    wait_for("/dev/log", || UnixDatagram::unbound().unwrap().connect("/dev/log").is_ok());
    proc
}

fn messages(lab: &Lab) -> String {
    std::fs::read_to_string(lab.path("messages")).unwrap_or_default()
}

/// Waits for a line `TIME HOST daemon.SEVERITY PROGRAM[PID]: TEXT`, with `*` in it for anything.
#[track_caller]
fn wait_message(lab: &Lab, severity: &str, program: &str, pid: i32, text: &str) {
    let wanted = format!("*:#:# * daemon.{severity} {program}[{pid}]: {text}");
    wait_for(&wanted, || messages(lab).lines().any(|l| lab::matches(l, &wanted)));
}

fn host(lab: &Lab) -> Netns {
    let host = lab.netns("host");
    lab.cable((&host, "eth0"), (&lab.net(), "far"));
    host.wait_carrier("eth0", true);
    host
}

/// The whole life of a client, its syslogd ending and coming back meanwhile: nothing waits, and the new one is heard.
#[test]
fn dhcpc_with_s_across_a_new_syslogd() {
    lab::test(|lab| {
        let host = host(lab);
        lab.net().address("far", "192.0.2.1/24");
        let old = syslogd(lab);
        let _server = lab.dnsmasq(&lab.net(), "far", &["--dhcp-range=192.0.2.10,192.0.2.50,3600", "--no-ping"]);
        let args = ["-f", "-S", "-i", "eth0", "-s", "/bin/true", "--state", ""];
        let client = lab.cmd("udhcpc").args(args).netns(&host).spawn();
        wait_message(lab, "info", "udhcpc", client.pid(), "eth0: bound 192.0.2.*");
        client.wait_line("udhcpc: eth0: bound *");
        // Within the sandbox by now, with nobody to talk to.
        old.stop();
        client.signal(Signal::SIGUSR2);
        client.wait_line("udhcpc: eth0: released*");
        let before = messages(lab).len();
        let _new = syslogd(lab);
        client.signal(Signal::SIGUSR1);
        client.wait_lines("udhcpc: eth0: bound *", 2);
        wait_for("the new one's line", || messages(lab)[before..].contains("eth0: bound 192.0.2."));
        client.stop();
    });
}

/// A syslogd that takes nothing any more stops nobody.
#[test]
fn a_syslogd_that_hangs() {
    lab::test(|lab| {
        let host = host(lab);
        let stuck = UnixDatagram::bind("/dev/log").unwrap();
        // Until its queue is full.
        let filler = UnixDatagram::unbound().unwrap();
        filler.set_nonblocking(true).unwrap();
        while filler.send_to(b"x", "/dev/log").is_ok() {}
        let watcher = lab.cmd("linkwatch").args(["-n", "-i", "eth0", "-r", "/bin/true", "-d0"]).netns(&host).spawn();
        watcher.wait_line("linkwatch: info: eth0: link is up");
        lab.net().ip("link set far down");
        watcher.wait_line("linkwatch: info: eth0: link is down");
        assert_eq!(watcher.stop(), 1);
        drop(stuck);
    });
}

/// Without `-S` dhcpc says nothing there; a mistake at its start is said with it.
#[test]
fn dhcpc_only_when_told() {
    lab::test(|lab| {
        let _syslogd = syslogd(lab);
        let args = ["-f", "-i", "none0", "-s", "/bin/true"];
        lab.cmd("udhcpc").args(args).fails(1);
        let told = lab.cmd("udhcpc").args(args).arg("-S").spawn();
        wait_message(lab, "err", "udhcpc", told.pid(), "fatal: none0: *");
        assert_eq!(messages(lab).matches("none0").count(), 1);
    });
}

/// ifplugd's: always, but not with `-s`.
#[test]
fn linkwatch_unless_told_not_to() {
    lab::test(|lab| {
        let _syslogd = syslogd(lab);
        let host = host(lab);
        let watch = |options: &[&str]| {
            let args = ["-n", "-i", "eth0", "-r", "/bin/true"];
            let proc = lab.cmd("linkwatch").args(args).args(options).netns(&host).spawn();
            proc.wait_line("linkwatch: info: eth0: link is up");
            proc
        };
        watch(&["-s"]).stop();
        let loud = watch(&[]);
        wait_message(lab, "info", "linkwatch", loud.pid(), "eth0: link is up");
        loud.stop();
        assert_eq!(messages(lab).matches("link is up").count(), 1);
    });
}

/// busybox zcip's: when it leaves the terminal, or as the environment says.
#[test]
fn zcip_in_the_background() {
    lab::test(|lab| {
        let _syslogd = syslogd(lab);
        let host = host(lab);
        let zcip = |options: &[&str]| {
            let args = ["-q", "-r", "169.254.7.8", "--state", "state"];
            lab.cmd("zcip").args(args).args(options).args(["eth0", "/bin/true"]).netns(&host)
        };
        let quiet = zcip(&["-f"]).env("LOGGING", "none").spawn();
        let plain = zcip(&["-f"]).spawn();
        let only = zcip(&["-f"]).env("LOGGING", "syslog").spawn();
        plain.wait_line("zcip: info: eth0: using 169.254.7.8");
        wait_message(lab, "info", "zcip", only.pid(), "eth0: using 169.254.7.8");
        assert_eq!((quiet.wait(), plain.wait(), only.wait()), (0, 0, 0));
        assert_eq!((quiet.stderr(), only.stderr()), (String::new(), String::new()));
        assert_eq!(messages(lab).matches("using").count(), 1);
        // Its parent ends at once, and its own output goes nowhere.
        zcip(&[]).ok();
        wait_for("the daemon's line", || messages(lab).matches("using").count() == 2);
    });
}
