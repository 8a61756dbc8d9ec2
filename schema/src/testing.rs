//! The private Postgres and Redis that tests and the demo run on: own folder under `/tmp`, loopback
//! only, free ports, random passwords, nothing left behind when dropped.

mod postgres;
mod process;
mod redis;
mod redis_groups;
mod unfit;

use std::path::PathBuf;

pub use postgres::{PostgresOptions, PrivatePostgres};
pub use redis::{PrivateRedis, RedisOptions};
pub use redis_groups::{PrivateCluster, SERVICE, WatchedRedis};
pub use unfit::{UnfitPostgres, UnfitRedis, unfit_postgres, unfit_redis};

/// Why a private server does not run.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// A program that is not installed.
    #[error(
        "{program} is not installed (looked in {looked}); on Debian: apt-get install {package}"
    )]
    NotInstalled {
        /// Which.
        program: &'static str,
        /// Where it should have been.
        looked: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// A file or process operation failed.
    #[error("{what}: {reason}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        reason: std::io::Error,
    },
    /// A program ran and failed.
    #[error("{what} failed:\n{log}")]
    Failed {
        /// Which.
        what: String,
        /// The end of what it said.
        log: String,
    },
    /// It did not answer in time.
    #[error("{what} did not answer within 15 s; the end of its log, {}:\n{log}", path.display())]
    NotReady {
        /// Which, and where.
        what: String,
        /// Its log.
        path: PathBuf,
        /// The end of it.
        log: String,
    },
    /// Started by root, and there is no user to become: PostgreSQL refuses to run as root.
    #[error("PostgreSQL refuses to run as root, and there is no user 'postgres' to run it as")]
    NoUser,
}
