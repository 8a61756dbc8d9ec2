//! Where a campaign's contacts are, and what became of its attempts.

use std::collections::BTreeMap;

use dialer_types::{CampaignId, Disposition};
use serde::Serialize;
use sqlx::{PgConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{error::Problem, time::Time};
use crate::words::codes;

/// Counts of one campaign.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Counts {
    /// All contacts: the sum of waiting, due, leased, parked and finished.
    pub contacts: i64,
    /// For the campaign to start.
    pub waiting: i64,
    /// To be called now or at a known moment.
    pub due: i64,
    /// In a dialer's hands.
    pub leased: i64,
    /// Refused, by what they wait for.
    pub parked: BTreeMap<String, i64>,
    /// Done with, by why.
    pub finished: BTreeMap<String, i64>,
    /// Attempts made.
    pub attempts: i64,
    /// Of them answered.
    pub answered: i64,
    /// Attempts by how they ended.
    pub dispositions: BTreeMap<String, i64>,
    /// Judgements that refused, by each rule that denied.
    pub refused: BTreeMap<String, i64>,
    /// Contacts that are due later because of a rule, by rule.
    pub deferred: BTreeMap<String, i64>,
    /// When the next contact becomes due.
    pub next_due_at: Option<Time>,
    /// What the words of `parked`, `finished` and `dispositions` and the rules of `refused` and
    /// `deferred` mean.
    pub sentences: BTreeMap<String, String>,
}

/// What is counted, by name. A rule's id holds a dot, a disposition does not: `due.because` is
/// either.
const COUNTS: &str = "
    SELECT 'state', state::text, count(*) FROM contact WHERE campaign_id = $1 GROUP BY 2
    UNION ALL
    SELECT 'parked', cause, count(*) FROM parked WHERE campaign_id = $1 GROUP BY 2
    UNION ALL
    SELECT 'finished', coalesce(finished, 'finished'), count(*) FROM contact
        WHERE campaign_id = $1 AND state = 5 GROUP BY 2
    UNION ALL
    SELECT 'attempts', '', count(*) FROM placement WHERE campaign_id = $1
    UNION ALL
    SELECT 'disposition', disposition::text, count(*) FROM (
        SELECT DISTINCT ON (o.placement_id) o.disposition FROM placement p
        JOIN outcome o ON o.placement_id = p.id
        WHERE p.campaign_id = $1 ORDER BY o.placement_id, o.revision DESC) AS latest GROUP BY 2
    UNION ALL
    SELECT 'refused', rule, count(*) FROM decision, unnest(rules) AS rule
        WHERE campaign_id = $1 AND verdict = 'refuse' GROUP BY 2
    UNION ALL
    SELECT 'deferred', because, count(*) FROM due
        WHERE campaign_id = $1 AND because LIKE '%.%' GROUP BY 2
    UNION ALL
    SELECT 'next_due_at', '', min(due_at) FROM due WHERE campaign_id = $1";

pub(super) async fn counts_of(
    connection: &mut PgConnection,
    campaign: CampaignId,
) -> Result<Counts, Problem> {
    let rows = sqlx::query(COUNTS).bind(Uuid::from_u128(campaign.0)).fetch_all(connection).await?;
    let mut counts = Counts::default();
    for row in rows {
        let (what, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let Some(count) = row.try_get::<Option<i64>, _>(2)? else { continue };
        match (what.as_str(), name.as_str()) {
            ("state", state) => {
                counts.contacts += count;
                match state {
                    "1" => counts.waiting = count,
                    "2" => counts.due = count,
                    "3" => counts.leased = count,
                    _ => {}
                }
            }
            ("attempts", _) => counts.attempts = count,
            ("next_due_at", _) => counts.next_due_at = Some(Time::at(count)),
            ("disposition", code) => {
                let disposition = code.parse().ok().and_then(Disposition::from_code);
                if matches!(disposition, Some(Disposition::Answered | Disposition::Abandoned)) {
                    counts.answered += count;
                }
                let word = disposition.map_or(code, |disposition| disposition.as_str());
                counts.dispositions.insert(word.to_owned(), count);
            }
            ("parked", _) => drop(counts.parked.insert(name.clone(), count)),
            ("finished", _) => drop(counts.finished.insert(name.clone(), count)),
            ("refused", _) => drop(counts.refused.insert(name.clone(), count)),
            _ => drop(counts.deferred.insert(name.clone(), count)),
        }
    }
    counts.tell();
    Ok(counts)
}

impl Counts {
    fn tell(&mut self) {
        let mut sentences = codes::sentences(self.dispositions.keys(), codes::disposition);
        sentences.extend(codes::sentences(self.finished.keys(), codes::finished));
        sentences.extend(codes::sentences(self.parked.keys(), codes::cause));
        let rules = self.refused.keys().chain(self.deferred.keys());
        sentences.extend(codes::sentences(rules, codes::rule));
        self.sentences = sentences;
    }
}
