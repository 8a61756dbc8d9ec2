//! Who is called next: takes contacts that are due, at the pace of their campaigns, fairly.

mod loads;
mod paces;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use dialer_engine::{Input, Order};
pub use loads::Loads;
use paces::Paces;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    campaigns::{Campaigns, Running},
    inbox::Inbox,
    metrics::gauge_value,
    outbox::Pressure,
    store::{
        Stores,
        ledgers::Item,
        take::{Take, Taken},
    },
    trunks::Shares,
};

/// The longest between two looks, and how long a campaign with nothing due is left alone.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The shortest between two looks.
const TICK: Duration = Duration::from_millis(10);

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
    /// How full the stores' queues are.
    pub pressure: Pressure,
    /// Most contacts in the shard at once: its media ports.
    pub most: usize,
}

impl Scheduler {
    /// Takes contacts until the end.
    pub async fn run(self, stop: CancellationToken) {
        let mut paces = Paces::new();
        loop {
            let commits = gauge_value(self.pressure.commits());
            self.stores.metrics.commit_queue.set(commits);
            let next = if !self.pressure.has_room() {
                // A store is slow: what is under way comes first.
                self.stores.metrics.held_back.inc();
                self.stores.clock.now().mono
            } else if self.stores.gate.is_open() {
                self.look(&mut paces).await
            } else {
                paces.clear();
                self.stores.clock.now().mono + LOOK_EVERY
            };
            let wait = next.saturating_duration_since(self.stores.clock.now().mono);
            let wait = wait.clamp(TICK, LOOK_EVERY);
            let looks = async {
                tokio::time::sleep(TICK).await;
                // A refusal makes room for somebody else before the pace does.
                let rest = tokio::time::sleep(wait.saturating_sub(TICK));
                tokio::select! {
                    () = self.loads.refusal() => {}
                    () = rest => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = looks => {}
            }
        }
    }

    /// Looks once at every campaign; returns when to look again.
    async fn look(&self, paces: &mut Paces) -> Instant {
        let now = self.stores.clock.now().mono;
        let running = self.campaigns.load_full();
        let (wants, next) = paces.plan(&running, &self.shares, &self.loads, self.most, now);
        for want in wants {
            let Some(campaign) = running.get(&want.campaign) else { continue };
            if paces.may_take(&want, &self.shares, now) {
                let used = self.take(campaign, want.launches, now).await;
                paces.took(&want, used, &self.shares, now);
            }
        }
        next
    }

    /// Takes up to `grant` contacts, granted at `now`, and hands them to the shard; returns how many.
    async fn take(&self, campaign: &Running, grant: u32, now: Instant) -> u32 {
        match self.stores.take(campaign.terms.id, grant).await {
            Ok(Take::Done(taken)) => {
                let count = u32::try_from(taken.len()).unwrap_or(u32::MAX);
                self.stores.metrics.taken.inc_by(u64::from(count));
                for taken in taken {
                    self.loads.begin(campaign.terms.id, taken.attempt, now);
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
