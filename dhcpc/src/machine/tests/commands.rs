//! Signals.

use super::*;

#[test]
fn usr1_renews_then_rebinds_then_starts_over() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(s.command(1000, Command::Renew), ["listen 192.0.2.7", "request from 192.0.2.7 >192.0.2.1"]);
    assert_eq!(s.ack(1001, HOUR)[0], "renew 192.0.2.7");
    s.command(2000, Command::Renew);
    assert_eq!(s.timer(12_000), ["listen all", "request from 192.0.2.7 >all"], "no answer in 10 s");
    assert_eq!(s.ack(12_001, HOUR)[0], "renew 192.0.2.7");
    s.command(20_000, Command::Renew);
    let did = s.command(21_000, Command::Renew);
    assert_eq!(did, ["deconfig", "listen all", "discover 192.0.2.7 >all"]);
    s.still_works(21_000);
}

#[test]
fn usr1_elsewhere() {
    let mut s = Script::started(UDHCPC);
    assert!(s.command(0, Command::Renew).is_empty());
    s.offer(0);
    assert!(s.command(0, Command::Renew).is_empty());
    let mut s = Script::started(UDHCPC);
    for t in [3000, 6000, 9000] {
        s.timer(t);
    }
    assert_eq!(s.command(9001, Command::Renew), ["listen all", "discover >all"], "does not sit out the pause");
}

/// --busybox-compat: a pause is sat out.
#[test]
fn usr1_as_busybox() {
    let mut s = Script::started(Config { as_busybox: true, ..UDHCPC });
    for t in [3000, 6000, 9000] {
        s.timer(t);
    }
    assert!(s.command(9001, Command::Renew).is_empty());
    assert_eq!(s.timer(29_000), ["listen all", "discover >all"]);
}

/// --busybox-compat: one transaction from the DISCOVER to the RELEASE, and seconds that go on counting.
#[test]
fn one_transaction_as_busybox() {
    let mut s = Script::bound(Config { as_busybox: true, ..UDHCPC });
    let xid = s.xid;
    s.command(5000, Command::Renew);
    assert_eq!(s.xid, xid);
    assert_eq!(s.ack(5001, HOUR)[0], "renew 192.0.2.7");
    let lease = s.machine.lease().unwrap();
    s.command(9000, Command::Release);
    assert_eq!((s.xid, s.machine.farewell(Instant::from_millis(9000), &lease)), (xid, (xid, 4)));
    let mut ours = Script::bound(UDHCPC);
    let (xid, lease) = (ours.xid, ours.machine.lease().unwrap());
    let (other, secs) = ours.machine.farewell(Instant::from_millis(9000), &lease);
    assert!(other != xid && secs == 0);
}

#[test]
fn usr2_releases_and_usr1_starts_again() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(
        s.command(1000, Command::Release),
        ["listen 192.0.2.7", "release from 192.0.2.7 >192.0.2.1", "deconfig", "forget", "listen nothing"]
    );
    assert_eq!(s.wait, (None, "renew command"));
    assert_eq!(s.command(1500, Command::Release), ["deconfig", "forget"]);
    assert!(s.link(1600, Some(DOWN)).is_empty());
    assert!(s.link(1700, Some(UP)).is_empty());
    assert_eq!(s.command(2000, Command::Renew), ["listen all", "discover 192.0.2.7 >all"], "as udhcpc does");
    s.still_works(2000);
    let mut s = Script::started(UDHCPC);
    assert_eq!(s.command(0, Command::Release), ["deconfig", "forget", "listen nothing"], "nothing to release");
}

#[test]
fn term() {
    let mut s = Script::bound(UDHCPC);
    assert_eq!(s.command(1, Command::Stop), ["exit 0"], "udhcpc leaves the address");
    let mut s = Script::bound(Config { release_on_exit: true, ..UDHCPC });
    assert_eq!(
        s.command(1, Command::Stop),
        ["listen 192.0.2.7", "release from 192.0.2.7 >192.0.2.1", "forget", "deconfig", "listen nothing", "exit 0"]
    );
    let mut s = Script::bound(NATIVE);
    assert_eq!(s.command(1, Command::Stop), ["deconfig", "exit 0"], "the lease itself is kept for the next start");
}
