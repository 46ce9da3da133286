//! linkwatch on real interfaces: ifplugd's contract (T-IF1 to T-IF9), on cables (veth) and on TAP devices.

use lab::{Cable, Lab, Proc, Tap, unpacked_peer, wait_for, wait_for_within};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// The link under test, always called `eth0`.
enum Wire {
    Cable(Cable),
    Tap(Tap),
}

impl Wire {
    fn pull(&self) {
        match self {
            Self::Cable(cable) => cable.pull(),
            Self::Tap(tap) => tap.carrier(false),
        }
    }

    fn plug(&self) {
        match self {
            Self::Cable(cable) => cable.plug(),
            Self::Tap(tap) => tap.carrier(true),
        }
    }
}

/// Runs `test` on a cable, then on a TAP device, where the kernel holds back and merges events. It leaves no process behind.
fn on_both(lab: &Lab, test: impl Fn(&Wire)) {
    lab.note("on a cable");
    test(&Wire::Cable(lab.cable((&lab.net(), "eth0"), (&lab.net(), "port"))));
    lab.net().ip("link del eth0");
    let _ = std::fs::remove_file(lab.path("calls"));
    lab.note("on a TAP device");
    test(&Wire::Tap(lab.tap("eth0")));
}

/// A handler that writes down its arguments and what it finds in its environment.
const RECORD: &str = "#!/bin/sh\necho \"$* $IFPLUGD_PREVIOUS $IFPLUGD_CURRENT\" >>calls\n";

/// Writes a script and makes it executable.
fn script(lab: &Lab, name: &str, text: &str) {
    lab.write(name, text);
    lab.cmd("chmod").args(["+x", name]).ok();
}

/// linkwatch in the foreground with these options and the recording handler.
fn watch(lab: &Lab, options: &str) -> Proc {
    script(lab, "handler", RECORD);
    lab.cmd("linkwatch").args(["-n", "-s", "-r", "./handler"]).args(options.split_whitespace()).spawn()
}

fn calls(lab: &Lab) -> Vec<String> {
    std::fs::read_to_string(lab.path("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Waits for the last call to be `expected`, and returns all.
#[track_caller]
fn wait_calls(lab: &Lab, expected: &[&str]) {
    wait_for(&format!("calls {expected:?}"), || calls(lab).len() >= expected.len());
    assert_eq!(calls(lab), expected);
}

/// Start, loss, return and end, with the environment of each (T-IF3); exit status 1.
#[test]
fn tells_start_loss_return_and_end() {
    lab::test(|lab| {
        on_both(lab, |wire| {
            let proc = watch(lab, "-u0 -d0 -i eth0 -x extra");
            wait_calls(lab, &["eth0 up extra error up"]);
            wire.pull();
            wait_calls(lab, &["eth0 up extra error up", "eth0 down extra up down"]);
            wire.plug();
            wait_calls(lab, &["eth0 up extra error up", "eth0 down extra up down", "eth0 up extra down up"]);
            assert_eq!(proc.stop(), 1);
            assert_eq!(calls(lab)[3..], ["eth0 down extra up error"]);
            // QUIT says nothing; HUP does not end it.
            let proc = watch(lab, "-p -i eth0");
            proc.wait_line("*link is up");
            proc.signal(Signal::SIGHUP);
            proc.signal(Signal::SIGQUIT);
            assert_eq!((proc.wait(), calls(lab).len()), (1, 4));
        });
    });
}

/// The same on a TAP device, where the kernel holds back and merges events.
#[test]
fn tap_devices() {
    lab::test(|lab| {
        let tap = lab.tap("tap0");
        let proc = watch(lab, "-u0 -d0 -a -i tap0");
        wait_calls(lab, &["tap0 up error up"]);
        tap.carrier(false);
        wait_calls(lab, &["tap0 up error up", "tap0 down up down"]);
        tap.carrier(true);
        wait_calls(lab, &["tap0 up error up", "tap0 down up down", "tap0 up down up"]);
        // Off and on before the kernel tells of it: a whole flap all the same, every time.
        for n in 1..=5 {
            tap.carrier(false);
            tap.carrier(true);
            wait_for("both edges of a flap", || calls(lab).len() >= 3 + 2 * n);
        }
        let all = calls(lab);
        let (edges, expected) = (&all[3..], ["tap0 down up down", "tap0 up down up"]);
        assert!(edges.iter().zip(expected.iter().cycle()).all(|(a, b)| a == b) && edges.len() == 10, "{all:?}");
        proc.stop();
    });
}

/// A flap shorter than the delay calls nothing (T-IF1), and the delay is kept (T-IF2).
#[test]
fn delays_and_flaps() {
    lab::test(|lab| {
        on_both(lab, |wire| {
            let proc = watch(lab, "-q -u0.4 -d1 -i eth0");
            wait_calls(lab, &["eth0 up error up"]);
            for n in 1..=2 {
                wire.pull();
                proc.wait_lines("*link is down, counts in 1 s", n);
                wire.plug();
                proc.wait_lines("*link is up again", n);
            }
            let pulled = Instant::now();
            wire.pull();
            wait_calls(lab, &["eth0 up error up", "eth0 down up down"]);
            assert!(pulled.elapsed() >= Duration::from_secs(1));
            let plugged = Instant::now();
            wire.plug();
            wait_calls(lab, &["eth0 up error up", "eth0 down up down", "eth0 up down up"]);
            assert!(plugged.elapsed() >= Duration::from_millis(400));
            proc.stop();
        });
    });
}

/// A flap of two seconds with `-d5` calls nothing (T-IF1). The two seconds are measured by a second watcher, with `-d2`.
#[test]
fn two_seconds_are_a_flap() {
    lab::test(|lab| {
        on_both(lab, |wire| {
            script(lab, "over", "#!/bin/sh\n[ $2 = up ] || echo over >>over.calls\n");
            let proc = watch(lab, "-q -d5 -i eth0");
            wait_calls(lab, &["eth0 up error up"]);
            let clock =
                lab.cmd("linkwatch").args(["-nsq", "-d2", "-i", "eth0", "-r", "./over", "--pidfile", "clock.pid"]);
            let clock = clock.spawn();
            clock.wait_line("*link is up");
            wire.pull();
            wait_for("two seconds", || lab.path("over.calls").exists());
            wire.plug();
            proc.wait_line("*link is down, counts in 5 s");
            proc.wait_line("*link is up again");
            // The end comes after all that was due before it.
            assert_eq!((proc.stop(), calls(lab)), (1, vec!["eth0 up error up".to_owned()]));
            clock.stop();
            std::fs::remove_file(lab.path("over.calls")).unwrap();
        });
    });
}

/// Without a carrier at start: only -l tells (T-IF9).
#[test]
fn down_at_start() {
    lab::test(|lab| {
        on_both(lab, |wire| {
            wire.pull();
            lab.net().wait_carrier("eth0", false);
            let proc = watch(lab, "-i eth0");
            proc.wait_line("*link is down");
            proc.stop();
            assert_eq!(calls(lab).len(), 0);
            let proc = watch(lab, "-l -q -i eth0");
            wait_calls(lab, &["eth0 down error down"]);
            proc.stop();
            assert_eq!(calls(lab).len(), 1);
        });
    });
}

/// Sets the interface up unless told not to.
#[test]
fn sets_the_interface_up() {
    lab::test(|lab| {
        let cable = lab.cable((&lab.net(), "eth0"), (&lab.netns("far"), "port"));
        lab.net().ip("link set eth0 down");
        let proc = watch(lab, "-a -l -q -d0 -i eth0");
        wait_calls(lab, &["eth0 down error down"]);
        assert!(!lab.net().carrier("eth0"));
        proc.stop();
        // The first thing told is the state with the interface up.
        let proc = watch(lab, "-l -q -d0 -i eth0");
        wait_calls(lab, &["eth0 down error down", "eth0 up error up"]);
        proc.stop();
        drop(cable);
    });
}

/// A handler that fails ends the daemon, unless -I; one that hangs is killed (T-IF4, T-IF8).
#[test]
fn failing_and_hanging_handlers() {
    lab::test(|lab| {
        on_both(lab, |wire| {
            script(lab, "fails", "#!/bin/sh\necho $2 >>calls\nexit 3\n");
            let run = |options: &str| {
                lab.cmd("linkwatch").args(["-n", "-s", "-d0", "-i", "eth0"]).args(options.split_whitespace()).spawn()
            };
            let proc = run("-r ./fails");
            assert_eq!(proc.wait(), 1);
            proc.wait_line("linkwatch: warning: eth0: handler up: exit 3");
            proc.wait_line("linkwatch: fatal: eth0: handler failed (-I goes on)");
            let proc = run("-I -r ./nowhere");
            proc.wait_line("*handler up: unable to start it: file does not exist");
            proc.stop();
            script(lab, "hangs", "#!/bin/sh\necho $2 >>calls\n[ $2 = down ] || sleep 1000\n");
            let proc = run("-I --handler-limit 0.2 -r ./hangs");
            proc.wait_line("*handler up: took too long and was stopped");
            wire.pull();
            wait_calls(lab, &["up", "up", "down"]);
            proc.stop();
        });
    });
}

/// An interface that carries but must not be used yet is not up (T-IF5).
#[test]
fn dormant_is_not_up() {
    lab::test(|lab| {
        on_both(lab, |wire| {
            lab.net().ip("link set eth0 mode dormant");
            wire.pull();
            lab.net().wait_carrier("eth0", false);
            wire.plug();
            let line = || lab.net().ip("-o link show dev eth0");
            wait_for("the carrier, dormant", || line().contains("state DORMANT"));
            let proc = watch(lab, "-l -q -d0 -i eth0");
            wait_calls(lab, &["eth0 down error down"]);
            lab.net().ip("link set eth0 state up");
            wait_calls(lab, &["eth0 down error down", "eth0 up down up"]);
            proc.stop();
        });
    });
}

/// Missing, made, renamed away and back, deleted and made again (T-IF6).
#[test]
fn interfaces_come_and_go() {
    lab::test(|lab| {
        let net = lab.net();
        let far = lab.netns("far");
        let gone = watch(lab, "-i eth0");
        assert_eq!(gone.wait(), 1);
        gone.wait_line("linkwatch: fatal: eth0: no such interface (-M waits for it)");

        let proc = watch(lab, "-M -l -q -d0 -i eth0");
        let mut expected = vec!["eth0 down error down"];
        wait_calls(lab, &expected);
        let mut then = |change: &dyn Fn(), calls: &[&'static str]| {
            change();
            expected.extend(calls);
            wait_calls(lab, &expected);
        };
        then(&|| drop(lab.cable((&net, "eth0"), (&far, "port"))), &["eth0 up down up"]);
        // It is set up again at once; the loss is told even where it was over before it was seen.
        then(&|| drop(net.ip("link set eth0 down")), &["eth0 down up down", "eth0 up down up"]);
        then(&|| drop(net.ip("link set eth0 name other")), &["eth0 down up down"]);
        then(&|| drop(net.ip("link set other name eth0")), &["eth0 up down up"]);
        then(&|| drop(net.ip("link del eth0")), &["eth0 down up down"]);
        then(&|| drop(lab.cable((&net, "eth0"), (&far, "port"))), &["eth0 up down up"]);
        // Another interface of that name within the delay is a loss too.
        proc.stop();
        let proc = watch(lab, "-M -p -q -d30 -i eth0");
        proc.wait_line("*link is up");
        let before = calls(lab).len();
        net.ip("link del eth0");
        drop(lab.cable((&net, "eth0"), (&far, "port")));
        wait_for("loss and return", || calls(lab).len() == before + 2);
        assert_eq!(calls(lab)[before..], ["eth0 down up down", "eth0 up down up"]);
        proc.stop();
    });
}

/// The same name on another TAP device is another interface (T-IF6).
#[test]
fn tap_devices_come_and_go() {
    lab::test(|lab| {
        let first = lab.tap("eth0");
        let proc = watch(lab, "-M -q -d0 -i eth0");
        let mut expected = vec!["eth0 up error up"];
        wait_calls(lab, &expected);
        drop(first);
        expected.push("eth0 down up down");
        wait_calls(lab, &expected);
        let _second = lab.tap("eth0");
        expected.push("eth0 up down up");
        wait_calls(lab, &expected);
        proc.stop();
    });
}

/// While 10,000 other links are made and deleted every edge is told (T-IF7).
#[test]
fn ten_thousand_links() {
    lab::test_within(Duration::from_secs(300), |lab| {
        let cable = lab.cable((&lab.net(), "eth0"), (&lab.net(), "port"));
        let proc = watch(lab, "-q -d0 -i eth0");
        wait_calls(lab, &["eth0 up error up"]);
        let pairs: String = (0..5000).map(|n| format!("link add a{n} group 7 type veth peer name b{n}\n")).collect();
        let flood = lab.cmd("ip").args(["-batch", "-"]).stdin(pairs + "link del group 7\n").spawn();
        let mut expected = vec!["eth0 up error up".to_owned()];
        while !flood.ended() {
            for (edge, call) in [(Cable::pull as fn(&Cable), "eth0 down up down"), (Cable::plug, "eth0 up down up")] {
                edge(&cable);
                expected.push(call.to_owned());
                wait_for_within("the edge to be told", Duration::from_secs(60), || calls(lab).len() >= expected.len());
            }
        }
        assert_eq!((flood.wait(), calls(lab)), (0, expected.clone()));
        assert!(expected.len() > 10, "hardly an edge among the links: {expected:?}");
        assert_eq!(proc.stop(), 1);
    });
}

/// More events than the socket holds while the process cannot read: the state is asked anew and the flap within is known by
/// the kernel's counter (T-IF7).
#[test]
fn no_edge_is_lost_in_a_flood() {
    lab::test_within(Duration::from_secs(240), |lab| {
        on_both(lab, |wire| {
            let proc = watch(lab, "-d0 -i eth0");
            wait_calls(lab, &["eth0 up error up"]);
            // Far more than the socket holds.
            let make = |verb: &str, pair: bool| -> String {
                let peer = |n: u32| if pair { format!(" type veth peer name b{n}") } else { String::new() };
                (0..300).map(|n| format!("link {verb} a{n}{}\n", peer(n))).collect()
            };
            let batch = |text: String| drop(lab.cmd("ip").args(["-batch", "-"]).stdin(text).ok());
            proc.signal(Signal::SIGSTOP);
            wire.pull();
            batch(make("add", true));
            wire.plug();
            lab.net().wait_carrier("eth0", true);
            proc.signal(Signal::SIGCONT);
            wait_calls(lab, &["eth0 up error up", "eth0 down up down", "eth0 up down up"]);
            // Awake during the next flood: every change is told.
            let deleting = lab.cmd("ip").args(["-batch", "-"]).stdin(make("del", false)).spawn();
            let mut expected = 3;
            while !deleting.ended() {
                wire.pull();
                expected += 1;
                wait_for_within("the loss to be told", Duration::from_secs(60), || calls(lab).len() == expected);
                wire.plug();
                expected += 1;
                wait_for_within("the return to be told", Duration::from_secs(60), || calls(lab).len() == expected);
            }
            proc.stop();
        });
    });
}

/// Debian's ifplugd (0.28) and ours on one interface tell the same in the same order, in arguments and environment. What it calls
/// `disabled` is `error` with busybox's and ours, and it ends with 0, busybox's and ours with 1.
#[test]
fn beside_ifplugd() {
    lab::test(|lab| {
        let (program, (variable, libraries)) = unpacked_peer("ifplugd");
        let handler = "#!/bin/sh\necho \"$* $IFPLUGD_PREVIOUS $IFPLUGD_CURRENT\" >>$CALLS\n";
        script(lab, "handler", handler);
        let heard = |name: &str| {
            let text = std::fs::read_to_string(lab.path(name)).unwrap_or_default();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        on_both(lab, |wire| {
            for options in ["-u0 -d0", "-u0 -d0 -l", "-u0 -d0 -p -q", "-u1 -d1 -x extra -I", "-f -u0 -d0"] {
                let run = |cmd: lab::Cmd, calls: &str| {
                    let fixed = ["-n", "-s", "-t", "1", "-i", "eth0", "-r", "./handler"];
                    let _ = std::fs::remove_file(lab.path(calls));
                    cmd.args(fixed).args(options.split_whitespace()).env("CALLS", calls).spawn()
                };
                let ours = run(lab.cmd("linkwatch").args(["--pidfile", "ours.pid"]), "ours");
                let theirs = run(lab.cmd(&program).env(variable, &libraries), "theirs");
                let mut expected = usize::from(!options.contains("-p"));
                for edge in [Wire::pull as fn(&Wire), Wire::plug] {
                    ours.wait_line("*link is up");
                    theirs.wait_line("*Initialization complete*");
                    let both = || (heard("ours").len(), heard("theirs").len());
                    wait_for(&format!("{expected} calls"), || both() == (expected, expected));
                    edge(wire);
                    expected += 1;
                }
                wait_for("the last edge", || heard("ours").len() == expected && heard("theirs").len() == expected);
                assert_eq!((ours.stop(), theirs.stop()), (1, 0), "{options}");
                let expected: Vec<_> = heard("theirs").iter().map(|call| call.replace("disabled", "error")).collect();
                assert_eq!(heard("ours"), expected, "{options}");
            }
        });
    });
}

/// One daemon per interface; -k ends it.
#[test]
fn pid_file_and_kill() {
    lab::test(|lab| {
        let _cable = lab.cable((&lab.net(), "eth0"), (&lab.netns("far"), "port"));
        let proc = watch(lab, "-q -i eth0");
        proc.wait_line("*link is up");
        assert_eq!(lab.read("/var/run/ifplugd.eth0.pid"), format!("{}\n", proc.pid()));
        let second = lab.cmd("ifplugd").args(["-n", "-i", "eth0"]).fails(1);
        assert_eq!(second.stderr, "linkwatch: fatal: eth0: another linkwatch is running: file already exists\n");
        lab.cmd("ifplugd").args(["-k", "-i", "eth0"]).ok();
        assert_eq!(proc.wait(), 1);
        let nobody = lab.cmd("ifplugd").args(["-k", "-i", "eth0"]).fails(1);
        assert!(nobody.stderr.ends_with("ifplugd.eth0.pid: file does not exist\n"), "{}", nobody.stderr);
        // In the background: the one that was started ends at once, the pid file names the other.
        lab.cmd("linkwatch").args(["-q", "-i", "eth0", "-r", "./handler"]).ok();
        let pid = lab.read("/var/run/ifplugd.eth0.pid");
        assert_eq!(lab.read(format!("/proc/{}/comm", pid.trim())), "linkwatch\n");
        lab.cmd("linkwatch").args(["-k", "-i", "eth0"]).ok();
        wait_for("its end", || !lab.path("/var/run/ifplugd.eth0.pid").exists());
    });
}

/// --up: no handler, no process; also for a service that is supervised only later.
#[test]
fn ups_and_downs_services() {
    lab::test(|lab| {
        let cable = lab.cable((&lab.net(), "eth0"), (&lab.netns("far"), "port"));
        let (dhcp, zcip) = (lab.service("dhcp_eth0"), lab.service("zcip_eth0"));
        let (dhcp, zcip) = (dhcp.run("exec sleep 1000").build(), zcip.run("exec sleep 1000").build());
        let _dhcp = lab.runsv(&dhcp);
        dhcp.wait_stat("run");
        cable.pull();
        lab.net().wait_carrier("eth0", false);
        let proc = lab
            .cmd("linkwatch")
            .args(["-nsMlq", "-d0", "-i", "eth0", "--svdir", "sv", "--up", "dhcp_eth0", "--up", "zcip_eth0"])
            .spawn();
        dhcp.wait_stat("down");
        proc.wait_line("*sv/zcip_eth0: not supervised yet, trying again: file does not exist");
        let _zcip = lab.runsv(&zcip);
        zcip.wait_stat("down");
        cable.plug();
        dhcp.wait_stat("run");
        zcip.wait_stat("run");
        cable.pull();
        dhcp.wait_stat("down");
        zcip.wait_stat("down");
        assert_eq!(proc.stop(), 1);
    });
}
