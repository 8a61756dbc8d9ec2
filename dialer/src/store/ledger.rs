//! Writing down what happened: settlements, denials, contacts given back and audit records, in the
//! order they came, many in one transaction, again and again until Postgres answers.
//!
//! Lock order of a transaction: heads in subject order, attempts, contacts; the same as a commit's.

use std::{sync::Arc, time::Duration};

use dialer_audit::{Body, Record, canonical};
use dialer_engine::{Denied, Released, Returned, Settlement};
use dialer_types::{NodeId, PlacementId, SubjectId};
use schema::{
    heads::{Moved, lock_heads, store_heads},
    rows::{AuditEntry, RowsError},
};
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    StoreError, Stores,
    commit::append_decided,
    deny::{Move, move_contacts},
    release::fence,
    settle::{Ending, Heads, insert_outcomes},
};
use crate::batch;

/// Things that may wait in the queue.
pub const ROOM: usize = 10_000;
/// First and longest pause after a transaction that failed.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Something to write down.
#[derive(Debug)]
pub enum Item {
    /// A placement ended.
    Settle(Box<Settlement>),
    /// The rules denied.
    Deny(Box<Denied>),
    /// A contact is given back unjudged.
    Return(Returned),
    /// A placement with a commit of unknown end never left.
    Release(Box<Released>),
    /// Append to the audit.
    Record(Box<Record>),
}

/// Writes until nobody can send any more and all is written, or until `give_up` (what is left then
/// is left to the reaper).
pub async fn serve(
    stores: Arc<Stores>,
    mut queue: mpsc::Receiver<Item>,
    give_up: CancellationToken,
) {
    loop {
        let Some(batch) = batch::collect(&mut queue).await else { return };
        let count = batch.len();
        if !stores.write_until_done(&batch, &give_up).await {
            tracing::error!(
                "the dialer stops before everything is written: the reaper finishes it"
            );
            return;
        }
        stores.gate.paid(count);
    }
}

impl Stores {
    /// Returns whether it was written.
    async fn write_until_done(&self, batch: &[Item], give_up: &CancellationToken) -> bool {
        let (mut pause, mut before) = (PAUSE.0, None);
        loop {
            let error = match self.write_after(self.node, batch, &mut before).await {
                Ok(()) => return true,
                Err(error) => error,
            };
            if !error.is_passing() {
                return self.write_one_by_one(batch, give_up).await;
            }
            tokio::select! {
                () = give_up.cancelled() => return false,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
            }
        }
    }

    /// One item of a batch is refused for good: it is said loudly and left to the reaper, and the
    /// others are written.
    async fn write_one_by_one(&self, batch: &[Item], give_up: &CancellationToken) -> bool {
        if let [item] = batch {
            let refused = self.write(self.node, std::slice::from_ref(item)).await;
            let Err(error) = refused else { return true };
            if error.is_passing() {
                return Box::pin(self.write_until_done(batch, give_up)).await;
            }
            self.metrics.ledger_lost.inc();
            tracing::error!(%error, item = item.word(), "postgres refuses to write this down");
            return true;
        }
        for item in batch {
            if !Box::pin(self.write_until_done(std::slice::from_ref(item), give_up)).await {
                return false;
            }
        }
        true
    }

    /// Writes a batch in one transaction and tells Redis of the heads that moved. `owner` is the
    /// node that leased the contacts: a contact that somebody else has by now is not touched.
    ///
    /// # Errors
    /// If Postgres refuses, is late or not there. Writing the same again is safe.
    pub async fn write(&self, owner: NodeId, batch: &[Item]) -> Result<(), StoreError> {
        self.write_after(owner, batch, &mut None).await
    }

    /// Writes a batch that may have been written already by a transaction whose answer never came.
    /// `before` is kept between the tries of one batch.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_after(
        &self,
        owner: NodeId,
        batch: &[Item],
        before: &mut Option<Before>,
    ) -> Result<(), StoreError> {
        let (moved, stale) = self.postgres(self.write_postgres(owner, batch, before)).await?;
        // The contacts that were denied on these are judged again: on what Postgres has.
        self.redis(self.redis.forget(&stale)).await.ok();
        // A copy that does not follow is stale: it wastes a judgement and permits nothing.
        for part in moved.chunks(64) {
            self.redis(self.redis.follow(part)).await.ok();
        }
        Ok(())
    }

    async fn write_postgres(
        &self,
        owner: NodeId,
        batch: &[Item],
        before: &mut Option<Before>,
    ) -> Result<(Vec<Moved>, Vec<SubjectId>), StoreError> {
        let mut tx = self.pool.begin().await?;
        let subjects: Vec<SubjectId> = batch.iter().flat_map(Item::subjects).collect();
        if self.is_written(&mut tx, batch, before).await? {
            // Where its copies stand nobody knows: they are read anew.
            return Ok((Vec::new(), subjects));
        }
        let mut heads = Heads::new(lock_heads(&mut tx, &subjects).await?);
        let fenced = fence(&mut tx, self.node, batch).await?;
        let endings: Vec<Ending<'_>> = batch
            .iter()
            .filter_map(|item| match item {
                Item::Settle(settlement) => Some(Ending::of(settlement)),
                Item::Release(released) => fenced.committed(released.placement),
                _ => None,
            })
            .collect();
        let fresh = insert_outcomes(&mut tx, &endings, self.node).await?;
        for ending in &endings {
            if fresh.contains(&ending.placement) {
                heads.end(ending, || self.token());
            }
        }
        let moved = heads.moved();
        store_heads(&mut tx, &moved).await?;
        let mut stale = Vec::new();
        let moves: Vec<Move<'_>> = batch
            .iter()
            .filter_map(|item| match item {
                Item::Settle(settlement) => {
                    fresh.is_first(settlement.placement).then(|| Move::settled(settlement))
                }
                Item::Deny(denied) if heads.stand(&denied.judged) => Some(Move::denied(denied)),
                Item::Deny(denied) => {
                    stale.extend(denied.judged.iter().map(|(subject, _)| *subject));
                    Some(Move::stale(denied))
                }
                Item::Return(returned) => Some(Move::returned(returned)),
                Item::Release(released) => Some(Move::released(released)),
                Item::Record(_) => None,
            })
            .collect();
        let stirred = move_contacts(&mut tx, owner, &moves).await?;
        let mut entries = Vec::new();
        for item in batch {
            match item {
                Item::Record(record) => entries.push(AuditEntry {
                    placement: subject_of(record),
                    ..AuditEntry::of((**record).clone())
                }),
                // Written before already, or somebody else's by now.
                Item::Deny(denied) if !stirred.contains(&denied.attempt.contact) => {}
                Item::Deny(denied) => {
                    entries.extend(denied.records.iter().map(|record| AuditEntry {
                        campaign: Some(denied.campaign),
                        attempt: Some(denied.attempt),
                        ..AuditEntry::of(record.clone())
                    }))
                }
                Item::Settle(settlement) => entries.extend(fresh.entry(settlement)),
                Item::Release(released) if fresh.contains(&released.placement) => {
                    entries.extend(fenced.entry(released));
                }
                Item::Release(_) | Item::Return(_) => {}
            }
        }
        append_decided(&mut tx, &entries).await?;
        tx.commit().await?;
        Ok((moved, stale))
    }
}

/// What was in the audit before the first try of a batch: the largest entry id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before(i64);

impl Stores {
    /// Whether an earlier try of this batch was committed. A batch is one transaction, so any of its
    /// audit entries shows it. Tries of one node wait for each other, and entries of the batch have
    /// larger ids than all that were there before its first.
    async fn is_written(
        &self,
        connection: &mut PgConnection,
        batch: &[Item],
        before: &mut Option<Before>,
    ) -> Result<bool, StoreError> {
        let [.., a, b, c, d, e, f, g, h] = self.node.0.to_be_bytes();
        let last: i64 = sqlx::query_scalar(
            "SELECT COALESCE((SELECT max(id) FROM audit_entry), 0) FROM pg_advisory_xact_lock($1)",
        )
        .bind(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
        .fetch_one(&mut *connection)
        .await?;
        let Some(Before(first)) = *before else {
            *before = Some(Before(last));
            return Ok(false);
        };
        let leaves: Vec<Vec<u8>> = batch
            .iter()
            .flat_map(Item::records)
            .map(|record| canonical::encode(record).map_err(RowsError::from))
            .collect::<Result<_, _>>()?;
        // A statement of its own: it sees what the lock has waited for.
        let written: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM audit_entry WHERE id > $1 AND leaf = ANY($2))",
        )
        .bind(first)
        .bind(leaves)
        .fetch_one(connection)
        .await?;
        Ok(written)
    }
}

impl Item {
    /// The audit records that come with it.
    fn records(&self) -> &[Record] {
        match self {
            Self::Settle(settlement) => std::slice::from_ref(&settlement.record),
            Self::Deny(denied) => &denied.records,
            Self::Record(record) => std::slice::from_ref(record),
            Self::Return(_) | Self::Release(_) => &[],
        }
    }

    fn subjects(&self) -> Vec<SubjectId> {
        match self {
            Self::Settle(settlement) => settlement.subjects.clone(),
            Self::Release(released) => released.subjects.clone(),
            Self::Deny(denied) => denied.judged.iter().map(|(subject, _)| *subject).collect(),
            Self::Return(_) | Self::Record(_) => Vec::new(),
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Settle(_) => "settlement",
            Self::Deny(_) => "denial",
            Self::Return(_) => "return",
            Self::Release(_) => "release",
            Self::Record(_) => "record",
        }
    }
}

/// The placement a record is about.
const fn subject_of(record: &Record) -> Option<PlacementId> {
    match &record.body {
        Body::Sent(sent) => Some(sent.placement),
        Body::NotSent(not_sent) => Some(not_sent.placement),
        Body::Outcome(ended) => Some(ended.placement),
        _ => None,
    }
}
