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
pub mod standing;
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
    /// The migrations would close what runs.
    #[error(
        "migrating retires every release for a schema before {oldest}, and these run: {}; stop them, or \
         replace them by a release for schema {oldest} or later, or say --retire: then dialers among \
         them place nothing from the next second on, and nothing more is recorded",
        .running.join(", ")
    )]
    Retires {
        /// The oldest that may run then.
        oldest: i32,
        /// What runs, each by what it calls itself, and from where.
        running: Vec<String>,
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

impl StartError {
    /// Which store is away, if that is all that is wrong.
    #[must_use]
    pub fn away(&self) -> Option<dialer_stores::Store> {
        match self {
            Self::Postgres { reason, .. } => dialer_stores::Store::away(reason),
            Self::Redis { reason, .. } => dialer_stores::Store::away(reason),
            other => dialer_stores::Store::away(other),
        }
    }
}
