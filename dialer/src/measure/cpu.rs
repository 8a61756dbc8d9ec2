//! Processor time of everybody who takes part, as Linux counts it: what a placement costs does not
//! hang on who else is on the machine.

use std::fs;

use anyhow::{Context as _, Result};
use sqlx::PgPool;

/// Linux counts in hundredths of a second for whoever asks (`USER_HZ`).
const TICK_MICROS: u64 = 10_000;

/// Microseconds of processor time so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    pub(super) dialer: u64,
    pub(super) postgres: u64,
    pub(super) redis: u64,
}

impl Spent {
    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            dialer: self.dialer.saturating_sub(before.dialer),
            postgres: self.postgres.saturating_sub(before.postgres),
            redis: self.redis.saturating_sub(before.redis),
        }
    }
}

/// Reads all three; nothing of a server that is on another machine.
pub(super) async fn spent(pool: &PgPool, redis: &redis::Client) -> Result<Spent> {
    let servers: Vec<i32> =
        sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL")
            .fetch_all(pool)
            .await?;
    let postgres = servers.into_iter().filter_map(|pid| of_process(&pid.to_string()).ok()).sum();
    let mut connection = redis.get_multiplexed_async_connection().await?;
    Ok(Spent { dialer: of_process("self")?, postgres, redis: of_redis(&mut connection).await? })
}

/// What Redis says of itself.
pub(super) async fn of_redis(connection: &mut redis::aio::MultiplexedConnection) -> Result<u64> {
    let said: String = redis::cmd("INFO").arg("cpu").query_async(connection).await?;
    let seconds = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.trim().parse::<f64>().ok()).context("INFO cpu")
    };
    let seconds = seconds("used_cpu_user")? + seconds("used_cpu_sys")?;
    Ok(std::time::Duration::from_secs_f64(seconds).as_micros().try_into()?)
}

fn of_process(which: &str) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{which}/stat"))?;
    // The name, the second field, may hold anything; the last bracket ends it.
    let (_, fields) = stat.rsplit_once(')').context("/proc/stat")?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let mut next = || ticks.next().context("/proc/stat").and_then(|it| Ok(it?));
    Ok((next()? + next()?) * TICK_MICROS)
}
