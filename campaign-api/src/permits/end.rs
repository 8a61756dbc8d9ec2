//! What the owner tells of a permit: that the call left, and how it ended.

use std::time::Duration;

use dialer_audit::{Record, record::Sent};
use dialer_facts::retry_rules;
use dialer_judge::Spoken;
use dialer_stores::{By, Item, Open, placed};
use dialer_types::{Disposition, NodeId, PlacementId, UnixMillis};
use schema::rows::{AuditEntry, append_audit};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Row, Transaction};
use uuid::Uuid;

use super::{finish, read::none};
use crate::{app::App, http::error::Problem};

/// A confirmed call whose end nobody tells is closed after this: longer than calls last, and short of
/// the day after, when the person may be called again.
const LONGEST_CALL: Duration = Duration::from_secs(4 * 3600);
/// What is told is written at once; should this process end before, another does it after this.
const WRITTEN_BY: Duration = Duration::from_secs(30);
/// What a permit's row says when nobody told of its end.
pub(super) const CLOSED: &str = "closed";

/// How a call ended, in words that are compared when they are told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Words {
    /// How.
    pub(crate) disposition: Disposition,
    /// Final SIP status.
    pub(crate) sip_code: Option<u16>,
    /// Q.850 cause.
    pub(crate) q850: Option<u8>,
    /// Milliseconds of ringing.
    pub(crate) ring_ms: Option<u32>,
    /// When it was answered, ms since 1970.
    pub(crate) answered_at: Option<i64>,
}

impl Words {
    pub(super) fn spoken(&self) -> Spoken {
        Spoken {
            sip_code: self.sip_code,
            q850: self.q850,
            ring_ms: self.ring_ms,
            answered_at: self.answered_at.map(UnixMillis),
        }
    }
}

/// Whose word it is, about which permit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) permit: PlacementId,
    /// The user who got it; `None`: anybody's.
    pub(crate) user: Option<Uuid>,
}

/// A permit's row, held.
struct Held {
    sent_at: Option<i64>,
    said: Option<String>,
    in_its_life: bool,
    call_id: String,
}

async fn hold(tx: &mut Transaction<'_, Postgres>, told: Told) -> Result<Held, Problem> {
    let row = sqlx::query(
        "SELECT m.sent_at, m.said, deployment_now() < p.not_after, p.sip_call_id
         FROM permit m JOIN placement p ON p.id = m.id
         WHERE m.id = $1 AND ($2::uuid IS NULL OR m.user_id = $2) FOR UPDATE OF m",
    )
    .bind(Uuid::from_u128(told.permit.0))
    .bind(told.user)
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(|| none(told.permit))?;
    Ok(Held {
        sent_at: row.try_get(0)?,
        said: row.try_get(1)?,
        in_its_life: row.try_get(2)?,
        call_id: row.try_get(3)?,
    })
}

fn lapsed() -> Problem {
    let detail =
        "the permit's life is over, and nothing was confirmed in it: the call counts as made";
    Problem::conflict("permit_lapsed", detail)
}

/// The call left. Only within the permit's life: a call that leaves later was not permitted.
///
/// # Errors
/// 404, 409 if it is too late or over, 503 if Postgres is not there.
pub(crate) async fn sent(app: &App, told: Told) -> Result<(), Problem> {
    let node = app.permits.node()?;
    let mut tx = app.pool.begin().await?;
    let held = hold(&mut tx, told).await?;
    if held.said.is_none() && held.sent_at.is_some() {
        return Ok(());
    }
    if held.said.is_some() {
        return Err(Problem::conflict("permit_ended", "how the call ended is on record already"));
    }
    if !held.in_its_life {
        return Err(lapsed());
    }
    // Of Postgres's clock, by which the life was just compared.
    let now: i64 = sqlx::query_scalar(
        "UPDATE permit SET sent_at = least(deployment_now(), p.not_after - 1), close_at = deployment_now() + $2
         FROM placement p WHERE permit.id = $1 AND p.id = permit.id RETURNING permit.sent_at",
    )
    .bind(Uuid::from_u128(told.permit.0))
    .bind(i64::try_from(LONGEST_CALL.as_millis()).unwrap_or(i64::MAX))
    .fetch_one(&mut *tx)
    .await?;
    let sent_at = UnixMillis(now);
    let sent = Sent { placement: told.permit, sent_at, sip_call_id: held.call_id };
    let record = Record::new(Some(node), sent.into(), sent_at);
    let entry = AuditEntry { placement: Some(told.permit), ..AuditEntry::of(record) };
    append_audit(&mut tx, &[entry]).await?;
    tx.commit().await?;
    Ok(())
}

/// How the call ended, or that it never left.
///
/// # Errors
/// 404, 409 if another end is on record or it is too late to say that nothing left, 503 if Postgres is
/// not there: tell it again.
pub(crate) async fn outcome(app: &App, told: Told, words: Words) -> Result<(), Problem> {
    let node = app.permits.node()?;
    let said = serde_json::to_string(&words).map_err(Problem::internal)?;
    let mut tx = app.pool.begin().await?;
    let held = hold(&mut tx, told).await?;
    let repeated = held.said.as_deref() == Some(&said);
    if !repeated {
        may_be_said(&held, words)?;
        sqlx::query("UPDATE permit SET said = $2, close_at = deployment_now() + $3 WHERE id = $1")
            .bind(Uuid::from_u128(told.permit.0))
            .bind(&said)
            .bind(i64::try_from(WRITTEN_BY.as_millis()).unwrap_or(i64::MAX))
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    let mut connection = app.pool.acquire().await?;
    let open = placed(&mut connection, told.permit).await?.ok_or_else(|| none(told.permit))?;
    drop(connection);
    settle(app, &open, (words.disposition, words.spoken()), "not_sent_by_owner", node).await?;
    over(app, told.permit, &said).await
}

fn may_be_said(held: &Held, words: Words) -> Result<(), Problem> {
    let not_sent = words.disposition == Disposition::NotSent;
    match held.said.as_deref() {
        Some(CLOSED) if not_sent => return Err(lapsed()),
        Some(CLOSED) | None => {}
        Some(_) => {
            let detail = "the call ended otherwise, by what was told before";
            return Err(Problem::conflict("other_outcome", detail));
        }
    }
    if not_sent && held.sent_at.is_some() {
        let detail = "it was confirmed that the call left: it counts as made";
        return Err(Problem::conflict("permit_confirmed", detail));
    }
    if not_sent && !held.in_its_life {
        return Err(lapsed());
    }
    Ok(())
}

/// Nothing is left to be done for it.
pub(super) async fn over(app: &App, permit: PlacementId, said: &str) -> Result<(), Problem> {
    sqlx::query("UPDATE permit SET close_at = NULL WHERE id = $1 AND said = $2")
        .bind(Uuid::from_u128(permit.0))
        .bind(said)
        .execute(&app.pool)
        .await?;
    Ok(())
}

/// Settles a placement: outcome, heads, audit record and the contact's next place in one transaction,
/// by the dialer's own statements; then Redis follows.
pub(super) async fn settle(
    app: &App,
    open: &Open,
    (disposition, spoken): (Disposition, Spoken),
    because: &str,
    by: NodeId,
) -> Result<(), Problem> {
    let rules = retry_rules(&open.retry).map_err(Problem::internal)?;
    let settlement = open.ended(disposition, spoken, because, &rules, by, app.now());
    let by = By { node: by, owner: open.node };
    finish(app, by, vec![Item::Settle(Box::new(settlement))]).await.map(drop)
}
