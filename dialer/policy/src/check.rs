//! `dialer policy check`: one JSON case in, one JSON verdict out (`VECTORS.md` section 1).

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use dialer_types::{
    E164, Language, LineType, Outcome, PartyRole, PartyType, Purpose, Technology, UnixMillis,
};
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::{
    Address, AddressBasis, Area, Call, Consent, ConsentForm, Evaluation, Evidenced, Facts, Feed,
    ListFact, Past, Relationship, RelationshipKind, Ruleset, Suppression, SuppressionScope,
    Verdict,
};

mod known;

/// Why a line could not be judged. Never repeats the line: it may hold somebody's number.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Not JSON, or not a case.
    #[error("not a case: {0}")]
    Json(String),
    /// An address in what is no country.
    #[error("call.address.country: not a country: two letters of ISO 3166-1, like US or GB")]
    Country,
    /// A moment that is not RFC 3339, or a date that is not `YYYY-MM-DD`.
    #[error("{0}: not a moment or date")]
    Time(&'static str),
    /// A list that tells of entries of another, one by one, has more of them.
    #[error("{0}: has more items than the list that it tells of")]
    TooMany(&'static str),
    /// Not a telephone number.
    #[error("{0}: not an E.164 number: {1}")]
    Number(&'static str, dialer_types::E164Error),
}

#[derive(Deserialize)]
struct Case {
    id: String,
    now: String,
    call: CaseCall,
    #[serde(default)]
    consents: Vec<CaseConsent>,
    #[serde(default)]
    suppressions: Vec<CaseSuppression>,
    #[serde(default)]
    lists: BTreeMap<String, CaseList>,
    #[serde(default)]
    history: Vec<CasePast>,
    #[serde(default)]
    feeds: Option<CaseFeeds>,
    /// What `VECTORS.md` has no member for.
    #[serde(default)]
    ringfence: known::Known,
}

#[derive(Deserialize)]
struct CaseCall {
    number: String,
    line_type: LineType,
    party_type: PartyType,
    #[serde(default)]
    address: Option<Address>,
    purpose: Purpose,
    technology: Technology,
    seller: String,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    relationship: Option<CaseRelationship>,
    #[serde(default)]
    party_role: Option<PartyRole>,
}

#[derive(Deserialize)]
struct CaseRelationship {
    kind: RelationshipKind,
    since: String,
}

#[derive(Deserialize)]
struct CaseConsent {
    form: ConsentForm,
    scope: CaseScope,
    given_at: String,
    #[serde(default)]
    revoked_at: Option<String>,
}

#[derive(Deserialize)]
struct CaseScope {
    seller: String,
    purpose: Purpose,
    #[serde(default)]
    technology: Option<Technology>,
}

#[derive(Deserialize)]
struct CaseSuppression {
    scope: SuppressionScope,
    added_at: String,
}

#[derive(Deserialize)]
struct CaseList {
    as_of: String,
    contains: bool,
}

#[derive(Deserialize)]
struct CasePast {
    at: String,
    number: String,
    #[serde(default)]
    account: Option<String>,
    seller: String,
    purpose: Purpose,
    technology: Technology,
    outcome: Outcome,
}

#[derive(Deserialize)]
struct CaseFeeds {
    #[serde(default)]
    emergency: Option<CaseFeed>,
}

#[derive(Deserialize)]
struct CaseFeed {
    as_of: String,
    #[serde(default)]
    areas: Vec<Area>,
}

fn moment(text: &str, what: &'static str) -> Result<UnixMillis, CheckError> {
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| CheckError::Time(what))?;
    Ok(UnixMillis(parsed.timestamp_millis()))
}

fn day(text: &str, what: &'static str) -> Result<NaiveDate, CheckError> {
    text.parse().map_err(|_| CheckError::Time(what))
}

fn number(text: &str, what: &'static str) -> Result<E164, CheckError> {
    text.parse().map_err(|error| CheckError::Number(what, error))
}

/// An instant as RFC 3339 in UTC, to the second.
pub(crate) fn instant_text(at: UnixMillis) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(at.0).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl CaseCall {
    fn call(&self) -> Result<Call, CheckError> {
        let since = |known: &CaseRelationship| {
            let since = day(&known.since, "call.relationship.since")?;
            Ok::<_, CheckError>(Relationship { kind: known.kind, since })
        };
        if self.address.as_ref().is_some_and(|address| !crate::places::is_country(&address.country))
        {
            return Err(CheckError::Country);
        }
        Ok(Call {
            number: number(&self.number, "call.number")?,
            line: self.line_type,
            party: self.party_type,
            address: self.address.clone(),
            address_basis: AddressBasis::Stated,
            purpose: self.purpose,
            technology: self.technology,
            has_account: self.account.is_some(),
            relationship: self.relationship.as_ref().map(since).transpose()?,
            role: self.party_role.unwrap_or(PartyRole::Principal),
            recorded: false,
        })
    }
}

impl Case {
    fn facts(&self) -> Result<Facts, CheckError> {
        let mut facts = Facts::of(self.call.call()?);
        for consent in &self.consents {
            let revoked = consent.revoked_at.as_deref();
            facts.consents.push(Consent {
                form: consent.form,
                same_seller: consent.scope.seller == self.call.seller,
                purpose: consent.scope.purpose,
                technology: consent.scope.technology,
                given_at: moment(&consent.given_at, "consents.given_at")?,
                revoked_at: revoked.map(|at| moment(at, "consents.revoked_at")).transpose()?,
                evidence: Evidenced::NONE,
                event: None,
            });
        }
        for entry in &self.suppressions {
            let added_at = moment(&entry.added_at, "suppressions.added_at")?;
            let scope = entry.scope;
            facts.suppressions.push(Suppression { scope, purpose: None, added_at, event: None });
        }
        for (list, fact) in &self.lists {
            let (list, as_of) = (Arc::from(list.as_str()), day(&fact.as_of, "lists.as_of")?);
            facts.lists.push(ListFact { list, as_of, contains: fact.contains });
        }
        for past in &self.history {
            facts.history.push(self.past(past, &facts.call)?);
        }
        if let Some(feed) = self.feeds.as_ref().and_then(|feeds| feeds.emergency.as_ref()) {
            let as_of = moment(&feed.as_of, "feeds.emergency.as_of")?;
            facts.emergency = Some(Feed { as_of, areas: feed.areas.clone() });
        }
        self.ringfence.fill(&mut facts)?;
        Ok(facts)
    }

    fn past(&self, past: &CasePast, call: &Call) -> Result<Past, CheckError> {
        Ok(Past {
            at: moment(&past.at, "history.at")?,
            same_number: number(&past.number, "history.number")? == call.number,
            same_account: past.account.is_some() && past.account == self.call.account,
            same_person: false,
            same_seller: past.seller == self.call.seller,
            // Attempts of a case name no campaign.
            same_campaign: true,
            purpose: past.purpose,
            technology: past.technology,
            outcome: past.outcome,
            inbound: false,
        })
    }
}

/// A case: what is asked, of which call, and when.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its `id`.
    pub id: String,
    /// What the verdict is made from.
    pub facts: Facts,
    /// The moment it is asked about.
    pub now: UnixMillis,
}

/// Reads one line.
///
/// # Errors
/// If the line is not a case.
pub fn read_case(line: &str) -> Result<Asked, CheckError> {
    // The line has one line only: what the parser says of lines would be of another one.
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let case: Case = serde_json::from_str(line).map_err(|error| {
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        CheckError::Json(format!("{said}, at character {}", error.column()))
    })?;
    let (facts, now) = (case.facts()?, moment(&case.now, "now")?);
    Ok(Asked { id: case.id, facts, now })
}

/// Judges one line by law and gives the verdict as one line of JSON.
///
/// # Errors
/// If the line is not a case.
pub fn judge_line(rules: &Ruleset, line: &str) -> Result<String, CheckError> {
    judge_line_in(rules, line, Language::English)
}

/// Judges one line by law, with the reasons in a language.
///
/// # Errors
/// If the line is not a case.
pub fn judge_line_in(
    rules: &Ruleset,
    line: &str,
    language: Language,
) -> Result<String, CheckError> {
    let Asked { id, facts, now } = read_case(line)?;
    let verdict = rules.evaluate(&facts, &Evaluation::LAW, now);
    let rules: Vec<&str> = verdict.denials().iter().map(|denial| denial.rule.as_str()).collect();
    let reasons: Vec<String> =
        verdict.denials().iter().map(|denial| crate::explain(denial, language)).collect();
    let until = match &verdict {
        Verdict::Defer(deferral) => Some(instant_text(deferral.until)),
        Verdict::Permit(_) | Verdict::Refuse(_) => None,
    };
    let obligations: Vec<serde_json::Value> = match &verdict {
        Verdict::Permit(permit) => permit.obligations().iter().map(|duty| {
            let requires: Vec<&str> = duty.requires.iter().map(crate::Ability::as_str).collect();
            serde_json::json!({ "rule": duty.rule.as_str(), "kind": duty.kind, "requires": requires })
        }).collect(),
        Verdict::Defer(_) | Verdict::Refuse(_) => Vec::new(),
    };
    let mut answer = serde_json::json!({
        "id": id,
        "verdict": verdict.word(),
        "rules": rules,
        "until": until,
        "obligations": obligations,
        "reasons": reasons,
    });
    let lifted = verdict.evidence().exceptions.iter();
    let lifted: Vec<serde_json::Value> = lifted
        .map(|named| serde_json::json!({ "rule": named.rule.as_str(), "relies_on": &*named.relies_on }))
        .collect();
    let ended = verdict.evidence().lifts.iter();
    let ended: Vec<serde_json::Value> = ended
        .map(|lift| serde_json::json!({ "suppression": lift.entry, "consent": lift.consent }))
        .collect();
    for (member, told) in [("exceptions", lifted), ("lifted", ended)] {
        if let Some(answer) = answer.as_object_mut().filter(|_| !told.is_empty()) {
            answer.insert(member.to_owned(), told.into());
        }
    }
    Ok(answer.to_string())
}
