//! The national lists of a running dialer: read again as they change, and what waits for them woken.

use std::{sync::Arc, time::Duration};

use dialer_facts::lists::Folder;
use dialer_types::UnixMillis;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    store::{PATIENCE, Stores},
};

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

fn show_ages(folder: &Folder, metrics: &Metrics, now: UnixMillis) {
    let today = chrono::DateTime::from_timestamp_millis(now.0).map(|at| at.date_naive());
    for list in folder.lists().load().values() {
        if let Some(today) = today {
            metrics.list_age.with_label_values(&[&list.id]).set((today - list.as_of).num_days());
        }
    }
}

/// Looks at the folder until the end; wakes the contacts that wait for a list that came.
pub async fn watch(mut folder: Folder, stores: Arc<Stores>, stop: CancellationToken) {
    // What came while no dialer ran counts as changed, too.
    let mut waking: Vec<Arc<str>> = folder.lists().load().keys().map(Arc::clone).collect();
    loop {
        show_ages(&folder, &stores.metrics, stores.clock.now().wall);
        let mut later = Vec::new();
        for list in waking.drain(..) {
            if let Err(error) = stores.wake(&format!("list:{list}")).await {
                tracing::warn!(%list, %error, "contacts that wait for a list are not woken yet");
                later.push(list);
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let looked = tokio::task::spawn_blocking(move || {
            let changed = folder.look();
            (folder, changed)
        });
        let Ok((back, changed)) = looked.await else { return };
        folder = back;
        later.extend(changed);
        waking = later;
    }
}

/// Contacts woken by one statement.
const WAKE_AT_ONCE: i64 = 1_000;

impl Stores {
    /// Moves the contacts that are parked under `cause` back to `due`.
    ///
    /// # Errors
    /// If Postgres is not there; what was woken so far stays awake.
    pub async fn wake(&self, cause: &str) -> Result<(), crate::store::StoreError> {
        loop {
            let woken = sqlx::query(
                "WITH woken AS (
                     DELETE FROM parked WHERE contact_id IN (
                         SELECT contact_id FROM parked WHERE cause = $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
                     RETURNING contact_id, campaign_id),
                 moved AS (
                     UPDATE contact c SET state = 2, node = NULL FROM woken w
                     WHERE c.id = w.contact_id AND c.state = 4 RETURNING c.id)
                 INSERT INTO due (contact_id, campaign_id, due_at, because)
                 SELECT w.contact_id, w.campaign_id, $3, $1 FROM woken w JOIN moved m ON m.id = w.contact_id
                 ON CONFLICT (contact_id) DO NOTHING",
            )
            .bind(cause)
            .bind(WAKE_AT_ONCE)
            .bind(self.clock.now().wall.0)
            .execute(&self.pool);
            let woken = tokio::time::timeout(PATIENCE * 5, woken)
                .await
                .map_err(|_| crate::store::StoreError::Late)??;
            if woken.rows_affected() == 0 {
                return Ok(());
            }
        }
    }
}
