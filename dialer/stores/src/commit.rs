//! Group commit: the fence of the caps (G4, G6).
//!
//! Many placements in one transaction, heads locked in subject order. Each is committed only if
//! every head's token is the one it was judged on; two that touch one head are never in one batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dialer_audit::{Body, Receipt, Record, record::Verdict};
use dialer_judge::{CLOCK_BOUND, Commitment};
use dialer_types::{AttemptId, CampaignId, NodeId, PlacementId};
use schema::{
    heads::{Moved, lock_heads, store_heads},
    rows::{AuditEntry, RowsError, append_audit},
};
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::{Grounds, PATIENCE, WriteError, postgres::connections};

/// The placements of a batch that are durable now.
#[derive(Debug, Default)]
pub struct Committed(BTreeSet<PlacementId>);

impl Committed {
    /// The receipt of a placement, once; `None` if it does not stand.
    pub fn receipt(&mut self, id: PlacementId) -> Option<Receipt> {
        if !self.0.remove(&id) {
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "this store's commit has returned")]
        let receipt = Receipt::assertion(id);
        Some(receipt)
    }
}

/// One transaction, for a node that is alive; commitments that share a subject must not come in one
/// batch. Gives the placements that are durable now; the others' heads were not those judged.
/// `grounds`: those of this process, whose pools are all [`crate::postgres::counted`].
///
/// # Errors
/// If Postgres refuses, is late or not there: nothing is committed, or nobody knows.
pub async fn commit(
    pool: &PgPool,
    node: NodeId,
    batch: &[Commitment],
    grounds: &Grounds,
) -> Result<Committed, WriteError> {
    let mut tx = pool.begin().await?;
    let subjects: Vec<_> =
        batch.iter().flat_map(|c| c.demand.claims()).map(|claim| claim.subject).collect();
    let tokens: BTreeMap<_, _> = lock_heads(&mut tx, &subjects)
        .await?
        .into_iter()
        .map(|(subject, head)| (subject, head.token()))
        .collect();
    let mut standing: Vec<&Commitment> = batch
        .iter()
        .filter(|commitment| {
            let mut claims = commitment.demand.claims().iter();
            claims.all(|claim| tokens.get(&claim.subject) == Some(&claim.base))
        })
        .collect();
    let made = insert_attempts(&mut tx, &standing, node.0).await?;
    standing.retain(|commitment| made.contains(&commitment.attempt));
    if standing.is_empty() {
        tx.rollback().await?;
        return Ok(Committed::default());
    }
    let moved: Vec<_> = standing
        .iter()
        .flat_map(|commitment| commitment.demand.claims())
        .map(|claim| Moved { subject: claim.subject, from: claim.base, head: claim.next.clone() })
        .collect();
    store_heads(&mut tx, &moved).await?;
    insert_placements(&mut tx, &standing, node.0).await?;
    let (entries, news) = grounds.entries(&standing, connections()).map_err(RowsError::from)?;
    append_decided(&mut tx, &entries).await?;
    tx.commit().await?;
    grounds.learn(news);
    Ok(Committed(standing.iter().map(|commitment| commitment.demand.placement()).collect()))
}

/// How long before its judgement a commitment's facts may have been read, with what clocks may
/// disagree by: a licence that was withdrawn since then may have been counted as held.
const FACTS_READ: Duration = PATIENCE.saturating_add(CLOCK_BOUND);

/// Nothing is committed by a node that others took for dead: the row is held until this commit is over,
/// so whoever buries the node waits for it. Nothing is committed for a seller of whom a licence was withdrawn since the facts were read: it
/// is judged again. Licences have no head that would have moved.
async fn insert_attempts(
    connection: &mut PgConnection,
    batch: &[&Commitment],
    node: u128,
) -> Result<BTreeSet<AttemptId>, WriteError> {
    let rows = sqlx::query(
        "WITH alive AS MATERIALIZED (
             SELECT id FROM node WHERE id = $7 AND dead_at IS NULL AND stopped_at IS NULL FOR SHARE)
         INSERT INTO attempt (contact_id, try_no, campaign_id, seller_id, at)
         SELECT n.* FROM alive, unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::uuid[], $5::bigint[])
                  AS n(contact_id, try_no, campaign_id, seller_id, at)
         WHERE NOT EXISTS (SELECT FROM licence_event e WHERE e.seller_id = n.seller_id
                           AND e.kind = 'withdraw' AND e.recorded_at > n.at - $6)
         ON CONFLICT DO NOTHING RETURNING contact_id, try_no",
    )
    .bind(batch.iter().map(|c| Uuid::from_u128(c.attempt.contact.0)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| try_no(c.attempt)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| Uuid::from_u128(c.campaign.0)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| Uuid::from_u128(c.seller.0)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| c.at.0).collect::<Vec<_>>())
    .bind(i64::try_from(FACTS_READ.as_millis()).unwrap_or(i64::MAX / 4))
    .bind(Uuid::from_u128(node))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let (contact, try_no): (Uuid, i16) = (row.try_get(0)?, row.try_get(1)?);
            let contact = dialer_types::ContactId(contact.as_u128());
            Ok(AttemptId { contact, try_no: u16::try_from(try_no).unwrap_or(0) })
        })
        .collect()
}

async fn insert_placements(
    connection: &mut PgConnection,
    batch: &[&Commitment],
    node: u128,
) -> Result<(), WriteError> {
    sqlx::query(
        "INSERT INTO placement (id, contact_id, try_no, campaign_id, number_subject, person_subject,
                                account_subject, trunk_id, at, not_after, sip_call_id, node)
         SELECT n.*, $12 FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::uuid[], $5::bigint[],
             $6::bigint[], $7::bigint[], $8::uuid[], $9::bigint[], $10::bigint[], $11::text[]) AS n",
    )
    .bind(batch.iter().map(|c| Uuid::from_u128(c.demand.placement().0)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| Uuid::from_u128(c.attempt.contact.0)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| try_no(c.attempt)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| Uuid::from_u128(c.campaign.0)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| c.number.0).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| c.person.0).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| c.account.map(|account| account.0)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| Uuid::from_u128(c.trunk.0)).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| c.at.0).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| c.not_after.0).collect::<Vec<_>>())
    .bind(batch.iter().map(|c| c.sip_call_id.clone()).collect::<Vec<_>>())
    .bind(Uuid::from_u128(node))
    .execute(connection)
    .await?;
    Ok(())
}

/// Appends entries to the audit, and a row of `decision` for each that denies: of a permit the placement
/// is the row.
pub(crate) async fn append_decided(
    connection: &mut PgConnection,
    entries: &[AuditEntry],
) -> Result<(), WriteError> {
    let ids = append_audit(connection, entries).await?;
    let mut rows = Decisions::default();
    for (entry, id) in entries.iter().zip(ids) {
        rows.add(&entry.record, entry.campaign, id);
    }
    rows.insert(connection).await
}

/// Rows of `decision`.
#[derive(Default)]
struct Decisions {
    contacts: Vec<Uuid>,
    tries: Vec<i16>,
    campaigns: Vec<Option<Uuid>>,
    at: Vec<i64>,
    verdicts: Vec<&'static str>,
    until: Vec<Option<i64>>,
    /// Rule ids have no comma in them; Postgres has no ragged arrays.
    rules: Vec<String>,
    entries: Vec<i64>,
}

impl Decisions {
    fn add(&mut self, record: &Record, campaign: Option<CampaignId>, entry: i64) {
        let Body::Decision(decision) = &record.body else { return };
        if decision.verdict == Verdict::Permit {
            return;
        }
        let campaign = campaign.unwrap_or(decision.campaign);
        self.contacts.push(Uuid::from_u128(decision.attempt.contact.0));
        self.tries.push(try_no(decision.attempt));
        self.campaigns.push(Some(Uuid::from_u128(campaign.0)));
        self.at.push(record.at.0);
        self.verdicts.push(match decision.verdict {
            Verdict::Permit => "permit",
            Verdict::Defer => "defer",
            Verdict::Refuse => "refuse",
        });
        self.until.push(decision.until.map(|until| until.0));
        let rules: Vec<_> = decision.denied_by.iter().map(|denial| denial.rule.as_str()).collect();
        self.rules.push(rules.join(","));
        self.entries.push(entry);
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO decision (contact_id, try_no, campaign_id, at, verdict, until, rules, entry_id)
             SELECT contact_id, try_no, campaign_id, at, verdict, until,
                    string_to_array(rules, ','), entry_id
             FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bigint[], $5::text[],
                         $6::bigint[], $7::text[], $8::bigint[])
                  AS n(contact_id, try_no, campaign_id, at, verdict, until, rules, entry_id)",
        )
        .bind(self.contacts)
        .bind(self.tries)
        .bind(self.campaigns)
        .bind(self.at)
        .bind(self.verdicts)
        .bind(self.until)
        .bind(self.rules)
        .bind(self.entries)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A try as Postgres keeps it.
#[must_use]
pub fn try_no(attempt: AttemptId) -> i16 {
    i16::try_from(attempt.try_no).unwrap_or(i16::MAX)
}
