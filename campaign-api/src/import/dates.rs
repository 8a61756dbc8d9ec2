//! Dates and moments as spreadsheets write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use dialer_types::{Say, UnixMillis};

/// Days between the first day of spreadsheets (1899-12-30, see ECMA-376 part 1, 18.17.4.1) and 1970.
const EPOCH: (i32, u32, u32) = (1899, 12, 30);
/// Serial numbers that are taken for dates: 1954 to 2119. Others are more likely years or amounts.
const SERIALS: std::ops::Range<f64> = 20_000.0..80_000.0;

/// A date, and what was done to read it.
pub(crate) fn date(text: &str) -> Result<(NaiveDate, Option<Say>), Say> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok((date, None));
    }
    if let Some(moment) = serial(text) {
        let repair = "was the number of a day in a spreadsheet; it is taken for its date".into();
        return Ok((moment.date(), Some(repair)));
    }
    let day = text.split_once([' ', 'T']).filter(|(_, time)| clock(time).is_some());
    written(day.map_or(text, |(day, _)| day))
}

/// A moment. What has no offset is taken in the zone of the row, or else in UTC; a day without a
/// time is its first moment.
pub(crate) fn moment(text: &str, zone: Option<Tz>) -> Result<(UnixMillis, Option<Say>), Say> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok((UnixMillis(moment.timestamp_millis()), None));
    }
    let (day, time) = match text.split_once([' ', 'T']).map(|(day, time)| (day, clock(time))) {
        Some((day, Some(time))) => (day, time),
        _ => (text, NaiveTime::MIN),
    };
    let local = match serial(text) {
        Some(moment) => moment,
        None => NaiveDate::parse_from_str(day, "%Y-%m-%d")
            .map_or_else(|_| written(day).map(|(date, _)| date), Ok)
            .map_err(|reason| {
                if text.bytes().any(|byte| byte.is_ascii_digit()) && reason.template() != UNKNOWN {
                    reason
                } else {
                    "is no moment in RFC 3339, like 2026-11-23T14:05:00Z, and no date".into()
                }
            })?
            .and_time(time),
    };
    // A plain day says all it can; the list as a whole is told how days are taken.
    let plain = NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
    let repair = match zone {
        Some(_) => "had no offset from UTC; it is taken in the time zone of the row",
        None => "had no offset from UTC; it is taken as UTC",
    };
    let utc = match zone {
        // In the hour that clocks show twice, the earlier; in the one they leave out, as UTC.
        Some(zone) => {
            local.and_local_timezone(zone).earliest().map(|local| local.timestamp_millis())
        }
        None => None,
    };
    let repair = (!plain).then(|| Say::of(repair));
    Ok((UnixMillis(utc.unwrap_or_else(|| local.and_utc().timestamp_millis())), repair))
}

const UNKNOWN: &str = "must be a date, like 2026-03-01";

/// A date in words or with its parts in another order.
fn written(text: &str) -> Result<(NaiveDate, Option<Say>), Say> {
    const NAMED: [&str; 8] = [
        "%d-%b-%Y",
        "%d-%b-%y",
        "%d %b %Y",
        "%b %d, %Y",
        "%B %d, %Y",
        "%d %B %Y",
        "%Y年%m月%d日",
        "%Y%m%d",
    ];
    let repair = || Some(Say::of("was a date in another form; it is taken as year-month-day"));
    if let Some(date) = NAMED.iter().find_map(|form| NaiveDate::parse_from_str(text, form).ok()) {
        return if plausible(date) { Ok((date, repair())) } else { Err(UNKNOWN.into()) };
    }
    let parts: Vec<&str> = text.split(['/', '.', '-']).collect();
    let [a, b, c] = parts.as_slice() else { return Err(UNKNOWN.into()) };
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| (1..=4).contains(&part.len()));
    let (Some(a), Some(b), Some(c), long) = (number(a), number(b), number(c), a.len() == 4) else {
        return Err(UNKNOWN.into());
    };
    let of = |year: u32, month: u32, day: u32| {
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        plausible(date).then_some(date)
    };
    if long {
        return of(a, b, c).map(|date| (date, repair())).ok_or_else(|| UNKNOWN.into());
    }
    let year = if c < 100 { c + 2000 } else { c };
    // Dots stand between day, month and year, in this order; slashes do in half of the world.
    if text.contains('.') {
        return of(year, b, a).map(|date| (date, repair())).ok_or_else(|| UNKNOWN.into());
    }
    match (of(year, a, b), of(year, b, a)) {
        (Some(one), Some(other)) if one != other => {
            Err("may be month/day or day/month: write it as year-month-day, like 2026-03-01".into())
        }
        (Some(date), _) | (None, Some(date)) => Ok((date, repair())),
        (None, None) => Err(UNKNOWN.into()),
    }
}

fn plausible(date: NaiveDate) -> bool {
    use chrono::Datelike;
    (1900..=2199).contains(&date.year())
}

fn clock(text: &str) -> Option<NaiveTime> {
    const FORMS: [&str; 6] =
        ["%H:%M:%S%.f", "%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p"];
    FORMS.iter().find_map(|form| NaiveTime::parse_from_str(text.trim(), form).ok())
}

/// The moment of a serial number, to the second.
fn serial(text: &str) -> Option<NaiveDateTime> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = text.parse().ok().filter(|value| plain && SERIALS.contains(value))?;
    let (year, month, day) = EPOCH;
    #[expect(clippy::cast_possible_truncation, reason = "below 80000 days of 86400 seconds")]
    let seconds = (value * 86_400.0).round() as i64;
    NaiveDate::from_ymd_opt(year, month, day)?
        .and_hms_opt(0, 0, 0)?
        .checked_add_signed(TimeDelta::seconds(seconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read_where_they_mean_one_day_only() {
        let cases = [
            ("2026-03-01", Ok("2026-03-01")),
            ("45000", Ok("2023-03-15")),
            ("45000.5", Ok("2023-03-15")),
            ("2026/3/1", Ok("2026-03-01")),
            ("31.01.2026", Ok("2026-01-31")),
            ("1.3.26", Ok("2026-03-01")),
            ("3/31/2026", Ok("2026-03-31")),
            ("31/3/2026", Ok("2026-03-31")),
            ("3/3/2026", Ok("2026-03-03")),
            ("1-Mar-2026", Ok("2026-03-01")),
            ("Mar 1, 2026", Ok("2026-03-01")),
            ("2026年3月1日", Ok("2026-03-01")),
            ("2026-03-01 00:00:00", Ok("2026-03-01")),
            ("3/4/2026", Err("day/month")),
            ("yesterday", Err("must be a date")),
            ("99", Err("must be a date")),
            ("13/13/2026", Err("must be a date")),
            ("", Err("must be a date")),
        ];
        for (text, expected) in cases {
            match (date(text), expected) {
                (Ok((date, _)), Ok(day)) => assert_eq!(date.to_string(), day, "{text}"),
                (Err(reason), Err(part)) => {
                    assert!(reason.to_string().contains(part), "{text}: {reason}")
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn moments_without_an_offset_are_taken_in_the_zone_of_the_row() {
        let of = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        let zone = Some(chrono_tz::America::New_York);
        for (text, zone, expected) in [
            ("2026-03-01T10:00:00+01:00", zone, "2026-03-01T09:00:00Z"),
            ("2026-01-05 10:00", zone, "2026-01-05T15:00:00Z"),
            ("2026-01-05 10:00", None, "2026-01-05T10:00:00Z"),
            ("2026-01-05", zone, "2026-01-05T05:00:00Z"),
            ("1/25/2026 3:30 PM", None, "2026-01-25T15:30:00Z"),
            ("45000.25", None, "2023-03-15T06:00:00Z"),
        ] {
            assert_eq!(moment(text, zone).unwrap().0.0, of(expected), "{text}");
        }
        assert!(moment("2026-01-05", zone).unwrap().1.is_none(), "a day is nothing to repair");
        assert!(moment("2026-01-05 10:00", zone).unwrap().1.is_some());
        assert!(moment("yesterday", None).unwrap_err().to_string().contains("RFC 3339"));
        assert!(moment("3/4/2026 10:00", None).unwrap_err().to_string().contains("day/month"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,30}|[0-9/.: -]{0,20}") {
            if let Ok((date, _)) = date(&text) {
                prop_assert!(plausible(date));
            }
            let _read = moment(&text, Some(chrono_tz::Europe::London));
        }
    }
}
