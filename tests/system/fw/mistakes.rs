//! An administrator's mistake leaves the old network in place and is told with file and line.

use super::{World, source};
use lab::{Lab, wait_for};
use std::fs;

/// Replaces `old` by `new` in `file` of a running gateway together with a change of the facts, kicks, and expects that
/// nothing changes and the log has `message`, where `LINE` stands for the line of `old` and `END` for that of the file's end.
/// Then the file is mended, and the change of the facts happens.
fn mistake(lab: &Lab, file: &str, old: &str, new: &str, message: &str) {
    let world = World::new(lab);
    world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1 dns=192.0.2.1");
    let _runsvdir = world.supervise();
    assert!(world.host_reaches_internet());

    let path = format!("/run/sv/fw/{file}");
    let (good, before) = (lab.read(&path), world.state());
    let at = good.find(old).expect("the file as it ships has what is edited");
    let bad = good.replacen(old, new, 1);
    let message = message.replace("LINE", &(good[..at].matches('\n').count() + 1).to_string());
    let message = message.replace("END", &(bad.matches('\n').count() + 1).to_string());
    fs::write(&path, bad).unwrap();
    world.publish("b", "if=eth0 ip=192.0.2.8 ipmask=192.0.2.8/24 dns=192.0.2.2");
    world.kick();
    wait_for(&format!("{message:?} in the log"), || world.log().contains(&message));
    assert_eq!(world.state(), before);
    assert!(world.host_reaches_internet());
    assert_eq!(world.fw.stat(), "down", "one try, not one every second");

    fs::write(&path, good).unwrap();
    world.kick();
    assert!(world.has_address("192.0.2.8/24"));
    assert!(lab.read("/etc/resolv.conf").contains("nameserver 192.0.2.2\n"));
}

#[test]
fn a_syntax_error_in_run() {
    lab::test(|lab| mistake(lab, "run", "    esac\n", "", "./run: LINE: Syntax error"));
}

#[test]
fn a_missing_quote_in_the_policy() {
    lab::test(|lab| mistake(lab, "run", "wan=\"eth0\"", "wan=\"eth0", "./run: END: Syntax error"));
}

#[test]
fn an_unknown_command_in_run() {
    lab::test(|lab| {
        mistake(lab, "run", "    set -eu\n", "    set -eu; iptabels -F\n", "./run: LINE: iptabels: not found");
    });
}

#[test]
fn a_variable_without_value_in_run() {
    lab::test(|lab| mistake(lab, "run", "wan=\"eth0\"", "wam=\"eth0\"", ": wan: parameter not set"));
}

#[test]
fn a_wrong_word_in_the_policy() {
    lab::test(|lab| mistake(lab, "run", "masquerade=yes", "masquerade=ja", "masquerade='ja': expected yes or no"));
}

#[test]
fn a_wrong_port_in_the_policy() {
    lab::test(|lab| mistake(lab, "run", "open_tcp=\"22\"", "open_tcp=\"22 80\"", "open_tcp={ 22 80 }"));
}

#[test]
fn a_mistake_in_the_ruleset() {
    lab::test(|lab| mistake(lab, "ruleset", "iifname @lan accept", "iifname @lan acept", "ruleset:LINE:"));
}

/// The others are applied, what the file asked for before stays, and those who wait for the network are not kept waiting.
#[test]
fn a_bad_ipconf() {
    lab::test(|lab| {
        let world = World::new(lab);
        world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
        let _runsvdir = world.supervise();
        world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.777/24 net=0/0 gw=192.0.2.1");
        world.publish("b", "if=eth1 ip=192.168.2.1 ipmask=192.168.2.1/24 dns=192.0.2.2");
        fs::remove_file("/run/service/fw/up").unwrap();
        world.kick();
        let told = "/run/service/fw/a.ipconf:4: expected ";
        wait_for(&format!("{told:?} in the log"), || world.log().contains(told));
        wait_for("the last word", || world.log().contains("fw: done, except for what is reported above"));
        assert!(world.has_address("192.168.2.1/24"));
        assert!(lab.read("/etc/resolv.conf").contains("nameserver 192.0.2.2\n"));
        assert!(world.has_address("192.0.2.7/24"), "nothing is taken away because of a file nobody can read");
        assert!(world.host_reaches_internet());
        lab.read("/run/service/fw/up");
    });
}

/// A template that fails keeps its old file, and the rest goes on.
#[test]
fn a_mistake_in_a_template() {
    lab::test(|lab| {
        let world = World::new(lab);
        world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 dns=192.0.2.1");
        let _runsvdir = world.supervise();
        let old = lab.read("/etc/resolv.conf");
        assert!(old.contains("nameserver 192.0.2.1\n"), "{old}");
        fs::write("/run/sv/fw/etc/resolv.conf", "#!/bin/sh\necho nameserver\nif\n").unwrap();
        world.publish("b", "if=eth1 ip=192.168.2.1 ipmask=192.168.2.1/24 dns=192.0.2.2");
        world.kick();
        wait_for("the line in the log", || world.log().contains("resolv.conf: 4: Syntax error"));
        assert_eq!(lab.read("/etc/resolv.conf"), old);
        assert!(lab.read("/etc/dnsmasq_servers.conf").contains("server=192.0.2.2\n"));
        assert!(world.has_address("192.168.2.1/24"));
    });
}

/// Whatever quotation mark of `run` gets lost: nothing is executed but `sv o .`, by either of the usual shells.
#[test]
fn any_lost_quote_executes_nothing() {
    lab::test(|lab| {
        let good = fs::read_to_string(source("fw/run")).unwrap();
        for tool in ["netd", "nft", "mkdir", "date", "sv"] {
            let stub = lab.write(
                &format!("stubs/{tool}"),
                format!("#!/bin/sh\necho {tool} \"$@\" >>{}\n", lab.path("ran").display()),
            );
            fs::set_permissions(&stub, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        // Not those in comments, and not single ones within double ones.
        let quotes = good.match_indices(['"', '\'']).filter_map(|(at, quote)| {
            let line = &good[good[..at].rfind('\n').unwrap() + 1..at];
            (!line.contains('#') && (quote == "\"" || !line.contains('"'))).then_some(at)
        });
        let mut tried = 0;
        for (at, shell) in quotes.flat_map(|at| [(at, &["dash"][..]), (at, &["busybox", "ash"][..])]) {
            let bad = [&good[..at], &good[at + 1..]].concat();
            lab.write("run", bad);
            fs::write(lab.path("ran"), "").unwrap();
            let line = good[..at].matches('\n').count() + 1;
            let path = format!("PATH={}:/usr/bin:/bin", lab.path("stubs").display());
            let out = lab.cmd("env").arg(path).args(shell).arg("run").output();
            assert_ne!(out.code, 0, "line {line}");
            assert_eq!(lab.read("ran"), "sv o .\n", "line {line}");
            assert!(out.stdout.contains("yntax error"), "line {line}: {}{}", out.stdout, out.stderr);
            tried += 1;
        }
        assert!(tried > 50, "{tried}");
    });
}
