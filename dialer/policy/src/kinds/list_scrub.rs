//! `list_scrub`: a do-not-call list that is absent, too old or has the number denies.

use std::sync::Arc;

use dialer_types::{PartyType, Say, say};

use crate::{
    ListAge, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{Unless, count_cap::looser},
    reader::Reader,
};

/// Lists to consult.
#[derive(Debug, Clone)]
pub(crate) struct ListScrub {
    lists: Vec<Needed>,
    unless: Unless,
}

#[derive(Debug, Clone)]
struct Needed {
    list: Arc<str>,
    /// In days; a list of exactly this age is fresh.
    max_age: Option<u32>,
    party: Option<PartyType>,
}

impl ListScrub {
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Option<Self> {
        let mut lists = Vec::new();
        for mut table in from.tables("lists") {
            let list = table.required_text("id");
            let max_age = table.number("max_age_days", 0..3661);
            let party = table.word("party", |word| word.parse().ok());
            table.finish();
            lists.extend(list.map(|list| Needed { list: Arc::from(list), max_age, party }));
        }
        if lists.is_empty() {
            from.fault("lists", "is missing or names no list");
        }
        Some(Self { lists, unless: Unless::read(from) })
    }

    /// A shorter age of every list, no exemptions; without `prove` another age.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if let Some(days) = from.number("max_age_days", 0..3661) {
            match self.lists.iter().filter_map(|needed| needed.max_age).min() {
                Some(least) if prove && days > least => looser(from, "max_age_days", least),
                _ => self.lists.iter_mut().for_each(|needed| needed.max_age = Some(days)),
            }
        }
        self.unless.change(from);
    }

    /// The lists asked for and how old each may be, in days.
    pub(crate) fn ages(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        self.lists.iter().filter_map(|needed| Some((&needed.list, needed.max_age?)))
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
        if self.unless.lifts(ask, notes) {
            return Ruling::Pass;
        }
        let party = ask.facts.call.party;
        let mut denied: Option<(Say, Wait)> = None;
        for needed in self.lists.iter().filter(|list| list.party.is_none_or(|p| p == party)) {
            let fact = ask.facts.lists.iter().find(|fact| fact.list == needed.list);
            let as_of = fact.map(|fact| fact.as_of);
            notes.lists.push(ListAge { list: Arc::clone(&needed.list), as_of });
            let age = as_of.map(|as_of| (ask.today - as_of).num_days());
            // A copy of a day that has not come is of no day: nobody knows how old it is. It may be
            // tomorrow where the list is kept.
            let stale = age.is_some_and(|age| age < -1)
                || age.zip(needed.max_age).is_some_and(|(age, max)| age > i64::from(max));
            if needed.max_age.is_some() {
                notes.changes_at(ask.tomorrow());
            }
            let list = &needed.list;
            if fact.is_some_and(|fact| !fact.contains && !stale) {
                continue;
            }
            let inputs = ask.say(|| match (fact, age) {
                (Some(fact), Some(age)) if !fact.contains && age < 0 => {
                    say!("{list} is dated {days} days ahead", list, days = -age)
                }
                (Some(fact), Some(age)) if !fact.contains => {
                    say!("{list} is {age} days old", list, age)
                }
                (Some(_), _) => say!("on {list}", list),
                (None, _) => say!("no copy of {list}", list),
            });
            denied = Some(match denied {
                None => (inputs, Wait::List(Arc::clone(list))),
                Some((before, wait)) => (ask.say(|| before.and(inputs)), wait),
            });
        }
        match denied {
            Some((inputs, waits_for)) => Ruling::No { inputs, waits_for },
            None => Ruling::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dialer_types::PartyType;

    use crate::{
        ListFact, Relationship, RelationshipKind,
        kinds::cases::{Case, calls, consent},
    };

    const RULE: &str = r#"kind = "list_scrub"
        lists = [{ id = "a", max_age_days = 31 }, { id = "b", party = "business" }]
        unless_consent = "prior_express_written"
        unless_customer_months = 18
        unless_inquiry_months = 3"#;

    fn on(case: &mut Case, list: &str, as_of: &str, contains: bool) {
        let as_of = as_of.parse().unwrap();
        case.facts.lists.push(ListFact { list: Arc::from(list), as_of, contains });
    }

    #[test]
    fn a_list_denies_when_it_is_absent_too_old_or_has_the_number() {
        let case = || Case::rule(RULE).call(calls::new_york());
        for (as_of, contains, verdict) in [
            ("2026-10-31", false, "permit"),
            ("2026-10-30", false, "refuse List(\"a\")"),
            ("2026-11-30", true, "refuse List(\"a\")"),
        ] {
            let mut case = case();
            on(&mut case, "a", as_of, contains);
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{as_of} {contains}");
        }
        assert_eq!(case().at("2026-12-01T16:00:00Z"), "refuse List(\"a\")", "absent");
        let mut business = case();
        business.facts.call.party = PartyType::Business;
        on(&mut business, "a", "2026-11-30", false);
        assert_eq!(
            business.at("2026-12-01T16:00:00Z"),
            "refuse List(\"b\")",
            "absent for a business"
        );
        on(&mut business, "b", "2020-01-01", false);
        assert_eq!(business.at("2026-12-01T16:00:00Z"), "permit", "a list without a maximum age");
    }

    #[test]
    fn a_consent_or_a_recent_relationship_lifts_it_to_the_day() {
        use RelationshipKind::{ExistingCustomer, Inquiry};
        for (kind, since, verdict) in [
            (ExistingCustomer, "2025-06-01", "permit"),
            (ExistingCustomer, "2025-05-31", "refuse List(\"a\")"),
            (Inquiry, "2026-09-01", "permit"),
            (Inquiry, "2026-08-31", "refuse List(\"a\")"),
        ] {
            let mut case = Case::rule(RULE).call(calls::new_york());
            let since = since.parse().unwrap();
            case.facts.call.relationship = Some(Relationship { kind, since });
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{kind:?} {since}");
        }
        let mut case = Case::rule(RULE).call(calls::new_york());
        case.facts.consents.push(consent());
        assert_eq!(case.at("2026-12-01T16:00:00Z"), "permit");
    }
}
