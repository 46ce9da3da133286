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
        let mut rows = vec![Samples::of("netd apply, no change"), Samples::of("ip -batch, all again")];
        lab.net().ip("addr flush dev eth0");
        let mut first = Samples::of("netd apply, all new");
        first.add_span(timed(apply()));
        for _ in 0..ROUNDS {
            rows[0].add_span(timed(apply()));
        }
        for _ in 0..ROUNDS {
            rows[1].add_span(timed(ip()));
        }
        lab.net().ip("addr flush dev eth0");
        rows.push(first);
        table(&format!("{size} addresses"), "ms", false, &rows);
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
