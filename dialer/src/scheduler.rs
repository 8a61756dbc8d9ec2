//! Who is called next: takes contacts that are due, at the pace of their campaigns, fairly.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use dialer_engine::{Input, Order};
use dialer_pacing::Pacer;
use dialer_types::CampaignId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    campaigns::{Campaigns, Running},
    inbox::Inbox,
    store::{
        Stores,
        ledger::Item,
        take::{Take, Taken},
    },
    trunks::{Admission, Shares},
};

/// The longest between two looks, and how long a campaign with nothing due is left alone.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The shortest between two looks.
const TICK: Duration = Duration::from_millis(10);
/// The tick that the pacers' bursts make up for: a slow look loses nothing of the rate.
const BURST_TICK: Duration = Duration::from_millis(50);
/// Most contacts taken by one statement.
const AT_ONCE: u32 = 256;

/// Contacts in the shard, by campaign. Shared by the scheduler, which puts them there, and the
/// shard, which is done with them.
#[derive(Debug, Clone, Default)]
pub struct Loads(Arc<Mutex<BTreeMap<CampaignId, usize>>>);

impl Loads {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<CampaignId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more contact of this campaign.
    pub fn begin(&self, campaign: CampaignId) {
        *self.lock().entry(campaign).or_default() += 1;
    }

    /// One contact less.
    pub fn end(&self, campaign: CampaignId) {
        let mut loads = self.lock();
        if let Some(load) = loads.get_mut(&campaign) {
            *load = load.saturating_sub(1);
            if *load == 0 {
                loads.remove(&campaign);
            }
        }
    }

    /// Contacts of one campaign.
    #[must_use]
    pub fn of(&self, campaign: CampaignId) -> usize {
        self.lock().get(&campaign).copied().unwrap_or(0)
    }

    /// Contacts in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.lock().values().sum()
    }
}

/// Shares `room` out, one call at a time in turn, starting after the campaign that was served last:
/// deficit round robin, where every call costs the same. Returns the grants in the order of `wants`
/// and the campaign to start after next time.
#[must_use]
pub fn share_out(
    wants: &[(CampaignId, u32)],
    mut room: u32,
    after: Option<CampaignId>,
) -> (Vec<u32>, Option<CampaignId>) {
    let mut grants = vec![0; wants.len()];
    let first = wants.iter().position(|(id, _)| after.is_none_or(|after| *id > after)).unwrap_or(0);
    let mut last = after;
    loop {
        let before = room;
        for at in (0..wants.len()).cycle().skip(first).take(wants.len()) {
            let (Some((id, want)), Some(grant)) = (wants.get(at), grants.get_mut(at)) else {
                continue;
            };
            if room > 0 && *grant < *want {
                *grant += 1;
                room -= 1;
                last = Some(*id);
            }
        }
        if room == before {
            return (grants, last);
        }
    }
}

struct Pace {
    pacer: Pacer,
    /// Nothing was due: not asked again before.
    dry_until: Option<Instant>,
}

/// The scheduler.
#[derive(Debug)]
pub struct Scheduler {
    /// The stores.
    pub stores: Arc<Stores>,
    /// The running campaigns.
    pub campaigns: Arc<ArcSwap<Campaigns>>,
    /// Shares of the trunks' rates.
    pub shares: Shares,
    /// Contacts in the shard.
    pub loads: Loads,
    /// The shard.
    pub inbox: Inbox,
    /// Where contacts are given back whose lease nobody knows.
    pub ledger: mpsc::Sender<Item>,
    /// Most contacts in the shard at once: its media ports.
    pub most: usize,
}

impl Scheduler {
    /// Takes contacts until the end.
    pub async fn run(self, stop: CancellationToken) {
        let mut paces = BTreeMap::new();
        let mut last = None;
        loop {
            let next = if self.stores.gate.is_open() {
                self.look(&mut paces, &mut last).await
            } else {
                paces.clear();
                self.stores.clock.now().mono + LOOK_EVERY
            };
            let wait = next.saturating_duration_since(self.stores.clock.now().mono);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait.clamp(TICK, LOOK_EVERY)) => {}
            }
        }
    }

    /// Looks once at every campaign; returns when to look again.
    async fn look(
        &self,
        paces: &mut BTreeMap<CampaignId, Pace>,
        last: &mut Option<CampaignId>,
    ) -> Instant {
        let now = self.stores.clock.now().mono;
        let running = self.campaigns.load_full();
        paces.retain(|id, _| running.contains_key(id));
        let mut next = now + LOOK_EVERY;
        let mut wants = Vec::new();
        for (id, campaign) in running.iter() {
            let (want, revisit) = self.wants(campaign, paces, now);
            next = next.min(revisit);
            if want > 0 {
                wants.push((*id, want));
            }
        }
        let room = u32::try_from(self.most.saturating_sub(self.loads.total())).unwrap_or(u32::MAX);
        let (grants, served) = share_out(&wants, room, *last);
        *last = served;
        for ((id, want), grant) in wants.into_iter().zip(grants) {
            let (Some(campaign), Some(pace)) = (running.get(&id), paces.get_mut(&id)) else {
                continue;
            };
            pace.pacer.give_back(want - grant);
            let used = if grant > 0 { self.take(campaign, grant).await } else { 0 };
            if used < grant {
                pace.pacer.give_back(grant - used);
                pace.dry_until = Some(now + LOOK_EVERY);
            }
        }
        next
    }

    /// How many calls a campaign may start now, charged to its pacer, and when it may be more.
    fn wants(
        &self,
        campaign: &Running,
        paces: &mut BTreeMap<CampaignId, Pace>,
        now: Instant,
    ) -> (u32, Instant) {
        let nodes = self.shares.nodes();
        let rate = campaign.milli_cps / u64::try_from(nodes).unwrap_or(1);
        let rate = u32::try_from(rate).unwrap_or(u32::MAX);
        let burst = Pacer::burst_for(rate, BURST_TICK);
        let pace = paces
            .entry(campaign.terms.id)
            .or_insert_with(|| Pace { pacer: Pacer::new(rate, burst), dry_until: None });
        if pace.pacer.rate_milli_cps() != rate {
            pace.pacer = Pacer::new(rate, burst);
        }
        if let Some(dry) = pace.dry_until.filter(|dry| *dry > now) {
            return (0, dry);
        }
        let most = match self.shares.admit(&campaign.terms.trunks, now) {
            Admission::None => return (0, now + LOOK_EVERY / 4),
            Admission::One => 1,
            Admission::Any => AT_ONCE,
        };
        let concurrency = u64::from(campaign.max_concurrent) / u64::try_from(nodes).unwrap_or(1);
        let max_live = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
        let quota = pace.pacer.quota(self.loads.of(campaign.terms.id), max_live, now);
        let launches = quota.launches.min(most);
        pace.pacer.give_back(quota.launches - launches);
        (launches, quota.revisit_at)
    }

    /// Takes up to `grant` contacts and hands them to the shard; returns how many.
    async fn take(&self, campaign: &Running, grant: u32) -> u32 {
        match self.stores.take(campaign.terms.id, grant).await {
            Ok(Take::Done(taken)) => {
                let count = u32::try_from(taken.len()).unwrap_or(u32::MAX);
                self.stores.metrics.taken.inc_by(u64::from(count));
                for taken in taken {
                    self.loads.begin(campaign.terms.id);
                    self.inbox.send(Input::Due(Box::new(order(campaign, taken)))).await;
                }
                count
            }
            Ok(Take::Unknown(back, error)) => {
                tracing::warn!(%error, "contacts may be leased or not: they are given back");
                for returned in back {
                    self.stores.gate.owed();
                    self.ledger.send(Item::Return(returned)).await.ok();
                }
                0
            }
            Err(_) => 0,
        }
    }
}

fn order(campaign: &Running, taken: Taken) -> Order {
    Order {
        attempt: taken.attempt,
        made: taken.made,
        campaign: Arc::clone(&campaign.terms),
        person: taken.person,
        account: taken.account,
        numbers: taken.rotated(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(wants: &[u32]) -> Vec<(CampaignId, u32)> {
        (1..).map(CampaignId).zip(wants.iter().copied()).collect()
    }

    #[test]
    fn room_is_shared_out_in_turn_and_what_one_does_not_want_goes_to_the_others() {
        for (asked, room, expected) in [
            (vec![5, 5], 4, vec![2, 2]),
            (vec![1, 9], 6, vec![1, 5]),
            (vec![3, 0, 3], 100, vec![3, 0, 3]),
            (vec![3, 3], 0, vec![0, 0]),
            (vec![], 9, vec![]),
        ] {
            assert_eq!(share_out(&wants(&asked), room, None).0, expected, "{asked:?} in {room}");
        }
    }

    #[test]
    fn scarce_room_goes_round_over_the_looks() {
        let wants = wants(&[9, 9, 9]);
        let (mut last, mut sums) = (None, [0; 3]);
        for _ in 0..30 {
            let (grants, served) = share_out(&wants, 1, last);
            last = served;
            for (sum, grant) in sums.iter_mut().zip(grants) {
                *sum += grant;
            }
        }
        assert_eq!(sums, [10, 10, 10]);
    }
}
