//! `precondition`: licences, registrations, approvals and certificates that must hold on the day.

use std::sync::Arc;

use chrono::NaiveDate;
use dialer_types::{Say, say};

use crate::{
    Licence, Obligation, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{Head, on_unknown::OnUnknown},
    reader::Reader,
    zone::{date_starts, local, utc_date},
};

/// What must be on record.
#[derive(Debug, Clone)]
pub(crate) struct Precondition {
    licences: Vec<Arc<str>>,
    unknown: OnUnknown,
}

/// Whether it holds on a date.
fn holds(licence: &Licence, on: NaiveDate) -> bool {
    licence.from.is_none_or(|from| from <= on) && licence.until.is_none_or(|until| on <= until)
}

/// Whether it holds at an instant, wherever today is then.
fn holds_at(licence: &Licence, ask: &Ask<'_>, at: i64) -> bool {
    let dates = ask.zones().iter().map(|zone| local(*zone, at).date());
    dates.chain([utc_date(at)]).all(|date| holds(licence, date))
}

/// When it begins to hold everywhere, if it does so later.
fn begins(licence: &Licence, ask: &Ask<'_>) -> Option<i64> {
    let from = licence.from?;
    let starts = ask.zones().iter().map(|zone| date_starts(*zone, from));
    let start = starts.chain([date_starts(chrono_tz::UTC, from)]).max()?;
    (start > ask.now && holds_at(licence, ask, start)).then_some(start)
}

impl Precondition {
    pub(crate) fn read(from: &mut Reader<'_, '_>, head: Option<&Head>) -> Option<Self> {
        let licences = from.words("licences", |id| (!id.is_empty()).then(|| Arc::from(id)));
        if licences.is_empty() {
            from.fault("licences", "is missing or names none");
        }
        let unknown = OnUnknown::read(from, "precondition", head);
        Some(Self { licences, unknown: unknown? })
    }

    /// The first licence of which nothing is on record.
    fn missing(&self, ask: &Ask<'_>) -> Option<&Arc<str>> {
        let shown = &ask.facts.licences;
        self.licences.iter().find(|needed| !shown.iter().any(|licence| licence.id == **needed))
    }

    /// Those on record of which none holds now.
    fn lapsed<'a>(&'a self, ask: &'a Ask<'_>) -> impl Iterator<Item = &'a Arc<str>> {
        let dates = || ask.days.iter().map(|day| day.date).chain([ask.today]);
        self.licences.iter().filter(move |needed| {
            let ours = || ask.facts.licences.iter().filter(|licence| licence.id == **needed);
            ours().next().is_some()
                && !ours().any(|licence| dates().all(|date| holds(licence, date)))
        })
    }

    /// The first instant at or after `from` at which what has not begun yet holds. What holds now
    /// counts as holding on: no time is known at which another would take its place.
    pub(crate) fn first_free(&self, ask: &Ask<'_>, from: i64) -> Option<i64> {
        let ours = |needed: &Arc<str>| {
            let needed = Arc::clone(needed);
            ask.facts.licences.iter().filter(move |licence| licence.id == needed)
        };
        let mut at = from;
        for needed in self.lapsed(ask) {
            at = at.max(ours(needed).filter_map(|licence| begins(licence, ask)).min()?);
        }
        let missing = self.unknown.duty().is_none() && self.missing(ask).is_some();
        let stands = |needed| ours(needed).any(|licence| holds_at(licence, ask, at));
        (!missing && self.lapsed(ask).all(stands)).then_some(at)
    }

    /// The licences that it asks for.
    pub(crate) fn asks_for(&self) -> impl Iterator<Item = &Arc<str>> {
        self.licences.iter()
    }

    /// What is unknown denies.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>) {
        self.unknown.change(from);
    }

    pub(crate) fn duty(&self, ask: &Ask<'_>) -> Option<&Arc<Obligation>> {
        self.unknown.duty().filter(|_| self.missing(ask).is_some())
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
        // It must hold wherever today is: in UTC and in every candidate zone.
        let mut lapsed: Option<(Say, Wait)> = None;
        for needed in self.lapsed(ask) {
            let inputs = ask.say(|| say!("{needed} on record does not hold today", needed));
            lapsed = Some(match lapsed {
                None => (inputs, Wait::Licence(Arc::clone(needed))),
                Some((before, wait)) => (ask.say(|| before.and(inputs)), wait),
            });
        }
        if let Some((inputs, waits_for)) = lapsed {
            return match self.first_free(ask, ask.now) {
                Some(_) => Ruling::NotNow { inputs, otherwise: waits_for },
                None => Ruling::No { inputs, waits_for },
            };
        }
        notes.changes_at(ask.tomorrow());
        match self.missing(ask) {
            Some(needed) => {
                let inputs = || say!("no {needed} on record", needed);
                self.unknown.ruling(ask, inputs, || Wait::Licence(Arc::clone(needed)))
            }
            None => Ruling::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Licence, Verdict,
        kinds::cases::{Case, calls, instant},
    };

    const RULE: &str = "kind = \"precondition\"\nlicences = [\"us.tx.registration\", \"bond\"]";

    fn licence(id: &str, from: Option<&str>, until: Option<&str>) -> Licence {
        let date = |text: &str| text.parse().unwrap();
        Licence { id: id.into(), from: from.map(date), until: until.map(date) }
    }

    #[test]
    fn every_licence_must_hold_today_in_every_candidate_zone() {
        let bond = || licence("bond", None, None);
        for (what, licences, now, verdict) in [
            ("none", vec![], "2026-12-01T16:00:00Z", "refuse Licence(\"us.tx.registration\")"),
            (
                "one of two",
                vec![licence("us.tx.registration", None, None)],
                "2026-12-01T16:00:00Z",
                "refuse Licence(\"bond\")",
            ),
            (
                "on its last day",
                vec![licence("us.tx.registration", None, Some("2026-12-01")), bond()],
                "2026-12-01T16:00:00Z",
                "permit",
            ),
            (
                "over in UTC, not in New York",
                vec![licence("us.tx.registration", None, Some("2026-12-01")), bond()],
                "2026-12-02T00:00:00Z",
                "refuse Licence(\"us.tx.registration\")",
            ),
            (
                "not yet in New York",
                vec![licence("us.tx.registration", Some("2026-12-02"), None), bond()],
                "2026-12-02T04:59:59Z",
                "defer 2026-12-02T05:00:00Z",
            ),
            (
                "begun",
                vec![licence("us.tx.registration", Some("2026-12-02"), None), bond()],
                "2026-12-02T05:00:00Z",
                "permit",
            ),
            (
                "renewed",
                vec![
                    licence("us.tx.registration", None, Some("2026-11-30")),
                    licence("us.tx.registration", Some("2026-12-01"), None),
                    bond(),
                ],
                "2026-12-01T16:00:00Z",
                "permit",
            ),
        ] {
            let mut case = Case::rule(RULE).call(calls::new_york());
            case.facts.licences = licences;
            assert_eq!(case.at(now), verdict, "{what}");
        }
    }

    #[test]
    fn what_begins_later_defers_until_all_of_it_holds_everywhere() {
        let texas = |from, until| licence("us.tx.registration", Some(from), until);
        let bond = licence("bond", None, None);
        let refuse = "refuse Licence(\"us.tx.registration\")";
        for (what, licences, verdict) in [
            ("begins", vec![texas("2026-12-02", None), bond.clone()], "defer 2026-12-02T05:00:00Z"),
            ("and the other is missing", vec![texas("2026-12-02", None)], refuse),
            (
                "over before the other begins",
                vec![
                    texas("2026-12-03", Some("2026-12-04")),
                    licence("bond", Some("2026-12-05"), None),
                ],
                refuse,
            ),
            (
                "the first of two that begin",
                vec![
                    texas("2026-12-09", None),
                    texas("2026-12-03", Some("2026-12-04")),
                    bond.clone(),
                ],
                "defer 2026-12-03T05:00:00Z",
            ),
            (
                "for one day alone",
                vec![texas("2026-12-03", Some("2026-12-03")), bond],
                "defer 2026-12-03T05:00:00Z",
            ),
        ] {
            let mut case = Case::rule(RULE).call(calls::new_york());
            case.facts.licences = licences;
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{what}");
        }
    }

    #[test]
    fn a_missing_licence_may_be_a_duty_and_a_lapsed_one_never() {
        let rule = RULE.to_owned() + "\non_unknown = \"oblige\"";
        let mut case = Case::rule(&rule).call(calls::new_york());
        let Verdict::Permit(permit) = case.verdict(instant("2026-12-01T16:00:00Z")) else {
            panic!("not permitted")
        };
        assert_eq!(permit.obligations().len(), 1);
        assert_eq!(permit.stands_until().0, instant("2026-12-02T00:00:00Z"));
        case.facts.licences = vec![licence("bond", None, Some("2026-11-30"))];
        assert_eq!(case.at("2026-12-01T16:00:00Z"), "refuse Licence(\"bond\")");
    }
}
