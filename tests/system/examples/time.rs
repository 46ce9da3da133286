//! `ntpd`: servers from DHCP, after fw has run, restarted when they are others; and it tells others the time. The clock of
//! this machine is left alone.

use super::files::without_our_busybox;
use super::{edit, enable, goes_down, log, program, under_ash, wait_log};
use crate::fw::{World, install};
use lab::{Lab, Netns, Proc, Service, wait_for, wait_for_within};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Programs that set the clock find that it worked, and nothing was done.
const STILL_CLOCK: &str = r"
#define _GNU_SOURCE
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
int adjtimex(struct timex *t) { int m = t->modes; t->modes = 0; int r = syscall(SYS_adjtimex, t); t->modes = m; return r; }
int ntp_adjtime(struct timex *t) { return adjtimex(t); }
int clock_adjtime(clockid_t c, struct timex *t) { return adjtimex(t); }
int settimeofday(const struct timeval *v, const struct timezone *z) { return 0; }
int clock_settime(clockid_t c, const struct timespec *t) { return 0; }
int adjtime(const struct timeval *d, struct timeval *old) { if (old) *old = (struct timeval){0}; return 0; }
";

/// What every command below is started by: should the above fail, the kernel refuses.
const NO_CLOCK: [&str; 4] = ["--bounding-set", "-sys_time", "--inh-caps", "-sys_time"];

fn prepare(lab: &Lab) {
    lab.install_peers();
    lab.write("still.c", STILL_CLOCK);
    lab.cmd("cc").args(["-shared", "-fPIC", "-o", "/run/still.so", "still.c"]).ok();
    lab.write("/etc/ld.so.preload", "/run/still.so\n");
}

/// Says the time at each of `addresses` of the namespace's interface.
fn time_server(lab: &Lab, ns: &Netns) -> Proc {
    ns.cmd(lab, "setpriv").args(NO_CLOCK).args(["/usr/local/bin/busybox", "ntpd", "-nl"]).named("time server").spawn()
}

fn supervise(lab: &Lab) -> Proc {
    lab.cmd("setpriv").args(NO_CLOCK).args(["runsvdir", "-P", "/var/service"]).named("runsvdir").spawn()
}

/// A host of the LAN asks the gateway; chronyd prints what it would do.
fn wait_served(lab: &Lab, host: &Netns) {
    let ask = || {
        host.cmd(lab, "setpriv")
            .args(NO_CLOCK)
            .args([
                "chronyd",
                "-Q",
                "-t",
                "2",
                "-u",
                "root",
                "server 192.168.1.1 iburst maxsamples 1",
                "pidfile /run/asking.pid",
            ])
            .output()
    };
    wait_for("the time from the gateway", || {
        let said = ask();
        said.code == 0 && said.stderr.contains("System clock wrong by ")
    });
}

/// Until `./check` says that a server is followed. busybox puts an answer aside that took four times as long as the one before,
/// which happens all the time on a busy machine with a server next door, and then waits half a minute: here it begins anew.
fn wait_follows(lab: &Lab, ntpd: &Service) {
    wait_for_within("a server to be followed", Duration::from_secs(70), || {
        let follows = lab.cmd("sv").args(["-w8", "wait", "ready", ntpd.arg()]).output().code == 0;
        if !follows {
            ntpd.tell("t");
        }
        follows
    });
}

fn lease_renewed(lab: &Lab) {
    lab.cmd("sv").args(["1", "/var/service/dhcp_eth0"]).ok();
}

#[test]
fn time_comes_from_the_servers_that_dhcp_names() {
    lab::test_within(Duration::from_secs(240), |lab| {
        prepare(lab);
        let world = World::new(lab);
        world.provider.address("cable", "192.0.2.2/24");
        let _servers = time_server(lab, &world.provider);
        install("examples/dhcp_if", "/var/service/dhcp_eth0");
        let ntpd = enable("ntpd", "ntpd");
        under_ash("/run/sv/ntpd");
        fs::write(world.fw.path().join("down"), "").unwrap();
        let _runsvdir = supervise(lab);

        // It waits for fw, then for a server; each without a further start of its own.
        wait_log("ntpd", "ntpd: runs busybox ntpd");
        assert_eq!(lab.cmd("sv").args(["-w1", "check", ntpd.arg()]).output().code, 1);
        let waiting = ntpd.pid();
        assert!(!log("ntpd").contains("no server"), "{}", log("ntpd"));
        world.fw.wait_listening();
        lab.cmd("sv").args(["u", world.fw.arg()]).ok();
        wait_log("ntpd", "ntpd: no server is known yet;");
        assert_eq!((program(&ntpd), ntpd.pid()), ("sleep".to_owned(), waiting));

        let dnsmasq = world.serve(&["--dhcp-option=option:ntp-server,192.0.2.1"]);
        wait_log("ntpd", "ntpd: asks -p 192.0.2.1");
        // It goes through env, which clears the environment.
        wait_for("busybox", || program(&ntpd) == "busybox");
        wait_follows(lab, &ntpd);
        wait_log("ntpd", "ntp.script: stratum: stratum 2, offset");
        wait_served(lab, &world.host);

        // The same servers again are no news, others are.
        let running = ntpd.pid();
        lease_renewed(lab);
        dnsmasq.wait_lines("*DHCPACK*", 2);
        assert_eq!(dnsmasq.stop(), 0);
        let dnsmasq = world.serve(&["--dhcp-option=option:ntp-server,192.0.2.2"]);
        assert_eq!(ntpd.pid(), running);
        lease_renewed(lab);
        wait_log("ntpd", "ntpd: asks -p 192.0.2.2");
        assert_ne!(ntpd.pid(), running);
        wait_follows(lab, &ntpd);

        // Who took it down has the last word.
        goes_down(lab, &ntpd);
        assert!(!Path::new("/run/service/ntpd/stratum").exists());
        assert_eq!(dnsmasq.stop(), 0);
        let _dnsmasq = world.serve(&["--dhcp-option=option:ntp-server,192.0.2.1"]);
        lease_renewed(lab);
        wait_for("the other servers", || lab.read("/run/service/ntpd/dhcp_eth0.ntpconf").contains("192.0.2.1"));
        ntpd.wait_stat("down");

        let important = lab.cmd("/var/service/ntpd/p_log_important").env("PAGER", "cat").ok();
        assert!(important.contains(" ntpd: asks -p 192.0.2.2\n"), "{important}");
        assert!(!important.contains("sending query") && log("ntpd").contains("sending query"), "{important}");
    });
}

#[test]
fn chrony_does_as_well() {
    lab::test_within(Duration::from_secs(120), |lab| {
        prepare(lab);
        without_our_busybox(lab);
        lab.account("_chrony:x:65532:65534::/run:/usr/sbin/nologin");
        let world = World::new(lab);
        let server = Path::new("/run/busybox");
        fs::copy(lab::unpacked_peer("busybox").0, server).unwrap();
        let _servers = world.provider.cmd(lab, "setpriv").args(NO_CLOCK).args(["/run/busybox", "ntpd", "-nl"]).spawn();
        let ntpd = enable("ntpd", "ntpd");
        edit(lab, "ntpd/run", "servers=\"\"", "servers=192.0.2.1");
        // Without the right to set the clock it does not start.
        edit(lab, "ntpd/run", "options=\"-dd\"", "options=-x");
        let _runsvdir = supervise(lab);
        lab.net().address("eth0", "192.0.2.7/24");
        lab.cmd("mkdir").args(["-p", "/var/lib/chrony"]).ok();
        wait_log("ntpd", "ntpd: runs /usr/sbin/chronyd");
        wait_log("ntpd", "ntpd: asks server 192.0.2.1 iburst");
        wait_follows(lab, &ntpd);
        assert_eq!(program(&ntpd), "chronyd");
        wait_served(lab, &world.host);
    });
}

/// Nothing but an address gets from a file to the command line.
#[test]
fn a_file_with_something_else_in_it() {
    lab::test(|lab| {
        prepare(lab);
        lab.write("/run/service/fw/up", "");
        let text = "let cfg=cfg+1\nntpip[$cfg]='-S/run/evil'\nntpip[$cfg]='$(touch /run/owned)'\n\
                    ntpip[$cfg]='192.0.2.1 -S'\n`touch /run/owned`\nntpip[$cfg]=\"192.0.2.9\"\n";
        lab.write("/run/service/ntpd/dhcp_eth0.ntpconf", text);
        enable("ntpd", "ntpd");
        let _runsvdir = supervise(lab);
        wait_log("ntpd", "ntpd: asks");
        assert!(log("ntpd").lines().any(|line| line.ends_with(" ntpd: asks -p 192.0.2.9")), "{}", log("ntpd"));
        assert!(!Path::new("/run/owned").exists());
    });
}
