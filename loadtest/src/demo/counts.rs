//! What the API says of the campaigns, added up.

use anyhow::Context as _;
use chrono::DateTime;
use serde_json::Value;

pub(crate) use crate::report::Tally;
use crate::stack::Api;

/// How the campaigns stand, together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// People in the lists.
    pub contacts: u64,
    /// Not started yet.
    pub waiting: u64,
    /// Due, now or later.
    pub due: u64,
    /// Under way.
    pub leased: u64,
    /// Waiting for something to change, by cause.
    pub parked: Tally,
    /// Done with, by reason.
    pub finished: Tally,
    /// Attempts made.
    pub attempts: u64,
    /// Answered.
    pub answered: u64,
    /// How placements ended.
    pub dispositions: Tally,
    /// Refusals by rule.
    pub refused: Tally,
    /// Contacts that wait for a time, by rule.
    pub deferred: Tally,
    /// The first moment at which anything is due, ms since 1970 UTC.
    pub next_due_at: Option<i64>,
    /// Campaigns that cannot go on, and why.
    pub stalled: Vec<String>,
}

impl Counts {
    /// Asks the API about these campaigns and adds up.
    ///
    /// # Errors
    /// When the API does not answer or says something else than agreed.
    pub(crate) fn read(api: &Api, campaigns: &[String]) -> anyhow::Result<Self> {
        let mut total = Self::default();
        for id in campaigns {
            total.add(&api.get(&format!("/v1/campaigns/{id}"))?).context("GET /v1/campaigns")?;
        }
        Ok(total)
    }

    fn add(&mut self, campaign: &Value) -> anyhow::Result<()> {
        let counts = campaign.get("counts").context("no `counts`")?;
        self.contacts += number(counts, "contacts")?;
        self.waiting += number(counts, "waiting")?;
        self.due += number(counts, "due")?;
        self.leased += number(counts, "leased")?;
        self.attempts += number(counts, "attempts")?;
        self.answered += number(counts, "answered")?;
        tally(&mut self.parked, counts, "parked")?;
        tally(&mut self.finished, counts, "finished")?;
        tally(&mut self.dispositions, counts, "dispositions")?;
        tally(&mut self.refused, counts, "refused")?;
        tally(&mut self.deferred, counts, "deferred")?;
        let next = moment(counts.get("next_due_at").unwrap_or(&Value::Null))?;
        self.next_due_at = self.next_due_at.into_iter().chain(next).min();
        if let Some(stalled) = campaign.pointer("/stalled/sentence").and_then(Value::as_str) {
            self.stalled.push(stalled.to_owned());
        }
        Ok(())
    }

    /// Whether nothing is under way and nothing becomes due until `horizon`.
    #[must_use]
    pub(crate) fn is_quiet_until(&self, horizon: i64) -> bool {
        self.waiting == 0
            && self.leased == 0
            && (self.due == 0 || self.next_due_at.is_some_and(|at| at > horizon))
    }

    /// People whose place is known: waiting, due, under way, parked or finished.
    #[must_use]
    pub(crate) fn accounted_for(&self) -> u64 {
        self.waiting + self.due + self.leased + sum(&self.parked) + sum(&self.finished)
    }
}

/// The sum of a tally.
#[must_use]
pub(crate) fn sum(tally: &Tally) -> u64 {
    tally.values().sum()
}

fn number(counts: &Value, name: &str) -> anyhow::Result<u64> {
    counts.get(name).and_then(Value::as_u64).with_context(|| format!("no number `{name}`"))
}

fn tally(into: &mut Tally, counts: &Value, name: &str) -> anyhow::Result<()> {
    let map = counts.get(name).and_then(Value::as_object);
    for (word, count) in map.with_context(|| format!("no object `{name}`"))? {
        *into.entry(word.clone()).or_default() +=
            count.as_u64().with_context(|| format!("`{name}.{word}` is no number"))?;
    }
    Ok(())
}

/// A moment as RFC 3339 text or milliseconds; null is none.
fn moment(value: &Value) -> anyhow::Result<Option<i64>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => {
            let at = DateTime::parse_from_rfc3339(text).with_context(|| format!("time {text}"))?;
            Ok(Some(at.timestamp_millis()))
        }
        other => other.as_i64().map(Some).with_context(|| format!("{other} is no time")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn campaign(leased: u64, next: Value) -> Value {
        json!({"stalled": null, "counts": {
            "contacts": 10, "waiting": 0, "due": 2, "leased": leased, "attempts": 5, "answered": 1,
            "parked": {"consent": 3}, "finished": {"completed": 5}, "dispositions": {"busy": 4},
            "refused": {"us.x": 3}, "deferred": {"fr.y": 2}, "next_due_at": next,
        }})
    }

    #[test]
    fn campaigns_add_up_and_the_earliest_moment_holds() {
        let mut counts = Counts::default();
        counts.add(&campaign(0, json!("2026-12-01T16:00:00Z"))).unwrap();
        counts.add(&campaign(0, json!("2026-12-01T15:50:00Z"))).unwrap();
        counts.add(&campaign(0, Value::Null)).unwrap();
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        assert_eq!(counts.next_due_at, Some(at("2026-12-01T15:50:00Z")));
        assert_eq!(counts.parked.get("consent"), Some(&9));
        assert_eq!(counts.accounted_for(), counts.contacts);
        assert!(counts.is_quiet_until(at("2026-12-01T15:40:00Z")));
        assert!(!counts.is_quiet_until(at("2026-12-01T15:55:00Z")));
        counts.add(&campaign(1, Value::Null)).unwrap();
        assert!(!counts.is_quiet_until(at("2026-12-01T15:40:00Z")));
    }

    #[test]
    fn an_answer_without_a_count_is_an_error_that_names_it() {
        let mut answer = campaign(0, Value::Null);
        answer["counts"].as_object_mut().unwrap().remove("leased");
        let error = format!("{:#}", Counts::default().add(&answer).unwrap_err());
        assert!(error.contains("leased"), "{error}");
    }
}
