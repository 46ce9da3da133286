//! The templates as they ship, by both shells: which name servers, search domains and hosts come out of the records.

use super::source;
use lab::{Lab, eqnice};
use std::fs;

/// Records `KEY=VALUE KEY=VALUE` by their file's name; `+` in a value is a blank.
fn known(lab: &Lab, files: &[(&str, &str)]) {
    fs::remove_dir_all(lab.path("run")).ok();
    fs::create_dir_all(lab.path("conf")).unwrap();
    for (name, record) in files {
        let words = record.split(' ').map(|w| w.replacen('=', "[$cfg]='", 1).replace('+', " ") + "'\n");
        lab.write(&format!("run/{name}.ipconf"), "let cfg=cfg+1\n".to_owned() + &words.collect::<String>());
    }
}

/// What the template prints behind its first line, which says where it is from.
fn rendered(lab: &Lab, template: &str) -> String {
    let run = |shell: &[&str]| {
        let (program, args) = shell.split_first().unwrap();
        let cmd = lab.cmd(program).args(args).arg(source("fw/etc").join(template)).env("FW_RUNDIR", lab.path("run"));
        cmd.env("PWD", lab.dir()).ok()
    };
    let text = run(&["dash"]);
    eqnice!(run(&["busybox", "ash"]), text);
    text
}

fn behind_the_first_line(text: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(first.starts_with("# made by fw from /"), "{first}");
    rest.to_owned()
}

#[test]
fn name_servers() {
    const ISP: (&str, &str) = ("a", "if=eth0 dns=192.0.2.1+192.0.2.2 domain=isp.example");
    const LTE: (&str, &str) = ("b", "if=wwan0 dns=198.51.100.1+192.0.2.2 search=lte.example+isp.example");
    const VPN: (&str, &str) = ("v", "if=tun0 dns=10.8.0.53 dns_prio=1 domain=vpn.example");
    const OWN: (&str, &str) = ("w", "if=tun0 dns=10.8.0.53 dnsmasq=server=/vpn.example/10.8.0.53+/x.example/10.8.0.54");
    const SILENT: (&str, &str) = ("z", "if=eth0 ip=192.0.2.7");
    let down = |link: &'static str| ("p", if link == "eth0" { "if=eth0 health=down" } else { "if=wwan0 health=down" });
    let up = ("p", "if=eth0 health=up");
    lab::test(|lab| {
        let both = |files: &[(&str, &str)]| {
            known(lab, files);
            let resolv = behind_the_first_line(&rendered(lab, "resolv.conf"));
            let servers = behind_the_first_line(&rendered(lab, "dnsmasq_servers.conf"));
            (resolv.replace("nameserver ", "").replace('\n', "|"), servers.replace("server=", "").replace('\n', "|"))
        };
        let expect = |files: &[(&str, &str)], resolv: &str, servers: &str| {
            assert_eq!(both(files), (resolv.to_owned(), servers.to_owned()), "{files:?}");
        };
        expect(&[], "", "");
        expect(&[SILENT], "", "");
        expect(&[ISP, up], "search isp.example|192.0.2.1|192.0.2.2|", "192.0.2.1|192.0.2.2|");
        // Three at most, each once.
        expect(
            &[ISP, LTE],
            "search isp.example lte.example|192.0.2.1|192.0.2.2|198.51.100.1|",
            "192.0.2.1|192.0.2.2|198.51.100.1|",
        );
        // The higher number wins; search domains are everybody's.
        expect(&[ISP, VPN, SILENT], "search isp.example vpn.example|10.8.0.53|", "10.8.0.53|");
        // A dead uplink's servers are no use, while there are others.
        expect(
            &[ISP, LTE, down("eth0")],
            "search lte.example isp.example|198.51.100.1|192.0.2.2|",
            "198.51.100.1|192.0.2.2|",
        );
        expect(&[ISP, LTE, down("wwan0")], "search isp.example|192.0.2.1|192.0.2.2|", "192.0.2.1|192.0.2.2|");
        expect(&[ISP, down("eth0")], "search isp.example|192.0.2.1|192.0.2.2|", "192.0.2.1|192.0.2.2|");
        // What a record says to dnsmasq is beside the servers of the others.
        expect(
            &[ISP, OWN],
            "search isp.example|192.0.2.1|192.0.2.2|10.8.0.53|",
            "192.0.2.1|192.0.2.2|/vpn.example/10.8.0.53|/x.example/10.8.0.54|",
        );
    });
}

#[test]
fn this_machine_in_its_own_networks() {
    lab::test(|lab| {
        fs::write("/etc/hosts", "127.0.0.1 localhost\n# made by fw from /old\n10.9.9.9 gone\n# end of fw\n::1 six\n")
            .unwrap();
        known(lab, &[("a", "if=eth0 ip=192.0.2.7")]);
        eqnice!(rendered(lab, "hosts"), "127.0.0.1 localhost\n::1 six\n");
        lab.write(
            "conf/lan.ipconf",
            "let cfg++\nif[$cfg]=lo\nip[$cfg]=127.0.0.1\nlet cfg++\nif[$cfg]=eth1\nip[$cfg]=10.0.0.1\n",
        );
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let ours = format!("# made by fw from {}/etc/hosts\n10.0.0.1 {name}# end of fw\n", lab.dir().display());
        eqnice!(rendered(lab, "hosts"), format!("127.0.0.1 localhost\n::1 six\n{ours}"));
    });
}
