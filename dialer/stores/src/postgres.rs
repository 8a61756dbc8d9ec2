//! What Postgres has to be for anything to rest on it, asked at a start by every process.

use std::sync::atomic::{AtomicU64, Ordering};

use schema::config::StoreUrl;
use sqlx::{
    ConnectOptions as _, Connection as _, PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::PATIENCE;

/// Connections that this process has opened.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// How many connections this process has opened in pools that are [`counted`]: a number that a failover
/// always changes before anything is written to the new primary.
pub(crate) fn connections() -> u64 {
    CONNECTIONS.load(Ordering::SeqCst)
}

/// A pool whose connections are counted: every pool that placements are committed with.
pub fn counted(options: PgPoolOptions) -> PgPoolOptions {
    options.after_connect(|_, _| {
        CONNECTIONS.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    })
}

/// Why Postgres cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
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
    /// A standby.
    #[error("PostgreSQL at {url} is a standby, which takes no writes: name the primary")]
    Standby {
        /// Where.
        url: String,
    },
    /// Transactions only read.
    #[error(
        "PostgreSQL at {url} is read-only: set default_transaction_read_only to off, for the \
         database and for the login"
    )]
    ReadOnly {
        /// Where.
        url: String,
    },
    /// The tables are older than this release, or not there.
    #[error(
        "PostgreSQL at {url} has no schema of this version ({found}, this release needs {needed}); \
         run: campaign-api migrate"
    )]
    TooOld {
        /// Where.
        url: String,
        /// What it has.
        found: String,
        /// What is needed.
        needed: i32,
    },
    /// The tables are of a release beside which this one may not run.
    #[error(
        "PostgreSQL at {url} has schema {found}, and no release for a schema before {oldest} may \
         run on it; this one is for {ours}: start a newer release"
    )]
    TooNew {
        /// Where.
        url: String,
        /// What it has.
        found: i32,
        /// The oldest that may run.
        oldest: i32,
        /// This one.
        ours: i32,
    },
}

/// Whether it lets somebody in. A pool tries for a while, and does not say then what was in its way.
///
/// # Errors
/// What was.
pub async fn reach(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    let connection = tokio::time::timeout(PATIENCE, options.connect()).await.map_err(late)??;
    // It was let in; how it leaves is of no matter.
    connection.close().await.ok();
    Ok(())
}

/// Refuses a server that takes no writes, or whose tables this release does not know.
///
/// # Errors
/// See [`PostgresError`].
pub async fn check(pool: &PgPool, url: &StoreUrl) -> Result<(), PostgresError> {
    let place = || url.to_string();
    let unreachable = |reason| PostgresError::Unreachable { url: place(), reason };
    let row = sqlx::query(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
                to_regclass('schema_version') IS NOT NULL",
    )
    .fetch_one(pool)
    .await
    .map_err(unreachable)?;
    let flag = |at: usize| row.try_get::<bool, _>(at).map_err(unreachable);
    if flag(0)? {
        return Err(PostgresError::Standby { url: place() });
    }
    if flag(1)? {
        return Err(PostgresError::ReadOnly { url: place() });
    }
    match flag(2)? {
        true => check_version(pool, url).await,
        false => Err(too_old(url, "it has none, or one before 10".to_owned())),
    }
}

/// Refuses a server whose commits can be lost (G4). Says whether they wait for a standby, and logs
/// what it costs when they do not.
///
/// # Errors
/// See [`PostgresError`].
pub async fn check_durable(pool: &PgPool, url: &StoreUrl) -> Result<bool, PostgresError> {
    let unreachable = |reason| PostgresError::Unreachable { url: url.to_string(), reason };
    let row = sqlx::query(
        "SELECT current_setting('synchronous_commit'), current_setting('fsync'),
                current_setting('synchronous_standby_names') <> ''",
    )
    .fetch_one(pool)
    .await
    .map_err(unreachable)?;
    for (setting, at, good) in
        [("synchronous_commit", 0, ["on", "remote_apply"].as_slice()), ("fsync", 1, &["on"])]
    {
        let value: String = row.try_get(at).map_err(unreachable)?;
        if !good.contains(&value.as_str()) {
            return Err(PostgresError::NotDurable { url: url.to_string(), setting, value });
        }
    }
    let standby: bool = row.try_get(2).map_err(unreachable)?;
    if !standby {
        tracing::warn!(
            "PostgreSQL has no synchronous standby (synchronous_standby_names is empty): if its \
             machine is lost, so are the commits that no standby had received. Calls that were made \
             would be missing in the audit, and their caps could be exceeded"
        );
    }
    Ok(standby)
}

fn too_old(url: &StoreUrl, found: String) -> PostgresError {
    PostgresError::TooOld { url: url.to_string(), found, needed: schema::VERSION }
}

/// Whether this release may run on the tables as they are.
async fn check_version(pool: &PgPool, url: &StoreUrl) -> Result<(), PostgresError> {
    let unreachable = |reason| PostgresError::Unreachable { url: url.to_string(), reason };
    let (found, oldest) = read_version(pool).await.map_err(unreachable)?;
    if found < schema::VERSION {
        return Err(too_old(url, format!("it has version {found}")));
    }
    if oldest > schema::VERSION {
        let (url, ours) = (url.to_string(), schema::VERSION);
        return Err(PostgresError::TooNew { url, found, oldest, ours });
    }
    if found > schema::VERSION {
        tracing::info!(
            schema = found,
            ours = schema::VERSION,
            "the database is ahead of this release, which may still run on it"
        );
    }
    Ok(())
}

async fn read_version(pool: &PgPool) -> Result<(i32, i32), sqlx::Error> {
    sqlx::query_as("SELECT version, oldest FROM schema_version").fetch_one(pool).await
}

/// Whether it answers, and this release may still run on it: a migration may have said otherwise
/// since it started. `Err(oldest)` inside: the oldest schema whose releases may run.
///
/// # Errors
/// If it does not answer.
pub async fn probe(pool: &PgPool) -> Result<Result<(), i32>, sqlx::Error> {
    let (_, oldest) = read_version(pool).await?;
    Ok(if oldest > schema::VERSION { Err(oldest) } else { Ok(()) })
}
