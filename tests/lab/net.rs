//! Networks: namespaces, cables, bridges, and dnsmasq.

use crate::{Cmd, Lab, Proc, bins, note, wait_for};
use std::path::Path;
use std::process::Command;

/// A network namespace of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netns {
    name: Option<String>,
}

impl Netns {
    /// The namespace the test itself is in.
    pub(crate) fn root() -> Self {
        Self { name: None }
    }

    pub(crate) fn add(name: &str) -> Self {
        Self::root().ip(&format!("netns add {name}"));
        let ns = Self { name: Some(name.to_owned()) };
        ns.ip("link set lo up");
        ns
    }

    /// Its name, `None` for the lab's own.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Runs `ip` in it with arguments separated by blanks; it must work. Returns what it printed.
    #[track_caller]
    pub fn ip(&self, args: &str) -> String {
        self.try_ip(args).unwrap_or_else(|e| panic!("ip {args}: {e}"))
    }

    /// As [`Self::ip`]; the error is what `ip` said.
    pub fn try_ip(&self, args: &str) -> Result<String, String> {
        note(&format!("{}ip {args}", self.name().map(|n| format!("[{n}] ")).unwrap_or_default()));
        let mut cmd = Command::new(bins::peer("ip"));
        if let Some(name) = self.name() {
            cmd.args(["-n", name]);
        }
        let out = cmd.args(args.split_whitespace()).output().map_err(|e| e.to_string())?;
        if out.status.success() {
            Ok(String::from_utf8_lossy(&out.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&out.stderr).into_owned())
        }
    }

    /// A command in it; see [`Lab::cmd`].
    pub fn cmd(&self, lab: &Lab, program: impl AsRef<Path>) -> Cmd {
        lab.cmd(program).netns(self)
    }

    /// Adds an address, `192.0.2.1/24`.
    #[track_caller]
    pub fn address(&self, ifname: &str, address: &str) {
        self.ip(&format!("addr add {address} dev {ifname}"));
    }

    /// A bridge of existing interfaces, up, without the listening delay.
    #[track_caller]
    pub fn bridge(&self, name: &str, ports: &[&str]) {
        self.ip(&format!("link add {name} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"));
        for port in ports {
            self.ip(&format!("link set {port} master {name}"));
        }
        self.ip(&format!("link set {name} up"));
    }

    /// Sets a kernel parameter of it: `net.ipv4.ip_forward`.
    #[track_caller]
    pub fn sysctl(&self, lab: &Lab, key: &str, value: &str) {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        lab.sh("printf %s \"$1\" >\"$2\"").args(["sysctl", value, &path]).netns(self).ok();
    }

    /// Whether the interface is up and sees a carrier.
    pub fn carrier(&self, ifname: &str) -> bool {
        self.try_ip(&format!("-o link show dev {ifname}")).is_ok_and(|line| line.contains("LOWER_UP"))
    }

    /// Waits until the interface's carrier is as asked.
    #[track_caller]
    pub fn wait_carrier(&self, ifname: &str, there: bool) {
        wait_for(&format!("carrier of {ifname} to be {there}"), || self.carrier(ifname) == there);
    }

    /// The interface's hardware address.
    #[track_caller]
    pub fn mac(&self, ifname: &str) -> String {
        let line = self.ip(&format!("-o link show dev {ifname}"));
        let after = line.split("link/ether ").nth(1).unwrap_or_else(|| panic!("{ifname} has no hardware address"));
        after.split_whitespace().next().expect("an address").to_owned()
    }
}

/// A veth pair: the near end is the one under test, the far end is where the cable is pulled.
#[derive(Debug)]
pub struct Cable {
    far: Netns,
    far_name: String,
}

impl Cable {
    pub(crate) fn new((near, near_name): (&Netns, &str), (far, far_name): (&Netns, &str)) -> Self {
        let mut add = format!("link add {near_name} type veth peer name {far_name}");
        match (far.name(), near.name()) {
            (Some(there), _) => add.push_str(&format!(" netns {there}")),
            // The far end belongs into the lab's own namespace: made from there, the near end goes out.
            (None, Some(there)) => add = format!("link add {far_name} type veth peer name {near_name} netns {there}"),
            (None, None) => {}
        }
        if far.name().is_none() { far } else { near }.ip(&add);
        near.ip(&format!("link set {near_name} up"));
        far.ip(&format!("link set {far_name} up"));
        Self { far: far.clone(), far_name: far_name.to_owned() }
    }

    /// The near end loses its carrier.
    #[track_caller]
    pub fn pull(&self) {
        note("cable pulled");
        self.far.ip(&format!("link set {} down", self.far_name));
    }

    /// The near end gets its carrier back.
    #[track_caller]
    pub fn plug(&self) {
        note("cable plugged");
        self.far.ip(&format!("link set {} up", self.far_name));
    }
}

pub(crate) fn dnsmasq(lab: &Lab, ns: &Netns, ifname: &str, options: &[&str]) -> Proc {
    let n = lab.fresh();
    let mut cmd = lab
        .cmd("dnsmasq")
        .args(["--no-daemon", "--log-facility=-", "--log-dhcp", "--conf-file=/dev/null", "--no-resolv"])
        .args(["--no-hosts", "--bind-interfaces", "--except-interface=lo"])
        .arg(format!("--interface={ifname}"))
        .arg(format!("--pid-file={}", lab.path(&format!("dnsmasq{n}.pid")).display()))
        .arg(format!("--dhcp-leasefile={}", lab.path(&format!("dnsmasq{n}.leases")).display()));
    if !options.iter().any(|o| o.starts_with("--port")) {
        cmd = cmd.arg("--port=0");
    }
    let proc = cmd.args(options).netns(ns).spawn();
    proc.wait_line("*started, version*");
    proc
}
