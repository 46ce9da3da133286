//! `docs/migration.md`: each section's commands, in their order, on what it moves from.

use crate::page::{bare, commands, editor, typed};
use lab::{Lab, Service, peer, wait_for};
use std::path::Path;

/// The steps of a section: blocks of commands. What the test looks at is between them.
fn steps<const N: usize>(section: &str) -> [Vec<String>; N] {
    commands("docs/migration.md", section).try_into().unwrap_or_else(|other| panic!("{section}: {other:?}"))
}

/// Types a block, each line into a shell of its own; what `export` says holds for all of them.
fn type_all(lab: &Lab, block: &[String]) -> String {
    let exports: String = block.iter().filter(|l| l.starts_with("export ")).map(|l| format!("{l}; ")).collect();
    let rest = block.iter().filter(|l| !l.starts_with("export "));
    rest.map(|line| typed(lab, &format!("{exports}{line}"))).collect()
}

fn directory(lab: &Lab, dir: &str, name: &str) -> Service {
    lab.service_at(Path::new(dir).join(name)).run("exec sleep 1000").log("exec cat >>log").build()
}

/// Which file a service's supervisor executes; none without a process.
fn supervisor(service: &Service) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", service.pid()?)).ok()?;
    let parent = stat.rsplit(") ").next()?.split(' ').nth(1)?.to_owned();
    Some(std::fs::read_link(format!("/proc/{parent}/exe")).ok()?.display().to_string())
}

const OURS: &str = "/usr/local/sbin/supervisor";

#[test]
fn from_runit() {
    lab::test(|lab| {
        let [beside, take_over, exchange, back] = steps("From runit");
        bare(lab);
        // The machine's own /etc/service, if any, is a link.
        lab.sh("rm -f /etc/service; mkdir /etc/service").ok();
        let foo = directory(lab, "/etc/service", "foo");
        lab.cmd(peer("runsvdir")).args(["-P", "/etc/service"]).env("PATH", "/usr/bin:/bin").spawn();
        foo.wait_stat("run");
        let pid = foo.pid();
        lab.sh("ln -s /etc/service /var/service").ok();
        assert!(type_all(lab, &beside).contains("foo"));
        type_all(lab, &take_over);
        wait_for("ours", || lab.sh("ps -o args= -C runsvdir").output().stdout == "runsvdir -P -g 9 /etc/service\n");
        assert_eq!((foo.pid(), supervisor(&foo).as_deref()), (pid, Some("/usr/bin/runsv")));
        // It can only be looked after by somebody who took it over: a directory that comes now is started, too.
        directory(lab, "/etc/service", "bar").wait_stat("run");
        type_all(lab, &exchange);
        foo.wait_new_pid(pid);
        assert_eq!(supervisor(&foo).as_deref(), Some(OURS));
        type_all(lab, &back);
        wait_for("runit's runsv", || supervisor(&foo).as_deref() == Some("/usr/bin/runsv"));
    });
}

#[test]
fn from_daemontools() {
    lab::test(|lab| {
        let [forth, back] = steps("From daemontools");
        bare(lab);
        lab.sh("mkdir /srv/service").ok();
        // / cannot be written; what the page calls /service is in /srv.
        let here = |block: Vec<String>| block.iter().map(|l| l.replace("/service", "/srv/service")).collect::<Vec<_>>();
        let foo = directory(lab, "/srv/service", "foo");
        lab.cmd(peer("svscan")).arg("/srv/service").env("PATH", "/usr/bin:/bin").spawn();
        let alive = |program: &str| lab.sh(&format!("pgrep -x {program}")).output().code == 0;
        wait_for("supervise", || foo.listening() && foo.log().listening());
        type_all(lab, &here(forth));
        foo.wait_stat("run");
        foo.log().wait_stat("run");
        assert!(!alive("svscan") && !alive("supervise"));
        assert_eq!(supervisor(&foo).as_deref(), Some(OURS));
        type_all(lab, &here(back));
        wait_for("supervise", || alive("supervise") && foo.listening());
        assert!(!alive("runsv"));
    });
}

/// The services of busybox's examples in short: a client whose handler writes what it got, and a script of bash that sets it.
fn var_service(lab: &Lab) -> [Service; 2] {
    const HANDLER: &str = r#"
file=/var/run/service/fw/dhcp_eth0.ipconf
case $1 in
bound | renew)
    {
        echo "let cfg=cfg+1"
        echo "if[\$cfg]='$interface'; ipmask[\$cfg]='$ip/$mask'; gw[\$cfg]='$router'; net[\$cfg]='0/0'" | tr ';' '\n'
    } >$file
    sv u /var/service/fw
    ;;
esac"#;
    const FW: &str = r"#!/bin/bash
sv o .
let cfg=-1
for f in /var/run/service/fw/*.ipconf; do . $f; done
ip addr flush dev ${if[0]}
ip addr add ${ipmask[0]} dev ${if[0]}
ip route replace default via ${gw[0]}
date >up
";
    let dhcp = lab
        .service_at("/var/service/dhcp_eth0")
        .run("exec env - PATH=\"$PATH\" udhcpc -f -i eth0 -s /var/service/dhcp_eth0/dhcp_handler")
        .script("dhcp_handler", HANDLER)
        .build();
    let fw = lab.service_at("/var/service/fw").script("run", FW).build();
    [dhcp, fw]
}

#[test]
fn from_busybox() {
    lab::test(|lab| {
        let [take_over, dhcp_moves, fw_moves, back] = steps("From busybox's var_service");
        // Debian's busybox is a client, and the one with more applets a supervisor.
        lab.install_peers();
        lab.sh("mkdir applets; cp /usr/local/bin/busybox applets; ln -s /bin/busybox applets/udhcpc").ok();
        lab.sh("for name in runsvdir runsv sv; do ln -s busybox applets/$name; done").ok();
        bare(lab);
        lab.sh("mkdir -p /var/run/service/fw /var/service").ok();
        let provider = lab.netns("provider");
        lab.cable((&lab.net(), "eth0"), (&provider, "cable"));
        provider.ip("address add 192.0.2.1/24 dev cable");
        lab.dnsmasq(&provider, "cable", &["--dhcp-range=192.0.2.100,192.0.2.150,2m", "--no-ping"]);
        let [dhcp, fw] = var_service(lab);
        let applets = lab.path("applets");
        let path = format!("{}:/usr/sbin:/usr/bin:/bin:/sbin", applets.display());
        lab.cmd(applets.join("runsvdir")).args(["-P", "/var/service"]).env("PATH", path).spawn();
        let configured = || lab.net().ip("route show default").contains("via 192.0.2.1 dev eth0");
        wait_for("a network", configured);
        editor(lab, r#"*/run) sed -i 's/^\( *lan=\)"eth1"/\1""/' "$1" ;;"#);

        let pid = dhcp.pid();
        assert_eq!(supervisor(&dhcp), Some(applets.join("busybox").display().to_string()));
        type_all(lab, &take_over);
        wait_for("ours", || lab.sh("ps -o args= -C runsvdir").output().stdout == "runsvdir -P -g 9 /var/service\n");
        assert_eq!((dhcp.pid(), configured()), (pid, true));
        // Our client, by the old name and with the old handler, then by itself.
        lab.sh("sv shutdown dhcp_eth0").env("PATH", "/usr/local/sbin:/bin").ok();
        dhcp.wait_new_pid(pid);
        assert_eq!(
            std::fs::read_link(format!("/proc/{}/exe", dhcp.pid().unwrap())).unwrap(),
            Path::new("/usr/local/sbin/netd")
        );
        wait_for("a network", configured);
        lab.sh("rm /var/run/service/fw/dhcp_eth0.ipconf").ok();
        let said = type_all(lab, &dhcp_moves);
        assert!(said.contains("made from dhcp_if"), "{said}");
        let fact = Path::new("/var/run/service/fw/dhcp_eth0.ipconf");
        wait_for("what it knows", || fact.exists());
        wait_for("the old fw's run", || fw.stat() == "down" && configured());
        type_all(lab, &fw_moves);
        wait_for("ours", || Path::new("/var/run/service/fw/up").exists() && configured());
        let routes = lab.net().ip("route show default");
        assert!(routes.contains("proto 80"), "{routes}");
        type_all(lab, &back);
        wait_for("the old services", || dhcp.stat() == "run" && fw.listening());
        fw.tell("u");
        wait_for("the old way", || lab.net().ip("route show default").lines().any(|l| !l.contains("proto 80")));
    });
}

#[test]
fn from_ifupdown() {
    lab::test(|lab| {
        let [set_up, change, back] = steps("From ifupdown");
        lab.install_peers();
        bare(lab);
        let provider = lab.netns("provider");
        lab.cable((&lab.net(), "eth0"), (&provider, "cable"));
        lab.cable((&lab.net(), "eth1"), (&provider, "port"));
        provider.ip("address add 192.0.2.1/24 dev cable");
        lab.dnsmasq(&provider, "cable", &["--dhcp-range=192.0.2.100,192.0.2.150,2m", "--no-ping"]);
        lab.sh("rm -rf /etc/network; mkdir -p /run/network /var/lib/dhcp
             for when in pre-up up down post-down; do mkdir -p /etc/network/if-$when.d; done
             cat >/etc/network/interfaces")
            .stdin("iface eth0 inet dhcp\niface eth1 inet static\n\taddress 192.168.5.1/24\n")
            .ok();
        let up = || {
            lab.net().ip("route show default").contains("via 192.0.2.1 dev eth0")
                && lab.net().ip("-4 address show dev eth1").contains(" 192.168.5.1/24 ")
        };
        let dhclient = || lab.sh("pgrep -x dhclient").output().code == 0;
        lab.sh("ifup eth0 eth1").ok();
        assert!(up() && dhclient());
        editor(
            lab,
            r#"*/run) ;;
            */lan.ipconf) sed -i -e 's/^#//' -e 's/192\.168\.1\./192.168.5./g' -e '1s/^/#/' "$1" ;;"#,
        );
        type_all(lab, &set_up);
        assert!(up() && dhclient(), "nothing has changed yet");
        type_all(lab, &change);
        wait_for("the network", || up() && !dhclient());
        let routes = lab.net().ip("route show default");
        assert!(routes.contains("proto 80"), "{routes}");
        type_all(lab, &back);
        assert!(up() && dhclient());
    });
}
