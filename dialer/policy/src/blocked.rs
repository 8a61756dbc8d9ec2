//! Blocked times as people write them and stores keep them: `mon,tue 09:00-17:00`,
//! `2026-12-24..2026-12-26`, `always`.

use std::fmt;

use chrono::NaiveDate;
use dialer_types::Say;

use crate::Blocked;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEK: u8 = 0b111_1111;
const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
/// Seconds of a day: the end that no clock shows, written 24:00.
const MIDNIGHT: u32 = 24 * HOUR;

impl Blocked {
    /// The times that a text blocks: one, or two where a time goes on after midnight.
    ///
    /// # Errors
    /// What is not understood, and how to write it.
    pub fn read(text: &str) -> Result<Vec<Self>, Say> {
        let text = text.trim();
        if text == "always" {
            return Ok(vec![Self::Always]);
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return dates(text).map(|dates| vec![dates]);
        }
        weekly(text)
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Dates { first, last } if first == last => write!(f, "{first}"),
            Self::Dates { first, last } => write!(f, "{first}..{last}"),
            Self::Weekly { days, from, to } => {
                let named = DAYS.iter().enumerate().filter(|(day, _)| days & (1 << day) != 0);
                let named: Vec<&str> = named.map(|(_, name)| *name).collect();
                let named = if days & WEEK == WEEK { "daily".to_owned() } else { named.join(",") };
                write!(f, "{named} {}-{}", clock(*from), clock(*to))
            }
        }
    }
}

/// `09:00`; with seconds only where there are some.
fn clock(seconds: u32) -> String {
    let (hours, minutes) = (seconds / HOUR, seconds % HOUR / MINUTE);
    match seconds % MINUTE {
        0 => format!("{hours:02}:{minutes:02}"),
        rest => format!("{hours:02}:{minutes:02}:{rest:02}"),
    }
}

fn dates(text: &str) -> Result<Blocked, Say> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let date = |text: &str| text.trim().parse::<NaiveDate>();
    let (Ok(first), Ok(last)) = (date(first), date(last)) else {
        return Err(
            "is no date or range of dates: write it like 2026-12-24 or 2026-12-24..2026-12-26"
                .into(),
        );
    };
    if last < first {
        return Err("ends before it begins: put the earlier date first".into());
    }
    Ok(Blocked::Dates { first, last })
}

fn weekly(text: &str) -> Result<Vec<Blocked>, Say> {
    let unlike = || -> Say {
        "is not understood: write it like 'mon,tue 09:00-17:00', 'daily 22:00-08:00', '2026-12-24..2026-12-26' or 'always'".into()
    };
    let (named, hours) = text.split_once(char::is_whitespace).unwrap_or((text, "00:00-24:00"));
    let mut days = 0;
    for name in named.split(',') {
        let name = name.trim().to_ascii_lowercase();
        days |= match DAYS.iter().position(|day| *day == name) {
            Some(day) => 1 << day,
            None if name == "daily" => WEEK,
            None => return Err(unlike()),
        };
    }
    let (from, to) = hours.trim().split_once('-').ok_or_else(unlike)?;
    let (from, to) = (seconds(from).ok_or_else(unlike)?, seconds(to).ok_or_else(unlike)?);
    if from == to || from == MIDNIGHT {
        return Err("begins when it ends: leave the hours out to block whole days".into());
    }
    if from < to {
        return Ok(vec![Blocked::Weekly { days, from, to }]);
    }
    // Over midnight: the rest of the night belongs to the day after.
    let next = (days << 1 | days >> 6) & WEEK;
    let evening = Blocked::Weekly { days, from, to: MIDNIGHT };
    let morning = Blocked::Weekly { days: next, from: 0, to };
    Ok(if to == 0 { vec![evening] } else { vec![evening, morning] })
}

/// `9:00`, `09:00`, `09:00:30`, `24:00` as seconds since midnight.
fn seconds(text: &str) -> Option<u32> {
    let mut parts = text.trim().split(':');
    let mut part = |most: u32| -> Option<u32> {
        let digits = parts.next()?;
        let fits = (1..=2).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
        digits.parse().ok().filter(|value| fits && *value <= most)
    };
    let (hours, minutes) = (part(24)?, part(59)?);
    let rest = match text.matches(':').count() {
        1 => 0,
        _ => part(59)?,
    };
    let at = hours * HOUR + minutes * MINUTE + rest;
    (parts.next().is_none() && at <= MIDNIGHT).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match Blocked::read(text) {
            Ok(blocked) => blocked.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Err(why) => format!("! {why}"),
        }
    }

    #[test]
    fn times_are_read_as_people_write_them_and_kept_in_one_form() {
        for (text, kept) in [
            ("mon,tue 09:00-17:00", "mon,tue 09:00-17:00"),
            ("Fri, 9:00-17:30:05", "! is not"),
            ("FRI,sat 9:00-17:30:05", "fri,sat 09:00-17:30:05"),
            ("sun", "sun 00:00-24:00"),
            ("daily 22:00-08:00", "daily 22:00-24:00; daily 00:00-08:00"),
            ("sun,mon 22:00-08:00", "mon,sun 22:00-24:00; mon,tue 00:00-08:00"),
            ("sat 22:00-00:00", "sat 22:00-24:00"),
            ("2026-12-24", "2026-12-24"),
            ("2026-12-24..2026-12-26", "2026-12-24..2026-12-26"),
            (" always ", "always"),
            ("2026-12-26..2026-12-24", "! ends before"),
            ("2026-02-30", "! is no date"),
            ("mon 09:00-09:00", "! begins when"),
            ("mon 24:00-08:00", "! begins when"),
            ("mon 9-17", "! is not"),
            ("mon 09:60-10:00", "! is not"),
            ("mon 09:00-25:00", "! is not"),
            ("mon 24:01-08:00", "! is not"),
            ("mon 09:00:00:00-10:00", "! is not"),
            ("montag 09:00-10:00", "! is not"),
            ("", "! is not"),
            ("never", "! is not"),
        ] {
            assert!(told(text).starts_with(kept), "{text}: {}", told(text));
        }
    }

    #[test]
    fn what_is_kept_is_read_as_the_same() {
        for text in ["mon,tue 09:00-17:00", "daily 22:00-08:00", "2026-12-24..2026-12-26", "always"]
        {
            for blocked in Blocked::read(text).unwrap() {
                assert_eq!(Blocked::read(&blocked.to_string()).unwrap(), [blocked], "{text}");
            }
        }
    }
}
