//! Local days and wall-clock intervals as intervals of real time.
//!
//! A wall-clock interval on a date is one interval of real time: a clock that is put back does not
//! open it twice, and a clock that is put forward opens it when the missing hour would have ended.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

pub(crate) const SECOND: i64 = 1000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// One calendar day in one zone: `[start, end)` in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) zone: Tz,
    pub(crate) date: NaiveDate,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// No clock change touches the day, so wall time is start plus elapsed time.
    plain: bool,
}

/// Wall time minus UTC at an instant, in milliseconds.
fn offset(zone: Tz, at: i64) -> i64 {
    i64::from(zone.offset_from_utc_datetime(&naive(at)).fix().local_minus_utc()) * SECOND
}

fn naive(millis: i64) -> NaiveDateTime {
    chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default().naive_utc()
}

fn millis(wall: NaiveDateTime) -> i64 {
    wall.and_utc().timestamp_millis()
}

/// The local date and time at an instant.
pub(crate) fn local(zone: Tz, at: i64) -> NaiveDateTime {
    naive(at + offset(zone, at))
}

/// The UTC date at an instant.
pub(crate) fn utc_date(at: i64) -> NaiveDate {
    naive(at).date()
}

/// The first (or last) instant at which the clock shows this time; in a gap, the gap's end.
pub(crate) fn resolve(zone: Tz, wall: NaiveDateTime, last: bool) -> i64 {
    match zone.offset_from_local_datetime(&wall) {
        chrono::LocalResult::Single(found) => {
            millis(wall) - i64::from(found.fix().local_minus_utc()) * SECOND
        }
        chrono::LocalResult::Ambiguous(one, other) => {
            let one = millis(wall) - i64::from(one.fix().local_minus_utc()) * SECOND;
            let other = millis(wall) - i64::from(other.fix().local_minus_utc()) * SECOND;
            if last { one.max(other) } else { one.min(other) }
        }
        chrono::LocalResult::None => gap_end(zone, wall),
    }
}

/// The first instant whose wall time is at or after a wall time that the clock skips.
fn gap_end(zone: Tz, wall: NaiveDateTime) -> i64 {
    let wanted = millis(wall);
    let (mut before, mut after) = (wanted - 27 * 3600 * SECOND, wanted + 27 * 3600 * SECOND);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if middle + offset(zone, middle) >= wanted { after = middle } else { before = middle }
    }
    after
}

fn is_ambiguous(zone: Tz, wall: NaiveDateTime) -> bool {
    matches!(zone.offset_from_local_datetime(&wall), chrono::LocalResult::Ambiguous(..))
}

impl Day {
    /// The day in which an instant falls.
    pub(crate) fn at(zone: Tz, at: i64) -> Self {
        let shift = offset(zone, at);
        let wall = naive(at + shift);
        let start = millis(wall.date().and_time(NaiveTime::MIN)) - shift;
        let end = start + DAY;
        if offset(zone, start) == shift && offset(zone, end) == shift {
            Self { zone, date: wall.date(), start, end, plain: true }
        } else {
            Self::of(zone, wall.date())
        }
    }

    /// A calendar day.
    pub(crate) fn of(zone: Tz, date: NaiveDate) -> Self {
        let start = resolve(zone, date.and_time(NaiveTime::MIN), false);
        let tomorrow = date.succ_opt().unwrap_or(date);
        let end = resolve(zone, tomorrow.and_time(NaiveTime::MIN), false);
        let plain = end - start == DAY && offset(zone, start) == offset(zone, end - 1);
        Self { zone, date, start, end, plain }
    }

    pub(crate) fn next(&self) -> Self {
        Self::of(self.zone, self.date.succ_opt().unwrap_or(self.date))
    }

    /// Monday is 0.
    pub(crate) fn weekday(&self) -> usize {
        self.date.weekday().num_days_from_monday() as usize
    }

    /// When a wall-clock interval `[from, to)` of this day is, in seconds since local midnight.
    /// `None` if the clock skips all of it.
    pub(crate) fn interval(&self, from: u32, to: u32) -> Option<(i64, i64)> {
        if self.plain {
            let at = |seconds: u32| self.start + i64::from(seconds) * SECOND;
            return Some((at(from), at(to)));
        }
        let wall = |seconds: u32| {
            self.date.and_time(NaiveTime::MIN) + TimeDelta::seconds(i64::from(seconds))
        };
        let close = resolve(self.zone, wall(to), false);
        // Opening within a repeated hour: at its second pass, unless the closing is repeated too.
        let last = !is_ambiguous(self.zone, wall(to));
        let open = resolve(self.zone, wall(from), last).max(self.start);
        (open < close).then_some((open, close))
    }
}

/// The instant at which a date begins in a zone.
pub(crate) fn date_starts(zone: Tz, date: NaiveDate) -> i64 {
    resolve(zone, date.and_time(NaiveTime::MIN), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_as_long_as_the_clock_makes_them() {
        for (zone, day, hours) in [
            (Tz::America__New_York, "2026-12-01", 24),
            (Tz::America__New_York, "2027-03-14", 23),
            (Tz::America__New_York, "2026-11-01", 25),
            (Tz::Europe__Paris, "2027-03-28", 23),
            (Tz::Pacific__Apia, "2011-12-30", 0),
            (Tz::Africa__Cairo, "2026-04-24", 23),
        ] {
            let day = Day::of(zone, date(day));
            assert_eq!(day.end - day.start, hours * 3600 * SECOND, "{zone} {}", day.date);
            if hours > 0 {
                assert_eq!(Day::at(zone, day.start), day);
                assert_eq!(Day::at(zone, day.end - 1), day);
            }
        }
    }

    #[test]
    fn a_repeated_hour_opens_a_window_once_and_a_skipped_hour_moves_it() {
        let fall = Day::of(Tz::America__New_York, date("2026-11-01"));
        let spring = Day::of(Tz::America__New_York, date("2027-03-14"));
        let hour = 3600;
        for (day, from, to, open, close) in [
            (fall, 0, hour + 1800, "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z"),
            (fall, hour + 1800, 9 * hour, "2026-11-01T06:30:00Z", "2026-11-01T14:00:00Z"),
            (fall, hour, hour + 1800, "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z"),
            (fall, 8 * hour, 24 * hour, "2026-11-01T13:00:00Z", "2026-11-02T05:00:00Z"),
            (spring, 2 * hour, 9 * hour, "2027-03-14T07:00:00Z", "2027-03-14T13:00:00Z"),
        ] {
            assert_eq!(day.interval(from, to), Some((at(open), at(close))), "{from} {to}");
        }
        assert_eq!(spring.interval(2 * hour, 2 * hour + 1800), None);
    }
}
