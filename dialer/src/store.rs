//! The stores: Postgres, the truth, and Redis, its copy (DESIGN section 4). Every call has a time
//! bound; late, failed and unreadable are one answer, `Answer::Unavailable` (G5).

pub mod audit;
pub mod commits;
pub mod export;
pub mod facts;
pub mod flights;
pub mod heads;
pub mod lease;
pub mod ledgers;
pub mod node;
pub mod partitions;
pub mod postgres;
pub mod reap;
pub mod redis;
pub mod reserve;
pub mod rules;
pub mod shares;
pub mod subscribe;
pub mod take;
pub mod trunk_state;

use std::{
    sync::{Mutex, PoisonError, atomic::AtomicI64},
    time::Duration,
};

use dialer_facts::FactsError;
use dialer_limiter::Token;
use dialer_stores::WriteError;
use dialer_types::{Mint, NodeId, SubjectId, UnixMillis};
use schema::{heads::HeadsError, numbers::NumberKeys, rows::RowsError};
use sqlx::PgPool;

use crate::{
    clock::Clock,
    gate::{Gate, Need},
    metrics::Metrics,
};

/// How long a store may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres failed.
    #[error("postgres: {0}")]
    Sql(#[from] sqlx::Error),
    /// Redis failed.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// It took longer than [`PATIENCE`].
    #[error("no answer in time")]
    Late,
    /// A head is missing or cannot be read.
    #[error(transparent)]
    Heads(HeadsError),
    /// A record has no canonical bytes, or a row was lost.
    #[error(transparent)]
    Rows(RowsError),
    /// A value in the database is outside its vocabulary.
    #[error("{table}: {what}")]
    Row {
        /// Where.
        table: &'static str,
        /// What.
        what: String,
    },
}

impl From<::redis::RedisError> for StoreError {
    fn from(error: ::redis::RedisError) -> Self {
        Self::Redis(error.into())
    }
}

impl From<HeadsError> for StoreError {
    fn from(error: HeadsError) -> Self {
        match error {
            HeadsError::Sql(error) => Self::Sql(error),
            other => Self::Heads(other),
        }
    }
}

impl From<FactsError> for StoreError {
    fn from(error: FactsError) -> Self {
        match error {
            FactsError::Sql(error) => Self::Sql(error),
            FactsError::Row { table, what } => Self::Row { table, what },
        }
    }
}

impl From<WriteError> for StoreError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Sql(error) => Self::Sql(error),
            WriteError::Heads(error) => error.into(),
            WriteError::Rows(error) => error.into(),
        }
    }
}

impl From<RowsError> for StoreError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Sql(error) => Self::Sql(error),
            other => Self::Rows(other),
        }
    }
}

impl StoreError {
    /// A value that is not understood.
    pub(crate) fn row(table: &'static str, what: impl Into<String>) -> Self {
        Self::Row { table, what: what.into() }
    }

    /// Whether trying the same again may work: the store was away, late, or in somebody's way.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Late | Self::Redis(_) => true,
            Self::Heads(_) | Self::Rows(_) | Self::Row { .. } => false,
            Self::Sql(sqlx::Error::Database(error)) => {
                // 08 connection, 25 read-only standby, 40 serialisation and deadlock, 53 resources,
                // 55 locks, 57 operator intervention, 58 system errors.
                let code = error.code().unwrap_or_default();
                ["08", "25", "40", "53", "55", "57", "58"]
                    .iter()
                    .any(|class| code.starts_with(class))
            }
            Self::Sql(
                sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
                | sqlx::Error::TypeNotFound { .. }
                | sqlx::Error::RowNotFound
                | sqlx::Error::Encode(_)
                | sqlx::Error::Decode(_),
            ) => false,
            Self::Sql(_) => true,
        }
    }
}

/// What every store task needs.
#[derive(Debug)]
pub struct Stores {
    /// The truth.
    pub pool: PgPool,
    /// The copy.
    pub redis: redis::Redis,
    /// Time.
    pub clock: Clock,
    /// Whether contacts may be taken.
    pub gate: Gate,
    /// Counters.
    pub metrics: Metrics,
    /// This incarnation.
    pub node: NodeId,
    /// Opens numbers.
    pub keys: NumberKeys,
    /// Reads of heads under way.
    pub(crate) flights: flights::Flights,
    /// Grounds of permits that this process has made durable.
    pub(crate) grounds: dialer_stores::Grounds,
    /// Batches of the ledger that were numbered.
    pub(crate) batches: AtomicI64,
    mint: Mutex<Mint>,
}

impl Stores {
    /// Puts the stores together. `seed`: 32 unpredictable bytes for the tokens of events.
    #[must_use]
    pub const fn new(
        pool: PgPool,
        redis: redis::Redis,
        clock: Clock,
        gate: Gate,
        metrics: Metrics,
        node: NodeId,
        keys: NumberKeys,
        seed: Mint,
    ) -> Self {
        let flights = flights::Flights::new();
        let grounds = dialer_stores::Grounds::new();
        let batches = AtomicI64::new(0);
        let mint = Mutex::new(seed);
        Self { pool, redis, clock, gate, metrics, node, keys, flights, grounds, batches, mint }
    }

    /// A token nobody has used.
    pub fn token(&self) -> Token {
        self.token_at(self.clock.now().wall)
    }

    fn token_at(&self, now: UnixMillis) -> Token {
        Token(self.mint.lock().unwrap_or_else(PoisonError::into_inner).ulid(now))
    }

    /// Bounds a call of Postgres in time, and tells the gate what it showed.
    ///
    /// # Errors
    /// As the call, or [`StoreError::Late`].
    pub async fn postgres<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.bounded(Need::Postgres, call).await
    }

    /// Bounds a call of Redis in time, and tells the gate what it showed.
    ///
    /// # Errors
    /// As the call, or [`StoreError::Late`].
    pub async fn redis<T>(
        &self,
        call: impl Future<Output = Result<T, redis::RedisError>>,
    ) -> Result<T, StoreError> {
        self.bounded(Need::Redis, async { Ok(call.await?) }).await
    }

    async fn bounded<T>(
        &self,
        need: Need,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let timer = self.metrics.store_seconds.with_label_values(&[need.as_str()]).start_timer();
        let answer = tokio::time::timeout(PATIENCE, call).await.unwrap_or(Err(StoreError::Late));
        timer.observe_duration();
        if let Err(error) = &answer {
            self.metrics.store_errors.with_label_values(&[need.as_str()]).inc();
            tracing::debug!(store = need.as_str(), %error, "a store call failed");
            if !matches!(error, StoreError::Sql(sqlx::Error::Database(_))) && error.is_passing() {
                // Closed at once; the next probe that is answered opens it again.
                self.gate.report(need, false);
            }
        }
        answer
    }
}

/// The ids of subjects as Postgres wants them.
pub(crate) fn raw(subjects: &[SubjectId]) -> Vec<i64> {
    subjects.iter().map(|subject| subject.0).collect()
}
