//! Writing down what happened: settlements, denials, contacts given back and audit records, in the
//! order they came, many in one transaction, again and again until Postgres answers.
//!
//! Lock order of a transaction: heads in subject order, attempts, contacts; the same as a commit's.

use dialer_audit::{Body, Record, canonical};
use dialer_judge::{Denied, Released, Returned, Settlement};
use dialer_limiter::Token;
use dialer_types::{NodeId, PlacementId, SubjectId};
use schema::{
    heads::{Moved, lock_heads, store_heads},
    rows::{AuditEntry, RowsError},
};
use sqlx::{PgConnection, PgPool};

use crate::{
    WriteError,
    commit::append_decided,
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

/// Writes a batch in one transaction. `before` is kept between the tries of one batch, which may
/// have been written by a transaction whose answer never came; `token` gives one nobody has used.
/// Gives the heads that moved, which Redis is to follow, and those it is to forget.
///
/// # Errors
/// If Postgres refuses, is late or not there. Writing the same again is safe.
pub async fn write(
    pool: &PgPool,
    by: By,
    batch: &[Item],
    before: &mut Option<Before>,
    token: impl Fn() -> Token,
) -> Result<(Vec<Moved>, Vec<SubjectId>), WriteError> {
    let mut tx = pool.begin().await?;
    let subjects: Vec<SubjectId> = batch.iter().flat_map(Item::subjects).collect();
    if is_written(&mut tx, by.node, batch, before).await? {
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

/// What was in the audit before the first try of a batch: the largest entry id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before(i64);

/// Whether an earlier try of this batch was committed. A batch is one transaction, so any of its
/// audit entries shows it. Tries of one node wait for each other, and entries of the batch have
/// larger ids than all that were there before its first.
async fn is_written(
    connection: &mut PgConnection,
    node: NodeId,
    batch: &[Item],
    before: &mut Option<Before>,
) -> Result<bool, WriteError> {
    let [.., a, b, c, d, e, f, g, h] = node.0.to_be_bytes();
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
