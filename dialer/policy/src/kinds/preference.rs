//! `preference`: the times at which a person asked to be left alone, in every candidate zone.

use std::sync::Arc;

use chrono::{Days, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;

use crate::{
    Blocked, Obligation, Wait, Wishes,
    ask::{Ask, Notes, Ruling},
    kinds::{Head, on_unknown::OnUnknown},
    reader::Reader,
    zone::{DAY, Day, date_starts, local, resolve},
};

/// The wishes of the person are heeded.
#[derive(Debug, Clone)]
pub(crate) struct Preference {
    unknown: OnUnknown,
}

/// Blocked times run into one another at most so often before the search gives up: a week has
/// seven days, and nobody states more than a few hundred dates.
const MOST_STEPS: usize = 1000;
/// Later than this nobody looks for an opening.
const SEARCH: i64 = 368 * DAY;
const FOR_EVER: i64 = i64::MAX / 4;

/// When a time that is blocked at an instant ends; `None` if it is not blocked then.
fn ends(blocked: Blocked, zone: Tz, at: i64) -> Option<i64> {
    let wall = local(zone, at);
    let date = wall.date();
    match blocked {
        Blocked::Always => Some(FOR_EVER),
        Blocked::Dates { first, last } => {
            let next = last.checked_add_days(Days::new(1)).unwrap_or(last);
            (first..=last).contains(&date).then(|| date_starts(zone, next))
        }
        Blocked::Weekly { days, from, to } => {
            let today = days & (1 << chrono::Datelike::weekday(&date).num_days_from_monday()) != 0;
            let inside = (from..to).contains(&wall.num_seconds_from_midnight());
            let close = date.and_time(NaiveTime::MIN) + TimeDelta::seconds(i64::from(to));
            // In an hour that is repeated the time may end twice.
            let first = resolve(zone, close, false);
            let close = if first > at { first } else { resolve(zone, close, true) };
            (today && inside).then_some(close)
        }
    }
}

/// The latest end of all times blocked at an instant.
fn blocked_until(wishes: &Wishes, zones: &[Tz], at: i64) -> Option<i64> {
    let blocked = |zone: &Tz| {
        let zone = *zone;
        wishes.blocked.iter().filter_map(move |blocked| ends(*blocked, zone, at))
    };
    zones.iter().flat_map(blocked).max()
}

/// Notes when a weekly time of this day begins.
fn note_starts(wishes: &Wishes, day: &Day, now: i64, notes: &mut Notes) {
    for blocked in &wishes.blocked {
        if let Blocked::Weekly { from, .. } = blocked {
            let open = day.date.and_time(NaiveTime::MIN) + TimeDelta::seconds(i64::from(*from));
            let starts = [false, true].map(|last| resolve(day.zone, open, last));
            starts.iter().filter(|at| **at > now).for_each(|at| notes.changes_at(*at));
        }
    }
}

impl Preference {
    pub(crate) fn read(from: &mut Reader<'_, '_>, head: Option<&Head>) -> Option<Self> {
        Some(Self { unknown: OnUnknown::read(from, "preference", head)? })
    }

    /// What is unknown denies.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>) {
        self.unknown.change(from);
    }

    pub(crate) fn duty(&self, ask: &Ask<'_>) -> Option<&Arc<Obligation>> {
        self.unknown.duty().filter(|_| ask.facts.wishes.is_none())
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
        let Some(wishes) = &ask.facts.wishes else {
            return self.unknown.ruling(
                ask,
                || "nobody wrote the person's wishes down".into(),
                || Wait::Wishes,
            );
        };
        if wishes.blocked.contains(&Blocked::Always) {
            let inputs = ask.say(|| "the person asked not to be called".into());
            return Ruling::No { inputs, waits_for: Wait::Wishes };
        }
        if ask.zones().is_empty() && !wishes.blocked.is_empty() {
            let inputs = ask.say(|| "no time zone is known".into());
            return Ruling::NotNow { inputs, otherwise: Wait::Address };
        }
        if blocked_until(wishes, ask.zones(), ask.now).is_some() {
            let inputs = ask.say(|| "the person asked not to be called at this time".into());
            return Ruling::NotNow { inputs, otherwise: Wait::Wishes };
        }
        ask.days.iter().for_each(|day| note_starts(wishes, day, ask.now, notes));
        Ruling::Pass
    }

    /// The first instant at or after `from` that nobody blocked.
    pub(crate) fn first_free(ask: &Ask<'_>, from: i64) -> Option<i64> {
        let Some(wishes) = &ask.facts.wishes else { return Some(from) };
        if ask.zones().is_empty() && !wishes.blocked.is_empty() {
            return None;
        }
        let mut at = from;
        for _ in 0..MOST_STEPS {
            match blocked_until(wishes, ask.zones(), at) {
                None => return Some(at),
                Some(end) if end - from > SEARCH => return None,
                Some(end) => at = end,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Blocked, Verdict, Wishes,
        kinds::cases::{Case, calls, instant},
    };

    const DENIES: &str = "kind = \"preference\"";
    /// Monday to Friday.
    const WORKDAYS: u8 = 0b001_1111;

    fn blocked(blocked: &[Blocked]) -> Option<Wishes> {
        Some(Wishes { blocked: blocked.to_vec() })
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn blocked_times_begin_and_end_to_the_second_in_every_candidate_zone() {
        let work = Blocked::Weekly { days: WORKDAYS, from: 9 * 3600, to: 17 * 3600 };
        let noon = Blocked::Weekly { days: WORKDAYS, from: 17 * 3600, to: 18 * 3600 };
        let date = |text: &str| text.parse().unwrap();
        let mourning = Blocked::Dates { first: date("2026-12-01"), last: date("2026-12-07") };
        for (what, call, wishes, now, verdict) in [
            ("none", calls::new_york(), blocked(&[]), "2026-12-01T15:00:00Z", "permit"),
            ("before", calls::new_york(), blocked(&[work]), "2026-12-01T13:59:59Z", "permit"),
            (
                "from the first second",
                calls::new_york(),
                blocked(&[work]),
                "2026-12-01T14:00:00Z",
                "defer 2026-12-01T22:00:00Z",
            ),
            ("after", calls::new_york(), blocked(&[work]), "2026-12-01T22:00:00Z", "permit"),
            ("Saturday", calls::new_york(), blocked(&[work]), "2026-12-05T15:00:00Z", "permit"),
            (
                "two in a row",
                calls::new_york(),
                blocked(&[work, noon]),
                "2026-12-01T21:59:59Z",
                "defer 2026-12-01T23:00:00Z",
            ),
            (
                "in Chicago still",
                calls::florida_850(),
                blocked(&[work]),
                "2026-12-01T22:30:00Z",
                "defer 2026-12-01T23:00:00Z",
            ),
            (
                "dates",
                calls::new_york(),
                blocked(&[mourning]),
                "2026-12-01T15:00:00Z",
                "defer 2026-12-08T05:00:00Z",
            ),
            (
                "before the dates",
                calls::new_york(),
                blocked(&[mourning]),
                "2026-12-01T04:59:59Z",
                "permit",
            ),
            (
                "no zone",
                calls::toll_free(),
                blocked(&[work]),
                "2026-12-01T15:00:00Z",
                "refuse Address",
            ),
            (
                "no zone, nothing blocked",
                calls::toll_free(),
                blocked(&[]),
                "2026-12-01T15:00:00Z",
                "permit",
            ),
            (
                "always",
                calls::new_york(),
                blocked(&[Blocked::Always]),
                "2026-12-01T15:00:00Z",
                "refuse Wishes",
            ),
            ("not known", calls::new_york(), None, "2026-12-01T15:00:00Z", "refuse Wishes"),
        ] {
            let mut case = Case::rule(DENIES).call(call);
            case.facts.wishes = wishes;
            assert_eq!(case.at(now), verdict, "{what}");
        }
    }

    #[test]
    fn a_permit_stands_until_the_blocked_time_begins() {
        let mut case = Case::rule(DENIES).call(calls::new_york());
        let work = Blocked::Weekly { days: WORKDAYS, from: 9 * 3600, to: 17 * 3600 };
        case.facts.wishes = blocked(&[work]);
        let Verdict::Permit(permit) = case.verdict(instant("2026-12-01T13:00:00Z")) else {
            panic!("not permitted")
        };
        assert_eq!(permit.stands_until().0, instant("2026-12-01T14:00:00Z"));
    }

    #[test]
    fn a_repeated_hour_is_blocked_both_times_and_opens_in_between() {
        let quarter = Blocked::Weekly { days: 1 << 6, from: 5400, to: 6300 };
        let mut case = Case::rule(DENIES).call(calls::new_york());
        case.facts.wishes = blocked(&[quarter]);
        for (now, verdict) in [
            ("2026-11-01T05:30:00Z", "defer 2026-11-01T05:45:00Z"),
            ("2026-11-01T05:45:00Z", "permit"),
            ("2026-11-01T06:30:00Z", "defer 2026-11-01T06:45:00Z"),
            ("2026-11-01T06:45:00Z", "permit"),
        ] {
            assert_eq!(case.at(now), verdict, "{now}");
        }
    }

    #[test]
    fn unknown_wishes_may_be_a_duty_instead() {
        let mut case = Case::rule("kind = \"preference\"\non_unknown = \"oblige\"");
        let duties = |case: &Case| match case.verdict(instant("2026-12-01T15:00:00Z")) {
            Verdict::Permit(permit) => permit.obligations().len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(duties(&case), 1);
        case.facts.wishes = blocked(&[]);
        assert_eq!(duties(&case), 0, "known, so there is nothing to ask for");
    }
}
