//! The daemons of the full gateway, used from the own network, and what of them the internet reaches.

use super::{all_daemons, gateway};
use lab::{Lab, Netns, wait_for};

/// Whether somebody takes a connection to the port.
fn takes(lab: &Lab, from: &Netns, address: &str, port: u16) -> bool {
    lab.sh(&format!("/bin/busybox nc -w 1 {address} {port} </dev/null")).netns(from).output().code == 0
}

#[test]
fn the_own_network_reaches_all_and_the_internet_ssh() {
    lab::test(|lab| {
        all_daemons(lab);
        let world = gateway(lab);
        world.host_comes_up(lab);
        std::fs::write("/srv/www/hello", "from the gateway\n").unwrap();
        world.on_host(lab, "/bin/busybox wget -q -O - http://192.168.1.1/hello").prints("from the gateway\n");
        wait_for("sshd", || takes(lab, &world.host, "192.168.1.1", 22));
        let key = world.on_host(lab, "ssh-keyscan -T 5 192.168.1.1").ok();
        assert!(key.contains("192.168.1.1 ssh-ed25519 "), "{key}");
        let names = world.on_host(lab, "/bin/busybox nslookup -type=a www.example 192.168.1.1").ok();
        assert!(names.contains(super::INTERNET), "{names}");

        let address = lab.net().ip("-4 -o address show dev eth0").split_whitespace().nth(3).unwrap().to_owned();
        let address = address.split('/').next().unwrap();
        assert!(takes(lab, &world.provider, address, 22));
        for port in [53, 80] {
            assert!(takes(lab, &world.host, "192.168.1.1", port), "{port}");
            assert!(!takes(lab, &world.provider, address, port), "{port}");
        }
    });
}
