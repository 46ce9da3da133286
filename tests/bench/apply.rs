//! `netd apply` with nothing to do and with one change, beside `ip -batch` doing all of it again: whole processes.

use crate::measure::{Samples, budget, now, table};
use lab::Lab;
use std::fmt::Write;
use std::process::{Command, Stdio};

const ROUNDS: usize = 15;

pub(crate) fn run(lab: &Lab) {
    let other = lab.netns("other");
    let _cable = lab.cable((&lab.net(), "eth0"), (&other, "far0"));
    lab.net().wait_carrier("eth0", true);
    for size in [1_usize, 100, 1000] {
        let (conf, run_dir) = (lab.path(&format!("conf{size}")), lab.path(&format!("run{size}")));
        std::fs::create_dir_all(&conf).unwrap();
        std::fs::create_dir_all(&run_dir).unwrap();
        let (mut ipconf, mut batch) = (String::new(), "addr flush dev eth0\n".to_owned());
        for n in 0..size {
            let address = format!("10.{}.{}.1/32", n / 200, n % 200);
            let ip = address.trim_end_matches("/32");
            writeln!(ipconf, "let cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]='{ip}'\nipmask[$cfg]='{address}'").unwrap();
            writeln!(batch, "addr add {address} dev eth0").unwrap();
        }
        std::fs::write(conf.join("all.ipconf"), ipconf).unwrap();
        let batch_file = lab.path("batch");
        std::fs::write(&batch_file, batch).unwrap();
        let apply = || {
            let mut c = Command::new(lab::our("netd"));
            c.arg("apply").arg(&conf).arg(&run_dir);
            c
        };
        let ip = || {
            let mut c = Command::new(lab::peer("ip"));
            c.arg("-batch").arg(&batch_file);
            c
        };
        let mut same = [Samples::of("netd apply"), Samples::of("ip -batch, all again")];
        let mut new = Samples::of("netd apply");
        for _ in 0..ROUNDS {
            lab.net().ip("addr flush dev eth0");
            new.add_span(timed(apply()));
            same[0].add_span(timed(apply()));
        }
        for _ in 0..ROUNDS {
            same[1].add_span(timed(ip()));
        }
        lab.net().ip("addr flush dev eth0");
        table(&format!("{size} addresses, nothing changed"), "ms", false, &same);
        let [_, batch] = same;
        table(&format!("{size} addresses, all new"), "ms", false, &[new, batch]);
    }
    budget("nothing changed, 1000 addresses: at most 15 ms");
}

fn timed(mut command: Command) -> i64 {
    let begun = now();
    let out = command.stdin(Stdio::null()).output().unwrap();
    let span = now() - begun;
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    span
}
