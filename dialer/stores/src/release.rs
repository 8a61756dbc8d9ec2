//! Placements whose commit nobody knows the end of, and which never left.
//!
//! Inserting the attempt fences a commit that is still under way: whichever of the two inserts it
//! first wins, and the other finds it there. A placement that did commit is settled as not sent.

use std::collections::BTreeMap;

use dialer_audit::{Record, record::NotSent};
use dialer_judge::{Released, Spoken};
use dialer_types::{Disposition, NodeId, PlacementId};
use schema::rows::AuditEntry;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    WriteError,
    commit::try_no,
    ledger::Item,
    settle::{Ending, entry},
};

/// The releases of a batch whose placement turned out to be committed.
pub(crate) struct Fenced<'a> {
    node: NodeId,
    committed: BTreeMap<PlacementId, &'a Released>,
}

impl<'a> Fenced<'a> {
    /// How a released placement ends, if it was committed.
    pub(crate) fn committed(&self, placement: PlacementId) -> Option<Ending<'a>> {
        let released = self.committed.get(&placement)?;
        Some(Ending {
            placement,
            subjects: &released.subjects,
            disposition: Disposition::NotSent,
            spoken: Spoken::default(),
            at: released.at,
        })
    }

    /// The audit entry of a released placement that was committed.
    pub(crate) fn entry(&self, released: &Released) -> Option<AuditEntry> {
        self.committed.get(&released.placement)?;
        let body = NotSent { placement: released.placement, reason: released.because.to_owned() };
        let record = Record::new(Some(self.node), body.into(), released.at);
        Some(entry(record, released.campaign, released.attempt, released.placement))
    }
}

/// Fences the releases of a batch.
pub(crate) async fn fence<'a>(
    connection: &mut PgConnection,
    node: NodeId,
    batch: &'a [Item],
) -> Result<Fenced<'a>, WriteError> {
    let releases: BTreeMap<PlacementId, &Released> = batch
        .iter()
        .filter_map(|item| match item {
            Item::Release(released) => Some((released.placement, released.as_ref())),
            _ => None,
        })
        .collect();
    if releases.is_empty() {
        return Ok(Fenced { node, committed: releases });
    }
    sqlx::query(
        "INSERT INTO attempt (contact_id, try_no, campaign_id, seller_id, at)
         SELECT n.contact_id, n.try_no, a.id, a.seller_id, n.at
         FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bigint[])
              AS n(contact_id, try_no, campaign_id, at)
         JOIN campaign a ON a.id = n.campaign_id
         ON CONFLICT DO NOTHING",
    )
    .bind(releases.values().map(|r| Uuid::from_u128(r.attempt.contact.0)).collect::<Vec<_>>())
    .bind(releases.values().map(|r| try_no(r.attempt)).collect::<Vec<_>>())
    .bind(releases.values().map(|r| Uuid::from_u128(r.campaign.0)).collect::<Vec<_>>())
    .bind(releases.values().map(|r| r.at.0).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    // A statement of its own: it sees what the one before may have waited for.
    let committed: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM placement WHERE id = ANY($1)")
        .bind(releases.keys().map(|id| Uuid::from_u128(id.0)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let committed = committed
        .into_iter()
        .filter_map(|id| releases.get_key_value(&PlacementId(id.as_u128())))
        .map(|(placement, released)| (*placement, *released))
        .collect();
    Ok(Fenced { node, committed })
}
