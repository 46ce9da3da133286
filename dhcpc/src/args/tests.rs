//! Call lines from the field, defaults, and mistakes.

use super::profile::{NATIVE_LIST, UDHCPC_LIST, VENDOR};
use super::*;
use crate::environment::{Export, Routes};
use crate::machine::{Defence, Policy, RFC_FIRST, Schedule};
use crate::message::ClientId;
use std::net::Ipv4Addr;

fn parse(line: &str) -> Result<Options, UsageError> {
    parse_in(line, Places::default())
}

fn parse_in(line: &str, places: Places) -> Result<Options, UsageError> {
    let args: Vec<OsString> = line.split_whitespace().map(|w| if w == "''" { "" } else { w }.into()).collect();
    match Command::parse(&args, places)? {
        Command::Run(options) => Ok(*options),
        Command::Help => panic!("asked for help"),
    }
}

/// The call lines found in the field are taken as they are.
#[test]
fn call_lines_of_others() {
    let openwrt = parse(
        "-p /var/run/udhcpc-eth0.pid -s /lib/netifd/dhcp.script -f -t 0 -i eth0 -r 192.0.2.7 -x hostname:box -B -R \
         -x 0x3d:ff00aa -x 0x3c:4d53 -V '' -O 212 -O 121",
    )
    .unwrap();
    assert_eq!(openwrt.profile.client_id, ClientId::Given(vec![0xff, 0, 0xaa]));
    assert_eq!(openwrt.profile.options, [(12, b"box".to_vec()), (60, b"MS".to_vec())]);
    assert_eq!(openwrt.profile.requested, [1, 121, 3, 6, 12, 15, 28, 42, 212]);
    let endless = Schedule::Fixed { tries: 0, gap: Duration::from_secs(3), pause: Duration::from_secs(20) };
    assert_eq!(openwrt.config.schedule, endless);
    assert!(openwrt.profile.broadcast && openwrt.config.release_on_exit);

    let infix = parse(
        "-f -p /run/dhcp-client-e1.pid -t 3 -T 5 -A 30 -a500 -S -R -o -O 1 -O router -i e1 -C -x 61:00:61:62 -V '' -s x",
    )
    .unwrap();
    assert_eq!(infix.profile.client_id, ClientId::Given(b"\0ab".to_vec()));
    assert_eq!(infix.profile.requested, [1, 3]);
    assert!(infix.profile.options.is_empty());
    assert_eq!(infix.config.check, Some(Duration::from_millis(500)));
    assert!(infix.warnings.is_empty() && infix.syslog);

    let var_service = parse(
        "-vv --foreground --interface=wlan0 --pidfile=udhcpc.pid --script=./dhcp_handler --hostname=null -C -o -V ''",
    )
    .unwrap();
    assert_eq!((var_service.verbose, var_service.interface.as_str()), (2, "wlan0"));
    assert_eq!(var_service.script.as_deref(), Some(c"./dhcp_handler"));
    assert!(var_service.profile.options.is_empty() && var_service.profile.requested.is_empty());

    let alpine = parse("-b -R -s x").unwrap();
    assert_eq!(alpine.background, Background::BoundOrNot);
    let ifupdown = parse("-R -n -s x").unwrap();
    assert!(ifupdown.config.exit_without_lease && ifupdown.background == Background::Bound);
    let both = parse("-nb -s x").unwrap();
    assert!(!both.config.exit_without_lease, "-b wins over -n");
    assert!(parse("-qn -s x").unwrap().config.exit_when_bound);
}

#[test]
fn defaults() {
    let udhcpc = parse("-s x").unwrap();
    assert_eq!(udhcpc.interface.as_str(), "eth0");
    let three = Schedule::Fixed { tries: 3, gap: Duration::from_secs(3), pause: Duration::from_secs(20) };
    assert_eq!(udhcpc.config.schedule, three);
    assert_eq!(udhcpc.profile.requested, UDHCPC_LIST);
    assert_eq!(udhcpc.profile.options, [(60, VENDOR.as_bytes().to_vec())]);
    assert!(udhcpc.config.exit_without_link && !udhcpc.config.withdraw_on_exit);
    let native = parse("-i eth1").unwrap();
    assert_eq!((native.config.schedule, native.background), (Schedule::Rfc { first: RFC_FIRST }, Background::Never));
    assert_eq!(native.profile.requested, NATIVE_LIST);
    assert!(native.profile.options.is_empty());
    assert_eq!(native.name.as_str(), "dhcp_eth1");
    assert_eq!(
        parse("-t 5").unwrap().config.schedule,
        Schedule::Fixed { tries: 5, gap: Duration::from_secs(3), pause: Duration::from_secs(20) }
    );
    assert_eq!(
        parse("-T 0 -A 0").unwrap().config.schedule,
        Schedule::Fixed { tries: 3, gap: Duration::from_secs(1), pause: Duration::ZERO }
    );
    assert_eq!(parse("-a").unwrap().config.check, Some(Duration::from_secs(2)));
    assert_eq!(parse("--arping=300").unwrap().config.check, Some(Duration::from_millis(300)));
    assert_eq!(parse("--state ''").unwrap().state, None);
}

#[test]
fn places() {
    let places =
        Places { run_dir: "/r".into(), state: "/s".into(), here: Some("uplink_eth1".to_owned()), ..Places::default() };
    let o = parse_in("-i eth1 --fw /other", places.clone()).unwrap();
    assert_eq!((o.name.as_str(), o.run_dir, o.fw), ("uplink_eth1", "/r".into(), "/other".into()));
    assert_eq!((o.ntp_dir, o.state), ("/var/run/service/ntpd".into(), Some("/s".into())));
    assert_eq!(parse_in("-i eth2", places.clone()).unwrap().name.as_str(), "dhcp_eth2");
    assert_eq!(parse_in("-i eth2 --name x", places).unwrap().name.as_str(), "x");
}

#[test]
fn names_and_lists() {
    let o = parse("-s x -F gw.example.org -x hostname:gw -x router:192.0.2.1 -x router:192.0.2.2").unwrap();
    let full = b"\x05\0\0\x02gw\x07example\x03org\x00".to_vec();
    assert_eq!(o.profile.options[0], (3, vec![192, 0, 2, 1, 192, 0, 2, 2]));
    assert_eq!(o.profile.options[2], (81, full), "and no host name beside it");
    assert_eq!(parse("-F gw").unwrap().profile.options, [(81, b"\x05\0\0\x02gw".to_vec())]);
    let old = parse("-c abc -H box").unwrap();
    assert_eq!(old.profile.client_id, ClientId::Given(b"\0abc".to_vec()));
    assert_eq!((old.profile.options, old.warnings.len()), (vec![(12, b"box".to_vec())], 2));
    assert_eq!(parse("-C").unwrap().profile.client_id, ClientId::None);
}

/// What udhcpc does not have: D01, D02, D24, D25, D40.
#[test]
fn options_of_our_own() {
    let o = parse(
        "--initial-delay 10 --first-retry 250 --defend always --reject-server 192.0.2.0/24 --reject-server 10.0.0.1 \
         --require-option router --require-option 6 --min-lease 300",
    )
    .unwrap();
    let quarter = Duration::from_millis(250);
    assert_eq!(
        (o.config.schedule, o.config.initial_delay),
        (Schedule::Rfc { first: quarter }, Duration::from_secs(10))
    );
    assert_eq!(o.config.defend, Some(Defence::Always));
    let reject = vec![(Ipv4Addr::new(192, 0, 2, 0), 24), (Ipv4Addr::new(10, 0, 0, 1), 32)];
    assert_eq!(o.config.policy, Policy { reject, prefer: vec![], require: vec![3, 6], min_lease: 300 });
    assert!(o.config.rapid_commit && o.profile.rapid_commit, "without a script");
    let chosen = parse("--prefer-server 192.0.2.1").unwrap();
    assert!(!chosen.config.rapid_commit && !chosen.profile.rapid_commit, "each server would commit itself");
    assert!(!parse("-s x").unwrap().config.rapid_commit && parse("-s x --rapid-commit").unwrap().config.rapid_commit);
    assert!(!parse("--no-rapid-commit").unwrap().profile.rapid_commit);
    assert_eq!(parse("-s x").unwrap().config.defend, None);
    assert_eq!(parse("-s x -a").unwrap().config.defend, Some(Defence::Once));
    assert!(parse("-s x -O 108").unwrap().config.v6_only && !parse("-s x").unwrap().config.v6_only);
}

#[test]
fn what_a_script_sees() {
    let o = parse("-s x --strict -O 121 --inherit A,B --inherit C --stats /s").unwrap();
    assert_eq!(o.export.only, Some(vec![1, 121, 3, 6, 12, 15, 28, 42]));
    assert_eq!(o.inherit, Some(vec!["A".to_owned(), "B".to_owned(), "C".to_owned()]));
    assert_eq!(o.stats, Some("/s".into()));
    let plain = parse("-s x").unwrap();
    assert_eq!((plain.export, plain.inherit, plain.stats), (Export::default(), None, None));
    assert_eq!(parse("-s x --inherit ''").unwrap().inherit, Some(vec![]));
    assert_eq!(parse("-i e1 --run-dir /r").unwrap().stats, Some("/r/dhcp_e1.stats".into()));
}

/// What is not to be used is not asked for, not even by name.
#[test]
fn routes_that_are_taken() {
    let list = |line| parse(line).unwrap().profile.requested;
    assert_eq!(list("--routes default"), [1, 3, 6, 15, 119, 26, 28, 42, 51, 58, 59]);
    assert_eq!(list("--routes none -O 121"), [1, 6, 15, 119, 26, 28, 42, 51, 58, 59]);
    assert_eq!(list("-s x --routes default -O 121 -O 249 -O 33"), UDHCPC_LIST);
    assert_eq!(list("-s x --routes all"), UDHCPC_LIST);
    assert_eq!(parse("--routes none").unwrap().export.routes, Routes::None);
}

/// D20: 121 is asked for before 3 and 33, natively and with `-O 121`.
#[test]
fn d20_order_of_the_parameter_list() {
    for line in ["-i eth0", "-s x -O 121", "-s x -O 33 -O 121 -O 249"] {
        let list = parse(line).unwrap().profile.requested;
        let at = |c| list.iter().position(|l| *l == c);
        assert!(at(121) < at(3) && at(33).is_none_or(|p| at(121) < Some(p)), "{line}: {list:?}");
    }
}

/// D23: wire form with S and E, a name without dots is a partial one, and no option 12 beside it.
#[test]
fn d23_fqdn() {
    let o = parse("-s x -V '' -F gw.example.org -x hostname:gw").unwrap();
    assert_eq!(o.profile.options, [(81, b"\x05\0\0\x02gw\x07example\x03org\x00".to_vec())]);
    assert_eq!(parse("-F gw").unwrap().profile.options, [(81, b"\x05\0\0\x02gw".to_vec())]);
    assert_eq!(parse("-F gw.").unwrap().profile.options, [(81, b"\x05\0\0\x02gw\0".to_vec())]);
}

/// D34, D37: what providers and managers of networks want said: authentication (90), user class (77), vendor options (124,
/// 125), the address of a description (161), each as given, in order, in every message but DECLINE and RELEASE.
#[test]
fn d34_d37_options_for_providers() {
    let o = parse(
        "-s x -V '' -C -o -x 0x5a:00000000 -x 77:2b46 -x 125:0000 -x 124:00000de9 -x 161:'https://m' -x 0x74:01 -O 150 -O 212",
    )
    .unwrap();
    let sent = crate::message::Request {
        xid: 1,
        secs: 0,
        broadcast: false,
        body: crate::message::Body::Extend { address: Ipv4Addr::new(192, 0, 2, 7) },
    };
    let wire = crate::message::encode(&sent, &o.profile, [2, 0, 0, 0, 0, 7]);
    let options = [
        [53, 1, 3, 57, 2, 2, 0x40, 55, 2, 150, 212, 77, 2, 0x2b, 0x46, 90, 4, 0, 0, 0, 0, 116, 1, 1].as_slice(),
        &[124, 4, 0, 0, 0x0d, 0xe9, 125, 2, 0, 0, 161, 9],
        b"https://m\xff",
    ]
    .concat();
    assert_eq!(wire[240..240 + options.len()], options);
}

/// D32: two hosts with different settings say the same.
#[test]
fn d32_anonymous() {
    let a = parse("-s x --anonymous -x hostname:box -F box.example.org -V me -O 42 -r 192.0.2.7 --state /s --duid")
        .unwrap();
    let b = parse("--anonymous").unwrap();
    assert_eq!(a.profile, b.profile);
    assert!(a.profile.options.is_empty() && a.profile.client_id == ClientId::Mac && !a.profile.rapid_commit);
    assert!(a.config.anonymous && !a.config.verify_link && !a.duid);
    assert_eq!((a.config.wish, a.state, a.max_size, a.warnings.len()), (None, None, Some(1500), 1));
    assert_eq!(b.warnings.len(), 0);
    assert!(parse("--duid").unwrap().duid);
}

/// Everything that is different without being safer.
#[test]
fn busybox_compat() {
    let o = parse("-s x --busybox-compat -O 121 -O 2 -F gw.example.org").unwrap();
    assert_eq!(o.profile.requested, [1, 2, 3, 6, 12, 15, 28, 42, 121]);
    assert_eq!(o.profile.options[1], (81, b"\x01\0\0gw.example.org".to_vec()));
    assert!(!o.config.fuzz && !o.config.server_times && !o.config.broadcast_fallback && !o.config.verify_link);
    assert!(o.ignore_carrier && o.export.as_busybox && o.config.as_busybox);
    assert_eq!(parse("-s x -a --busybox-compat").unwrap().config.defend, None);
    assert_eq!((o.state, o.script_limit, o.max_size), (None, None, Some(576)));
}

#[test]
fn mistakes() {
    for (line, why) in [
        ("-r nowhere", "-r: expected an address"),
        ("-t x", "-t: expected a number"),
        ("-a1x", "-a: expected milliseconds"),
        ("-i", "missing argument for option '-i'"),
        ("-Z", "invalid option '-Z'"),
        ("-N x", "invalid option '-N'"),
        ("--nonsense", "invalid option '--nonsense'"),
        ("eth0", "unexpected argument \"eth0\""),
        ("-O nonsense", "nonsense: expected the name or number (1-254) of an option"),
        ("-i a/b", "-i: expected an interface's name"),
        ("-F a..b", "-F: expected a host's name"),
        ("--defend never", "--defend: expected give-up, once or always"),
        ("--routes some", "--routes: expected all, default or none"),
        ("--reject-server 10.0.0.0/33", "--reject-server: expected an address or network"),
    ] {
        assert_eq!(parse(line).map(drop), Err(UsageError(why.to_owned())), "{line}");
    }
}
