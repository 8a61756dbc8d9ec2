//! `time_window`: calling hours in local wall-clock time, `[from, to)`, in every candidate zone.

use std::{collections::BTreeMap, sync::Arc};

use chrono::NaiveDate;
use chrono_tz::Tz;
use dialer_types::say;
use smallvec::SmallVec;

use crate::{
    Wait,
    ask::{Ask, Notes, Ruling},
    calendar::{Calendar, Holiday},
    kinds::Shelf,
    reader::Reader,
    zone::{DAY, Day},
};

/// Seconds since local midnight.
type Interval = (u32, u32);

/// Calling hours.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// From Monday.
    week: Box<[Vec<Interval>; 7]>,
    /// Zones fixed by the rule, instead of the candidates.
    fixed: Vec<Tz>,
    holidays: Option<Holidays>,
    /// Hours of single dates, whatever day or holiday they are; none: closed.
    on_dates: BTreeMap<NaiveDate, Vec<Interval>>,
}

#[derive(Debug, Clone)]
struct Holidays {
    calendar: Arc<Calendar>,
    /// Hours on holidays; none: closed.
    instead: Vec<Interval>,
    /// Hours on the day before a holiday; `None`: as on any day.
    eve: Option<Vec<Interval>>,
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// How far ahead an opening is looked for: a verdict's horizon and a day.
const SEARCH_DAYS: usize = 368;
const SEARCH: i64 = 368 * DAY;

fn interval(from: &mut Reader<'_, '_>) -> Option<Interval> {
    let (start, end) = (from.clock("from"), from.clock("to"));
    let (start, end) = (start?, end?);
    if start >= end {
        from.fault("to", "is not after `from`");
        return None;
    }
    Some((start, end))
}

fn intervals(from: &mut Reader<'_, '_>, key: &str) -> Vec<Interval> {
    let mut found = Vec::new();
    for mut table in from.tables(key) {
        found.extend(interval(&mut table));
        table.finish();
    }
    found.sort_unstable();
    found
}

/// The hours of a week from `allow`.
fn week(from: &mut Reader<'_, '_>) -> [Vec<Interval>; 7] {
    let mut week: [Vec<Interval>; 7] = Default::default();
    for mut table in from.tables("allow") {
        let days = table.words("days", |word| WEEK.iter().position(|day| *day == word));
        if days.is_empty() {
            table.fault("days", "names no day");
        }
        let hours = interval(&mut table);
        for (number, list) in week.iter_mut().enumerate() {
            list.extend(hours.filter(|_| days.contains(&number)));
            list.sort_unstable();
        }
        table.finish();
    }
    if week.iter().all(Vec::is_empty) {
        from.fault("allow", "is missing or allows nothing");
    }
    week
}

/// Whether hours lie within others, which are sorted and may adjoin or overlap.
fn is_within(hours: Interval, others: &[Interval]) -> bool {
    let (mut reached, to) = hours;
    for (open, close) in others {
        if *open <= reached && reached < *close {
            reached = *close;
        }
    }
    reached >= to
}

/// `on_dates = [{ dates = ["2026-12-24"], from = "10:00", to = "12:00" }, { dates = ["2026-12-25"] }]`:
/// without hours a date is closed; a date in several lines has the hours of all of them.
fn on_dates(from: &mut Reader<'_, '_>) -> BTreeMap<NaiveDate, Vec<Interval>> {
    let mut found: BTreeMap<NaiveDate, Vec<Interval>> = BTreeMap::new();
    for mut table in from.tables("on_dates") {
        let dates = table.words("dates", |date| date.parse::<NaiveDate>().ok());
        if dates.is_empty() {
            table.fault("dates", "is missing or names no date");
        }
        let open = table.has("from") || table.has("to");
        let hours = if open { interval(&mut table) } else { None };
        for date in dates {
            let held = found.entry(date).or_default();
            held.extend(hours);
            held.sort_unstable();
        }
        table.finish();
    }
    found
}

impl Window {
    pub(crate) fn read(from: &mut Reader<'_, '_>, shelf: &Shelf) -> Option<Self> {
        let week = week(from);
        let fixed = from.words("zones", |name| name.parse().ok());
        let holidays = Holidays::read(from, shelf);
        let on_dates = on_dates(from);
        Some(Self { week: Box::new(week), fixed, holidays: holidays?, on_dates })
    }

    /// Other hours, and dates that are closed; with `prove` only hours within those of the rule.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if from.has("allow") {
            let other = week(from);
            let within = |(new, old): (&Vec<Interval>, &Vec<Interval>)| {
                new.iter().all(|hours| is_within(*hours, old))
            };
            if prove && !other.iter().zip(self.week.iter()).all(within) {
                from.fault(
                    "allow",
                    "is not within the hours of the rule: a pack of your own only tightens",
                );
            } else {
                *self.week = other;
            }
        }
        let closed = from.words("closed_on", |date| date.parse::<NaiveDate>().ok());
        self.on_dates.extend(closed.into_iter().map(|date| (date, Vec::new())));
    }

    /// The zones whose clocks must all show an open hour.
    fn zones<'a>(&'a self, ask: &'a Ask<'_>) -> &'a [Tz] {
        if self.fixed.is_empty() || ask.zones().is_empty() { ask.clocks() } else { &self.fixed }
    }

    /// The hours of a date, and whether a calendar is missing that would tell.
    fn hours(&self, day: &Day) -> (&[Interval], bool) {
        if let Some(hours) = self.on_dates.get(&day.date) {
            return (hours, false);
        }
        let usual = self.week.get(day.weekday()).map_or(&[][..], Vec::as_slice);
        let Some(holidays) = &self.holidays else {
            return (usual, false);
        };
        match holidays.calendar.holiday(day.date) {
            Holiday::Yes => (&holidays.instead, false),
            Holiday::Unknown => (&[], true),
            Holiday::No => match &holidays.eve {
                Some(eve) if !usual.is_empty() && holidays.before(day.date) => (eve, false),
                _ => (usual, false),
            },
        }
    }

    /// When the interval that is open at an instant closes.
    fn closes(&self, day: &Day, at: i64) -> Option<i64> {
        let (hours, _) = self.hours(day);
        let spans = hours.iter().filter_map(|(from, to)| day.interval(*from, *to));
        spans.filter(|(open, close)| (*open..*close).contains(&at)).map(|(_, close)| close).max()
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
        if ask.zones().is_empty() {
            let inputs = ask.say(|| "no time zone is known".into());
            return Ruling::NotNow { inputs, otherwise: Wait::Address };
        }
        let fixed: SmallVec<[Day; 2]> =
            self.fixed.iter().map(|zone| Day::at(*zone, ask.now)).collect();
        let days = if fixed.is_empty() { &ask.days[..] } else { &fixed[..] };
        let mut closed = 0;
        let mut unknown = false;
        for day in days {
            match self.closes(day, ask.now) {
                Some(close) => notes.changes_at(close.min(day.end)),
                None => {
                    closed += 1;
                    unknown |= self.hours(day).1;
                }
            }
        }
        if closed == 0 {
            return Ruling::Pass;
        }
        let zones = days.len();
        let inputs = ask.say(|| match unknown {
            true => "the holiday calendar does not have this year".into(),
            false => {
                say!("outside the hours in {closed} of {zones} candidate zones", closed, zones)
            }
        });
        let otherwise = if self.holidays.is_some() { Wait::Pack } else { Wait::Never };
        Ruling::NotNow { inputs, otherwise }
    }

    /// The first instant at or after `from` that is inside in every zone.
    pub(crate) fn first_open(&self, ask: &Ask<'_>, from: i64) -> Option<i64> {
        let zones = self.zones(ask);
        if zones.is_empty() {
            return None;
        }
        let mut at = from;
        // Whoever is closed moves the moment; then all others are asked again, from the front, where
        // those stand that are least likely to agree.
        let mut moved_by = None;
        loop {
            let others = zones.iter().filter(|zone| Some(*zone) != moved_by);
            let mut opens = others.map(|zone| (zone, self.first_open_in(*zone, at)));
            match opens.find(|(_, open)| *open != Some(at)) {
                None => return Some(at),
                Some((zone, open)) => (moved_by, at) = (Some(zone), open?),
            }
            if at - ask.now > SEARCH {
                return None;
            }
        }
    }

    fn first_open_in(&self, zone: Tz, from: i64) -> Option<i64> {
        let mut day = Day::at(zone, from);
        for _ in 0..SEARCH_DAYS {
            let (hours, _) = self.hours(&day);
            let spans = hours.iter().filter_map(|(from, to)| day.interval(*from, *to));
            let open = spans.filter(|(_, close)| *close > from).map(|(open, _)| open.max(from));
            if let Some(open) = open.min() {
                return Some(open);
            }
            day = day.next();
        }
        None
    }
}

impl Holidays {
    /// `Some(None)` if holidays are as other days.
    #[expect(clippy::option_option, reason = "a fault is not the same as no holidays")]
    fn read(from: &mut Reader<'_, '_>, shelf: &Shelf) -> Option<Option<Self>> {
        let how = from.word("holidays", |word| match word {
            "closed" => Some(false),
            "instead" => Some(true),
            _ => None,
        });
        let Some(replaced) = how else {
            return Some(None);
        };
        let name = from.required_text("calendar")?;
        let calendar = shelf.get(&name).cloned();
        if calendar.is_none() {
            from.fault("calendar", &format!("no calendar {name:?} is loaded"));
        }
        let instead = if replaced { intervals(from, "holiday_allow") } else { Vec::new() };
        if replaced && instead.is_empty() {
            from.fault("holiday_allow", "is missing");
        }
        let eve = from.has("eve_allow").then(|| intervals(from, "eve_allow"));
        Some(Some(Self { calendar: calendar?, instead, eve }))
    }

    fn before(&self, date: NaiveDate) -> bool {
        // The day after is unknown: it may be a holiday, so the hours of an eve hold.
        date.succ_opt().is_some_and(|next| self.calendar.holiday(next) != Holiday::No)
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::cases::{Case, calls};

    const HOURS: &str = r#"
        kind = "time_window"
        allow = [
            { days = ["mon", "tue", "wed", "thu", "fri"], from = "10:00", to = "13:00" },
            { days = ["mon", "tue", "wed", "thu", "fri"], from = "14:00", to = "20:00" },
            { days = ["sat"], from = "09:00", to = "12:00" },
        ]
        holidays = "closed"
        calendar = "TEST""#;

    #[test]
    fn hours_open_and_close_to_the_second_in_local_time() {
        let case = Case::rule(HOURS).call(calls::new_york());
        for (now, verdict) in [
            ("2026-12-01T14:59:59Z", "defer 2026-12-01T15:00:00Z"),
            ("2026-12-01T15:00:00Z", "permit"),
            ("2026-12-01T17:59:59Z", "permit"),
            ("2026-12-01T18:00:00Z", "defer 2026-12-01T19:00:00Z"),
            ("2026-12-02T00:59:59Z", "permit"),
            ("2026-12-02T01:00:00Z", "defer 2026-12-02T15:00:00Z"),
            // Saturday, then Sunday, which has no hours.
            ("2026-12-05T16:59:59Z", "permit"),
            ("2026-12-05T17:00:00Z", "defer 2026-12-07T15:00:00Z"),
            // A holiday on a Friday.
            ("2026-12-25T15:00:00Z", "defer 2026-12-26T14:00:00Z"),
            // The calendar ends with the year: denied until it does not.
            ("2026-12-31T15:00:00Z", "permit"),
            ("2027-01-01T15:00:00Z", "refuse Pack"),
        ] {
            assert_eq!(case.at(now), verdict, "{now}");
        }
    }

    #[test]
    fn every_candidate_zone_must_be_inside() {
        let case = Case::rule(HOURS).call(calls::florida_850());
        for (now, verdict) in [
            ("2026-12-01T15:59:59Z", "defer 2026-12-01T16:00:00Z"),
            ("2026-12-01T16:00:00Z", "permit"),
            ("2026-12-01T18:30:00Z", "defer 2026-12-01T20:00:00Z"),
        ] {
            assert_eq!(case.at(now), verdict, "{now}");
        }
        assert_eq!(
            Case::rule(HOURS).call(calls::toll_free()).at("2026-12-01T16:00:00Z"),
            "refuse Address"
        );
    }

    #[test]
    fn holidays_and_their_eves_may_have_hours_of_their_own() {
        let other = HOURS.replace("\"closed\"", "\"instead\"")
            + "\nholiday_allow = [{ from = \"13:00\", to = \"15:00\" }]"
            + "\neve_allow = [{ from = \"10:00\", to = \"11:00\" }]";
        let case = Case::rule(&other).call(calls::new_york());
        for (now, verdict) in [
            ("2026-12-25T15:00:00Z", "defer 2026-12-25T18:00:00Z"),
            ("2026-12-25T18:00:00Z", "permit"),
            ("2026-12-24T15:00:00Z", "permit"),
            ("2026-12-24T16:00:00Z", "defer 2026-12-25T18:00:00Z"),
            // Nobody knows whether the first day of a year that is missing is a holiday: the hours
            // of an eve hold before it, and on it none.
            ("2026-12-30T18:00:00Z", "defer 2026-12-30T19:00:00Z"),
            ("2026-12-31T15:59:59Z", "permit"),
            ("2026-12-31T16:00:00Z", "refuse Pack"),
            ("2027-01-01T18:00:00Z", "refuse Pack"),
            ("2027-03-03T15:00:00Z", "refuse Pack"),
        ] {
            assert_eq!(case.at(now), verdict, "{now}");
        }
    }

    #[test]
    fn single_dates_may_have_hours_of_their_own_or_none() {
        let dates = HOURS.to_owned()
            + "\non_dates = [{ dates = [\"2026-12-24\"], from = \"10:00\", to = \"11:00\" }, { dates = [\"2026-12-28\", \"2026-12-29\"] }, { dates = [\"2026-12-25\"], from = \"18:00\", to = \"19:00\" }]";
        let case = Case::rule(&dates).call(calls::new_york());
        for (now, verdict) in [
            ("2026-12-24T15:59:59Z", "permit"),
            ("2026-12-24T16:00:00Z", "defer 2026-12-25T23:00:00Z"),
            ("2026-12-25T23:00:00Z", "permit"),
            ("2026-12-28T15:00:00Z", "defer 2026-12-30T15:00:00Z"),
            ("2026-12-30T15:00:00Z", "permit"),
        ] {
            assert_eq!(case.at(now), verdict, "{now}");
        }
    }

    #[test]
    fn zones_fixed_by_the_rule_take_the_place_of_the_candidates() {
        let fixed = HOURS.to_owned() + "\nzones = [\"Etc/GMT+6\", \"America/Chicago\"]";
        let case = Case::rule(&fixed).call(calls::new_york());
        assert_eq!(case.at("2026-12-01T15:00:00Z"), "defer 2026-12-01T16:00:00Z");
        // In summer the standard time opens an hour later than the clock.
        assert_eq!(case.at("2026-07-01T15:30:00Z"), "defer 2026-07-01T16:00:00Z");
    }
}
