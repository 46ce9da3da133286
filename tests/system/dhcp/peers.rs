//! The four packaged DHCP servers, each told the same in its own language.

use lab::{Cmd, Lab, Proc, peer, unpacked_peer, wait_for};
use nix::sys::signal::Signal;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Dnsmasq,
    Isc,
    Kea,
    Busybox,
}

/// What it is to say: on `isp`, which has `NET.1`, hand out `NET.10` to `NET.50` for two minutes.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The first three numbers of the network.
    pub(super) net: &'static str,
    /// Codes from 224 up and how many letters each has.
    pub(super) long: Vec<(u8, usize)>,
    /// Whether a DISCOVER that asks for it may be answered by an ACK.
    pub(super) rapid: bool,
}

impl Setup {
    pub(super) fn new(net: &'static str) -> Self {
        Self { net, long: Vec::new(), rapid: false }
    }
}

/// The value of option `code` of [`Setup::long`].
pub(super) fn letters(code: u8, len: usize) -> String {
    (0..len).map(|i| char::from(b'a' + (code + u8::try_from(i % 26).unwrap()) % 26)).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

impl Server {
    /// Starts it in the lab's own namespace and waits until it serves.
    pub(super) fn start(self, lab: &Lab, setup: &Setup) -> Proc {
        let n = lab.fresh();
        match self {
            Self::Dnsmasq => dnsmasq(lab, setup),
            Self::Isc => serving(isc(lab, setup, n), "*Server starting service*"),
            Self::Kea => serving(kea(lab, setup, n), "*DHCP4_STARTED*"),
            Self::Busybox => serving(busybox(lab, setup, n), "*started*"),
        }
    }

    /// Waits until `serving` knows that an address was given back.
    pub(super) fn wait_released(self, lab: &Lab, serving: &Proc) {
        match self {
            Self::Dnsmasq => _ = serving.wait_line("*DHCPRELEASE(isp)*"),
            Self::Isc => _ = serving.wait_line("*DHCPRELEASE of *(found)*"),
            Self::Kea => _ = serving.wait_line("*DHCP4_RELEASE *"),
            Self::Busybox => wait_dumped(lab, serving, " expired"),
        }
    }

    /// Waits until `serving` knows that somebody else uses an address.
    pub(super) fn wait_declined(self, lab: &Lab, serving: &Proc) {
        match self {
            Self::Dnsmasq => _ = serving.wait_line("*DHCPDECLINE(isp)*"),
            Self::Isc => _ = serving.wait_line("*DHCPDECLINE of *: abandoned*"),
            Self::Kea => _ = serving.wait_line("*DHCP4_DECLINE_LEASE *"),
            Self::Busybox => wait_dumped(lab, serving, "00:00:00:00:00:00 "),
        }
    }
}

/// udhcpd says it in its lease file only, which it writes when told to.
fn wait_dumped(lab: &Lab, udhcpd: &Proc, what: &str) {
    wait_for(&format!("{what:?} in udhcpd's leases"), || {
        udhcpd.signal(Signal::SIGUSR1);
        // It fails on a file that is being written.
        let dumped = lab.cmd(peer("busybox")).args(["dumpleases", "-f"]).arg(lab.path("udhcpd.leases")).output();
        dumped.code == 0 && dumped.stdout.contains(what)
    });
}

fn serving(cmd: Cmd, line: &str) -> Proc {
    let server = cmd.spawn();
    server.wait_line(line);
    server
}

fn dnsmasq(lab: &Lab, Setup { net, long, rapid }: &Setup) -> Proc {
    let mut options = vec![
        format!("--dhcp-range={net}.10,{net}.50,255.255.255.0,120"),
        "--no-ping".to_owned(),
        "--dhcp-authoritative".to_owned(),
        format!("--dhcp-option=121,10.0.0.0/8,{net}.9"),
    ];
    options.extend(long.iter().map(|(code, len)| format!("--dhcp-option={code},{}", letters(*code, *len))));
    options.extend(rapid.then(|| "--dhcp-rapid-commit".to_owned()));
    lab.dnsmasq(&lab.net(), "isp", &options.iter().map(String::as_str).collect::<Vec<_>>())
}

fn isc(lab: &Lab, Setup { net, long, .. }: &Setup, n: u32) -> Cmd {
    let dotted = net.replace('.', ", ");
    let define = |code: u8| format!("option long-{code} code {code} = text;\n");
    let give = |&(code, len): &(u8, usize)| format!("  option long-{code} \"{}\";\n", letters(code, len));
    let conf = lab.write(
        &format!("dhcpd{n}.conf"),
        format!(
            "authoritative;\nping-check false;\nddns-update-style none;\n\
             min-lease-time 60;\ndefault-lease-time 120;\nmax-lease-time 120;\n\
             option routes code 121 = array of unsigned integer 8;\n{}\
             subnet {net}.0 netmask 255.255.255.0 {{\n  range {net}.10 {net}.50;\n  option routers {net}.1;\n  \
             option routes 8, 10, {dotted}, 9;\n{}}}\n",
            long.iter().map(|l| define(l.0)).collect::<String>(),
            long.iter().map(give).collect::<String>(),
        ),
    );
    let leases = lab.write(&format!("dhcpd{n}.leases"), "");
    let (dhcpd, (name, libraries)) = unpacked_peer("dhcpd");
    let cmd = lab.cmd(dhcpd).args(["-4", "-f", "-d"]).env(name, libraries);
    cmd.arg("-cf").arg(conf).arg("-lf").arg(leases).arg("-pf").arg(lab.path(&format!("dhcpd{n}.pid"))).arg("isp")
}

fn kea(lab: &Lab, Setup { net, long, .. }: &Setup, n: u32) -> Cmd {
    let raw =
        |code: u8, data: &str| serde_json::json!({"code": code, "space": "dhcp4", "csv-format": false, "data": data});
    let route: String = net.split('.').map(|b| format!("{:02x}", b.parse::<u8>().unwrap())).collect();
    let mut options =
        vec![serde_json::json!({"name": "routers", "data": format!("{net}.1")}), raw(121, &format!("080a{route}09"))];
    options.extend(long.iter().map(|(code, len)| raw(*code, &hex(&letters(*code, *len)))));
    let conf = serde_json::json!({"Dhcp4": {
        "interfaces-config": {"interfaces": ["isp"]},
        "lease-database": {"type": "memfile", "persist": false},
        "valid-lifetime": 120,
        "authoritative": true,
        "subnet4": [{
            "id": 1,
            "subnet": format!("{net}.0/24"),
            "pools": [{"pool": format!("{net}.10 - {net}.50")}],
            "option-data": options,
        }],
        "loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stderr", "flush": true}]}],
    }});
    let conf = lab.write(&format!("kea{n}.json"), conf.to_string());
    let (kea, (name, libraries)) = unpacked_peer("kea-dhcp4");
    let cmd = lab.cmd(kea).arg("-c").arg(conf).env(name, libraries);
    cmd.env("KEA_PIDFILE_DIR", lab.dir()).env("KEA_LOCKFILE_DIR", lab.dir())
}

fn busybox(lab: &Lab, Setup { net, long, .. }: &Setup, n: u32) -> Cmd {
    let give = |&(code, len): &(u8, usize)| format!("opt {code} {}\n", hex(&letters(code, len)));
    let leases = lab.write("udhcpd.leases", "");
    let conf = lab.write(
        &format!("udhcpd{n}.conf"),
        format!(
            "start {net}.10\nend {net}.50\ninterface isp\nmax_leases 41\nmin_lease 60\nlease_file {}\npidfile {}\n\
             opt lease 120\nopt subnet 255.255.255.0\nopt router {net}.1\nopt staticroutes 10.0.0.0/8 {net}.9\n{}",
            leases.display(),
            lab.path(&format!("udhcpd{n}.pid")).display(),
            long.iter().map(give).collect::<String>(),
        ),
    );
    lab.cmd(peer("busybox")).args(["udhcpd", "-f", "-vv"]).arg(conf).named("udhcpd")
}
