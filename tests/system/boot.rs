//! What `packaging/` has for the programs that start others at boot: each of them does start ours, sees it restarted, and ends
//! it without losing what the services had to say. busybox init, sysvinit and OpenRC run for real; systemd judges its unit.

use crate::install::in_place;
use lab::{Cmd, Lab, Proc, Service, peer, wait_for};
use std::path::Path;
use std::time::{Duration, Instant};

const PACKAGING: &str = "/usr/local/share/portreeve/packaging";

/// Two services: one that says goodbye and takes its time, one that ends at once. Both have the standard logger.
fn services(lab: &Lab) -> [Service; 2] {
    let logger = lab.read("/etc/sv/fw/log/run");
    let bye = "trap 'sleep 0.3; echo bye; exit' TERM\necho ready\nmkfifo -m 600 never; while :; do read x <never; done";
    let polite = lab.service_at("/etc/sv/polite").run(bye).log(&logger).enabled().build();
    let plain = lab.service_at("/etc/sv/plain").run("exec 2>&1; env; exec sleep 1000").log(&logger).enabled().build();
    [polite, plain]
}

fn logged(name: &str) -> String {
    std::fs::read_to_string(format!("/var/log/service/{name}/current")).unwrap_or_default()
}

/// The only runsvdir of the lab. Its processes are seen here whatever pid namespaces they are in.
fn runsvdir(lab: &Lab) -> Option<i32> {
    let found = lab.sh("pgrep -x runsvdir || :").ok();
    found.lines().next().map(|pid| pid.parse().unwrap())
}

/// All that has to be seen between start and end, whoever started it.
fn comes_up_and_is_kept(lab: &Lab, [polite, plain]: &[Service; 2]) {
    polite.wait_stat("run");
    plain.wait_stat("run");
    wait_for("what they say", || logged("polite").ends_with(" ready\n") && logged("plain").contains(" PATH="));
    let environment = logged("plain");
    let names: Vec<_> = environment.lines().filter_map(|l| Some(l.split_once(' ')?.1.split_once('=')?.0)).collect();
    assert!(names.iter().all(|n| ["PATH", "PWD", "SVDIR", "SHLVL", "_"].contains(n)), "{environment}");
    let args = lab.sh("ps -o args= -C runsvdir").ok();
    assert_eq!(args, "runsvdir -P -g 9 /var/service\n");
}

/// The end of a runsvdir is nobody else's.
fn is_started_again(lab: &Lab, services: &[Service; 2]) {
    let before = services.each_ref().map(Service::pid);
    let old = runsvdir(lab).unwrap();
    lab.sh(&format!("kill -9 {old}")).ok();
    wait_for("another runsvdir", || runsvdir(lab).is_some_and(|new| new != old));
    // It looks after them: a service that is disabled ends, one that is enabled comes.
    lab.cmd("sv").args(["-w", "5", "disable", "plain"]).prints("ok: plain: disabled\nok: plain: runsv not running\n");
    lab.cmd("sv").args(["enable", "plain"]).ok();
    services[1].wait_new_pid(before[1]);
    assert_eq!(services[0].pid(), before[0], "the same process");
}

fn is_over(lab: &Lab, services: &[Service; 2]) {
    assert!(logged("polite").ends_with(" bye\n"), "{}", logged("polite"));
    for service in services {
        assert_eq!((service.stat().as_str(), service.listening()), ("down", false));
    }
    assert_eq!(lab.sh("pgrep -x 'runsv|runsvdir|svlogd' | wc -l").ok(), "0\n");
}

/// A program as pid 1 with an /etc/inittab of its own lines and ours.
fn init(lab: &Lab, program: Cmd, own: &str, ours: &str) -> Proc {
    let inittab = format!("{own}{}", lab.read(Path::new(PACKAGING).join(ours)));
    lab.write("/etc/inittab", inittab);
    program.spawn()
}

fn as_pid_1(lab: &Lab) -> Cmd {
    lab.cmd("unshare").args(["--pid", "--fork", "--mount-proc", "--kill-child"])
}

#[test]
fn busybox_init() {
    lab::test(|lab| {
        in_place(lab);
        let services = services(lab);
        let init = init(lab, as_pid_1(lab).arg(peer("busybox")).arg("init"), "", "inittab.busybox");
        comes_up_and_is_kept(lab, &services);
        is_started_again(lab, &services);
        // Power off: in a pid namespace that is the end of its processes and of nothing else.
        lab.sh(&format!("kill -USR2 $(pgrep -P {})", init.pid())).ok();
        init.wait();
        is_over(lab, &services);
    });
}

#[test]
fn sysvinit() {
    lab::test(|lab| {
        lab.install_peers();
        in_place(lab);
        let services = services(lab);
        let init = init(lab, as_pid_1(lab).arg("/usr/sbin/init"), "id:2:initdefault:\n", "inittab.sysvinit");
        comes_up_and_is_kept(lab, &services);
        is_started_again(lab, &services);
        lab.cmd("telinit").arg("0").ok();
        wait_for("the end of all", || lab.sh("pgrep -x 'runsv|runsvdir|svlogd' | wc -l").ok() == "0\n");
        is_over(lab, &services);
        init.signal(nix::sys::signal::Signal::SIGKILL);
    });
}

#[test]
fn container() {
    lab::test(|lab| {
        in_place(lab);
        let services = services(lab);
        let start = as_pid_1(lab).arg("/usr/local/sbin/portreeve-start").env("SECRET", "not for services").spawn();
        comes_up_and_is_kept(lab, &services);
        let began = Instant::now();
        lab.sh("pkill -TERM -x runsvdir").ok();
        assert_eq!(start.wait(), 0);
        assert!(began.elapsed() < Duration::from_secs(9), "nobody had to be killed");
        is_over(lab, &services);
    });
}

/// What OpenRC finds on a machine that it has booted.
fn openrc(lab: &Lab) {
    const STATE: [&str; 11] = [
        "starting",
        "started",
        "stopping",
        "inactive",
        "wasinactive",
        "failed",
        "hotplugged",
        "daemons",
        "options",
        "exclusive",
        "scheduled",
    ];
    lab.sh(&format!(
        "mkdir -p /etc/conf.d {}; : >/etc/insserv.conf; : >/etc/rc.conf; : >/run/openrc/softlevel
         rm -rf /etc/init.d; mkdir /etc/init.d
         printf '#!/sbin/openrc-run\nstart() {{ :; }}\n' >/etc/init.d/localmount; chmod 755 /etc/init.d/localmount",
        STATE.map(|dir| format!("/run/openrc/{dir}")).join(" ")
    ))
    .ok();
}

#[test]
fn openrc_starts_and_stops() {
    lab::test(|lab| {
        lab.install_peers();
        in_place(lab);
        let services = services(lab);
        openrc(lab);
        lab.sh(&format!("install -m 755 {PACKAGING}/portreeve.openrc /etc/init.d/portreeve")).ok();
        let rc = |action: &str| lab.cmd("/sbin/openrc-run").args(["/etc/init.d/portreeve", action]);
        rc("start").ok();
        comes_up_and_is_kept(lab, &services);
        assert!(rc("status").ok().contains("started"));
        rc("stop").ok();
        is_over(lab, &services);
        rc("start").ok();
        services[1].wait_stat("run");
        rc("stop").ok();
        is_over(lab, &services);
    });
}

#[test]
fn systemd_takes_the_unit() {
    lab::test(|lab| {
        lab.install_peers();
        in_place(lab);
        let verify = |unit: &Path| lab.cmd("systemd-analyze").args(["verify", "--man=no"]).arg(unit).output();
        let ours = Path::new(PACKAGING).join("portreeve.service");
        let good = verify(&ours);
        assert_eq!((good.code, good.stderr.as_str()), (0, ""));
        // It does look.
        for (from, to) in [("KillMode=process", "KillMode=nobody"), ("/usr/local/sbin/portreeve-start", "/nowhere")] {
            let bad = verify(&lab.write("portreeve.service", lab.read(&ours).replace(from, to)));
            assert_ne!((bad.code, bad.stderr.as_str()), (0, ""), "{to}");
        }
    });
}

/// procd's own functions, as a shell would see them.
#[test]
fn procd_is_told_what_to_start() {
    lab::test(|lab| {
        in_place(lab);
        let stubs =
            "for f in open_instance set_param close_instance; do eval \"procd_$f() { echo $f \\\"\\$@\\\"; }\"; done\n";
        for sh in [&["dash"][..], &["busybox", "sh"]] {
            let said = lab
                .cmd(sh[0])
                .args(&sh[1..])
                .args(["-c", &format!("{stubs}. {PACKAGING}/portreeve.procd; start_service; echo $USE_PROCD $START")])
                .ok();
            lab::eqnice!(
                said,
                "open_instance\nset_param command /usr/local/sbin/portreeve-start\nset_param respawn 3600 1 0\n\
                 set_param stderr 1\nset_param term_timeout 15\nclose_instance\n1 15\n"
            );
        }
        lab.cmd("shellcheck").args(["-s", "sh", &format!("{PACKAGING}/portreeve.procd")]).ok();
        // Variables that openrc-run reads.
        lab.cmd("shellcheck").args(["-s", "sh", "-e", "SC2034", &format!("{PACKAGING}/portreeve.openrc")]).ok();
    });
}
