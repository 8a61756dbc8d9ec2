//! Connecting to Postgres. What it has to be stands in `dialer-stores`.

use std::{str::FromStr, time::Duration};

use dialer_stores::postgres::counted;
pub use dialer_stores::postgres::{PostgresError, check, check_durable, probe, reach};
use schema::{config, releases};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::PATIENCE;

/// Opens the pool. Statements, locks and idle transactions are bounded on the server, too, so that
/// nothing that was given up here goes on for long there.
///
/// # Errors
/// See [`PostgresError`].
pub async fn connect(settings: &config::Postgres) -> Result<PgPool, PostgresError> {
    connect_as(settings, "").await
}

/// The same for a dialer of this name.
///
/// # Errors
/// See [`PostgresError`].
pub async fn connect_as(settings: &config::Postgres, name: &str) -> Result<PgPool, PostgresError> {
    let unreachable = |reason| PostgresError::Unreachable { url: settings.url.to_string(), reason };
    let options = PgConnectOptions::from_str(settings.url.expose())
        .map_err(unreachable)?
        .application_name(&releases::application_name(releases::DIALER, name))
        .options([
            ("statement_timeout", "10000"),
            ("lock_timeout", "2000"),
            ("idle_in_transaction_session_timeout", "1500"),
            // Every statement here reads a batch by its keys. One plan for all batches, which does not
            // turn with the statistics of the day, and is not made anew for each.
            ("plan_cache_mode", "force_generic_plan"),
            ("jit", "off"),
        ]);
    reach(&options).await.map_err(unreachable)?;
    counted(PgPoolOptions::new())
        .max_connections(settings.max_connections.max(6))
        .min_connections(2)
        .acquire_timeout(PATIENCE + Duration::from_secs(1))
        .connect_with(options)
        .await
        .map_err(unreachable)
}
