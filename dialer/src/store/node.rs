//! This incarnation of the process among the others.

use std::{sync::Arc, time::Duration};

use dialer_types::{NodeId, UnixMillis};
use sqlx::Row;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{StoreError, Stores};
use crate::{gate::Need, metrics::gauge_value, trunks::Shares};

/// How often the heartbeat is written.
pub const BEAT: Duration = Duration::from_secs(1);
/// A heartbeat older than this is a dead node's.
pub const DEAD_AFTER: Duration = Duration::from_secs(15);
/// How long the mark of a stopped node's ledger is kept.
const MARK_KEPT: Duration = Duration::from_secs(3600);

/// Why this process may not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Two live processes under one name would take each other's work.
    #[error("another dialer named {0:?} is running: give this one another [dialer] name")]
    NameTaken(String),
    /// Postgres failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for NodeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// [`DEAD_AFTER`] as Postgres counts it, in milliseconds.
pub(super) fn dead_after() -> i64 {
    i64::try_from(DEAD_AFTER.as_millis()).unwrap_or(i64::MAX)
}

/// Another incarnation of this name.
struct Known {
    id: NodeId,
    beat: UnixMillis,
    /// Whether its heartbeat is young enough to be alive.
    fresh: bool,
}

impl Stores {
    /// Makes sure that no live process has this name: an older incarnation whose heartbeat still
    /// moves is one. Returns the older incarnations that are dead, to be reaped.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn older_incarnations(&self, name: &str) -> Result<Vec<NodeId>, NodeError> {
        let before = self.unstopped(name).await?;
        if before.iter().any(|known| known.fresh) {
            tokio::time::sleep(BEAT + BEAT / 2).await;
            let after = self.unstopped(name).await?;
            let moved = |was: &Known| after.iter().any(|is| is.id == was.id && is.beat > was.beat);
            if before.iter().any(moved) {
                return Err(NodeError::NameTaken(name.to_owned()));
            }
        }
        Ok(before.into_iter().map(|known| known.id).collect())
    }

    async fn unstopped(&self, name: &str) -> Result<Vec<Known>, NodeError> {
        let rows = sqlx::query(
            "SELECT id, heartbeat_at, heartbeat_at >= deployment_now() - $3 FROM node
             WHERE name = $1 AND kind = 'dialer' AND stopped_at IS NULL AND id <> $2",
        )
        .bind(name)
        .bind(Uuid::from_u128(self.node.0))
        .bind(dead_after())
        .fetch_all(&self.pool)
        .await?;
        let mut nodes = Vec::with_capacity(rows.len());
        for row in rows {
            let id: Uuid = row.try_get(0)?;
            let beat = UnixMillis(row.try_get(1)?);
            nodes.push(Known { id: NodeId(id.as_u128()), beat, fresh: row.try_get(2)? });
        }
        Ok(nodes)
    }

    /// Writes this node down.
    ///
    /// # Errors
    /// If Postgres refuses.
    pub async fn register(&self, name: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO node (id, name, started_at, heartbeat_at)
             SELECT $1, $2, now, now FROM deployment_now() AS now",
        )
        .bind(Uuid::from_u128(self.node.0))
        .bind(name)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes the heartbeat; `None` if somebody has declared this node dead. Otherwise how many
    /// nodes are alive.
    async fn beat(&self) -> Result<Option<usize>, StoreError> {
        let done = sqlx::query(
            "UPDATE node SET heartbeat_at = deployment_now()
             WHERE id = $1 AND stopped_at IS NULL AND dead_at IS NULL",
        )
        .bind(Uuid::from_u128(self.node.0))
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let live: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM node
             WHERE kind = 'dialer' AND stopped_at IS NULL
               AND heartbeat_at >= deployment_now() - $1",
        )
        .bind(dead_after())
        .fetch_one(&self.pool)
        .await?;
        Ok(Some(usize::try_from(live).unwrap_or(1).max(1)))
    }

    /// Takes a node for dead: from here on it takes and commits nothing, alive or not. A commit of
    /// its that is under way ends before this returns.
    ///
    /// # Errors
    /// If Postgres refuses.
    pub async fn bury(&self, node: NodeId) -> Result<(), StoreError> {
        sqlx::query("UPDATE node SET dead_at = $2 WHERE id = $1 AND dead_at IS NULL")
            .bind(Uuid::from_u128(node.0))
            .bind(self.clock.now().wall.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Marks a node as stopped: nothing of it is open any more.
    ///
    /// # Errors
    /// If Postgres refuses.
    pub async fn stopped(&self, node: NodeId) -> Result<(), StoreError> {
        self.forget_trunks(node).await?;
        sqlx::query("UPDATE node SET stopped_at = $2 WHERE id = $1 AND stopped_at IS NULL")
            .bind(Uuid::from_u128(node.0))
            .bind(self.clock.now().wall.0)
            .execute(&self.pool)
            .await?;
        // Not its own yet: one that others took for dead may be writing its last batch again.
        sqlx::query(
            "DELETE FROM ledger_mark m USING node n WHERE n.id = m.node AND n.stopped_at < $1",
        )
        .bind(self.clock.now().wall.before(MARK_KEPT).0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Writes the heartbeat until the end. `dead` is told when others have declared this node dead:
/// then it must stop, because its contacts are somebody else's.
pub async fn beat(
    stores: Arc<Stores>,
    shares: Shares,
    stop: CancellationToken,
    dead: CancellationToken,
) {
    loop {
        match stores.postgres(stores.beat()).await {
            Ok(Some(live)) => {
                shares.set_nodes(live);
                stores.metrics.nodes.set(gauge_value(live));
                stores.gate.report(Need::Heartbeat, true);
            }
            Ok(None) => {
                tracing::error!("another node has taken this one for dead: it stops");
                stores.gate.report(Need::Heartbeat, false);
                dead.cancel();
                return;
            }
            Err(_) => stores.gate.report(Need::Heartbeat, false),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}
