//! Reserving: a send slot of the trunk, then Redis.
//!
//! Order of charging (DESIGN section 4, *Rates*): judge, slot, reserve, commit. Each trunk has one
//! queue, so its slots go out in the order they were asked for and nobody starves.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use dialer_engine::{Answer, Conflict, Input};
use dialer_limiter::{Demand, Reservation};
use dialer_types::TrunkId;
use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock as _, DefaultClock},
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::{PATIENCE, Stores};
use crate::{batch, inbox::Inbox, trunks::Shares};

/// Reservations that may wait for a slot of one trunk: as many as wishes may wait.
const ROOM: usize = crate::outbox::WISH_ROOM;
/// Batches of reservations at Redis at once: one is on its way while the other is answered.
const IN_FLIGHT: usize = 2;
/// Slots given out at once make up for timers that wake a little late.
const SLACK: Duration = Duration::from_millis(10);

/// What the engine asked for.
#[derive(Debug)]
pub struct Wish {
    /// By which trunk.
    pub trunk: TrunkId,
    /// For what.
    pub demand: Arc<Demand>,
}

/// A demand that waits for a slot, and since when.
type Waiting = (Arc<Demand>, Instant);

/// Serves wishes until nobody can make one any more.
pub async fn serve(
    stores: Arc<Stores>,
    mut wishes: mpsc::Receiver<Wish>,
    shares: Shares,
    inbox: Inbox,
    tasks: TaskTracker,
) {
    let mut lines: BTreeMap<TrunkId, mpsc::Sender<Waiting>> = BTreeMap::new();
    let (slotted, queue) = mpsc::channel(batch::MOST);
    tasks.spawn(ask(Arc::clone(&stores), queue, inbox.clone(), tasks.clone()));
    while let Some(wish) = wishes.recv().await {
        let line = lines.entry(wish.trunk).or_insert_with(|| {
            let (sender, queue) = mpsc::channel(ROOM);
            let line = Line {
                stores: Arc::clone(&stores),
                trunk: wish.trunk,
                shares: shares.clone(),
                inbox: inbox.clone(),
                slotted: slotted.clone(),
            };
            tasks.spawn(line.serve(queue));
            sender
        });
        shares.waiting(wish.trunk, 1);
        if let Err(refused) = line.try_send((wish.demand, stores.clock.now().mono)) {
            shares.waiting(wish.trunk, -1);
            let placement = refused.into_inner().0.placement();
            inbox.send(Input::Reserved(placement, Answer::Unavailable)).await;
        }
    }
}

/// Asks Redis for those that have their slot, as many as have come at once.
async fn ask(
    stores: Arc<Stores>,
    mut slotted: mpsc::Receiver<Waiting>,
    inbox: Inbox,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    while let Some((waiting, permit)) = batch::collect_for(&mut slotted, &room).await {
        let (stores, inbox) = (Arc::clone(&stores), inbox.clone());
        // Redis was slow: nobody waits for these any more, and a grant would only be in the way.
        let now = stores.clock.now().mono;
        let in_time = |since: Instant| now.saturating_duration_since(since) < PATIENCE;
        let (waiting, late): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(_, since)| in_time(*since));
        for (demand, _) in late {
            inbox.send(Input::Reserved(demand.placement(), Answer::Unavailable)).await;
        }
        let demands: Vec<_> = waiting.into_iter().map(|(demand, _)| demand).collect();
        tasks.spawn(async move {
            let _room = permit;
            let answers = stores.reserve(&demands).await;
            for (demand, answer) in demands.iter().zip(answers) {
                inbox.send(Input::Reserved(demand.placement(), answer)).await;
            }
        });
    }
}

struct Line {
    stores: Arc<Stores>,
    trunk: TrunkId,
    shares: Shares,
    inbox: Inbox,
    slotted: mpsc::Sender<Waiting>,
}

impl Line {
    async fn serve(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut slots = Slots::default();
        while let Some((demand, since)) = queue.recv().await {
            let share = || self.shares.milli_cps(self.trunk, self.stores.clock.now().mono);
            let slot = slots.take(share);
            // The engine gives up soon after that: a slot would be taken for nothing.
            let waited = self.stores.clock.now().mono.saturating_duration_since(since);
            let slot = tokio::time::timeout(PATIENCE.saturating_sub(waited), slot).await;
            self.shares.waiting(self.trunk, -1);
            let waited = self.stores.clock.now().mono.saturating_duration_since(since);
            let step = self.stores.metrics.step_seconds.with_label_values(&["slot"]);
            step.observe(waited.as_secs_f64());
            if slot.is_err() {
                let placement = demand.placement();
                self.inbox.send(Input::Reserved(placement, Answer::Unavailable)).await;
                continue;
            }
            self.shares.used(self.trunk);
            if self.slotted.send((demand, since)).await.is_err() {
                return;
            }
        }
    }
}

/// The send slots of one trunk on this node.
#[derive(Default)]
struct Slots {
    milli_cps: u64,
    limiter: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
}

impl Slots {
    /// Waits for a slot at the share that holds at each look.
    async fn take(&mut self, share: impl Fn() -> u64) {
        loop {
            self.follow(share());
            let wait = match self.limiter.as_ref().map(DefaultDirectRateLimiter::check) {
                Some(Ok(())) => return,
                Some(Err(until)) => until.wait_time_from(self.clock.now()),
                None => Duration::from_millis(100),
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Makes the limiter anew where the share has changed; what was used before is forgotten only
    /// within the slack, because a new limiter starts with one slot at most taken away.
    fn follow(&mut self, milli_cps: u64) {
        if self.milli_cps == milli_cps {
            return;
        }
        self.milli_cps = milli_cps;
        self.limiter = quota(milli_cps).map(|quota| {
            let limiter = DefaultDirectRateLimiter::direct(quota);
            // A changed share does not begin with a burst.
            while limiter.check().is_ok() {}
            limiter
        });
    }
}

/// A slot each `1 / rate` seconds; as many at once as [`SLACK`] would have given.
fn quota(milli_cps: u64) -> Option<Quota> {
    let nanos = 1_000_000_000_000_u64.checked_div(milli_cps)?;
    let period = Duration::from_nanos(nanos.max(1));
    let burst = u32::try_from(SLACK.as_nanos() / period.as_nanos().max(1)).unwrap_or(u32::MAX);
    let burst = NonZeroU32::new(burst.max(1)).unwrap_or(NonZeroU32::MIN);
    Some(Quota::with_period(period)?.allow_burst(burst))
}

impl Stores {
    /// Reserves in Redis, in this order.
    pub async fn reserve(
        &self,
        demands: &[Arc<Demand>],
    ) -> Vec<Answer<Result<Reservation, Conflict>>> {
        let timer = self.metrics.step("reserve");
        let answers = self.redis(dialer_stores::reserve_each(&self.redis, demands)).await;
        drop(timer);
        let Ok(answers) = answers else {
            return demands.iter().map(|_| Answer::Unavailable).collect();
        };
        let said = |reservation: Option<Reservation>| {
            Answer::Given(reservation.ok_or_else(|| {
                self.metrics.reserve_conflicts.inc();
                Conflict
            }))
        };
        answers.into_iter().map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_has_the_rate_of_the_share_and_a_burst_of_ten_milliseconds() {
        for (milli_cps, period_ms, burst) in
            [(1_000, 1_000, 1), (50_000, 20, 1), (1_000_000, 1, 10)]
        {
            let quota = quota(milli_cps).unwrap();
            assert_eq!(quota.replenish_interval(), Duration::from_millis(period_ms), "{milli_cps}");
            assert_eq!(quota.burst_size().get(), burst, "{milli_cps}");
        }
        assert!(quota(0).is_none());
    }
}
