//! Stores that are away at a start: waited for, with pauses that grow. What is wrong with a store and
//! stays wrong until somebody changes it is no reason to wait.

use std::{fmt, time::Duration};

use crate::{PostgresError, RedisError, clock::mono};

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);
/// The longest: a store that is back is in use again this soon.
const LONGEST: Duration = Duration::from_secs(2);
/// The same reason is logged again after this.
const SAID_FOR: Duration = Duration::from_secs(30);

/// A store that a process cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The truth.
    Postgres,
    /// The copy.
    Redis,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
        })
    }
}

impl Store {
    /// Which store was away, if that is all that this error says: refused, silent, not to be found,
    /// or not done with its own start. Of an error with a cause, the cause says.
    #[must_use]
    pub fn away(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<RedisError>() {
                return error.is_away().then_some(Self::Redis);
            }
            let of_postgres = match error.downcast_ref::<PostgresError>() {
                Some(PostgresError::Unreachable { reason, .. }) => Some(reason),
                Some(_) => return None,
                None => error.downcast_ref::<sqlx::Error>(),
            };
            if let Some(reason) = of_postgres {
                return is_away(reason).then_some(Self::Postgres);
            }
            next = error.source();
        }
        None
    }
}

/// Whether Postgres may do the same a little later.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        // 08 connection, 40 deadlock, 53 resources, 55 locks, 57 ending or starting up, 58 system errors.
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Tries until it succeeds, or fails for another reason than that a store is away, as `away` tells.
/// `waiting` hears which store it waits for, and `None` when it succeeded. It has no other end:
/// whoever called it drops it when the process is told to stop.
///
/// # Errors
/// The first that no waiting mends.
pub async fn patiently<T, E: fmt::Display>(
    away: impl Fn(&E) -> Option<Store>,
    waiting: impl Fn(Option<Store>),
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut pause = FIRST;
    let mut said = None;
    loop {
        let error = match attempt().await {
            Ok(done) => {
                waiting(None);
                return Ok(done);
            }
            Err(error) => error,
        };
        let Some(store) = away(&error) else { return Err(error) };
        waiting(Some(store));
        let why = format!("{error:#}");
        let news = |(before, at): &(String, std::time::Instant)| {
            *before != why || mono().saturating_duration_since(*at) > SAID_FOR
        };
        if said.as_ref().is_none_or(news) {
            tracing::warn!(%store, %why, "waiting for a store that is away");
            said = Some((why, mono()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn unreachable(reason: sqlx::Error) -> PostgresError {
        PostgresError::Unreachable { url: "postgres://h/d".to_owned(), reason }
    }

    #[test]
    fn what_is_wrong_is_not_away() {
        let refused = || sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(Store::away(&unreachable(refused())), Some(Store::Postgres));
        assert_eq!(Store::away(&refused()), Some(Store::Postgres));
        assert_eq!(Store::away(&unreachable(sqlx::Error::PoolTimedOut)), Some(Store::Postgres));
        assert_eq!(Store::away(&unreachable(sqlx::Error::RowNotFound)), None);
        let standby = PostgresError::Standby { url: String::new() };
        assert_eq!(Store::away(&standby), None);
        assert_eq!(Store::away(&RedisError::Late), Some(Store::Redis));
        assert_eq!(Store::away(&RedisError::Policy("volatile-lru".to_owned())), None);
        assert_eq!(Store::away(&io::Error::other("a full disk")), None);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_first_that_is_no_absence() {
        let began = mono();
        let mut errors = vec![RedisError::NoFunctions, RedisError::Late, RedisError::Late];
        let told = std::cell::RefCell::new(Vec::new());
        let outcome = patiently(
            |error: &RedisError| Store::away(error),
            |store| told.borrow_mut().push(store),
            async || errors.pop().map_or(Ok(()), Err),
        )
        .await;
        assert!(matches!(outcome, Err(RedisError::NoFunctions)), "{outcome:?}");
        assert!(began.elapsed() >= FIRST * 3, "the second pause is longer");
        assert_eq!(told.take(), [Some(Store::Redis); 2]);
    }
}
