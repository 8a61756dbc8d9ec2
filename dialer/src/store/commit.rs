//! Group commit: the fence of the caps (G4, G6).
//!
//! Many placements in one transaction, heads locked in subject order. Each is committed only if
//! every head's token is the one it was judged on; two that touch one head are never in one batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use dialer_audit::{Body, Receipt, Record, record::Verdict};
use dialer_engine::{Answer, Commitment, Conflict, Input};
use dialer_judge::CLOCK_BOUND;
use dialer_types::{AttemptId, CampaignId, Now, PlacementId, SubjectId, UnixMillis};
use schema::{
    heads::{Moved, lock_heads, store_heads},
    rows::{AuditEntry, RowsError, append_audit},
};
use sqlx::{PgConnection, Row};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{PATIENCE, StoreError, Stores, postgres::connections};
use crate::{batch, inbox::Inbox};

/// Transactions under way at once.
const IN_FLIGHT: usize = 2;

/// A commitment that waited so long for its transaction is not made: its permit is better spent on
/// another judgement. A second less than the engine waits, which is what a transaction may take.
const WAITED: Duration = Duration::from_millis(1_500);

/// What the engine asked for.
#[derive(Debug)]
pub struct Wish {
    /// What to commit.
    pub commitment: Commitment,
    /// Since when it waits.
    pub since: Instant,
}

/// Serves commitments until nobody can make one any more.
pub async fn serve(
    stores: Arc<Stores>,
    mut queue: mpsc::Receiver<Wish>,
    inbox: Inbox,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut held: Vec<Wish> = Vec::new();
    loop {
        let mut waiting = std::mem::take(&mut held);
        if waiting.is_empty() {
            waiting = batch::collect(&mut queue, batch::MOST).await;
        } else {
            batch::fill(&mut queue, &mut waiting, batch::MOST).await;
        }
        if waiting.is_empty() {
            return;
        }
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let (waiting, late) = in_time(waiting, stores.clock.now());
        for late in late {
            stores.metrics.commits_late.inc();
            let placement = late.commitment.demand.placement();
            inbox.send(Input::Committed(placement, Answer::Given(Err(Conflict)))).await;
        }
        let (now, later) = split(waiting);
        held = later;
        if now.is_empty() {
            continue;
        }
        let now = now.into_iter().map(|wish| wish.commitment).collect();
        let (stores, inbox) = (Arc::clone(&stores), inbox.clone());
        tasks.spawn(async move {
            let _room = permit;
            for (placement, answer) in stores.commit(now).await {
                inbox.send(Input::Committed(placement, answer)).await;
            }
        });
    }
}

/// Those that can still be used when they are durable, and those that cannot: these are not made.
fn in_time(waiting: Vec<Wish>, now: Now) -> (Vec<Wish>, Vec<Wish>) {
    waiting.into_iter().partition(|wish| {
        now.wall < wish.commitment.not_after
            && now.mono.saturating_duration_since(wish.since) < WAITED
    })
}

/// Those that share no subject with one before them, and the others, both in order.
fn split(waiting: Vec<Wish>) -> (Vec<Wish>, Vec<Wish>) {
    let mut subjects: BTreeSet<SubjectId> = BTreeSet::new();
    let mut attempts = BTreeSet::new();
    waiting.into_iter().partition(|Wish { commitment, .. }| {
        let mine = commitment.demand.claims().iter().map(|claim| claim.subject);
        let free = !mine.clone().any(|subject| subjects.contains(&subject))
            && !attempts.contains(&commitment.attempt);
        subjects.extend(mine);
        attempts.insert(commitment.attempt);
        free
    })
}

/// What Postgres said to each placement.
pub type Answers = Vec<(PlacementId, Answer<Result<Receipt, Conflict>>)>;

impl Stores {
    /// Commits what stands. Commitments that share a subject must not come in one call.
    pub async fn commit(&self, batch: Vec<Commitment>) -> Answers {
        let placements: Vec<_> = batch.iter().map(|c| c.demand.placement()).collect();
        self.metrics.commit_batch.observe(f64::from(u32::try_from(batch.len()).unwrap_or(0)));
        let step = self.metrics.step("commit");
        let outcome = self.postgres(self.try_commit(&batch)).await;
        drop(step);
        match outcome {
            Ok(stood) => placements.into_iter().map(|id| (id, self.answer(id, &stood))).collect(),
            Err(error) if placements.len() > 1 && !error.is_passing() => {
                // One of them is refused for good: nothing was committed. Find out which.
                let mut answers = Vec::with_capacity(placements.len());
                for one in batch {
                    answers.extend(Box::pin(self.commit(vec![one])).await);
                }
                answers
            }
            Err(error) => {
                if !error.is_passing() {
                    tracing::error!(%error, "a placement cannot be committed");
                }
                placements.into_iter().map(|id| (id, Answer::Unavailable)).collect()
            }
        }
    }

    fn answer(
        &self,
        id: PlacementId,
        stood: &BTreeSet<PlacementId>,
    ) -> Answer<Result<Receipt, Conflict>> {
        if stood.contains(&id) {
            self.metrics.committed.inc();
            #[expect(clippy::disallowed_methods, reason = "this store's commit has returned")]
            let receipt = Receipt::assertion(id);
            return Answer::Given(Ok(receipt));
        }
        self.metrics.commit_conflicts.inc();
        Answer::Given(Err(Conflict))
    }

    /// One transaction; returns the placements that are durable now.
    async fn try_commit(&self, batch: &[Commitment]) -> Result<BTreeSet<PlacementId>, StoreError> {
        let mut tx = self.pool.begin().await?;
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
        let made = insert_attempts(&mut tx, &standing, self.node.0).await?;
        standing.retain(|commitment| made.contains(&commitment.attempt));
        if standing.is_empty() {
            tx.rollback().await?;
            return Ok(BTreeSet::new());
        }
        let moved: Vec<_> = standing
            .iter()
            .flat_map(|commitment| commitment.demand.claims())
            .map(|claim| Moved {
                subject: claim.subject,
                from: claim.base,
                head: claim.next.clone(),
            })
            .collect();
        store_heads(&mut tx, &moved).await?;
        insert_placements(&mut tx, &standing, self.node.0).await?;
        let (entries, news) =
            self.grounds.entries(&standing, connections()).map_err(RowsError::from)?;
        append_decided(&mut tx, &entries).await?;
        tx.commit().await?;
        self.grounds.learn(news);
        Ok(standing.iter().map(|commitment| commitment.demand.placement()).collect())
    }
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
) -> Result<BTreeSet<AttemptId>, StoreError> {
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
) -> Result<(), StoreError> {
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

/// Appends entries to the audit, and a row of `decision` for each that is one.
pub(crate) async fn append_decided(
    connection: &mut PgConnection,
    entries: &[AuditEntry],
) -> Result<(), StoreError> {
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
        match &record.body {
            Body::Decision(decision) => {
                let campaign = Some(campaign.unwrap_or(decision.campaign));
                self.judged(decision.attempt, campaign, record.at, entry);
                self.verdicts.push(match decision.verdict {
                    Verdict::Permit => "permit",
                    Verdict::Defer => "defer",
                    Verdict::Refuse => "refuse",
                });
                self.until.push(decision.until.map(|until| until.0));
                let rules: Vec<_> =
                    decision.denied_by.iter().map(|denial| denial.rule.as_str()).collect();
                self.rules.push(rules.join(","));
            }
            // No rule denied it.
            Body::Permit(permit) => {
                let judged = record.at.before(Duration::from_millis(permit.judged_ms.into()));
                self.judged(permit.attempt, campaign, judged, entry);
                self.verdicts.push("permit");
                self.until.push(None);
                self.rules.push(String::new());
            }
            _ => {}
        }
    }

    fn judged(
        &mut self,
        attempt: AttemptId,
        campaign: Option<CampaignId>,
        at: UnixMillis,
        entry: i64,
    ) {
        self.contacts.push(Uuid::from_u128(attempt.contact.0));
        self.tries.push(try_no(attempt));
        self.campaigns.push(campaign.map(|campaign| Uuid::from_u128(campaign.0)));
        self.at.push(at.0);
        self.entries.push(entry);
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), StoreError> {
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
pub(crate) fn try_no(attempt: AttemptId) -> i16 {
    i16::try_from(attempt.try_no).unwrap_or(i16::MAX)
}
