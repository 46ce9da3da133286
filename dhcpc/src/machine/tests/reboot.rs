//! A remembered lease and whether it holds here.

use super::*;

/// D05: restart with a lease file; the server agrees.
#[test]
fn d05_init_reboot_ack() {
    let mut s = Script::new(UDHCPC);
    assert_eq!(s.at(0, remembered(false)), ["listen all", "request 192.0.2.7 >all", "deconfig"]);
    assert_eq!(s.ack(10, HOUR), ["bound 192.0.2.7", "save", "listen nothing"]);
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
}

/// D05: ... refuses: the network is another one, look around at once.
#[test]
fn d05_init_reboot_nak() {
    let mut s = Script::new(UDHCPC);
    s.at(0, remembered(false));
    assert_eq!(s.nak(10), ["nak", "forget", "discover >all"]);
    assert_eq!(s.notes.get(1).map(String::as_str), Some("refused by 192.0.2.1: no"));
    s.still_works(10);
    // The same when the address was published from the last run: nothing is withdrawn before somebody says no.
    let mut s = Script::new(NATIVE);
    assert_eq!(s.at(0, remembered(true)), ["listen all", "request 192.0.2.7 >all"]);
    assert_eq!(s.nak(10), ["nak", "deconfig", "forget", "discover >all"]);
    s.still_works(10);
}

/// D05: ... is silent: after 3 s a search, in which a server that knows nothing of us can offer; else the lease is kept.
#[test]
fn d05_init_reboot_silence() {
    let mut s = Script::new(NATIVE);
    s.at(0, remembered(false));
    assert_eq!(s.timer(1000), ["request 192.0.2.7 >all"]);
    assert_eq!(s.timer(3000), ["discover 192.0.2.7 >all"]);
    let mut events = Vec::new();
    while events.is_empty() {
        events = s.timer(s.wait.0.unwrap());
        events.retain(|e| !e.starts_with("discover"));
    }
    assert_eq!(events, ["bound 192.0.2.7", "listen nothing"]);
    assert!(s.notes.last().unwrap().ends_with("(unconfirmed: nobody answers)"));
    assert_eq!(s.wait, (Some(1_800_000), "T1"));
    s.still_works(1_800_000);

    // A script that counts on `leasefail` gets it.
    let mut s = Script::new(UDHCPC);
    s.at(0, remembered(false));
    for t in [1000, 3000, 6000, 9000] {
        s.timer(t);
    }
    assert_eq!(s.timer(12_000), ["leasefail", "listen nothing"]);
    s.still_works(12_000);
}
