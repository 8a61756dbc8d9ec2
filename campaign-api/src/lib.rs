//! The HTTP API: what campaign managers set going, what people opt out of, and what compliance
//! teams take away. All state is in Postgres; Redis is told what changed.

pub mod app;
pub mod clock;
mod events;
pub mod http;
mod import;
mod judging;
pub mod metrics;
mod permits;
pub mod users;
pub mod words;

/// Why the process does not start. Names what, and where.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is missing or faulty.
    #[error("{0}")]
    Config(#[from] schema::config::ConfigError),
    /// Postgres does not answer, or is not ours.
    #[error("Postgres at {place}: {reason}")]
    Postgres {
        /// Its URL without the password.
        place: String,
        /// What it, or the way to it, said.
        reason: sqlx::Error,
    },
    /// Postgres is there and cannot be used.
    #[error("{0}")]
    Unfit(#[from] dialer_stores::postgres::PostgresError),
    /// The migrations do not apply.
    #[error("migrating {place}: {reason}")]
    Migrate {
        /// The URL without the password.
        place: String,
        /// Why not.
        reason: sqlx::migrate::MigrateError,
    },
    /// Redis does not answer.
    #[error("Redis at {place}: {reason}")]
    Redis {
        /// Its URL without the password.
        place: String,
        /// Why not.
        reason: dialer_stores::RedisError,
    },
    /// The stored clock offset is for the demo only.
    #[error("deployment.clock_offset_ms is {0} outside the demo: refused")]
    ClockOffset(i64),
    /// A listener cannot be opened.
    #[error("listening on {place}: {reason}")]
    Listen {
        /// Where.
        place: std::net::SocketAddr,
        /// Why not.
        reason: std::io::Error,
    },
    /// The catalogue of another language is broken: a mistake of the build.
    #[error("{0}")]
    Sentences(String),
    /// There are no rules to judge by.
    #[error("{0}")]
    Rules(#[from] dialer_facts::rules::RulesError),
    /// The operating system gives no random bytes, or a key is unusable.
    #[error("{0}")]
    Keys(String),
}
