//! Messages of the other processes, through Redis: a campaign or a trunk was changed. A hint only:
//! what changed is found out within a second without it.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, StoreError, Stores};
use crate::{
    clock::{NODE_BOUND, apart},
    gate::Need,
};

/// A campaign or trunk was changed.
pub const CAMPAIGN: &str = "rf:campaign";
/// Pause before the next attempt to subscribe.
const PAUSE: Duration = Duration::from_millis(200);

/// Listens until the end.
pub async fn serve(stores: Arc<Stores>, reload: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            heard = listen(&stores, &reload) => {
                if let Err(error) = heard {
                    tracing::debug!(%error, "the subscription is away");
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(stores: &Stores, reload: &Notify) -> Result<(), StoreError> {
    let connect = async {
        let mut subscription = stores.redis.subscription().await?;
        subscription.subscribe(CAMPAIGN).await?;
        Ok::<_, StoreError>(subscription)
    };
    let subscription =
        tokio::time::timeout(PATIENCE, connect).await.unwrap_or(Err(StoreError::Late))?;
    reload.notify_one();
    let (mut sink, mut messages) = subscription.split();
    loop {
        tokio::select! {
            message = messages.next() => {
                if message.is_none() {
                    return Err(StoreError::Late);
                }
                reload.notify_one();
            }
            // A connection that died without a word is found out by asking.
            () = tokio::time::sleep(PATIENCE / 2) => {
                tokio::time::timeout(PATIENCE, sink.ping::<redis::Value>())
                    .await
                    .map_err(|_| StoreError::Late)??;
            }
        }
    }
}

/// Asks both stores whether they are there, until the end.
pub async fn probe(stores: Arc<Stores>, stop: CancellationToken) {
    loop {
        let redis = stores.redis(async { Ok(stores.redis.probe().await?) }).await;
        stores.gate.report(Need::Redis, redis.is_ok());
        stores.redis_clock().await;
        let postgres = stores
            .postgres(async {
                sqlx::query("SELECT 1").execute(&stores.pool).await?;
                Ok(())
            })
            .await;
        stores.gate.report(Need::Postgres, postgres.is_ok());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE * 2) => {}
        }
    }
}

impl Stores {
    /// Compares Redis's clock with this node's. Reservations lapse by it.
    async fn redis_clock(&self) {
        let unmoved = |now: dialer_types::Now| {
            dialer_types::UnixMillis(now.wall.0.saturating_sub(self.clock.offset_ms()))
        };
        let asked = unmoved(self.clock.now());
        let Ok(theirs) = self.redis(async { Ok(self.redis.time().await?) }).await else { return };
        let apart = apart(theirs, asked, unmoved(self.clock.now()));
        if apart > NODE_BOUND && self.gate.met(Need::RedisClock) {
            tracing::error!(
                apart_ms = apart.as_millis(),
                "Redis's clock is not this node's: nothing is placed until they agree; see to NTP on both"
            );
        }
        self.gate.report(Need::RedisClock, apart <= NODE_BOUND);
    }
}
