//! Dead nodes: their open placements become *outcome unknown*, which counts as made (G8), and
//! their leased contacts are due again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dialer_engine::{RetryRules, Spoken};
use dialer_facts::retry_rules;
use dialer_stores::open_of_nodes;
use dialer_types::{CampaignId, Disposition, NodeId, Now};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    StoreError, Stores,
    ledgers::Item,
    node::{BEAT, DEAD_AFTER, dead_after},
};
use crate::gate::Need;

/// Placements settled in one transaction.
const AT_ONCE: i64 = 64;
/// How often placements are looked for that a commit under way left behind a node that had been
/// reaped already, and how old they may be.
const STRAGGLERS_EVERY: u32 = 30;
const STRAGGLERS_WITHIN: Duration = Duration::from_secs(3600);

/// Looks for dead nodes until the end. Only a node that has itself been in touch for as long as a
/// heartbeat may be old judges others: after an outage of Postgres everybody looks dead.
pub async fn serve(stores: Arc<Stores>, stop: CancellationToken) {
    let mut in_touch = Duration::ZERO;
    let mut beats = 0_u32;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(BEAT) => {}
        }
        // A node whose clock is off finishes nobody's work: what it writes would bear a wrong time.
        let met = |need| stores.gate.met(need);
        if !met(Need::Heartbeat) || !met(Need::Postgres) || !met(Need::Clock) {
            in_touch = Duration::ZERO;
            continue;
        }
        in_touch += BEAT;
        if in_touch <= DEAD_AFTER {
            continue;
        }
        beats = beats.wrapping_add(1);
        if let Err(error) = stores.reap_all(beats.is_multiple_of(STRAGGLERS_EVERY)).await {
            tracing::warn!(%error, "dead nodes are not reaped yet");
        }
    }
}

impl Stores {
    async fn reap_all(&self, stragglers: bool) -> Result<(), StoreError> {
        // What cannot be finished of one node holds up no other.
        let mut outcome = if stragglers { self.reap_stragglers().await } else { Ok(()) };
        for node in self.dead().await? {
            outcome = outcome.and(self.reap(node).await);
        }
        outcome
    }

    async fn dead(&self) -> Result<Vec<NodeId>, StoreError> {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM node
             WHERE kind = 'dialer' AND stopped_at IS NULL
               AND heartbeat_at < deployment_now() - $1 AND id <> $2",
        )
        .bind(dead_after())
        .bind(Uuid::from_u128(self.node.0))
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(|id| NodeId(id.as_u128())).collect())
    }

    /// Finishes what a dead node left, and marks it as stopped. Two that reap one node at a time do
    /// no harm: an outcome is written once.
    ///
    /// # Errors
    /// If Postgres fails; the rest is reaped next time.
    pub async fn reap(&self, node: NodeId) -> Result<(), StoreError> {
        tracing::warn!(%node, "reaping a dead node");
        self.bury(node).await?;
        loop {
            let open = self.open_placements(&[node], self.clock.now()).await?;
            let count = open.len();
            if count == 0 {
                break;
            }
            self.write(node, &open).await?;
            self.metrics.reaped.inc_by(count as u64);
        }
        self.give_back_leases(node).await?;
        self.stopped(node).await
    }

    /// What a buried node has left after all: contacts whose taking was under way, and what could not
    /// be written when it was reaped. Such a contact, which nobody can place under that try any more,
    /// goes on to the next.
    async fn reap_stragglers(&self) -> Result<(), StoreError> {
        let nodes: Vec<Uuid> =
            sqlx::query_scalar("SELECT id FROM node WHERE kind = 'dialer' AND stopped_at >= $1")
                .bind(self.clock.now().wall.before(STRAGGLERS_WITHIN).0)
                .fetch_all(&self.pool)
                .await?;
        let nodes: Vec<_> = nodes.into_iter().map(|id| NodeId(id.as_u128())).collect();
        // A stopped node holds nothing: a take whose commit came late, or one that crossed the drain.
        for node in &nodes {
            self.give_back_leases(*node).await?;
        }
        let open = self.open_placements(&nodes, self.clock.now()).await?;
        if open.is_empty() {
            return Ok(());
        }
        self.write(self.node, &open).await?;
        self.metrics.reaped.inc_by(open.len() as u64);
        for item in &open {
            let Item::Settle(settlement) = item else { continue };
            sqlx::query(
                "UPDATE contact SET try_no = try_no + 1, made = made + 1
                 WHERE id = $1 AND try_no = $2 AND (node IS NULL OR node <> $3)",
            )
            .bind(Uuid::from_u128(settlement.attempt.contact.0))
            .bind(dialer_stores::try_no(settlement.attempt))
            .bind(Uuid::from_u128(self.node.0))
            .execute(&self.pool)
            .await?;
        }
        Ok(())
    }

    async fn open_placements(&self, nodes: &[NodeId], now: Now) -> Result<Vec<Item>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let open = open_of_nodes(&mut connection, nodes, AT_ONCE).await?;
        let mut rules: BTreeMap<CampaignId, RetryRules> = BTreeMap::new();
        let items = open.iter().map(|open| {
            let rules = rules
                .entry(open.campaign)
                .or_insert_with(|| retry_rules(&open.retry).unwrap_or_default());
            let (unknown, spoken) = (Disposition::Unknown, Spoken::default());
            let ended = open.ended(unknown, spoken, "", rules, self.node, now.wall);
            Item::Settle(Box::new(ended))
        });
        Ok(items.collect())
    }

    /// Contacts that a dead node had taken and placed no call for: the same try is due again.
    async fn give_back_leases(&self, node: NodeId) -> Result<(), StoreError> {
        sqlx::query(
            "WITH back AS (
                 UPDATE contact SET state = 2, node = NULL WHERE node = $1 AND state = 3
                 RETURNING id, campaign_id)
             INSERT INTO due (contact_id, campaign_id, due_at, because)
             SELECT id, campaign_id, $2, 'node_died' FROM back ON CONFLICT (contact_id) DO NOTHING",
        )
        .bind(Uuid::from_u128(node.0))
        .bind(self.clock.now().wall.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
