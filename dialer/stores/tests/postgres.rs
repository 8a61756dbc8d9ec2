//! What Postgres has to be: which releases run on which tables, and what commits wait for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dialer_stores::postgres::{PostgresError, check, check_durable, probe};
use schema::{
    VERSION,
    config::StoreUrl,
    testing::{PostgresOptions, PrivatePostgres},
};
use sqlx::{PgPool, postgres::PgPoolOptions};

async fn migrated(postgres: &PrivatePostgres) -> (PgPool, StoreUrl, String) {
    let database = postgres.new_database().unwrap();
    let owner = PgPoolOptions::new().connect(&postgres.owner_url(&database)).await.unwrap();
    schema::MIGRATOR.run(&owner).await.unwrap();
    let url = postgres.app_url(&database);
    let pool = PgPoolOptions::new().max_connections(2).connect(&url).await.unwrap();
    (pool, StoreUrl::new(url), database)
}

#[tokio::test]
async fn two_releases_run_side_by_side_until_a_migration_retires_the_older() {
    let postgres = PrivatePostgres::shared().unwrap();
    let (pool, url, database) = migrated(&postgres).await;
    let set = |version: i32, oldest: i32| {
        let sql = format!("UPDATE schema_version SET version = {version}, oldest = {oldest}");
        postgres.sql(&database, &sql).unwrap();
    };
    check(&pool, &url).await.unwrap();
    assert_eq!(probe(&pool).await.unwrap(), Ok(()));
    // The next release's migration only adds: this one goes on, and may be started again.
    set(VERSION + 1, VERSION);
    check(&pool, &url).await.unwrap();
    assert_eq!(probe(&pool).await.unwrap(), Ok(()));
    // The one after takes away what this one needs.
    set(VERSION + 2, VERSION + 1);
    assert_eq!(probe(&pool).await.unwrap(), Err(VERSION + 1), "a running process notices");
    let refused = check(&pool, &url).await.unwrap_err();
    assert!(matches!(refused, PostgresError::TooNew { .. }), "{refused}");
    // And the other way round: this release on tables that were not migrated yet.
    set(VERSION - 1, VERSION - 1);
    let refused = check(&pool, &url).await.unwrap_err();
    assert!(matches!(refused, PostgresError::TooOld { .. }), "{refused}");
    assert!(!refused.to_string().contains(url.expose()), "{refused}");
}

#[tokio::test]
async fn commits_must_be_durable_and_a_synchronous_standby_is_noticed() {
    let start = |settings: &[&str]| {
        let settings = settings.iter().map(|it| (*it).to_owned()).collect();
        PrivatePostgres::start(PostgresOptions { settings, ..PostgresOptions::default() }).unwrap()
    };
    let pool = async |postgres: &PrivatePostgres| {
        let url = postgres.app_url("postgres");
        (PgPoolOptions::new().connect(&url).await.unwrap(), StoreUrl::new(url))
    };
    let postgres = start(&[]);
    let (pool_of, url) = pool(&postgres).await;
    assert!(!check_durable(&pool_of, &url).await.unwrap(), "there is no standby");
    postgres.sql("postgres", "ALTER ROLE app SET synchronous_commit = off").unwrap();
    let (pool_of, url) = pool(&postgres).await;
    let refused = check_durable(&pool_of, &url).await.unwrap_err().to_string();
    assert!(refused.contains("synchronous_commit = off"), "{refused}");
    // Nothing is committed here: it would wait for a standby that is not there.
    postgres.sql("postgres", "ALTER ROLE app RESET synchronous_commit").unwrap();
    postgres.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'second'").unwrap();
    postgres.sql("postgres", "SELECT pg_reload_conf()").unwrap();
    for _ in 0..100 {
        let (pool_of, url) = pool(&postgres).await;
        if check_durable(&pool_of, &url).await.unwrap() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("a synchronous standby is not noticed");
}
