//! Stores that no process may start on, each with what it must be told: so that every program is held
//! to the same list.

use super::{PrivateRedis, RedisOptions, TestingError};

/// A Redis that no process may start on.
#[derive(Debug)]
pub struct UnfitRedis {
    /// What is wrong with it.
    pub what: &'static str,
    /// The `[redis]` section's URL.
    pub url: String,
    /// What the refusal says is to be done.
    pub remedy: &'static str,
    _servers: Vec<PrivateRedis>,
}

/// A Postgres that no process may start on.
#[derive(Debug)]
pub struct UnfitPostgres {
    /// What is wrong with it.
    pub what: &'static str,
    /// What the owner has to do to a good database to make it so, `{database}` being its name.
    pub sql: &'static str,
    /// What the refusal says is to be done.
    pub remedy: &'static str,
}

fn with(settings: &[&str]) -> Result<PrivateRedis, TestingError> {
    let settings = settings.iter().map(|line| (*line).to_owned()).collect();
    PrivateRedis::with(RedisOptions { settings, ..RedisOptions::default() })
}

/// Every Redis that is refused.
///
/// # Errors
/// If one does not start.
pub fn unfit_redis() -> Result<Vec<UnfitRedis>, TestingError> {
    let mut unfit = Vec::new();
    let mut refused = |what, remedy, servers: Vec<PrivateRedis>, url: Option<String>| {
        let url = url.or_else(|| servers.last().map(PrivateRedis::url)).unwrap_or_default();
        unfit.push(UnfitRedis { what, url, remedy, _servers: servers });
    };
    let server = with(&["rename-command FUNCTION \"\""])?;
    refused("without functions", "run Redis 7 or newer", vec![server], None);
    let server = with(&["maxmemory-policy volatile-lru"])?;
    refused("volatile-lru", "set it to allkeys-lru, allkeys-lfu or noeviction", vec![server], None);
    let server = with(&["maxmemory 100mb", "maxmemory-policy allkeys-random"])?;
    refused("allkeys-random", "maxmemory-policy is allkeys-random: set it to", vec![server], None);
    let server = PrivateRedis::start()?;
    server.ask(&["SET cart:17 full"])?;
    let remedy = "one begins with \"cart:17\"): give Ringfence a Redis of its own";
    refused("foreign keys", remedy, vec![server], None);
    let server = PrivateRedis::start()?;
    server.ask(&["SELECT 3", "SET rf2:17 full"])?;
    refused("keys in another database", "in db3): give Ringfence a Redis", vec![server], None);
    let server = PrivateRedis::start()?;
    let url = format!("redis://:wr0ng@127.0.0.1:{}", server.port());
    refused(
        "the wrong password",
        "correct them in [redis] of ringfence.toml",
        vec![server],
        Some(url),
    );
    let server = PrivateRedis::start()?;
    let url = format!("redis://127.0.0.1:{}", server.port());
    refused("no password", "correct them in [redis] of ringfence.toml", vec![server], Some(url));
    let primary = PrivateRedis::start()?;
    let (port, password) = (primary.port(), primary.password().to_owned());
    let replica =
        with(&[&format!("replicaof 127.0.0.1 {port}"), &format!("masterauth {password}")])?;
    refused("a replica", "not the primary: name the primary", vec![primary, replica], None);
    let server = PrivateRedis::start()?;
    server.ask(&[
        "FUNCTION LOAD \"#!lua name=ringfence_v2\\nredis.register_function('rf2_ready', function() return 1 end)\"",
    ])?;
    refused("another build's functions", "FUNCTION DELETE ringfence_v2", vec![server], None);
    let server = PrivateRedis::start()?;
    server.ask(&["ACL SETUSER reader on >secret ~* +@read"])?;
    let url = format!("redis://reader:secret@127.0.0.1:{}", server.port());
    refused(
        "a user without rights",
        "give it the rights that docs/operations.md",
        vec![server],
        Some(url),
    );
    Ok(unfit)
}

/// Every Postgres that is refused and can be made by SQL; a standby cannot
/// ([`super::PrivatePostgres::become_standby`]).
#[must_use]
pub const fn unfit_postgres() -> &'static [UnfitPostgres] {
    &[
        UnfitPostgres {
            what: "read-only",
            sql: "ALTER DATABASE \"{database}\" SET default_transaction_read_only = on",
            remedy: "set default_transaction_read_only to off",
        },
        UnfitPostgres {
            what: "without the row that says its version",
            sql: "DROP TABLE schema_version",
            remedy: "run: campaign-api migrate",
        },
        UnfitPostgres {
            what: "older than this release",
            sql: "UPDATE schema_version SET version = 9, oldest = 9",
            remedy: "it has version 9, this release needs",
        },
        UnfitPostgres {
            what: "too new for this release",
            sql: "UPDATE schema_version SET version = 1002, oldest = 1001",
            remedy: "no release for a schema before 1001 may run on it",
        },
    ]
}
