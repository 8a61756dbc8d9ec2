//! A dossier for programs.

use dialer_types::{Language, RuleId};
use serde_json::{Map, Value, json};

use super::{Dossier, parts::told_verdict, parts::unknown};
use crate::{
    Ability, Wait, check::instant_text, explain, in_language, local_time, obligation_sentence,
};

impl Dossier<'_> {
    /// As JSON; sentences in a language, words and ids always in English.
    #[must_use]
    pub fn json(&self, language: Language) -> Value {
        let verdict = &self.verdict;
        let evidence = verdict.evidence();
        let unknown: Vec<String> =
            unknown(self.facts, verdict).iter().map(|it| in_language(it, language)).collect();
        let local = |zone| local_time(zone, self.now, language);
        let zones: Vec<Value> = evidence
            .zones
            .iter()
            .map(|zone| json!({ "zone": zone.name(), "local": local(*zone) }))
            .collect();
        let denies = |rule: &RuleId| verdict.denials().iter().any(|denial| denial.rule == *rule);
        let asked: Vec<Value> = evidence
            .rules
            .iter()
            .map(|rule| self.row(rule.as_str(), language, json!({ "denies": denies(rule) })))
            .collect();
        json!({
            "number": self.facts.call.number.to_string(),
            "at": instant_text(self.now),
            "verdict": verdict.word(),
            "until": self.until().map(instant_text),
            "stands_until": self.stands().map(instant_text),
            "sentence": in_language(&told_verdict(verdict), language),
            "places": evidence.jurisdictions.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "zones": zones,
            "unknown": unknown,
            "denials": self.told_denials(language),
            "exceptions": evidence.exceptions.iter().map(|named| json!({
                "rule": named.rule.as_str(), "relies_on": &*named.relies_on,
                "reason": &*named.reason, "by": &*named.by, "second_person": &*named.second_person,
            })).collect::<Vec<_>>(),
            "lifted": evidence.lifts.iter().map(|lift| json!({
                "suppression": lift.entry, "consent": lift.consent,
            })).collect::<Vec<_>>(),
            "would_change": self.supposed.iter().map(|it| it.json(language)).collect::<Vec<_>>(),
            "obligations": self.told_duties(language),
            "asked": asked,
            "rules_version": self.rules.version().to_string(),
        })
    }

    /// A rule with its names and marks, and more.
    fn row(&self, rule: &str, language: Language, more: Value) -> Value {
        let (title, citation) = self.rules.names_of(rule, language).unwrap_or_default();
        let text = |field| self.card(rule).and_then(|card| card.text(field));
        let mut row: Map<String, Value> = [
            ("rule", Some(rule)),
            ("title", Some(title)),
            ("citation", Some(citation)),
            ("verified", text("verified")),
            ("confidence", text("confidence")),
            ("force", text("force")),
            ("source", text("source")),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
        if let Value::Object(more) = more {
            row.extend(more);
        }
        Value::Object(row)
    }

    fn told_denials(&self, language: Language) -> Vec<Value> {
        let told = self.verdict.denials().iter().map(|denial| {
            let more = json!({
                "inputs": in_language(&denial.inputs, language),
                "sentence": explain(denial, language),
                "first_lawful_at": denial.first_lawful.map(instant_text),
                "waits_for": denial.waits_for.as_ref().map(Wait::word),
            });
            self.row(denial.rule.as_str(), language, more)
        });
        told.collect()
    }

    fn told_duties(&self, language: Language) -> Vec<Value> {
        let told = self.duties().iter().map(|duty| {
            let words: Vec<&str> = duty.requires.iter().map(Ability::as_str).collect();
            let sentence = obligation_sentence(duty, language);
            let more = json!({ "kind": duty.kind, "requires": words, "sentence": sentence });
            self.row(duty.rule.as_str(), language, more)
        });
        told.collect()
    }
}
