//! `unscd`: a name is remembered.

use super::{edit, enable, goes_down, program, supervise, under_ash, wait_log};
use lab::{Lab, wait_for};
use std::fs;
use std::path::Path;

fn address_of(lab: &Lab, name: &str) -> String {
    lab.cmd("getent").args(["hosts", name]).ok().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn unscd_remembers_a_name() {
    lab::test(|lab| {
        lab.install_peers();
        // What Debian's package has, but nobody looks whether the file changed.
        fs::write(
            "/etc/nscd.conf",
            "enable-cache hosts yes\npositive-time-to-live hosts 600\nnegative-time-to-live hosts 20\n\
             check-files hosts no\n",
        )
        .unwrap();
        let hosts =
            |address: &str| fs::write("/etc/hosts", format!("127.0.0.1 localhost\n{address} printer.lan\n")).unwrap();
        hosts("192.168.1.50");
        let unscd = enable("unscd", "unscd");
        under_ash("/run/sv/unscd");
        edit(lab, "unscd/run", "options=\"\"", "options=-dd");
        let _runsvdir = supervise(lab);
        unscd.wait_listening();
        lab.cmd("sv").args(["-w20", "wait", "ready", unscd.arg()]).ok();
        wait_log("unscd", "unscd: runs /usr/sbin/nscd");
        assert_eq!(program(&unscd), "nscd");

        assert_eq!(address_of(lab, "printer.lan"), "192.168.1.50");
        hosts("192.168.1.51");
        assert_eq!(address_of(lab, "printer.lan"), "192.168.1.50", "remembered");
        wait_log("unscd", "found in cache");
        // unscd passes a request over that does not come in one piece.
        wait_for("it to forget", || {
            lab.cmd("/usr/sbin/nscd").args(["-i", "hosts"]).ok();
            address_of(lab, "printer.lan") == "192.168.1.51"
        });

        goes_down(lab, &unscd);
        assert!(!Path::new("/run/nscd/socket").exists(), "nobody asks one that is gone");
        hosts("192.168.1.52");
        assert_eq!(address_of(lab, "printer.lan"), "192.168.1.52");
    });
}
