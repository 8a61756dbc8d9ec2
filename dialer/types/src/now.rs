//! Both clocks, sampled together by the shell and always passed last.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A moment of wall time: milliseconds since 1970-01-01T00:00:00Z. Decides what is lawful.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The moment `duration` later, saturating at the end of time.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The moment `duration` earlier, saturating at the beginning of time.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Wall time and monotonic time, sampled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Decides what is lawful.
    pub wall: UnixMillis,
    /// Drives timers; never steps.
    pub mono: Instant,
}

impl Now {
    /// Both clocks `duration` later: for tests and the simulator.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self { wall: self.wall.after(duration), mono: self.mono + duration }
    }
}
