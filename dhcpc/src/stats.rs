//! What was sent, heard and dropped, and why: counters, one `NAME NUMBER` a line. Which names there are is fixed here.

use crate::machine::{Event, Ignored};
use crate::message::{Body, Refused, ReplyKind};
use core::time::Duration;
use netif::frame::FrameError;
use sys::clock::Instant;

/// At most one write in so long; the last state is written once it is over.
const INTERVAL: Duration = Duration::from_secs(10);

/// Something that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    Sent(Body),
    Heard(ReplyKind),
    Refused(Refused),
    Damaged(FrameError),
    /// To other ports, or no DHCP.
    Foreign,
    Ignored(Ignored),
}

/// The counters and when they are to be written.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// In order of first appearance.
    counters: Vec<(&'static str, u64)>,
    changed: bool,
    written: Option<Instant>,
}

impl Stats {
    pub(crate) fn count(&mut self, what: Counted) {
        self.add(match what {
            Counted::Sent(Body::Discover { .. }) => "sent_discover",
            Counted::Sent(Body::Select { .. } | Body::Reboot { .. } | Body::Extend { .. }) => "sent_request",
            Counted::Sent(Body::Decline { .. }) => "sent_decline",
            Counted::Sent(Body::Release { .. }) => "sent_release",
            Counted::Heard(ReplyKind::Offer) => "heard_offer",
            Counted::Heard(ReplyKind::Ack) => "heard_ack",
            Counted::Heard(ReplyKind::Nak) => "heard_nak",
            Counted::Heard(ReplyKind::ForceRenew) => "heard_forcerenew",
            Counted::Refused(Refused::Short) => "dropped_short",
            Counted::Refused(Refused::Op) => "dropped_op",
            Counted::Refused(Refused::Hardware) => "dropped_hardware",
            Counted::Refused(Refused::Address) => "dropped_other_client",
            Counted::Refused(Refused::Cookie) => "dropped_cookie",
            Counted::Refused(Refused::Type) => "dropped_type",
            Counted::Refused(Refused::ClientId) => "dropped_client_id",
            Counted::Damaged(FrameError::IpChecksum) => "dropped_ip_checksum",
            Counted::Damaged(FrameError::UdpChecksum) => "dropped_udp_checksum",
            Counted::Damaged(FrameError::Fragment) => "dropped_fragment",
            Counted::Damaged(
                FrameError::Short
                | FrameError::EtherType
                | FrameError::ArpFormat
                | FrameError::IpVersion
                | FrameError::IpLength
                | FrameError::Protocol
                | FrameError::UdpLength
                | FrameError::TooLong,
            ) => "dropped_frame",
            Counted::Foreign => "dropped_port",
            Counted::Ignored(Ignored::NoLink) => "ignored_link_down",
            Counted::Ignored(Ignored::State) => "ignored_state",
            Counted::Ignored(Ignored::Xid) => "ignored_transaction",
            Counted::Ignored(Ignored::Server) => "ignored_other_server",
            Counted::Ignored(Ignored::Policy) => "ignored_policy",
            Counted::Ignored(Ignored::Address) => "ignored_no_host_address",
            Counted::Ignored(Ignored::Late) => "ignored_late",
            Counted::Ignored(Ignored::Unsigned) => "ignored_unsigned",
        });
    }

    pub(crate) fn event(&mut self, event: &Event) {
        self.add(match event {
            Event::Deconfig => "deconfig",
            Event::Bound { .. } => "bound",
            Event::Renew(_) => "renew",
            Event::Nak(_) => "nak",
            Event::LeaseFail(_) => "leasefail",
        });
    }

    fn add(&mut self, name: &'static str) {
        self.changed = true;
        match self.counters.iter_mut().find(|c| c.0 == name) {
            Some((_, n)) => *n = n.saturating_add(1),
            None => self.counters.push((name, 1)),
        }
    }

    /// When the file wants to be written; none while it says what is.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        self.changed.then(|| self.written.map_or(now, |w| (w + INTERVAL).max(now)))
    }

    /// The file's content, which is taken as written.
    pub(crate) fn text(&mut self, now: Instant) -> String {
        self.changed = false;
        self.written = Some(now);
        let mut sorted = self.counters.clone();
        sorted.sort_unstable();
        sorted.iter().map(|(name, n)| format!("{name} {n}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_on_change_and_not_too_often() {
        let mut s = Stats::default();
        let at = Instant::from_secs;
        assert_eq!(s.due(at(5)), None);
        s.event(&Event::LeaseFail(None));
        s.count(Counted::Refused(Refused::Cookie));
        s.count(Counted::Refused(Refused::Cookie));
        assert_eq!(s.due(at(5)), Some(at(5)));
        assert_eq!(s.text(at(5)), "dropped_cookie 2\nleasefail 1\n");
        assert_eq!(s.due(at(6)), None, "nothing new, nothing to wake up for");
        s.event(&Event::Deconfig);
        assert_eq!(s.due(at(6)), Some(at(15)));
        assert_eq!(s.due(at(99)), Some(at(99)));
        assert_eq!(s.text(at(99)), "deconfig 1\ndropped_cookie 2\nleasefail 1\n");
    }
}
