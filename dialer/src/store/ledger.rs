//! Writing down what happened: settlements, denials, contacts given back and audit records, in the
//! order they came, many in one transaction, again and again until Postgres answers.
//!
//! Lock order of a transaction: heads in subject order, attempts, contacts; the same as a commit's.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dialer_audit::{Body, Record};
use dialer_engine::{Denied, Released, Returned, Settlement};
use dialer_types::{NodeId, PlacementId, SubjectId};
use schema::{
    heads::{Moved, lock_heads, store_heads},
    rows::AuditEntry,
};
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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
        let batch = batch::collect(&mut queue, batch::MOST).await;
        if batch.is_empty() {
            return;
        }
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
        let (mut pause, mut number) = (PAUSE.0, None);
        loop {
            let error = match self.write_numbered(self.node, batch, &mut number).await {
                Ok(()) => return true,
                Err(error) => error,
            };
            if !error.is_passing() {
                let [item] = batch else { return self.write_one_by_one(batch, give_up).await };
                // It is said loudly and left to the reaper.
                self.metrics.ledger_lost.inc();
                tracing::error!(%error, item = item.word(), "postgres refuses to write this down");
                return true;
            }
            tokio::select! {
                () = give_up.cancelled() => return false,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
            }
        }
    }

    /// One item of a batch is refused for good: the others are written.
    async fn write_one_by_one(&self, batch: &[Item], give_up: &CancellationToken) -> bool {
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
        self.write_moves(owner, batch, None).await
    }

    /// The same for a batch that may be tried again after a commit whose answer never came: it is
    /// written once. `number` is kept between the tries of one batch.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_numbered(
        &self,
        owner: NodeId,
        batch: &[Item],
        number: &mut Option<Number>,
    ) -> Result<(), StoreError> {
        let next = || Number(self.batches.fetch_add(1, Ordering::AcqRel) + 1);
        let number = *number.get_or_insert_with(next);
        self.write_moves(owner, batch, Some(number)).await
    }

    async fn write_moves(
        &self,
        owner: NodeId,
        batch: &[Item],
        number: Option<Number>,
    ) -> Result<(), StoreError> {
        let (moved, stale) = self.postgres(self.write_postgres(owner, batch, number)).await?;
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
        number: Option<Number>,
    ) -> Result<(Vec<Moved>, Vec<SubjectId>), StoreError> {
        let mut tx = self.pool.begin().await?;
        let subjects: Vec<SubjectId> = batch.iter().flat_map(Item::subjects).collect();
        if let Some(number) = number
            && !self.mark(&mut tx, number).await?
        {
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

/// The number of a batch among those of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(i64);

impl Stores {
    /// Marks the batch as written, in its own transaction; `false`: an earlier try was committed.
    /// Waits for one that is still under way. Batches of a node are written one after the other, so
    /// the newest number tells of all.
    async fn mark(
        &self,
        connection: &mut PgConnection,
        Number(number): Number,
    ) -> Result<bool, StoreError> {
        let marked = sqlx::query(
            "INSERT INTO ledger_mark (node, batch) VALUES ($1, $2)
             ON CONFLICT (node) DO UPDATE SET batch = excluded.batch
             WHERE ledger_mark.batch < excluded.batch",
        )
        .bind(Uuid::from_u128(self.node.0))
        .bind(number)
        .execute(connection)
        .await?;
        Ok(marked.rows_affected() == 1)
    }
}

impl Item {
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
