use super::environment::{Dropped, Verdict, from_environment};
use super::*;
use crate::Prefix;
use crate::ifname::IfNameError;
use crate::ipconf::Route;
use crate::random::Random;
use sys::file::{exists, read_some};

fn decide(action: &str, vars: &[(&str, &str)]) -> (Verdict, Vec<Dropped>) {
    from_environment(action, vars.iter().copied()).unwrap()
}

/// The entry `vars` publish, with an interface and an address unless they say otherwise.
fn entry(vars: &[(&str, &str)]) -> (Entry, Vec<&'static str>) {
    let all = vars.iter().chain(&[("interface", "eth0"), ("ip", "192.0.2.7"), ("mask", "24")]).copied();
    let (verdict, dropped) = from_environment("bound", all).unwrap();
    let Verdict::Publish(mut facts) = verdict else { panic!("withdrawn: {dropped:?}") };
    (facts.entries.remove(0), dropped.iter().map(|d| d.variable).collect())
}

fn p(s: &str) -> Prefix {
    s.parse().unwrap()
}

#[test]
fn a_normal_lease() {
    let (verdict, dropped) = decide(
        "renew",
        &[
            ("interface", "eth0"),
            ("ip", "192.0.2.7"),
            ("subnet", "255.255.255.0"),
            ("mask", "24"),
            ("router", "192.0.2.1 192.0.2.2"),
            ("dns", "192.0.2.53 198.51.100.53 192.0.2.53"),
            ("domain", "example.net"),
            ("search", "a.example b.example"),
            ("broadcast", "192.0.2.255"),
            ("mtu", "1400"),
            ("ntpsrv", "192.0.2.9"),
            ("lease", "3600"),
            ("serverid", "192.0.2.1"),
            ("message", "$(reboot)"),
        ],
    );
    assert_eq!(dropped, []);
    let Verdict::Publish(facts) = verdict else { panic!() };
    assert_eq!(facts.comments, ["lease 3600 from 192.0.2.1"]);
    let [e] = &facts.entries[..] else { panic!() };
    let text = String::from_utf8(ipconf::write(&[e.record()], &[]).unwrap()).unwrap();
    assert_eq!(
        text,
        "let cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]='192.0.2.7'\nipmask[$cfg]='192.0.2.7/24'\ngw[$cfg]='192.0.2.1'\n\
         net[$cfg]='0/0'\nmtu[$cfg]='1400'\ndns[$cfg]='192.0.2.53 198.51.100.53'\ndomain[$cfg]='example.net'\n\
         search[$cfg]='a.example b.example'\nntp[$cfg]='192.0.2.9'\n"
    );
}

#[test]
fn other_actions_withdraw() {
    for action in ["deconfig", "nak", "leasefail", "init", "", "surprise"] {
        assert_eq!(decide(action, &[("interface", "eth0"), ("ip", "192.0.2.7")]).0, Verdict::Withdraw, "{action}");
    }
    assert_eq!(from_environment("bound", [("ip", "192.0.2.7")]), Err(IfNameError::Empty));
    assert_eq!(from_environment("bound", [("interface", "a/b")]), Err(IfNameError::Forbidden));
}

#[test]
fn zeroconf_needs_only_an_address() {
    let (verdict, _) = decide("config", &[("interface", "eth0"), ("ip", "169.254.7.8")]);
    let Verdict::Publish(facts) = verdict else { panic!() };
    assert_eq!(facts.entries[0].addr, Some(p("169.254.7.8/16")));
    assert_eq!((facts.entries[0].net, &facts.comments[..]), (None, &[][..]));
}

#[test]
fn no_address_no_facts() {
    for ip in ["", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "1.2.3", "192.0.2.7; reboot", "::1"] {
        let (verdict, _) = decide("bound", &[("interface", "eth0"), ("ip", ip)]);
        assert_eq!(verdict, Verdict::Withdraw, "{ip}");
    }
}

#[test]
fn masks() {
    for (mask, subnet, len) in [
        ("24", "", 24),
        ("", "255.255.240.0", 20),
        ("", "", 8),
        ("33", "", 8),
        ("2", "255.0.255.0", 2),
        ("x", "0.0.0.0", 8),
    ] {
        let (verdict, _) =
            decide("bound", &[("interface", "e"), ("ip", "10.1.2.3"), ("mask", mask), ("subnet", subnet)]);
        let Verdict::Publish(facts) = verdict else { panic!() };
        assert_eq!(facts.entries[0].addr.unwrap().prefix_len(), len, "{mask} {subnet}");
    }
}

#[test]
fn classless_routes_replace_the_router() {
    let (e, dropped) = entry(&[
        ("staticroutes", "10.1.2.3/8 192.0.2.2 0.0.0.0/0 192.0.2.3 198.51.100.0/24 0.0.0.0"),
        ("msstaticroutes", "172.16.0.0/12 192.0.2.4"),
        ("router", "192.0.2.1"),
        ("routes", "203.0.113.5/192.0.2.5"),
    ]);
    assert_eq!((e.net, e.gw), (Some(Prefix::DEFAULT_V4), Some([192, 0, 2, 3].into())));
    assert_eq!(
        e.routes,
        [
            Route { net: p("10.0.0.0/8"), gw: Some([192, 0, 2, 2].into()) },
            Route { net: p("198.51.100.0/24"), gw: None }
        ]
    );
    assert!(dropped.is_empty());
    let (e, _) = entry(&[("staticroutes", "0.0.0.0/0 0.0.0.0"), ("router", "192.0.2.1")]);
    assert_eq!((e.net, e.gw, &e.routes[..]), (None, None, &[Route { net: Prefix::DEFAULT_V4, gw: None }][..]));
    // Without a default route among them there is none.
    let (e, _) = entry(&[("staticroutes", "10.0.0.0/8 192.0.2.2"), ("router", "192.0.2.1")]);
    assert_eq!((e.net, e.gw), (None, None));
    // Nothing usable among them: as if the server had not sent any.
    let (e, dropped) = entry(&[("staticroutes", "10.0.0.0/8"), ("router", "192.0.2.1")]);
    assert_eq!((e.gw, &dropped[..]), (Some([192, 0, 2, 1].into()), &["staticroutes"][..]));
    let (e, _) = entry(&[("msstaticroutes", "172.16.0.0/12 192.0.2.4"), ("router", "192.0.2.1")]);
    assert_eq!((e.gw, e.routes.len()), (None, 1));
}

#[test]
fn old_static_routes_go_beside_the_router() {
    let (e, dropped) = entry(&[
        ("router", "192.0.2.1"),
        ("routes", "10.0.0.0/192.0.2.2 203.0.113.5/192.0.2.3 0.0.0.0/192.0.2.4 172.16.0.0"),
    ]);
    assert_eq!(e.gw, Some([192, 0, 2, 1].into()));
    assert_eq!(e.routes.iter().map(|r| r.net).collect::<Vec<_>>(), [p("10.0.0.0/8"), p("203.0.113.5/32")]);
    assert_eq!(dropped, ["routes", "routes"]);
}

#[test]
fn routes_no_honest_server_sends() {
    for bad in [
        "127.0.0.0/8 192.0.2.1",
        "224.0.0.0/4 192.0.2.1 224.0.0.0/8 192.0.2.1",
        "10.0.0.0/8 127.0.0.1",
        "10.0.0.0/8 224.0.0.1",
        "10.0.0.0/8 255.255.255.255",
        "10.0.0.0/8 192.0.2.7",
        "10.0.0.0/8 192.0.2.255",
        "10.0.0.0/8 192.0.2.0",
        "192.0.2.0/25 192.0.2.1",
        "192.0.2.99/32 192.0.2.1",
        "10.0.0.0/8 $(reboot)",
        "10.0.0.0/33 192.0.2.1",
        "::/0 ::1",
    ] {
        let (e, dropped) = entry(&[("staticroutes", bad)]);
        assert!(dropped.contains(&"staticroutes"), "{bad}");
        assert!(e.routes.is_empty() && e.gw.is_none() || bad.starts_with("224"), "{bad}");
    }
    // A host with a /32 reaches its router through a route on the link, as some clouds want it.
    let all = [
        ("interface", "e"),
        ("ip", "192.0.2.7"),
        ("mask", "32"),
        ("staticroutes", "192.0.2.1/32 0.0.0.0 0.0.0.0/0 192.0.2.1"),
    ];
    let Verdict::Publish(facts) = decide("bound", &all).0 else { panic!() };
    assert_eq!(facts.entries[0].routes, [Route { net: p("192.0.2.1/32"), gw: None }]);
    let many: String = (0..400).map(|i| format!("10.{}.{}.0/24 192.0.2.1 ", i / 256, i % 256)).collect();
    assert_eq!(entry(&[("staticroutes", &many)]).0.routes.len(), 64);
}

#[test]
fn unclean_values_are_dropped_one_by_one() {
    let (e, dropped) = entry(&[
        ("dns", "192.0.2.53 $(reboot) 127.0.0.1 198.51.100.1"),
        ("domain", "x';reboot;'"),
        ("search", "good.example bad..example"),
        ("mtu", "100"),
        ("ntpsrv", "time"),
        ("broadcast", "198.51.100.255"),
        ("router", "0.0.0.0 192.0.2.1"),
        ("metric", "many"),
    ]);
    assert_eq!((e.dns.len(), e.search.len(), e.gw), (2, 1, Some([192, 0, 2, 1].into())));
    assert_eq!((e.domain, e.mtu, e.bcast, e.metric, e.ntp.len()), (None, None, None, None, 0));
    assert_eq!(dropped.len(), 9, "{dropped:?}");
    let (_, dropped) = decide("bound", &[("interface", "e"), ("ip", "192.0.2.7"), ("domain", "a\n\u{1b}[2J")]);
    assert_eq!(dropped[0].to_string(), "domain \"a\\n\\x1b[2J\" not used: expected a domain name");
    assert!(decide("bound", &[("interface", "e"), ("ip", "192.0.2.7"), ("domain", "bad")]).1.len() == 1);
}

#[test]
fn hostile_values_never_get_out() {
    let names = [
        "ip",
        "mask",
        "subnet",
        "router",
        "dns",
        "domain",
        "search",
        "staticroutes",
        "routes",
        "mtu",
        "ntpsrv",
        "lease",
        "serverid",
        "broadcast",
    ];
    let words: [&[u8]; 12] =
        [b"192.0.2.1", b"10.0.0.0/8", b"0.0.0.0", b"'", b"$(x)", b"\n", b"\0", b"\xff", b" ", b"/", b"24", b"a.b"];
    let mut random = Random::new(9);
    let mut pick = |n: usize| usize::try_from(random.below(n as u64)).unwrap();
    let mut published = 0;
    for _ in 0..20_000 {
        let vars: Vec<(&str, Vec<u8>)> = names
            .iter()
            .map(|n| (*n, (0..pick(5)).flat_map(|_| words[pick(words.len())].to_vec()).collect()))
            .chain([("interface", b"eth0".to_vec()), ("ip", b"192.0.2.7".to_vec())])
            .collect();
        let (verdict, dropped) = from_environment("bound", vars).unwrap();
        assert!(dropped.iter().all(|d| d.value.bytes().all(|b| (b' '..=b'~').contains(&b))));
        if let Verdict::Publish(facts) = verdict {
            published += 1;
            let records: Vec<Record> = facts.entries.iter().map(Entry::record).collect();
            let comments: Vec<&str> = facts.comments.iter().map(String::as_str).collect();
            let bytes = ipconf::write(&records, &comments).unwrap();
            assert_eq!(File::parse(&bytes).unwrap().entries().unwrap().entries[0].record(), records[0]);
        }
    }
    assert!(published > 500, "{published}");
}

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = Self(std::env::temp_dir().join(format!("publish-{name}-{}", std::process::id())));
        make_dirs(&dir.0).unwrap();
        dir
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn publisher(dir: &Dir) -> Publisher {
    Publisher {
        run_dir: dir.0.join("run/fw"),
        ntp_dir: Some(dir.0.join("run/ntpd")),
        name: "dhcp_eth0".parse().unwrap(),
        fw: dir.0.join("fw"),
    }
}

#[test]
fn writes_only_what_differs() {
    let dir = Dir::new("differs");
    let publisher = publisher(&dir);
    let mut entry = Entry::new("eth0".parse().unwrap());
    entry.addr = Some(p("192.0.2.7/24"));
    let mut facts =
        Facts { entries: vec![entry], ntp: vec![[192, 0, 2, 9].into()], comments: vec!["lease 3600".to_owned()] };
    let (ipconf, ntpconf) = (dir.0.join("run/fw/dhcp_eth0.ipconf"), dir.0.join("run/ntpd/dhcp_eth0.ntpconf"));

    assert_eq!(publisher.publish(&facts), Ok(Outcome::Changed));
    let inode = |path: &Path| sys::file::stat(CWD, path).unwrap().st_ino;
    let first = (inode(&ipconf), inode(&ntpconf));
    assert_eq!(publisher.publish(&facts), Ok(Outcome::Unchanged));
    assert_eq!((inode(&ipconf), inode(&ntpconf)), first);
    assert_eq!(read_bounded(CWD, &ntpconf, 99).unwrap(), b"let cfg=cfg+1\nntpip[$cfg]='192.0.2.9'\n");

    facts.comments = vec!["lease 7200".to_owned()];
    assert_eq!(publisher.publish(&facts), Ok(Outcome::CommentsOnly));
    assert!(read_bounded(CWD, &ipconf, 999).unwrap().starts_with(b"# lease 7200\nlet cfg"));

    facts.entries[0].mtu = Some(1400);
    facts.ntp.clear();
    assert_eq!(publisher.publish(&facts), Ok(Outcome::Changed));
    assert!(!exists(CWD, &ntpconf).unwrap());

    replace(CWD, &dir.0.join("t"), &ipconf, b"rubbish", 0o644, Durability::Atomic).unwrap();
    assert_eq!(publisher.publish(&facts), Ok(Outcome::Changed));

    assert_eq!(publisher.withdraw(), Ok(Outcome::Changed));
    assert_eq!(publisher.withdraw(), Ok(Outcome::Unchanged));
    assert_eq!(std::fs::read_dir(dir.0.join("run/fw")).unwrap().count(), 0);
}

#[test]
fn trouble_names_the_path() {
    let dir = Dir::new("trouble");
    let mut publisher = publisher(&dir);
    replace(CWD, &dir.0.join("t"), &dir.0.join("file"), b"", 0o644, Durability::Atomic).unwrap();
    publisher.run_dir = dir.0.join("file/x");
    publisher.ntp_dir = None;
    let error = publisher.publish(&Facts::default()).unwrap_err();
    assert_eq!(error, PublishError::File(publisher.run_dir.clone(), Errno::ENOTDIR));
}

#[test]
fn kicks_without_waiting() {
    let dir = Dir::new("kick");
    let publisher = publisher(&dir);
    assert_eq!(publisher.kick(), Err(Errno::ENOENT));
    make_dirs(&dir.0.join("fw/supervise")).unwrap();
    let control = dir.0.join("fw/supervise/control");
    fifo::make(CWD, &control, 0o600).unwrap();
    assert_eq!(publisher.kick(), Err(Errno::ENXIO));
    let reader = fifo::reader(CWD, &control).unwrap();
    assert_eq!((publisher.kick(), publisher.kick()), (Ok(()), Ok(())));
    let mut buf = [0; 8];
    assert_eq!(read_some(reader.as_fd(), &mut buf), Ok(2));
    assert_eq!(&buf[..2], b"uu");
}

#[test]
fn service_names() {
    for good in ["dhcp_eth0", "a", "x-1.2"] {
        assert!(good.parse::<ServiceName>().is_ok());
    }
    for bad in ["", ".x", "..", "a/b", "a b", "ä", "a\n", &"x".repeat(201)] {
        assert_eq!(bad.parse::<ServiceName>(), Err(ServiceNameError), "{bad:?}");
    }
}
