//! `number_reassignment_check`: a number that has changed hands is not called on the old consent.

use std::sync::Arc;

use dialer_types::say;

use crate::{
    Obligation, Reassigned, ReassignmentCheck, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{Head, count_cap::looser, on_unknown::OnUnknown},
    reader::Reader,
};

/// A database that must have been asked.
#[derive(Debug, Clone)]
pub(crate) struct ReassignmentRule {
    database: Arc<str>,
    /// In days; an answer of exactly this age is fresh.
    max_age: Option<u32>,
    unknown: OnUnknown,
}

impl ReassignmentRule {
    pub(crate) fn read(from: &mut Reader<'_, '_>, head: Option<&Head>) -> Option<Self> {
        let database = from.required_text("database");
        let max_age = from.number("max_age_days", 0..3661);
        let unknown = OnUnknown::read(from, "number_reassignment_check", head);
        Some(Self { database: database?.into(), max_age, unknown: unknown? })
    }

    /// Which database it asks for.
    pub(crate) fn database(&self) -> Arc<str> {
        Arc::clone(&self.database)
    }

    fn answer<'a>(&self, ask: &'a Ask<'_>) -> Option<&'a ReassignmentCheck> {
        let checks = ask.facts.reassignment.iter();
        let ours = checks.filter(|check| check.database == self.database);
        ours.filter(|check| check.answer != Reassigned::NoData).max_by_key(|check| check.as_of)
    }

    /// A younger answer, and none denies; without `prove` another age.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if let Some(days) = from.number("max_age_days", 0..3661) {
            match self.max_age {
                Some(most) if prove && days > most => looser(from, "max_age_days", most),
                _ => self.max_age = Some(days),
            }
        }
        self.unknown.change(from);
    }

    pub(crate) fn duty(&self, ask: &Ask<'_>) -> Option<&Arc<Obligation>> {
        self.unknown.duty().filter(|_| self.answer(ask).is_none())
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
        let database = &self.database;
        let asked_again = || Wait::Check(Arc::clone(database));
        let Some(found) = self.answer(ask) else {
            let inputs = || say!("{database} has no answer on record", database);
            return self.unknown.ruling(ask, inputs, asked_again);
        };
        if found.answer == Reassigned::Yes {
            let inputs = ask.say(|| say!("by {database} the number has changed hands", database));
            return Ruling::No { inputs, waits_for: Wait::Contact };
        }
        let age = (ask.today - found.as_of).num_days();
        if self.max_age.is_some_and(|max| age > i64::from(max)) {
            let inputs = ask.say(|| say!("{database} was asked {age} days ago", database, age));
            return Ruling::No { inputs, waits_for: asked_again() };
        }
        if self.max_age.is_some() {
            notes.changes_at(ask.tomorrow());
        }
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Reassigned, ReassignmentCheck, Verdict,
        kinds::cases::{Case, calls, instant},
    };

    const NOW: &str = "2026-12-01T16:00:00Z";
    const RULE: &str =
        "kind = \"number_reassignment_check\"\ndatabase = \"us.rnd\"\nmax_age_days = 31";

    fn check(database: &str, as_of: &str, answer: Reassigned) -> ReassignmentCheck {
        ReassignmentCheck { database: database.into(), as_of: as_of.parse().unwrap(), answer }
    }

    #[test]
    fn a_number_that_changed_hands_or_was_not_asked_about_lately_is_not_called() {
        use Reassigned::{No, NoData, Yes};
        for (what, checks, verdict) in [
            ("31 days old", vec![check("us.rnd", "2026-10-31", No)], "permit"),
            ("32 days old", vec![check("us.rnd", "2026-10-30", No)], "refuse Check(\"us.rnd\")"),
            ("changed hands", vec![check("us.rnd", "2026-11-30", Yes)], "refuse Contact"),
            ("changed hands long ago", vec![check("us.rnd", "2026-01-01", Yes)], "refuse Contact"),
            ("no data", vec![check("us.rnd", "2026-11-30", NoData)], "refuse Check(\"us.rnd\")"),
            ("another database", vec![check("xx", "2026-11-30", No)], "refuse Check(\"us.rnd\")"),
            ("never asked", vec![], "refuse Check(\"us.rnd\")"),
            (
                "the newest answer holds",
                vec![check("us.rnd", "2026-11-30", No), check("us.rnd", "2026-11-01", Yes)],
                "permit",
            ),
        ] {
            let mut case = Case::rule(RULE).call(calls::new_york());
            case.facts.reassignment = checks;
            assert_eq!(case.at(NOW), verdict, "{what}");
        }
    }

    #[test]
    fn where_the_rule_says_so_a_number_nobody_asked_about_leaves_a_duty() {
        let rule = RULE.to_owned() + "\non_unknown = \"oblige\"";
        let mut case = Case::rule(&rule).call(calls::new_york());
        let Verdict::Permit(permit) = case.verdict(instant(NOW)) else { panic!("not permitted") };
        assert_eq!(permit.obligations().len(), 1);
        case.facts.reassignment = vec![check("us.rnd", "2026-10-30", Reassigned::No)];
        assert_eq!(case.at(NOW), "refuse Check(\"us.rnd\")", "stale is worse than unknown");
    }
}
