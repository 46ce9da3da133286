//! `svlogd` loses nothing: at the end of input, at TERM, at kill -9, on a full disk, under a supervisor that restarts it.

use lab::{Lab, Proc, wait_for};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A log directory with this `config`.
fn log(lab: &Lab, config: &str) -> PathBuf {
    lab.write("log/config", config).parent().unwrap().to_owned()
}

/// Everything in it, oldest first.
fn content(dir: &Path) -> String {
    old(dir).iter().chain([&dir.join("current")]).map(|p| fs::read_to_string(p).unwrap_or_default()).collect()
}

/// Its old files, oldest first.
fn old(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.file_name().unwrap().as_encoded_bytes()[0] == b'@');
    all.sort();
    all
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The lines `from` to `to` as `seq` prints them.
fn seq(from: u32, to: u32) -> String {
    (from..=to).map(|n| format!("{n}\n")).collect()
}

/// svlogd reading from the fifo `in`, which the lab also keeps open for writing.
fn on_fifo(lab: &Lab, options: &str) -> (Proc, fs::File) {
    nix::unistd::mkfifo(&lab.path("in"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = fs::File::options().read(true).write(true).open(lab.path("in")).unwrap();
    let svlogd = lab.sh(&format!("exec svlogd {options} <in")).named("svlogd").spawn();
    wait_for("svlogd to start", || lab.path("log/lock").exists() && lab.path("log/current").exists());
    (svlogd, fifo)
}

fn put(mut to: &fs::File, text: &str) {
    std::io::Write::write_all(&mut to, text.as_bytes()).unwrap();
}

/// Stops the process until all of it stands still, so that what is written now is read after what is signalled now.
fn freeze(svlogd: &Proc) {
    svlogd.signal(Signal::SIGSTOP);
    wait_for("svlogd to stop", || state(svlogd) == "T");
}

/// Its state as in ps: S is waiting.
fn state(svlogd: &Proc) -> String {
    stat(svlogd, 0)
}

/// Ticks of 10 ms it has used.
fn cpu(svlogd: &Proc) -> u64 {
    [11, 12].into_iter().map(|field| stat(svlogd, field).parse::<u64>().unwrap()).sum()
}

/// A field of /proc/PID/stat, counted from the state.
fn stat(svlogd: &Proc, field: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", svlogd.pid())).unwrap();
    stat.rsplit(") ").next().unwrap().split(' ').nth(field).unwrap().to_owned()
}

#[test]
fn the_last_line_counts_without_its_end() {
    lab::test(|lab| {
        let dir = log(lab, "");
        lab.cmd("svlogd").arg("log").stdin("one\ntwo").ok();
        assert_eq!((content(&dir), mode(dir.join("current"))), ("one\ntwo\n".to_owned(), 0o744));
    });
}

#[test]
fn term_takes_what_is_in_the_pipe() {
    lab::test(|lab| {
        let dir = log(lab, "s3000\nn0\n");
        let (svlogd, fifo) = on_fifo(lab, "log");
        let begun = "begun ".repeat(1000);
        put(&fifo, &begun);
        wait_for("a long line's beginning in the files", || content(&dir) == begun);
        assert_eq!(mode(dir.join("current")), 0o644);
        freeze(&svlogd);
        let text = seq(1, 10_000);
        put(&fifo, &text);
        put(&fifo, "no end");
        svlogd.signal(Signal::SIGTERM);
        svlogd.signal(Signal::SIGCONT);
        assert_eq!(svlogd.wait(), 0);
        assert_eq!(content(&dir), format!("{begun}{text}no end\n"));
        assert!(old(&dir).into_iter().all(|f| mode(f) == 0o744));
    });
}

#[test]
fn term_ends_it_though_the_writer_never_pauses() {
    lab::test(|lab| {
        let dir = log(lab, "n2\ns100k\n");
        let (svlogd, fifo) = on_fifo(lab, "log");
        let yes = lab.sh("exec yes 'a line of some length' >in").spawn();
        wait_for("rotation", || !old(&dir).is_empty());
        assert_eq!(svlogd.stop(), 0);
        assert!(content(&dir).lines().all(|l| l == "a line of some length"));
        drop(fifo);
        // Nobody reads any more.
        yes.wait();
    });
}

#[test]
fn a_full_disk_pauses_and_resumes() {
    lab::test(|lab| {
        let dir = log(lab, "");
        mount(Some("small"), &dir, Some("tmpfs"), MsFlags::empty(), Some("size=512k")).unwrap();
        fs::write(dir.join("config"), "s20k\nn0\n").unwrap();
        fs::write(dir.join("filler"), vec![0; 440 << 10]).unwrap();
        let text = seq(1, 40_000);
        let svlogd = lab.cmd("svlogd").arg("log").stdin(&text).spawn();
        svlogd.wait_line("svlogd: pausing: unable to *: log: out of disk space");
        assert!(!svlogd.ended());
        // Nor does TERM make it give up what it has read.
        svlogd.signal(Signal::SIGTERM);
        svlogd.wait_lines("svlogd: pausing: *", 2);
        fs::remove_file(dir.join("filler")).unwrap();
        assert_eq!(svlogd.wait(), 0);
        let got = content(&dir);
        assert!(got.len() > 60 << 10 && text.starts_with(got.trim_end()), "{} bytes", got.len());
    });
}

#[test]
fn after_a_pause_everything_follows() {
    lab::test(|lab| {
        let dir = log(lab, "");
        mount(Some("small"), &dir, Some("tmpfs"), MsFlags::empty(), Some("size=512k")).unwrap();
        fs::write(dir.join("config"), "s20k\nn0\n").unwrap();
        fs::write(dir.join("filler"), vec![0; 440 << 10]).unwrap();
        let text = seq(1, 40_000);
        let svlogd = lab.cmd("svlogd").arg("log").stdin(&text).spawn();
        svlogd.wait_line("svlogd: pausing: *");
        fs::remove_file(dir.join("filler")).unwrap();
        assert_eq!(svlogd.wait(), 0);
        assert_eq!(content(&dir), text);
    });
}

#[test]
fn a_full_disk_makes_room_when_allowed() {
    lab::test(|lab| {
        let dir = log(lab, "");
        mount(Some("small"), &dir, Some("tmpfs"), MsFlags::empty(), Some("size=256k")).unwrap();
        fs::write(dir.join("config"), "s20k\nn100\nN2\n").unwrap();
        let text = seq(1, 100_000);
        let out = lab.cmd("svlogd").arg("log").stdin(&text).output();
        assert_eq!((out.code, out.stderr.as_str()), (0, ""));
        let got = content(&dir);
        assert!(old(&dir).len() >= 2 && text.ends_with(&got), "{} bytes", got.len());
    });
}

#[test]
fn what_kill_left_is_set_aside() {
    lab::test(|lab| {
        let dir = log(lab, "");
        let (svlogd, fifo) = on_fifo(lab, "log");
        put(&fifo, "one\n");
        wait_for("the line", || content(&dir) == "one\n");
        svlogd.signal(Signal::SIGKILL);
        svlogd.wait();
        lab.cmd("svlogd").arg("log").stdin("two\n").ok();
        let [unclean] = &old(&dir)[..] else { panic!("{:?}", old(&dir)) };
        assert_eq!(unclean.extension().unwrap(), "u");
        assert_eq!((fs::read_to_string(unclean).unwrap(), lab.read("log/current")), ("one\n".into(), "two\n".into()));
    });
}

#[test]
fn processors_get_files_in_turn_and_their_state() {
    lab::test(|lab| {
        let dir = log(lab, "s2000\nn0\n!cat; { cat <&4; echo run; } >&5\n");
        // Left behind by a crash, with a processor configured only now.
        lab.write("log/@400000000000000000000001.u", "old\n");
        let text = seq(1000, 1999);
        lab.cmd("svlogd").arg("log").stdin(&text).ok();
        let files = old(&dir);
        assert!(files.iter().all(|f| f.extension().unwrap() == "s" && mode(f.clone()) == 0o744), "{files:?}");
        assert_eq!(content(&dir), format!("old\n{text}"));
        assert_eq!(lab.read("log/state"), "run\n".repeat(files.len()));
    });
}

#[test]
fn a_processor_that_fails_loses_nothing_and_is_tried_again() {
    lab::test(|lab| {
        let dir = log(lab, "s100\nn0\n!echo x >>tries; cat; [ -e ../allowed ] || kill -9 $$\n");
        let (svlogd, fifo) = on_fifo(lab, "-l 50 log");
        put(&fifo, &seq(1000, 1039));
        svlogd.wait_line("svlogd: warning: processor failed, again in 1s: log");
        // Logging does not wait for it.
        put(&fifo, &seq(1040, 1059));
        wait_for("the input in the files", || content(&dir).contains("1059\n"));
        assert!(old(&dir).iter().any(|f| f.extension().unwrap() == "u"));
        lab.write("allowed", "");
        wait_for("all files processed", || {
            old(&dir).iter().all(|f| f.extension().unwrap() == "s") && lab.read("log/tries").lines().count() > 2
        });
        assert_eq!(svlogd.stop(), 0);
        assert_eq!(content(&dir), seq(1000, 1059));
    });
}

#[test]
fn hup_in_the_middle_of_a_line() {
    lab::test(|lab| {
        let dir = log(lab, "");
        let (svlogd, fifo) = on_fifo(lab, "-v log");
        let begun = "begun ".repeat(1000);
        put(&fifo, &format!("one\n{begun}"));
        wait_for("a long line's beginning", || content(&dir) == format!("one\n{begun}"));
        fs::write(dir.join("config"), "s9\npnew: \nsx\n").unwrap();
        svlogd.signal(Signal::SIGHUP);
        svlogd.wait_line("svlogd: warning: log/config:3: expected sN, sNk or sNm");
        put(&fifo, "ended\ntwo\n");
        wait_for("the next line", || content(&dir).ends_with("two\n"));
        assert_eq!(svlogd.stop(), 0);
        assert_eq!(content(&dir), format!("one\n{begun}ended\nnew: two\n"));
    });
}

#[test]
fn several_directories_and_patterns() {
    lab::test(|lab| {
        lab.write("all/config", "");
        lab.write("errors/config", "-*\n+*ERR*\ne*ERR*\npE: \n");
        lab.write("quiet/config", &b"-*\n".repeat(1000)[..]);
        let out = lab.cmd("svlogd").args(["all", "errors", "missing", "quiet"]).stdin("a\nan ERR\n\nb").output();
        assert_eq!(out.code, 0);
        let warning = "svlogd: warning: unable to open log directory: missing: file does not exist\n";
        assert_eq!(out.stderr, format!("{warning}E: an ERR\n"));
        assert_eq!(lab.read("all/current"), "a\nan ERR\n\nb\n");
        assert_eq!(lab.read("errors/current"), "E: an ERR\n");
        assert_eq!(lab.read("quiet/current"), "");
    });
}

#[test]
fn lines_go_elsewhere_as_datagrams() {
    lab::test(|lab| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(lab::PATIENCE)).unwrap();
        let port = socket.local_addr().unwrap().port();
        log(lab, &format!("U127.0.0.1:{port}\npgw: \n"));
        lab.cmd("svlogd").args(["-l", "12", "log"]).stdin("hello\nlonger than that\n").ok();
        let mut buf = [0; 100];
        for expected in ["gw: hello\n", "gw: longer than ...\n"] {
            let n = socket.recv(&mut buf).unwrap();
            assert_eq!(std::str::from_utf8(&buf[..n]).unwrap(), expected);
        }
        assert_eq!(lab.read("log/current"), "");
    });
}

#[test]
fn half_a_line_costs_nothing_until_its_end_comes() {
    lab::test(|lab| {
        // The pattern has to see the whole line.
        let dir = log(lab, "-*\n+begun and ended\n");
        let (svlogd, fifo) = on_fifo(lab, "log");
        for part in ["no\nbe", "gun", " and"] {
            put(&fifo, part);
            wait_for("svlogd to wait", || state(&svlogd) == "S");
        }
        let before = cpu(&svlogd);
        // What is measured is what it does in a while of nothing.
        std::thread::sleep(Duration::from_millis(300));
        assert!(cpu(&svlogd) - before <= 5, "it spins");
        put(&fifo, " ended\nno\n");
        wait_for("the line", || content(&dir) == "begun and ended\n");
        assert_eq!(svlogd.stop(), 0);
    });
}

/// What is measured is that nothing is lost; a line that was written twice is the price and only allowed at a kill.
#[test]
fn nothing_is_lost_when_the_logger_is_killed_again_and_again() {
    const KILLS: usize = 120;
    lab::test_within(Duration::from_secs(240), |lab| {
        let dir = log(lab, "s20k\nn0\n");
        let script = format!("exec svlogd {}", dir.display());
        // Every line is a write of its own.
        let run = "n=0; while :; do n=$((n+1)); echo $n; done";
        let foo = lab.service("foo").run(run).log(&script).build();
        let runsv = lab.runsv(&foo);
        let mut logger = None;
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..KILLS {
            let pid = foo.log().wait_new_pid(logger);
            logger = Some(pid);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // The moment is what is random, no event is waited for.
            std::thread::sleep(Duration::from_micros(random >> 32 & 0x3fff));
            kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
            // At once, not after the throttle's second.
            wait_for("its end to be seen", || foo.log().pid() != Some(pid));
            foo.log().tell("u");
        }
        runsv.stop();
        let (mut next, mut all, mut twice) = (1, 0, 0);
        for file in old(&dir).iter().chain([&dir.join("current")]) {
            let text = fs::read_to_string(file).unwrap();
            // Killed while it was writing: the line at the end is whole in the next file.
            for n in text.split_inclusive('\n').filter_map(|l| l.strip_suffix('\n')).map(|l| l.parse::<u64>().unwrap())
            {
                assert!(n <= next, "{} lines are missing before {n} in {}", n - next, file.display());
                all += 1;
                twice += usize::from(n < next);
                next = next.max(n + 1);
            }
        }
        assert!(next > 100_000, "only {next} lines");
        lab.note(format!("{all} lines, {twice} of them twice"));
        assert!(twice < all / 10, "{twice} of {all} lines twice");
    });
}

/// The pipe is runsv's: what a logger does not read its successor does.
#[test]
fn no_line_is_lost_when_the_logger_is_restarted() {
    lab::test(|lab| {
        let dir = log(lab, "s10k\nn0\n");
        let script = format!("exec svlogd {}", dir.display());
        let foo = lab.service("foo").run("seq 1 100000; echo done >done; exec sleep 1000").log(&script).build();
        let runsv = lab.runsv(&foo);
        for _ in 0..4 {
            lab.cmd("sv").args(["restart", foo.log().arg()]).ok();
        }
        foo.wait_lines("done", 1);
        assert_eq!(runsv.stop(), 0);
        assert_eq!(content(&dir), seq(1, 100_000));
    });
}
