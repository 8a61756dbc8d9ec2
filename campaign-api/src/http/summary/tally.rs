//! Counting opinions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use chrono_tz::Tz;
use dialer_judge::cause;
use dialer_policy::{Verdict, Wait};
use dialer_types::{Language, RuleId, UnixMillis};

use crate::judging::{Known, Opinion, When};

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) callable_now: u64,
    pub(super) later_today: u64,
    pub(super) later: u64,
    pub(super) never: u64,
    pub(super) unreadable: u64,
    pub(super) needs_several: u64,
    pub(super) for_good: u64,
    pub(super) unlock: BTreeMap<String, u64>,
    /// What no fact unlocks, by its word.
    pub(super) barred: BTreeMap<String, u64>,
    pub(super) blocked: BTreeMap<RuleId, Held>,
}

/// A rule, and how many contacts it stands in the way of.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) title: String,
    pub(super) citation: String,
    pub(super) contacts: u64,
}

impl Known {
    /// When a disposition is tried again, where that is later than now. A rule's own moment is
    /// judged anew; `because` names a rule by its id, which holds a dot.
    pub(super) fn retried_at(&self, now: UnixMillis) -> Option<UnixMillis> {
        let retried = self.because.as_deref().is_some_and(|because| !because.contains('.'));
        self.due_at.filter(|at| retried && *at > now)
    }
}

impl Tally {
    /// Contacts counted.
    pub(super) fn judged(&self) -> u64 {
        self.callable_now + self.later_today + self.later + self.never
    }

    /// One more contact. `retried_at`: before then it is not tried, whatever the rules say.
    pub(super) fn add(
        &mut self,
        opinion: &Opinion,
        retried_at: Option<UnixMillis>,
        now: UnixMillis,
        language: Language,
    ) {
        let moment = match opinion.when() {
            When::Now => Some(retried_at.unwrap_or(now)),
            When::At(at) => Some(retried_at.map_or(at, |retried| retried.max(at))),
            When::Never => None,
        };
        match moment {
            Some(at) if at <= now => {
                self.callable_now += 1;
                return;
            }
            Some(at) if is_same_day(opinion, at, now) => self.later_today += 1,
            Some(_) => self.later += 1,
            None => self.is_never(opinion),
        }
        self.blocked(opinion, language);
    }

    /// One more contact that no passing of time makes lawful to call, by what would.
    pub(super) fn is_never(&mut self, opinion: &Opinion) {
        self.never += 1;
        if matches!(opinion, Opinion::Unknown(_)) {
            self.unreadable += 1;
            return;
        }
        let ways: Vec<Way> =
            opinion.verdicts().iter().map(|(_, verdict)| Way::of(verdict)).collect();
        let facts: BTreeSet<&String> = ways.iter().filter_map(Way::fact).collect();
        let barred: BTreeSet<&String> = ways.iter().flat_map(Way::barred).collect();
        if !facts.is_empty() {
            for word in facts {
                *self.unlock.entry(word.clone()).or_default() += 1;
            }
        } else if ways.contains(&Way::Facts) {
            self.needs_several += 1;
        } else if !barred.is_empty() {
            for word in barred {
                *self.barred.entry(word.clone()).or_default() += 1;
            }
        } else {
            self.for_good += 1;
        }
    }

    fn blocked(&mut self, opinion: &Opinion, language: Language) {
        let mut seen = BTreeSet::new();
        let denials = opinion.verdicts().iter().flat_map(|(_, verdict)| verdict.denials());
        for denial in denials {
            if seen.insert(denial.rule.clone()) {
                let held = self.blocked.entry(denial.rule.clone()).or_insert_with(|| Held {
                    title: denial.title_in(language).to_owned(),
                    citation: denial.citation_in(language).to_owned(),
                    contacts: 0,
                });
                held.contacts += 1;
            }
        }
    }
}

/// What would bring a lawful call to a number that is refused.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// This one fact.
    Fact(String),
    /// Two facts or more.
    Facts,
    /// Nothing that anybody could supply: a do-not-call entry stands, say. By their words.
    Barred(BTreeSet<String>),
    /// Nothing at all.
    Never,
}

impl Way {
    fn of(verdict: &Verdict) -> Self {
        let waits: BTreeSet<&Wait> =
            verdict.denials().iter().filter_map(|denial| denial.waits_for.as_ref()).collect();
        if waits.is_empty() || waits.contains(&Wait::Never) {
            return Self::Never;
        }
        let barred: BTreeSet<String> =
            waits.iter().filter(|wait| !is_fact(wait)).map(|wait| cause(wait)).collect();
        match waits.first() {
            _ if !barred.is_empty() => Self::Barred(barred),
            Some(wait) if waits.len() == 1 => Self::Fact(cause(wait)),
            _ => Self::Facts,
        }
    }

    const fn fact(&self) -> Option<&String> {
        if let Self::Fact(word) = self { Some(word) } else { None }
    }

    fn barred(&self) -> impl Iterator<Item = &String> {
        let words = if let Self::Barred(words) = self { Some(words) } else { None };
        words.into_iter().flatten()
    }
}

/// Whether somebody can supply what is waited for. An opt-out, a rule or what a build cannot do is
/// not to be had by asking.
const fn is_fact(wait: &Wait) -> bool {
    match wait {
        Wait::Consent
        | Wait::List(_)
        | Wait::Feed
        | Wait::Address
        | Wait::Contact
        | Wait::Wishes
        | Wait::Check(_)
        | Wait::Licence(_)
        | Wait::Counter(_) => true,
        Wait::Suppression | Wait::Pack | Wait::Obligation(_) | Wait::Never => false,
    }
}

/// Whether a moment is on the present day in every zone where the person may be.
fn is_same_day(opinion: &Opinion, at: UnixMillis, now: UnixMillis) -> bool {
    let mut zones: Vec<Tz> = opinion
        .verdicts()
        .iter()
        .filter(|(_, verdict)| !matches!(verdict, Verdict::Refuse(_)))
        .flat_map(|(_, verdict)| verdict.evidence().zones.iter().copied())
        .collect();
    if zones.is_empty() {
        zones.push(Tz::UTC);
    }
    let (Some(at), Some(now)) =
        (DateTime::from_timestamp_millis(at.0), DateTime::from_timestamp_millis(now.0))
    else {
        return false;
    };
    zones
        .iter()
        .all(|zone| at.with_timezone(zone).date_naive() == now.with_timezone(zone).date_naive())
}

/// A count of a sample, for all. Exact where the sample is all.
pub(super) fn scale(count: u64, all: u64, judged: u64) -> u64 {
    if judged == 0 || judged == all {
        return count;
    }
    let scaled =
        (u128::from(count) * u128::from(all) + u128::from(judged) / 2) / u128::from(judged);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Counts of a sample, for all, so that they add up to all: what rounding leaves over goes to the
/// largest.
pub(super) fn scaled(counts: [u64; 4], all: u64) -> [u64; 4] {
    let judged: u64 = counts.iter().sum();
    if judged == 0 {
        // A sample that is empty by chance says nothing: nobody is promised.
        return [0, 0, 0, all];
    }
    let mut scaled = counts.map(|count| scale(count, all, judged));
    let sum: u64 = scaled.iter().sum();
    if let Some(largest) = scaled.iter_mut().max() {
        *largest = (*largest + all).saturating_sub(sum);
    }
    scaled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sample_scaled_up_adds_up_to_all(
            counts in prop::array::uniform4(0u64..200_000), more in 0u64..10_000_000,
        ) {
            let judged: u64 = counts.iter().sum();
            let found = scaled(counts, judged + more);
            prop_assert_eq!(found.iter().sum::<u64>(), judged + more);
            if more == 0 && judged > 0 {
                prop_assert_eq!(found, counts);
            }
        }
    }
}
