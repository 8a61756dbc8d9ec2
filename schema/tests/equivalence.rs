//! `schema.sql` and the migrations make the same database.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use schema::testing::PrivatePostgres;
use sqlx::{Connection, PgConnection, Row};

/// What a database is made of, one text per thing.
const CATALOG: &[&str] = &[
    "SELECT 'column ' || table_name || '.' || column_name || ' #' || ordinal_position || ' ' ||
            udt_name || ' null=' || is_nullable || ' default=' || coalesce(column_default, '') ||
            ' identity=' || coalesce(identity_generation, '')
     FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
     FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT 'trigger ' || pg_get_triggerdef(oid) || ' ' || tgenabled::text FROM pg_trigger
     WHERE NOT tgisinternal",
    "SELECT 'function ' || pg_get_functiondef(oid) FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace",
    "SELECT 'table ' || relname || ' ' || coalesce(reloptions::text, '') || ' by ' ||
            coalesce(pg_get_partkeydef(oid), '') || ' part ' || coalesce(pg_get_expr(relpartbound, oid), '')
     FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
    "SELECT 'grant ' || relname || ' ' || coalesce(grantee::regrole::text, '') || ' ' || privilege_type
     FROM pg_class, aclexplode(relacl)
     WHERE relnamespace = 'public'::regnamespace AND grantee = 'ringfence_app'::regrole",
    "SELECT 'deployment ' || deployment::text FROM deployment",
    "SELECT 'version ' || schema_version::text FROM schema_version",
];

async fn catalog(url: &str) -> BTreeSet<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut things = BTreeSet::new();
    for sql in CATALOG {
        for row in sqlx::query(*sql).fetch_all(&mut connection).await.unwrap() {
            let thing: String = row.get(0);
            if !thing.contains("_sqlx_migrations") {
                things.insert(thing);
            }
        }
    }
    things
}

#[tokio::test]
async fn schema_sql_makes_the_same_database_as_the_migrations() {
    let postgres = PrivatePostgres::shared().unwrap();
    let (migrated, written) = (postgres.new_database().unwrap(), postgres.new_database().unwrap());
    let mut connection = PgConnection::connect(&postgres.owner_url(&migrated)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut connection, false).await.unwrap();
    let mut connection = PgConnection::connect(&postgres.owner_url(&written)).await.unwrap();
    sqlx::raw_sql(schema::SCHEMA_SQL).execute(&mut connection).await.unwrap();

    let migrated = catalog(&postgres.owner_url(&migrated)).await;
    let written = catalog(&postgres.owner_url(&written)).await;
    assert!(migrated.len() > 200, "the catalog queries see the schema: {}", migrated.len());
    let only_migrated: Vec<_> = migrated.difference(&written).collect();
    let only_written: Vec<_> = written.difference(&migrated).collect();
    assert!(
        only_migrated.is_empty() && only_written.is_empty(),
        "only in the migrations: {only_migrated:#?}\nonly in schema.sql: {only_written:#?}\n\
         write it anew: cargo test -p schema --test equivalence -- --ignored"
    );
}

/// A migration that forgot the row would let old releases run on tables they do not know.
#[tokio::test]
async fn the_newest_migration_has_written_its_number_into_the_database() {
    let postgres = PrivatePostgres::shared().unwrap();
    let database = postgres.new_database().unwrap();
    let mut connection = PgConnection::connect(&postgres.owner_url(&database)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut connection, false).await.unwrap();
    let newest = schema::MIGRATOR.iter().map(|migration| migration.version).max();
    assert_eq!(newest, Some(i64::from(schema::VERSION)), "schema::VERSION is the newest migration");
    let (version, oldest): (i32, i32) =
        sqlx::query_as("SELECT version, oldest FROM schema_version")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(version, schema::VERSION, "schema_version.version");
    assert_eq!(oldest, schema::releases::OLDEST, "schema_version.oldest");
    assert!(oldest <= schema::VERSION);
}

/// Not a check: writes `schema.sql` from the migrations, after a migration was added.
#[tokio::test]
#[ignore = "writes schema.sql"]
async fn write_schema_sql() {
    let postgres = PrivatePostgres::shared().unwrap();
    let database = postgres.new_database().unwrap();
    let mut connection = PgConnection::connect(&postgres.owner_url(&database)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut connection, false).await.unwrap();
    let dump = postgres
        .run(
            "pg_dump",
            &["--schema-only", "--no-owner", "--exclude-table=_sqlx_migrations", "-d", &database],
        )
        .unwrap();
    let mut text = String::from(
        "-- The schema as one text: what the migrations make. Written by\n\
         --   cargo test -p schema --test equivalence -- --ignored\n\
         -- and compared with the migrations by the other test of that file.\n\n\
         DO $$ BEGIN\n    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ringfence_app') THEN\n        \
         CREATE ROLE ringfence_app NOLOGIN;\n    END IF;\nEND $$;\n\n",
    );
    // Functions come before the tables their bodies name.
    text.push_str("SET check_function_bodies = false;\n\n");
    let mut blank = false;
    for line in dump.lines() {
        let setting = line.starts_with("SET ") || line.starts_with("SELECT pg_catalog.set_config");
        if line.starts_with("--") || line.starts_with('\\') || setting {
            continue;
        }
        if !(line.is_empty() && blank) {
            text.push_str(line);
            text.push('\n');
        }
        blank = line.is_empty();
    }
    text.push_str("INSERT INTO public.deployment DEFAULT VALUES;\n");
    let row: String = sqlx::query_scalar("SELECT version || ', ' || oldest FROM schema_version")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    text.push_str("INSERT INTO public.schema_version (version, oldest) VALUES (");
    text.push_str(&row);
    text.push_str(");\n");
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.sql"), text).unwrap();
}
