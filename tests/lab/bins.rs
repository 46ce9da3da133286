//! Where programs are: ours in the lab's own bin directory, the packaged peers in the system's.

use crate::mounts;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The lab's directory of links to our executables, first in PATH.
pub(crate) const BIN: &str = "/run/lab/bin";

/// Where packaged programs are.
const SYSTEM: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Further names each executable answers to.
const NAMES: [(&str, &[&str]); 3] = [
    ("supervisor", &["runsv", "runsvdir", "sv", "svc", "svok", "svstat", "svlogd"]),
    ("supervisor", &["chpst", "envdir", "envuidgid", "pgrphack", "setlock", "setuidgid", "softlimit"]),
    ("netd", &["dhcpc", "udhcpc", "zcip", "linkwatch", "ifplugd", "pinger"]),
];

/// PATH of every command in the lab.
pub(crate) fn search_path() -> String {
    format!("{BIN}:{}", SYSTEM.join(":"))
}

/// One of our programs by name.
pub fn our(name: &str) -> PathBuf {
    let path = Path::new(BIN).join(name);
    assert!(path.symlink_metadata().is_ok(), "{name} is none of our programs");
    path
}

/// A packaged program by name. One that is missing is an error, never a skipped test.
pub fn peer(name: &str) -> PathBuf {
    let found = SYSTEM.iter().map(|dir| Path::new(dir).join(name)).find(|p| p.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed: apt-get install {}", package(name)))
}

/// A packaged program that is only unpacked, because installing it would change the machine: its path and the environment
/// variable that lets it find its library.
pub fn unpacked_peer(name: &str) -> (PathBuf, (&'static str, PathBuf)) {
    let peers = unpacked();
    let found =
        ["usr/sbin", "usr/bin", "usr/local/bin"].map(|dir| peers.join(dir).join(name)).into_iter().find(|p| p.exists());
    let program = found.unwrap_or_else(|| panic!("{name} is missing: run tests/unpack-peers target/peers"));
    let libraries = peers.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    (program, ("LD_LIBRARY_PATH", libraries))
}

/// A program in the PATH of every command of the lab that is unpacked only, as if it were installed.
pub fn install_peer(name: &str) {
    let (program, (variable, libraries)) = unpacked_peer(name);
    let script = format!("#!/bin/sh\n{variable}={} exec {} \"$@\"\n", libraries.display(), program.display());
    let path = Path::new(BIN).join(name);
    std::fs::write(&path, script).expect("write");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("chmod");
}

/// Where the unpacked packages are.
pub(crate) fn unpacked() -> PathBuf {
    // target/PROFILE and target/ARCH/PROFILE are beside target/peers.
    let peers = built().ancestors().map(|dir| dir.join("peers")).find(|p| p.exists());
    peers.unwrap_or_else(|| panic!("no peers: run tests/unpack-peers target/peers"))
}

/// A peer that only cargo has.
pub fn built_peer(name: &str) -> PathBuf {
    let program = built().parent().expect("a target directory").join("peers/bin").join(name);
    assert!(program.exists(), "{} is missing: run tests/unpack-peers target/peers", program.display());
    program
}

/// The Debian package of a peer or tool.
fn package(name: &str) -> &str {
    match name {
        "runsv" | "runsvdir" | "sv" | "svlogd" | "chpst" | "utmpset" => "runit",
        "svc" | "svok" | "svstat" | "multilog" | "supervise" | "envdir" | "envuidgid" | "pgrphack" | "setlock"
        | "setuidgid" | "softlimit" => "daemontools",
        "dnsmasq" => "dnsmasq-base",
        "nft" => "nftables",
        "ip" | "bridge" | "ss" => "iproute2",
        "ping" => "iputils-ping",
        "unshare" | "nsenter" | "mount" => "util-linux",
        "python3" => "python3-minimal",
        other => other,
    }
}

/// The directory of our executables: $PORTREEVE_BIN, else the profile directory this test executable was built in.
pub(crate) fn built() -> PathBuf {
    if let Some(dir) = std::env::var_os("PORTREEVE_BIN") {
        return PathBuf::from(dir);
    }
    // target/PROFILE/deps/system-HASH
    let exe = std::env::current_exe().expect("own path");
    exe.parent().and_then(Path::parent).expect("a profile directory").to_owned()
}

/// Fills [`BIN`]. Called once, by the lab's init. The executables themselves are there, not links to them: where they were built
/// (below /root) may be closed to the users that some tests become.
pub(crate) fn link_ours() {
    std::fs::create_dir_all(BIN).expect("bin directory");
    for executable in ["supervisor", "netd"] {
        let target = built().join(executable);
        assert!(target.exists(), "{} is missing: run `make build` first", target.display());
        let here = Path::new(BIN).join(executable);
        std::fs::write(&here, "").expect("mount point");
        mounts::bind(&mounts::handle(&target), &here);
    }
    for (executable, names) in NAMES {
        for name in names {
            symlink(executable, Path::new(BIN).join(name)).expect("link");
        }
    }
}
