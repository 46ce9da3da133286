//! `inetd`: an echo over IPv4 and IPv6, TCP and UDP; its log paged and watched.

use super::files::without_our_busybox;
use super::{edit, enable, goes_down, supervise, wait_log};
use lab::{Lab, Service, wait_for, wait_quietly};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// The server, in a namespace of its own: some answer nobody who seems to be themselves.
const SERVERS: [&str; 2] = ["192.0.2.1:7", "[2001:db8::1]:7"];

fn tcp_echo(server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"over tcp\n")?;
    let mut answer = vec![0; 9];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn udp_echo(server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(b"over udp\n", server)?;
    let mut answer = vec![0; 100];
    let len = socket.recv(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}

fn echoes(lab: &Lab, inetd: &Service, found: &str) {
    let server = lab.netns("server");
    lab.cable((&lab.net(), "eth0"), (&server, "eth0"));
    for (ns, host) in [(&lab.net(), 2), (&server, 1)] {
        ns.address("eth0", &format!("192.0.2.{host}/24"));
        ns.ip(&format!("addr add 2001:db8::{host}/64 dev eth0 nodad"));
    }
    let _runsvdir = server.cmd(lab, "runsvdir").args(["-P", "/var/service"]).spawn();
    wait_log("inetd", found);
    for server in SERVERS {
        let server: SocketAddr = server.parse().unwrap();
        for (echo, text) in [(tcp_echo as fn(_) -> _, "over tcp\n"), (udp_echo, "over udp\n")] {
            let mut last = Err(std::io::ErrorKind::NotConnected.into());
            let came = wait_quietly(Duration::from_secs(20), || {
                last = echo(server);
                last.is_ok()
            });
            assert!(came, "no echo of {text:?} from {server}: {last:?}");
            assert_eq!(last.unwrap(), text.as_bytes());
        }
    }
    // Another service, after `sv hup`.
    let conf = inetd.path().join("inetd.conf");
    fs::write(&conf, lab.read(&conf) + "discard stream tcp6 nowait root internal\n").unwrap();
    assert!(TcpStream::connect("[2001:db8::1]:9").is_err());
    lab.cmd("sv").args(["hup", inetd.arg()]).ok();
    wait_for("the other service", || TcpStream::connect("[2001:db8::1]:9").is_ok());
    goes_down(lab, inetd);
    assert!(tcp_echo(SERVERS[0].parse().unwrap()).is_err());
}

#[test]
fn inetd_of_busybox_echoes() {
    lab::test(|lab| {
        lab.install_peers();
        let inetd = enable("inetd", "inetd");
        echoes(lab, &inetd, "inetd: runs busybox inetd");
    });
}

#[test]
fn inetd_of_openbsd_echoes() {
    lab::test(|lab| {
        lab.install_peers();
        without_our_busybox(lab);
        let inetd = enable("inetd", "inetd");
        // What its inetd.conf says for this one.
        edit(lab, "inetd/inetd.conf", "#echo   stream", "echo   stream");
        edit(lab, "inetd/inetd.conf", "#echo   dgram", "echo   dgram");
        echoes(lab, &inetd, "inetd: runs /usr/sbin/inetd");
    });
}

/// By p_log and w_log, called from elsewhere and through the link.
#[test]
fn its_log_is_paged_and_watched() {
    lab::test(|lab| {
        lab.install_peers();
        let inetd = enable("inetd", "inetd");
        let _runsvdir = supervise(lab);
        wait_log("inetd", "inetd: runs");
        let paged = lab.cmd("/var/service/inetd/p_log").dir("/").ok();
        assert!(paged.contains(" inetd: runs busybox inetd"), "{paged}");
        let watcher = lab.cmd("/var/service/inetd/w_log").dir("/").spawn();
        watcher.wait_line("* inetd: runs busybox inetd*");
        lab.cmd("sv").args(["restart", inetd.arg()]).ok();
        watcher.wait_lines("* inetd: runs busybox inetd*", 2);
    });
}
