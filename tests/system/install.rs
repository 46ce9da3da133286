//! `make install`: every name of our programs, service directories that need nothing else, and nobody's edits lost.

use lab::{Lab, our, peer};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the tree")
}

fn make_install(lab: &Lab) -> (String, PathBuf) {
    let root = lab.path("root");
    let built = our("netd").canonicalize().unwrap();
    let said = lab
        .cmd(peer("make"))
        .args(["-s", "-C", tree().to_str().unwrap(), "install"])
        .arg(format!("DESTDIR={}", root.display()))
        .arg(format!("BUILT={}", built.parent().unwrap().display()))
        .ok();
    (said, root)
}

/// What is installed in its place: /usr/local and /etc/sv of the lab. A busybox with more applets (`install_peers`) stays.
pub(crate) fn in_place(lab: &Lab) -> String {
    let (said, root) = make_install(lab);
    let root = root.display();
    // The machine's /etc/sv, if any, is a link in the lab's /etc.
    lab.sh(&format!(
        "rm -f /etc/sv && cp -r {root}/etc/sv /etc/sv && mkdir {root}/usr/local/bin
         [ ! -e /usr/local/bin/busybox ] || cp /usr/local/bin/busybox {root}/usr/local/bin
         mount --bind {root}/usr/local /usr/local"
    ))
    .ok();
    said
}

/// The names after which the programs' own usage texts say they can be called.
fn programs(lab: &Lab) -> BTreeSet<String> {
    let supervisor = lab.cmd("supervisor").output().stderr;
    let listed = supervisor.split_whitespace().nth(2).unwrap().split('|').map(str::to_owned);
    let netd = lab.cmd("netd").output().stderr;
    let called = netd.lines().filter_map(|l| Some(l.split_once(" ... (or netd ")?.0.trim().to_owned()));
    listed.chain(called).collect()
}

#[test]
fn every_program_has_its_name() {
    lab::test(|lab| {
        let (_, root) = make_install(lab);
        let sbin = root.join("usr/local/sbin");
        lab.sh("cd root/usr/local && test -x sbin/portreeve-start && cd share/portreeve/packaging && ls ../docs/migration.md").ok();
        let links: BTreeSet<String> = fs::read_dir(&sbin)
            .unwrap()
            .map(|e| e.unwrap())
            .filter(|e| e.file_type().unwrap().is_symlink())
            .map(|e| e.file_name().into_string().unwrap())
            .collect();
        assert_eq!(links, programs(lab));
        assert!(links.iter().all(|name| sbin.join(name).metadata().unwrap().is_file()));
    });
}

#[test]
fn service_directories_are_complete_and_stay_yours() {
    lab::test(|lab| {
        let (said, root) = make_install(lab);
        assert!(!said.contains("kept"), "{said}");
        let (sv, run) = (root.join("etc/sv"), root.join("etc/sv/fw/run"));
        let scripts = lab.cmd("find").arg(&sv).args(["-name", "run", "-o", "-name", "finish"]).ok();
        assert!(scripts.lines().count() > 5, "{scripts}");
        for script in scripts.lines() {
            let about = fs::symlink_metadata(script).unwrap();
            assert!(about.is_file(), "{script}: a link would lead out of a copied directory");
            lab.cmd("test").args(["-x", script]).ok();
        }
        // Where passwords and keys will be.
        for file in ["openvpn_if/openvpn.conf", "ppp_if/options", "supplicant_if/wpa_supplicant.conf", "vpnc/vpnc.conf"]
        {
            let mode = sv.join(file).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        fs::write(&run, "mine").unwrap();
        let (said, _) = make_install(lab);
        assert!(said.contains("kept: /etc/sv/fw; the new one is /usr/local/share/portreeve/sv/fw"), "{said}");
        assert_eq!(lab.read(&run), "mine");
        assert_ne!(lab.read(root.join("usr/local/share/portreeve/sv/fw/run")), "mine");
    });
}
