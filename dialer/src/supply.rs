//! Licences and counters, which concern a whole seller: what waits for one is woken when it comes.
//! (Wishes and look-ups move the heads of whom they concern, and the API wakes those at once.)

use std::{sync::Arc, time::Duration};

use dialer_types::UnixMillis;
use sqlx::Row;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{StoreError, Stores};

/// How often is looked for what came.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long after an event is woken: a contact that was judged before it may be parked only when
/// its denial has waited for Postgres.
const WAKE_FOR: Duration = Duration::from_secs(30);
/// Who was judged so long after an event was recorded may still have been judged without it: it is
/// recorded a moment before it can be read, reading takes a moment, and clocks agree within a second.
const ON_OLD: Duration = Duration::from_secs(4);

/// Something that came: what waits for it, of which seller, and since when it is there.
#[derive(Debug)]
struct Came {
    cause: String,
    seller: Uuid,
    at: UnixMillis,
}

/// Wakes until the end. What came while no dialer ran is woken at the start (`lists::watch`).
pub async fn watch(stores: Arc<Stores>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Err(error) = stores.wake_supplied().await {
            tracing::debug!(%error, "contacts that wait for licences or counters are not woken yet");
        }
    }
}

impl Stores {
    /// Moves the contacts that wait for a licence or a counter which came lately back to `due`.
    ///
    /// # Errors
    /// If Postgres is not there or slow; what was woken so far stays awake.
    pub async fn wake_supplied(&self) -> Result<(), StoreError> {
        let since = self.clock.now().wall.before(WAKE_FOR);
        for came in self.postgres(self.supplied_since(since)).await? {
            self.wake_of(&came.cause, Some(came.seller), came.at.after(ON_OLD)).await?;
        }
        Ok(())
    }

    async fn supplied_since(&self, since: UnixMillis) -> Result<Vec<Came>, StoreError> {
        let rows = sqlx::query(
            "SELECT 'licence:' || licence, seller_id, max(recorded_at) FROM licence_event
             WHERE recorded_at > $1 GROUP BY licence, seller_id
             UNION ALL
             SELECT 'counter:' || counter, seller_id, max(recorded_at) FROM counter_event
             WHERE recorded_at > $1 GROUP BY counter, seller_id",
        )
        .bind(since.0)
        .fetch_all(&self.pool)
        .await?;
        let came = |row| {
            Ok(Came {
                cause: Row::try_get(row, 0)?,
                seller: Row::try_get(row, 1)?,
                at: UnixMillis(Row::try_get(row, 2)?),
            })
        };
        rows.iter().map(came).collect()
    }
}
