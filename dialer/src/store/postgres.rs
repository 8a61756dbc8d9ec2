//! Connecting to Postgres, and whether it keeps what it says it committed.

use std::{str::FromStr, time::Duration};

use schema::config;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::PATIENCE;

/// Why Postgres cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not reachable, or the login is refused.
    #[error("cannot use PostgreSQL at {url}: {reason}")]
    Unreachable {
        /// Where, without the password.
        url: String,
        /// Why.
        reason: sqlx::Error,
    },
    /// A commit would not be durable when it returns (G4).
    #[error(
        "PostgreSQL at {url} has {setting} = {value}: a commit would not be durable; set it to on"
    )]
    NotDurable {
        /// Where.
        url: String,
        /// Which setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
}

/// Opens the pool. Statements, locks and idle transactions are bounded on the server, too, so that
/// nothing that was given up here goes on for long there.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(settings: &config::Postgres) -> Result<PgPool, ConnectError> {
    let unreachable = |reason| ConnectError::Unreachable { url: settings.url.to_string(), reason };
    let options = PgConnectOptions::from_str(settings.url.expose())
        .map_err(unreachable)?
        .application_name("ringfence-dialer")
        .options([
            ("statement_timeout", "10000"),
            ("lock_timeout", "2000"),
            ("idle_in_transaction_session_timeout", "10000"),
        ]);
    PgPoolOptions::new()
        .max_connections(settings.max_connections.max(6))
        .min_connections(2)
        .acquire_timeout(PATIENCE + Duration::from_secs(1))
        .connect_with(options)
        .await
        .map_err(unreachable)
}

/// Refuses a server whose commits can be lost (G4).
///
/// # Errors
/// See [`ConnectError`].
pub async fn check_durable(pool: &PgPool, settings: &config::Postgres) -> Result<(), ConnectError> {
    let url = || settings.url.to_string();
    for (setting, sql, good) in [
        ("synchronous_commit", "SHOW synchronous_commit", ["on", "remote_apply"]),
        ("fsync", "SHOW fsync", ["on", "on"]),
    ] {
        let value: String = sqlx::query_scalar(sql)
            .fetch_one(pool)
            .await
            .map_err(|reason| ConnectError::Unreachable { url: url(), reason })?;
        if !good.contains(&value.as_str()) {
            return Err(ConnectError::NotDurable { url: url(), setting, value });
        }
    }
    Ok(())
}
