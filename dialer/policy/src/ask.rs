//! One judgement under way: the facts, and what follows from them for every rule.

use std::{cell::OnceCell, sync::Arc};

use chrono::NaiveDate;
use chrono_tz::Tz;
use dialer_types::{Outcome, RuleId, Say, UnixMillis};
use smallvec::SmallVec;

use crate::{
    Counter, Evaluation, Facts, Lift, ListAge, NamedException, Past, Wait,
    places::Candidates,
    rule::Key,
    zone::{DAY, Day, clocks, utc_date},
};

/// What is asked: the same for every rule.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) terms: Evaluation,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
    /// The UTC date: what lists and relationships are aged by.
    pub(crate) today: NaiveDate,
    pub(crate) places: Candidates,
    /// Today in each candidate zone.
    pub(crate) days: SmallVec<[Day; 8]>,
    clocks: OnceCell<SmallVec<[Tz; 8]>>,
    /// Milliseconds by which rolling limits are lengthened.
    pub(crate) guard: i64,
    /// Whether denials say what they looked at. Only a verdict needs that, and only of the rules
    /// that deny.
    pub(crate) explains: bool,
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

/// What rules note down while they are asked. Made for every judgement, so without allocation.
#[derive(Debug)]
pub(crate) struct Notes {
    pub(crate) counters: SmallVec<[Counter; 8]>,
    pub(crate) lists: SmallVec<[ListAge; 4]>,
    /// Those without which a rule would have denied.
    pub(crate) exceptions: SmallVec<[Arc<NamedException>; 2]>,
    /// Do-not-call entries that would hold but for a consent.
    pub(crate) lifts: SmallVec<[Lift; 2]>,
    /// Do-not-call entries about other purposes.
    pub(crate) other_purposes: u32,
    pub(crate) stands_until: i64,
}

impl Notes {
    pub(crate) fn new() -> Self {
        Self {
            counters: SmallVec::new(),
            lists: SmallVec::new(),
            exceptions: SmallVec::new(),
            lifts: SmallVec::new(),
            other_purposes: 0,
            stands_until: i64::MAX,
        }
    }

    /// The answer may change at this moment.
    pub(crate) fn changes_at(&mut self, at: i64) {
        self.stands_until = self.stands_until.min(at);
    }

    pub(crate) fn count(&mut self, rule: &RuleId, count: usize, max: u32) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.counters.push(Counter { rule: rule.clone(), count, max });
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn new(facts: &'a Facts, terms: Evaluation, now: UnixMillis) -> Self {
        let places = Candidates::of(&facts.call, terms.narrowing);
        let days = places.zones.iter().map(|zone| Day::at(*zone, now.0)).collect();
        let guard = i64::try_from(terms.guard.as_millis()).unwrap_or(i64::MAX / 4);
        let (now, today) = (now.0, utc_date(now.0));
        let clocks = OnceCell::new();
        Self { facts, terms, now, today, places, days, clocks, guard, explains: false }
    }

    /// What a denial looked at, if anybody will read it.
    pub(crate) fn say(&self, inputs: impl FnOnce() -> Say) -> Say {
        if self.explains { inputs() } else { Say::of("") }
    }

    pub(crate) fn zones(&self) -> &[Tz] {
        &self.places.zones
    }

    /// One candidate zone of each that go alike, those that differ most in front: enough for a
    /// search of later times, and quicker where a country has dozens.
    pub(crate) fn clocks(&self) -> &[Tz] {
        self.clocks.get_or_init(|| clocks(self.zones(), self.now))
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
