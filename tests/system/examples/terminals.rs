//! `getty_tty1`, `nmeter`, `gpm`: services of a terminal, here a pty.

use super::{edit, enable, goes_down, program, supervise};
use crate::fw::install;
use lab::{Lab, Service, wait_for};
use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

/// The side of the screen and the keyboard.
struct Terminal {
    master: PtyMaster,
    screen: Arc<Mutex<String>>,
}

/// A /dev with a pty in place of the console `name`.
fn terminal(lab: &Lab, name: &str) -> Terminal {
    private_dev(lab);
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = ptsname_r(&master).unwrap();
    let node = format!("/dev/{name}");
    fs::write(&node, "").unwrap();
    lab.cmd("mount").args(["--bind", &slave, &node]).ok();
    let screen = Arc::new(Mutex::new(String::new()));
    let (shown, mut from) = (Arc::clone(&screen), fs::File::from(master.as_fd().try_clone_to_owned().unwrap()));
    std::thread::spawn(move || {
        let mut buf = [0; 4096];
        loop {
            match from.read(&mut buf) {
                Ok(0) => return,
                Ok(n) => {
                    let text = String::from_utf8_lossy(&buf[..n]).into_owned();
                    lab::note(&format!("screen: {text}"));
                    shown.lock().unwrap().push_str(&text);
                }
                // Nobody has it open on the other side yet, or any more.
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
    });
    Terminal { master, screen }
}

/// Of the lab alone, with what every program expects and ptys of its own.
fn private_dev(lab: &Lab) {
    lab.sh("mkdir /run/dev && mount --bind /dev /run/dev && mount -t tmpfs dev /dev && cd /dev && mkdir pts shm &&
         for node in null zero full random urandom tty; do : >$node; mount --bind /run/dev/$node $node || exit; done &&
         mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts pts && ln -s pts/ptmx ptmx")
        .ok();
}

impl Terminal {
    fn types(&self, line: &str) {
        (&self.master).write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn wait_shown(&self, text: &str) {
        wait_for(&format!("{text:?} on the screen"), || self.screen.lock().unwrap().contains(text));
    }

    /// The last thing shown is a question.
    #[track_caller]
    fn wait_asked(&self, text: &str) {
        wait_for(&format!("{text:?} at the end of the screen"), || self.screen.lock().unwrap().ends_with(text));
    }
}

/// Logs in as `keeper` with a password, is who he is, and logs out; then there is another login.
fn logs_in(lab: &Lab, getty: &Service, terminal: &Terminal) {
    lab.account("keeper:x:1234:1234::/tmp:/bin/sh");
    let hash = lab.cmd("/bin/busybox").args(["mkpasswd", "-m", "sha512", "-S", "saltsalt", "open sesame"]).ok();
    fs::remove_file("/etc/shadow").unwrap();
    fs::write("/etc/shadow", format!("keeper:{}:19000:0:99999:7:::\n", hash.trim_end())).unwrap();

    let first = getty.wait_new_pid(None);
    terminal.wait_asked("login: ");
    terminal.types("keeper");
    terminal.wait_asked("Password: ");
    terminal.types("wrong");
    terminal.wait_shown("Login incorrect");
    terminal.wait_asked("login: ");
    terminal.types("keeper");
    terminal.wait_asked("Password: ");
    terminal.types("open sesame");
    terminal.wait_asked("$ ");
    terminal.types("echo \"user=$(id -u)\" term=$TERM on=$(tty)");
    terminal.wait_shown("user=1234 term=linux on=/dev/tty1");
    assert_eq!(getty.pid(), Some(first), "the session is the service");
    terminal.types("exit");
    getty.wait_new_pid(Some(first));
    terminal.wait_asked("login: ");
}

#[test]
fn getty_lets_somebody_in() {
    lab::test(|lab| {
        let terminal = terminal(lab, "tty1");
        let getty = enable("getty_tty1", "getty_tty1");
        let runsvdir = supervise(lab);
        runsvdir.wait_line("getty_tty1: runs */agetty");
        logs_in(lab, &getty, &terminal);
        goes_down(lab, &getty);
    });
}

#[test]
fn getty_of_busybox_lets_somebody_in() {
    lab::test(|lab| {
        let terminal = terminal(lab, "tty1");
        let getty = enable("getty_tty1", "getty_tty1");
        edit(lab, "getty_tty1/run", "find_daemon agetty", "find_daemon");
        let runsvdir = supervise(lab);
        runsvdir.wait_line("getty_tty1: runs busybox getty");
        logs_in(lab, &getty, &terminal);
    });
}

/// A directory by another name is a login on another terminal, one that is plugged in later.
#[test]
fn getty_waits_for_its_terminal() {
    lab::test(|lab| {
        private_dev(lab);
        // A link to the machine's, if it has one.
        let _ = fs::remove_file("/etc/sv");
        install("examples/getty_tty1", "/etc/sv/getty_tty1");
        lab.cmd("sv").args(["enable", "-t", "getty_tty1", "getty_ttyUSB0"]).ok();
        let getty = Service::at("/var/service/getty_ttyUSB0");
        let runsvdir = supervise(lab);
        runsvdir.wait_line("getty_ttyUSB0: waiting for /dev/ttyUSB0");
        let waiting = getty.wait_new_pid(None);
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).unwrap();
        unlockpt(&master).unwrap();
        std::os::unix::fs::symlink(ptsname_r(&master).unwrap(), "/dev/ttyUSB0").unwrap();
        let mut shown = [0; 4096];
        let n = (&master).read(&mut shown);
        // Until it is opened on the other side there is an error, which says so.
        if n.is_err() {
            wait_for("its prompt", || (&master).read(&mut shown).is_ok());
        }
        assert_eq!(getty.pid(), Some(waiting), "no other run was needed");
    });
}

#[test]
fn nmeter_shows_a_line_each_second() {
    lab::test(|lab| {
        lab.install_peers();
        let terminal = terminal(lab, "tty9");
        let nmeter = enable("nmeter", "nmeter");
        let runsvdir = supervise(lab);
        runsvdir.wait_line("nmeter: runs busybox nmeter");
        wait_for("two lines", || terminal.screen.lock().unwrap().matches(" ctx:").count() >= 2);
        goes_down(lab, &nmeter);
    });
}

#[test]
fn vmstat_does_as_well() {
    lab::test(|lab| {
        let terminal = terminal(lab, "tty9");
        let nmeter = enable("nmeter", "nmeter");
        let runsvdir = supervise(lab);
        runsvdir.wait_line("nmeter: runs */vmstat");
        terminal.wait_shown("swpd");
        assert_eq!(program(&nmeter), "vmstat");
    });
}

/// There is no mouse here: it waits for one, starts when something is there, says what is wrong with that, and is not started
/// again and again (`throttle`).
#[test]
fn gpm_waits_for_a_mouse() {
    lab::test(|lab| {
        lab.install_peers();
        let gpm = enable("gpm", "gpm");
        edit(lab, "gpm/run", "mouse=/dev/input/mice", "mouse=/run/mice");
        let runsvdir = supervise(lab);
        runsvdir.wait_line("gpm: runs /usr/sbin/gpm");
        runsvdir.wait_line("gpm: waiting for the mouse /run/mice");
        let history = || gpm.lines("supervise/history");
        wait_for("its history", || history().iter().any(|line| line == "starts 1"));
        lab.write("/run/mice", "");
        runsvdir.wait_line("*PS/2 mouse failed init*");
        wait_for("its end", || gpm.stat() == "down" && history().iter().any(|line| line.starts_with("exit ")));
    });
}
