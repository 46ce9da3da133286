//! `httpd`, `ftpd`, `tftpd`: a file comes over the network to a host of the LAN, with clients of Debian's busybox.

use super::{edit, enable, goes_down, supervise, wait_log};
use lab::{Cmd, Lab, Netns, Service};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// More than a packet, and every byte.
fn content() -> Vec<u8> {
    (0..200_000u32).map(|n| (n % 251) as u8).collect()
}

/// The server is 192.168.1.1, the client is in the namespace.
fn network(lab: &Lab) -> Netns {
    let host = lab.netns("host");
    lab.cable((&lab.net(), "eth1"), (&host, "eth0"));
    lab.net().address("eth1", "192.168.1.1/24");
    host.address("eth0", "192.168.1.10/24");
    host
}

/// Publishes a file, and one outside of what is published.
fn publish(lab: &Lab, service: &Service) {
    let name = service.name();
    edit(lab, &format!("{name}/run"), "root=/srv/", "root=/run/published #");
    let file = lab.write("/run/published/file", content());
    lab.write("/run/secret", "not published\n");
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
}

/// Debian's own busybox, in the client's namespace.
fn client(lab: &Lab, host: &Netns, applet: &str) -> Cmd {
    host.cmd(lab, "/bin/busybox").arg(applet)
}

/// Fetches as soon as the service says that it is ready, and compares.
#[track_caller]
fn fetch(lab: &Lab, service: &Service, fetch: impl Fn() -> Cmd) {
    service.wait_listening();
    lab.cmd("sv").args(["-w20", "wait", "ready", service.arg()]).ok();
    fetch().ok();
    assert!(fs::read(lab.path("fetched")).unwrap() == content(), "that is another file");
}

#[test]
fn httpd_serves_a_file() {
    lab::test(|lab| {
        lab.install_peers();
        let host = network(lab);
        let httpd = enable("httpd", "httpd");
        publish(lab, &httpd);
        let _runsvdir = supervise(lab);
        let get = |path: &str| {
            client(lab, &host, "wget").args(["-q", "-O", "fetched", &format!("http://192.168.1.1/{path}")])
        };
        fetch(lab, &httpd, || get("file"));
        wait_log("httpd", "httpd: runs busybox httpd");
        wait_log("httpd", "[::ffff:192.168.1.10]:#: url:/file");
        assert_ne!(get("../secret").output().code, 0);
        let status = fs::read_to_string(format!("/proc/{}/status", httpd.pid().unwrap())).unwrap();
        assert!(status.contains("Uid:\t65534\t65534"), "not nobody: {status}");
        goes_down(lab, &httpd);
    });
}

#[test]
fn a_web_server_at_another_port_that_is_a_link_by_another_name() {
    lab::test(|lab| {
        lab.install_peers();
        let host = network(lab);
        let httpd = enable("httpd", "intranet");
        publish(lab, &httpd);
        edit(lab, "intranet/run", "port=80", "port=192.168.1.1:8080");
        let _runsvdir = supervise(lab);
        fetch(lab, &httpd, || client(lab, &host, "wget").args(["-q", "-O", "fetched", "http://192.168.1.1:8080/file"]));
        wait_log("intranet", "intranet: runs busybox httpd");
    });
}

fn ftp(lab: &Lab, found: &str, served: &str) {
    let host = network(lab);
    let ftpd = enable("ftpd", "ftpd");
    publish(lab, &ftpd);
    let _runsvdir = supervise(lab);
    let get =
        |path: &str| client(lab, &host, "ftpget").args(["-u", "anonymous", "-p", "x", "192.168.1.1", "fetched", path]);
    fetch(lab, &ftpd, || get("file"));
    wait_log("ftpd", found);
    wait_log("ftpd", served);
    assert_ne!(get("../secret").output().code, 0);
    // Nobody may write.
    lab.write("new", "new");
    let put = client(lab, &host, "ftpput").args(["-u", "anonymous", "-p", "x", "192.168.1.1", "new", "new"]);
    assert_ne!(put.output().code, 0);
    assert!(!std::path::Path::new("/run/published/new").exists());
    goes_down(lab, &ftpd);
}

#[test]
fn ftpd_of_busybox_serves_a_file() {
    lab::test(|lab| {
        lab.install_peers();
        ftp(lab, "ftpd: runs busybox ftpd", "tcpsvd: start # 192.168.1.1:21-192.168.1.10:*");
    });
}

#[test]
fn ftpd_of_vsftpd_serves_a_file() {
    lab::test(|lab| {
        lab.install_peers();
        without_our_busybox(lab);
        lab.account("ftp:x:65532:65534::/run/published:/usr/sbin/nologin");
        ftp(lab, "ftpd: runs /usr/sbin/vsftpd", "*OK DOWNLOAD*");
    });
}

fn tftp(lab: &Lab, found: &str) {
    let host = network(lab);
    let tftpd = enable("tftpd", "tftpd");
    publish(lab, &tftpd);
    let _runsvdir = supervise(lab);
    let get = |path: &str| client(lab, &host, "tftp").args(["-g", "-l", "fetched", "-r", path, "192.168.1.1"]);
    wait_log("tftpd", found);
    fetch(lab, &tftpd, || get("file"));
    assert_ne!(get("../secret").output().code, 0);
    lab.write("new", "new");
    assert_ne!(client(lab, &host, "tftp").args(["-p", "-l", "new", "-r", "new", "192.168.1.1"]).output().code, 0);
    assert!(!std::path::Path::new("/run/published/new").exists());
    goes_down(lab, &tftpd);
}

#[test]
fn tftpd_of_busybox_serves_a_file() {
    lab::test(|lab| {
        lab.install_peers();
        tftp(lab, "tftpd: runs busybox tftpd");
    });
}

#[test]
fn tftpd_of_tftpd_hpa_serves_a_file() {
    lab::test(|lab| {
        lab.install_peers();
        without_our_busybox(lab);
        tftp(lab, "tftpd: runs /usr/sbin/in.tftpd");
    });
}

/// As on a plain Debian, whose busybox has no network daemons.
pub(super) fn without_our_busybox(lab: &Lab) {
    lab.cmd("mount").args(["--bind", "/bin/busybox", "/usr/local/bin/busybox"]).ok();
}
