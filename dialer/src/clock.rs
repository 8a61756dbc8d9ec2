//! The only place that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use dialer_stores::clock::{NODE_BOUND, apart};
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

/// How far wall and monotonic time may part between two looks.
const PART: Duration = Duration::from_secs(1);
/// After a leap nothing that was cleared before it leaves: the longest life of a permit.
const AFTER_LEAP: Duration = Duration::from_secs(5);

/// Notices that the wall clock leapt against the monotonic one: a suspended machine, a stepped
/// clock. What was cleared before stands on another time of day (G3).
#[derive(Debug, Default)]
pub struct Leap {
    last: Option<Now>,
    until: Option<Instant>,
}

impl Leap {
    /// No look taken yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None, until: None }
    }

    /// Whether permits from before this look may still be used.
    pub fn check(&mut self, now: Now) -> bool {
        if let Some(last) = self.last {
            let mono = now.mono.saturating_duration_since(last.mono);
            let apart = if now.wall >= last.wall {
                now.wall.since(last.wall).abs_diff(mono)
            } else {
                last.wall.since(now.wall) + mono
            };
            if apart > PART {
                tracing::warn!(
                    apart_ms = apart.as_millis(),
                    "the wall clock leapt: nothing cleared before is sent"
                );
                self.until = Some(now.mono + AFTER_LEAP);
            }
        }
        self.last = Some(now);
        self.until.is_none_or(|until| now.mono >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clocks_are_apart_by_what_the_way_between_them_does_not_explain() {
        let apart = |theirs| apart(UnixMillis(theirs), UnixMillis(1_000), UnixMillis(1_040));
        for (theirs, millis) in [(1_000, 0), (1_020, 0), (1_040, 0), (400, 600), (1_541, 501)] {
            assert_eq!(apart(theirs), Duration::from_millis(millis), "{theirs}");
        }
        assert_eq!(NODE_BOUND * 2, dialer_judge::CLOCK_BOUND);
    }

    #[test]
    fn a_leap_of_the_wall_clock_holds_back_what_was_cleared_before_it() {
        let start = Clock::with_offset(0).now();
        for (wall_ms, steady) in [(1_000, true), (1_900, true), (3_000, false), (-500, false)] {
            let mut leap = Leap::new();
            assert!(leap.check(start));
            let mut later = start.after(Duration::from_secs(1));
            later.wall = UnixMillis(start.wall.0 + wall_ms);
            assert_eq!(leap.check(later), steady, "{wall_ms}");
            let calm = Now { mono: later.mono + AFTER_LEAP, wall: later.wall.after(AFTER_LEAP) };
            assert!(leap.check(calm), "{wall_ms}");
        }
    }
}
