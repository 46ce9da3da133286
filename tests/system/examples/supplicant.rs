//! supplicant_if at a switch that asks who is there (IEEE 802.1X), with DHCP and pinger behind it.

use super::{edit, under_ash, wait_log};
use crate::fw::{World, install};
use lab::{Lab, install_peer, wait_for};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What hostapd's authenticator tells is done to the port: nothing but its own frames passes until somebody is authorised.
const SWITCH: &str = r#"#!/bin/sh
case $2 in
AP-STA-CONNECTED) exec nft flush chain netdev port in ;;
AP-STA-DISCONNECTED) exec nft add rule netdev port in ether type != 0x888e drop ;;
esac
"#;

const CLOSED: &str = "table netdev port { chain in { type filter hook ingress device cable priority 0; \
                      ether type != 0x888e drop; }; }";

/// The provider's end of the gateway's cable is a port of such a switch.
pub(super) fn guard(world: &World<'_>) -> lab::Proc {
    let lab = world.lab;
    let users = lab.write("users", "\"gateway\" PWD \"secret\"\n");
    let conf = format!(
        "interface=cable\ndriver=wired\nieee8021x=1\neapol_version=2\nuse_pae_group_addr=1\neap_server=1\neap_user_file={}\n\
         logger_stdout=-1\nlogger_stdout_level=1\nctrl_interface=/run/hostapd\n",
        users.display()
    );
    let conf = lab.write("hostapd.conf", conf);
    lab.cmd("nft").arg(CLOSED).netns(&world.provider).ok();
    let hostapd = lab.cmd("hostapd").arg(conf).netns(&world.provider).spawn();
    hostapd.wait_line("*AP-ENABLED*");
    let switch = lab.write("switch", SWITCH);
    fs::set_permissions(&switch, fs::Permissions::from_mode(0o755)).unwrap();
    let _listens = lab.cmd("hostapd_cli").args(["-p", "/run/hostapd", "-a"]).arg(switch).netns(&world.provider).spawn();
    hostapd
}

pub(super) fn wired(lab: &Lab, password: &str) {
    install("examples/supplicant_if", "/var/service/supplicant_eth0");
    let conf = "/var/service/supplicant_eth0/wpa_supplicant.conf";
    let text = lab.read(conf);
    // As the file says: the lines at its end instead of the first network.
    let (first, second) = text.split_once("#ap_scan=0\n").unwrap();
    let first = &first[..first.find("network={").unwrap()];
    let text = format!("{first}ap_scan=0\n{}", second.replace('#', ""))
        .replace("identity=\"to be edited", "identity=\"gateway");
    fs::write(conf, text.replace("password=\"to be edited\"", &format!("password=\"{password}\""))).unwrap();
}

pub(super) fn peers() {
    for name in ["hostapd", "hostapd_cli", "wpa_supplicant", "wpa_cli"] {
        install_peer(name);
    }
}

/// Nothing passes before; then there is a lease and a path. The switch forgets who is there: pinger's restart brings it back.
#[test]
fn wired_port() {
    lab::test(|lab| {
        peers();
        let world = World::new(lab);
        wired(lab, "secret");
        install("examples/dhcp_if", "/var/service/dhcp_eth0");
        install("examples/dhcp_if_pinger", "/var/service/dhcp_eth0_pinger");
        edit(lab, "dhcp_eth0_pinger/run", "options=\"\" ", "options=\"--interval 0.5 --down 3\" ");
        let _dhcp = world.serve(&[]);
        let hostapd = guard(&world);
        let _runsvdir = world.supervise();
        lab.cmd("sv").args(["-w", "15", "start", "/var/service/supplicant_eth0"]).ok();
        hostapd.wait_line("*IEEE 802.1X: authorizing port");
        wait_for("a path from the host to the internet", || world.host_reaches_internet());
        wait_log("dhcp_eth0_pinger", "eth0: up");

        let mac = lab.net().mac("eth0");
        lab.cmd("hostapd_cli").args(["-p", "/run/hostapd", "deauthenticate", &mac]).netns(&world.provider).ok();
        wait_for("the closed port", || {
            lab.cmd("nft").args(["list", "table", "netdev", "port"]).netns(&world.provider).ok().contains("drop")
        });
        assert!(!world.host_reaches_internet());
        wait_log("dhcp_eth0_pinger", "restarting /var/service/supplicant_eth0");
        hostapd.wait_lines("*IEEE 802.1X: authorizing port", 2);
        wait_for("a path from the host to the internet", || world.host_reaches_internet());
    });
}

/// The wrong password opens nothing, and `sv` can tell.
#[test]
fn wired_port_with_the_wrong_password() {
    lab::test(|lab| {
        peers();
        let world = World::new(lab);
        wired(lab, "wrong");
        under_ash("/var/service/supplicant_eth0");
        install("examples/dhcp_if", "/var/service/dhcp_eth0");
        let _dhcp = world.serve(&[]);
        let hostapd = guard(&world);
        let _runsvdir = world.supervise();
        wait_log("supplicant_eth0", "CTRL-EVENT-EAP-FAILURE EAP authentication failed");
        lab.cmd("sv").args(["-w", "1", "check", "/var/service/supplicant_eth0"]).fails(1);
        assert!(!world.host_reaches_internet() && !hostapd.stdout().contains(": authorizing port\n"));
    });
}

/// Without a wireless interface, the shipped configuration is seen to ask for the wireless driver.
#[test]
fn wireless_is_the_default() {
    lab::test(|lab| {
        peers();
        let world = World::new(lab);
        install("examples/supplicant_if", "/var/service/supplicant_eth0");
        let _runsvdir = world.supervise();
        wait_log("supplicant_eth0", "nl80211");
    });
}
