//! Reserving in Redis.

use dialer_limiter::{Demand, Reservation};

use crate::{Redis, RedisError};

/// Reserves; `None` if a head has moved since it was judged.
///
/// # Errors
/// If Redis refuses, is late or not there: it is reserved, or not, and no call rests on it.
pub async fn reserve(redis: &Redis, demand: &Demand) -> Result<Option<Reservation>, RedisError> {
    if !redis.reserve(demand).await? {
        return Ok(None);
    }
    #[expect(clippy::disallowed_methods, reason = "this store reserved just now")]
    let reservation = Reservation::assertion(demand.placement());
    Ok(Some(reservation))
}
