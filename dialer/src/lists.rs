//! The national lists of a running dialer: read again as they change, and what waits for them woken.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
    let held = folder.lists().load_full();
    for list in held.values() {
        metrics.show_list(&list.id, list.as_of, now);
    }
    let ids: Vec<&str> = held.values().map(|list| &*list.id).collect();
    metrics.keep_lists(&ids);
    metrics.show_feed(held.emergency.as_ref().map(|feed| feed.as_of), now);
}

/// How many looks long a change wakes: a contact that was judged on the old copy may be parked only
/// after the first waking, when its denial has waited for Postgres.
const WAKE_FOR: u8 = 30;
/// Who was judged so long after a change may still have been judged on the old copy: what is read
/// before a judgement takes less, and clocks agree within a second.
const ON_OLD: Duration = Duration::from_secs(2);

/// What is being woken: since when, and for how many more looks.
#[derive(Debug, Clone, Copy)]
struct Waking {
    changed: UnixMillis,
    left: u8,
}

/// Looks at the folder until the end; wakes the contacts that wait for a list or feed that came,
/// and once those that wait for other rules or another build: this process may have them.
pub async fn watch(mut folder: Folder, stores: Arc<Stores>, stop: CancellationToken) {
    // What came while no dialer ran counts as changed, too.
    let now = || stores.clock.now().wall;
    let change = |left| Waking { changed: now(), left };
    let mut waking: BTreeMap<String, Waking> =
        folder.lists().load().causes().into_iter().map(|it| (it, change(WAKE_FOR))).collect();
    let mut started = false;
    loop {
        show_ages(&folder, &stores.metrics, now());
        if !started {
            match stores.parked_for_a_start().await {
                Ok(causes) => {
                    waking.extend(causes.into_iter().map(|cause| (cause, change(1))));
                    started = true;
                }
                Err(error) => {
                    tracing::warn!(%error, "contacts that wait for other rules are not woken yet");
                }
            }
        }
        for (cause, Waking { changed, left }) in &mut waking {
            match stores.wake(cause, changed.after(ON_OLD)).await {
                Ok(()) => *left -= 1,
                Err(error) => {
                    tracing::warn!(%cause, %error, "contacts that wait for it are not woken yet");
                }
            }
        }
        waking.retain(|_, waking| waking.left > 0);
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
        waking.extend(changed.into_iter().map(|cause| (cause, change(WAKE_FOR))));
    }
}

/// Contacts woken by one statement.
const WAKE_AT_ONCE: i64 = 1_000;

impl Stores {
    /// The causes that a start may have changed: the rules, and what the build can do.
    async fn parked_for_a_start(&self) -> Result<Vec<String>, crate::store::StoreError> {
        let read = sqlx::query_scalar(
            "SELECT DISTINCT cause FROM parked WHERE cause IN ('pack', 'wishes')
                 OR cause LIKE ANY ('{obligation:%,check:%,licence:%,counter:%}')",
        )
        .fetch_all(&self.pool);
        let read = tokio::time::timeout(PATIENCE * 5, read).await;
        Ok(read.map_err(|_| crate::store::StoreError::Late)??)
    }

    /// Moves the contacts that are parked under `cause`, and were judged until `judged`, back to
    /// `due`.
    ///
    /// # Errors
    /// If Postgres is not there; what was woken so far stays awake.
    pub async fn wake(
        &self,
        cause: &str,
        judged: UnixMillis,
    ) -> Result<(), crate::store::StoreError> {
        loop {
            let woken = sqlx::query(
                "WITH woken AS (
                     DELETE FROM parked WHERE contact_id IN (
                         SELECT contact_id FROM parked WHERE cause = $1 AND since <= $4
                         LIMIT $2 FOR UPDATE SKIP LOCKED)
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
            .bind(judged.0)
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
