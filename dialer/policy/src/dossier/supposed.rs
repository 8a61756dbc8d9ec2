//! What one more known fact would make of a verdict: judged, not guessed.

use std::sync::Arc;

use dialer_types::{
    EventId, Language, LineType, PartyType, RuleId, Say, Technology, UnixMillis, say,
};
use serde_json::{Value, json};

use crate::{
    Consent, ConsentForm, Evaluation, Evidenced, Facts, Feed, Lift, ListFact, Piece, Relationship,
    RelationshipKind, Ruleset, Verdict, check::instant_text, in_language, zone::utc_date,
};

/// A fact that is supposed, and the verdict with it.
#[derive(Debug)]
pub(super) struct Supposed {
    what: Say,
    pub(super) verdict: Verdict,
    /// Rules that deny without it and not with it.
    gone: Vec<RuleId>,
    /// Rules that deny with it only.
    came: Vec<RuleId>,
}

impl Supposed {
    pub(super) fn said(&self) -> Say {
        let verdict = match &self.verdict {
            Verdict::Defer(deferral) => {
                say!("defer until {until}", until = instant_text(deferral.until))
            }
            other => Say::of(other.word()),
        };
        let mut said =
            Say::of("{what}: {verdict}").with("what", self.what.clone()).with("verdict", verdict);
        if !self.gone.is_empty() {
            said = say!("{said}; no longer denies: {rules}", rules = names(&self.gone).join(", "))
                .with("said", said);
        }
        if !self.came.is_empty() {
            said = say!("{said}; denies besides: {rules}", rules = names(&self.came).join(", "))
                .with("said", said);
        }
        said
    }

    pub(super) fn json(&self, language: Language) -> Value {
        let until = match &self.verdict {
            Verdict::Defer(deferral) => Some(instant_text(deferral.until)),
            Verdict::Permit(_) | Verdict::Refuse(_) => None,
        };
        json!({ "if": in_language(&self.what, language), "verdict": self.verdict.word(),
            "until": until, "no_longer_denies": names(&self.gone), "denies_besides": names(&self.came) })
    }
}

fn names(rules: &[RuleId]) -> Vec<&str> {
    rules.iter().map(RuleId::as_str).collect()
}

/// Every single fact that changes the verdict, and last all that are missing together.
pub(super) fn supposed(
    rules: &Ruleset,
    facts: &Facts,
    terms: &Evaluation,
    now: UnixMillis,
    verdict: &Verdict,
) -> Vec<Supposed> {
    let judged = |(what, facts): (Say, Facts)| {
        let with = rules.evaluate(&facts, terms, now);
        let of = |verdict: &Verdict| -> Vec<RuleId> {
            verdict.denials().iter().map(|denial| denial.rule.clone()).collect()
        };
        let (before, after) = (of(verdict), of(&with));
        let only = |one: &[RuleId], other: &[RuleId]| -> Vec<RuleId> {
            one.iter().filter(|rule| !other.contains(rule)).cloned().collect()
        };
        let (gone, came) = (only(&before, &after), only(&after, &before));
        let same = gone.is_empty() && came.is_empty() && with.word() == verdict.word();
        (!same).then_some(Supposed { what, verdict: with, gone, came })
    };
    let single = alternatives(facts, now).into_iter().chain(supplied(facts, now, verdict));
    let mut found: Vec<Supposed> = single.filter_map(judged).collect();
    let missing = supplied(facts, now, verdict);
    let mut all = facts.clone();
    for (_, with) in &missing {
        add(&mut all, with);
    }
    if missing.len() > 1 {
        found.extend(judged((say!("all that is missing together"), all)));
    }
    found
}

/// Takes over what the other facts have more.
fn add(all: &mut Facts, with: &Facts) {
    let new = with.consents.iter().filter(|it| !all.consents.contains(it)).copied();
    let new: Vec<Consent> = new.collect();
    all.consents.extend(new);
    let new: Vec<Lift> = with.lifts.iter().filter(|it| !all.lifts.contains(it)).copied().collect();
    all.lifts.extend(new);
    for list in &with.lists {
        all.lists.retain(|held| held.list != list.list || held.as_of >= list.as_of);
        if !all.lists.iter().any(|held| held.list == list.list) {
            all.lists.push(list.clone());
        }
    }
    if with.emergency.as_ref().map(|it| it.as_of) > all.emergency.as_ref().map(|it| it.as_of) {
        all.emergency.clone_from(&with.emergency);
    }
}

/// The call as another call: another line, party or technology, a customer.
fn alternatives(facts: &Facts, now: UnixMillis) -> Vec<(Say, Facts)> {
    let mut found = Vec::new();
    let mut suppose = |what: Say, change: &dyn Fn(&mut Facts)| {
        let mut changed = facts.clone();
        change(&mut changed);
        found.push((what, changed));
    };
    if facts.call.line == LineType::Unknown {
        for line in [LineType::Wireless, LineType::Landline] {
            let said = say!("if the line is {line}").with("line", Say::of(line.as_str()));
            suppose(said, &|facts| facts.call.line = line);
        }
    }
    if facts.call.party == PartyType::Consumer {
        let business = |facts: &mut Facts| facts.call.party = PartyType::Business;
        suppose(say!("if it is a business that is called"), &business);
    }
    if facts.call.technology != Technology::Manual {
        let manual = |facts: &mut Facts| facts.call.technology = Technology::Manual;
        suppose(say!("if a person dials it"), &manual);
    }
    if facts.call.relationship.is_none() {
        let since = utc_date(now.0);
        let customer = Relationship { kind: RelationshipKind::ExistingCustomer, since };
        let known = |facts: &mut Facts| facts.call.relationship = Some(customer);
        suppose(say!("if it is a customer since today"), &known);
    }
    found
}

/// A written consent for just this, given after the do-not-call entries and naming each of them.
fn lifted(facts: &Facts, now: UnixMillis) -> Option<(Say, Facts)> {
    let entries: Vec<EventId> = facts.suppressions.iter().filter_map(|entry| entry.event).collect();
    if entries.is_empty() {
        return None;
    }
    let mut changed = facts.clone();
    let event = EventId(u128::MAX);
    changed.consents.push(Consent {
        form: ConsentForm::PriorExpressWritten,
        same_seller: true,
        purpose: facts.call.purpose,
        technology: Some(facts.call.technology),
        given_at: now,
        revoked_at: None,
        evidence: Piece::ALL.into_iter().fold(Evidenced::NONE, Evidenced::with),
        event: Some(event),
    });
    changed.lifts.extend(entries.into_iter().map(|entry| Lift { entry, consent: event }));
    let what = say!("with a written consent given now, on file, that lifts the do-not-call entry");
    Some((what, changed))
}

/// What somebody could supply: consents, fresh lists without the number, a feed without emergency.
fn supplied(facts: &Facts, now: UnixMillis, verdict: &Verdict) -> Vec<(Say, Facts)> {
    let mut found = Vec::new();
    for (form, what) in [
        (ConsentForm::PriorExpress, say!("with a prior express consent given now")),
        (ConsentForm::PriorExpressWritten, say!("with a prior express written consent given now")),
    ] {
        let consent = Consent {
            form,
            same_seller: true,
            purpose: facts.call.purpose,
            technology: Some(facts.call.technology),
            given_at: now,
            revoked_at: None,
            evidence: Piece::ALL.into_iter().fold(Evidenced::NONE, Evidenced::with),
            event: None,
        };
        let mut changed = facts.clone();
        changed.consents.push(consent);
        found.push((what, changed));
    }
    found.extend(lifted(facts, now));
    let as_of = utc_date(now.0);
    for needed in &verdict.evidence().lists {
        let held = facts.lists.iter().find(|held| held.list == needed.list);
        // That the number leaves a list is nothing anybody could supply.
        if held.is_some_and(|held| held.contains) {
            continue;
        }
        let mut changed = facts.clone();
        changed.lists.retain(|held| held.list != needed.list);
        changed.lists.push(ListFact { list: Arc::clone(&needed.list), as_of, contains: false });
        let list = &needed.list;
        found.push((say!("with a fresh copy of {list} without the number", list), changed));
    }
    let mut changed = facts.clone();
    let areas = facts.emergency.as_ref().map(|feed| feed.areas.clone()).unwrap_or_default();
    changed.emergency = Some(Feed { as_of: now, areas });
    found.push((say!("with a fresh emergency feed"), changed));
    found
}
