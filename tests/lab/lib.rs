//! The lab: every test runs in namespaces of its own, with real binaries and real peers.
//!
//! ```text
//! #[test]
//! fn comes_up() {
//!     lab::test(|lab| {
//!         let foo = lab.service("foo").run("exec sleep 1000").build();
//!         let _runsv = lab.runsv(&foo);
//!         foo.wait_stat("run");
//!         lab.cmd("sv").args(["status", foo.arg()]).prints_matching("run: *");
//!     });
//! }
//! ```
//!
//! [`test`] starts the test executable again in fresh mount, network and pid namespaces (and a user namespace when not
//! root) with private /run, /srv, /tmp, /var and /etc; whatever a test starts dies with it, so there is nothing to clean and
//! tests run in parallel. Waiting is always for an event with a deadline; on failure the timeline of the whole lab is
//! printed. The machine's own network and services are never in reach.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test harness: it acts on the world, and a panic is how it reports"
)]

mod bins;
mod cmd;
mod compare;
mod enter;
pub mod kernel;
mod mounts;
mod net;
mod proc;
mod service;
mod stream;
mod tap;
mod timeline;
mod wait;

pub use bins::{built_peer, install_peer, our, peer, unpacked_peer};
pub use cmd::{Cmd, Output};
pub use compare::{difference, matches};
pub use enter::{named, test, test_within};
pub use net::{Cable, Netns};
pub use proc::Proc;
pub use service::{Service, ServiceBuilder, Status};
pub use stream::{Delivery, Stream, udp};
pub use tap::Tap;
pub use timeline::note;
pub use wait::{PATIENCE, wait_for, wait_for_within, wait_quietly};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// One test's world. Everything made through it ends with the test.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    used: AtomicU32,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { dir: PathBuf::from("/tmp/lab"), used: AtomicU32::new(0) };
        std::fs::create_dir_all(&lab.dir).expect("lab directory");
        lab
    }

    /// An empty directory of this test, the working directory of every command.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of `name` in [`Self::dir`].
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file below [`Self::dir`] (directories are made) and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a name below the lab directory")).expect("mkdir");
        std::fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    /// The content of a file below [`Self::dir`], or of any absolute path.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.dir.join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A command: one of our programs by name (`sv`, `dhcpc`, ...), a system tool by name, or anything by path.
    /// Names are looked up in a PATH that begins with our programs.
    pub fn cmd(&self, program: impl AsRef<Path>) -> Cmd {
        Cmd::new(program.as_ref(), &self.dir)
    }

    /// `sh -c SCRIPT`.
    pub fn sh(&self, script: &str) -> Cmd {
        self.cmd("sh").args(["-c", script])
    }

    /// Makes the peers that are only unpacked, and a busybox with network daemons, appear in /usr as if they were installed.
    pub fn install_peers(&self) {
        mounts::lay_over_usr(&bins::unpacked());
    }

    /// Adds an account, a line of passwd(5).
    pub fn account(&self, line: &str) {
        let text = self.read("/etc/passwd");
        // A link to the machine's so far.
        std::fs::remove_file("/etc/passwd").expect("private /etc");
        std::fs::write("/etc/passwd", format!("{text}{line}\n")).expect("passwd");
    }

    /// Starts describing the service directory `sv/NAME` below [`Self::dir`].
    pub fn service(&self, name: &str) -> ServiceBuilder {
        ServiceBuilder::new(self.dir.join("sv").join(name))
    }

    /// Starts describing a service directory anywhere.
    pub fn service_at(&self, path: impl AsRef<Path>) -> ServiceBuilder {
        ServiceBuilder::new(self.dir.join(path))
    }

    /// Starts our `runsv` on the service and waits until it listens.
    pub fn runsv(&self, service: &Service) -> Proc {
        self.runsv_of(&our("runsv"), service)
    }

    /// Starts any `runsv` (`lab::peer("runsv")`) on the service and waits until it listens.
    pub fn runsv_of(&self, runsv: &Path, service: &Service) -> Proc {
        let proc = self.cmd(runsv).arg(service.path()).named("runsv").spawn();
        service.wait_listening();
        proc
    }

    /// The network namespace the test runs in; it has `lo` up and nothing else.
    pub fn net(&self) -> Netns {
        Netns::root()
    }

    /// Makes a further network namespace, `lo` up (`ip netns`, so `ip -n NAME` works too).
    pub fn netns(&self, name: &str) -> Netns {
        Netns::add(name)
    }

    /// Connects two interfaces by a cable (a veth pair), both up. The cable is pulled and plugged at the second end.
    pub fn cable(&self, near: (&Netns, &str), far: (&Netns, &str)) -> Cable {
        Cable::new(near, far)
    }

    /// A TAP device in the lab's own namespace, up, its carrier on and under the test's control.
    pub fn tap(&self, name: &str) -> Tap {
        Tap::new(name)
    }

    /// Starts dnsmasq in `ns` on interface `ifname` with no configuration but `options`, and waits until it serves.
    pub fn dnsmasq(&self, ns: &Netns, ifname: &str, options: &[&str]) -> Proc {
        net::dnsmasq(self, ns, ifname, options)
    }

    /// A number not handed out before in this lab, for names.
    pub fn fresh(&self) -> u32 {
        self.used.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds a line to the timeline, which is printed if the test fails.
    pub fn note(&self, what: impl AsRef<str>) {
        note(what.as_ref());
    }
}

/// Compares two texts and fails with a line by line difference.
#[macro_export]
macro_rules! eqnice {
    ($got:expr, $expected:expr) => {{
        let (got, expected) = (&$got, &$expected);
        if let Some(difference) = $crate::difference(got.as_ref(), expected.as_ref()) {
            panic!("not as expected (- expected, + got):\n{difference}");
        }
    }};
}
