//! Bridges and VLANs that records name: made, changed and taken away again, on the real kernel.

use super::{applied, conf, fact, incomplete, remove};
use lab::{Lab, Netns, wait_for};

const BRIDGE: &str = "if=br0; bridge=eth1 eth2; ipmask=10.0.0.1/24; mtu=1400";

/// Four interfaces, eth0 to eth3, and what is at the other end of each, as `eth0`; empty directories `conf` and `run`.
fn four_links(lab: &Lab) -> Vec<Netns> {
    for dir in ["conf", "run"] {
        std::fs::create_dir_all(lab.path(dir)).unwrap();
    }
    let far: Vec<Netns> = (0..4).map(|n| lab.netns(&format!("far{n}"))).collect();
    for (near, far) in ["eth0", "eth1", "eth2", "eth3"].iter().zip(&far) {
        lab.cable((&lab.net(), near), (far, "eth0"));
        lab.net().wait_carrier(near, true);
    }
    far
}

/// The ports of a bridge.
fn ports(lab: &Lab, bridge: &str) -> Vec<String> {
    let all = lab.net().ip(&format!("-o link show master {bridge}"));
    all.lines().map(|l| l.split([' ', '@', ':']).filter(|w| !w.is_empty()).nth(1).unwrap().to_owned()).collect()
}

fn has_link(lab: &Lab, name: &str) -> bool {
    lab.net().ip("-o link").contains(&format!(": {name}: "))
}

#[test]
fn a_bridge_comes_changes_and_goes() {
    lab::test(|lab| {
        let far = four_links(lab);
        lab.net().ip("link set eth2 down");
        conf(lab, "lan", BRIDGE);
        let plan = lab.cmd("netd").args(["plan", "conf", "run"]).ok();
        let all = [
            "br0: add bridge (lan.ipconf:1)",
            "eth2: set up (lan.ipconf:1)",
            "br0: set mtu 1400 (lan.ipconf:1)",
            "br0: set up (lan.ipconf:1)",
            "eth1: make it a port of br0 (lan.ipconf:1)",
            "eth2: make it a port of br0 (lan.ipconf:1)",
            "br0: add address 10.0.0.1/24 (lan.ipconf:1)",
        ];
        assert_eq!(applied(lab), all);
        assert_eq!(ports(lab, "br0"), ["eth1", "eth2"]);
        assert!(lab.net().ip("-o link show group 80").contains("br0"));
        // It carries traffic at once, from port to port and to us, and a further run does nothing.
        far[1].address("eth0", "10.0.0.2/24");
        far[2].address("eth0", "10.0.0.3/24");
        for to in ["10.0.0.3", "10.0.0.1"] {
            far[1].cmd(lab, "ping").args(["-n", "-c1", "-W2", to]).ok();
        }
        assert_eq!(applied(lab), [""; 0]);
        lab.cmd("netd").args(["plan", "conf", "run"]).prints("");
        let why = lab.cmd("netd").args(["why", "--conf", "conf", "--run-dir", "run", "lan"]).ok();
        assert!(why.starts_with("conf/lan.ipconf:1: br0: bridge: there\nconf/lan.ipconf:1: br0: port eth1: there\n"));

        // Another port, somebody else's port, a port less.
        lab.net().ip("link add tap9 type veth peer name tap9far");
        lab.net().ip("link set tap9 master br0");
        conf(lab, "lan", &BRIDGE.replace("eth1 eth2", "eth2 eth3"));
        assert_eq!(applied(lab), ["eth3: make it a port of br0 (lan.ipconf:1)", "eth1: no port any more"]);
        assert_eq!(ports(lab, "br0"), ["eth2", "eth3", "tap9"]);

        // Nobody asks for it any more, but somebody uses it.
        remove(lab, "conf/lan.ipconf");
        assert_eq!(
            applied(lab),
            ["br0: delete address 10.0.0.1/24", "eth2: no port any more", "eth3: no port any more"]
        );
        assert_eq!(ports(lab, "br0"), ["tap9"]);
        lab.net().ip("link del tap9");
        assert_eq!(applied(lab), ["br0: delete"]);
        assert!(!lab.path("run/netd.ports").exists(), "a list of nothing is no list");

        // The commands of plan do the same, and what they made is ours.
        conf(lab, "lan", BRIDGE);
        lab.net().ip("link set eth2 down");
        lab.sh(&format!("sh -e <<'E'\n{plan}E")).ok();
        assert_eq!(applied(lab), [""; 0]);
        remove(lab, "conf/lan.ipconf");
        applied(lab);
        assert!(has_link(lab, "br0"), "whose ports they are the kernel does not say");
        lab.net().ip("link set eth1 nomaster");
        lab.net().ip("link set eth2 nomaster");
        lab.net().ip("address flush dev br0");
        assert_eq!(applied(lab), ["br0: delete"]);
    });
}

#[test]
fn the_bridge_of_somebody_else() {
    lab::test(|lab| {
        four_links(lab);
        for args in ["link add br0 type bridge", "link add br9 type bridge", "link set eth2 master br9"] {
            lab.net().ip(args);
        }
        conf(lab, "lan", BRIDGE);
        let (done, said) = incomplete(lab);
        assert!(done.contains(&"eth1: make it a port of br0 (lan.ipconf:1)".to_owned()), "{done:?}");
        assert_eq!(said, ["warning: conf/lan.ipconf:1: eth2: somebody else has made it a part of br9"]);
        conf(lab, "vlan", "if=br9; vlan=eth3 10");
        assert_eq!(
            incomplete(lab).1[0],
            "warning: conf/vlan.ipconf:1: br9: somebody else has made another kind of link of that name"
        );
        remove(lab, "conf/lan.ipconf");
        remove(lab, "conf/vlan.ipconf");
        assert_eq!(applied(lab), ["br0: delete address 10.0.0.1/24", "eth1: no port any more"]);
        assert!(has_link(lab, "br0") && has_link(lab, "br9"));
        assert_eq!(ports(lab, "br9"), ["eth2"]);
    });
}

/// What a run leaves that is killed right after it has made a port: the list was written before.
#[test]
fn a_run_that_was_killed_is_undone_by_the_next() {
    lab::test(|lab| {
        four_links(lab);
        lab.write("run/netd.ports", "eth1 br0\neth2 br0\n");
        lab.net().ip("link add br0 group 80 type bridge");
        lab.net().ip("link set eth1 master br0");
        assert_eq!(applied(lab), ["eth1: no port any more", "br0: delete"]);
        assert!(!lab.path("run/netd.ports").exists());
    });
}

/// On a kernel with VLANs they work; on one without, it is said where they were asked for, and the rest is done.
#[test]
fn vlans() {
    lab::test(|lab| {
        let far = four_links(lab);
        conf(lab, "lan", &format!("{BRIDGE}\nif=guests; vlan=br0 10; ipmask=10.0.10.1/24"));
        fact(lab, "dhcp_eth0", "if=eth0; ipmask=192.0.2.7/24; gw=192.0.2.1; net=0/0");
        let kernel_has_it =
            lab.cmd("ip").args(["link", "add", "link", "eth3", "name", "probe", "type", "vlan", "id", "7"]);
        if kernel_has_it.output().code == 0 {
            lab.net().ip("link del probe");
            let done = applied(lab);
            assert!(done.contains(&"guests: add VLAN 10 of br0 (lan.ipconf:6)".to_owned()), "{done:?}");
            assert!(lab.net().ip("-d link show guests").contains("vlan protocol 802.1Q id 10"));
            let lan = &far[1];
            for args in ["link add link eth0 name v type vlan id 10", "address add 10.0.10.2/24 dev v", "link set v up"]
            {
                lan.ip(args);
            }
            wait_for("an answer on the VLAN", || {
                lan.cmd(lab, "ping").args(["-n", "-c1", "-W1", "10.0.10.1"]).output().code == 0
            });
            assert_eq!(applied(lab), [""; 0]);
            conf(lab, "lan", &format!("{BRIDGE}\nif=guests; vlan=br0 11; ipmask=10.0.10.1/24"));
            assert_eq!(applied(lab)[..2], ["guests: delete", "guests: add VLAN 11 of br0 (lan.ipconf:6)"]);
            remove(lab, "conf/lan.ipconf");
            let done = applied(lab);
            assert_eq!(done[done.len() - 2..], ["guests: delete", "br0: delete"]);
        } else {
            let said = ["warning: conf/lan.ipconf:6: guests: add VLAN 10 of br0: Unknown device type \
                         (Operation not supported on transport endpoint)"];
            let (done, complaints) = incomplete(lab);
            assert_eq!(complaints, said);
            assert!(done.contains(&"br0: add address 10.0.0.1/24 (lan.ipconf:1)".to_owned()), "{done:?}");
            assert!(done.contains(&"eth0: add address 192.0.2.7/24 (dhcp_eth0.ipconf:1)".to_owned()), "{done:?}");
            assert_eq!(incomplete(lab), (Vec::new(), said.map(str::to_owned).to_vec()));
            let status = lab.cmd("netd").args(["status", "--conf", "conf", "--run-dir", "run"]).fails(1).stdout;
            assert!(status.contains("conf/lan.ipconf:6: guests: add VLAN 10 of br0: not done"), "{status}");
            let plan = lab.cmd("netd").args(["plan", "conf", "run"]).ok();
            assert!(plan.contains("ip link add link br0 name guests group 80 type vlan id 10"), "{plan}");
            assert!(plan.contains("ip address add 10.0.10.1/24 dev guests"), "{plan}");
        }
    });
}
