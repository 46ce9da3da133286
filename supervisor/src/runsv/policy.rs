//! What a service directory may say about its runs beyond runit, each in a file of its own; see docs/supervision.md. Without
//! any of the files a service is treated as runit does.

use super::service::THROTTLE;
use core::time::Duration;

/// What the machine has to know about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Least time between two starts, unless somebody asks for one.
    pub(crate) delay_min: Duration,
    /// What it grows to while runs end quickly.
    pub(crate) delay_max: Duration,
    /// How long a run may take to end before it is killed.
    pub(crate) stop_limit: Option<Duration>,
    /// The run says when it is ready.
    pub(crate) notifies: bool,
    /// The run leads a process group of its own, which gets its signals and goes with it.
    pub(crate) group: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { delay_min: THROTTLE, delay_max: THROTTLE, stop_limit: None, notifies: false, group: false }
    }
}

/// `throttle`: one line `MIN [MAX]`, seconds; without MAX the delay does not grow.
pub(crate) fn throttle(content: &[u8]) -> Option<(Duration, Duration)> {
    let mut words = words(content)?;
    let min = seconds(words.next()?)?;
    let max = words.next().map_or(Some(min), seconds)?;
    (min <= max && words.next().is_none()).then_some((min, max))
}

/// `timeout-stop`: one line, seconds.
pub(crate) fn timeout(content: &[u8]) -> Option<Duration> {
    let mut words = words(content)?;
    let limit = seconds(words.next()?)?;
    words.next().is_none().then_some(limit)
}

/// Numbers a descriptor to notify on may have. 0, 1 and 2 are taken: input, the log pipe, errors.
const DESCRIPTORS: core::ops::RangeInclusive<i32> = 3..=1023;

/// `notification-fd`: one line, a number of [`DESCRIPTORS`].
pub(crate) fn descriptor(content: &[u8]) -> Option<i32> {
    let mut words = words(content)?;
    let number = core::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    (DESCRIPTORS.contains(&number) && words.next().is_none()).then_some(number)
}

/// The words of the only line.
fn words(content: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let line = content.trim_ascii();
    (!line.contains(&b'\n')).then(|| line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()))
}

/// More than anybody waits, and far from any overflow.
const SECONDS_MAX: u64 = 1_000_000_000;
const NANOS: u64 = 1_000_000_000;

/// A decimal number above zero, with or without a fraction, of which nine digits count.
fn seconds(word: &[u8]) -> Option<Duration> {
    let mut parts = word.splitn(2, |&b| b == b'.');
    let mut total: u64 = 0;
    for &digit in parts.next()? {
        total = total * 10 + u64::from(value(digit)?);
        if total > SECONDS_MAX {
            return None;
        }
    }
    let fraction = parts.next().unwrap_or(b"0");
    if word.first() == Some(&b'.') || fraction.is_empty() {
        return None;
    }
    let mut unit = NANOS;
    let mut nanos = total * NANOS;
    for &digit in fraction {
        unit /= 10;
        nanos += unit * u64::from(value(digit)?);
    }
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

fn value(digit: u8) -> Option<u8> {
    digit.is_ascii_digit().then(|| digit - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn delays() {
        assert_eq!(throttle(b"1 60\n"), Some((ms(1000), ms(60_000))));
        assert_eq!(throttle(b" 0.25\t2.5 "), Some((ms(250), ms(2500))));
        assert_eq!(throttle(b"3"), Some((ms(3000), ms(3000))));
        assert_eq!(throttle(b"0.0000000019"), Some((Duration::from_nanos(1), Duration::from_nanos(1))));
        assert_eq!(throttle(b"1000000000"), Some((ms(1_000_000_000_000), ms(1_000_000_000_000))));
        for bad in
            ["", "\n", "0", "0.0", "x", "2 1", "1 2 3", "1\n2", "-1", "1.", ".5", "1.5.5", "1s", "1 x", "1000000001"]
        {
            assert_eq!(throttle(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(throttle(&[b'9'; 64]), None);
        assert_eq!(throttle(b"1\xff"), None);
    }

    #[test]
    fn limits_and_descriptors() {
        assert_eq!(timeout(b"7.5\n"), Some(ms(7500)));
        assert_eq!((timeout(b"1 2"), timeout(b"0"), timeout(b"")), (None, None, None));
        assert_eq!((descriptor(b"3\n"), descriptor(b"1023")), (Some(3), Some(1023)));
        for bad in ["", "0", "1", "2", "1024", "-3", "3 4", "3\n4", "x", "99999999999"] {
            assert_eq!(descriptor(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
