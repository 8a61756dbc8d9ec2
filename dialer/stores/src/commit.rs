//! Group commit: the fence of the caps (G4, G6).
//!
//! Many placements in one transaction, heads locked in subject order. Each is committed only if
//! every head's token is the one it was judged on; two that touch one head are never in one batch.
//! What compares is `commit_placements` (`schema/migrations`): one question for a batch.

use std::{collections::BTreeSet, time::Duration};

use dialer_audit::Receipt;
use dialer_judge::{CLOCK_BOUND, Commitment};
use dialer_limiter::Claim;
use dialer_types::{AttemptId, NodeId, PlacementId};
use schema::rows::{AuditColumns, AuditEntry, RowsError};
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::{
    Grounds, PATIENCE, WriteError,
    decisions::{denial, rules, verdict},
    postgres::connections,
};

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

/// How long before its judgement a commitment's facts may have been read, with what clocks may
/// disagree by: a licence that was withdrawn since then may have been counted as held.
const FACTS_READ: Duration = PATIENCE.saturating_add(CLOCK_BOUND);

/// How often a batch is tried of which a part did not stand. Each time it loses that part; what is still not whole
/// then is judged again.
const TRIES: u8 = 3;

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
    let mut connection = pool.acquire().await?;
    let mut batch: Vec<&Commitment> = batch.iter().collect();
    for _ in 0..TRIES {
        // Counted now: that of this transaction is among them.
        let (entries, news) = grounds.entries(&batch, connections()).map_err(RowsError::from)?;
        let (written, stand) = ask(&mut connection, node, &batch, &entries).await?;
        if written {
            grounds.learn(news);
            return Ok(Committed(stand));
        }
        batch.retain(|commitment| stand.contains(&commitment.demand.placement()));
        if batch.is_empty() {
            break;
        }
    }
    Ok(Committed::default())
}

/// Whether the batch was written, and what of it stands.
async fn ask(
    connection: &mut PgConnection,
    node: NodeId,
    batch: &[&Commitment],
    entries: &[AuditEntry],
) -> Result<(bool, BTreeSet<PlacementId>), WriteError> {
    let (heads, denials) = (Heads::of(batch), Denials::among(entries));
    let entries = AuditColumns::of(entries)?;
    let each = |of: fn(&Commitment) -> u128| -> Vec<Uuid> {
        batch.iter().map(|commitment| Uuid::from_u128(of(commitment))).collect()
    };
    let number =
        |of: fn(&Commitment) -> i64| -> Vec<i64> { batch.iter().map(|it| of(it)).collect() };
    let row = sqlx::query(
        "SELECT written, stand FROM commit_placements($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
            $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)",
    )
    .bind(Uuid::from_u128(node.0))
    .bind(i64::try_from(FACTS_READ.as_millis()).unwrap_or(i64::MAX / 4))
    .bind(each(|it| it.demand.placement().0))
    .bind(each(|it| it.attempt.contact.0))
    .bind(batch.iter().map(|it| try_no(it.attempt)).collect::<Vec<_>>())
    .bind(each(|it| it.campaign.0))
    .bind(each(|it| it.seller.0))
    .bind(number(|it| it.number.0))
    .bind(number(|it| it.person.0))
    .bind(batch.iter().map(|it| it.account.map(|account| account.0)).collect::<Vec<_>>())
    .bind(each(|it| it.trunk.0))
    .bind(number(|it| it.at.0))
    .bind(number(|it| it.not_after.0))
    .bind(batch.iter().map(|it| it.sip_call_id.as_str()).collect::<Vec<_>>())
    .bind(heads.subjects)
    .bind(heads.bases)
    .bind(heads.movers)
    .bind(heads.heads)
    .bind(entries.at)
    .bind(entries.kinds)
    .bind(entries.campaigns)
    .bind(entries.contacts)
    .bind(entries.tries)
    .bind(entries.placements)
    .bind(entries.leaves)
    .bind(denials.places)
    .bind(denials.verdicts)
    .bind(denials.untils)
    .bind(denials.rules)
    .fetch_one(connection)
    .await?;
    let stand: Vec<Uuid> = row.try_get(1)?;
    Ok((row.try_get(0)?, stand.into_iter().map(|id| PlacementId(id.as_u128())).collect()))
}

/// The heads that a batch moves, in subject order: everybody locks them so.
#[derive(Debug, Default)]
struct Heads {
    subjects: Vec<i64>,
    bases: Vec<Uuid>,
    movers: Vec<Uuid>,
    heads: Vec<Vec<u8>>,
}

impl Heads {
    fn of(batch: &[&Commitment]) -> Self {
        let mut claims: Vec<(&Claim, PlacementId)> = batch
            .iter()
            .flat_map(|it| it.demand.claims().iter().map(|claim| (claim, it.demand.placement())))
            .collect();
        claims.sort_unstable_by_key(|(claim, _)| claim.subject);
        let mut heads = Self::default();
        for (claim, placement) in claims {
            heads.subjects.push(claim.subject.0);
            heads.bases.push(Uuid::from_u128(claim.base.0));
            heads.movers.push(Uuid::from_u128(placement.0));
            heads.heads.push(claim.next.encode());
        }
        heads
    }
}

/// What `decision` tells of the denials among audit entries.
#[derive(Debug, Default)]
struct Denials {
    /// Places among the entries, from 1.
    places: Vec<i32>,
    verdicts: Vec<&'static str>,
    untils: Vec<Option<i64>>,
    rules: Vec<String>,
}

impl Denials {
    fn among(entries: &[AuditEntry]) -> Self {
        let mut denials = Self::default();
        for (place, entry) in (1..).zip(entries) {
            let Some(decision) = denial(&entry.record) else { continue };
            denials.places.push(place);
            denials.verdicts.push(verdict(decision));
            denials.untils.push(decision.until.map(|until| until.0));
            denials.rules.push(rules(decision));
        }
        denials
    }
}

/// A try as Postgres keeps it.
#[must_use]
pub fn try_no(attempt: AttemptId) -> i16 {
    i16::try_from(attempt.try_no).unwrap_or(i16::MAX)
}
