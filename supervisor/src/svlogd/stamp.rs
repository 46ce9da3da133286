//! Time stamps in front of lines (spec runit §4.1): `@` and TAI64N, or UTC with five digits of the second's fraction.
//!
//! A line's stamp is the time at which the chunk with its first byte was read, so one stamp serves all lines that begin in a
//! chunk; and the date is worked out once a second at most.

use sys::clock::{Tai64n, Wall};

/// Length of every stamp, the space included.
pub(crate) const LEN: usize = 26;

/// How often `-t` was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No stamp.
    #[default]
    None,
    /// `-t`: `@400000006b0311ac20e9b284`
    Tai,
    /// `-tt`: `2026-11-22_19:00:33.84623`
    Underscore,
    /// `-ttt`: `2026-11-22T19:00:33.84623`
    T,
}

/// Makes stamps.
#[derive(Clone, Debug)]
pub(crate) struct Stamper {
    kind: Kind,
    second: Option<i64>,
    text: [u8; LEN],
}

impl Stamper {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, second: None, text: [b' '; LEN] }
    }

    /// The stamp of lines read at `now`, with a space behind it; empty when there are none.
    pub(crate) fn stamp(&mut self, now: Wall) -> &[u8] {
        match self.kind {
            Kind::None => return b"",
            Kind::Tai => self.text[..25].copy_from_slice(&Tai64n::from(now).hex()),
            Kind::Underscore => self.utc(now, b'_'),
            Kind::T => self.utc(now, b'T'),
        }
        &self.text
    }

    fn utc(&mut self, now: Wall, separator: u8) {
        if self.second != Some(now.secs) {
            self.second = Some(now.secs);
            self.date_and_time(now.secs, separator);
        }
        digits(&mut self.text[20..25], u64::from(now.nanos) / 10_000);
    }

    fn date_and_time(&mut self, seconds: i64, separator: u8) {
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let rest = seconds.rem_euclid(86_400).unsigned_abs();
        let t = &mut self.text;
        digits(&mut t[0..4], year);
        t[4] = b'-';
        digits(&mut t[5..7], month);
        t[7] = b'-';
        digits(&mut t[8..10], day);
        t[10] = separator;
        digits(&mut t[11..13], rest / 3600);
        t[13] = b':';
        digits(&mut t[14..16], rest / 60 % 60);
        t[16] = b':';
        digits(&mut t[17..19], rest % 60);
        t[19] = b'.';
    }
}

/// The last digits of `n`, as many as there is room for.
fn digits(out: &mut [u8], mut n: u64) {
    for place in out.iter_mut().rev() {
        *place = b'0' + u8::try_from(n % 10).unwrap_or(0);
        n /= 10;
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01. Years are counted from March, so that the leap day
/// is the last one and months follow a rule.
fn civil(days: i64) -> (u64, u64, u64) {
    const FROM_YEAR_0: i64 = 719_468;
    const PER_400_YEARS: i64 = 146_097;
    let days = days.saturating_add(FROM_YEAR_0);
    let of_era = days.rem_euclid(PER_400_YEARS);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + 400 * days.div_euclid(PER_400_YEARS) + i64::from(month <= 2);
    (year.unsigned_abs(), month.unsigned_abs(), day.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(kind: Kind, secs: i64, nanos: u32) -> String {
        String::from_utf8(Stamper::new(kind).stamp(Wall { secs, nanos }).to_vec()).unwrap()
    }

    #[test]
    fn formats() {
        assert_eq!(stamp(Kind::None, 1, 2), "");
        assert_eq!(stamp(Kind::Tai, 0, 0x20e9_b284), "@400000000000000a20e9b284 ");
        assert_eq!(stamp(Kind::Underscore, 1_795_374_033, 846_239_999), "2026-11-22_19:00:33.84623 ");
        assert_eq!(stamp(Kind::T, 951_782_399, 0), "2000-02-28T23:59:59.00000 ");
        assert_eq!(stamp(Kind::T, 951_868_799, 999_999_999), "2000-02-29T23:59:59.99999 ");
        assert_eq!(stamp(Kind::T, 951_868_800, 0), "2000-03-01T00:00:00.00000 ");
        assert_eq!(stamp(Kind::T, -1, 0), "1969-12-31T23:59:59.00000 ");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (m, d) if d == length => (year, m + 1, 1),
                (m, d) => (year, m, d + 1),
            };
        }
    }

    #[test]
    fn the_date_is_kept_and_renewed() {
        let mut s = Stamper::new(Kind::Underscore);
        assert_eq!(s.stamp(Wall { secs: 59, nanos: 10_000 }), b"1970-01-01_00:00:59.00001 ");
        assert_eq!(s.stamp(Wall { secs: 59, nanos: 20_000 }), b"1970-01-01_00:00:59.00002 ");
        assert_eq!(s.stamp(Wall { secs: 60, nanos: 0 }), b"1970-01-01_00:01:00.00000 ");
        assert_eq!(s.stamp(Wall { secs: 3, nanos: 0 }), b"1970-01-01_00:00:03.00000 ");
    }
}
