//! Room ahead of time: the partitions that the next placements and records will lie in.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Stores;

/// How often. They are made for two months ahead, so it may fail for weeks; what finds no partition
/// is kept apart and found all the same.
const EVERY: Duration = Duration::from_secs(3_600);

/// Makes what is missing, now and each hour, until the end. Dialers may do so at the same time.
pub async fn serve(stores: Arc<Stores>, stop: CancellationToken) {
    loop {
        match stores.postgres(stores.make_partitions()).await {
            Ok(0) => {}
            Ok(made) => tracing::info!(made, "made partitions for what is to come"),
            Err(error) => tracing::warn!(%error, "partitions for what is to come are not made"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(EVERY) => {}
        }
    }
}

impl Stores {
    async fn make_partitions(&self) -> Result<i32, super::StoreError> {
        Ok(sqlx::query_scalar("SELECT make_partitions(false)").fetch_one(&self.pool).await?)
    }
}
