//! Call lines found in the field, each with a life of signals, run by ours and by busybox's udhcpc: the same calls of the script
//! in the same order, the same messages at the server, the same exit codes, and a pid file from the first call to the end.

use super::server::{Heard, RELEASE, serve};
use super::{net, polite, words};
use lab::{Lab, Netns, PATIENCE, Proc, peer, wait_for, wait_quietly};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;

/// What is done with a client, and what is waited for.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Until the script was called so often with this action.
    Call(&'static str, usize),
    /// To the process of the pid file.
    Signal(Signal),
    /// The process that was started ends with this code.
    Ends(i32),
}
use Step::{Call, Ends};

/// One client in a street of its own.
struct Client {
    host: Netns,
    heard: Option<Heard>,
    dir: PathBuf,
    hook: String,
}

impl Client {
    fn new(lab: &Lab, name: &str, port: &str, served: bool) -> Self {
        let host = lab.netns(name);
        lab.cable((&host, "eth0"), (&lab.net(), port));
        host.wait_carrier("eth0", true);
        // For ARP: both streets have the same server.
        lab.net().address(port, "192.0.2.1/24");
        let dir = lab.path(name);
        std::fs::create_dir_all(&dir).unwrap();
        let hook = lab.write(
            &format!("{name}/hook"),
            "#!/bin/sh\ncd ${0%/*}\npid=no; [ ! -s pid ] || pid=yes\n\
             case $1 in\ndeconfig) ip addr flush dev $interface ;;\n\
             bound | renew) ip addr replace $ip/$mask dev $interface ;;\nesac\n\
             echo \"$1 $interface ip=$ip lease=$lease INTERFACE=$INTERFACE metric=$metric pid=$pid\" >>calls\n",
        );
        lab.cmd("chmod").arg("+x").arg(&hook).ok();
        let hook = hook.to_str().unwrap().to_owned();
        Self { host, heard: served.then(|| serve(port, polite)), dir, hook }
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn pid(&self) -> Option<i32> {
        std::fs::read_to_string(self.dir.join("pid")).ok()?.trim().parse().ok()
    }

    fn start(&self, cmd: lab::Cmd, line: &str) -> Proc {
        let words = words(line).map(|w| w.replace("HOOK", &self.hook)).collect::<Vec<_>>();
        let cmd = cmd.args(words).dir(&self.dir).netns(&self.host);
        cmd.env("INTERFACE", "wan").env("metric", "100").spawn()
    }

    fn live(&self, process: &Proc, steps: &[Step]) {
        for step in steps {
            match *step {
                Call(action, n) => {
                    let done = || self.calls().iter().filter(|c| c.starts_with(action)).count() >= n;
                    wait_for(&format!("{action} number {n} in {}", self.dir.display()), done);
                }
                // busybox's is the parent's for a moment longer than the parent lives.
                Step::Signal(signal) => wait_for("the process of the pid file", || {
                    self.pid().is_some_and(|pid| kill(Pid::from_raw(pid), signal).is_ok())
                }),
                Ends(code) => assert_eq!(process.wait(), code, "{}", self.dir.display()),
            }
        }
        wait_for("the pid file to go", || self.pid().is_none());
    }

    /// What the script saw, and the server but for repeated messages: busybox misses an answer now and then.
    fn seen(&self) -> String {
        let heard = self.heard.iter().flat_map(|h| h.lock().unwrap().clone());
        let heard = heard.map(|asked| {
            let [ciaddr, flags] = [&asked.bytes[12..16], &asked.bytes[10..12]];
            format!(
                "{} ciaddr {ciaddr:?} flags {flags:?} 50 {:?} 54 {:?}",
                asked.kind,
                asked.option(50),
                asked.option(54)
            )
        });
        let mut heard: Vec<String> = heard.collect();
        heard.dedup();
        self.calls().into_iter().chain(heard).map(|line| line + "\n").collect()
    }
}

/// `line` without the program, HOOK standing for the script; `served`: there is a server.
fn same_life(lab: &Lab, line: &str, served: bool, steps: &[Step]) -> [Client; 2] {
    let ours = Client::new(lab, "ours", "isp1", served);
    let theirs = Client::new(lab, "theirs", "isp2", served);
    let processes = [
        ours.start(lab.cmd("udhcpc").args(["--state", ""]), line),
        theirs.start(lab.cmd(peer("busybox")).arg("udhcpc"), line),
    ];
    ours.live(&processes[0], steps);
    theirs.live(&processes[1], steps);
    assert!(ours.calls().len() > 1, "nothing happened");
    // The last message may still be on its way.
    if !wait_quietly(PATIENCE, || ours.seen() == theirs.seen())
        && let Some(difference) = lab::difference(&ours.seen(), &theirs.seen())
    {
        panic!("{line} (- busybox, + ours):\n{difference}");
    }
    [ours, theirs]
}

const USR1: Step = Step::Signal(Signal::SIGUSR1);
const USR2: Step = Step::Signal(Signal::SIGUSR2);
const TERM: Step = Step::Signal(Signal::SIGTERM);

#[test]
fn openwrt_netifd() {
    lab::test(|lab| {
        let line = "-p pid -s HOOK -f -t 0 -i eth0 -r 192.0.2.7 -x hostname:box -B -R -x 0x3d:ff00aa -x 0x3c:4d53 -V '' -O 212 \
                    -O 121";
        let steps = [Call("bound", 1), USR1, Call("renew", 1), USR1, Call("renew", 2), TERM, Ends(0)];
        let [ours, _] = same_life(lab, line, true, &steps);
        assert!(ours.calls()[0].ends_with("INTERFACE=wan metric=100 pid=yes"), "inherited, and the pid file is there");
        assert!(ours.calls().last().unwrap().starts_with("deconfig"));
        let heard = ours.heard.unwrap();
        wait_for("the RELEASE", || heard.lock().unwrap().last().is_some_and(|a| a.kind == RELEASE));
    });
}

#[test]
fn infix() {
    lab::test(|lab| {
        let line =
            "-f -p pid -t 3 -T 5 -A 30 -S -R -o -O 1 -O router -O dns -O 121 -i eth0 -C -x 61:00:61:62 -V '' -s HOOK";
        let steps =
            [Call("bound", 1), USR2, Call("deconfig", 2), USR2, Call("deconfig", 3), USR1, Call("bound", 2), TERM];
        same_life(lab, line, true, &[&steps[..], &[Ends(0)]].concat());
    });
}

/// To the background with the first lease.
#[test]
fn alpine() {
    lab::test(|lab| {
        let steps = [Call("bound", 1), Ends(0), USR1, Call("renew", 1), TERM, Call("deconfig", 2)];
        same_life(lab, "-b -R -p pid -i eth0 -s HOOK", true, &steps);
    });
}

/// To the background without a lease.
#[test]
fn alpine_without_a_server() {
    lab::test(|lab| {
        let steps = [Ends(0), Call("leasefail", 1), TERM, Call("deconfig", 2)];
        same_life(lab, "-b -R -p pid -i eth0 -t 2 -T 1 -s HOOK", false, &steps);
    });
}

#[test]
fn ifupdown() {
    lab::test(|lab| {
        let steps = [Call("bound", 1), Ends(0), TERM, Call("deconfig", 2)];
        same_life(lab, "-R -n -p pid -i eth0 -s HOOK", true, &steps);
    });
}

#[test]
fn ifupdown_without_a_server() {
    lab::test(|lab| {
        same_life(lab, "-R -n -p pid -i eth0 -t 2 -T 1 -s HOOK", false, &[Call("leasefail", 1), Ends(1)]);
    });
}

/// Containers: a lease and out, the address stays.
#[test]
fn netavark() {
    lab::test(|lab| {
        let [ours, _] = same_life(lab, "-q -n -f -p pid -i eth0 -s HOOK", true, &[Call("bound", 1), Ends(0)]);
        assert!(ours.host.ip("-o addr show dev eth0").contains("192.0.2.7/24"));
    });
}

/// The service of busybox's examples; its `--hostname=null` is only ours to take (udhcpc refuses it since 1.34).
#[test]
fn var_service() {
    lab::test(|lab| {
        let line = "-vv --foreground --interface=eth0 --pidfile=pid --script=HOOK";
        let steps = [Call("bound", 1), USR1, Call("renew", 1), TERM, Ends(0)];
        let [ours, _] = same_life(lab, line, true, &steps);
        assert!(ours.host.ip("-o addr show dev eth0").contains("192.0.2.7/24"), "TERM leaves the address");
        let again = ours.start(lab.cmd("udhcpc").args(["--state", ""]), &format!("{line} --hostname=null"));
        ours.live(&again, &[Call("bound", 2), TERM, Ends(0)]);
        assert!(ours.heard.unwrap().lock().unwrap().iter().all(|asked| asked.option(12).is_none()));
    });
}

/// Call lines that end at once, and how.
#[test]
fn mistakes() {
    lab::test(|lab| {
        let host = lab.netns("host");
        lab.cable((&host, "eth0"), (&lab.net(), "isp"));
        for line in [
            "-i none0",
            "-i eth0 -r nowhere",
            "-i eth0 -Z",
            "-i eth0 -x nonsense:1",
            "-i eth0 -O nonsense",
            "-i eth0 -x mtu:x",
        ] {
            let args = ["-f", "-n", "-t", "1", "-T", "1", "-s", "/bin/true"];
            let of = |cmd: lab::Cmd| cmd.args(args).args(words(line)).netns(&host).output().code;
            let (ours, theirs) = (of(lab.cmd("udhcpc")), of(lab.cmd(peer("busybox")).arg("udhcpc")));
            assert_eq!((ours, theirs), (1, 1), "{line}");
        }
    });
}

/// The same options on the command line, the same options in the DISCOVER, in the same order. Only what we deliberately say
/// differently is left out: the biggest message we take (57).
#[test]
fn same_discover_as_busybox() {
    const LINES: [&str; 5] = [
        "-V '' -B -r 192.0.2.99",
        "-V '' -C -x hostname:box -x 0x3d:ff00aa -x 14:\"dump\" -x 0x3c:4d53",
        "-V '' -o -O 212 -O search -O router -x lease:3600 -x router:192.0.2.1,192.0.2.2 -x domain:example.org",
        "-V x -o -x 43:0102:03 -x mtu:0x5dc -x ipttl:64 -x routes:192.0.2.1~192.0.2.2 -x subnet:255.255.255.0",
        "-V '' -o -x timezone:-18000 -x swapsrv:192.0.2.1 -x bootfile:a/b -x 0x0c:626f78",
    ];
    lab::test(|lab| {
        let (host, _cable) = net(lab);
        let heard = serve("isp", |_| vec![]);
        let mut differences = String::new();
        for line in LINES {
            let words: Vec<String> = line.split(' ').map(|w| w.trim_matches('\'').replace('~', " ")).collect();
            let common = ["-f", "-n", "-t", "1", "-T", "1", "-i", "eth0", "-s", "/bin/true"];
            let before = heard.lock().unwrap().len();
            lab.cmd("udhcpc").args(common).args(["--state", ""]).args(&words).netns(&host).fails(1);
            lab.cmd(peer("busybox")).arg("udhcpc").args(common).args(&words).netns(&host).fails(1);
            wait_for("two messages", || heard.lock().unwrap().len() == before + 2);
            let asked = heard.lock().unwrap();
            let [ours, theirs] = [&asked[before], &asked[before + 1]].map(|a| shown(&a.bytes));
            if ours != theirs {
                differences += &format!("{line}\nours:   {ours}\ntheirs: {theirs}\n");
            }
        }
        assert!(differences.is_empty(), "{differences}");
    });
}

/// The flags and the options but 57, readable.
fn shown(message: &[u8]) -> String {
    let mut out = format!("flags {:02x}{:02x}", message[10], message[11]);
    let mut rest = &message[240..];
    while let [code @ 1..=254, len, tail @ ..] = rest {
        let (value, after) = tail.split_at(usize::from(*len));
        if *code != 57 {
            out += &format!(", {code}={value:02x?}");
        }
        rest = after;
    }
    out
}
