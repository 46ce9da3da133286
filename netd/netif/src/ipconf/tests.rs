use super::*;
use crate::random::Random;
use std::net::IpAddr;
use sys::file::{self, CWD, Durability};

fn parse(text: &str) -> Result<File, ParseError> {
    File::parse(text.as_bytes())
}

fn record(pairs: &[(&str, &str)]) -> Record {
    let mut r = Record::default();
    pairs.iter().for_each(|(k, v)| r.push(k, v));
    r
}

fn entry(body: &str) -> Result<Entry, ParseError> {
    let mut entries = parse(&format!("let cfg=cfg+1\n{body}\n"))?.entries()?.entries;
    assert_eq!(entries.len(), 1);
    Ok(entries.remove(0))
}

fn typed(line: u32, key: &'static str) -> impl Fn(ParseError) -> bool {
    move |e| e.line == line && matches!(e.expected, Expected::Typed(k, _) if k == key)
}

#[test]
fn every_spelling() {
    let text = "# lease 3600\n\nlet cfg=cfg+1\nif[$cfg]='eth0'\n\tip[$cfg]=192.0.2.7  # why not\nlet\t cfg++ # two\n\
                if[$cfg]=\"it's\"\ndns[$cfg]=\nx_9[$cfg]=''\n  cfg=$((cfg+1))";
    let file = parse(text).unwrap();
    assert_eq!(
        file.records,
        [
            record(&[("if", "eth0"), ("ip", "192.0.2.7")]),
            record(&[("if", "it's"), ("dns", ""), ("x_9", "")]),
            record(&[])
        ]
    );
    assert_eq!(file.records.iter().map(|r| r.line).collect::<Vec<_>>(), [3, 6, 10]);
    assert_eq!(file.records[0].assignments[1].line, 5);
    assert_eq!(parse("").unwrap(), File::default());
}

#[test]
fn statements_on_one_line() {
    let file =
        parse("let cfg=cfg+1; if[$cfg]=eth1 ;ip[$cfg]='192.0.2.7';\tgw[$cfg]=;# x\n let cfg++;a[$cfg]=\"b\"; # y\n");
    let expected = [record(&[("if", "eth1"), ("ip", "192.0.2.7"), ("gw", "")]), record(&[("a", "b")])];
    assert_eq!(file.unwrap().records, expected);
}

#[test]
fn what_the_busybox_handler_writes() {
    // All routers of the server in one value, and the default route whether there is a router or not.
    let e = entry("if[$cfg]='e'\ngw[$cfg]='192.0.2.1 192.0.2.2'\nnet[$cfg]='0/0'").unwrap();
    assert_eq!((e.gw, e.net), (Some([192, 0, 2, 1].into()), Some(crate::Prefix::DEFAULT_V4)));
    assert_eq!(entry("if[$cfg]='e'\nnet[$cfg]='0/0'").unwrap().net, None);
    assert_eq!(entry("if[$cfg]='e'\ndnsmasq[$cfg]='server=/x/192.0.2.1'").unwrap().dnsmasq, ["server=/x/192.0.2.1"]);
}

#[test]
fn the_last_value_of_a_key_counts() {
    let file = parse("let cfg=cfg+1\nip[$cfg]=1\nip[$cfg]=2\ngw[$cfg]=''\n").unwrap();
    assert_eq!((file.records[0].value("ip"), file.records[0].value("gw")), (Some("2"), None));
}

#[test]
fn mistakes_name_line_and_expectation() {
    let long = format!("#{}", "x".repeat(MAX_LINE));
    for (text, line, expected) in [
        ("if[$cfg]='eth0'", 1, Expected::RecordStart),
        ("let cfg=cfg+1\nrm -rf /", 2, Expected::Statement),
        ("let cfg=cfg+1\nlet x=1", 2, Expected::Statement),
        ("letcfg=cfg+1", 1, Expected::Subscript),
        ("let cfg=cfg+1; reboot", 1, Expected::Statement),
        ("let cfg=cfg+1 if[$cfg]='a'", 1, Expected::Statement),
        ("let cfg=cfg+1;; a[$cfg]=1", 1, Expected::Statement),
        ("; let cfg=cfg+1", 1, Expected::Statement),
        ("let cfg++; a[$cfg]=1; reboot", 1, Expected::Statement),
        ("let cfg++; a[$cfg]=1& b[$cfg]=1", 1, Expected::Value),
        ("let cfg++; a[$cfg]='1'& b[$cfg]=1", 1, Expected::EndOfLine),
        ("let cfg=cfg+1#", 1, Expected::Statement),
        ("let cfg=cfg+1\n\nIF[$cfg]='x'", 3, Expected::Statement),
        ("let cfg=cfg+1\nif='x'", 2, Expected::Subscript),
        ("let cfg=cfg+1\nif[0]='x'", 2, Expected::Subscript),
        ("let cfg=cfg+1\nif[$cfg] ='x'", 2, Expected::Subscript),
        ("let cfg=cfg+1\ncfg[$cfg]='7'", 2, Expected::OtherKey),
        ("cfg=7", 1, Expected::OtherKey),
        ("let cfg=cfg+1\nif[$cfg]=$(reboot)", 2, Expected::Value),
        ("let cfg=cfg+1\nif[$cfg]=~root", 2, Expected::Value),
        ("let cfg=cfg+1\nif[$cfg]=a;reboot", 2, Expected::Statement),
        ("let cfg=cfg+1\nif[$cfg]=(a b)", 2, Expected::Value),
        ("let cfg=cfg+1\nif[$cfg]='a'\r", 2, Expected::EndOfLine),
        ("let cfg=cfg+1\nif[$cfg]=a\r", 2, Expected::Value),
        ("let cfg=cfg+1\nif[$cfg]=\"$x\"", 2, Expected::Value),
        ("let cfg=cfg+1\nif[$cfg]='`x`'", 2, Expected::Value),
        ("let cfg=cfg+1\nif[$cfg]='\\'", 2, Expected::Value),
        ("let cfg=cfg+1\nif[$cfg]='a\tb'", 2, Expected::Value),
        ("let cfg=cfg+1\nif[$cfg]='a", 2, Expected::ClosingQuote),
        ("let cfg=cfg+1\nif[$cfg]='a\nb'", 2, Expected::ClosingQuote),
        ("let cfg=cfg+1\nif[$cfg]='a'b", 2, Expected::EndOfLine),
        ("let cfg=cfg+1\nif[$cfg]='a'#b", 2, Expected::EndOfLine),
        ("let cfg=cfg+1\nif[$cfg]='a' ip[$cfg]='b'", 2, Expected::EndOfLine),
        ("\n# a\0b", 2, Expected::Statement),
        (&long, 1, Expected::ShortLine),
        (&"\n".repeat(MAX_FILE + 1), 1, Expected::SmallFile),
        (&"cfg=$((cfg+1))\n".repeat(MAX_RECORDS + 1), 16385, Expected::FewRecords),
        (&("let cfg++\n".to_owned() + &"a[$cfg]=1\n".repeat(MAX_ASSIGNMENTS + 1)), 66, Expected::FewAssignments),
    ] {
        assert_eq!(parse(text), Err(ParseError { line, expected }), "{:?}", &text[..text.len().min(80)]);
    }
    assert_eq!(File::parse(b"let cfg++\nif[$cfg]='\xff'").unwrap_err().line, 2);
    assert!(File::parse(b"# \xff\xfe\n").is_ok());
    let shown = parse("let cfg=cfg+1\nif[0]='x'").unwrap_err().to_string();
    assert_eq!(shown, "2: expected [$cfg]= after the key");
}

#[test]
fn types() {
    let e = entry(
        "if[$cfg]='eth0'\nip[$cfg]='192.0.2.7'\nipmask[$cfg]='192.0.2.7/24'\ngw[$cfg]='192.0.2.1'\nnet[$cfg]='0/0'\n\
         dns[$cfg]='192.0.2.1 2001:db8::53'\nsearch[$cfg]='a.example b.example.'\nmtu[$cfg]=1400\nmetric[$cfg]=10\n\
         routes[$cfg]='10.1.2.3/8 192.0.2.2 198.51.100.0/24 0.0.0.0'\nntp[$cfg]='192.0.2.9 ntp.example'\n\
         bcast[$cfg]='192.0.2.127'\ndomain[$cfg]='example'\ndns_prio[$cfg]=1\ndnsmasq[$cfg]='/x.example/192.0.2.53'\n\
         health[$cfg]=up\nfailback[$cfg]=30\nautoconf[$cfg]=no\nweight[$cfg]=256\ntable[$cfg]=100\n\
         bridge[$cfg]='eth1 eth2'\nvlan[$cfg]='eth3 4094'",
    )
    .unwrap();
    assert_eq!(e.iface.as_str(), "eth0");
    assert_eq!(e.addr.unwrap().to_string(), "192.0.2.7/24");
    assert_eq!((e.gw, e.net), (Some(IpAddr::from([192, 0, 2, 1])), Some(crate::Prefix::DEFAULT_V4)));
    assert_eq!((e.dns.len(), e.search[1].as_str(), e.mtu, e.metric), (2, "b.example", Some(1400), Some(10)));
    assert_eq!(e.routes[0], Route { net: "10.0.0.0/8".parse().unwrap(), gw: Some([192, 0, 2, 2].into()) });
    assert_eq!(e.routes[1].gw, None);
    assert_eq!((e.ntp.len(), e.health, e.weight, e.table), (2, Some(Health::Up), Some(256), Some(100)));
    assert_eq!((e.failback, e.autoconf), (Some(Failback::After(30)), Some(Autoconf::Forbidden)));
    let names = |list: &[crate::IfName]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&e.bridge), ["eth1", "eth2"]);
    assert_eq!(e.vlan, Some(Vlan { below: "eth3".parse().unwrap(), id: 4094 }));
    assert_eq!((e.dns_prio, &e.dnsmasq[..]), (Some(1), &["/x.example/192.0.2.53".to_owned()][..]));
    assert_eq!((e.bcast, e.line), (Some([192, 0, 2, 127].into()), 1));
}

#[test]
fn addresses_in_each_spelling() {
    let addr = |body: &str| entry(&format!("if[$cfg]=e\n{body}")).map(|e| e.addr.map(|a| a.to_string()));
    assert_eq!(addr(""), Ok(None));
    assert_eq!(addr("ip[$cfg]=192.0.2.7"), Ok(Some("192.0.2.7/32".into())));
    assert_eq!(addr("ip[$cfg]=192.0.2.7/24"), Ok(Some("192.0.2.7/24".into())));
    assert_eq!(addr("ipmask[$cfg]=192.0.2.7/24"), Ok(Some("192.0.2.7/24".into())));
    assert_eq!(addr("ip[$cfg]=192.0.2.7\nipmask[$cfg]=255.255.255.0"), Ok(Some("192.0.2.7/24".into())));
    assert_eq!(addr("ip[$cfg]=2001:db8::7\nipmask[$cfg]=2001:db8::7/64"), Ok(Some("2001:db8::7/64".into())));
    for bad in [
        "ip[$cfg]=192.0.2.7\nipmask[$cfg]=192.0.2.8/24",
        "ip[$cfg]=192.0.2.7\nipmask[$cfg]=255.0.255.0",
        "ip[$cfg]=2001:db8::7\nipmask[$cfg]=255.255.255.0",
        "\nipmask[$cfg]=24",
    ] {
        assert!(typed(4, "ipmask")(entry(&format!("if[$cfg]=e\n{bad}")).unwrap_err()), "{bad}");
    }
}

#[test]
fn destinations_follow_the_gateway() {
    let net = |body: &str| entry(&format!("if[$cfg]=e\n{body}")).map(|e| e.net);
    assert_eq!(net("gw[$cfg]=fe80::1\nnet[$cfg]=0/0"), Ok(Some(crate::Prefix::DEFAULT_V6)));
    assert_eq!(net("net[$cfg]=10.1.2.3/8"), Ok(Some("10.0.0.0/8".parse().unwrap())));
    assert!(typed(4, "net")(net("gw[$cfg]=fe80::1\nnet[$cfg]=10.0.0.0/8").unwrap_err()));
}

#[test]
fn values_of_the_wrong_type_name_their_line() {
    for (key, value) in [
        ("if", "a/b"),
        ("ip", "1.2.3"),
        ("gw", "router"),
        ("net", "0"),
        ("bcast", "::1"),
        ("dns", "192.0.2.1 x"),
        ("search", "ok -no"),
        ("domain", "a b"),
        ("mtu", "67"),
        ("mtu", "65536"),
        ("failback", "never"),
        ("autoconf", "yes"),
        ("bridge", "eth1 a/b"),
        ("vlan", "eth1"),
        ("vlan", "eth1 0"),
        ("vlan", "eth1 4095"),
        ("vlan", "eth1 10 11"),
        ("vlan", "a/b 10"),
        ("weight", "0"),
        ("weight", "257"),
        ("table", "0"),
        ("metric", "-1"),
        ("health", "fine"),
        ("routes", "10.0.0.0/8"),
        ("routes", "10.0.0.0/8 ::1"),
        ("dnsmasq", "a;b"),
        ("ntp", "x y/z"),
    ] {
        let body = format!("if[$cfg]=e\n\n{key}[$cfg]='{value}'");
        assert!(typed(4, key)(entry(&body).unwrap_err()), "{key}={value}");
    }
    assert_eq!(entry("ip[$cfg]=''\nif[$cfg]=''"), Err(ParseError { line: 1, expected: Expected::Key("if") }));
}

#[test]
fn unknown_keys_are_kept_and_listed() {
    let file = parse("let cfg=cfg+1\nif[$cfg]=e\ncolour[$cfg]=red").unwrap();
    let found = file.entries().unwrap();
    assert_eq!(found.unknown, [Unknown { line: 3, key: "colour".into() }]);
    assert_eq!(file.records[0].value("colour"), Some("red"));
}

#[test]
fn refuses_what_cannot_be_quoted() {
    for bad in ["'", "a\nb", "\0", "\u{1b}", "\u{7f}", "\u{85}", "$", "`", "\\"] {
        assert_eq!(write(&[record(&[("x", bad)])], &[]), Err(WriteError::Unquotable("x".into())), "{bad:?}");
    }
    for key in ["", "X", "9", "a-b", "a b", "cfg", "a]=$(x)"] {
        assert_eq!(write(&[record(&[(key, "")])], &[]), Err(WriteError::Key(key.into())));
    }
    assert_eq!(write(&[record(&[("x", &"y".repeat(MAX_LINE))])], &[]), Err(WriteError::LongLine("x".into())));
    assert_eq!(write(&vec![Record::default(); MAX_RECORDS + 1], &[]), Err(WriteError::TooMuch));
}

#[test]
fn comments_cannot_break_out() {
    let long = "ä".repeat(3 * MAX_LINE);
    let bytes = write(&[record(&[("if", "e")])], &["lease 3600\nif[$cfg]='evil'\0", &long]).unwrap();
    assert_eq!(File::parse(&bytes).unwrap().records, [record(&[("if", "e")])]);
    assert!(bytes.starts_with(b"# lease 3600?if[$cfg]='evil'?\n# "));
}

/// Characters a random value is made of: all that may be quoted, and the worst of that more often.
const ALPHABET: &[char] =
    &['a', 'Z', '0', '9', '.', '/', ':', ' ', '"', '#', ';', '&', '(', '*', '~', '!', '{', 'ä', '[', ']', '='];
/// Keys that are bash's reserved words or builtins as well as plain ones.
const WORDS: &[&str] = &[
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "in", "function",
    "select", "time", "coproc", "let", "set", "export", "ip", "x_9", "a", "dns_prio",
];

fn random_file(random: &mut Random) -> Vec<Record> {
    let mut pick = |n: usize| usize::try_from(random.below(n as u64)).unwrap();
    (0..pick(5))
        .map(|_| {
            let mut r = Record::default();
            for _ in 0..pick(8) {
                let key = WORDS[pick(WORDS.len())];
                r.push(key, (0..pick(12)).map(|_| ALPHABET[pick(ALPHABET.len())]).collect::<String>());
            }
            r
        })
        .collect()
}

#[test]
fn round_trips() {
    let mut random = Random::new(1);
    for _ in 0..2000 {
        let records = random_file(&mut random);
        let bytes = write(&records, &["# x"]).unwrap();
        assert_eq!(File::parse(&bytes).unwrap().records, records);
    }
}

#[test]
fn entries_round_trip() {
    let mut e = Entry::new("eth0".parse().unwrap());
    assert_eq!(Entry::from_record(&e.record()), Ok(e.clone()));
    e.addr = "192.0.2.7/24".parse().ok();
    e.bcast = Some([192, 0, 2, 255].into());
    e.gw = "fe80::1".parse().ok();
    e.net = Some(crate::Prefix::DEFAULT_V6);
    e.routes = vec![
        Route { net: "2001:db8::/32".parse().unwrap(), gw: None },
        Route { net: "10.0.0.0/8".parse().unwrap(), gw: Some([192, 0, 2, 2].into()) },
    ];
    (e.metric, e.table, e.weight, e.mtu, e.dns_prio) = (Some(0), Some(7), Some(1), Some(1280), Some(3));
    e.health = Some(Health::Down);
    e.failback = Some(Failback::Keep);
    e.bridge = vec!["eth1".parse().unwrap(), "eth2".parse().unwrap()];
    e.vlan = Some(Vlan { below: "eth3".parse().unwrap(), id: 1 });
    e.autoconf = Some(Autoconf::Forbidden);
    e.dns = vec![[192, 0, 2, 1].into(), "::1".parse().unwrap()];
    e.domain = "example".parse().ok();
    e.search = vec!["a.example".parse().unwrap(), "b".parse().unwrap()];
    e.dnsmasq = vec!["/x/192.0.2.1".into()];
    e.ntp = vec!["192.0.2.1".parse().unwrap(), "t.example".parse().unwrap()];
    assert_eq!(Entry::from_record(&e.record()), Ok(e.clone()));
    assert!(File { records: vec![e.record()] }.entries().unwrap().unknown.is_empty());
}

#[test]
fn hostile_bytes_never_panic() {
    let mut random = Random::new(2);
    let seed =
        b"# c\nlet cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]=192.0.2.7\ncfg=$((cfg+1))\nif[$cfg]=\"e\" # x\nlet cfg++\n";
    let mut accepted = 0;
    for _ in 0..40_000 {
        let mut bytes = seed.to_vec();
        for _ in 0..=random.below(4) {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match random.below(3) {
                0 => bytes[at] = random.bits32().to_le_bytes()[0],
                1 => drop(bytes.drain(at..)),
                _ => bytes.insert(at, b"'\"$[]=\n #\0;"[usize::try_from(random.below(11)).unwrap()]),
            }
            if bytes.is_empty() {
                break;
            }
        }
        if let Ok(file) = File::parse(&bytes) {
            accepted += 1;
            let _ = file.entries();
        }
        let noise: Vec<u8> = (0..random.below(64)).map(|_| random.bits32().to_le_bytes()[0]).collect();
        let _ = File::parse(&noise);
    }
    assert!(accepted > 1000, "mutations too wild to test anything: {accepted}");
}

/// Sources the files in one bash, as a legacy `fw/run` does, and prints every array element it then has.
fn bash_sees(files: &[&std::path::Path]) -> Vec<(String, usize, String)> {
    let script = "cfg=-1; for f in \"$@\"; do . \"$f\" || :; done
        for k in $KEYS; do declare -n r=$k; for i in \"${!r[@]}\"; do printf '%s\\0%s\\0%s\\0' \"$k\" \"$i\" \"${r[i]}\"; done; done";
    #[expect(clippy::disallowed_methods, reason = "test: runs the real bash")]
    let out = std::process::Command::new("bash")
        .args(["-u", "-c", script, "bash"])
        .args(files)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("KEYS", WORDS.join(" "))
        .output()
        .unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let fields: Vec<&str> = text.split('\0').collect();
    fields.chunks_exact(3).map(|c| (c[0].to_owned(), c[1].parse().unwrap(), c[2].to_owned())).collect()
}

#[test]
fn bash_sees_the_same_values() {
    let dir = std::env::temp_dir().join(format!("ipconf-bash-{}", std::process::id()));
    file::make_dir(CWD, &dir, 0o700).unwrap();
    let (path, temp) = (dir.join("x.ipconf"), dir.join("x.tmp"));
    let mut random = Random::new(3);
    let mut compared = 0;
    for _ in 0..40 {
        let records = random_file(&mut random);
        let bytes = write(&records, &["lease 3600; $(exit 3)"]).unwrap();
        file::replace(CWD, &temp, &path, &bytes, 0o600, Durability::Atomic).unwrap();
        let mut ours: Vec<(String, usize, String)> = Vec::new();
        for (i, r) in records.iter().enumerate() {
            for key in WORDS {
                ours.extend(r.assignment(key).map(|a| (a.key.clone(), i, a.value.clone())));
            }
        }
        let mut theirs = bash_sees(&[&path]);
        ours.sort();
        theirs.sort();
        assert_eq!(theirs, ours, "{}", String::from_utf8_lossy(&bytes));
        compared += ours.len();
    }
    // What others write: every spelling the reader takes means the same to bash.
    let text = "let cfg=cfg+1\nif[$cfg]=a,b@c%d+e=f-1\n\tip[$cfg]=\"it's\"  # x\nlet cfg++ # y\na[$cfg]=\n cfg=$((cfg+1));a[$cfg]=:/._; ip[$cfg]='; #' ;x_9[$cfg]=1;# z\n";
    file::replace(CWD, &temp, &path, text.as_bytes(), 0o600, Durability::Atomic).unwrap();
    let mut theirs = bash_sees(&[&path]);
    theirs.sort();
    let mut ours: Vec<_> = Vec::new();
    for (i, r) in parse(text).unwrap().records.iter().enumerate() {
        ours.extend(r.assignments.iter().map(|a| (a.key.clone(), i, a.value.clone())));
    }
    ours.sort();
    assert_eq!(theirs, ours);
    assert!(compared > 100);
    file::unlink(CWD, &path).unwrap();
    std::fs::remove_dir(&dir).unwrap();
}
