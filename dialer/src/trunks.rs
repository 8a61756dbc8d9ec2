//! The trunks, and this node's share of their rates.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dialer_engine::{Credentials, Trunk};
use dialer_types::TrunkId;
use sqlx::Row;
use uuid::Uuid;

use crate::store::{StoreError, Stores};

/// How long an open breaker is left alone before one call may try (the engine's own pause).
const OPEN_FOR: Duration = Duration::from_secs(30);
/// Pause between two such tries.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// Whether contacts may be taken for some trunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// No: no trunk is up, or its queue is full.
    None,
    /// One, to try a trunk whose breaker is open.
    One,
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
    milli_cps: BTreeMap<TrunkId, u64>,
    waiting: BTreeMap<TrunkId, i64>,
    /// Breakers that are open, and when one call may try.
    open: BTreeMap<TrunkId, Instant>,
}

/// What this node may use of each trunk: the trunk's figure divided by the live nodes. Shared.
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

    /// This node's share of a trunk, thousandths of a call per second; 0 for an unknown one.
    #[must_use]
    pub fn milli_cps(&self, trunk: TrunkId) -> u64 {
        let rates = self.rates();
        let whole = rates.milli_cps.get(&trunk).copied().unwrap_or(0);
        whole / u64::try_from(rates.nodes.max(1)).unwrap_or(1)
    }

    /// A reservation begins (1) or ends (-1) to wait for a slot of a trunk.
    pub fn waiting(&self, trunk: TrunkId, change: i64) {
        *self.rates().waiting.entry(trunk).or_default() += change;
    }

    /// A trunk's breaker opened or closed.
    pub fn set_open(&self, trunk: TrunkId, open: bool, now: Instant) {
        if open {
            self.rates().open.insert(trunk, now + OPEN_FOR);
        } else {
            self.rates().open.remove(&trunk);
        }
    }

    /// Whether a campaign with these trunks can place calls now: one of them is there, its breaker
    /// is closed, and no more wait for its slots than half a second gives.
    #[must_use]
    pub fn admit(&self, trunks: &[TrunkId], now: Instant) -> Admission {
        let mut rates = self.rates();
        let nodes = u64::try_from(rates.nodes.max(1)).unwrap_or(1);
        let mut admission = Admission::None;
        for trunk in trunks {
            let share = rates.milli_cps.get(trunk).copied().unwrap_or(0) / nodes;
            let waiting =
                u64::try_from(rates.waiting.get(trunk).copied().unwrap_or(0)).unwrap_or(0);
            if share == 0 || waiting * 2_000 > share.max(2_000) {
                continue;
            }
            match rates.open.get_mut(trunk) {
                None => return Admission::Any,
                Some(try_at) if *try_at <= now => {
                    *try_at = now + TRY_EVERY;
                    admission = Admission::One;
                }
                Some(_) => {}
            }
        }
        admission
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
        shares.rates().milli_cps =
            self.known.iter().map(|(id, (trunk, _))| (*id, trunk.milli_cps)).collect();
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
        let share = trunk.max_concurrent / u32::try_from(self.nodes.max(1)).unwrap_or(1);
        Some(Trunk { id, address: (*address)?, credentials, max_concurrent: share.max(1) })
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

impl Stores {
    /// Writes down a trunk's breaker, for "stalled: no trunk".
    ///
    /// # Errors
    /// If Postgres refuses or is not there.
    pub async fn trunk_changed(
        &self,
        trunk: TrunkId,
        open: bool,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.postgres(async {
            sqlx::query(
                "INSERT INTO trunk_state (node, trunk_id, open, reason, since) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (node, trunk_id)
                 DO UPDATE SET open = $3, reason = $4, since = $5",
            )
            .bind(Uuid::from_u128(self.node.0))
            .bind(Uuid::from_u128(trunk.0))
            .bind(open)
            .bind(reason)
            .bind(self.clock.now().wall.0)
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
    fn a_share_is_the_trunks_rate_over_the_live_nodes_and_its_queue_is_bounded() {
        let (shares, trunk, now) = (Shares::default(), TrunkId(1), Instant::now());
        assert_eq!(shares.admit(&[trunk], now), Admission::None, "an unknown trunk");
        shares.rates().milli_cps.insert(trunk, 30_000);
        assert_eq!(shares.milli_cps(trunk), 30_000);
        shares.set_nodes(3);
        assert_eq!(shares.milli_cps(trunk), 10_000);
        assert_eq!(shares.admit(&[trunk], now), Admission::Any);
        assert_eq!(shares.admit(&[], now), Admission::None);
        shares.waiting(trunk, 6);
        assert_eq!(shares.admit(&[trunk], now), Admission::None, "half a second of ten is five");
        shares.waiting(trunk, -1);
        assert_eq!(shares.admit(&[trunk], now), Admission::Any);
        shares.set_open(trunk, true, now);
        assert_eq!(shares.admit(&[trunk], now), Admission::None);
        let later = now + OPEN_FOR;
        assert_eq!(shares.admit(&[trunk], later), Admission::One);
        assert_eq!(shares.admit(&[trunk], later), Admission::None, "one at a time");
        shares.set_open(trunk, false, later);
        assert_eq!(shares.admit(&[trunk], later), Admission::Any);
    }
}
