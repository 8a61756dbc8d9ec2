//! The running campaigns, read again each second and whenever somebody says they changed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use dialer_engine::{Campaign, Input};
use dialer_facts::{campaign_terms, retry_rules};
use dialer_types::{CampaignId, CampaignNo, SellerId, TrunkId};
use sqlx::{Row, postgres::PgRow};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    inbox::Inbox,
    prompts::Prompts,
    store::{StoreError, Stores},
    trunks::Shares,
};

/// How often campaigns and trunks are read again.
const EVERY: Duration = Duration::from_secs(1);

/// A running campaign and how fast it goes in all.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its terms.
    pub terms: Arc<Campaign>,
    /// Thousandths of a call per second, over all nodes.
    pub milli_cps: u64,
    /// Calls alive at once, over all nodes.
    pub max_concurrent: u32,
    /// The last withdrawal of a licence of its seller; 0 if there was none.
    pub withdrawn: i64,
}

/// The running campaigns by id.
pub type Campaigns = BTreeMap<CampaignId, Running>;

impl Stores {
    /// The running campaigns. One that is not understood is left out and said loudly: what is not
    /// understood is not called for.
    ///
    /// # Errors
    /// If Postgres is not there.
    pub async fn campaigns(&self) -> Result<Campaigns, StoreError> {
        let rows = sqlx::query(
            "SELECT a.id, a.no, a.name, a.seller_id, s.no, a.purpose, a.technology, a.caller_id,
                    a.announces, a.prompt, a.milli_cps, a.max_concurrent, a.max_tries,
                    a.ring_timeout_ms, a.retry::text,
                    ARRAY(SELECT t.trunk_id FROM campaign_trunk t WHERE t.campaign_id = a.id
                          ORDER BY t.priority, t.trunk_id),
                    coalesce((SELECT max(e.id) FROM licence_event e WHERE e.seller_id = a.seller_id
                              AND e.kind = 'withdraw'), 0)
             FROM campaign a JOIN seller s ON s.id = a.seller_id
             WHERE a.status = 'running' AND a.dialed_by = 'dialer'",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut campaigns = Campaigns::new();
        for row in &rows {
            match running(row) {
                Ok(running) => {
                    campaigns.insert(running.terms.id, running);
                }
                Err(error) => tracing::error!(%error, "a campaign is not run"),
            }
        }
        Ok(campaigns)
    }
}

fn running(row: &PgRow) -> Result<Running, StoreError> {
    let bad = |what: &str| StoreError::row("campaign", what);
    let id: Uuid = row.try_get(0)?;
    let number = |at: usize, what: &'static str| -> Result<u32, StoreError> {
        let value: i32 = row.try_get(at)?;
        u32::try_from(value).map_err(|_| bad(what))
    };
    let announces: Vec<String> = row.try_get(8)?;
    let (seller, caller_id): (Uuid, String) = (row.try_get(3)?, row.try_get(7)?);
    let prompt: String = row.try_get(9)?;
    let (milli_cps, max_tries): (i64, i16) = (row.try_get(10)?, row.try_get(12)?);
    let ring_timeout = Duration::from_millis(u64::from(number(13, "ring_timeout_ms")?));
    let (seller_no, purpose, technology) = (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
    let judged =
        campaign_terms(seller_no, purpose, technology, &announces, &caller_id, ring_timeout)?;
    let retry: String = row.try_get(14)?;
    let trunks: Vec<Uuid> = row.try_get(15)?;
    let terms = Campaign {
        id: CampaignId(id.as_u128()),
        no: CampaignNo(number(1, "no")?),
        name: row.try_get(2)?,
        seller: SellerId(seller.as_u128()),
        seller_no: judged.seller_no,
        purpose: judged.purpose,
        technology: judged.technology,
        abilities: judged.abilities,
        caller_id: caller_id.parse().map_err(|_| bad("caller_id is not a number"))?,
        ring_timeout,
        max_tries: u16::try_from(max_tries).map_err(|_| bad("max_tries"))?,
        retry: retry_rules(&retry).map_err(|why| StoreError::row("campaign.retry", why))?,
        trunks: trunks.into_iter().map(|trunk| TrunkId(trunk.as_u128())).collect(),
        prompt: Arc::from(prompt),
    };
    Ok(Running {
        terms: Arc::new(terms),
        milli_cps: u64::try_from(milli_cps).map_err(|_| bad("milli_cps"))?,
        max_concurrent: number(11, "max_concurrent")?,
        withdrawn: row.try_get(16)?,
    })
}

/// Reads campaigns and trunks until the end; tells the shard what was halted and which trunks
/// there are. A campaign whose prompt cannot be played is not run.
pub async fn watch(
    stores: Arc<Stores>,
    mut prompts: Prompts,
    campaigns: Arc<ArcSwap<Campaigns>>,
    shares: Shares,
    inbox: Inbox,
    reload: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut trunks = crate::trunks::Trunks::default();
    let mut silent = BTreeMap::new();
    loop {
        let Some((halted, back)) = reread(&stores, &campaigns, prompts, &mut silent).await else {
            return;
        };
        prompts = back;
        for campaign in halted {
            inbox.send(Input::Halted(campaign)).await;
        }
        if let Some(changed) = trunks.refresh(&stores, &shares).await {
            inbox.send(Input::Trunks(changed)).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = reload.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Reads the running campaigns; returns those that run no more. `silent`: those whose prompt cannot
/// be played, as Postgres has it. `None`: the looking at prompts panicked.
async fn reread(
    stores: &Stores,
    campaigns: &ArcSwap<Campaigns>,
    mut prompts: Prompts,
    silent: &mut BTreeMap<CampaignId, &'static str>,
) -> Option<(Vec<CampaignId>, Prompts)> {
    let mut now = match stores.postgres(stores.campaigns()).await {
        Ok(now) => now,
        Err(error) => {
            tracing::debug!(%error, "campaigns are not read");
            return Some((Vec::new(), prompts));
        }
    };
    let names: Vec<Arc<str>> =
        now.values().map(|running| Arc::clone(&running.terms.prompt)).collect();
    let looked = tokio::task::spawn_blocking(move || {
        let faults = prompts.faults(&names);
        (prompts, faults)
    });
    let (prompts, faults) = looked.await.ok()?;
    let fault = |running: &Running| faults.get(&running.terms.prompt).copied();
    let found: BTreeMap<CampaignId, &'static str> =
        now.iter().filter_map(|(id, running)| Some((*id, fault(running)?))).collect();
    now.retain(|id, _| !found.contains_key(id));
    if *silent != found {
        match stores.postgres(stores.write_silent(&found)).await {
            Ok(()) => *silent = found,
            Err(error) => tracing::debug!(%error, "who has no prompt is not written down yet"),
        }
    }
    let halted = halted(&campaigns.load(), &now);
    campaigns.store(Arc::new(now));
    Some((halted, prompts))
}

/// The campaigns of which nothing that was judged may be placed any more: they run no more, or a
/// licence was withdrawn and what stands is to be judged again.
fn halted(before: &Campaigns, now: &Campaigns) -> Vec<CampaignId> {
    let stands = |id: &CampaignId, was: &Running| {
        now.get(id).is_some_and(|is| is.withdrawn == was.withdrawn)
    };
    before.iter().filter(|(id, was)| !stands(id, was)).map(|(id, _)| *id).collect()
}

impl Stores {
    /// Writes down which running campaigns this node cannot play the prompt of.
    async fn write_silent(
        &self,
        silent: &BTreeMap<CampaignId, &'static str>,
    ) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = silent.keys().map(|id| Uuid::from_u128(id.0)).collect();
        let reasons: Vec<&str> = silent.values().copied().collect();
        let node = Uuid::from_u128(self.node.0);
        sqlx::query("DELETE FROM prompt_state WHERE node = $1 AND campaign_id <> ALL($2)")
            .bind(node)
            .bind(&ids)
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "INSERT INTO prompt_state (node, campaign_id, reason, since)
             SELECT $1, id, reason, $4 FROM unnest($2::uuid[], $3::text[]) AS x(id, reason)
             ON CONFLICT (node, campaign_id) DO UPDATE SET reason = excluded.reason",
        )
        .bind(node)
        .bind(&ids)
        .bind(&reasons)
        .bind(self.clock.now().wall.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dialer_engine::RetryRules;

    use super::*;

    #[test]
    fn a_campaign_is_halted_when_it_runs_no_more_and_when_a_licence_was_withdrawn() {
        let running = |withdrawn| Running {
            terms: Arc::new(Campaign {
                id: CampaignId(1),
                no: CampaignNo(1),
                name: String::new(),
                seller: SellerId(1),
                seller_no: dialer_types::SellerNo(1),
                purpose: dialer_types::Purpose::Informational,
                technology: dialer_types::Technology::Manual,
                abilities: dialer_policy::Abilities::NONE,
                caller_id: "+15125550100".parse().unwrap(),
                ring_timeout: EVERY,
                max_tries: 1,
                retry: RetryRules::default(),
                trunks: Vec::new(),
                prompt: Arc::from(""),
            }),
            milli_cps: 1,
            max_concurrent: 1,
            withdrawn,
        };
        let of = |campaigns: &[(u128, i64)]| -> Campaigns {
            campaigns.iter().map(|(id, last)| (CampaignId(*id), running(*last))).collect()
        };
        let told = halted(&of(&[(1, 0), (2, 5), (3, 0)]), &of(&[(1, 0), (2, 6), (4, 7)]));
        assert_eq!(told, [CampaignId(2), CampaignId(3)]);
    }
}
