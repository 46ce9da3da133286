//! `netd render`, `netd list`, `netd check`: files made from templates, and the `.ipconf` files as other programs see them.

use super::{conf, fact, gateway};
use lab::{Cmd, Lab, eqnice};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn template(lab: &Lab, name: &str, text: &str) {
    let path = lab.write(&format!("etc/{name}"), text);
    let mode = if text.starts_with("#!") { 0o755 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn render(lab: &Lab) -> Cmd {
    std::fs::create_dir_all(lab.path("out")).unwrap();
    lab.cmd("netd").args(["render", "--run-dir", "run", "--timeout", "2", "etc", "out"])
}

#[test]
fn templates_and_plain_files() {
    lab::test(|lab| {
        gateway(lab);
        fact(lab, "dhcp_eth0", "if=eth0; dns=192.0.2.1 192.0.2.2; domain=a.example\nif=eth1; dns=10.0.0.1; dns_prio=5");
        template(lab, "hosts", "127.0.0.1 localhost\n");
        template(
            lab,
            "resolv.conf",
            "#!/bin/sh\nnetd list dns_prio dns | sort -n | while read -r prio servers; do\n\
             for s in $servers; do echo nameserver $s; done; done\n",
        );
        template(lab, "where", "#!/bin/sh\nbasename \"$PWD\"; echo $FW_RUNDIR $0\n");
        template(lab, ".hidden", "x");
        template(lab, "hosts~", "x");
        assert_eq!(
            render(lab).ok(),
            "netd: out/hosts: written\nnetd: out/resolv.conf: written\nnetd: out/where: written\n"
        );
        assert_eq!(lab.read("out/resolv.conf"), "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 10.0.0.1\n");
        assert_eq!(lab.read("out/where"), "lab\nrun /tmp/lab/etc/where\n");
        let about = |n: &str| std::fs::metadata(lab.path("out").join(n)).unwrap();
        assert_eq!(about("hosts").permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(lab.path("out")).unwrap().count(), 3);

        let (hosts, resolv) = (about("hosts").ino(), about("resolv.conf").ino());
        render(lab).prints("");
        assert_eq!((about("hosts").ino(), about("resolv.conf").ino()), (hosts, resolv));
        fact(lab, "dhcp_eth0", "if=eth1; dns=10.0.0.1");
        render(lab).prints("netd: out/resolv.conf: written\n");
        assert_eq!((lab.read("out/resolv.conf"), about("hosts").ino()), ("nameserver 10.0.0.1\n".into(), hosts));
    });
}

#[test]
fn a_failing_template_leaves_the_old_file() {
    lab::test(|lab| {
        std::fs::create_dir_all(lab.path("etc/dir")).unwrap();
        std::fs::create_dir_all(lab.path("out")).unwrap();
        for (name, text) in [
            ("bad", "#!/bin/sh\necho half\nexit 3\n"),
            ("dead", "#!/bin/sh\nkill -9 $$\n"),
            ("fine", "#!/bin/sh\necho fine\n"),
            ("huge", "#!/bin/sh\nwhile echo 0123456789012345678901234567890123456789; do :; done\n"),
            ("lost", "#!/nowhere/sh\n"),
            ("slow", "#!/bin/sh\necho half\nsleep 1000 &\nwait\n"),
        ] {
            template(lab, name, text);
            lab.write(&format!("out/{name}"), "old\n");
        }
        let out = render(lab).fails(1);
        assert_eq!(out.stdout, "netd: out/fine: written\n");
        eqnice!(
            out.stderr,
            "netd: warning: etc/bad: ended with exit code 3; out/bad stays as it is\n\
             netd: warning: etc/dead: was killed by signal 9; out/dead stays as it is\n\
             netd: warning: etc/dir: expected a file; out/dir stays as it is\n\
             netd: warning: etc/huge: printed more than 1048576 bytes and was killed; out/huge stays as it is\n\
             netd: warning: etc/lost: unable to run: file does not exist; out/lost stays as it is\n\
             netd: warning: etc/slow: did not end within 2 s and was killed; out/slow stays as it is\n"
        );
        for name in ["bad", "dead", "huge", "lost", "slow"] {
            assert_eq!(lab.read(format!("out/{name}")), "old\n");
        }
        assert_eq!(lab.sh("ps -e -o args= | grep -c '[s]leep 1000'").output().stdout, "0\n");
        assert_eq!(std::fs::read_dir(lab.path("out")).unwrap().count(), 6, "no temporary files");
        assert_eq!(lab.cmd("netd").args(["render", "none", "out"]).fails(100).stderr.lines().count(), 1);
        assert_eq!(
            lab.cmd("netd").args(["render", "etc"]).fails(100).stderr,
            "netd: fatal: usage: expected SRCDIR and DSTDIR\n"
        );
    });
}

#[test]
fn links_stay_links() {
    lab::test(|lab| {
        for dir in ["out", "elsewhere"] {
            std::fs::create_dir_all(lab.path(dir)).unwrap();
        }
        for name in ["there", "dangling"] {
            template(lab, name, "new\n");
            symlink(format!("../elsewhere/{name}"), lab.path("out").join(name)).unwrap();
        }
        lab.write("elsewhere/there", "old\n");
        assert_eq!(render(lab).ok().lines().count(), 2);
        for name in ["there", "dangling"] {
            assert!(lab.path("out").join(name).is_symlink());
            assert_eq!(lab.read(format!("elsewhere/{name}")), "new\n");
        }
        render(lab).prints("");
    });
}

#[test]
fn list_is_columns() {
    lab::test(|lab| {
        gateway(lab);
        conf(lab, "lan", "if=eth1; ip=10.0.0.1; ipmask=10.0.0.1/24; metric=5");
        fact(lab, "dhcp_eth0", "if=eth0; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0; dns=192.0.2.1 192.0.2.2");
        let list = |args: &[&str]| lab.cmd("netd").arg("list").args(["--run-dir", "run"]).args(args);
        list(&[]).prints("lan eth1 10.0.0.1/24 - - -\ndhcp_eth0 eth0 192.0.2.7/24 0/0 192.0.2.1 192.0.2.1 192.0.2.2\n");
        list(&["if", "metric"]).prints("eth1 5\n");
        list(&["dns", "if"]).prints("- eth1\n192.0.2.1,192.0.2.2 eth0\n");
        lab.write("run/bad.ipconf", "if=x\n");
        let out = list(&["if", "metric"]).fails(1);
        assert_eq!((out.stdout.as_str(), out.stderr.lines().count()), ("eth1 5\n", 1));
    });
}

/// The arrays a shell has after sourcing, in the form of `netd check --dump`.
const BASH: &str = r#"
cfg=0
for f; do . "$f"; done
for ((i = 1; i <= cfg; i++)); do
    for name in $(compgen -A arrayvar | grep '^[a-z][a-z0-9_]*$' | sort); do
        declare -n array=$name
        [ -n "${array[$i]+set}" ] && printf '%s %s %s\n' $i $name "${array[$i]}"
    done
done
true
"#;

#[test]
fn bash_sees_what_check_dumps() {
    lab::test(|lab| {
        conf(
            lab,
            "lan",
            "if=eth1; ip=10.0.0.1; ipmask=10.0.0.1/24; net=10.0.0.0/24\nif=eth0; dns=192.0.2.1 192.0.2.2; odd_key=x  y",
        );
        lab.write(
            "conf/styles.ipconf",
            "# comment\n\n\tlet cfg=cfg+1   # record\nif[$cfg]=ppp0\n  gw[$cfg]=\"192.0.2.1\" # quoted\nnet[$cfg]='0/0'\ndomain[$cfg]=\n\
             let cfg++\nif[$cfg]='eth0'\nif[$cfg]='eth9'\ncfg=$((cfg+1))\nif[$cfg]=lo\n",
        );
        let dump = lab.cmd("netd").args(["check", "--dump", "conf/lan.ipconf", "conf/styles.ipconf"]).output();
        assert_eq!(dump.code, 0);
        assert_eq!(dump.stderr, "netd: warning: conf/lan.ipconf:9: unknown key odd_key\n");
        let bash = lab.cmd("bash").args(["-c", BASH, "bash", "conf/lan.ipconf", "conf/styles.ipconf"]).ok();
        eqnice!(dump.stdout, bash);
        assert!(bash.contains("2 dns 192.0.2.1 192.0.2.2\n") && bash.contains("4 if eth9\n"), "{bash}");
    });
}

#[test]
fn check_names_file_and_line() {
    lab::test(|lab| {
        lab.write("good", "let cfg=cfg+1\nif[$cfg]=eth0\n");
        lab.write("grammar", "let cfg=cfg+1\nif[$cfg]=$(reboot)\n");
        lab.write("type", "let cfg=cfg+1\nif[$cfg]=eth0\n\ngw[$cfg]=router\n");
        let out = lab.cmd("netd").args(["check", "--dump", "good", "grammar", "type", "none"]).fails(1);
        assert_eq!(out.stdout, "1 if eth0\n");
        eqnice!(
            out.stderr,
            "netd: warning: grammar:2: expected a word or a quoted text, without $, backquote, backslash and control characters\n\
             netd: warning: type:4: expected gw to be an IPv4 or IPv6 address\n\
             netd: warning: none: unable to read: file does not exist\n"
        );
        lab.cmd("netd").args(["check", "good"]).prints("");
        assert_eq!(lab.cmd("netd").arg("check").fails(100).stderr, "netd: fatal: usage: a FILE is missing\n");
    });
}
