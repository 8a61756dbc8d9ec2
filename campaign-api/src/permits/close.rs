//! What has to be done without being asked: the heartbeat, what Postgres did not write, permits that
//! nobody told of in time. One look a second, a bounded piece at each.

use std::time::Duration;

use dialer_judge::{CLOCK_BOUND, Spoken};
use dialer_stores::{WriteError, clock::NODE_BOUND, placed};
use dialer_types::{Disposition, PlacementId, UnixMillis};
use sqlx::Row;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    end::{CLOSED, Words, over, settle},
    forget, in_time,
    node::{DEAD_AFTER, beat, bury_dead, say_goodbye},
    read::none,
    write_once,
};
use crate::{app::App, http::error::Problem};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// Permits closed at one look; what is left comes with the next.
const AT_ONCE: i64 = 64;
/// A row without a placement is deleted after this: nobody commits it any more.
const NEVER_PLACED: Duration = Duration::from_secs(60);

/// Marks of batches are forgotten at every so manieth look.
const FORGET_EVERY: u32 = 600;

/// Looks until the end, and leaves in order then.
pub(crate) async fn serve(app: &App, stop: CancellationToken) {
    let (mut in_touch, mut looks) = (Duration::ZERO, 0_u32);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(FORGET_EVERY)
            && let Err(error) = forget_marks(app).await
        {
            tracing::debug!(%error, "marks of batches are kept for longer");
        }
        in_touch = if look(app, in_touch).await { in_touch + EVERY } else { Duration::ZERO };
    }
    catch_up(app).await;
    say_goodbye(app).await;
}

/// One look; false if Postgres does not answer.
async fn look(app: &App, in_touch: Duration) -> bool {
    if let Err(error) = in_time(async { Ok(beat(app).await?) }).await {
        tracing::warn!(%error, "no permits are given until Postgres answers");
        return false;
    }
    catch_up(app).await;
    if let Err(error) = close_due(app).await {
        tracing::warn!(?error, "permits are not closed yet");
    }
    // After an outage of Postgres everybody looks dead.
    if in_touch > DEAD_AFTER {
        bury(app).await;
    }
    true
}

/// Marks of batches that were written a day ago: nobody tries one again for so long. Those of dialers go
/// with the dialer.
async fn forget_marks(app: &App) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM ledger_mark m WHERE m.node < first_ulid(deployment_now() - 86400000)
         AND NOT EXISTS (SELECT FROM node n WHERE n.id = m.node)",
    )
    .execute(&app.pool)
    .await
    .map(drop)
}

async fn bury(app: &App) {
    if let Err(error) = bury_dead(app).await {
        tracing::warn!(%error, "dead processes of the API are not buried yet");
    }
}

/// Writes again what Postgres did not.
async fn catch_up(app: &App) {
    for left in app.permits.take_unfinished() {
        match write_once(app, left.by, &left.items, left.mark).await {
            Ok(_) => {}
            Err(WriteError::Sql(error)) => {
                tracing::debug!(%error, "what a permit left behind is not written yet");
                app.permits.later(left);
            }
            Err(error) => tracing::error!(%error, "Postgres refuses to write this down"),
        }
    }
}

/// Closes what is due to be closed.
pub(super) async fn close_due(app: &App) -> Result<(), Problem> {
    let rows = sqlx::query(
        "SELECT m.id, m.said, m.sent_at, p.not_after, deployment_now(),
                EXISTS (SELECT FROM outcome o WHERE o.placement_id = m.id)
         FROM permit m LEFT JOIN placement p ON p.id = m.id
         WHERE m.close_at <= deployment_now() ORDER BY m.close_at LIMIT $1",
    )
    .bind(AT_ONCE)
    .fetch_all(&app.pool)
    .await?;
    for row in &rows {
        let id = PlacementId(row.try_get::<Uuid, _>(0)?.as_u128());
        let (said, sent_at): (Option<String>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
        let not_after: Option<i64> = row.try_get(3)?;
        let now = UnixMillis(row.try_get(4)?);
        let Some(not_after) = not_after.map(UnixMillis) else {
            never_placed(app, id, now).await?;
            continue;
        };
        let open_until = not_after.after(CLOCK_BOUND);
        if said.is_none() && sent_at.is_none() && now < open_until {
            put_off(app, id, open_until).await?;
            continue;
        }
        close(app, id, said, row.try_get(5)?).await?;
    }
    Ok(())
}

async fn put_off(app: &App, id: PlacementId, until: UnixMillis) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE permit SET close_at = $2 WHERE id = $1 AND said IS NULL")
        .bind(Uuid::from_u128(id.0))
        .bind(until.0)
        .execute(&app.pool)
        .await
        .map(drop)
}

/// A row whose placement is not there: of a request under way, or of one that came to nothing.
async fn never_placed(app: &App, id: PlacementId, now: UnixMillis) -> Result<(), sqlx::Error> {
    // The upper 48 bits of a ULID are its time.
    let minted = UnixMillis(i64::try_from(id.0 >> 80).unwrap_or(i64::MAX));
    if now > minted.after(NEVER_PLACED + NODE_BOUND) {
        return forget(app, id).await;
    }
    put_off(app, id, now.after(EVERY)).await
}

/// A permit not confirmed in its life counts as made, and so does one whose end nobody told: it is
/// closed as *outcome unknown*. What was told and not written yet is written.
async fn close(
    app: &App,
    id: PlacementId,
    said: Option<String>,
    has_outcome: bool,
) -> Result<(), Problem> {
    let said = match said {
        Some(said) => said,
        None => {
            // Whoever tells something in between is first.
            let taken = sqlx::query(
                "UPDATE permit SET said = $2
                 WHERE id = $1 AND said IS NULL AND close_at <= deployment_now()",
            )
            .bind(Uuid::from_u128(id.0))
            .bind(CLOSED)
            .execute(&app.pool)
            .await?;
            if taken.rows_affected() == 0 {
                return Ok(());
            }
            CLOSED.to_owned()
        }
    };
    if !(said == CLOSED && has_outcome) {
        let mut connection = app.pool.acquire().await?;
        let open = placed(&mut connection, id).await?.ok_or_else(|| none(id))?;
        drop(connection);
        let unknown = (Disposition::Unknown, Spoken::default());
        let (told, by) = match serde_json::from_str::<Words>(&said) {
            Ok(words) => ((words.disposition, words.spoken()), app.permits.node()?),
            Err(_) => (unknown, app.permits.closer),
        };
        settle(app, &open, told, "not_sent_by_owner", by).await?;
        app.metrics.permits_closed.inc_by(u64::from(said == CLOSED));
    }
    over(app, id, &said).await
}
