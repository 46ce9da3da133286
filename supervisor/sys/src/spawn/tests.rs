use super::*;
use crate::file::{pipe, read_some};

fn output(spawn: Spawn<'_>) -> String {
    output_with(spawn, None)
}

fn output_with(spawn: Spawn<'_>, few: Option<&few::Few>) -> String {
    let (r, w) = pipe().unwrap();
    let pid = spawn.stdout(w.as_fd()).start_with(few).unwrap();
    drop(w);
    let (mut all, mut buf) = (Vec::new(), [0; 256]);
    while let Ok(n @ 1..) = read_some(r.as_fd(), &mut buf) {
        all.extend_from_slice(&buf[..n]);
    }
    assert_eq!(nix::sys::wait::waitpid(pid, None).unwrap(), nix::sys::wait::WaitStatus::Exited(pid, 0));
    String::from_utf8(all).unwrap()
}

#[test]
fn sets_up_the_child() {
    let script = c"echo $X; pwd; ps -o pid=,pgid= -p $$ | { read p g; [ $p = $g ] && echo group; }; grep SigBlk /proc/self/status";
    let env = [c"X=1 2".to_owned(), c"PATH=/usr/bin:/bin".to_owned()];
    let args = [c"sh", c"-c", script];
    assert_eq!(
        output(Spawn::new(c"/bin/sh", &args).env(&env).dir(c"/usr").group()),
        "1 2\n/usr\ngroup\nSigBlk:\t0000000000000000\n"
    );
    assert_eq!(output(Spawn::new(c"echo", &[c"x", c"a b"]).search_path().session()), "a b\n");
}

#[test]
fn starts_in_a_directory_given_as_descriptor() {
    let usr = crate::file::open_dir(crate::file::CWD, c"/usr").unwrap();
    assert_eq!(output(Spawn::new(c"/bin/pwd", &[c"pwd"]).dir_fd(usr.as_fd())), "/usr\n");
    let here = std::env::current_dir().unwrap();
    let args = [c"pwd"];
    assert_eq!(output(Spawn::new(c"/bin/pwd", &args).dir_fd(crate::file::CWD)), format!("{}\n", here.display()));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the child reads the clock, too")]
fn the_child_writes_its_birth() {
    let path = std::env::temp_dir().join(format!("birth-{}", std::process::id()));
    let file = crate::file::open_empty(crate::file::CWD, &path, 0o600).unwrap();
    let line = [BIRTH.as_slice(), b"and more\n"].concat();
    let before = crate::clock::boottime();
    let args = [c"sh", c"-c", c"echo $$"];
    let pid = output(Spawn::new(c"/bin/sh", &args).birth(file.as_fd(), &line));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(text.len(), line.len());
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!(words[0].parse::<u32>().unwrap(), pid.trim().parse::<u32>().unwrap());
    let born = crate::clock::Instant::from_nanos(words[1].parse().unwrap());
    assert!(before <= born && born <= crate::clock::boottime(), "{text}");
    assert_eq!(words[2..], ["and", "more\n"]);
}

#[test]
fn an_unknown_end_is_neither_an_exit_nor_a_signal() {
    let s = Status::UNKNOWN;
    assert_eq!((s.code(), s.signal(), s.low_byte()), (None, None, 0));
    assert_eq!((Status(139).code(), Status(139).signal(), Status(139).low_byte()), (None, Some(11), 139));
}

#[test]
fn a_dead_child_can_be_seen_before_it_is_reaped() {
    let pid = Spawn::new(c"/bin/sh", &[c"sh", c"-c", c"exit 7"]).start().unwrap();
    // Other tests of this process have children too: wait for this one only.
    while reap_is_pending(pid) {}
    assert!(ended().is_some());
    assert_eq!(reap_child(pid), Some(Status::exited(7)));
    assert_eq!(reap_child(pid), None);
}

fn reap_is_pending(pid: Pid) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(pid), flags).unwrap() == WaitStatus::StillAlive
}

#[test]
fn children_get_the_limit_we_were_given() {
    limit::set_soft(limit::Resource::RLIMIT_NOFILE, 500).unwrap();
    limit::raise_files().unwrap();
    let (ours, hard) = nix::sys::resource::getrlimit(limit::Resource::RLIMIT_NOFILE).unwrap();
    assert!(ours >= 1024 && ours == hard, "{ours} of {hard}");
    assert_eq!(output(Spawn::new(c"/bin/sh", &[c"sh", c"-c", c"ulimit -n"])), "500\n");
}

#[test]
fn a_child_of_many_descriptors_gets_its_own_only() {
    let keep = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty());
    let inherited = pipe().unwrap();
    nix::fcntl::fcntl(&inherited.0, keep).unwrap();
    // Every kernel this is tested with can do it.
    let few = Some(&few::Few::new().unwrap());
    let many: Vec<_> = (0..100).map(|_| pipe().unwrap()).collect();
    let late = many.last().unwrap();
    let args = [c"sh", c"-c", c"read x; echo $x >&4; exec ls /proc/self/fd"];
    let number = late.0.as_raw_fd() + 1000;
    crate::file::write_all(many[7].1.as_fd(), b"through\n").unwrap();
    let shown = output_with(
        Spawn::new(c"/bin/sh", &args).stdin(many[7].0.as_fd()).fd4(late.1.as_fd()).also(many[8].0.as_fd(), number),
        few,
    );
    let mut fds: Vec<i32> = shown.lines().map(|n| n.parse().unwrap()).collect();
    fds.sort_unstable();
    // Others of this process's tests may have left some to inherit; none of the many is there. ls itself has one.
    assert!(fds.starts_with(&[0, 1, 2, 3, 4]) && fds.contains(&inherited.0.as_raw_fd()), "{fds:?}");
    assert_eq!(fds.last(), Some(&number));
    assert!(fds.iter().all(|fd| !many.iter().any(|(r, w)| [r.as_raw_fd(), w.as_raw_fd()].contains(fd))), "{fds:?}");
    let mut buf = [0; 16];
    let n = read_some(late.0.as_fd(), &mut buf).unwrap();
    assert_eq!(&buf[..n], b"through\n");
    // Nothing of it stays open here: the pipe ends when its owner closes it.
    let (reader, writer) = pipe().unwrap();
    output_with(Spawn::new(c"/bin/sh", &[c"sh", c"-c", c":"]).fd5(writer.as_fd()), few);
    drop(writer);
    assert_eq!(read_some(reader.as_fd(), &mut buf), Ok(0));
    assert_eq!(Spawn::new(c"./nowhere", &[c"x"]).start_with(few), Err(Errno::ENOENT));
}

#[test]
fn one_variable_replaces_the_inherited_one() {
    let args = [c"sh", c"-c", c"env | grep -c ^PATH=; echo $PATH; env | wc -l"];
    let (kept, path) = (std::env::vars_os().count(), c"PATH=/bin:/usr/bin:/replaced");
    let shown = output(Spawn::new(c"/bin/sh", &args).var(path));
    assert_eq!(shown.lines().take(2).collect::<Vec<_>>(), ["1", "/bin:/usr/bin:/replaced"]);
    // The shell adds a few of its own (PWD, _), none is lost.
    assert!(shown.lines().nth(2).unwrap().trim().parse::<usize>().unwrap() >= kept, "{shown}");
    let env = [c"PATH=/usr/bin:/bin".to_owned(), c"X=old".to_owned()];
    let args = [c"sh", c"-c", c"echo $X; env | grep -c ^X="];
    assert_eq!(output(Spawn::new(c"/bin/sh", &args).env(&env).var(c"X=new")), "new\n1\n");
}

#[test]
fn descriptors_do_not_replace_each_other() {
    // Whatever numbers the two ends have, the child sees them swapped round and still tells them apart.
    let (r, w) = pipe().unwrap();
    let args = [c"sh", c"-c", c"read x <&5; echo $x >&4; echo 1"];
    let script = Spawn::new(c"/bin/sh", &args);
    let (r2, w2) = pipe().unwrap();
    crate::file::write_all(w.as_fd(), b"hello\n").unwrap();
    assert_eq!(output(script.fd4(w2.as_fd()).fd5(r.as_fd())), "1\n");
    let mut buf = [0; 16];
    let n = read_some(r2.as_fd(), &mut buf).unwrap();
    assert_eq!(&buf[..n], b"hello\n");
}

#[test]
fn one_more_descriptor_has_any_number() {
    for number in [3, 6, 77] {
        let (r, w) = pipe().unwrap();
        let text = CString::new(format!("echo ready >&{number}; echo 1")).unwrap();
        // bash: dash knows numbers of one digit only.
        let args = [c"bash", c"-c", text.as_c_str()];
        assert_eq!(output(Spawn::new(c"/bin/bash", &args).also(w.as_fd(), number)), "1\n");
        // The child's own number, which has to stay open.
        let same = CString::new(format!("echo again >&{}; echo 2", w.as_raw_fd())).unwrap();
        let args = [c"bash", c"-c", same.as_c_str()];
        assert_eq!(output(Spawn::new(c"/bin/bash", &args).also(w.as_fd(), w.as_raw_fd())), "2\n");
        let mut buf = [0; 16];
        let n = read_some(r.as_fd(), &mut buf).unwrap();
        assert_eq!(&buf[..n], b"ready\nagain\n");
    }
}

#[test]
fn exec_errors_are_the_callers() {
    assert_eq!(Spawn::new(c"./nowhere", &[c"x"]).start(), Err(Errno::ENOENT));
    assert_eq!(Spawn::new(c"/etc/passwd", &[c"x"]).start(), Err(Errno::EACCES));
    assert_eq!(Spawn::new(c"./x", &[c"x"]).dir(c"/nowhere").start(), Err(Errno::ENOENT));
    assert_eq!(Spawn::new(c"no-such-program", &[c"x"]).search_path().start(), Err(Errno::ENOENT));
    assert_eq!(Spawn::new(c"../etc/passwd", &[c"x"]).dir(c"/usr").start(), Err(Errno::EACCES));
}

#[test]
fn status_bytes() {
    assert_eq!((Status(0x0100).code(), Status(0x0100).low_byte()), (Some(1), 0));
    assert_eq!((Status(139).code(), Status(139).signal(), Status(139).low_byte()), (None, Some(11), 139));
    assert_eq!(Status::exited(111), Status(111 << 8));
}
