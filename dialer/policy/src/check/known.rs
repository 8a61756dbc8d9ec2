//! The member `ringfence` of a case: wishes, look-ups, licences and counters, which `VECTORS.md` has
//! no member for. Left out, they are unknown.

use chrono::NaiveTime;
use serde::Deserialize;

use super::{CheckError, day, moment};
use crate::{
    Blocked, CallerCounter, Facts, Licence, LineCheck, LineClass, Reassigned, ReassignmentCheck,
    Wishes,
};
use dialer_types::LineType;

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
    /// Writes what is known into the facts of a call.
    pub(super) fn fill(&self, facts: &mut Facts) -> Result<(), CheckError> {
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
