//! `sv enable` and `sv disable`, beside a running runsvdir and without one.

use lab::{Lab, Proc, Service, our, peer, wait_for};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A private /etc/sv, and `dir` for SVDIR. (The machine's own /etc/sv, if any, is a link in the lab's /etc.)
fn prepare(lab: &Lab) {
    lab.sh("rm -f /etc/sv; mkdir /etc/sv dir").ok();
}

fn runsvdir(lab: &Lab, options: &[&str]) -> Proc {
    lab.cmd("runsvdir").args(options).arg("dir").spawn()
}

fn sv(lab: &Lab, args: &str) -> lab::Cmd {
    lab.cmd("sv").env("SVDIR", lab.path("dir")).args(args.split(' '))
}

fn link(lab: &Lab, name: &str) -> Option<String> {
    fs::read_link(lab.path("dir").join(name)).ok().map(|target| target.into_os_string().into_string().unwrap())
}

fn there_and_back(lab: &Lab, options: &[&str]) {
    prepare(lab);
    let _runsvdir = runsvdir(lab, options);
    let foo = lab.service_at("/etc/sv/foo").run("exec sleep 1000").finish("echo finished >>ends").build();
    let bar = lab.service_at("/etc/sv/bar").run("exec sleep 1000").log("exec cat >/dev/null").down().build();
    for _ in 0..5 {
        sv(lab, "enable foo bar")
            .prints("ok: foo: enabled, /etc/sv/foo\nok: bar: enabled, /etc/sv/bar, normally down\n");
        assert_eq!(link(lab, "foo").as_deref(), Some("/etc/sv/foo"));
        foo.wait_stat("run");
        bar.log().wait_stat("run");
        assert_eq!(bar.stat(), "down");
        sv(lab, "enable foo").prints("ok: foo: enabled already, /etc/sv/foo\n");
        let ends = foo.lines("ends").len();
        let said = sv(lab, "disable foo bar").ok();
        let mut said: Vec<_> = said.lines().collect();
        said.sort_unstable(); // in the order in which it comes to be
        assert_eq!(
            said,
            ["ok: bar: disabled", "ok: bar: runsv not running", "ok: foo: disabled", "ok: foo: runsv not running"]
        );
        assert_eq!((link(lab, "foo"), link(lab, "bar")), (None, None));
        assert!(!foo.listening() && !bar.listening() && !bar.log().listening());
        assert_eq!((foo.stat(), foo.lines("ends").len()), ("down".into(), ends + 1), "stopped, and cleaned up after");
        sv(lab, "disable foo").prints("ok: foo: disabled already\n");
    }
}

#[test]
fn there_and_back_with_runsv() {
    lab::test(|lab| there_and_back(lab, &[]));
}

#[test]
fn there_and_back_in_one_process() {
    lab::test(|lab| there_and_back(lab, &["-1"]));
}

/// Asked to, it waits until the service is there, whoever is to start it and whenever.
#[test]
fn enabled_and_waited_for() {
    lab::test(|lab| {
        prepare(lab);
        let ready = "exec 7>&7; read -r x <go; echo >&7; exec sleep 1000";
        let foo = lab.service_at("/etc/sv/foo").run(ready).file("notification-fd", "7\n", 0o644).build();
        lab.service_at("/etc/sv/bar").run("exec sleep 1000").down().build();
        lab.sh("mkfifo /etc/sv/foo/go").ok();
        let waits = sv(lab, "-w 60 enable foo bar").spawn();
        waits.wait_line("ok: bar: enabled, /etc/sv/bar, normally down");
        let runsvdir = runsvdir(lab, &[]);
        foo.wait_stat("run");
        waits.wait_line("ok: down: bar: #s");
        assert!(!waits.ended(), "foo has not said that it is ready");
        fs::write(foo.path().join("go"), "\n").unwrap();
        waits.wait_line("ok: run: foo: (pid #) #s");
        assert_eq!(waits.wait(), 0);
        sv(lab, "-v enable foo").prints_matching("ok: foo: enabled already, /etc/sv/foo\nok: run: foo: (pid #) #s*\n");
        // Nobody to start it.
        runsvdir.signal(nix::sys::signal::Signal::SIGHUP);
        runsvdir.wait();
        wait_for("the end", || !foo.listening());
        let out = sv(lab, "-w1 enable foo").fails(1);
        assert_eq!(out.stdout, "ok: foo: enabled already, /etc/sv/foo\nfail: foo: runsv not running\n");
    });
}

/// runit looks at its directory every five seconds; a service that was disabled does not wait for that.
#[test]
fn under_packaged_runsvdir() {
    lab::test(|lab| {
        prepare(lab);
        let foo = lab.service_at("/etc/sv/foo").run("exec sleep 1000").build();
        sv(lab, "enable foo").prints("ok: foo: enabled, /etc/sv/foo\n");
        let packaged = format!("{}:/usr/bin:/bin", peer("runsvdir").parent().unwrap().display());
        let runsvdir = lab.cmd(peer("runsvdir")).arg("dir").env("PATH", packaged).spawn();
        foo.wait_stat("run");
        sv(lab, "-w2 disable foo").prints("ok: foo: disabled\nok: foo: runsv not running\n");
        assert_eq!(foo.stat(), "down");
        assert!(!runsvdir.ended());
    });
}

#[test]
fn without_a_supervisor() {
    lab::test(|lab| {
        prepare(lab);
        lab.service_at("/etc/sv/foo").run("exec sleep 1000").build();
        sv(lab, "enable foo").prints("ok: foo: enabled, /etc/sv/foo\n");
        sv(lab, "disable foo").prints("ok: foo: disabled\n");
        assert_eq!(link(lab, "foo"), None);
    });
}

#[test]
fn one_that_does_not_end() {
    lab::test(|lab| {
        prepare(lab);
        let _runsvdir = runsvdir(lab, &[]);
        let foo = lab.service_at("/etc/sv/foo").run("trap '' TERM; echo >ready; while :; do sleep 1000; done").build();
        sv(lab, "enable foo").ok();
        foo.wait_lines("ready", 1);
        let out = sv(lab, "-w1 disable foo").fails(1);
        let expected = "ok: foo: disabled\ntimeout: run: foo: (pid #) #s, want down, got TERM\n";
        assert!(lab::matches(&out.stdout, expected), "{}", out.stdout);
        assert_eq!(link(lab, "foo"), None);
        foo.tell("k");
        wait_for("the end of its runsv", || !foo.listening());
    });
}

/// A template serves as many interfaces as there are, under our runsv and under runit's.
#[test]
fn a_directory_for_each_interface() {
    lab::test(|lab| {
        prepare(lab);
        let says = "echo \"${PWD##*/}\" >>said; exec sleep 1000";
        let template = lab
            .service_at("/etc/sv/dhcp_if")
            .run(says)
            .log("service=${PWD%/log}; echo \"${service##*/}\" >>said; exec cat >/dev/null")
            .file("conf/options", "one", 0o644)
            .build();
        // The template itself was supervised at some time.
        fs::create_dir(template.path().join("supervise")).unwrap();
        lab.service_at("/etc/sv/dhcp_if_pinger").run(says).build();
        lab.service_at("/etc/sv/getty_tty1").run(says).build();
        sv(lab, "enable dhcp_eth0 dhcp_wlan0 dhcp_eth0_pinger").prints(concat!(
            "ok: dhcp_eth0: enabled, /etc/sv/dhcp_eth0, made from dhcp_if\n",
            "ok: dhcp_wlan0: enabled, /etc/sv/dhcp_wlan0, made from dhcp_if\n",
            "ok: dhcp_eth0_pinger: enabled, /etc/sv/dhcp_eth0_pinger, made from dhcp_if_pinger\n",
        ));
        sv(lab, "enable -t getty_tty1 getty_tty2")
            .prints("ok: getty_tty2: enabled, /etc/sv/getty_tty2, made from getty_tty1\n");
        lab.sh("cd /etc/sv && find dhcp_eth0 -printf '%P -> %l\\n' | sort; ls -A").prints(concat!(
            " -> \nconf -> ../dhcp_if/conf\nlog -> \nlog/run -> ../../dhcp_if/log/run\nrun -> ../dhcp_if/run\n",
            "dhcp_eth0\ndhcp_eth0_pinger\ndhcp_if\ndhcp_if_pinger\ndhcp_wlan0\ngetty_tty1\ngetty_tty2\n",
        ));
        for program in [our("runsvdir"), peer("runsvdir")] {
            let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
            let runsvdir = lab.cmd(&program).arg("dir").env("PATH", path).spawn();
            for name in ["dhcp_eth0", "dhcp_wlan0", "dhcp_eth0_pinger", "getty_tty2"] {
                let service = Service::at(Path::new("/etc/sv").join(name));
                assert_eq!(service.wait_lines("said", 1), [name]);
                service.wait_stat("run");
            }
            let logger = Service::at("/etc/sv/dhcp_wlan0/log");
            assert_eq!(logger.wait_lines("said", 1), ["dhcp_wlan0"]);
            runsvdir.signal(nix::sys::signal::Signal::SIGHUP);
            runsvdir.wait();
            wait_for("the end", || !logger.listening() && !Service::at("/etc/sv/getty_tty2").listening());
            lab.sh("rm /etc/sv/*/said /etc/sv/*/log/said").ok();
        }
        // What was made stays, and is found again.
        sv(lab, "disable dhcp_eth0").prints("ok: dhcp_eth0: disabled\nok: dhcp_eth0: runsv not running\n");
        sv(lab, "enable dhcp_eth0").prints("ok: dhcp_eth0: enabled, /etc/sv/dhcp_eth0\n");
    });
}

/// An interrupted call leaves nothing that runsvdir or the next call would stumble over.
#[test]
fn a_half_made_directory_is_finished() {
    lab::test(|lab| {
        prepare(lab);
        lab.service_at("/etc/sv/dhcp_if").run("exec sleep 1000").log("exec cat").build();
        lab.sh("cd /etc/sv && mkdir -p .dhcp_eth0.new/log && ln -s ../dhcp_if/run .dhcp_eth0.new/run").ok();
        sv(lab, "enable dhcp_eth0").ok();
        lab.sh("cd /etc/sv && find . -name '.?*' | sort; ls dhcp_eth0 dhcp_eth0/log")
            .prints("dhcp_eth0:\nlog\nrun\n\ndhcp_eth0/log:\nrun\n");
    });
}

#[test]
fn directories_elsewhere() {
    lab::test(|lab| {
        prepare(lab);
        let foo = lab.service("foo").run("exec sleep 1000").build();
        for typed in [foo.arg(), "./sv/foo", "sv/../sv/foo/"] {
            sv(lab, &format!("enable {typed}")).prints(&format!("ok: foo: enabled, {}\n", foo.arg()));
            assert_eq!(link(lab, "foo").as_deref(), Some(foo.arg()));
            sv(lab, &format!("enable {typed} foo"))
                .prints(&format!("ok: foo: enabled already, {0}\n", foo.arg()).repeat(2));
            fs::remove_file(lab.path("dir/foo")).unwrap();
        }
        // From inside, as with the other commands.
        let inside = |command: &str| lab.sh(&format!("cd sv/foo && sv {command} .")).env("SVDIR", lab.path("dir"));
        inside("enable").prints(&format!("ok: foo: enabled, {}\n", foo.arg()));
        inside("disable").prints("ok: .: disabled\n");
        assert_eq!(link(lab, "foo"), None);
        lab.service("foo/.hidden").run("exec sleep 1000").build();
        let hidden = format!("{}/.hidden", foo.arg());
        let out = sv(lab, &format!("enable {hidden}")).fails(1);
        assert_eq!(out.stdout, format!("fail: {hidden}: unable to enable: {hidden}: not the name of a service\n"));
    });
}

#[test]
fn what_cannot_be_done_is_told_and_counted() {
    lab::test(|lab| {
        prepare(lab);
        let foo = lab.service_at("/etc/sv/foo").run("exec sleep 1000").build();
        lab.service_at("dir/own").run("exec sleep 1000").build();
        lab.sh("mkdir /etc/sv/empty; : >dir/file").ok();
        symlink("/nowhere", lab.path("dir/lost")).unwrap();
        let svdir = lab.path("dir");
        let at = |name: &str| svdir.join(name).display().to_string();
        let out = sv(lab, "enable no dhcp_eth0 empty .hid lost file sv/foo foo").fails(7);
        lab::eqnice!(
            out.stdout,
            format!(
                "fail: no: unable to enable: /etc/sv/no: file does not exist\n\
                 fail: dhcp_eth0: unable to enable: /etc/sv/dhcp_if: no such directory, and no such template\n\
                 fail: empty: unable to enable: /etc/sv/empty/run: file does not exist\n\
                 fail: .hid: unable to enable: .hid: file does not exist\n\
                 fail: lost: unable to enable: {}: is there, and is no service\n\
                 fail: file: unable to enable: {}: is there, and is no service\n\
                 fail: sv/foo: unable to enable: sv/foo: file does not exist\n\
                 ok: foo: enabled, /etc/sv/foo\n",
                at("lost"),
                at("file")
            )
        );
        lab.service("foo").run("exec sleep 1000").build();
        let out = sv(lab, "enable sv/foo own").fails(1);
        lab::eqnice!(
            out.stdout,
            format!(
                "fail: sv/foo: unable to enable: {}: another service has that name\nok: own: enabled already, {}\n",
                at("foo"),
                at("own")
            )
        );
        let out = sv(lab, "disable no own lost ...").fails(3);
        lab::eqnice!(
            out.stdout,
            format!(
                "fail: no: unable to disable: {}: file does not exist\n\
                 fail: own: unable to disable: {}: not a link: move it away, it is the service itself\n\
                 ok: lost: disabled\n\
                 fail: ...: unable to disable: ...: file does not exist\n",
                at("no"),
                at("own")
            )
        );
        assert_eq!(link(lab, "lost"), None);
        lab.cmd("sv").env("SVDIR", "/nowhere").args(["enable", "foo"]).fails(1);
        assert!(!foo.listening());
        let usage = lab.cmd("sv").arg("enable").fails(100);
        assert_eq!(usage.stderr, "usage: sv [-v] [-w sec] enable [-t template] service ...\n\n");
        let usage = lab.cmd("sv").args(["disable", "-x"]).fails(100);
        assert_eq!(usage.stderr, "usage: sv [-w sec] disable service ...\n\n");
    });
}
