//! What is not changed is not disturbed, and what is not ours is not touched.

use super::World;

/// Counters count on over runs that do not change the rules, and start again when the rules change.
#[test]
fn counters_survive_a_run_without_a_change() {
    lab::test(|lab| {
        let world = World::new(lab);
        world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
        let _runsvdir = world.supervise();
        assert!(world.host_reaches_internet());
        let rules = || lab.cmd("nft").args(["list", "chain", "inet", "portreeve", "forward"]).ok();
        let counted = "oifname @wan counter packets 1 bytes 84 accept";
        assert!(rules().contains(counted), "{}", rules());
        world.kick();
        assert!(rules().contains(counted), "{}", rules());

        let run = lab.read("/run/sv/fw/run");
        std::fs::write("/run/sv/fw/run", run.replace("open_tcp=\"22\"", "open_tcp=\"22, 8000-8010\"")).unwrap();
        world.kick();
        assert!(rules().contains("oifname @wan counter packets 0 bytes 0 accept"), "{}", rules());
        assert!(lab.cmd("nft").args(["list", "ruleset"]).ok().contains("8000-8010"));
    });
}

/// Tables, routes and addresses of others stay, and our table comes back when somebody flushed the ruleset.
#[test]
fn what_is_not_ours_is_left_alone() {
    lab::test(|lab| {
        let world = World::new(lab);
        let net = lab.net();
        lab.cmd("nft").args(["add", "table", "ip", "theirs"]).ok();
        net.address("eth1", "172.16.0.1/24");
        world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
        let _runsvdir = world.supervise();
        net.ip("route add 172.17.0.0/16 via 172.16.0.2");
        world.publish("a", "if=eth0 ip=192.0.2.8 ipmask=192.0.2.8/24 net=0/0 gw=192.0.2.1");
        world.kick();
        assert!(world.has_address("172.16.0.1/24") && world.has_address("192.0.2.8/24"));
        assert!(net.ip("route").contains("172.17.0.0/16 via 172.16.0.2"));
        let tables = || lab.cmd("nft").args(["list", "tables"]).ok();
        assert_eq!(tables(), "table ip theirs\ntable inet portreeve\n");

        lab.cmd("nft").args(["flush", "ruleset"]).ok();
        world.kick();
        assert_eq!(tables(), "table inet portreeve\n");
        assert!(world.host_reaches_internet());
    });
}

/// RFC 3927 section 7: what is link-local is never forwarded; this machine itself uses its address there, unhidden.
#[test]
fn link_local_stays_on_its_link() {
    lab::test(|lab| {
        let world = World::new(lab);
        world.publish("a", "if=eth0 ip=192.0.2.7 ipmask=192.0.2.7/24 net=0/0 gw=192.0.2.1");
        world.publish("z", "if=eth0 ip=169.254.7.8 ipmask=169.254.7.8/16 metric=1000");
        let _runsvdir = world.supervise();
        assert!(world.host_reaches_internet());
        world.provider.address("cable", "169.254.1.1/16");
        lab.cmd("ping").args(["-n", "-c", "1", "-W", "5", "169.254.1.1"]).ok();
        world.host.cmd(lab, "ping").args(["-n", "-c", "1", "-W", "1", "169.254.1.1"]).fails(1);
    });
}
