//! Cases for the tables of the kinds: one rule, one call, one verdict as text.
#![allow(clippy::unwrap_used, reason = "test support")]

use std::time::Duration;

use dialer_types::{Outcome, Purpose, Technology, UnixMillis};

use crate::{
    Abilities, Call, Consent, ConsentForm, Evaluation, Evidenced, Facts, Options, PackSource, Past,
    Ruleset, Verdict,
};

pub(crate) mod calls {
    use super::*;

    fn to(number: &str) -> Call {
        Call::manual(number.parse().unwrap(), Purpose::Telemarketing)
    }

    pub(crate) fn new_york() -> Call {
        to("+12125550123")
    }

    /// New York and Chicago.
    pub(crate) fn florida_850() -> Call {
        to("+18505550134")
    }

    pub(crate) fn toll_free() -> Call {
        to("+18005550123")
    }
}

pub(crate) fn instant(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

/// A placement to the same number for the same seller and purpose that rang.
pub(crate) fn past(at: &str) -> Past {
    Past {
        at: UnixMillis(instant(at)),
        same_number: true,
        same_account: false,
        same_person: false,
        same_seller: true,
        same_campaign: true,
        purpose: Purpose::Telemarketing,
        technology: Technology::Manual,
        outcome: Outcome::NoAnswer,
        inbound: false,
    }
}

/// A written consent to this seller and purpose of a month before the cases.
pub(crate) fn consent() -> Consent {
    Consent {
        form: ConsentForm::PriorExpressWritten,
        same_seller: true,
        purpose: Purpose::Telemarketing,
        technology: None,
        given_at: UnixMillis(instant("2026-11-01T00:00:00Z")),
        revoked_at: None,
        evidence: Evidenced::NONE,
        event: None,
    }
}

/// One rule and one call.
pub(crate) struct Case {
    rules: Ruleset,
    pub(crate) facts: Facts,
    pub(crate) guard: Duration,
    pub(crate) abilities: Abilities,
}

const CALENDAR: &str = "[[calendar]]\nid = \"TEST\"\nsource = \"none\"\n\"2026\" = [\"12-25\"]\n";

/// A pack of one rule with the fields a case does not care about.
pub(crate) fn pack(fields: &str) -> String {
    let mut head =
        String::from("id = \"test.rule\"\ntitle = \"T\"\ncitation = \"C\"\nforce = \"law\"\n");
    if !fields.contains("jurisdiction") {
        head += "jurisdiction = \"US\"\n";
    }
    if !fields.contains("purposes") {
        head += "purposes = [\"any\"]\n";
    }
    let fields: Vec<&str> = fields.lines().map(str::trim).collect();
    format!(
        "[pack]\nid = \"test\"\ntitle = \"Test\"\nas_of = \"2026-11-23\"\ncovers = [\"US\"]\n{CALENDAR}[[rule]]\n{head}{}\n",
        fields.join("\n")
    )
}

impl Case {
    pub(crate) fn rule(fields: &str) -> Self {
        let text = pack(fields);
        let source = PackSource { name: "test.toml", text: &text };
        let rules = Ruleset::load(&[source], Options::default()).unwrap();
        Self {
            rules,
            facts: Facts::of(calls::new_york()),
            guard: Duration::ZERO,
            abilities: Abilities::ALL,
        }
    }

    pub(crate) fn call(mut self, call: Call) -> Self {
        self.facts.call = call;
        self
    }

    pub(crate) fn past(mut self, past: Past) -> Self {
        self.facts.history.push(past);
        self
    }

    pub(crate) fn verdict(&self, now: i64) -> Verdict {
        let terms = Evaluation { guard: self.guard, abilities: self.abilities, narrowing: false };
        self.rules.evaluate(&self.facts, &terms, UnixMillis(now))
    }

    pub(crate) fn rules(&self, now: i64) -> Vec<String> {
        self.verdict(now).denials().iter().map(|denial| denial.rule.to_string()).collect()
    }

    /// `permit`, `defer <until>` or `refuse <what it waits for>`.
    pub(crate) fn at(&self, now: &str) -> String {
        match self.verdict(instant(now)) {
            Verdict::Permit(_) => "permit".to_owned(),
            Verdict::Defer(deferral) => {
                format!("defer {}", crate::check::instant_text(deferral.until))
            }
            Verdict::Refuse(refusal) => format!("refuse {:?}", refusal.waits_for.first().unwrap()),
        }
    }
}
