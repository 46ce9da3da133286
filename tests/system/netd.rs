//! netd's sub-commands on a real kernel: `.ipconf` files in, addresses, routes and files out.

mod apply;
mod files;
mod links;
mod many;
mod plan;
mod publish;
mod random;
mod rules;
mod status;
mod wait;
mod why;

use lab::{Cmd, Lab, Output};

/// A record in the form `KEY=VALUE; KEY=VALUE`, a line for each; as the text of a file.
fn ipconf(records: &str) -> String {
    let mut text = String::new();
    for record in records.lines().map(str::trim).filter(|r| !r.is_empty()) {
        text += "let cfg=cfg+1\n";
        for word in record.split(';') {
            let (key, value) = word.trim().split_once('=').expect("KEY=VALUE");
            text += &format!("{key}[$cfg]='{value}'\n");
        }
    }
    text
}

/// The administrator's file `conf/NAME.ipconf`.
fn conf(lab: &Lab, name: &str, records: &str) {
    lab.write(&format!("conf/{name}.ipconf"), ipconf(records));
}

/// A service's file `run/NAME.ipconf`.
fn fact(lab: &Lab, name: &str, records: &str) {
    lab.write(&format!("run/{name}.ipconf"), ipconf(records));
}

fn remove(lab: &Lab, path: &str) {
    std::fs::remove_file(lab.path(path)).unwrap();
}

/// Two interfaces, eth0 to the name space `isp` and eth1 to `lan`, and empty directories `conf` and `run`.
fn gateway(lab: &Lab) {
    for (near, far) in [("eth0", "isp"), ("eth1", "lan")] {
        lab.cable((&lab.net(), near), (&lab.netns(far), "eth0"));
    }
    for link in ["eth0", "eth1"] {
        lab.net().wait_carrier(link, true);
    }
    for dir in ["conf", "run"] {
        std::fs::create_dir_all(lab.path(dir)).unwrap();
    }
}

fn apply(lab: &Lab) -> Cmd {
    lab.cmd("netd").args(["apply", "conf", "run"])
}

/// Applies, which must go well, and returns the lines without `netd: `.
#[track_caller]
fn applied(lab: &Lab) -> Vec<String> {
    changes(&apply(lab).ok())
}

fn changes(stdout: &str) -> Vec<String> {
    stdout.lines().map(|l| l.strip_prefix("netd: ").expect("netd's own lines").to_owned()).collect()
}

/// Applies, which must be incomplete; the changes and the complaints.
#[track_caller]
fn incomplete(lab: &Lab) -> (Vec<String>, Vec<String>) {
    let Output { stdout, stderr, .. } = apply(lab).fails(1);
    (changes(&stdout), changes(&stderr))
}
