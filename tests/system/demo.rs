//! `make demo`: ends well, shows what it promises, and leaves nothing behind.

use std::path::Path;
use std::process::Command;

/// Runs the demo in namespaces where nothing else happens, between two looks at all that it must not change: processes,
/// mounts, interfaces, and the files that a gateway has. /run is this test's own, since mount(8) of others writes there. The demo
/// brings its own /etc and /run, so it does not need a lab.
const BETWEEN_TWO_LOOKS: &str = r#"
look() {
    ps -e -o args= | grep -v '^ps -e\|grep'
    cat /proc/self/mounts /proc/sys/net/ipv4/ip_forward /etc/resolv.conf /etc/hosts
    ip -o link
    ls -A /run /run/netns /run/service /var/service /var/log/service /var/lib/portreeve /etc/sv /mnt /usr/local/sbin 2>&1
}
mount -t tmpfs run /run
before=$(look)
timeout 200 "$1" || exit
after=$(look)
[ "$before" = "$after" ] || printf 'left behind: before\n%s\nafter\n%s\n' "$before" "$after"
"#;

#[test]
fn shows_a_gateway_and_leaves_nothing() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/demo");
    let exe = std::env::current_exe().unwrap();
    let built = exe.parent().and_then(Path::parent).unwrap();
    let out = Command::new("unshare")
        .args(["--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["sh", "-c", BETWEEN_TWO_LOOKS, "sh"])
        .arg(demo)
        .env("BUILT", std::env::var_os("PORTREEVE_BIN").map_or_else(|| built.to_owned(), Into::into))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{shown}\n{}", String::from_utf8_lossy(&out.stderr));
    for expected in [
        " | runsvdir -P /var/service\n",
        "svlogd -tt /var/log/service/dhcp_eth0\n",
        "run: /var/service/dhcp_eth0: (pid ",
        "down: /var/service/fw: ",
        "gw[$cfg]='192.0.2.1'\n",
        "default via 192.0.2.1 dev eth0 proto 80 ",
        "nameserver 192.0.2.1\n",
        "oifname @hidden ip daddr != 169.254.0.0/16 masquerade\n",
        "3 packets transmitted, 3 received, 0% packet loss",
        " ms  cable          cable pulled\n",
        " ms  host           first echo after\n",
        "restarting /var/service/dhcp_eth0\n",
        "restarting /var/service/supplicant_eth0\n",
        "CTRL-EVENT-CONNECTED - Connection to 01:80:c2:00:00:03 completed",
        " ms after the cable\n",
        " bytes from 169.254.1.1: icmp_seq=",
    ] {
        assert!(shown.contains(expected), "{expected:?} is missing in\n{shown}");
    }
    let timeline = shown.split("what happened when").nth(1).unwrap();
    let at = |what: &str| timeline.find(what).unwrap_or_else(|| panic!("{what:?} is missing in {timeline}"));
    assert!(at("cable pulled") < at("delete route default"));
    assert!(at("delete route default") < at("cable plugged back"));
    assert!(at("cable plugged back") < at("add route default"));
    // Without a cable nobody asks for addresses, and nothing is left of the ones there were.
    let pulled = shown.split("the cable is pulled").nth(1).unwrap().split("===").next().unwrap();
    for name in ["dhcp_eth0", "zcip_eth0"] {
        let down = |line: &str| line.starts_with(name) && line.split_whitespace().nth(1) == Some("down,");
        assert!(pulled.lines().any(down), "{name} is down: {pulled}");
    }
    assert!(!pulled.contains("eth0@"), "{pulled}");
    // Without a server there is one address, and it is zcip's; `sv list` shows everyone.
    let without = shown.split("nobody hands out addresses").nth(1).unwrap();
    let address = without.lines().find(|line| line.starts_with("eth0@")).unwrap();
    assert!(address.contains(" 169.254.") && address.split_whitespace().count() == 3, "{address}");
    for name in ["dhcp_eth0", "dhcp_eth0_pinger", "fw", "ifplugd_eth0", "supplicant_eth0", "zcip_eth0"] {
        assert!(without.lines().any(|line| line.split_whitespace().any(|word| word == name)), "{name}: {without}");
    }
    // The seed's processes are on the left, ours on the right.
    for (left, right) in [
        ("  runsv dhcp_eth0", "  runsv dhcp_eth0"),
        ("    svlogd -tt /var/log/service/dhcp_eth0", "    svlogd -tt /var/log/service/dhcp_eth0"),
        ("    udhcpc -vv --foreground", "    dhcpc -f -i eth0"),
        ("  runsv fw", "  runsv fw"),
        ("    zcip -fvv eth0", "    zcip -f --name zcip_eth0"),
    ] {
        let beside =
            |line: &str| line.split_once(" | ").is_some_and(|(l, r)| l.starts_with(left) && r.starts_with(right));
        assert!(shown.lines().any(beside), "{left} | {right} is missing in\n{shown}");
    }
    assert!(!shown.contains("left behind"), "{shown}");
}
