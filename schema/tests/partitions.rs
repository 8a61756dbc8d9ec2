//! Tables that grow with every call are in partitions by time, made ahead of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use schema::testing::PrivatePostgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

struct Database {
    owner: PgConnection,
    app: PgConnection,
    _server: std::sync::Arc<PrivatePostgres>,
}

impl Database {
    /// Its clock says 2026-12-15, 00:00 UTC, give or take the time that has passed.
    async fn new() -> Self {
        let postgres = PrivatePostgres::shared().unwrap();
        let database = postgres.new_database().unwrap();
        let mut owner = PgConnection::connect(&postgres.owner_url(&database)).await.unwrap();
        schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
        let app = PgConnection::connect(&postgres.app_url(&database)).await.unwrap();
        let mut database = Self { owner, app, _server: postgres };
        database.its_clock_says("2026-12-15T00:00:00Z").await;
        database
    }

    async fn its_clock_says(&mut self, time: &str) {
        self.does(&format!(
            "UPDATE deployment SET mode = 'demo', clock_offset_ms =
                 1000 * (extract(epoch FROM timestamptz '{time}') - extract(epoch FROM now()))::bigint"
        ))
        .await;
    }

    async fn does(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.owner).await.unwrap();
    }

    async fn made(&mut self, at_once: bool) -> i32 {
        sqlx::query_scalar("SELECT make_partitions($1)")
            .bind(at_once)
            .fetch_one(&mut self.app)
            .await
            .unwrap()
    }

    async fn partitions(&mut self, of: &str) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass
             ORDER BY 1",
        )
        .bind(of)
        .fetch_all(&mut self.owner)
        .await
        .unwrap()
    }

    /// An attempt of a contact that was imported then; returns where it lies.
    async fn attempt(&mut self, imported: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(format!(
            "INSERT INTO attempt
             SELECT first_ulid((1000 * extract(epoch FROM timestamptz '{imported}'))::bigint), 1,
                    gen_random_uuid(), gen_random_uuid(), 0
             RETURNING tableoid::regclass::text"
        )))
        .fetch_one(&mut self.app)
        .await
        .unwrap()
    }

    async fn refused(&mut self, sql: &str) -> String {
        let error = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut self.owner)
            .await
            .expect_err(sql);
        error.into_database_error().unwrap().message().to_owned()
    }
}

#[tokio::test]
async fn a_row_lies_in_the_partition_of_its_month_and_stays_there() {
    let mut database = Database::new().await;
    assert_eq!(database.made(false).await, 3 * 2 + 2, "those that nobody writes to yet");
    assert_eq!(database.made(true).await, 3 + 2);
    assert_eq!(database.made(true).await, 0, "they are there");
    assert_eq!(
        database.partitions("attempt").await,
        ["attempt_2026_12", "attempt_2027_01", "attempt_2027_02", "attempt_rest"]
    );
    for (imported, lies_in) in [
        ("2026-11-30T23:59:59.999Z", "attempt_rest"),
        ("2026-12-01T00:00:00Z", "attempt_2026_12"),
        ("2026-12-31T23:59:59.999Z", "attempt_2026_12"),
        ("2027-02-28T23:59:59.999Z", "attempt_2027_02"),
        ("2027-03-01T00:00:00Z", "attempt_rest"),
    ] {
        assert_eq!(database.attempt(imported).await, lies_in, "{imported}");
    }
    for part in ["attempt_2026_12", "attempt_rest", "audit_entry_0000", "decision_rest"] {
        let said = database.refused(&format!("DELETE FROM {part}")).await;
        assert!(said.contains("is append-only"), "the owner, at {part}: {said}");
        let gone = sqlx::raw_sql(AssertSqlSafe(format!("INSERT INTO {part} SELECT * FROM {part}")));
        gone.execute(&mut database.app).await.expect_err("programs name the whole table only");
    }
}

#[tokio::test]
async fn months_go_by_and_one_that_has_rows_in_the_rest_is_left_out() {
    let mut database = Database::new().await;
    database.made(true).await;
    assert_eq!(database.attempt("2027-03-05T00:00:00Z").await, "attempt_rest");
    database.its_clock_says("2027-02-01T12:00:00Z").await;
    // March of placements and outcomes, April of all three.
    assert_eq!(database.made(false).await, 2 + 3);
    assert_eq!(database.attempt("2027-03-06T00:00:00Z").await, "attempt_rest");
    assert_eq!(database.attempt("2027-04-01T00:00:00Z").await, "attempt_2027_04");
}

#[tokio::test]
async fn entries_lie_in_the_order_of_recording_and_room_is_made_ahead() {
    let mut database = Database::new().await;
    database.made(true).await;
    let entry = "INSERT INTO audit_entry (at, kind, leaf) VALUES (1, 1, 'x')
                 RETURNING tableoid::regclass::text";
    database.does("SELECT setval('audit_entry_id_seq', 67108863 - 1)").await;
    for lies_in in ["audit_entry_0000", "audit_entry_0001"] {
        let found: String = sqlx::query_scalar(entry).fetch_one(&mut database.app).await.unwrap();
        assert_eq!(found, lies_in);
    }
    assert_eq!(database.made(false).await, 1, "the one after the next");
}
