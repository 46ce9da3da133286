//! `sv log`: where the log is, following it through rotation, paging it.

use lab::{Lab, Service, our, peer, wait_for};
use std::path::Path;

/// A service that writes COUNT numbered lines of 60 characters when a line comes through the fifo `go`, with a logger that
/// rotates all the time.
fn chatter(lab: &Lab, svlogd: &Path, count: u32) -> Service {
    let run = format!("read line <go; seq -f 'line %054.0f' 1 {count}; exec sleep 1000");
    let logger =
        format!("mkdir -p main; printf 's5000\\nn0\\n' >main/config; exec {} -l 1000 ./main", svlogd.display());
    let foo = lab.service(&format!("foo{}", lab.fresh())).run(&run).log(&logger).build();
    lab.sh(&format!("mkfifo {}/go", foo.arg())).ok();
    foo
}

fn expected(count: u32) -> String {
    (1..=count).map(|n| format!("line {n:054}\n")).collect()
}

fn listening(lab: &Lab, follower: &lab::Proc) {
    wait_for("sv log to wait", || lab.read(format!("/proc/{}/wchan", follower.pid())).contains("poll"));
}

#[test]
fn following_through_rotation_loses_nothing() {
    lab::test(|lab| {
        const COUNT: u32 = 20_000;
        for svlogd in [our("svlogd"), peer("svlogd")] {
            let foo = chatter(lab, &svlogd, COUNT);
            lab.runsv(&foo);
            foo.log().wait_stat("run");
            wait_for("the log", || foo.path().join("log/main/current").exists());
            let follower = lab.cmd("sv").args(["log", "-n0", foo.arg()]).spawn();
            listening(lab, &follower);
            std::fs::write(foo.path().join("go"), "\n").unwrap();
            let expected = expected(COUNT);
            wait_for("all lines", || follower.stdout().len() >= expected.len());
            lab::eqnice!(follower.stdout(), expected);
            let old = std::fs::read_dir(foo.path().join("log/main")).unwrap().count();
            assert!(old > 100, "only {old} files: that was no test");
            let paged = lab.cmd("sv").args(["log", "-p", foo.arg()]).ok();
            lab::eqnice!(paged, expected);
        }
    });
}

/// A follower that was stopped while the log rotated many times reads on where it was.
#[test]
fn a_follower_that_fell_behind_catches_up() {
    lab::test(|lab| {
        const COUNT: u32 = 3000;
        let foo = chatter(lab, &our("svlogd"), COUNT);
        lab.runsv(&foo);
        wait_for("the log", || foo.path().join("log/main/current").exists());
        let follower = lab.cmd("sv").args(["log", foo.arg()]).spawn();
        listening(lab, &follower);
        follower.signal(nix::sys::signal::SIGSTOP);
        std::fs::write(foo.path().join("go"), "\n").unwrap();
        let last = format!("{COUNT:054}\n");
        let current = foo.path().join("log/main/current");
        wait_for("the last line", || std::fs::read_to_string(&current).is_ok_and(|text| text.ends_with(&last)));
        follower.signal(nix::sys::signal::SIGCONT);
        let expected = expected(COUNT);
        wait_for("all lines", || follower.stdout().len() >= expected.len());
        lab::eqnice!(follower.stdout(), expected);
    });
}

#[test]
fn found_where_it_is() {
    lab::test(|lab| {
        let sv = |args: &[&str]| lab.cmd("sv").env("SVDIR", lab.path("sv")).arg("log").arg("-p").args(args);
        // The running logger's own directory wins over the usual places.
        let foo = lab
            .service("foo")
            .run("echo from run; exec sleep 1000")
            .log("mkdir -p /run/elsewhere/logs; cd /run/elsewhere; exec svlogd -b 1024 logs")
            .build();
        lab.write("/var/log/service/foo/current", "usual place\n");
        sv(&["foo"]).prints("usual place\n");
        lab.runsv(&foo);
        wait_for("the line", || std::fs::read("/run/elsewhere/logs/current").is_ok_and(|text| text == b"from run\n"));
        sv(&["foo"]).prints("from run\n");
        sv(&[&format!("{}/", foo.arg())]).prints("from run\n");
        // log/main and a log directory itself.
        lab.write("sv/bar/log/main/current", "bar\n");
        sv(&["bar"]).prints("bar\n");
        sv(&["./sv/bar/log/main"]).prints("bar\n");
        let out = sv(&["nowhere"]).fails(1);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", "sv: fatal: unable to find the log of nowhere\n"));
        let out = lab.cmd("sv").args(["log", "foo", "bar"]).fails(100);
        assert_eq!(out.stderr, "usage: sv log [-pr] [-n lines] service\n\n");
    });
}

#[test]
fn the_end_and_what_comes() {
    lab::test(|lab| {
        let current = lab.write("logs/current", "one\ntwo\nthree\n");
        let follow = |n: &str| lab.cmd("sv").args(["log", n, "./logs"]).spawn();
        let (two, none, all) = (follow("-n2"), follow("-n0"), follow("-n99"));
        for follower in [&two, &none, &all] {
            listening(lab, follower);
        }
        let append = |text: &str| lab.sh(&format!("printf '{text}' >>{}", current.display())).ok();
        append("@400000006b0311ac20e9b284 fo");
        append("ur\\n");
        for (follower, text) in [(&two, "two\nthree\n"), (&none, ""), (&all, "one\ntwo\nthree\n")] {
            follower.wait_line("2026-11-22_16:00:34.55218 four");
            assert_eq!(follower.stdout(), format!("{text}2026-11-22_16:00:34.55218 four\n"));
        }
        // As it is in the file.
        let raw = lab.cmd("sv").args(["log", "-prn1", "./logs"]).ok();
        assert_eq!(raw, "one\ntwo\nthree\n@400000006b0311ac20e9b284 four\n");
        // Whoever reads has enough: it ends although nothing more comes.
        lab.sh("sv log ./logs | head -n1").prints("one\n");
    });
}

#[test]
fn paged_on_a_terminal() {
    lab::test(|lab| {
        lab.write("logs/@400000006b0311ac20e9b284.s", "old\n");
        lab.write("logs/@400000006b0311ac20e9b285.u", "newer\n");
        lab.write("logs/@400000006b0311ac20e9b286.t", "unfinished\n");
        lab.write("logs/current", "now\n");
        let on_terminal = |pager: &str| {
            lab.cmd("script")
                .args(["-qec", "sv log -p ./logs", "/dev/null"])
                .env("PAGER", pager)
                .env("TERM", "xterm")
                .ok()
        };
        assert_eq!(on_terminal("sed s/^/paged:/"), "paged:old\r\npaged:newer\r\npaged:now\r\n");
        assert_eq!(on_terminal("head -n1"), "old\r\n", "a pager that ends early");
        lab.cmd("sv").args(["log", "-p", "./logs"]).env("PAGER", "false").prints("old\nnewer\nnow\n");
    });
}
