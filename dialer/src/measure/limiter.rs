//! The limiter by itself: what a reservation costs Redis, beside a function that reads and writes the
//! same keys and decides nothing; and how long one takes at a steady rate.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dialer_limiter::{Demand, Entry, Head, redis_key};
use dialer_types::{
    CampaignNo, Mint, Outcome, PlacementId, Purpose, SellerNo, SubjectId, Technology, UnixMillis,
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use redis::{Cmd, aio::MultiplexedConnection};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::{cpu, fill, percentile};
use crate::store::Stores;

/// Pairs of heads that are reserved again and again: so few that none lapses meanwhile.
const PAIRS: i64 = 10_000;
/// Reservations sent together.
const TOGETHER: usize = 64;
/// Reservations a second of the steady part, and how many: each has a pair of its own.
const STEADY: u64 = 20_000;
const STEADILY: i64 = 100_000;
/// The first subject: beyond those of the people.
const SUBJECT: i64 = 1 << 44;
/// Reads and writes what a reservation does, as it does.
const TOUCH: &str = "#!lua name=ringfence_measure
redis.register_function('rfm_touch', function(keys, args)
    local n = #keys
    redis.call('MGET', unpack(keys))
    for i = 1, n do
        redis.call('SET', keys[i], args[n + i], 'PX', 10000)
    end
    return 'OK'
end)";

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Limiter {
    /// Reservations a second that one processor of Redis makes.
    pub reservations_per_core: u64,
    /// The same of the function that decides nothing.
    pub touches_per_core: u64,
    /// The first by the second.
    pub ratio: f64,
    /// Reservations a second of the steady part.
    pub steady: u64,
    /// Microseconds from sent to answered: the median.
    pub p50_us: u64,
    /// The same, of a hundred the slowest.
    pub p99_us: u64,
    /// The same, of a thousand the slowest.
    pub p999_us: u64,
    /// Bytes in Redis of a subject with seven entries, its key included.
    pub bytes_per_subject: u64,
}

pub(super) async fn measure(
    stores: &Stores,
    redis: &redis::Client,
    mint: &mut Mint,
    length: Duration,
) -> Result<Limiter> {
    let mut connection = redis.get_multiplexed_async_connection().await?;
    let mut load = redis::cmd("FUNCTION");
    load.arg("LOAD").arg("REPLACE").arg(TOUCH);
    let library: String = load.query_async(&mut connection).await?;
    let now = stores.clock.now().wall;
    let head = fill::past(mint, now, Duration::from_secs(24 * 3600))?;
    let bytes_per_subject = bytes(stores, &mut connection, &head).await?;
    let demands = demands(mint, &head, now)?;
    let (again, once) = demands.split_at(usize::try_from(PAIRS)?);
    let mut costs = [[0_u64; 2]; 2];
    // In turns, so that both see the same machine.
    for _ in 0..4 {
        for (function, cost) in ["rf2_reserve", "rfm_touch"].into_iter().zip(&mut costs) {
            let (took, made) =
                rounds(stores, &mut connection, function, again, &head, length / 8).await?;
            *cost = [cost[0] + took, cost[1] + made];
        }
    }
    let [ours, touch] = costs.map(|[took, made]| made * 1_000_000 / took.max(1));
    let mut took = steady(stores, once).await?;
    let mut delete = redis::cmd("FUNCTION");
    let () = delete.arg("DELETE").arg(library).query_async(&mut connection).await?;
    for part in subjects().collect::<Vec<_>>().chunks(1_000) {
        stores.redis.forget(part).await?;
    }
    took.sort_unstable();
    let us = |part| u64::try_from(percentile(&took, part).as_micros()).unwrap_or(u64::MAX);
    Ok(Limiter {
        reservations_per_core: ours,
        touches_per_core: touch,
        ratio: ratio(ours, touch),
        steady: STEADY,
        p50_us: us(500),
        p99_us: us(990),
        p999_us: us(999),
        bytes_per_subject,
    })
}

#[expect(clippy::cast_precision_loss, reason = "rates far below 2^52")]
fn ratio(ours: u64, theirs: u64) -> f64 {
    ours as f64 / theirs.max(1) as f64
}

fn subjects() -> impl Iterator<Item = SubjectId> {
    (0..2 * (PAIRS + STEADILY)).map(|at| SubjectId(SUBJECT + at))
}

/// Lays a copy for every subject and says what one takes.
async fn bytes(
    stores: &Stores,
    connection: &mut MultiplexedConnection,
    head: &Head,
) -> Result<u64> {
    let before = used(connection).await?;
    for part in subjects().collect::<Vec<_>>().chunks(1_000) {
        let copies: Vec<_> = part.iter().map(|subject| (*subject, head.clone(), true)).collect();
        stores.redis.load(&copies).await?;
    }
    let laid = u64::try_from(2 * (PAIRS + STEADILY))?;
    Ok(used(connection).await?.saturating_sub(before) / laid)
}

async fn used(connection: &mut MultiplexedConnection) -> Result<u64> {
    let said: String = redis::cmd("INFO").arg("memory").query_async(connection).await?;
    let line = said.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.context("INFO memory")?.trim().parse()?)
}

/// A placement for each pair, judged on `head` twice over.
fn demands(mint: &mut Mint, head: &Head, now: UnixMillis) -> Result<Vec<Demand>> {
    let demand = |pair: i64| {
        let placement = PlacementId(mint.ulid(now));
        let entry = Entry {
            key: Entry::key_of(placement),
            at_seconds: Entry::seconds(now),
            seller: SellerNo(1),
            campaign: CampaignNo(1),
            purpose: Purpose::Informational,
            technology: Technology::Prerecorded,
            outcome: Outcome::Pending,
            inbound: false,
        };
        let first = SubjectId(SUBJECT + 2 * pair);
        let heads = [first, SubjectId(first.0 + 1)].map(|subject| (subject, head.clone()));
        Ok(Demand::new(placement, &heads, entry, UnixMillis(0))?)
    };
    (0..PAIRS + STEADILY).map(demand).collect()
}

/// Calls the function for each pair and then for the way back, again and again; returns the
/// microseconds that Redis took, and how many calls.
async fn rounds(
    stores: &Stores,
    connection: &mut MultiplexedConnection,
    function: &str,
    demands: &[Demand],
    head: &Head,
    length: Duration,
) -> Result<(u64, u64)> {
    let pipes = |back: bool| {
        let parts = demands.chunks(TOGETHER).map(|part| {
            let mut pipe = redis::pipe();
            for demand in part {
                pipe.add_command(call(function, demand, head, back));
            }
            pipe
        });
        parts.collect::<Vec<_>>()
    };
    let pipes = [pipes(false), pipes(true)];
    let before = cpu::of_redis(connection).await?;
    let (end, mut made) = (stores.clock.now().mono + length, 0);
    while stores.clock.now().mono < end {
        for pipe in pipes.iter().flatten() {
            let said: Vec<String> = pipe.query_async(connection).await?;
            ensure!(said.iter().all(|word| word == "OK"), "{function} refuses");
            made += u64::try_from(said.len())?;
        }
    }
    Ok((cpu::of_redis(connection).await? - before, made))
}

/// The call that [`dialer_stores::Redis::reserve`] makes; `back` to the heads that it found.
fn call(function: &str, demand: &Demand, head: &Head, back: bool) -> Cmd {
    let mut command = redis::cmd("FCALL");
    command.arg(function).arg(demand.claims().len());
    for claim in demand.claims() {
        command.arg(redis_key(claim.subject));
    }
    let token = if back { demand.placement().0 } else { head.token().0 };
    for _ in demand.claims() {
        command.arg(token.to_be_bytes().as_slice());
    }
    for claim in demand.claims() {
        command.arg(if back { head.encode_short() } else { claim.next.encode_short() });
    }
    command
}

/// How long each took, at [`STEADY`] a second: those of a millisecond are sent together.
async fn steady(stores: &Stores, demands: &[Demand]) -> Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(demands.len());
    let mut under_way = FuturesUnordered::new();
    let mut due = interval(Duration::from_millis(1));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let each = usize::try_from(STEADY / 1_000)?;
    let mut parts = demands.chunks(each);
    loop {
        tokio::select! {
            Some((granted, after)) = under_way.next() => {
                ensure!(granted?, "a reservation was refused");
                took.push(after);
            }
            _ = due.tick(), if parts.len() > 0 => {
                for demand in parts.next().unwrap_or_default() {
                    let sent = stores.clock.now().mono;
                    under_way.push(async move {
                        let granted = stores.redis.reserve(demand).await;
                        (granted, stores.clock.now().mono.saturating_duration_since(sent))
                    });
                }
            }
            else => return Ok(took),
        }
    }
}
