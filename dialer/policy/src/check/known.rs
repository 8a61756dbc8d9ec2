//! The member `ringfence` of a case: wishes, look-ups, licences and counters, the purposes of
//! do-not-call entries and the consents that lift them, which `VECTORS.md` has no member for. Left
//! out, they are unknown, and an entry is about every purpose and lifted by nothing.

use chrono::NaiveTime;
use serde::Deserialize;

use super::{CheckError, day, moment};
use crate::{
    Blocked, CallerCounter, Evidenced, Facts, Licence, Lift, LineCheck, LineClass, Piece,
    Reassigned, ReassignmentCheck, Wishes,
};
use dialer_types::{EventId, LineType, Purpose};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    wishes: Option<Vec<CaseBlocked>>,
    #[serde(default)]
    reassignment: Vec<CaseCheck>,
    line_check: Option<CaseLine>,
    #[serde(default)]
    licences: Vec<CaseLicence>,
    #[serde(default)]
    counters: Vec<CaseCounter>,
    /// What the entries of `suppressions` are besides, in their order.
    #[serde(default)]
    suppressions: Vec<CaseEntry>,
    /// What the entries of `consents` are besides, in their order.
    #[serde(default)]
    consents: Vec<CaseProof>,
}

/// A do-not-call entry about one purpose, or under the name by which a consent may lift it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseEntry {
    purpose: Option<Purpose>,
    event: Option<EventId>,
}

/// What is on file of a consent, and the do-not-call entries that it is to lift.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseProof {
    #[serde(default)]
    evidence: Vec<Piece>,
    event: Option<EventId>,
    #[serde(default)]
    lifts: Vec<EventId>,
}

/// `{"days": [..], "from": "09:00", "to": "17:00"}`, `{"first": .., "last": ..}` or
/// `{"always": true}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum CaseBlocked {
    Weekly { days: Vec<String>, from: String, to: String },
    Dates { first: String, last: String },
    Always { always: bool },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseCheck {
    database: String,
    as_of: String,
    answer: Reassigned,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseLine {
    as_of: String,
    line: LineType,
    class: LineClass,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseLicence {
    id: String,
    from: Option<String>,
    until: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseCounter {
    counter: String,
    count: u32,
    as_of: String,
    resets_at: String,
}

/// Seconds since midnight of `HH:MM`, up to `24:00`.
fn clock(text: &str) -> Result<u32, CheckError> {
    use chrono::Timelike;
    if text == "24:00" {
        return Ok(86_400);
    }
    let time = NaiveTime::parse_from_str(text, "%H:%M");
    let time = time.map_err(|_| CheckError::Time("ringfence.wishes"))?;
    Ok(time.num_seconds_from_midnight())
}

impl CaseBlocked {
    fn blocked(&self) -> Result<Option<Blocked>, CheckError> {
        Ok(match self {
            Self::Weekly { days, from, to } => {
                let mut mask = 0;
                for day in days {
                    let day: chrono::Weekday =
                        day.parse().map_err(|_| CheckError::Time("ringfence.wishes.days"))?;
                    mask |= 1 << day.num_days_from_monday();
                }
                let (from, to) = (clock(from)?, clock(to)?);
                // A night is two entries; one that ends before it begins would block nothing.
                if from >= to {
                    return Err(CheckError::Time("ringfence.wishes.to"));
                }
                Some(Blocked::Weekly { days: mask, from, to })
            }
            Self::Dates { first, last } => Some(Blocked::Dates {
                first: day(first, "ringfence.wishes.first")?,
                last: day(last, "ringfence.wishes.last")?,
            }),
            Self::Always { always } => always.then_some(Blocked::Always),
        })
    }
}

impl Known {
    fn fill_opt_outs(&self, facts: &mut Facts) -> Result<(), CheckError> {
        if self.suppressions.len() > facts.suppressions.len() {
            return Err(CheckError::TooMany("ringfence.suppressions"));
        }
        if self.consents.len() > facts.consents.len() {
            return Err(CheckError::TooMany("ringfence.consents"));
        }
        for (entry, known) in facts.suppressions.iter_mut().zip(&self.suppressions) {
            (entry.purpose, entry.event) = (known.purpose, known.event);
        }
        for (consent, known) in facts.consents.iter_mut().zip(&self.consents) {
            consent.evidence =
                known.evidence.iter().fold(Evidenced::NONE, |all, piece| all.with(*piece));
            consent.event = known.event;
            let lifts = known.lifts.iter().zip(std::iter::repeat(known.event));
            let lifts =
                lifts.filter_map(|(entry, event)| Some(Lift { entry: *entry, consent: event? }));
            facts.lifts.extend(lifts);
        }
        Ok(())
    }

    /// Writes what is known into the facts of a call.
    pub(super) fn fill(&self, facts: &mut Facts) -> Result<(), CheckError> {
        self.fill_opt_outs(facts)?;
        if let Some(wishes) = &self.wishes {
            let mut blocked = Vec::new();
            for wish in wishes {
                blocked.extend(wish.blocked()?);
            }
            facts.wishes = Some(Wishes { blocked });
        }
        for check in &self.reassignment {
            let as_of = day(&check.as_of, "ringfence.reassignment.as_of")?;
            let database = check.database.as_str().into();
            facts.reassignment.push(ReassignmentCheck { database, as_of, answer: check.answer });
        }
        if let Some(check) = &self.line_check {
            let as_of = day(&check.as_of, "ringfence.line_check.as_of")?;
            facts.line_check = Some(LineCheck { as_of, line: check.line, class: check.class });
        }
        for licence in &self.licences {
            let date = |text: &Option<String>, what| {
                text.as_deref().map(|text| day(text, what)).transpose()
            };
            facts.licences.push(Licence {
                id: licence.id.as_str().into(),
                from: date(&licence.from, "ringfence.licences.from")?,
                until: date(&licence.until, "ringfence.licences.until")?,
            });
        }
        for counter in &self.counters {
            facts.counters.push(CallerCounter {
                counter: counter.counter.as_str().into(),
                count: counter.count,
                as_of: moment(&counter.as_of, "ringfence.counters.as_of")?,
                resets_at: moment(&counter.resets_at, "ringfence.counters.resets_at")?,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use serde_json::{Value, json};

    use crate::{Options, Ruleset, check::judge_line};

    fn judged(known: &Value) -> Result<Value, String> {
        let case = json!({
            "id": "a", "now": "2026-12-01T16:00:00Z",
            "call": {
                "number": "+12125550123", "line_type": "landline", "party_type": "consumer",
                "purpose": "debt_collection", "technology": "manual", "seller": "s",
            },
            "ringfence": known,
            "feeds": { "emergency": { "as_of": "2026-12-01T15:00:00Z", "areas": [] } },
        });
        let law = Ruleset::shipped(Options { house: false }).unwrap();
        let answer = judge_line(&law, &case.to_string()).map_err(|error| error.to_string())?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    #[test]
    fn a_case_may_say_what_vectors_have_no_member_for() {
        let until = |known: Value| {
            let answer = judged(&known).unwrap();
            (answer["verdict"].clone(), answer["rules"].clone(), answer["until"].clone())
        };
        let permit = (json!("permit"), json!([]), Value::Null);
        assert_eq!(until(json!({})), permit);
        assert_eq!(until(json!({ "wishes": [] })), permit);
        let rule = json!(["us.regf.preferences"]);
        assert_eq!(
            until(json!({ "wishes": [{ "days": ["tue"], "from": "09:00", "to": "12:00" }] })),
            (json!("defer"), rule.clone(), json!("2026-12-01T17:00:00Z"))
        );
        assert_eq!(
            until(json!({ "wishes": [{ "first": "2026-12-01", "last": "2026-12-01" }] })),
            (json!("defer"), rule.clone(), json!("2026-12-02T13:00:00Z"))
        );
        let always = until(json!({ "wishes": [{ "always": true }] }));
        assert_eq!(always, (json!("refuse"), rule, Value::Null));
    }

    fn opted_out(known: &Value) -> Result<(Value, Value, Value), String> {
        let case = json!({
            "id": "a", "now": "2026-12-01T16:00:00Z",
            "call": {
                "number": "+12125550123", "line_type": "landline", "party_type": "consumer",
                "purpose": "delivery", "technology": "manual", "seller": "s",
            },
            "suppressions": [{ "scope": "seller", "added_at": "2026-11-01T00:00:00Z", "reason": "" }],
            "consents": [{ "form": "opt_in", "scope": { "seller": "s", "purpose": "delivery" },
                "given_at": "2026-11-02T00:00:00Z" }],
            "ringfence": known,
            "feeds": { "emergency": { "as_of": "2026-12-01T15:00:00Z", "areas": [] } },
        });
        let law = Ruleset::shipped(Options { house: false }).unwrap();
        let answer = judge_line(&law, &case.to_string()).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        Ok((answer["verdict"].clone(), answer["rules"].clone(), answer["lifted"].clone()))
    }

    #[test]
    fn a_case_may_say_what_an_entry_is_about_and_what_lifts_it() {
        let (entry, consent) = ("00000000000000000000000007", "00000000000000000000000009");
        let refused = (json!("refuse"), json!(["house.suppression"]), Value::Null);
        let permit = (json!("permit"), json!([]), Value::Null);
        let about = |purpose: &str| json!({ "suppressions": [{ "purpose": purpose }] });
        assert_eq!(opted_out(&json!({})).unwrap(), refused);
        assert_eq!(opted_out(&about("delivery")).unwrap(), refused);
        assert_eq!(opted_out(&about("telemarketing")).unwrap(), permit);
        let lifted = |evidence: Value| {
            json!({ "suppressions": [{ "event": entry }],
                "consents": [{ "event": consent, "lifts": [entry], "evidence": evidence }] })
        };
        assert_eq!(opted_out(&lifted(json!(["source"]))).unwrap(), refused);
        let said = json!([{ "suppression": entry, "consent": consent }]);
        assert_eq!(
            opted_out(&lifted(json!(["source", "wording"]))).unwrap(),
            (json!("permit"), json!([]), said)
        );
        let told = opted_out(&json!({ "consents": [{}, {}] })).unwrap_err();
        assert!(told.starts_with("ringfence.consents: has more items"), "{told}");
    }

    #[test]
    fn a_slip_in_it_is_named() {
        let slips = [
            (json!({ "wish": [] }), "unknown field `wish`"),
            (json!({ "licences": [{ "id": "x", "until": "soon" }] }), "ringfence.licences.until"),
            (
                json!({ "wishes": [{ "days": ["mon"], "from": "22:00", "to": "08:00" }] }),
                "ringfence.wishes.to",
            ),
            (json!({ "wishes": [{ "first": "x", "last": "y" }] }), "ringfence.wishes.first"),
        ];
        for (known, fault) in slips {
            let told = judged(&known).unwrap_err();
            assert!(told.contains(fault), "{told}");
        }
    }
}
