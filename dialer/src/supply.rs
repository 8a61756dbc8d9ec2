//! Licences and counters, which concern a whole seller: what waits for one is woken when it comes.
//! (Wishes and look-ups move the heads of whom they concern, and the API wakes those at once.)

use std::{sync::Arc, time::Duration};

use dialer_types::UnixMillis;
use sqlx::Row;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{PATIENCE, StoreError, Stores};

/// How often is looked for what came.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long after an event is woken: a contact that was judged before it may be parked only when
/// its denial has waited for Postgres.
const WAKE_FOR: Duration = Duration::from_secs(30);
/// Who was judged so long after an event was recorded may still have been judged without it: it is
/// recorded a moment before it can be read, reading takes a moment, and clocks agree within a second.
const ON_OLD: Duration = Duration::from_secs(4);
/// Contacts woken by one statement.
const WAKE_AT_ONCE: i64 = 1_000;

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
            let judged = came.at.after(ON_OLD);
            while self.wake_some(&came, judged).await? > 0 {}
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

    async fn wake_some(&self, came: &Came, judged: UnixMillis) -> Result<u64, StoreError> {
        let woken = sqlx::query(
            "WITH woken AS (
                 DELETE FROM parked WHERE contact_id IN (
                     SELECT contact_id FROM parked WHERE cause = $1 AND since <= $4
                         AND campaign_id IN (SELECT id FROM campaign WHERE seller_id = $5)
                     LIMIT $2 FOR UPDATE SKIP LOCKED)
                 RETURNING contact_id, campaign_id),
             moved AS (
                 UPDATE contact c SET state = 2, node = NULL FROM woken w
                 WHERE c.id = w.contact_id AND c.state = 4 RETURNING c.id)
             INSERT INTO due (contact_id, campaign_id, due_at, because)
             SELECT w.contact_id, w.campaign_id, $3, $1 FROM woken w JOIN moved m ON m.id = w.contact_id
             ON CONFLICT (contact_id) DO NOTHING",
        )
        .bind(&came.cause)
        .bind(WAKE_AT_ONCE)
        .bind(self.clock.now().wall.0)
        .bind(judged.0)
        .bind(came.seller)
        .execute(&self.pool);
        let woken =
            tokio::time::timeout(PATIENCE * 5, woken).await.map_err(|_| StoreError::Late)??;
        Ok(woken.rows_affected())
    }
}
