//! The only place that reads clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use dialer_types::{Now, UnixMillis};
use sqlx::{PgPool, Row};

/// Why the clock of this deployment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// An offset outside the demo: it would make lawful hours of unlawful ones.
    #[error("deployment.clock_offset_ms is {0} and deployment.mode is not 'demo': refused")]
    OffsetInProduction(i64),
    /// The row could not be read.
    #[error("table deployment: {0}")]
    Sql(#[from] sqlx::Error),
}

/// Wall and monotonic time, the wall moved by the demo's stored offset (0 in production).
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    offset_ms: i64,
}

impl Clock {
    /// A clock with this offset, in milliseconds.
    #[must_use]
    pub const fn with_offset(offset_ms: i64) -> Self {
        Self { offset_ms }
    }

    /// The clock that the table `deployment` describes.
    ///
    /// # Errors
    /// See [`ClockError`].
    pub async fn of_deployment(pool: &PgPool) -> Result<Self, ClockError> {
        let row =
            sqlx::query("SELECT mode, clock_offset_ms FROM deployment").fetch_one(pool).await?;
        let (mode, offset_ms): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if offset_ms != 0 && mode != "demo" {
            return Err(ClockError::OffsetInProduction(offset_ms));
        }
        Ok(Self { offset_ms })
    }

    /// The demo's offset, in milliseconds.
    #[must_use]
    pub const fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Both clocks, sampled together.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the module that may")]
    pub fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Now { wall: UnixMillis(wall.saturating_add(self.offset_ms)), mono: Instant::now() }
    }
}
