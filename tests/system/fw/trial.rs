//! Locked out by a change of the configuration: it comes back by itself, whoever is killed meanwhile.

use super::{INTERNET, World, install};
use lab::{Cmd, Lab, PATIENCE, Proc, Service, wait_for, wait_for_within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::file::CWD;
use sys::lock::Lock;

const STATE: &str = "/var/lib/portreeve/fw";

/// Time of a trial that nobody confirms, in seconds.
const TIMER: u64 = 4;

/// A gateway that the administrator reaches from its own network and from the internet, with one revision.
struct Gateway<'l> {
    lab: &'l Lab,
    world: World<'l>,
    keeper: Service,
}

impl<'l> Gateway<'l> {
    /// Nothing runs yet.
    fn new(lab: &'l Lab) -> Self {
        let world = World::new(lab);
        install("examples/fw_trial", "/run/sv/fw_trial");
        symlink("/run/sv/fw_trial", "/var/service/fw_trial").unwrap();
        Self { lab, world, keeper: Service::at("/var/service/fw_trial") }
    }

    fn supervise(&self) -> Proc {
        self.world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
        let runsvdir = self.world.supervise();
        wait_for("somebody to hold the timer", || Lock::is_held(CWD, &Path::new(STATE).join("keeper")) == Ok(true));
        runsvdir
    }

    fn netd(&self, args: &[&str]) -> Cmd {
        self.lab.cmd("netd").args(args)
    }

    fn edit(&self, file: &str, old: &str, new: &str) {
        let path = format!("/run/sv/fw/{file}");
        let text = self.lab.read(&path);
        assert!(text.contains(old), "{file} as it ships has what is edited");
        fs::write(path, text.replacen(old, new, 1)).unwrap();
    }

    /// From the own network and from behind the default route.
    fn is_reachable(&self) -> bool {
        let ping = |ns: &lab::Netns, args: &[&str]| {
            ns.cmd(self.lab, "ping").args(["-n", "-c1", "-W1"]).args(args).output().code == 0
        };
        ping(&self.world.host, &["192.168.1.1"]) && ping(&self.world.provider, &["-I", INTERNET, "192.0.2.7"])
    }

    /// Everything in fw's directory that is not supervision's: modes, names and checksums.
    fn on_disk(&self) -> String {
        let find = "cd /run/sv/fw; find . \\( -name supervise -o -name log \\) -prune -o -printf '%m %y %P\\n' | grep -v ' d $' | sort |\
                    while read -r mode type name; do echo \"$mode $type $name $([ $type = d ] || cksum <\"$name\")\"; done";
        self.lab.sh(find).ok()
    }

    fn trial(&self) -> Option<String> {
        fs::read_to_string(Path::new(STATE).join("trial")).ok()
    }

    fn wait_settled(&self) {
        wait_for_within("the end of the trial", PATIENCE + Duration::from_secs(TIMER), || self.trial().is_none());
        self.world.wait_idle();
    }

    fn newest(&self) -> usize {
        fs::read_dir(STATE)
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("rev."))
            .count()
    }
}

/// What the administrator does.
#[derive(Clone, Copy)]
enum Mistake {
    Rule,
    Address,
    Route,
    /// A bridge that `run` makes.
    Bridge,
    /// One that `conf/` names.
    Port,
}

impl Mistake {
    /// What the good configuration needs.
    fn before(self, gateway: &Gateway<'_>) {
        if let Self::Port = self {
            gateway.edit("run", "lan=\"eth1\"", "lan=\"br0\"");
            gateway.edit("conf/lan.ipconf", "'eth1'", "'br0'\nbridge[$cfg]='eth1'");
        }
        if let Self::Bridge = self {
            let bridge = "    ip link show br0 >/dev/null 2>&1 || ip link add br0 type bridge forward_delay 0\n    \
                          ip link set eth1 master br0\n    ip link set br0 up\n    netd apply";
            gateway.edit("run", "    netd apply", bridge);
            gateway.edit("run", "lan=\"eth1\"", "lan=\"br0\"");
            gateway.edit("conf/lan.ipconf", "eth1", "br0");
        }
    }

    fn make(self, gateway: &Gateway<'_>) {
        match self {
            Self::Rule => gateway.edit("ruleset", "iifname @lan accept", "iifname @lan drop"),
            Self::Address => {
                gateway.edit("conf/lan.ipconf", "ip[$cfg]='192.168.1.1'", "ip[$cfg]='192.168.77.1'");
                gateway.edit("conf/lan.ipconf", "192.168.1.1/24", "192.168.77.1/24");
            }
            Self::Route => {
                let route = "let cfg=cfg+1\nif[$cfg]=eth0\nnet[$cfg]=198.51.100.0/24\ngw[$cfg]=192.0.2.99\n";
                fs::write("/run/sv/fw/conf/route.ipconf", route).unwrap();
            }
            Self::Port => gateway.edit("conf/lan.ipconf", "bridge[$cfg]='eth1'", "bridge[$cfg]='eth0'"),
            Self::Bridge => gateway.edit("run", "ip link set eth1 master br0", "ip link set eth1 nomaster"),
        }
    }
}

/// What happens then.
#[derive(Clone, Copy)]
enum Event {
    /// The connection of the administrator ends and takes the client with it.
    ClientKilled,
    /// Everything of ours is killed that can be, some of it again and again.
    ToolsKilled,
    PowerCut,
}

fn locked_out(lab: &Lab, mistake: Mistake, event: Event) {
    let gateway = Gateway::new(lab);
    mistake.before(&gateway);
    let _runsvdir = gateway.supervise();
    assert!(gateway.is_reachable());
    let before = gateway.on_disk();

    mistake.make(&gateway);
    let tried = gateway.on_disk();
    assert_ne!(before, tried);
    let deadline = Instant::now() + Duration::from_secs(TIMER);
    let client = gateway.netd(&["try", &TIMER.to_string(), "--", "sleep", "1000"]).group().spawn();
    // CMD runs: the change is in effect.
    wait_for("sleep", || lab.sh("pgrep -x sleep").output().code == 0);
    assert!(!gateway.is_reachable());
    let deadline = match event {
        Event::ClientKilled => {
            client.kill_group();
            deadline
        }
        Event::ToolsKilled => {
            client.kill_group();
            for _ in 0..3 {
                let old = gateway.keeper.pid();
                kill_service(&gateway.keeper);
                gateway.keeper.wait_new_pid(old);
            }
            // And in the midst of its work.
            wait_for_within("the timer", PATIENCE, || gateway.trial().is_none_or(|t| t.contains("over")));
            kill_service(&gateway.keeper);
            kill_service(&gateway.world.fw);
            deadline
        }
        Event::PowerCut => {
            let again = Instant::now();
            power_cut(lab);
            drop(gateway.supervise());
            again
        }
    };
    wait_for_within("the gateway to be reachable", PATIENCE, || gateway.is_reachable());
    println!("trial: reachable {} ms after the deadline, or the boot", deadline.elapsed().as_millis());
    gateway.wait_settled();
    assert_eq!(gateway.on_disk(), before);
    assert_eq!(gateway.newest(), 1, "what was not confirmed is no revision");
    assert!(gateway.is_reachable());
    // What was worked at is not lost.
    lab.sh("cp -r /var/lib/portreeve/fw/reverted/. /run/sv/fw/").ok();
    assert_eq!(gateway.on_disk(), tried);
}

fn kill_service(service: &Service) {
    if let Some(pid) = service.pid() {
        lab::note(&format!("KILL to {} (pid {pid})", service.name()));
        // It may just have ended.
        let _ = kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL);
    }
}

/// All processes end, the kernel forgets, what is not on disk is lost, and it is another boot.
fn power_cut(lab: &Lab) {
    lab.note("power cut");
    // All but the lab's own pid 1 and this process.
    kill(Pid::from_raw(-1), Signal::SIGKILL).unwrap();
    wait_for("the end of everything", || !Service::at("/var/service/fw").listening());
    let forget = "for i in eth0 eth1; do ip link set $i nomaster; ip addr flush dev $i; done; ip link del br0 2>/dev/null;\
                  ip link set eth0 down; ip link set eth0 up; nft flush ruleset; rm -rf /run/service /run/sv/*/supervise";
    lab.sh(forget).ok();
    let boot = lab.write("boot_id", "11111111-2222-3333-4444-555555555555\n");
    lab.cmd("mount").args(["--bind", boot.to_str().unwrap(), "/proc/sys/kernel/random/boot_id"]).ok();
}

macro_rules! locked_out {
    ($($name:ident: $mistake:ident, $event:ident;)*) => {
        $(
            #[test]
            fn $name() {
                lab::test_within(Duration::from_secs(90), |lab| locked_out(lab, Mistake::$mistake, Event::$event));
            }
        )*
    };
}

locked_out! {
    a_rule_and_the_client_is_killed: Rule, ClientKilled;
    a_rule_and_the_tools_are_killed: Rule, ToolsKilled;
    a_rule_and_the_power_is_cut: Rule, PowerCut;
    an_address_and_the_client_is_killed: Address, ClientKilled;
    an_address_and_the_tools_are_killed: Address, ToolsKilled;
    an_address_and_the_power_is_cut: Address, PowerCut;
    a_route_and_the_client_is_killed: Route, ClientKilled;
    a_route_and_the_tools_are_killed: Route, ToolsKilled;
    a_route_and_the_power_is_cut: Route, PowerCut;
    a_bridge_and_the_client_is_killed: Bridge, ClientKilled;
    a_bridge_and_the_tools_are_killed: Bridge, ToolsKilled;
    a_bridge_and_the_power_is_cut: Bridge, PowerCut;
    a_port_and_the_client_is_killed: Port, ClientKilled;
    a_port_and_the_tools_are_killed: Port, ToolsKilled;
    a_port_and_the_power_is_cut: Port, PowerCut;
}

/// Both scripts hang, the tried one and the one that it started; and the new one never begins.
#[test]
fn a_run_that_hangs() {
    lab::test(|lab| {
        let gateway = Gateway::new(lab);
        let _runsvdir = gateway.supervise();
        let before = gateway.on_disk();
        gateway.edit(
            "run",
            "    policy\n",
            "    nft add table ip hangs; nft flush ruleset; trap '' TERM; read -r _ </run/never\n",
        );
        lab.cmd("mkfifo").arg("/run/never").ok();
        let out = gateway.netd(&["try", "2"]).fails(1);
        assert!(out.stderr.contains("fw's run did not end in time"), "{}", out.stderr);
        assert!(gateway.is_reachable());
        assert_eq!(gateway.on_disk(), before);
        gateway.wait_settled();
    });
}

#[test]
fn a_run_that_fails_ends_the_trial_at_once() {
    lab::test(|lab| {
        let gateway = Gateway::new(lab);
        let _runsvdir = gateway.supervise();
        let before = gateway.on_disk();
        gateway.edit("run", "    netd render", "    ip addr del 192.168.1.1/24 dev eth1; nosuchcommand; netd render");
        let out = gateway.netd(&["try", "1000"]).fails(1);
        assert!(out.stderr.contains("fw stopped with code 127"), "{}", out.stderr);
        assert!(out.stdout.ends_with("netd: revision 1 is back\n"), "{}", out.stdout);
        assert_eq!(gateway.on_disk(), before);
        assert!(gateway.is_reachable());
        assert!(gateway.world.log().contains("nosuchcommand"));
    });
}

#[test]
fn a_command_decides() {
    lab::test(|lab| {
        let gateway = Gateway::new(lab);
        let _runsvdir = gateway.supervise();
        let before = gateway.on_disk();
        gateway.edit("run", "open_tcp=\"22\"", "open_tcp=\"22, 80\"");
        let after = gateway.on_disk();
        let rules = || lab.cmd("nft").args(["list", "set", "inet", "portreeve", "open_tcp"]).ok();

        let out = gateway.netd(&["try", "1000", "--", "sh", "-c", "nft list ruleset | grep '22, 80'; exit 7"]).fails(1);
        assert!(out.stdout.contains("elements = { 22, 80 }"), "{}", out.stdout);
        assert!(out.stderr.contains("sh ended with code 7"), "{}", out.stderr);
        assert_eq!(gateway.on_disk(), before);
        assert!(!rules().contains("80"));

        gateway.edit("run", "open_tcp=\"22\"", "open_tcp=\"22, 80\"");
        let said = gateway.netd(&["try", "1000", "--", "true"]).ok();
        assert_eq!(said, "netd: different from revision 1: run\nnetd: revision 2 is confirmed\n");
        assert_eq!((gateway.on_disk(), gateway.trial()), (after, None));
        assert!(rules().contains("22, 80"));
    });
}

#[test]
fn what_is_confirmed_in_time_stays() {
    lab::test(|lab| {
        let gateway = Gateway::new(lab);
        let _runsvdir = gateway.supervise();
        gateway.edit("run", "open_tcp=\"22\"", "open_tcp=\"22, 80\"");
        let after = gateway.on_disk();
        let try_ = |seconds| gateway.netd(&["try", seconds]).env("SSH_CONNECTION", "192.0.2.1 1000 192.0.2.7 22");
        try_("1000")
            .prints_matching("netd: different from revision 1: run\nnetd: on trial; `netd confirm` within # s, or *");
        gateway.world.kick();
        assert_eq!(gateway.newest(), 1, "a run during a trial confirms nothing");

        let confirm = || gateway.netd(&["confirm"]);
        let out = confirm().env("SSH_CONNECTION", "192.0.2.1 1000 192.0.2.7 22").fails(1);
        assert!(out.stderr.contains("over this very connection"), "{}", out.stderr);
        // A second one counts from then; and this one is over soon.
        try_("2").ok();
        confirm().env("SSH_CONNECTION", "192.0.2.1 1001 192.0.2.7 22").prints("netd: revision 2 is confirmed\n");
        wait_for("the keeper to see its timer pass", || gateway.trial().is_none());
        gateway.world.kick();
        assert_eq!((gateway.on_disk(), gateway.newest()), (after, 2));
        confirm().prints("netd: revision 2 is confirmed\n");

        gateway.edit("run", "22, 80", "22, 81");
        try_("1").ok();
        gateway.wait_settled();
        assert_eq!(gateway.newest(), 2);
        confirm().env("SSH_CONNECTION", "").prints("netd: revision 2 is confirmed\n");
        assert!(lab.read("/run/sv/fw/run").contains("22, 80"));
    });
}

#[test]
fn what_cannot_be_tried_changes_nothing() {
    lab::test(|lab| {
        let gateway = Gateway::new(lab);
        let runsvdir = gateway.supervise();
        let refused = |why: &str| {
            let state = gateway.world.state();
            let out = gateway.netd(&["try", "10"]).fails(100);
            assert!(out.stderr.contains(why), "{}", out.stderr);
            assert_eq!((gateway.trial(), gateway.world.state()), (None, state));
        };
        gateway.edit("conf/lan.ipconf", "192.168.1.1/24", "192.168.1.1/33");
        refused("conf/lan.ipconf:5: expected ");
        gateway.edit("conf/lan.ipconf", "192.168.1.1/33", "192.168.1.1/24");
        gateway.netd(&["check", "/run/sv/fw"]).prints("");
        let run = lab.read("/run/sv/fw/run");
        gateway.edit("run", "    esac\n", "");
        refused("/run/sv/fw/run: ");
        let out = gateway.netd(&["check", "/run/sv/fw"]).fails(1);
        assert!(out.stderr.contains("yntax error"), "{}", out.stderr);
        fs::write("/run/sv/fw/run", run).unwrap();
        gateway.netd(&["check", "/run/sv/fw"]).prints("");
        // The rules and the policy, with their line.
        gateway.edit("ruleset", "iifname @lan accept", "iifname @lan acept");
        let line = lab.read("/run/sv/fw/ruleset").lines().position(|l| l.ends_with("acept")).unwrap() + 1;
        refused(&format!("netd: warning: ruleset:{line}:"));
        gateway.netd(&["check", "/run/sv/fw"]).fails(1);
        gateway.edit("ruleset", "acept", "accept");
        gateway.edit("run", "masquerade=yes", "masquerade=ja");
        refused("netd: warning: ./run: masquerade='ja': expected yes or no");
        gateway.edit("run", "masquerade=ja", "masquerade=yes");
        // A `run` that does not know the word is not given it.
        gateway.edit("run", "[ $# != 0 ] || sv o .", "sv o .; echo \"$0 $*\" >/run/ran");
        gateway.netd(&["check", "/run/sv/fw"]).prints("");
        assert!(!Path::new("/run/ran").exists());
        gateway.edit("run", "sv o .; echo \"$0 $*\" >/run/ran", "[ $# != 0 ] || sv o .");
        for wrong in [&["try"][..], &["try", "0"], &["try", "-5"], &["try", "5", "true"], &["try", "5", "--"]] {
            gateway.netd(wrong).fails(100);
        }
        gateway.keeper.tell("d");
        gateway.keeper.wait_stat("down");
        refused("nobody would hold the timer: the service fw_trial does not run");
        gateway.keeper.tell("u");
        lab.sh("rm -r /var/lib/portreeve/fw/rev.1").ok();
        wait_for("the keeper", || Lock::is_held(CWD, &Path::new(STATE).join("keeper")) == Ok(true));
        refused("no confirmed configuration to come back to");
        drop(runsvdir);
    });
}

#[test]
fn revisions_come_back_by_number() {
    lab::test(|lab| {
        let gateway = Gateway::new(lab);
        let _runsvdir = gateway.supervise();
        let mut disk = vec![gateway.on_disk()];
        for port in ["80", "81"] {
            let old = if port == "80" { "open_tcp=\"22\"" } else { "open_tcp=\"80\"" };
            gateway.edit("run", old, &format!("open_tcp=\"{port}\""));
            gateway.world.kick();
            disk.push(gateway.on_disk());
        }
        assert_eq!(gateway.newest(), 3, "each configuration that ran to its end is one");
        let open = || lab.cmd("nft").args(["list", "set", "inet", "portreeve", "open_tcp"]).ok();
        let list = || gateway.netd(&["rollback", "--list"]).ok();
        let lines: Vec<String> = list().lines().map(str::to_owned).collect();
        assert!(lines[0].starts_with("0  revision 3  20") && lines[0].ends_with(" UTC  run"), "{lines:?}");
        assert!(lines[2].starts_with("2  revision 1  20") && lines[2].ends_with("(the first)"), "{lines:?}");

        gateway.netd(&["rollback"]).prints("netd: revision 2 is back\n");
        assert_eq!((gateway.on_disk(), gateway.newest()), (disk[1].clone(), 4));
        assert!(open().contains("{ 80 }"));
        gateway.netd(&["rollback"]).prints("netd: revision 3 is back\n");
        assert!(open().contains("{ 81 }"));
        gateway.netd(&["rollback", "4"]).prints("netd: revision 1 is back\n");
        assert_eq!(gateway.on_disk(), disk[0]);
        gateway.netd(&["rollback", "9"]).fails(100);

        // During a trial: away with it.
        gateway.edit("run", "open_tcp=\"22\"", "open_tcp=\"90\"");
        gateway.netd(&["try", "1000"]).ok();
        assert!(open().contains("{ 90 }") && list().contains("-  not confirmed  run\n"));
        gateway.netd(&["rollback"]).prints("netd: revision 6 is back\n");
        assert!(open().contains("{ 22 }"));
        assert_eq!((gateway.on_disk(), gateway.newest()), (disk[0].clone(), 6));
        // Also without the service.
        gateway.keeper.tell("d");
        gateway.keeper.wait_stat("down");
        gateway.netd(&["rollback"]).ok();
        assert!(open().contains("{ 81 }"));
        assert_eq!(gateway.on_disk(), disk[2]);
    });
}
