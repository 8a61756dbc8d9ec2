//! `dialer measure`: how many placements a second these stores judge, reserve, commit and clear, and how
//! long one takes. The engine, the queues and the stores are those of `dialer run`; contacts come
//! from a made list instead of the scheduler, and the INVITE of a cleared placement is not sent.

mod fill;
mod lab;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use dialer_types::{Mint, NodeId};
use schema::config::Config;
use serde::Serialize;
use sqlx::Row;
use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    gate::Gate,
    metrics::Metrics,
    store::{Stores, postgres, redis::Redis},
};

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct Measure {
    /// ringfence.toml of a deployment without campaigns: people are made in its database.
    #[arg(long)]
    config: PathBuf,
    /// How many people to make.
    #[arg(long, default_value_t = 200_000)]
    persons: u32,
    /// How long each part takes, seconds.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Contacts in the gate at once.
    #[arg(long, default_value_t = 256)]
    at_once: u16,
    /// Writes the result as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// People in the database.
    pub persons: u32,
    /// Contacts in the gate at once in the first part.
    pub at_once: u16,
    /// Placements judged, reserved, committed and cleared a second, as many as go.
    pub clearances_per_second: u64,
    /// What the second part was run at: half of that.
    pub half_rate: u64,
    /// Milliseconds from taken to cleared at half rate: the median.
    pub p50_ms: f64,
    /// The same, of a hundred the slowest.
    pub p99_ms: f64,
    /// Contacts that were given back or denied, over both parts.
    pub not_cleared: u64,
    /// Of those cleared: canonical bytes of decision and intent.
    pub evidence_bytes: u64,
    /// What a placement adds to the database, indexes and all, in bytes.
    pub postgres_bytes: u64,
    /// Milliseconds of each step, on the average over both parts: of a batch, but for slot and reserve.
    pub steps_ms: BTreeMap<&'static str, f64>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} people, {} contacts in the gate at once", self.persons, self.at_once)?;
        writeln!(f, "  clearances    {} a second", self.clearances_per_second)?;
        let (half, p50, p99) = (self.half_rate, self.p50_ms, self.p99_ms);
        writeln!(f, "  at half rate  {half} a second: p50 {p50:.2} ms, p99 {p99:.2} ms")?;
        writeln!(f, "  not cleared   {}", self.not_cleared)?;
        let (evidence, postgres) = (self.evidence_bytes, self.postgres_bytes);
        writeln!(
            f,
            "  a placement   {evidence} bytes of evidence, {postgres} bytes in PostgreSQL"
        )?;
        let steps = self.steps_ms.iter().map(|(step, ms)| format!("{step} {ms:.2} ms"));
        writeln!(f, "  steps         {}", steps.collect::<Vec<_>>().join(", "))
    }
}

/// Fills the stores and measures.
///
/// # Errors
/// If the stores cannot be used, or there are campaigns already.
pub async fn measure(args: &Measure) -> Result<Measured> {
    let config = Config::load(&args.config)?;
    let stores = stores(&config).await?;
    let campaigns: i64 =
        sqlx::query_scalar("SELECT count(*) FROM campaign").fetch_one(&stores.pool).await?;
    ensure!(campaigns == 0, "there are campaigns in this database: measure on one without");
    let mut mint = Mint::new(seed()?);
    let people = fill::people(&stores, &mut mint, args.persons).await.context("making people")?;
    let before = size(&stores).await?;
    let tasks = TaskTracker::new();
    let lab = lab::Lab::new(Arc::clone(&stores), &config, people, args.at_once, &tasks).await?;
    let length = Duration::from_secs(args.seconds);
    let measured = tokio::task::spawn_blocking(move || lab.run(length)).await??;
    tasks.close();
    tasks.wait().await;
    let (cleared, evidence) = evidence(&stores).await?;
    let grown = size(&stores).await?.saturating_sub(before);
    let each = |bytes: i64| u64::try_from(bytes).unwrap_or(0) / cleared.max(1);
    let measured = Measured {
        persons: args.persons,
        at_once: args.at_once,
        clearances_per_second: measured.per_second,
        half_rate: measured.half_rate,
        p50_ms: measured.p50.as_secs_f64() * 1e3,
        p99_ms: measured.p99.as_secs_f64() * 1e3,
        not_cleared: measured.not_cleared,
        evidence_bytes: each(evidence),
        postgres_bytes: each(grown),
        steps_ms: ["heads", "facts", "slot", "reserve", "commit"]
            .map(|it| (it, step(&stores, it)))
            .into(),
    };
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&measured)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(measured)
}

async fn stores(config: &Config) -> Result<Arc<Stores>> {
    let pool = postgres::connect(&config.postgres).await?;
    let clock = Clock::of_deployment(&pool).await?;
    let redis = Redis::reach(&config.redis).context("[redis]")?;
    redis.probe().await.context("Redis")?;
    let metrics = Metrics::new()?;
    let mut mint = Mint::new(seed()?);
    let node = NodeId(mint.ulid(clock.now().wall));
    let (keys, gate) = (config.keys.numbers.clone(), Gate::new(metrics.clone()));
    let stores = Stores::new(pool, redis, clock, gate, metrics, node, keys, mint);
    stores.register("measure").await?;
    Ok(Arc::new(stores))
}

fn step(stores: &Stores, step: &str) -> f64 {
    let times = stores.metrics.step_seconds.with_label_values(&[step]);
    let count = u32::try_from(times.get_sample_count()).unwrap_or(u32::MAX).max(1);
    times.get_sample_sum() * 1e3 / f64::from(count)
}

/// Bytes of the tables that placements are written to.
async fn size(stores: &Stores) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
           AND c.relname ~ '^(attempt|placement|decision|audit_entry|subject_head)'",
    )
    .fetch_one(&stores.pool)
    .await?)
}

async fn evidence(stores: &Stores) -> Result<(u64, i64)> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM placement), coalesce(sum(length(leaf)), 0)::bigint
         FROM audit_entry WHERE placement IS NOT NULL",
    )
    .fetch_one(&stores.pool)
    .await?;
    let cleared: i64 = row.try_get(0)?;
    Ok((u64::try_from(cleared).unwrap_or(0), row.try_get(1)?))
}

fn seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(seed)
}
