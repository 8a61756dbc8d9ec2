//! What is on record stays on record: by privilege for the programs, by trigger for the owner.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use schema::testing::PrivatePostgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const APPEND_ONLY: &[&str] = &[
    "consent_event",
    "suppression_event",
    "earlier_contact",
    "audit_entry",
    "decision",
    "attempt",
    "placement",
    "outcome",
    "audit_leaf",
    "audit_checkpoint",
    "wish_event",
    "number_check_event",
    "licence_event",
    "counter_event",
];

/// The SQLSTATE and message that a statement fails with.
async fn refused(connection: &mut PgConnection, sql: &str) -> (String, String) {
    let error = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .expect_err(&format!("{sql} must be refused"));
    let error = error.into_database_error().unwrap();
    (error.code().unwrap_or_default().into_owned(), error.message().to_owned())
}

#[tokio::test]
async fn update_delete_and_truncate_are_refused_to_the_programs_and_to_the_owner() {
    let postgres = PrivatePostgres::shared().unwrap();
    let database = postgres.new_database().unwrap();
    let mut owner = PgConnection::connect(&postgres.owner_url(&database)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
    let mut app = PgConnection::connect(&postgres.app_url(&database)).await.unwrap();
    for table in APPEND_ONLY {
        let column: String = sqlx::query_scalar(
            "SELECT column_name::text FROM information_schema.columns
             WHERE table_name = $1 AND is_identity = 'NO' ORDER BY ordinal_position LIMIT 1",
        )
        .bind(table)
        .fetch_one(&mut owner)
        .await
        .unwrap();
        for (word, sql) in [
            ("UPDATE", format!("UPDATE {table} SET {column} = {column}")),
            ("DELETE", format!("DELETE FROM {table}")),
            ("TRUNCATE", format!("TRUNCATE {table} CASCADE")),
        ] {
            let (code, message) = refused(&mut app, &sql).await;
            assert_eq!(code, "42501", "{sql} as app: {message}");
            assert!(message.contains("permission denied"), "{sql} as app: {message}");
            let (code, message) = refused(&mut owner, &sql).await;
            assert_eq!(code, "42501", "{sql} as owner: {message}");
            assert!(message.contains(&format!("is append-only: {word} is refused")), "{message}");
        }
    }
}

#[tokio::test]
async fn the_list_of_this_test_is_the_list_of_the_schema() {
    let postgres = PrivatePostgres::shared().unwrap();
    let database = postgres.new_database().unwrap();
    let mut owner = PgConnection::connect(&postgres.owner_url(&database)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
    let mut tables: Vec<String> = sqlx::query_scalar(
        "SELECT tgrelid::regclass::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE tgname = 'append_only' AND NOT c.relispartition",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    tables.sort();
    let mut listed: Vec<&str> = APPEND_ONLY.to_vec();
    listed.sort_unstable();
    assert_eq!(tables, listed);
}

#[tokio::test]
async fn the_programs_cannot_change_what_the_deployment_is_or_alter_a_table() {
    let postgres = PrivatePostgres::shared().unwrap();
    let database = postgres.new_database().unwrap();
    let mut owner = PgConnection::connect(&postgres.owner_url(&database)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
    let mut app = PgConnection::connect(&postgres.app_url(&database)).await.unwrap();
    for sql in [
        "UPDATE deployment SET clock_offset_ms = 1",
        "ALTER TABLE audit_entry DISABLE TRIGGER append_only",
        "DROP TABLE audit_leaf",
        "DELETE FROM subject_head",
        "DELETE FROM number",
    ] {
        assert_eq!(refused(&mut app, sql).await.0, "42501", "{sql}");
    }
}
