//! One judgement under way: the facts, and what follows from them for every rule.

use chrono::NaiveDate;
use chrono_tz::Tz;
use dialer_types::{Outcome, RuleId, Say, UnixMillis};

use crate::{
    Evaluation, Evidence, Facts, Past, Wait,
    places::Candidates,
    rule::Key,
    zone::{DAY, Day, utc_date},
};

/// What is asked: the same for every rule.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) terms: &'a Evaluation,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
    /// The UTC date: what lists and relationships are aged by.
    pub(crate) today: NaiveDate,
    pub(crate) places: Candidates,
    /// Today in each candidate zone.
    pub(crate) days: Vec<Day>,
    /// Milliseconds by which rolling limits are lengthened.
    pub(crate) guard: i64,
}

/// What a rule says.
#[derive(Debug)]
pub(crate) enum Ruling {
    Pass,
    /// Denies until time passes, if that helps; otherwise it waits for something.
    NotNow {
        inputs: Say,
        otherwise: Wait,
    },
    /// Denies whatever the time.
    No {
        inputs: Say,
        waits_for: Wait,
    },
}

/// What rules note down while they are asked.
#[derive(Debug)]
pub(crate) struct Notes {
    pub(crate) evidence: Evidence,
    pub(crate) stands_until: i64,
}

impl Notes {
    /// The answer may change at this moment.
    pub(crate) fn changes_at(&mut self, at: i64) {
        self.stands_until = self.stands_until.min(at);
    }

    pub(crate) fn count(&mut self, rule: &RuleId, count: usize, max: u32) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.evidence.counters.push(crate::Counter { rule: rule.clone(), count, max });
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn new(facts: &'a Facts, terms: &'a Evaluation, now: UnixMillis) -> Self {
        let places = Candidates::of(&facts.call);
        let days = places.zones.iter().map(|zone| Day::at(*zone, now.0)).collect();
        let guard = i64::try_from(terms.guard.as_millis()).unwrap_or(i64::MAX / 4);
        Self { facts, terms, now: now.0, today: utc_date(now.0), places, days, guard }
    }

    pub(crate) fn zones(&self) -> &[Tz] {
        &self.places.zones
    }

    /// The next moment at which the UTC date changes.
    pub(crate) const fn tomorrow(&self) -> i64 {
        (self.now.div_euclid(DAY) + 1) * DAY
    }

    /// Earlier placements of one key; none of them later than now.
    pub(crate) fn past<'b>(&'b self, whom: &'b Key) -> impl Iterator<Item = &'b Past> {
        let call = &self.facts.call;
        self.facts.history.iter().filter(move |past| {
            past.at.0 <= self.now
                && (whom.any_seller || past.same_seller)
                && (whom.any_purpose || past.purpose == call.purpose)
                && (!whom.same_campaign || past.same_campaign)
                && whom.subject.matches(past, call.has_account)
        })
    }
}

/// Pending and unknown: nobody knows yet, so nobody may say it did not happen.
pub(crate) const fn is_open(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Pending | Outcome::Unknown)
}
