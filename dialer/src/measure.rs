//! `dialer measure`: what the gate costs on these stores, and how fast it is. The engine, the queues and
//! the stores are those of `dialer run`; contacts come from a made list instead of the scheduler, and the
//! INVITE of a cleared placement is not sent.

mod cpu;
mod fill;
mod lab;
mod limiter;
mod refusals;
mod report;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use dialer_types::{Mint, NodeId};
pub use report::Measured;
use report::{Emptied, Steps, Whole};
use schema::config::{Config, RedisWay};
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
    #[arg(long, default_value_t = 1_000_000)]
    persons: u32,
    /// How long each part takes, seconds.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Contacts in the gate at once.
    #[arg(long, default_value_t = 1_000)]
    at_once: u16,
    /// Placements a second of the part that tells how long one takes; half of what goes, without it.
    #[arg(long)]
    rate: Option<u64>,
    /// Writes the result as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Heads are copied to Redis before they are measured, for so many people at most: a part of some
/// seconds meets no more.
const PRELOADED: u32 = 600_000;
/// Seconds in which a rate is looked for again after Redis was emptied.
const AGAIN_WITHIN: u32 = 60;

/// Fills the stores and measures.
///
/// # Errors
/// If the stores cannot be used, or there are campaigns already.
pub async fn measure(args: &Measure) -> Result<Measured> {
    let config = Config::load(&args.config)?;
    let RedisWay::Single(url) = &config.redis.way else {
        anyhow::bail!("[redis]: processor time is read from one server: name it by its url");
    };
    let redis = redis::Client::open(url.expose()).context("[redis]")?;
    let stores = stores(&config).await?;
    let campaigns: i64 =
        sqlx::query_scalar("SELECT count(*) FROM campaign").fetch_one(&stores.pool).await?;
    ensure!(campaigns == 0, "there are campaigns in this database: measure on one without");
    let mut mint = Mint::new(seed()?);
    let people = fill::people(&stores, &mut mint, args.persons).await.context("making people")?;
    let length = Duration::from_secs(args.seconds);
    let limiter = limiter::measure(&stores, &redis, &mut mint, length).await.context("limiter")?;
    let tasks = TaskTracker::new();
    let mut lab = lab::Lab::new(Arc::clone(&stores), &config, people, args.at_once, &tasks).await?;
    let rules = lab::rules()?;
    let by = (&rules, &lab.campaign());
    let refusals = refusals::measure(&stores, &redis, by, people, &mut mint, length).await;
    let refusals = refusals.context("refusals")?;

    let warm = (people.count / 10 * 7).min(PRELOADED);
    preload(&stores, people, warm).await.context("copying heads to Redis")?;
    let (size_before, (there, _)) = (size(&stores).await?, evidence(&stores).await?);
    // Connections, plans and pages of the first moments are not what is asked about.
    let (back, _) = run(lab, 0..warm / 10, length / 4, None).await?;
    lab = back;
    let spent = cpu::spent(&stores.pool, &redis).await?;
    let (back, most) = run(lab, warm / 10..warm / 2, length, None).await?;
    let spent = cpu::spent(&stores.pool, &redis).await?.since(spent);
    let rate = args.rate.unwrap_or(most.per_second() / 2);
    let steps = Steps::so_far(&stores);
    let (lab, half) = run(back, warm / 2..warm, length, Some(rate)).await?;
    let steps = Steps::so_far(&stores).since(&steps);
    let emptied = empty(&redis, lab, warm..people.count, most.per_second(), args.seconds).await?;
    tasks.close();
    tasks.wait().await;
    let (placements, evidence) = evidence(&stores).await?;
    let placements = placements - there;
    let grown = size(&stores).await?.saturating_sub(size_before);
    let grown = u64::try_from(grown).unwrap_or(0) / placements.max(1);
    let measured = Measured {
        persons: args.persons,
        at_once: args.at_once,
        limiter,
        refusals,
        whole: Whole::of(most, half, rate, spent, &steps),
        emptied,
        evidence_bytes: u64::try_from(evidence).unwrap_or(0) / placements.max(1),
        postgres_bytes: grown,
    };
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&measured)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(measured)
}

/// Copies the heads of the first so many people to Redis.
async fn preload(stores: &Stores, people: fill::People, count: u32) -> Result<()> {
    for begin in (0..count).step_by(500) {
        let these = begin..count.min(begin + 500);
        let subjects = these.flat_map(|index| {
            let person = people.at(index);
            [person.person, person.number]
        });
        stores.read_heads(&subjects.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// Empties Redis and looks when nine tenths of the rate are back, second by second.
async fn empty(
    redis: &redis::Client,
    mut lab: lab::Lab,
    people: std::ops::Range<u32>,
    rate: u64,
    seconds: u64,
) -> Result<Emptied> {
    let mut connection = redis.get_multiplexed_async_connection().await?;
    let mut flush = redis::cmd("FLUSHDB");
    let () = flush.arg("ASYNC").query_async(&mut connection).await.context("FLUSHDB")?;
    let mut emptied = Emptied { seconds: None, per_second: Vec::new() };
    let mut next = people.start;
    for second in 1..=AGAIN_WITHIN {
        let (back, part) = run(lab, next..people.end, Duration::from_secs(1), None).await?;
        lab = back;
        next = people.end - lab.left();
        emptied.per_second.push(part.per_second());
        if emptied.seconds.is_none() && part.per_second() * 10 >= rate * 9 {
            emptied.seconds = Some(second);
        }
        if lab.left() == 0 || (emptied.seconds.is_some() && u64::from(second) >= seconds / 2) {
            break;
        }
    }
    Ok(emptied)
}

/// A part, on a thread that may be kept busy.
async fn run(
    mut lab: lab::Lab,
    people: std::ops::Range<u32>,
    length: Duration,
    rate: Option<u64>,
) -> Result<(lab::Lab, lab::Part)> {
    let part = move || lab.run(people, length, rate).map(|part| (lab, part));
    tokio::task::spawn_blocking(part).await?
}

/// Of sorted durations the one that so many in a thousand do not exceed.
fn percentile(sorted: &[Duration], thousandths: usize) -> Duration {
    let place = sorted.len().saturating_sub(1) * thousandths / 1_000;
    sorted.get(place).copied().unwrap_or_default()
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

/// Bytes of the tables that placements are written to.
async fn size(stores: &Stores) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
         WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
           AND c.relname ~ '^(attempt|placement|decision|audit_entry|outcome|subject_head)'",
    )
    .fetch_one(&stores.pool)
    .await?)
}

async fn evidence(stores: &Stores) -> Result<(u64, i64)> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM placement), coalesce(sum(length(leaf)), 0)::bigint
         FROM audit_entry WHERE placement IS NOT NULL OR kind = 14",
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
