//! `sv list`, read as a person and as a program would.

use super::{notifying, say_ready};
use lab::{Lab, Service, peer, wait_for};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

fn list(lab: &Lab, args: &[&str], code: i32) -> Vec<Value> {
    let out = lab.cmd("sv").env("SVDIR", lab.path("sv")).args(["list", "--json"]).args(args).fails(code);
    assert_eq!(out.stderr, "");
    serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", out.stdout))
}

fn fields(v: &Value) -> Vec<&str> {
    v.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_state() {
    lab::test(|lab| {
        let run = lab.service("b_run").run("exec sleep 1000").log("exec cat").build();
        let down = lab.service("a_down").run("exec sleep 1000").down().build();
        let ended = lab.service("c_ended").run("exit 7").finish("exec sleep 1000").build();
        lab.service("d_never").run("exec sleep 1000").build();
        let gone = lab.service("e_gone").run("exec sleep 1000").build();
        let foo = notifying(lab);
        std::fs::remove_file(foo.path().join("down")).unwrap();
        lab.write("sv/file", "");
        lab.write("sv/.hidden/run", "");
        for s in [&run, &down, &ended, &foo] {
            lab.runsv(s);
        }
        let supervisor = lab.runsv(&gone);
        gone.tell("x");
        assert_eq!(supervisor.wait(), 0);
        run.wait_stat("run");
        run.tell("k");
        wait_for("the second run", || run.lines("supervise/history").first().is_some_and(|l| l == "starts 2"));
        run.wait_stat("run");
        run.log().wait_stat("run");
        ended.wait_stat("finish");
        foo.wait_stat("run");

        let all = list(lab, &[], 2);
        let names: Vec<_> = all.iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["a_down", "b_run", "c_ended", "d_never", "e_gone", "foo"]);
        let [a, b, c, d, e, f] = &all[..] else { panic!("{all:?}") };
        assert_eq!(
            (&a["state"], &a["pid"], &a["normally"], &a["want"]),
            (&json!("down"), &Value::Null, &json!("down"), &json!("down"))
        );
        assert_eq!((&a["restarts"], &a["exit"], &a["log"]), (&json!(0), &Value::Null, &Value::Null));
        assert_eq!((&b["state"], &b["pid"], &b["ready"]), (&json!("run"), &json!(run.pid()), &Value::Null));
        assert_eq!((&b["restarts"], &b["exit"]), (&json!(1), &json!({"code": null, "signal": "KILL", "core": false})));
        assert_eq!((&b["log"]["state"], &b["log"]["pid"]), (&json!("run"), &json!(run.log().pid())));
        assert_eq!((&c["state"], &c["exit"]["code"]), (&json!("finish"), &json!(7)));
        assert_eq!(d["problem"], json!("unable to open supervise/ok: file does not exist"));
        assert_eq!((&e["problem"], &e["state"]), (&json!("runsv not running"), &Value::Null));
        assert_eq!((&f["state"], &f["ready"]), (&json!("run"), &json!(false)));
        assert!(b["since"].as_f64().unwrap() > 1e9 && b["uptime"].as_u64().unwrap() < 3600);
        // What a program may rely on: the same fields for every service, and for its log all but three of them.
        for s in &all {
            assert_eq!(fields(s), fields(a));
            assert_eq!(s["problem"].is_null(), s["state"].is_string());
        }
        let of_log: Vec<_> = fields(a).into_iter().filter(|f| !["name", "log"].contains(f)).collect();
        assert_eq!(fields(&b["log"]), of_log);

        say_ready(&foo);
        wait_for("ready", || list(lab, &["foo"], 0)[0]["ready"] == json!(true));
        let table = lab.cmd("sv").env("SVDIR", lab.path("sv")).args(["list", "b_run", "foo", "e_gone"]).fails(1).stdout;
        let lines: Vec<_> = table.lines().collect();
        assert!(lab::matches(lines[0], "NAME *STATE *PID  UPTIME  READY  RESTARTS  EXIT     LOG"), "{table}");
        assert!(lab::matches(lines[1], "b_run   run * #  *s  -             1  SIGKILL  run"), "{table}");
        assert!(lab::matches(lines[2], "foo     run * #  *s  yes           0  -        -"), "{table}");
        assert!(lab::matches(lines[3], "e_gone  runsv not running *-       -  -             -  -        -"), "{table}");
    });
}

#[test]
fn directories_and_services_by_name() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        let bar = lab.service_at("other/bar").run("exec sleep 1000").build();
        lab.runsv(&foo);
        // A packaged runsv has no history to tell.
        lab.runsv_of(&peer("runsv"), &bar);
        bar.wait_stat("run");
        let names = |args: &[&str]| -> Vec<String> {
            list(lab, args, 0).iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&["other/", "foo", "./sv/foo/"]), ["other/bar", "foo", "./sv/foo/"]);
        let all = list(lab, &[lab.path("other").to_str().unwrap()], 0);
        assert_eq!((&all[0]["name"], &all[0]["restarts"]), (&json!(bar.arg()), &Value::Null));
        let out = lab.cmd("sv").env("SVDIR", "/nowhere").arg("list").fails(100);
        assert_eq!(out.stderr, "sv: fatal: unable to open directory /nowhere: file does not exist\n");
        let all = list(lab, &["/nowhere", "nothing", bar.arg()], 2);
        assert_eq!(all[0]["problem"], json!("unable to change to service directory: file does not exist"));
        assert_eq!((&all[1]["name"], &all[2]["state"]), (&json!("nothing"), &json!("run")));
        lab.sh("mkdir empty; sv list --json ./empty/").prints("[\n]\n");
    });
}

#[test]
fn names_are_bytes() {
    lab::test(|lab| {
        let name = OsStr::from_bytes(b"a \"\\\x1b\xff\n");
        let odd = Service::at(lab.path("sv").join(name));
        lab.service_at(odd.path()).run("exec sleep 1000").build();
        lab.cmd("runsv").arg(odd.path()).spawn();
        odd.wait_stat("run");
        let all = list(lab, &[], 0);
        assert_eq!(
            (&all[0]["name"], &all[0]["name_hex"]),
            (&json!("a \"\\\u{1b}\u{fffd}\n"), &json!("6120225c1bff0a"))
        );
        let table = lab.cmd("sv").env("SVDIR", lab.path("sv")).arg("list").ok();
        assert!(table.lines().count() == 2 && !table.contains('\u{1b}'), "{table:?}");
    });
}

#[test]
fn colours_on_a_terminal_only() {
    lab::test(|lab| {
        let foo = lab.service("foo").run("exec sleep 1000").build();
        lab.runsv(&foo);
        foo.wait_stat("run");
        let coloured = |env: &[(&str, &str)]| {
            let mut cmd = lab.cmd("script").args(["-qec", "sv list ./sv", "/dev/null"]);
            for (name, value) in env {
                cmd = cmd.env(name, value);
            }
            let text = cmd.ok();
            assert!(text.contains("foo"), "{text}");
            text.contains("\u{1b}[32mrun\u{1b}[0m")
        };
        assert!(coloured(&[("TERM", "xterm")]));
        assert!(coloured(&[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(!coloured(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(!coloured(&[("TERM", "dumb")]));
        let piped = lab.cmd("sv").env("TERM", "xterm").args(["list", "./sv"]).ok();
        assert!(!piped.contains('\u{1b}'), "{piped}");
    });
}
