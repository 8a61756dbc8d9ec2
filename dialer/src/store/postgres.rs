//! Connecting to Postgres. What it has to be stands in `dialer-stores`.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

pub use dialer_stores::postgres::{PostgresError, check, check_durable, probe};
use schema::config;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::PATIENCE;

/// Connections that this process has opened.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// How many connections this process has opened: a number that a failover always changes before
/// anything is written to the new primary.
pub(crate) fn connections() -> u64 {
    CONNECTIONS.load(Ordering::SeqCst)
}

/// Opens the pool. Statements, locks and idle transactions are bounded on the server, too, so that
/// nothing that was given up here goes on for long there.
///
/// # Errors
/// See [`PostgresError`].
pub async fn connect(settings: &config::Postgres) -> Result<PgPool, PostgresError> {
    let unreachable = |reason| PostgresError::Unreachable { url: settings.url.to_string(), reason };
    let options = PgConnectOptions::from_str(settings.url.expose())
        .map_err(unreachable)?
        .application_name("ringfence-dialer")
        .options([
            ("statement_timeout", "10000"),
            ("lock_timeout", "2000"),
            ("idle_in_transaction_session_timeout", "1500"),
        ]);
    PgPoolOptions::new()
        .max_connections(settings.max_connections.max(6))
        .min_connections(2)
        .acquire_timeout(PATIENCE + Duration::from_secs(1))
        .after_connect(|_, _| {
            CONNECTIONS.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        })
        .connect_with(options)
        .await
        .map_err(unreachable)
}
