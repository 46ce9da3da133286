//! `netd wait`: ends when the files are there, whatever of their path was missing before.

use lab::{Lab, Proc, wait_for};

fn waiting(lab: &Lab, args: &[&str]) -> Proc {
    let waiter = lab.cmd("netd").arg("wait").args(args).env("FW_RUNDIR", lab.path("run/fw")).spawn();
    wait_for("netd to wait", || lab.read(format!("/proc/{}/wchan", waiter.pid())).contains("poll"));
    waiter
}

#[test]
fn until_fw_has_run() {
    lab::test(|lab| {
        let waiter = waiting(lab, &[]);
        for step in ["mkdir run", "mkdir run/fw", ": >run/fw/.up.new", ": >run/fw/down", ": >run/fw/other"] {
            lab.sh(step).ok();
        }
        assert!(!waiter.ended());
        lab.sh("mv run/fw/.up.new run/fw/up").ok();
        assert_eq!(waiter.wait(), 0);
        // There already.
        lab.cmd("netd").arg("wait").env("FW_RUNDIR", lab.path("run/fw")).prints("");
    });
}

#[test]
fn a_directory_that_is_moved_into_place() {
    lab::test(|lab| {
        let waiter = waiting(lab, &["a/b/c", "d"]);
        lab.sh("mkdir -p a x; : >x/c; rmdir a; mkdir a; : >a/y; mv x a/b").ok();
        assert!(!waiter.ended(), "d is missing");
        lab.sh("ln -s nowhere d").ok();
        lab.sh(": >nowhere").ok();
        assert_eq!(waiter.wait(), 0);
    });
}

#[test]
fn what_cannot_be_waited_for() {
    lab::test(|lab| {
        let out = lab.cmd("netd").args(["wait", "--long"]).fails(100);
        assert_eq!(out.stderr, "netd: fatal: usage: invalid option '--long'\n");
        lab.write("file", "");
        let waiter = waiting(lab, &["file/inside"]);
        lab.sh("rm file; mkdir file; : >file/inside").ok();
        assert_eq!(waiter.wait(), 0);
    });
}
