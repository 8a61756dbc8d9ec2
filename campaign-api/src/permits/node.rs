//! This process among the others. A process of the API leases contacts and commits placements, so it
//! is a node: one that stopped in the middle can commit nothing any more once it is buried.

use std::time::Duration;

use dialer_types::NodeId;
use sqlx::PgPool;
use uuid::Uuid;

use super::in_time;
use crate::app::App;

/// A heartbeat older than this is a dead process's: as with the dialers.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(15);

/// Writes this process down.
///
/// # Errors
/// If Postgres refuses.
pub(crate) async fn enter(pool: &PgPool, node: NodeId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO node (id, name, started_at, heartbeat_at, kind)
         SELECT $1, 'campaign-api', now, now, 'api' FROM deployment_now() AS now",
    )
    .bind(Uuid::from_u128(node.0))
    .execute(pool)
    .await
    .map(drop)
}

/// Writes the heartbeat. Whom others have taken for dead enters again, as somebody else.
///
/// # Errors
/// If Postgres does not answer: then nothing is permitted until it does.
pub(super) async fn beat(app: &App) -> Result<(), sqlx::Error> {
    let held = *app.permits.node.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(node) = held {
        let done = sqlx::query(
            "UPDATE node SET heartbeat_at = deployment_now()
             WHERE id = $1 AND stopped_at IS NULL AND dead_at IS NULL",
        )
        .bind(Uuid::from_u128(node.0))
        .execute(&app.pool)
        .await?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
        tracing::warn!(%node, "others took this process for dead: it begins anew");
        app.permits.set_node(None);
    }
    let node = NodeId(app.ulid());
    enter(&app.pool, node).await?;
    app.permits.set_node(Some(node));
    Ok(())
}

/// Ends the dead: a commit of theirs that is under way ends first, and nothing of theirs becomes
/// durable afterwards. What they had leased without a permit is due again; open permits stay open,
/// because the calls are others'.
///
/// # Errors
/// If Postgres does not answer; the next look does it.
pub(super) async fn bury_dead(app: &App) -> Result<(), sqlx::Error> {
    let dead: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM node WHERE kind = 'api' AND stopped_at IS NULL
         AND heartbeat_at < deployment_now() - $1 LIMIT 64",
    )
    .bind(i64::try_from(DEAD_AFTER.as_millis()).unwrap_or(i64::MAX))
    .fetch_all(&app.pool)
    .await?;
    for node in dead {
        leave(&app.pool, NodeId(node.as_u128())).await?;
    }
    Ok(())
}

/// Buries a process, gives back what it had leased, and marks it as stopped.
///
/// # Errors
/// If Postgres does not answer.
pub(super) async fn leave(pool: &PgPool, node: NodeId) -> Result<(), sqlx::Error> {
    let id = Uuid::from_u128(node.0);
    sqlx::query("UPDATE node SET dead_at = deployment_now() WHERE id = $1 AND dead_at IS NULL")
        .bind(id)
        .execute(pool)
        .await?;
    sqlx::query(
        "WITH back AS (
             UPDATE contact c SET state = 2, node = NULL
             WHERE c.node = $1 AND c.state = 3
               AND NOT EXISTS (SELECT FROM permit m JOIN placement p ON p.id = m.id
                               WHERE m.contact_id = c.id AND m.close_at IS NOT NULL)
             RETURNING id, campaign_id)
         INSERT INTO due (contact_id, campaign_id, due_at, because)
         SELECT id, campaign_id, deployment_now(), 'node_died' FROM back
         ON CONFLICT (contact_id) DO NOTHING",
    )
    .bind(id)
    .execute(pool)
    .await?;
    sqlx::query(
        "UPDATE node SET stopped_at = deployment_now() WHERE id = $1 AND stopped_at IS NULL",
    )
    .bind(id)
    .execute(pool)
    .await
    .map(drop)
}

/// Leaves in order: nothing is permitted any more, and what is under way ends first.
pub(super) async fn say_goodbye(app: &App) {
    let held = *app.permits.node.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    app.permits.set_node(None);
    app.permits.tasks.close();
    app.permits.tasks.wait().await;
    let Some(node) = held else { return };
    let left = in_time(async { Ok(leave(&app.pool, node).await?) }).await;
    if let Err(error) = left {
        tracing::warn!(%error, "another process of the API finishes what this one leaves");
    }
}
