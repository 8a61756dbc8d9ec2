//! `policy explain`: one number judged on the terminal, without a database.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Context as _, Result};
use chrono::NaiveDate;
use clap::Args;
use dialer_facts::{
    lists::{self, Folder},
    rules::Written,
};
use dialer_policy::{
    Address, Call, Consent, ConsentForm, Dossier, Evaluation, Evidenced, Facts, Options, Past,
    Relationship, RelationshipKind, Suppression, SuppressionScope,
};
use dialer_types::{
    E164, EventId, Language, LineType, Outcome, PartyRole, PartyType, Purpose, Technology,
    UnixMillis,
};

use super::audit::moment;
use crate::clock::Clock;

/// What is known of the call. What is not said is not known, and the answer says so.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// The number (E.164, for example +13055550123).
    pub number: E164,
    /// Country of the person's address, like US.
    #[arg(long)]
    pub country: Option<String>,
    /// State or province of the address, without the country: FL.
    #[arg(long, requires = "country")]
    pub region: Option<String>,
    /// Postal code of the address: evidence, which never narrows the zones.
    #[arg(long, requires = "country")]
    pub postal_code: Option<String>,
    /// Time zone of the person, like America/New_York.
    #[arg(long, requires = "country")]
    pub time_zone: Option<String>,
    /// Why the call is made.
    #[arg(long, default_value = "telemarketing")]
    pub purpose: Purpose,
    /// How the call is made.
    #[arg(long, default_value = "manual")]
    pub technology: Technology,
    /// The kind of line: wireless, landline, voip or unknown.
    #[arg(long, default_value = "unknown")]
    pub line: LineType,
    /// Who is called: consumer or business.
    #[arg(long, default_value = "consumer")]
    pub party: PartyType,
    /// Who will be spoken to: principal, spouse ...
    #[arg(long, default_value = "principal")]
    pub role: PartyRole,
    /// The call is about an account: a debt or a contract.
    #[arg(long)]
    pub account: bool,
    /// The call is recorded.
    #[arg(long)]
    pub recorded: bool,
    /// The person is a customer or inquired, since when: existing_customer=2026-10-01.
    #[arg(long, value_name = "KIND=DATE", value_parser = relationship)]
    pub relationship: Option<Relationship>,
    /// A consent to this seller and purpose, and since when: prior_express_written=2026-11-01T00:00:00Z;
    /// several times for several.
    #[arg(long, value_name = "FORM=INSTANT", value_parser = consent)]
    pub consent: Vec<(ConsentForm, UnixMillis)>,
    /// The consents are for this call's technology only, and say so.
    #[arg(long, requires = "consent")]
    pub consent_names_technology: bool,
    /// A do-not-call entry of the seller stands.
    #[arg(long)]
    pub suppressed: bool,
    /// An earlier call to the number, for the same seller and purpose, in the same way:
    /// 2026-11-30T15:00:00Z=no_answer; several times for several.
    #[arg(long, value_name = "INSTANT=OUTCOME", value_parser = past)]
    pub past: Vec<(UnixMillis, Outcome)>,
    /// The folder of national lists and feeds, as the dialer reads it.
    #[arg(long, value_name = "FOLDER")]
    pub lists: Option<PathBuf>,
    /// Judge at this moment, RFC 3339 [default: now].
    #[arg(long, value_name = "INSTANT", value_parser = moment)]
    pub at: Option<UnixMillis>,
    /// Folder of rule packs [default: those that ship with this build].
    #[arg(long, value_name = "DIR")]
    pub packs: Option<PathBuf>,
    /// The deployment's overrides of the house rules: the house is asked too. Without it the law
    /// alone is.
    #[arg(long, value_name = "FILE")]
    pub house: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Language of sentences: en or zh.
    #[arg(long, default_value = "en", value_parser = language)]
    pub language: Language,
}

fn pair<A, B>(
    text: &str,
    like: &str,
    one: impl Fn(&str) -> Option<A>,
    other: impl Fn(&str) -> Option<B>,
) -> Result<(A, B), String> {
    let parts = text.split_once('=').and_then(|(a, b)| one(a.trim()).zip(other(b.trim())));
    parts.ok_or_else(|| format!("not understood; write it as {like}"))
}

fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

/// A word of one of the policy's vocabularies.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(text)).ok()
}

fn relationship(text: &str) -> Result<Relationship, String> {
    let like = "existing_customer=2026-10-01 or inquiry=2026-10-01";
    pair(text, like, word::<RelationshipKind>, date)
        .map(|(kind, since)| Relationship { kind, since })
}

fn consent(text: &str) -> Result<(ConsentForm, UnixMillis), String> {
    let like = "prior_express=, prior_express_written= or opt_in=2026-11-01T00:00:00Z";
    pair(text, like, word::<ConsentForm>, |at| moment(at).ok())
}

fn past(text: &str) -> Result<(UnixMillis, Outcome), String> {
    let like = "2026-11-30T15:00:00Z=no_answer (busy, voicemail, conversation, refused ...)";
    pair(text, like, |at| moment(at).ok(), |outcome| Outcome::from_str(outcome).ok())
}

pub(super) fn language(text: &str) -> Result<Language, String> {
    match text {
        "en" => Ok(Language::English),
        "zh" => Ok(Language::Chinese),
        other => Err(format!("{other:?} is neither en nor zh")),
    }
}

impl Explain {
    /// What is known, as the evaluator takes it.
    fn facts(&self) -> Facts {
        let mut call = Call::manual(self.number, self.purpose);
        call.technology = self.technology;
        call.line = self.line;
        call.party = self.party;
        call.role = self.role;
        call.has_account = self.account;
        call.recorded = self.recorded;
        call.relationship = self.relationship;
        call.address = self.country.clone().map(|country| Address {
            country,
            region: self.region.clone(),
            postal_code: self.postal_code.clone(),
            time_zone: self.time_zone.clone(),
        });
        let technology = Some(self.technology).filter(|_| self.consent_names_technology);
        let mut facts = Facts::of(call);
        facts.consents.extend(self.consent.iter().map(|(form, given_at)| Consent {
            form: *form,
            same_seller: true,
            purpose: self.purpose,
            technology,
            given_at: *given_at,
            revoked_at: None,
            evidence: Evidenced::NONE,
            event: None,
        }));
        if self.suppressed {
            let (scope, added_at) = (SuppressionScope::Seller, UnixMillis(0));
            let event = Some(EventId(1));
            facts.suppressions.push(Suppression { scope, purpose: None, added_at, event });
        }
        facts.history.extend(self.past.iter().map(|(at, outcome)| Past {
            at: *at,
            same_number: true,
            same_account: self.account,
            same_person: true,
            same_seller: true,
            same_campaign: true,
            purpose: self.purpose,
            technology: self.technology,
            outcome: *outcome,
            inbound: false,
        }));
        if let Some(folder) = &self.lists {
            let held = Folder::open(folder).lists().load_full();
            facts.lists = lists::facts(&held, self.number);
            facts.emergency.clone_from(&held.emergency);
        }
        facts
    }
}

/// `policy explain`: the page, or the JSON.
///
/// # Errors
/// If the packs cannot be read or have faults, or the folder of lists is none.
pub fn policy_explain(asked: &Explain) -> Result<String> {
    if let Some(folder) = asked.lists.as_ref().filter(|folder| !folder.is_dir()) {
        anyhow::bail!("--lists: {} is no folder", folder.display());
    }
    let written = Written::read(asked.packs.as_deref(), asked.house.as_deref())?;
    let rules = written.ruleset(Options { house: asked.house.is_some() })?;
    let (cards, facts) = (written.cards(), asked.facts());
    let now = asked.at.unwrap_or_else(|| Clock::default().now().wall);
    let dossier = Dossier::new(&rules, &cards, &facts, &Evaluation::LAW, now);
    if asked.json {
        let json = dossier.json(asked.language);
        return Ok(serde_json::to_string_pretty(&json).context("JSON")? + "\n");
    }
    Ok(dossier.text(asked.language))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        asked: Explain,
    }

    fn told(words: &[&str]) -> Result<String, String> {
        let line = ["explain", "+13055550123", "--at", "2026-12-01T16:30:00Z"];
        let asked = Line::try_parse_from(line.iter().chain(words)).map_err(|it| it.to_string())?;
        policy_explain(&asked.asked).map_err(|error| format!("{error:#}"))
    }

    fn verdict(words: &[&str]) -> (String, String) {
        let json = told(&[words, &["--json"]].concat()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        (json["verdict"].as_str().unwrap().to_owned(), json["denials"].to_string())
    }

    #[test]
    fn what_is_said_on_the_command_line_is_judged() {
        let written = "prior_express_written=2026-11-01T00:00:00Z";
        for (words, expected, rule) in [
            (&[][..], "refuse", "us.fcc.ndnc_scrub"),
            (&["--consent", written], "permit", ""),
            (&["--consent", written, "--suppressed"], "refuse", "us.fcc.internal_dnc"),
            (&["--party", "business"], "permit", ""),
            (&["--relationship", "existing_customer=2026-10-01"], "permit", ""),
            (&["--purpose", "debt_collection"], "permit", ""),
            (
                &[
                    "--consent",
                    written,
                    "--past",
                    "2026-12-01T13:00:00Z=no_answer",
                    "--past",
                    "2026-12-01T14:00:00Z=no_answer",
                    "--past",
                    "2026-12-01T15:00:00Z=busy",
                ],
                "defer",
                "us.fl.cap",
            ),
            (&["--consent", written, "--country", "US", "--region", "CA"], "permit", ""),
            (&["--consent", written, "--country", "US", "--region", "HI"], "defer", "us.fcc.hours"),
        ] {
            let (found, denials) = verdict(words);
            assert_eq!(found, expected, "{words:?} {denials}");
            assert!(denials.contains(rule), "{words:?} {denials}");
        }
    }

    #[test]
    fn the_house_is_asked_where_a_file_of_it_is_given_and_lists_where_a_folder_is() {
        let folder = std::env::temp_dir().join(format!("rf-explain-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let house = folder.join("house.toml");
        std::fs::write(&house, "[[override]]\nrule = \"house.min_gap\"\nhours = 4\n").unwrap();
        let lists = folder.join("lists");
        std::fs::create_dir_all(&lists).unwrap();
        let text = "# demo list\n# id: us.national_dnc\n# as_of: 2026-11-30\n+13055550124\n";
        std::fs::write(lists.join("dnc.txt"), text).unwrap();
        let lists = ["--lists", lists.to_str().unwrap()];
        assert_eq!(verdict(&lists).0, "permit");
        let past = ["--past", "2026-12-01T13:00:00Z=no_answer"];
        assert_eq!(verdict(&[&lists[..], &past].concat()).0, "permit");
        let house = ["--house", house.to_str().unwrap()];
        let (found, denials) = verdict(&[&lists[..], &past, &house].concat());
        assert!(found == "defer" && denials.contains("house.min_gap"), "{found} {denials}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_not_understood_is_refused_with_how_to_write_it() {
        for (words, said) in [
            (&["--purpose", "selling"][..], "selling"),
            (&["--consent", "written=2026-11-01T00:00:00Z"], "prior_express_written="),
            (&["--past", "yesterday=busy"], "=no_answer"),
            (&["--relationship", "friend=2026-11-01"], "existing_customer="),
            (&["--region", "FL"], "--country"),
            (&["--language", "fr"], "neither en nor zh"),
            (&["--packs", "/nowhere"], "/nowhere"),
            (&["--lists", "/nowhere"], "/nowhere"),
        ] {
            let error = told(words).unwrap_err();
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }
}
