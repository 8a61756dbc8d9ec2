//! How placements end: one outcome each (G8), and what it makes of their heads.

use std::collections::{BTreeMap, BTreeSet};

use dialer_audit::{Body, Record};
use dialer_judge::{Settlement, Spoken};
use dialer_limiter::{Head, Token};
use dialer_types::{
    AttemptId, CampaignId, Disposition, NodeId, PlacementId, SubjectId, UnixMillis,
};
use schema::{heads::Moved, rows::AuditEntry};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::WriteError;

/// A placement that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) placement: PlacementId,
    pub(crate) subjects: &'a [SubjectId],
    pub(crate) disposition: Disposition,
    pub(crate) spoken: Spoken,
    pub(crate) at: UnixMillis,
}

impl<'a> Ending<'a> {
    pub(crate) fn of(settlement: &'a Settlement) -> Self {
        Self {
            placement: settlement.placement,
            subjects: &settlement.subjects,
            disposition: settlement.disposition,
            spoken: settlement.spoken,
            at: settlement.at,
        }
    }
}

/// Locked heads and where they moved from.
pub(crate) struct Heads {
    now: BTreeMap<SubjectId, Head>,
    from: BTreeMap<SubjectId, Token>,
}

impl Heads {
    pub(crate) fn new(locked: Vec<(SubjectId, Head)>) -> Self {
        Self { now: locked.into_iter().collect(), from: BTreeMap::new() }
    }

    /// Applies an ending. A head that no longer holds the placement stays as it is.
    pub(crate) fn end(&mut self, ending: &Ending<'_>, token: impl Fn() -> Token) {
        for subject in ending.subjects {
            let Some(head) = self.now.get(subject) else { continue };
            let next = match ending.disposition.outcome() {
                Some(outcome) => head.settled(token(), ending.placement, outcome),
                None => head.released(token(), ending.placement),
            };
            if let Some(next) = next {
                self.from.entry(*subject).or_insert_with(|| head.token());
                self.now.insert(*subject, next);
            }
        }
    }

    /// Whether every one of these heads is still at its token.
    pub(crate) fn stand(&self, judged: &[(SubjectId, Token)]) -> bool {
        judged.iter().all(|(subject, token)| {
            self.now.get(subject).is_some_and(|head| head.token() == *token)
        })
    }

    /// The heads that moved, in subject order.
    pub(crate) fn moved(&self) -> Vec<Moved> {
        self.from
            .iter()
            .filter_map(|(subject, from)| {
                let head = self.now.get(subject)?.clone();
                Some(Moved { subject: *subject, from: *from, head })
            })
            .collect()
    }
}

/// Which outcomes were written just now.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    first: BTreeSet<PlacementId>,
    corrected: BTreeSet<PlacementId>,
}

impl Fresh {
    /// Written just now, as the first outcome or as a correction.
    pub(crate) fn contains(&self, placement: &PlacementId) -> bool {
        self.first.contains(placement) || self.corrected.contains(placement)
    }

    /// Written just now as the first outcome: then the contact moves, too.
    pub(crate) fn is_first(&self, placement: PlacementId) -> bool {
        self.first.contains(&placement)
    }

    /// The audit entry of a settlement that was written just now.
    pub(crate) fn entry(&self, settlement: &Settlement) -> Option<AuditEntry> {
        let corrected = self.corrected.contains(&settlement.placement);
        if !corrected && !self.first.contains(&settlement.placement) {
            return None;
        }
        Some(entry(
            correcting(settlement.record.clone(), corrected),
            settlement.campaign,
            settlement.attempt,
            settlement.placement,
        ))
    }
}

/// An audit entry of a placement.
pub(crate) const fn entry(
    record: Record,
    campaign: CampaignId,
    attempt: AttemptId,
    placement: PlacementId,
) -> AuditEntry {
    AuditEntry {
        record,
        campaign: Some(campaign),
        attempt: Some(attempt),
        placement: Some(placement),
    }
}

fn correcting(mut record: Record, correction: bool) -> Record {
    if let Body::Outcome(ended) = &mut record.body {
        ended.correction = correction;
    }
    record
}

/// Inserts the outcomes that are new; one that a reaper had to call unknown is corrected by a row
/// of its own, unless it would become *not sent* (unknown is never released). Others stay.
pub(crate) async fn insert_outcomes(
    connection: &mut PgConnection,
    endings: &[Ending<'_>],
    node: NodeId,
) -> Result<Fresh, WriteError> {
    if endings.is_empty() {
        return Ok(Fresh::default());
    }
    let all: Vec<_> = endings.iter().map(|ending| (ending, 0)).collect();
    let first = insert(connection, &all, node).await?;
    let late: Vec<_> = endings
        .iter()
        .filter(|e| !first.contains(&e.placement) && e.disposition.outcome().is_some())
        .filter(|e| e.disposition != Disposition::Unknown)
        .collect();
    if late.is_empty() {
        return Ok(Fresh { first, ..Fresh::default() });
    }
    let held = sqlx::query(
        "SELECT DISTINCT ON (placement_id) placement_id, revision, disposition, recorded_by
         FROM outcome WHERE placement_id = ANY($1) ORDER BY placement_id, revision DESC",
    )
    .bind(late.iter().map(|e| Uuid::from_u128(e.placement.0)).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    let mut revisions = BTreeMap::new();
    for row in &held {
        let (placement, disposition): (Uuid, i16) = (row.try_get(0)?, row.try_get(2)?);
        let by: Uuid = row.try_get(3)?;
        let unknown = disposition == i16::from(Disposition::Unknown.code());
        if unknown && by != Uuid::from_u128(node.0) {
            let revision: i16 = row.try_get(1)?;
            revisions.insert(placement.as_u128(), revision.saturating_add(1));
        }
    }
    let corrections: Vec<_> = late
        .into_iter()
        .filter_map(|ending| Some((ending, *revisions.get(&ending.placement.0)?)))
        .collect();
    let corrected = insert(connection, &corrections, node).await?;
    Ok(Fresh { first, corrected })
}

async fn insert(
    connection: &mut PgConnection,
    endings: &[(&Ending<'_>, i16)],
    node: NodeId,
) -> Result<BTreeSet<PlacementId>, WriteError> {
    if endings.is_empty() {
        return Ok(BTreeSet::new());
    }
    let small = |value: Option<u16>| value.and_then(|value| i16::try_from(value).ok());
    let rows: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO outcome (placement_id, revision, disposition, sip_code, q850, ring_ms,
                              answered_at, ended_at, recorded_by)
         SELECT n.*, $9 FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::smallint[],
             $5::smallint[], $6::bigint[], $7::bigint[], $8::bigint[]) AS n
         ON CONFLICT DO NOTHING RETURNING placement_id",
    )
    .bind(endings.iter().map(|(e, _)| Uuid::from_u128(e.placement.0)).collect::<Vec<_>>())
    .bind(endings.iter().map(|(_, revision)| *revision).collect::<Vec<_>>())
    .bind(endings.iter().map(|(e, _)| i16::from(e.disposition.code())).collect::<Vec<_>>())
    .bind(endings.iter().map(|(e, _)| small(e.spoken.sip_code)).collect::<Vec<_>>())
    .bind(endings.iter().map(|(e, _)| e.spoken.q850.map(i16::from)).collect::<Vec<_>>())
    .bind(endings.iter().map(|(e, _)| e.spoken.ring_ms.map(i64::from)).collect::<Vec<_>>())
    .bind(endings.iter().map(|(e, _)| e.spoken.answered_at.map(|at| at.0)).collect::<Vec<_>>())
    .bind(endings.iter().map(|(e, _)| e.at.0).collect::<Vec<_>>())
    .bind(Uuid::from_u128(node.0))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|id| PlacementId(id.as_u128())).collect())
}
