//! The lab's own /run, /srv, /tmp, /var, /etc, /dev and /sys. Paths that lie below one of them and are needed (the source tree,
//! the target directory) are bound back in place.

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use std::fs::{self, create_dir_all};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const NONE: Option<&str> = None;

/// Called once, by pid 1 of the lab.
pub(crate) fn make_private() {
    let kept: Vec<_> = needed().into_iter().map(|path| (handle(&path), path)).collect();
    let [etc, dev] = ["/etc", "/dev"].map(|dir| handle(Path::new(dir)));
    for dir in ["/run", "/srv", "/tmp", "/var"] {
        tmpfs(dir);
    }
    fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).expect("chmod /tmp");
    symlink("/run", "/var/run").expect("/var/run");
    for dir in [
        "/run/netns",
        "/run/lab",
        "/run/lock",
        "/var/service",
        "/var/log/service",
        "/var/lib/portreeve",
        "/var/lib/misc",
        "/var/tmp",
    ] {
        create_dir_all(dir).unwrap_or_else(|e| panic!("{dir}: {e}"));
    }
    for (fd, path) in kept {
        create_dir_all(&path).expect("mount point");
        bind(&fd, &path);
    }
    private_etc(&etc);
    private_dev(&dev);
    // Interfaces under /sys/class/net are those of the namespace that mounted it. Where that is refused (some user
    // namespaces) the old one stays and only tests that look there notice.
    let _ = mount(Some("lab"), "/sys", Some("sysfs"), MsFlags::empty(), NONE);
}

/// Directories that must stay visible although one of ours is mounted over them.
fn needed() -> Vec<PathBuf> {
    let exe = std::env::current_exe().expect("own path");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
    let mut paths: Vec<PathBuf> =
        [source, exe.parent().and_then(Path::parent).map(Path::to_owned), Some(crate::bins::built())]
            .into_iter()
            .flatten()
            .filter_map(|p| p.canonicalize().ok())
            .filter(|p| ["/run", "/srv", "/tmp", "/var"].iter().any(|hidden| p.starts_with(hidden)))
            .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// A descriptor that names `path` whatever is mounted over it later.
pub(crate) fn handle(path: &Path) -> fs::File {
    let open = fs::File::options().read(true).custom_flags(OFlag::O_PATH.bits()).open(path);
    open.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn tmpfs(at: &str) {
    mount(Some("lab"), at, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=755"))
        .unwrap_or_else(|e| panic!("tmpfs on {at}: {e}"));
}

/// Binds what `fd` is open on, even when something is mounted over its name meanwhile.
pub(crate) fn bind(fd: &fs::File, at: &Path) {
    let source = format!("/proc/self/fd/{}", fd.as_raw_fd());
    mount(Some(source.as_str()), at, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
        .unwrap_or_else(|e| panic!("bind on {}: {e}", at.display()));
}

/// An /etc whose entries are links to the machine's, except for what tests write.
fn private_etc(machine: &fs::File) {
    const WRITTEN: [&str; 4] = ["resolv.conf", "hosts", "hostname", "nsswitch.conf"];
    let behind = Path::new("/run/lab/etc");
    create_dir_all(behind).expect("mkdir");
    bind(machine, behind);
    let read_only =
        MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(NONE, behind, NONE, read_only, NONE).unwrap_or_else(|e| panic!("read-only /etc: {e}"));
    links("/etc", behind, &WRITTEN);
    fs::write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n").expect("hosts");
    fs::write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n").expect("nsswitch.conf");
    fs::write("/etc/hostname", "lab\n").expect("hostname");
    fs::write("/etc/resolv.conf", "").expect("resolv.conf");
}

/// A /dev without the machine's syslogd.
fn private_dev(machine: &fs::File) {
    let behind = Path::new("/run/lab/dev");
    create_dir_all(behind).expect("mkdir");
    bind(machine, behind);
    links("/dev", behind, &["log"]);
}

/// A new `dir` whose entries are links to those of `behind`, but for `left_out`.
fn links(dir: &str, behind: &Path, left_out: &[&str]) {
    tmpfs(dir);
    for entry in fs::read_dir(behind).unwrap_or_else(|e| panic!("{dir}: {e}")).flatten() {
        let name = entry.file_name();
        if !left_out.iter().any(|l| name == *l) {
            symlink(entry.path(), Path::new(dir).join(name)).expect("link");
        }
    }
}

/// Lays the unpacked peers over /usr, as if they were installed. See [`crate::Lab::install_peers`].
pub(crate) fn lay_over_usr(peers: &Path) {
    let layers = format!("lowerdir={}/usr:/usr", peers.display());
    mount(Some("lab"), "/usr", Some("overlay"), MsFlags::MS_RDONLY, Some(layers.as_str()))
        .unwrap_or_else(|e| panic!("overlay on /usr: {e}"));
}
