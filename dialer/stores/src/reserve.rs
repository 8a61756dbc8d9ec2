//! Reserving in Redis.

use std::sync::Arc;

use dialer_limiter::{Demand, Reservation};

use crate::{Redis, RedisError};

/// Reserves; `None` if a head has moved since it was judged.
///
/// # Errors
/// If Redis refuses, is late or not there: it is reserved, or not, and no call rests on it.
pub async fn reserve(redis: &Redis, demand: &Demand) -> Result<Option<Reservation>, RedisError> {
    let granted = redis.reserve(demand).await?;
    Ok(granted.then(|| reserved(demand)))
}

/// Reserves each of these, in this order; `None` where a head has moved since it was judged.
///
/// # Errors
/// If Redis refuses, is late or not there: some are reserved, and no call rests on them.
pub async fn reserve_each(
    redis: &Redis,
    demands: &[Arc<Demand>],
) -> Result<Vec<Option<Reservation>>, RedisError> {
    let granted = redis.reserve_each(demands).await?;
    Ok(granted
        .into_iter()
        .zip(demands)
        .map(|(yes, demand)| yes.then(|| reserved(demand)))
        .collect())
}

#[expect(clippy::disallowed_methods, reason = "this store has reserved it just now")]
fn reserved(demand: &Demand) -> Reservation {
    Reservation::assertion(demand.placement())
}
