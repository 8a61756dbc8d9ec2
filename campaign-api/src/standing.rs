//! Whether this process may record and judge: its clock is Postgres's, within the bound, and no
//! migration has retired its release. Asked of Postgres every second; a wall clock that leaps in
//! between is noticed by the next request, against the monotonic one.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use dialer_stores::clock::{NODE_BOUND, apart};
use dialer_types::UnixMillis;
use sqlx::PgPool;

use crate::clock::{Clock, mono};

/// How often Postgres is asked.
pub const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long it may take. What it said last holds meanwhile: without Postgres nothing is recorded.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why nothing may be recorded or judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The clock is so far from Postgres's, at least.
    Clock(Duration),
    /// No release for a schema before this one may run.
    Retired(i32),
    /// Postgres was not asked yet.
    Unasked,
}

/// What Postgres said, and when.
#[derive(Debug, Clone, Copy)]
struct Said {
    /// Our clocks when it answered; the wall clock without the demo's offset.
    wall: UnixMillis,
    mono: Instant,
    /// How far its clock was from ours, at least.
    apart: Duration,
    oldest: i32,
}

/// What is known of it.
#[derive(Debug, Default)]
pub struct Standing(Mutex<Option<Said>>);

impl Standing {
    /// Asks Postgres.
    ///
    /// # Errors
    /// If it does not answer in time: what it said before holds.
    pub async fn ask(&self, pool: &PgPool, clock: Clock) -> Result<(), sqlx::Error> {
        let ask = async {
            // The way to a connection is no part of the question.
            let mut connection = pool.acquire().await?;
            let before = clock.unmoved();
            let (theirs, oldest): (i64, i32) = sqlx::query_as(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, oldest
                 FROM schema_version",
            )
            .fetch_one(&mut *connection)
            .await?;
            let (wall, mono) = (clock.unmoved(), mono());
            Ok::<_, sqlx::Error>(Said {
                wall,
                mono,
                apart: apart(UnixMillis(theirs), before, wall),
                oldest,
            })
        };
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let said = tokio::time::timeout(PATIENCE, ask).await.map_err(late)??;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        Ok(())
    }

    /// Whether something may be recorded or judged now.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, clock: Clock) -> Result<(), Unfit> {
        let said = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.ok_or(Unfit::Unasked)?.check(clock.unmoved(), mono())
    }

    /// How far the clock is from Postgres's, as far as is known.
    pub fn apart(&self, clock: Clock) -> Duration {
        let said = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.map_or(Duration::ZERO, |said| said.apart_at(clock.unmoved(), mono()))
    }
}

impl Said {
    fn check(&self, wall: UnixMillis, mono: Instant) -> Result<(), Unfit> {
        if self.oldest > schema::VERSION {
            return Err(Unfit::Retired(self.oldest));
        }
        let apart = self.apart_at(wall, mono);
        if apart > NODE_BOUND { Err(Unfit::Clock(apart)) } else { Ok(()) }
    }

    /// What was apart then, and what the wall clock has leapt since.
    fn apart_at(&self, wall: UnixMillis, mono: Instant) -> Duration {
        let passed = mono.saturating_duration_since(self.mono);
        let leapt = if wall >= self.wall {
            wall.since(self.wall).abs_diff(passed)
        } else {
            self.wall.since(wall) + passed
        };
        // A tick of the wall clock's milliseconds is no leap.
        let leapt = if leapt <= Duration::from_millis(1) { Duration::ZERO } else { leapt };
        self.apart + leapt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_or_leaps_is_noticed_at_once_and_a_retired_release_too() {
        assert_eq!(NODE_BOUND * 2, dialer_judge::CLOCK_BOUND);
        let start = mono();
        let said = Said { wall: UnixMillis(10_000), mono: start, apart: Duration::ZERO, oldest: 1 };
        let second = start + Duration::from_secs(1);
        let at = |wall| said.check(UnixMillis(wall), second);
        for fine in [10_500, 11_000, 11_001, 11_500] {
            assert_eq!(at(fine), Ok(()), "{fine}");
        }
        assert_eq!(at(11_501), Err(Unfit::Clock(Duration::from_millis(501))));
        assert_eq!(at(10_499), Err(Unfit::Clock(Duration::from_millis(501))));
        assert_eq!(at(9_000), Err(Unfit::Clock(Duration::from_millis(2_000))));
        let far = Said { apart: Duration::from_millis(400), ..said };
        let off = far.check(UnixMillis(11_101), second);
        assert_eq!(off, Err(Unfit::Clock(Duration::from_millis(501))));
        let retired = Said { oldest: schema::VERSION + 1, ..said };
        let gone = retired.check(UnixMillis(11_000), second);
        assert_eq!(gone, Err(Unfit::Retired(schema::VERSION + 1)));
        assert_eq!(Standing::default().check(Clock::new(0)), Err(Unfit::Unasked));
    }
}
