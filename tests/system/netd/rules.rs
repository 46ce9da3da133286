//! `netd rules`: nft gets a ruleset only when it is not what is loaded.

use lab::{Cmd, Lab};

const RULES: &str = "table inet t\ndelete table inet t\ntable inet t {\n\tset ports { type inet_service; elements = $ports; }\n\
    \tset seen { type ipv4_addr; flags dynamic; }\n\tchain c { tcp dport @ports counter accept; }\n}\n";

fn rules(lab: &Lab, ports: &str, more: &[&str]) -> Cmd {
    let ports = format!("ports={{ {ports} }}");
    lab.cmd("netd").arg("rules").args(more).args(["--run-dir", "run", "-D", &ports, "rules.nft"])
}

/// The number of the table, which is another one each time it is made.
fn handle(lab: &Lab) -> Option<String> {
    let all = lab.cmd("nft").args(["-a", "list", "ruleset"]).ok();
    all.lines().find(|l| l.starts_with("table inet t ")).map(str::to_owned)
}

#[test]
fn only_what_changed_is_loaded() {
    lab::test(|lab| {
        std::fs::create_dir(lab.path("run")).unwrap();
        lab.write("rules.nft", RULES);
        rules(lab, "22", &["--check"]).prints("");
        assert_eq!(handle(lab), None);
        rules(lab, "22", &["--first"]).prints("");
        let first = handle(lab).expect("none was there");
        // What grew in a set meanwhile is still there.
        lab.cmd("nft").args(["add", "element", "inet", "t", "seen", "{ 192.0.2.1 }"]).ok();
        for more in [&[][..], &["--check"], &["--first"]] {
            rules(lab, "22", more).prints("");
            assert_eq!(handle(lab).as_ref(), Some(&first), "{more:?}");
        }
        assert!(lab.cmd("nft").args(["list", "ruleset"]).ok().contains("elements = { 192.0.2.1 }"));

        // Another definition, another text, a table that is another one.
        let mut last = first;
        let mut is_new = |what: &str, ports: &str, expected: bool| {
            for more in ["--check", "--first"] {
                rules(lab, ports, &[more]).prints("");
                assert_eq!(handle(lab).as_ref(), Some(&last), "{what} {more}");
            }
            rules(lab, ports, &[]).prints("");
            let now = handle(lab).unwrap();
            assert_eq!(now != last, expected, "{what}");
            last = now;
        };
        is_new("a definition", "22, 80", true);
        is_new("the same again", "22, 80", false);
        lab.write("rules.nft", RULES.replace("accept", "drop"));
        is_new("a text", "22, 80", true);
        lab.write("more.nft", "");
        lab.write("rules.nft", format!("{RULES}include \"./more.nft\"\n"));
        is_new("a file that includes another", "22, 80", true);
        is_new("which may have changed", "22, 80", true);
        lab.write("rules.nft", RULES);
        is_new("and without", "22, 80", true);
        lab.sh("nft flush ruleset; nft add table inet t").ok();
        let others = handle(lab);
        rules(lab, "22, 80", &[]).prints("");
        assert!(handle(lab) != others && lab.cmd("nft").args(["list", "ruleset"]).ok().contains("80"));
    });
}

#[test]
fn mistakes_load_nothing() {
    lab::test(|lab| {
        lab.write("rules.nft", RULES);
        // Without a run directory it is not known what is loaded, and so loaded each time.
        rules(lab, "22", &[]).ok();
        let good = handle(lab);
        assert!(good.is_some());
        lab.write("rules.nft", RULES.replace("accept", "acept"));
        for more in [&[][..], &["--check"], &["--first"]] {
            let out = rules(lab, "22", more).fails(1);
            assert!(out.stderr.contains("rules.nft:6:"), "{}", out.stderr);
            assert_eq!(handle(lab), good);
        }
        let said = |args: &[&str]| lab.cmd("netd").arg("rules").args(args).fails(100).stderr;
        assert_eq!(said(&["none.nft"]), "netd: fatal: unable to read none.nft: file does not exist\n");
        assert_eq!(said(&[]), "netd: fatal: usage: a FILE is missing\n");
        assert_eq!(said(&["a", "b"]), "netd: fatal: usage: unexpected argument \"b\"\n");
    });
}
