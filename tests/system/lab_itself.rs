//! The lab keeps its promises: own namespaces, own files, cables, taps, events, and no test that passes without running.

use lab::{matches, our, peer, wait_for};
use std::path::Path;

#[test]
fn is_alone_in_its_namespaces() {
    lab::test(|lab| {
        let links = lab.net().ip("-o link show");
        assert_eq!(links.lines().count(), 1, "only lo: {links}");
        // init, this test, ps and the shell.
        let processes = lab.sh("ps -e -o pid= | wc -l").ok();
        assert!(processes.trim().parse::<u32>().unwrap() <= 5, "{processes}");
        assert_eq!(lab.sh("cat /proc/1/comm").ok(), lab.sh("cat /proc/$PPID/comm").ok());
        assert!(std::fs::read_dir("/var/service").unwrap().next().is_none());
        std::fs::write("/etc/resolv.conf.new", "nameserver 192.0.2.1\n").unwrap();
        std::fs::rename("/etc/resolv.conf.new", "/etc/resolv.conf").unwrap();
        assert_eq!(lab.read("/etc/resolv.conf"), "nameserver 192.0.2.1\n");
        assert_eq!(lab.sh("cd /var/run && pwd -P").ok(), "/run\n");
        assert!(std::fs::write("/run/lab/etc/hosts", "").is_err(), "the machine's /etc is read-only");
    });
}

#[test]
fn finds_ours_and_theirs() {
    lab::test(|lab| {
        assert!(our("sv").exists());
        assert_eq!(peer("sh"), lab.sh("command -v sh").ok().trim_end().parse::<std::path::PathBuf>().unwrap());
        assert_eq!(lab.sh("command -v sv").ok(), "/run/lab/bin/sv\n");
        let missing = std::panic::catch_unwind(|| peer("no-such-program")).unwrap_err();
        let text = missing.downcast::<String>().unwrap();
        assert_eq!(*text, "no-such-program is not installed: apt-get install no-such-program");
    });
}

#[test]
fn a_failing_body_fails_the_test_and_prints_the_timeline() {
    let inner = "lab_itself::a_failing_body_fails_the_test_and_prints_the_timeline";
    let outcome = std::panic::catch_unwind(|| {
        lab::test(|lab| {
            lab.note("about to fail");
            panic!("on purpose");
        });
    });
    if std::env::var_os("PORTREEVE_LAB_STAGE").is_some() {
        std::panic::resume_unwind(outcome.unwrap_err());
    }
    let text = outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(text.starts_with(&format!("{inner} failed in its lab")), "{text}");
}

#[test]
fn a_body_that_never_ran_is_a_failure() {
    let life = std::time::Duration::from_secs(20);
    let outcome = std::panic::catch_unwind(|| lab::named("lab_itself::no_such_test", life, |_| ()));
    let text = outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("never ran"), "{text}");
}

#[test]
fn commands_and_processes() {
    lab::test(|lab| {
        lab.cmd("printf").arg("a b").prints("a b");
        lab.sh("echo pid 17, 3s").prints_matching("pid #, #s");
        let out = lab.sh("echo out; echo err >&2; exit 3").fails(3);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(lab.sh("kill -9 $$").output().code, 137);
        lab.cmd("cat").stdin("through\n").prints("through\n");
        lab.sh("echo $0 $X; pwd").arg0("other").env("X", "y").dir("/usr").prints("other y\n/usr\n");
        let cat = lab.sh("echo ready; exec cat").spawn();
        cat.wait_line("ready");
        assert_eq!(cat.wait(), 0);
        let sleep = lab.cmd("sleep").arg("1000").spawn();
        assert!(!sleep.ended());
        assert_eq!(sleep.stop(), 128 + 15);
    });
}

#[test]
fn orphans_are_reaped() {
    lab::test(|lab| {
        let orphan = lab.sh("sleep 0 & echo $!").ok();
        let proc = format!("/proc/{}", orphan.trim());
        wait_for("init to reap the orphan", || !Path::new(&proc).exists());
    });
}

#[test]
fn packaged_runsv_in_a_service_directory() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("echo $$ >>pids; exec sleep 1000").finish("echo $* >>ends").build();
        let runsv = lab.runsv_of(&peer("runsv"), &foo);
        foo.wait_stat("run");
        let pid = foo.pid().expect("a process");
        assert_eq!(foo.wait_lines("pids", 1), [pid.to_string()]);
        let status = foo.status();
        assert_eq!((status.pid, status.state, status.want, status.paused, status.term), (pid, 1, 'u', false, false));
        foo.tell("d");
        foo.wait_stat("down");
        assert_eq!((foo.lines("ends"), foo.pid()), (vec!["-1 15".to_owned()], None));
        foo.tell("u");
        assert_ne!(foo.wait_new_pid(None), pid);
        assert_eq!(runsv.stop(), 0);
        assert!(!foo.listening());
    });
}

#[test]
fn cables_bridges_and_namespaces() {
    lab::test(|lab| {
        let (isp, host) = (lab.netns("isp"), lab.netns("host"));
        let uplink = lab.cable((&lab.net(), "eth0"), (&isp, "p0"));
        let _second = lab.cable((&host, "eth0"), (&isp, "p1"));
        isp.bridge("br0", &["p0", "p1"]);
        isp.address("br0", "192.0.2.1/24");
        lab.net().address("eth0", "192.0.2.2/24");
        host.address("eth0", "192.0.2.3/24");
        lab.net().wait_carrier("eth0", true);
        host.cmd(lab, "ping").args(["-c1", "-W5", "192.0.2.2"]).ok();
        uplink.pull();
        lab.net().wait_carrier("eth0", false);
        uplink.plug();
        lab.net().wait_carrier("eth0", true);
        assert!(matches(&host.mac("eth0"), "*:*:*:*:*:*"));
        isp.sysctl(lab, "net.ipv4.ip_forward", "1");
        isp.cmd(lab, "cat").arg("/proc/sys/net/ipv4/ip_forward").prints("1\n");
        let near_out = lab.netns("far");
        let _reverse = lab.cable((&near_out, "eth0"), (&lab.net(), "far0"));
        lab.net().wait_carrier("far0", true);
    });
}

#[test]
fn dnsmasq_serves() {
    lab::test(|lab| {
        let isp = lab.netns("isp");
        let _cable = lab.cable((&lab.net(), "eth0"), (&isp, "isp0"));
        isp.address("isp0", "192.0.2.1/24");
        let dnsmasq = lab.dnsmasq(&isp, "isp0", &["--dhcp-range=192.0.2.10,192.0.2.20,255.255.255.0,2m"]);
        assert!(!dnsmasq.ended());
        dnsmasq.stop();
    });
}

#[test]
fn a_tap_has_a_carrier_of_its_own() {
    lab::test(|lab| {
        let tap = lab.tap("tap0");
        lab.net().wait_carrier("tap0", true);
        tap.carrier(false);
        lab.net().wait_carrier("tap0", false);
        tap.carrier(true);
        lab.net().wait_carrier("tap0", true);
    });
}
