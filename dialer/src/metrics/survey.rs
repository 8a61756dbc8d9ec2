//! What is counted in Postgres for the metrics: the queue, the campaigns, the audit's lag, the
//! clock. Every dialer counts for itself and finds the same: dashboards take the maximum.
//!
//! A count stops at [`MOST`]: a campaign of millions costs what one of a hundred thousand does.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use prometheus::IntGaugeVec;
use sqlx::{PgConnection, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Metrics;
use crate::{
    clock::Clock,
    store::{PATIENCE, StoreError, Stores},
};

/// How often it is counted.
const EVERY: Duration = Duration::from_secs(2);
/// Where a count stops.
pub const MOST: i64 = 100_000;
/// Running campaigns shown one by one, those started first; causes likewise.
pub const SHOWN: i64 = 100;
/// The statuses of a campaign.
pub const STATUSES: [&str; 5] = ["draft", "running", "paused", "stopped", "ended"];

/// What can come of an OPTIONS, as the engine says it.
const PROBED: [&str; 4] = ["ok", "refused", "silent", "unreachable"];

/// One priority at a time, as in taking: a range of `due_at` is a range of the index only within
/// one campaign and priority.
const DUE: &str = "
    WITH RECURSIVE p(campaign_id, priority) AS (
        SELECT c.id, (SELECT d.priority FROM due d WHERE d.campaign_id = c.id
                      ORDER BY d.priority LIMIT 1)
        FROM campaign c WHERE c.status = 'running'
        UNION ALL
        SELECT p.campaign_id, (SELECT d.priority FROM due d WHERE d.campaign_id = p.campaign_id
            AND d.priority > p.priority ORDER BY d.priority LIMIT 1)
        FROM p WHERE p.priority IS NOT NULL)
    SELECT count(*) FROM (
        SELECT FROM p CROSS JOIN LATERAL (
            SELECT FROM due d WHERE d.campaign_id = p.campaign_id AND d.priority = p.priority
            AND d.due_at <= $1 LIMIT $2) t LIMIT $2) x";

/// From one cause to the next in the index, and a bounded count of each.
const PARKED: &str = "
    WITH RECURSIVE c(cause) AS (
        (SELECT cause FROM parked ORDER BY cause LIMIT 1)
        UNION ALL
        SELECT (SELECT p.cause FROM parked p WHERE p.cause > c.cause ORDER BY p.cause LIMIT 1)
        FROM c WHERE c.cause IS NOT NULL)
    SELECT c.cause, (SELECT count(*) FROM (
        SELECT FROM parked p WHERE p.cause = c.cause LIMIT $1) x)
    FROM c WHERE c.cause IS NOT NULL LIMIT $2";

/// A campaign is stalled for this process when none of its trunks has its breaker closed here.
const STALLED: &str = "
    SELECT c.id, NOT EXISTS (
        SELECT FROM campaign_trunk t WHERE t.campaign_id = c.id AND NOT EXISTS (
            SELECT FROM trunk_state s WHERE s.trunk_id = t.trunk_id AND s.node = $1 AND s.open))
        OR EXISTS (SELECT FROM prompt_state p WHERE p.campaign_id = c.id AND p.node = $1)
    FROM campaign c WHERE c.status = 'running' ORDER BY c.no LIMIT $2";

/// Before the first checkpoint its age is that of the oldest leaf: what nobody ever signed is behind, too.
const AUDIT: &str = "
    SELECT (SELECT coalesce(max(index) + 1, 0) FROM audit_leaf),
           (SELECT coalesce(max(size), 0) FROM audit_checkpoint),
           coalesce((SELECT at FROM audit_checkpoint ORDER BY size DESC LIMIT 1),
                    (SELECT f.at FROM audit_leaf l JOIN audit_entry f ON f.id = l.entry_id
                     WHERE l.index = 0)),
           e.count, e.oldest
    FROM (SELECT count(*), min(at) AS oldest FROM (
        SELECT at FROM audit_entry
        WHERE id > (SELECT coalesce(max(entry_id), 0) FROM audit_leaf) ORDER BY id LIMIT $1) x) e";

/// Counts until the end.
pub async fn serve(stores: Arc<Stores>, stop: CancellationToken) {
    let mut shown = Shown::default();
    let metrics = &stores.metrics;
    loop {
        match tokio::time::timeout(PATIENCE, count(&stores, &mut shown)).await {
            Ok(Ok(())) => {
                metrics.surveyed.set(real_seconds(stores.clock));
            }
            Ok(Err(error)) => {
                metrics.survey_errors.inc();
                tracing::debug!(%error, "the queue is not counted");
            }
            Err(_) => metrics.survey_errors.inc(),
        }
        // A Redis that does not answer is the gate's business, and shown there.
        if let Ok(Ok(figures)) = tokio::time::timeout(PATIENCE, stores.redis.figures()).await {
            metrics.redis_used.set(figures.used);
            metrics.redis_limit.set(figures.most);
            metrics.redis_evicted.set(figures.evicted);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Labels that come and go: what was shown and is no more must not stand still.
#[derive(Debug, Default)]
struct Shown {
    causes: BTreeSet<String>,
    campaigns: BTreeSet<String>,
    trunks: BTreeSet<[String; 2]>,
}

async fn count(stores: &Stores, shown: &mut Shown) -> Result<(), StoreError> {
    let (metrics, now) = (&stores.metrics, stores.clock.now());
    let mut connection = stores.pool.acquire().await?;
    metrics.clock_offset.set(seconds(stores.clock.offset_ms()));
    skew(stores, &mut connection).await?;
    queue(stores, &mut connection, now.wall.0, shown).await?;
    campaigns(stores, &mut connection, shown).await?;
    audit(metrics, &mut connection, now.wall.0).await?;
    trunks(stores, &mut connection, shown).await
}

/// Half of the question's time is taken off: what is left is the difference of the clocks.
async fn skew(stores: &Stores, connection: &mut PgConnection) -> Result<(), StoreError> {
    let before = stores.clock.now();
    let theirs: i64 =
        sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
            .fetch_one(connection)
            .await?;
    let took = stores.clock.now().mono.saturating_duration_since(before.mono);
    let half = i64::try_from(took.as_millis() / 2).unwrap_or(0);
    let ours = before.wall.0 - stores.clock.offset_ms() + half;
    stores.metrics.clock_skew.set(seconds(ours - theirs));
    Ok(())
}

async fn queue(
    stores: &Stores,
    connection: &mut PgConnection,
    now: i64,
    shown: &mut Shown,
) -> Result<(), StoreError> {
    let metrics = &stores.metrics;
    let due: i64 = sqlx::query_scalar(DUE).bind(now).bind(MOST).fetch_one(&mut *connection).await?;
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM (SELECT FROM due LIMIT $1) x")
        .bind(MOST)
        .fetch_one(&mut *connection)
        .await?;
    metrics.due.set(due);
    metrics.waiting.set((all - due).max(0));
    let leased: i64 = sqlx::query_scalar("SELECT count(*) FROM contact WHERE node = $1")
        .bind(Uuid::from_u128(stores.node.0))
        .fetch_one(&mut *connection)
        .await?;
    metrics.leased.set(leased);
    let rows = sqlx::query(PARKED).bind(MOST).bind(SHOWN).fetch_all(connection).await?;
    let mut causes = BTreeSet::new();
    for row in &rows {
        let (cause, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        metrics.parked.with_label_values(&[cause.as_str()]).set(count);
        causes.insert(cause);
    }
    // What nobody waits for any more is zero and not gone: an alert on it must resolve.
    for cause in shown.causes.difference(&causes) {
        metrics.parked.with_label_values(&[cause.as_str()]).set(0);
    }
    shown.causes.extend(causes);
    Ok(())
}

async fn campaigns(
    stores: &Stores,
    connection: &mut PgConnection,
    shown: &mut Shown,
) -> Result<(), StoreError> {
    let metrics = &stores.metrics;
    let rows = sqlx::query("SELECT status, count(*) FROM campaign GROUP BY status")
        .fetch_all(&mut *connection)
        .await?;
    for status in STATUSES {
        let mut count = 0;
        for row in &rows {
            if row.try_get::<&str, _>(0)? == status {
                count = row.try_get(1)?;
            }
        }
        metrics.campaigns.with_label_values(&[status]).set(count);
    }
    let rows = sqlx::query(STALLED)
        .bind(Uuid::from_u128(stores.node.0))
        .bind(SHOWN)
        .fetch_all(connection)
        .await?;
    let mut running = BTreeSet::new();
    for row in &rows {
        let (id, stalled): (Uuid, bool) = (row.try_get(0)?, row.try_get(1)?);
        let id = dialer_types::CampaignId(id.as_u128()).to_string();
        metrics.campaign_stalled.with_label_values(&[id.as_str()]).set(i64::from(stalled));
        running.insert(id);
    }
    remove_old(&metrics.campaign_stalled, &shown.campaigns, &running);
    shown.campaigns = running;
    Ok(())
}

fn remove_old(gauges: &IntGaugeVec, before: &BTreeSet<String>, now: &BTreeSet<String>) {
    for gone in before.difference(now) {
        // The only error is that it is not there.
        gauges.remove_label_values(&[gone.as_str()]).ok();
    }
}

async fn audit(
    metrics: &Metrics,
    connection: &mut PgConnection,
    now: i64,
) -> Result<(), StoreError> {
    let row = sqlx::query(AUDIT).bind(MOST).fetch_one(connection).await?;
    let (leaves, signed): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let (signed_at, count): (Option<i64>, i64) = (row.try_get(2)?, row.try_get(3)?);
    let oldest: Option<i64> = row.try_get(4)?;
    metrics.audit_leaves.set(leaves);
    metrics.audit_unsigned.set((leaves - signed).max(0));
    metrics.audit_unsequenced.set(count);
    metrics.audit_behind.set(oldest.map_or(0.0, |at| seconds((now - at).max(0))));
    metrics.checkpoint_age.set(signed_at.map_or(0.0, |at| seconds((now - at).max(0))));
    Ok(())
}

async fn trunks(
    stores: &Stores,
    connection: &mut PgConnection,
    shown: &mut Shown,
) -> Result<(), StoreError> {
    let metrics = &stores.metrics;
    let rows = sqlx::query(
        "SELECT id, name, milli_cps, max_concurrent, EXISTS (
             SELECT FROM trunk_state s WHERE s.trunk_id = t.id AND s.node = $1 AND s.open)
         FROM trunk t",
    )
    .bind(Uuid::from_u128(stores.node.0))
    .fetch_all(connection)
    .await?;
    let mut there = BTreeSet::new();
    for row in &rows {
        let (id, name): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
        let (milli_cps, most): (i64, i32) = (row.try_get(2)?, row.try_get(3)?);
        let id = dialer_types::TrunkId(id.as_u128()).to_string();
        let trunk = [id.as_str()];
        metrics.trunk_info.with_label_values(&[id.as_str(), name.as_str()]).set(1);
        metrics.trunk_calls_limit.with_label_values(&trunk).set(i64::from(most));
        metrics.trunk_rate_limit.with_label_values(&trunk).set(seconds(milli_cps));
        metrics.trunk_open.with_label_values(&trunk).set(i64::from(row.try_get::<bool, _>(4)?));
        // A trunk that nothing has happened to yet is there all the same.
        metrics.trunk_calls.with_label_values(&trunk);
        metrics.trunk_invites.with_label_values(&trunk);
        metrics.trunk_answered.with_label_values(&trunk);
        metrics.trunk_responses.with_label_values(&[id.as_str(), "200"]);
        for result in PROBED {
            metrics.trunk_probes.with_label_values(&[id.as_str(), result]);
        }
        there.insert([id, name]);
    }
    for gone in shown.trunks.difference(&there) {
        let [id, name] = gone;
        metrics.trunk_info.remove_label_values(&[id.as_str(), name.as_str()]).ok();
    }
    shown.trunks = there;
    Ok(())
}

/// Milliseconds as seconds, or thousandths as ones.
fn seconds(millis: i64) -> f64 {
    let (whole, rest) = (millis / 1000, millis % 1000);
    let whole = i32::try_from(whole).unwrap_or(if millis < 0 { i32::MIN } else { i32::MAX });
    let rest = i32::try_from(rest).unwrap_or(0);
    f64::from(whole) + f64::from(rest) / 1000.0
}

/// Real time in seconds since 1970, without the demo's offset.
fn real_seconds(clock: Clock) -> f64 {
    seconds(clock.now().wall.0 - clock.offset_ms())
}

#[cfg(test)]
mod tests {
    use schema::testing::PrivatePostgres;
    use sqlx::{AssertSqlSafe, Connection as _};

    use super::*;

    #[tokio::test]
    async fn the_age_of_a_checkpoint_counts_from_the_oldest_leaf_until_there_is_one() {
        let postgres = PrivatePostgres::shared().unwrap();
        let database = postgres.new_database().unwrap();
        let mut connection = PgConnection::connect(&postgres.owner_url(&database)).await.unwrap();
        schema::MIGRATOR.run(&mut connection).await.unwrap();
        let metrics = Metrics::new().unwrap();
        let now = 1_795_000_000_000;
        let entry = |at: i64| {
            format!("INSERT INTO audit_entry (at, kind, leaf) VALUES ({at}, 1, ''::bytea);")
        };
        let leaf = |index: i64| {
            format!("INSERT INTO audit_leaf VALUES ({index}, {index} + 1, sha256(''));")
        };
        let old = now - 300_000;
        // Each step, and after it the unsigned leaves and the age.
        let steps = [
            (String::new(), 0, 0.0),
            (entry(old) + &entry(now), 0, 0.0),
            (leaf(0) + &leaf(1), 2, 300.0),
            (
                format!("INSERT INTO audit_checkpoint VALUES (1, sha256(''), '', {now} - 7000)"),
                1,
                7.0,
            ),
        ];
        for (sql, unsigned, age) in steps {
            sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut connection).await.unwrap();
            audit(&metrics, &mut connection, now).await.unwrap();
            assert_eq!(metrics.audit_unsigned.get(), unsigned, "{sql}");
            assert!((metrics.checkpoint_age.get() - age).abs() < 1e-9, "{sql}");
        }
    }

    #[test]
    fn milliseconds_become_seconds_with_their_sign_and_fraction() {
        for (millis, expected) in
            [(0, 0.0), (1, 0.001), (-1_500, -1.5), (1_796_139_000_000, 1_796_139_000.0)]
        {
            assert!((seconds(millis) - expected).abs() < 1e-9, "{millis}");
        }
    }
}
