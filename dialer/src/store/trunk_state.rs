//! How this node sees the trunks, written down for everybody: "stalled: no trunk" is said by the
//! API, which asks no dialer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use dialer_types::{CampaignId, NodeId, TrunkId, UnixMillis};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{StoreError, Stores};
use crate::{campaigns::Campaigns, trunks::Shares};

/// How often it is looked at: a trunk that comes and goes costs one row a second at most.
const EVERY: Duration = Duration::from_secs(1);

/// A row: whether the breaker is open, why, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    open: bool,
    reason: &'static str,
    since: UnixMillis,
}

/// Writes the trunks' states until the end.
pub async fn serve(
    stores: Arc<Stores>,
    campaigns: Arc<ArcSwap<Campaigns>>,
    shares: Shares,
    stop: CancellationToken,
) {
    let (mut written, mut stalled) = (BTreeMap::new(), BTreeSet::new());
    loop {
        let now = states(&shares);
        say_stalled(&campaigns.load(), &now, &mut stalled);
        for (trunk, state) in now {
            if written.get(&trunk) == Some(&state) {
                continue;
            }
            match stores.postgres(stores.write_trunk(trunk, state)).await {
                Ok(()) => drop(written.insert(trunk, state)),
                Err(error) => {
                    tracing::debug!(%error, "the state of a trunk is not written down yet");
                    break;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// As written: why a breaker is not open is nobody's concern.
fn states(shares: &Shares) -> BTreeMap<TrunkId, State> {
    let state = |health: crate::trunks::Health| State {
        open: health.standing.open,
        reason: if health.standing.open { health.standing.reason } else { "up" },
        since: health.since,
    };
    shares.health().into_iter().map(|(trunk, health)| (trunk, state(health))).collect()
}

/// Says once that a campaign has no trunk left here, and once that it goes on.
fn say_stalled(
    campaigns: &Campaigns,
    trunks: &BTreeMap<TrunkId, State>,
    said: &mut BTreeSet<CampaignId>,
) {
    said.retain(|id| campaigns.contains_key(id));
    for (id, running) in campaigns {
        let down = |trunk: &TrunkId| trunks.get(trunk).is_some_and(|state| state.open);
        if running.terms.trunks.iter().all(down) {
            if said.insert(*id) {
                tracing::warn!(campaign = %id, "stalled: no trunk");
            }
        } else if said.remove(id) {
            tracing::info!(campaign = %id, "no longer stalled: a trunk is up");
        }
    }
}

impl Stores {
    async fn write_trunk(&self, trunk: TrunkId, state: State) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO trunk_state (node, trunk_id, open, reason, since) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (node, trunk_id) DO UPDATE SET open = $3, reason = $4, since = $5",
        )
        .bind(Uuid::from_u128(self.node.0))
        .bind(Uuid::from_u128(trunk.0))
        .bind(state.open)
        .bind(state.reason)
        .bind(state.since.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Drops what a node said of trunks and prompts: it sees them no more.
    ///
    /// # Errors
    /// If Postgres refuses.
    pub(super) async fn forget_trunks(&self, node: NodeId) -> Result<(), StoreError> {
        for forget in
            ["DELETE FROM trunk_state WHERE node = $1", "DELETE FROM prompt_state WHERE node = $1"]
        {
            sqlx::query(forget).bind(Uuid::from_u128(node.0)).execute(&self.pool).await?;
        }
        Ok(())
    }
}
