//! What the tables refuse by themselves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use schema::testing::PrivatePostgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const FIXTURE: &str = "
INSERT INTO seller (id, name, created_at) VALUES (gen_random_uuid(), 'one', 0);
INSERT INTO campaign (id, seller_id, name, purpose, technology, caller_id, announces, prompt,
                      milli_cps, max_concurrent, max_tries, ring_timeout_ms, retry, created_at)
    SELECT '00000000-0000-0000-0000-00000000000a', id, 'c', 1, 4, '+13055550100', '{}', 'p',
           1000, 5, 3, 30000, '{}', 0 FROM seller;
INSERT INTO subject (kind) VALUES (3), (1);
INSERT INTO person (subject_id, id, seller_id, external_id, created_at)
    SELECT 1, gen_random_uuid(), id, 'p1', 0 FROM seller;
INSERT INTO number (subject_id, keyed_hash, cipher, line_type, created_at)
    VALUES (2, sha256('x'), 'x', 1, 0);
INSERT INTO contact_list (id, campaign_id, name, state, created_at)
    SELECT '00000000-0000-0000-0000-00000000000b', id, 'l', 'imported', 0 FROM campaign;
INSERT INTO contact (id, campaign_id, list_id, person_subject, party_type, party_role)
    SELECT '00000000-0000-0000-0000-00000000000c', campaign_id, id, 1, 1, 1 FROM contact_list;
INSERT INTO trunk (id, name, address, milli_cps, max_concurrent, created_at)
    VALUES ('00000000-0000-0000-0000-00000000000d', 't', 'h:1', 1, 1, 0);
INSERT INTO attempt SELECT id, 1, campaign_id, gen_random_uuid(), 0 FROM contact;
INSERT INTO placement (id, contact_id, try_no, campaign_id, number_subject, person_subject,
                       trunk_id, node, at, not_after, sip_call_id)
    SELECT '00000000-0000-0000-0000-00000000000e', contact_id, 1, campaign_id, 2, 1,
           '00000000-0000-0000-0000-00000000000d', gen_random_uuid(), 0, 1, 'x' FROM attempt;
INSERT INTO outcome (placement_id, disposition, ended_at, recorded_by)
    SELECT id, 1, 0, node FROM placement;
";

/// Statement, and the SQLSTATE it must fail with: 23505 unique, 23514 check, 23503 foreign key,
/// 23502 not null.
const REFUSED: &[(&str, &str)] = &[
    ("UPDATE deployment SET clock_offset_ms = 5", "23514"),
    ("INSERT INTO deployment DEFAULT VALUES", "23505"),
    ("INSERT INTO seller (id, name, created_at) VALUES (gen_random_uuid(), 'one', 0)", "23505"),
    ("INSERT INTO app_user VALUES (gen_random_uuid(), 'x', 'emperor', 0)", "23514"),
    ("INSERT INTO subject (kind) VALUES (4)", "23514"),
    (
        "INSERT INTO number (subject_id, keyed_hash, cipher, line_type, created_at)
         VALUES (1, sha256('x'), 'x', 1, 0)",
        "23505",
    ),
    (
        "INSERT INTO number (subject_id, keyed_hash, cipher, line_type, created_at)
         VALUES (1, 'short', 'x', 1, 0)",
        "23514",
    ),
    ("INSERT INTO subject_head VALUES (99, gen_random_uuid(), 'x')", "23503"),
    ("UPDATE campaign SET status = 'asleep'", "23514"),
    ("UPDATE campaign SET ring_timeout_ms = 1", "23514"),
    ("UPDATE contact SET state = 9", "23514"),
    ("UPDATE contact_list SET rows = 1", "23514"),
    (
        "INSERT INTO contact (id, campaign_id, list_id, person_subject, party_type, party_role)
         SELECT gen_random_uuid(), campaign_id, list_id, 1, 1, 1 FROM contact",
        "23505",
    ),
    ("INSERT INTO contact_number SELECT id, 8, 2 FROM contact", "23514"),
    ("INSERT INTO contact_number SELECT id, 0, 1 FROM contact", "23503"),
    (
        "INSERT INTO suppression_event (kind, reason, at, recorded_at) VALUES ('add', 'x', 0, 0)",
        "23514",
    ),
    // One attempt per contact and try, inserted with its placement; one outcome per revision (G8).
    ("INSERT INTO attempt SELECT * FROM attempt", "23505"),
    ("INSERT INTO placement SELECT * FROM placement", "23505"),
    ("INSERT INTO outcome SELECT * FROM outcome", "23505"),
    ("INSERT INTO audit_checkpoint VALUES (1, 'short', 'x', 0)", "23514"),
];

#[tokio::test]
async fn each_table_refuses_what_cannot_be() {
    let postgres = PrivatePostgres::shared().unwrap();
    let database = postgres.new_database().unwrap();
    let mut owner = PgConnection::connect(&postgres.owner_url(&database)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
    sqlx::raw_sql(FIXTURE).execute(&mut owner).await.unwrap();
    for (sql, code) in REFUSED {
        let error = sqlx::raw_sql(AssertSqlSafe((*sql).to_owned()))
            .execute(&mut owner)
            .await
            .expect_err(sql)
            .into_database_error()
            .unwrap();
        assert_eq!(error.code().as_deref(), Some(*code), "{sql}: {}", error.message());
    }
}
