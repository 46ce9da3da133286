//! Whether somebody else uses the address (RFC 5227).

use super::*;

fn checking() -> Script {
    let mut s = Script::started(Config { check: Some(Duration::from_secs(2)), ..UDHCPC });
    s.offer(0);
    assert_eq!(s.ack(0, HOUR), ["listen arp 192.0.2.7", "probe 192.0.2.7"]);
    assert_eq!(s.wait, (Some(2000), "address check"));
    s
}

#[test]
fn address_check_without_conflict() {
    let mut s = checking();
    let arp = |mac, sender, target| Input::Arp(Arp { mac, sender, target });
    let (zero, other) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(192, 0, 2, 50));
    assert!(s.at(100, arp(MAC, zero, ADDRESS)).is_empty(), "our own probe, reflected");
    assert!(s.at(100, arp([9; 6], other, ADDRESS)).is_empty(), "somebody asks for us");
    assert_eq!(s.timer(2000), ["bound 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
    // D26: not again on renewal.
    s.timer(1_800_000);
    assert_eq!(s.ack(1_800_000, HOUR)[0], "renew 192.0.2.7");
}

/// D11, D12: conflict: DECLINE by broadcast, a pause, and then it works again.
#[test]
fn d12_conflict() {
    let zero = Ipv4Addr::UNSPECIFIED;
    for (sender, target) in [(ADDRESS, SERVER), (ADDRESS, ADDRESS), (zero, ADDRESS)] {
        let mut s = checking();
        let did = s.at(500, Input::Arp(Arp { mac: [9; 6], sender, target }));
        assert_eq!(did, ["listen all", "decline 192.0.2.7 @192.0.2.1 >all", "forget", "listen nothing"]);
        assert_eq!(s.wait, (Some(20_500), "pause after a conflict"));
        assert_eq!(s.notes.last().unwrap(), "declined 192.0.2.7: in use by 09:09:09:09:09:09");
        s.timer(20_500);
        s.offer(20_500);
        s.ack(20_500, HOUR);
        assert_eq!(s.timer(22_500)[0], "bound 192.0.2.7");
    }
}
