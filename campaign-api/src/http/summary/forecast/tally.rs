//! Counting the hours of contacts.

use std::collections::BTreeMap;

use dialer_policy::Ruleset;
use dialer_types::{Language, RuleId, UnixMillis};

use super::super::tally::Tally;
use crate::judging::{HOURS, Held, Hours, Known, When, hours_of};

/// In milliseconds.
const HOUR: i64 = 3_600_000;

/// What was counted so far. As large for a million contacts as for one.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) now: UnixMillis,
    /// The beginning of the first hour.
    start: UnixMillis,
    language: Language,
    pub(super) callable: u64,
    pub(super) beyond: u64,
    /// Those that something else than time holds back in all the hours.
    pub(super) never: Tally,
    pub(super) hours: Vec<HourCount>,
    pub(super) held: BTreeMap<RuleId, HeldCount>,
}

/// Contacts of one hour.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HourCount {
    pub(super) callable: u64,
    pub(super) not_due: u64,
}

/// A rule, and whom it holds back.
#[derive(Debug)]
pub(super) struct HeldCount {
    pub(super) title: String,
    pub(super) citation: String,
    pub(super) waits_for: Option<String>,
    pub(super) contacts: u64,
    pub(super) by_hour: Vec<u64>,
}

impl Counted {
    pub(super) fn new(start: UnixMillis, now: UnixMillis, language: Language) -> Self {
        Self {
            now,
            start,
            language,
            callable: 0,
            beyond: 0,
            never: Tally::default(),
            hours: vec![HourCount::default(); HOURS],
            held: BTreeMap::new(),
        }
    }

    /// The beginning of an hour; of the one behind the last, the end.
    pub(super) fn hour(&self, place: usize) -> UnixMillis {
        let hours = i64::try_from(place).unwrap_or(0);
        UnixMillis(self.start.0.saturating_add(hours * HOUR))
    }

    /// Contacts counted.
    pub(super) fn judged(&self) -> u64 {
        self.callable + self.beyond + self.never.never
    }

    /// One more contact.
    pub(super) fn add(&mut self, contact: &Known, ruleset: &Ruleset) {
        let end = self.hour(HOURS);
        let due = contact.retried_at(self.now).unwrap_or(self.now).min(end);
        let stretches = contact.case.ahead(ruleset, due, end);
        let open = hours_of(&stretches, self.start);
        for hour in open.iter() {
            self.in_hour(hour, |it| it.callable += 1);
        }
        // An hour in which it becomes due counts as one of its verdict.
        let from_due = Hours::touched(self.start, due, end);
        let not_due = Hours::touched(self.start, self.now, due).without(from_due);
        for hour in not_due.iter() {
            self.in_hour(hour, |it| it.not_due += 1);
        }
        let mut held: BTreeMap<RuleId, (Held, Hours)> = BTreeMap::new();
        let mut refused = None;
        for stretch in &stretches {
            let hours = Hours::touched(self.start, stretch.from, stretch.until).without(open);
            if stretch.answer.when == When::Never {
                refused = refused.or(Some(&stretch.answer.opinion));
            }
            if hours.is_empty() {
                continue;
            }
            for (rule, why) in stretch.answer.held_by() {
                held.entry(rule).or_insert_with(|| (why, Hours::default())).1.join(hours);
            }
        }
        self.hold(held);
        if !open.is_empty() {
            self.callable += 1;
        } else if let Some(opinion) = refused {
            self.never.is_never(opinion);
        } else {
            self.beyond += 1;
        }
    }

    fn in_hour(&mut self, hour: usize, change: impl FnOnce(&mut HourCount)) {
        if let Some(hour) = self.hours.get_mut(hour) {
            change(hour);
        }
    }

    fn hold(&mut self, held: BTreeMap<RuleId, (Held, Hours)>) {
        let language = self.language;
        for (rule, (why, hours)) in held {
            let count = self.held.entry(rule).or_insert_with(|| HeldCount {
                title: why.denial.title_in(language).to_owned(),
                citation: why.denial.citation_in(language).to_owned(),
                waits_for: None,
                contacts: 0,
                by_hour: vec![0; HOURS],
            });
            count.contacts += 1;
            if count.waits_for.is_none() {
                count.waits_for = why.waits_for.as_ref().map(dialer_judge::cause);
            }
            for hour in hours.iter() {
                if let Some(hour) = count.by_hour.get_mut(hour) {
                    *hour += 1;
                }
            }
        }
    }
}
