//! Writing down what happened: settlements, denials, contacts given back and audit records, in the
//! order they came, many in one transaction, again and again until Postgres answers.
//!
//! Lock order of a transaction: heads in subject order, attempts, contacts; the same as a commit's.

use dialer_audit::{Body, Record};
use dialer_judge::{Denied, Released, Returned, Settlement};
use dialer_limiter::Token;
use dialer_types::{NodeId, PlacementId, SubjectId};
use schema::{
    heads::{Moved, lock_heads, store_heads},
    rows::AuditEntry,
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    WriteError,
    decisions::append_decided,
    deny::{Move, move_contacts},
    release::fence,
    settle::{Ending, Heads, insert_outcomes},
};

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

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub struct By {
    /// Whose word it is.
    pub node: NodeId,
    /// Who leased the contacts: a contact that somebody else has by now is not touched.
    pub owner: NodeId,
}

/// Writes a batch in one transaction. A marked one is written once, however often it is tried because
/// the answer to a commit never came; `token` gives one nobody has used.
/// Gives the heads that moved, which Redis is to follow, and those it is to forget.
///
/// # Errors
/// If Postgres refuses, is late or not there. Writing the same again is safe.
pub async fn write(
    pool: &PgPool,
    by: By,
    batch: &[Item],
    marked: Option<Mark>,
    token: impl Fn() -> Token,
) -> Result<(Vec<Moved>, Vec<SubjectId>), WriteError> {
    let mut tx = pool.begin().await?;
    let subjects: Vec<SubjectId> = batch.iter().flat_map(Item::subjects).collect();
    if let Some(marked) = marked
        && !mark(&mut tx, marked).await?
    {
        // Where its copies stand nobody knows: they are read anew.
        return Ok((Vec::new(), subjects));
    }
    let mut heads = Heads::new(lock_heads(&mut tx, &subjects).await?);
    let fenced = fence(&mut tx, by.node, batch).await?;
    let endings: Vec<Ending<'_>> = batch
        .iter()
        .filter_map(|item| match item {
            Item::Settle(settlement) => Some(Ending::of(settlement)),
            Item::Release(released) => fenced.committed(released.placement),
            _ => None,
        })
        .collect();
    let fresh = insert_outcomes(&mut tx, &endings, by.node).await?;
    for ending in &endings {
        if fresh.contains(&ending.placement) {
            heads.end(ending, &token);
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
    let stirred = move_contacts(&mut tx, by.owner, &moves).await?;
    let mut entries = Vec::new();
    for item in batch {
        match item {
            Item::Record(record) => entries.push(AuditEntry {
                placement: subject_of(record),
                ..AuditEntry::of((**record).clone())
            }),
            // Written before already, or somebody else's by now.
            Item::Deny(denied) if !stirred.contains(&denied.attempt.contact) => {}
            Item::Deny(denied) => entries.extend(denied.records.iter().map(|record| AuditEntry {
                campaign: Some(denied.campaign),
                attempt: Some(denied.attempt),
                ..AuditEntry::of(record.clone())
            })),
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

/// By what a batch is known that may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Batches that are written one after the other, each until it is written: those of a dialer. Or one
    /// batch alone, under an id of its own.
    pub series: NodeId,
    /// Its number among them, from 1.
    pub number: i64,
}

/// Marks the batch as written, in its own transaction; `false`: an earlier try was committed. Waits for
/// one that is still under way. Those of a series are written one after the other, so the newest number
/// tells of all.
async fn mark(connection: &mut PgConnection, mark: Mark) -> Result<bool, WriteError> {
    let marked = sqlx::query(
        "INSERT INTO ledger_mark (node, batch) VALUES ($1, $2)
         ON CONFLICT (node) DO UPDATE SET batch = excluded.batch
         WHERE ledger_mark.batch < excluded.batch",
    )
    .bind(Uuid::from_u128(mark.series.0))
    .bind(mark.number)
    .execute(connection)
    .await?;
    Ok(marked.rows_affected() == 1)
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

    /// One word for what it is.
    #[must_use]
    pub const fn word(&self) -> &'static str {
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
