//! Messages of the other processes, through Redis: a campaign or a trunk was changed. A hint only:
//! what changed is found out within a second without it.

use std::{sync::Arc, time::Duration};

pub use dialer_stores::CAMPAIGN;
use dialer_types::{Now, UnixMillis};
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, StoreError, Stores, postgres};
use crate::{
    clock::{NODE_BOUND, apart},
    gate::Need,
};

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
    let moves = stores.redis.moves();
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
                // Another server is the one to listen to: this one may be cut off from it.
                if stores.redis.moves() != moves {
                    return Err(StoreError::Late);
                }
            }
        }
    }
}

/// Asks both stores whether they are there, until the end.
pub async fn probe(stores: Arc<Stores>, stop: CancellationToken) {
    let mut retired = false;
    loop {
        let redis = stores.redis(stores.redis.probe()).await;
        stores.gate.report(Need::Redis, redis.is_ok());
        stores.redis_clock().await;
        stores.metrics.redis_full.set(i64::from(stores.redis.is_out_of_memory()));
        let asked = stores.postgres(async { Ok(postgres::probe(&stores.pool).await?) }).await;
        if let Ok(Err(oldest)) = asked
            && !retired
        {
            tracing::error!(
                oldest,
                ours = schema::VERSION,
                "a migration has retired this release: start a newer one"
            );
            retired = true;
        }
        stores.gate.report(Need::Postgres, matches!(asked, Ok(Ok(()))));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE * 2) => {}
        }
    }
}

impl Stores {
    /// Compares Redis's clock with this node's. Reservations lapse by it.
    async fn redis_clock(&self) {
        let unmoved = |now: Now| UnixMillis(now.wall.0.saturating_sub(self.clock.offset_ms()));
        let asked = unmoved(self.clock.now());
        let Ok(times) = self.redis(self.redis.times()).await else { return };
        let answered = unmoved(self.clock.now());
        let apart = times.into_iter().map(|theirs| apart(theirs, asked, answered)).max();
        let apart = apart.unwrap_or_default();
        if apart > NODE_BOUND && self.gate.met(Need::RedisClock) {
            tracing::error!(
                apart_ms = apart.as_millis(),
                "Redis's clock is not this node's: nothing is placed until they agree; see to NTP on both"
            );
        }
        self.gate.report(Need::RedisClock, apart <= NODE_BOUND);
    }
}
