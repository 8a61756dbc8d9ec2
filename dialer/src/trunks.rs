//! The trunks, and this node's share of their rates.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dialer_engine::{Admits, BUDGET, Credentials, Lent, Standing, Trunk};
use dialer_limiter::shares::Figure;
use dialer_types::{Now, TrunkId, UnixMillis};
use sqlx::Row;
use uuid::Uuid;

use crate::store::{StoreError, Stores};

/// Pause between two contacts taken to try a trunk: what became of the first is not heard of here,
/// unless the rules refused it.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Whether contacts may be taken for some trunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// No: no trunk is up, or its queue is full.
    None,
    /// One, to try this trunk, whose breaker is open: say so with [`Shares::trying`] once a contact
    /// is taken for it.
    One(TrunkId),
    /// As many as the pace allows.
    Any,
}

/// A trunk as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Configured {
    address: String,
    username: Option<String>,
    password: Option<Vec<u8>>,
    milli_cps: u64,
    max_concurrent: u32,
}

/// The trunks as read last, with what their names resolved to.
#[derive(Debug, Default)]
pub struct Trunks {
    known: BTreeMap<TrunkId, (Configured, Option<SocketAddr>)>,
    nodes: usize,
}

#[derive(Debug, Default)]
struct Rates {
    nodes: usize,
    /// The trunks' own.
    figures: BTreeMap<TrunkId, Figure>,
    /// What was lent, the shard's present shares first: it may not have heard of the others yet.
    lent: VecDeque<BTreeMap<TrunkId, Part>>,
    /// How many nodes hold a share of each trunk.
    holders: BTreeMap<TrunkId, usize>,
    /// Slots taken since the shares were last renewed.
    used: BTreeMap<TrunkId, u32>,
    /// Trunks that more calls would have been taken for.
    hungry: BTreeSet<TrunkId>,
    waiting: BTreeMap<TrunkId, i64>,
    /// As the engine said last.
    health: BTreeMap<TrunkId, Health>,
}

/// A share as this node has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    calls: u32,
    until: Instant,
}

/// What to ask for when shares are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Of which trunk.
    pub trunk: TrunkId,
    /// What the shard may be sending, calls a second.
    pub using: u32,
    /// What it has work for, calls a second.
    pub wanted: u32,
}

/// How a trunk is, as this node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// What the engine says of it.
    pub standing: Standing,
    /// Since when its breaker has been open, or not.
    pub since: UnixMillis,
    /// When one contact may be taken to try it.
    try_at: Instant,
}

/// What this node may use of each trunk: its share of the trunk's figure. Shared.
#[derive(Debug, Clone, Default)]
pub struct Shares(Arc<Mutex<Rates>>);

impl Shares {
    fn rates(&self) -> MutexGuard<'_, Rates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many nodes are alive.
    pub fn set_nodes(&self, nodes: usize) {
        self.rates().nodes = nodes;
    }

    /// How many nodes are alive, this one included.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.rates().nodes.max(1)
    }

    /// So many nodes hold shares of these trunks.
    pub fn set_holders(&self, holders: BTreeMap<TrunkId, usize>) {
        self.rates().holders = holders;
    }

    /// Among how many nodes a campaign over these trunks is divided: those that can place its calls,
    /// this one included. All that are alive until that is known.
    #[must_use]
    pub fn holders(&self, trunks: &[TrunkId]) -> usize {
        let rates = self.rates();
        let most = trunks.iter().filter_map(|trunk| rates.holders.get(trunk)).max();
        most.copied().filter(|most| *most > 0).unwrap_or(rates.nodes).max(1)
    }

    /// This node's share of a trunk, thousandths of a call per second; 0 for an unknown one.
    #[must_use]
    pub fn milli_cps(&self, trunk: TrunkId, now: Instant) -> u64 {
        self.rates().milli_cps(trunk, now)
    }

    /// A slot of a trunk was taken.
    pub fn used(&self, trunk: TrunkId) {
        *self.rates().used.entry(trunk).or_default() += 1;
    }

    /// What to ask for, for every trunk; what was counted for it begins anew. `wanted` is all there
    /// is where this share does not do, and otherwise what was used and one more.
    pub fn asks(&self, now: Instant) -> Vec<Ask> {
        let mut rates = self.rates();
        let (used, hungry) = (std::mem::take(&mut rates.used), std::mem::take(&mut rates.hungry));
        let ask = |(trunk, figure): (&TrunkId, &Figure)| {
            let parts = rates.lent.iter().filter_map(|lent| lent.get(trunk));
            let using = parts.filter(|part| now < part.until).map(|part| part.calls).max();
            let using = using.unwrap_or(0);
            // So many a second: shares are renewed twice a second.
            let used = used.get(trunk).copied().unwrap_or(0).saturating_mul(2);
            let most = figure.calls();
            let busy = hungry.contains(trunk) || used.saturating_mul(5) >= using.saturating_mul(4);
            // Nothing where there is no work: a slow trunk has one call to lend, and somebody needs it.
            let idle = used == 0 && !hungry.contains(trunk);
            let wanted = match (idle, busy) {
                (true, _) => 0,
                (false, true) => most,
                (false, false) => most.min(used + 1),
            };
            Ask { trunk: *trunk, using, wanted }
        };
        rates.figures.iter().map(ask).collect()
    }

    /// These shares are this node's until then; what to tell the shard. Say [`Shares::applied`] when
    /// it has heard.
    pub fn lend(&self, lent: &[(TrunkId, u32)], until: Instant) -> Vec<Lent> {
        let mut rates = self.rates();
        let part = |calls| Part { calls, until };
        rates.lent.push_back(lent.iter().map(|(trunk, calls)| (*trunk, part(*calls))).collect());
        let share = |(trunk, calls): &(TrunkId, u32)| {
            let milli_cps = rates.figures.get(trunk).map_or(0, |figure| figure.milli_cps(*calls));
            Lent { trunk: *trunk, milli_cps, until }
        };
        lent.iter().map(share).collect()
    }

    /// The shard goes by the shares that it was told of next.
    pub fn applied(&self) {
        let mut rates = self.rates();
        if rates.lent.len() > 1 {
            rates.lent.pop_front();
        }
    }

    /// A reservation begins (1) or ends (-1) to wait for a slot of a trunk.
    pub fn waiting(&self, trunk: TrunkId, change: i64) {
        *self.rates().waiting.entry(trunk).or_default() += change;
    }

    /// The engine says how a trunk stands. Returns whether its breaker opened or closed.
    pub fn stand(&self, trunk: TrunkId, standing: Standing, now: Now) -> bool {
        let mut rates = self.rates();
        let before = rates.health.get(&trunk);
        let turned = before.is_none_or(|before| before.standing.open != standing.open);
        let since = before.filter(|_| !turned).map_or(now.wall, |before| before.since);
        let changed = turned && (before.is_some() || standing.open);
        rates.health.insert(trunk, Health { standing, since, try_at: now.mono });
        changed
    }

    /// Every configured trunk that the engine has said something of.
    #[must_use]
    pub fn health(&self) -> BTreeMap<TrunkId, Health> {
        let rates = self.rates();
        let known = |trunk: &TrunkId| rates.figures.contains_key(trunk);
        rates.health.iter().filter(|(id, _)| known(id)).map(|(id, held)| (*id, *held)).collect()
    }

    /// Whether a campaign with these trunks can place calls now: one of them is there, its breaker
    /// is closed, and no more wait for its slots than half a second gives. Asking spends nothing.
    #[must_use]
    pub fn admit(&self, trunks: &[TrunkId], now: Instant) -> Admission {
        let mut rates = self.rates();
        let mut admission = Admission::None;
        for trunk in trunks {
            let share = rates.milli_cps(*trunk, now);
            let waiting =
                u64::try_from(rates.waiting.get(trunk).copied().unwrap_or(0)).unwrap_or(0);
            if share == 0 || waiting * 2_000 > share.max(2_000) {
                rates.hungry.insert(*trunk);
                continue;
            }
            let Some(health) = rates.health.get(trunk) else {
                return Admission::Any; // the engine answers for it
            };
            match health.standing.admits {
                Admits::Any => return Admission::Any,
                Admits::One if admission == Admission::None && health.try_at <= now => {
                    admission = Admission::One(*trunk);
                }
                Admits::One | Admits::None => {}
            }
        }
        admission
    }

    /// Whether a contact may still be taken to try this trunk.
    #[must_use]
    pub fn may_try(&self, trunk: TrunkId, now: Instant) -> bool {
        let rates = self.rates();
        let health = rates.health.get(&trunk);
        health.is_some_and(|held| held.standing.admits == Admits::One && held.try_at <= now)
    }

    /// A contact was taken to try this trunk: no other one is for the next second. A campaign that
    /// may try and has nobody due leaves the try to the others.
    pub fn trying(&self, trunk: TrunkId, now: Instant) {
        if let Some(health) = self.rates().health.get_mut(&trunk) {
            health.try_at = now + TRY_EVERY;
        }
    }

    /// The rules refused who was taken to try this trunk: somebody else may at once.
    pub fn not_tried(&self, trunk: TrunkId, now: Instant) {
        if let Some(health) = self.rates().health.get_mut(&trunk) {
            health.try_at = health.try_at.min(now);
        }
    }

    /// A trunk of this rate.
    #[cfg(test)]
    pub(crate) fn configure(&self, trunk: TrunkId, milli_cps: u64, until: Instant) {
        let figure = Figure::new(milli_cps);
        self.rates().figures.insert(trunk, figure);
        let lent: Vec<_> =
            self.rates().figures.iter().map(|(trunk, figure)| (*trunk, figure.calls())).collect();
        self.lend(&lent, until);
        self.applied();
    }
}

impl Rates {
    fn milli_cps(&self, trunk: TrunkId, now: Instant) -> u64 {
        let part = self.lent.back().and_then(|lent| lent.get(&trunk));
        let calls = part.filter(|part| now < part.until).map_or(0, |part| part.calls);
        self.figures.get(&trunk).map_or(0, |figure| figure.milli_cps(calls))
    }
}

impl Trunks {
    /// Reads the trunks; gives the engine's list if anything is another than before. The
    /// concurrency is this node's share.
    pub async fn refresh(&mut self, stores: &Stores, shares: &Shares) -> Option<Vec<Trunk>> {
        let read = match stores.postgres(configured(stores)).await {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%error, "trunks are not read");
                return None;
            }
        };
        let nodes = shares.nodes();
        let mut changed = nodes != self.nodes || read.len() != self.known.len();
        let mut known = BTreeMap::new();
        for (id, trunk) in read {
            let resolved = match self.known.remove(&id) {
                Some((held, Some(address))) if held == trunk => Some(address),
                held => {
                    let address = resolve(&trunk.address).await;
                    let same = held.is_some_and(|(held, _)| held == trunk);
                    changed |= !same || address.is_some();
                    if address.is_none() && !same {
                        tracing::error!(trunk = %id, "the address of a trunk does not resolve");
                    }
                    address
                }
            };
            known.insert(id, (trunk, resolved));
        }
        self.known = known;
        self.nodes = nodes;
        if !changed {
            return None;
        }
        let mut rates = shares.rates();
        for (id, (trunk, _)) in &self.known {
            if rates.figures.insert(*id, Figure::new(trunk.milli_cps)).is_none() {
                // A node that joins asks for its part at once.
                rates.hungry.insert(*id);
            }
        }
        rates.figures.retain(|id, _| self.known.contains_key(id));
        rates.health.retain(|id, _| self.known.contains_key(id));
        drop(rates);
        Some(self.known.iter().filter_map(|(id, known)| self.trunk(stores, *id, known)).collect())
    }

    fn trunk(
        &self,
        stores: &Stores,
        id: TrunkId,
        (trunk, address): &(Configured, Option<SocketAddr>),
    ) -> Option<Trunk> {
        let credentials = match (&trunk.username, &trunk.password) {
            (Some(username), Some(sealed)) => {
                let password = stores.keys.decrypt_secret(sealed).ok();
                let password = password.and_then(|bytes| String::from_utf8(bytes).ok());
                if password.is_none() {
                    tracing::error!(trunk = %id, "the password of a trunk cannot be opened: it is not used");
                }
                Some(Credentials { username: username.clone(), password: password? })
            }
            _ => None,
        };
        let nodes = u32::try_from(self.nodes.max(1)).unwrap_or(u32::MAX);
        Some(Trunk {
            id,
            address: (*address)?,
            credentials,
            max_concurrent: (trunk.max_concurrent / nodes).max(1),
            budget: (BUDGET / nodes).max(1),
        })
    }
}

async fn configured(stores: &Stores) -> Result<Vec<(TrunkId, Configured)>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, address, username, password, milli_cps, max_concurrent FROM trunk ORDER BY id",
    )
    .fetch_all(&stores.pool)
    .await?;
    let mut trunks = Vec::with_capacity(rows.len());
    for row in &rows {
        let (id, milli_cps, most): (Uuid, i64, i32) =
            (row.try_get(0)?, row.try_get(4)?, row.try_get(5)?);
        trunks.push((
            TrunkId(id.as_u128()),
            Configured {
                address: row.try_get(1)?,
                username: row.try_get(2)?,
                password: row.try_get(3)?,
                milli_cps: u64::try_from(milli_cps).unwrap_or(0),
                max_concurrent: u32::try_from(most).unwrap_or(0),
            },
        ));
    }
    Ok(trunks)
}

/// The first address of `host:port`.
async fn resolve(address: &str) -> Option<SocketAddr> {
    let looked = tokio::time::timeout(crate::store::PATIENCE, tokio::net::lookup_host(address));
    looked.await.ok()?.ok()?.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
    fn a_share_ends_with_its_lease_and_its_queue_is_bounded() {
        let (shares, trunk, now) = (Shares::default(), TrunkId(1), Instant::now());
        let until = now + Duration::from_secs(3);
        assert_eq!(shares.admit(&[trunk], now), Admission::None, "an unknown trunk");
        shares.configure(trunk, 30_000, now);
        assert_eq!(shares.milli_cps(trunk, now), 0, "lapsed");
        let told = shares.lend(&[(trunk, 10)], until);
        assert_eq!(told, [Lent { trunk, milli_cps: 10_000, until }]);
        assert_eq!(shares.milli_cps(trunk, now), 10_000);
        assert_eq!(shares.admit(&[trunk], now), Admission::Any);
        assert_eq!(shares.admit(&[], now), Admission::None);
        shares.waiting(trunk, 6);
        assert_eq!(shares.admit(&[trunk], now), Admission::None, "half a second of ten is five");
        shares.waiting(trunk, -1);
        assert_eq!(shares.admit(&[trunk], now), Admission::Any);
        assert_eq!(shares.admit(&[trunk], until), Admission::None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
    fn a_node_asks_by_what_its_shard_may_be_sending_and_by_its_work() {
        let (shares, trunk, now) = (Shares::default(), TrunkId(1), Instant::now());
        let until = now + Duration::from_secs(3);
        shares.configure(trunk, 30_000, now);
        let ask = |shares: &Shares| {
            let ask = shares.asks(now).into_iter().next().unwrap();
            (ask.using, ask.wanted)
        };
        assert_eq!(ask(&shares), (0, 0), "no work");
        assert_eq!(shares.admit(&[trunk], now), Admission::None);
        assert_eq!(ask(&shares), (0, 30), "work, and no share");
        shares.lend(&[(trunk, 10)], until);
        assert_eq!(ask(&shares), (10, 0), "on its way to the shard: it counts already; no work");
        shares.applied();
        (0..2).for_each(|_| shares.used(trunk));
        assert_eq!(ask(&shares), (10, 5), "two in half a second, and one more");
        (0..4).for_each(|_| shares.used(trunk));
        assert_eq!(ask(&shares), (10, 30), "nearly all of it");
        shares.lend(&[(trunk, 4)], until);
        assert_eq!(ask(&shares), (10, 0), "until the shard has heard");
        shares.applied();
        assert_eq!(ask(&shares), (4, 0));
        shares.waiting(trunk, 6);
        assert_eq!(shares.admit(&[trunk], now), Admission::None);
        assert_eq!(ask(&shares), (4, 30), "more contacts would have been taken");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
    fn contacts_are_taken_as_the_engine_says_the_trunks_stand() {
        let (shares, one, two, start) = (Shares::default(), TrunkId(1), TrunkId(2), Instant::now());
        let until = start + Duration::from_secs(60);
        shares.configure(one, 10_000, until);
        shares.configure(two, 10_000, until);
        let at = |ms: u64| Now {
            wall: UnixMillis(i64::try_from(ms).unwrap()),
            mono: start + Duration::from_millis(ms),
        };
        let standing = |admits, open| Standing { admits, open, reason: "x" };
        assert!(!shares.stand(one, standing(Admits::Any, false), at(0)), "it begins so");
        assert!(shares.stand(one, standing(Admits::None, true), at(10)));
        assert_eq!(shares.admit(&[one], at(20).mono), Admission::None);
        assert_eq!(shares.admit(&[one, two], at(20).mono), Admission::Any, "there is another");
        assert!(!shares.stand(one, standing(Admits::One, true), at(30)), "still open");
        assert_eq!(shares.health().get(&one).unwrap().since, UnixMillis(10));
        assert_eq!(shares.admit(&[one], at(30).mono), Admission::One(one));
        assert_eq!(shares.admit(&[one], at(31).mono), Admission::One(one), "nobody was due");
        shares.trying(one, at(31).mono);
        assert_eq!(shares.admit(&[one], at(32).mono), Admission::None, "one at a time");
        assert_eq!(
            shares.admit(&[one], at(1_031).mono),
            Admission::One(one),
            "the rules denied it"
        );
        assert!(shares.stand(one, standing(Admits::Any, false), at(1_100)));
        assert_eq!(shares.admit(&[one], at(1_100).mono), Admission::Any);
        shares.rates().figures.remove(&one);
        assert!(shares.health().is_empty(), "a trunk that is gone");
    }
}
