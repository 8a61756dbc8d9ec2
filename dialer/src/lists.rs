//! The national lists of a running dialer: read again as they change, and what waits for them woken.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::NaiveDate;
use dialer_facts::lists::Folder;
use dialer_types::UnixMillis;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    metrics::{LISTS, Metrics, gauge_value},
    store::{PATIENCE, Stores},
};

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// For how long before a list goes stale the log says so once a day.
const WARN_BEFORE: i64 = 7 * DAY;
/// Seconds.
const DAY: i64 = 86_400;

/// The lists that were warned of, and on which day: days since 1970.
#[derive(Debug, Default)]
struct Warned(BTreeMap<String, i64>);

impl Warned {
    /// Whether a list of which `fresh` seconds are left is to be warned of now: once a day, and
    /// again at once when it has gone stale or a copy came that is old, too.
    fn is_due(&mut self, list: &str, as_of: NaiveDate, fresh: i64, now: UnixMillis) -> bool {
        if fresh >= WARN_BEFORE {
            return false;
        }
        let key = format!("{list} {as_of} {}", fresh <= 0);
        let day = now.0.div_euclid(DAY * 1_000);
        // What was said of other days is not asked for again.
        self.0.retain(|_, said| *said == day);
        self.0.insert(key, day).is_none()
    }
}

fn show_ages(folder: &Folder, metrics: &Metrics, warned: &mut Warned, now: UnixMillis) {
    let held = folder.lists().load_full();
    for list in held.values() {
        let Some(fresh) = metrics.show_list(&list.id, list.as_of, now) else { continue };
        if warned.is_due(&list.id, list.as_of, fresh, now) {
            let (list, as_of, days_left) = (&list.id, list.as_of, fresh.div_euclid(DAY));
            if fresh > 0 {
                tracing::warn!(%list, %as_of, days_left, "a national list goes stale: fetch a new copy");
            } else {
                tracing::error!(%list, %as_of, "a national list is stale: contacts that need it are parked");
            }
        }
    }
    let ids: Vec<&str> = held.values().map(|list| &*list.id).collect();
    metrics.keep_lists(&ids);
    metrics.show_feed(held.emergency.as_ref().map(|feed| feed.as_of), now);
    let (lists, feeds) = folder.refused();
    for (kind, count) in LISTS.into_iter().zip([lists, feeds]) {
        metrics.files_refused.with_label_values(&[kind]).set(gauge_value(count));
    }
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
    let mut warned = Warned::default();
    loop {
        show_ages(&folder, &stores.metrics, &mut warned, now());
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
        self.wake_of(cause, None, judged).await
    }

    /// The same for the contacts of one seller only.
    ///
    /// # Errors
    /// As [`Stores::wake`].
    pub(crate) async fn wake_of(
        &self,
        cause: &str,
        seller: Option<Uuid>,
        judged: UnixMillis,
    ) -> Result<(), crate::store::StoreError> {
        loop {
            let woken = sqlx::query(
                "WITH woken AS (
                     DELETE FROM parked WHERE contact_id IN (
                         SELECT contact_id FROM parked WHERE cause = $1 AND since <= $4
                             AND ($5::uuid IS NULL OR campaign_id IN
                                  (SELECT id FROM campaign WHERE seller_id = $5))
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
            .bind(seller)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_goes_stale_is_warned_of_once_a_day_and_again_when_it_is() {
        let mut warned = Warned::default();
        let as_of = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
        let start = 1_793_491_200_000;
        let said: Vec<(i64, bool)> = (0..40 * 24)
            .filter_map(|hour| {
                let (now, fresh) = (UnixMillis(start + hour * 3_600_000), 32 * DAY - hour * 3_600);
                let due = warned.is_due("x", as_of, fresh, now);
                assert!(!warned.is_due("x", as_of, fresh, now), "not twice");
                due.then_some((hour / 24, fresh > 0))
            })
            .collect();
        // More than 7 days left until the 25th is over; stale from the 32nd on.
        let expected: Vec<(i64, bool)> = (25..40).map(|day| (day, day < 32)).collect();
        assert_eq!(said, expected);
        let now = UnixMillis(start + 39 * DAY * 1_000);
        let next = as_of.succ_opt().unwrap();
        assert!(warned.is_due("x", next, DAY, now), "another copy that is old, too");
        assert!(warned.is_due("y", as_of, DAY, now));
        assert!(!warned.is_due("z", as_of, WARN_BEFORE, now));
    }
}
