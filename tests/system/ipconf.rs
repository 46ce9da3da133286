//! The scheme's `.ipconf` files are bash: a bash that sources one sees what `netd check --dump` prints.

use lab::Lab;

/// Sources files as a legacy `fw/run` does and prints every array, `RECORD KEY VALUE`, records first.
const SOURCE: &str = r#"
let cfg=0
for file; do . "$file" || exit; done
for ((n = 1; n <= cfg; n++)); do
    for key in $(compgen -v | sort); do
        case $(declare -p "$key" 2>/dev/null) in
        "declare -a"*)
            case $key in [A-Z]*) continue ;; esac
            declare -n array=$key
            [[ ${array[n]+set} ]] && printf '%s %s %s\n' "$n" "$key" "${array[n]}"
            unset -n array ;;
        esac
    done
done
"#;

fn same_as_bash(lab: &Lab, files: &[&str]) -> String {
    let bash = lab.cmd("bash").args(["--norc", "-c", SOURCE, "bash"]).args(files).ok();
    let ours = lab.cmd("netd").args(["check", "--dump"]).args(files).ok();
    lab::eqnice!(ours, bash);
    ours
}

#[test]
fn what_netd_publishes() {
    lab::test(|lab| {
        let dhcp = [
            ("interface", "eth0"),
            ("ip", "192.0.2.7"),
            ("mask", "24"),
            ("router", "192.0.2.1"),
            ("dns", "192.0.2.1 198.51.100.53"),
            ("domain", "example.org"),
            ("staticroutes", "10.0.0.0/8 192.0.2.2 0.0.0.0/0 192.0.2.1"),
            ("lease", "3600"),
        ];
        let publish = |name: &str| lab.cmd("netd").args(["publish", "--run-dir", ".", "--fw", "fw", "--name", name]);
        dhcp.iter().fold(publish("dhcp_eth0").arg("bound"), |cmd, (name, value)| cmd.env(name, value)).output();
        let vpn =
            ["if=tun0", "ipmask=10.8.0.2/24", "net=10.0.0.0/8", "gw=10.8.0.1", "+", "if=tun1", "ipmask=fd00::2/64"];
        publish("vpn").arg("up").args(vpn).output();
        let dump = same_as_bash(lab, &["dhcp_eth0.ipconf", "vpn.ipconf"]);
        for line in ["1 if eth0", "1 ipmask 192.0.2.7/24", "1 dns 192.0.2.1 198.51.100.53"] {
            assert!(dump.lines().any(|l| l == line), "{line} is not in\n{dump}");
        }
        assert!(dump.contains(" ipmask fd00::2/64\n"), "{dump}");
    });
}

#[test]
fn every_spelling_of_the_grammar() {
    lab::test(|lab| {
        lab.write(
            "a.ipconf",
            "\n# two records\nlet cfg=cfg+1\nif[$cfg]=eth0\nip[$cfg]=\"192.0.2.7\"\ngw[$cfg]=''\n\nlet cfg++\n\
             if[$cfg]='ppp0'\nnote[$cfg]=\"a 'quoted' name\"\nremark[$cfg]='with \"double\" ones'\nfoo_2[$cfg]=x\n\
             cfg=$((cfg+1))\nif[$cfg]=eth1   \nweight[$cfg]=1\nweight[$cfg]=2\n",
        );
        lab.write("b.ipconf", "let cfg=cfg+1\nif[$cfg]='eth2'\nroutes[$cfg]='10.0.0.0/8 192.0.2.1'\n");
        lab.write("empty.ipconf", "");
        let dump = same_as_bash(lab, &["a.ipconf", "empty.ipconf", "b.ipconf"]);
        for line in ["2 note a 'quoted' name", "2 remark with \"double\" ones", "3 weight 2", "4 if eth2"] {
            assert!(dump.lines().any(|l| l == line), "{line} is not in\n{dump}");
        }
    });
}

/// What a shell would execute is no value: the file is refused as a whole, with its line, and the others count.
#[test]
fn what_a_shell_would_execute_is_refused() {
    lab::test(|lab| {
        lab.write("good.ipconf", "let cfg=cfg+1\nif[$cfg]='eth0'\n");
        let bad = [
            "if[$cfg]=$(touch executed)",
            "if[$cfg]=`touch executed`",
            "if[$cfg]=\"$(touch executed)\"",
            "if[$cfg]=\"`touch executed`\"",
            "if[$cfg]=eth0; touch executed",
            "if[$cfg]=eth0 touch executed",
            "if[$cfg]=eth0 && touch executed",
            "if[$cfg]='eth0'$(touch executed)",
            "if[$cfg]=a\\ b",
            "if[$(touch executed)]=eth0",
            "touch executed",
            "if[$cfg]='open",
            "if[$cfg]=\"open",
            "if[$cfg]=${HOME}",
            "if[$cfg]=$HOME",
            "if[$cfg]=<(touch executed)",
            "if[$cfg]=x>executed",
        ];
        for (n, line) in bad.iter().enumerate() {
            let name = format!("bad{n}.ipconf");
            lab.write(&name, format!("let cfg=cfg+1\n{line}\n"));
            let out = lab.cmd("netd").args(["check", "--dump", &name, "good.ipconf"]).fails(1);
            assert!(out.stdout.ends_with(" if eth0\n") && out.stdout.lines().count() == 1, "{line}: {}", out.stdout);
            assert!(out.stderr.contains(&format!("{name}:2: ")), "{line}: {}", out.stderr);
            assert_eq!(out.stderr.lines().count(), 1, "{line}: {}", out.stderr);
        }
        assert!(!lab.path("executed").exists());
    });
}
