//! What an event in the API does beyond its own row: numbers of a person, waking contacts, telling
//! Redis. Order of locks everywhere in this process: persons, accounts, numbers, heads, contacts.

use dialer_stores::{RedisError, SUPPRESS};
use dialer_types::{Purpose, SubjectId, UnixMillis};
use schema::heads::Moved;
use sqlx::PgConnection;

use crate::app::App;

/// The numbers a person can be reached on, over all campaigns.
pub(crate) async fn numbers_of(
    connection: &mut PgConnection,
    person: SubjectId,
) -> Result<Vec<SubjectId>, sqlx::Error> {
    let numbers: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT n.number_subject FROM contact c JOIN contact_number n ON n.contact_id = c.id
         WHERE c.person_subject = $1 ORDER BY 1",
    )
    .bind(person.0)
    .fetch_all(connection)
    .await?;
    Ok(numbers.into_iter().map(SubjectId).collect())
}

/// Contacts of these persons or numbers that are parked under `cause` are due now, or wait for the
/// start where their campaign does not run. Returns how many.
pub(crate) async fn wake(
    connection: &mut PgConnection,
    subjects: &[SubjectId],
    cause: &str,
    now: UnixMillis,
) -> Result<u64, sqlx::Error> {
    let subjects: Vec<i64> = subjects.iter().map(|subject| subject.0).collect();
    let woken = sqlx::query(
        "WITH concerned AS (
             SELECT id FROM contact WHERE person_subject = ANY($1)
             UNION
             SELECT contact_id FROM contact_number WHERE number_subject = ANY($1)
         ), woken AS (
             DELETE FROM parked p USING concerned c
             WHERE p.contact_id = c.id AND p.cause = $2
             RETURNING p.contact_id, p.campaign_id
         ), running AS (
             SELECT w.contact_id, w.campaign_id,
                    c.status NOT IN ('draft', 'stopped') AS runs
             FROM woken w JOIN campaign c ON c.id = w.campaign_id
         ), moved AS (
             UPDATE contact c SET state = CASE WHEN r.runs THEN 2 ELSE 1 END
             FROM running r WHERE c.id = r.contact_id
         )
         INSERT INTO due (contact_id, campaign_id, due_at)
         SELECT contact_id, campaign_id, $3 FROM running WHERE runs
         ON CONFLICT (contact_id) DO NOTHING",
    )
    .bind(subjects)
    .bind(cause)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(woken.rows_affected())
}

/// Copies in Redis follow. A copy that cannot is stale: it costs a commit and permits nothing, so
/// the request goes on.
pub(crate) async fn follow(app: &App, moved: &[Moved]) {
    if let Err(error) = app.redis.follow(moved).await {
        app.metrics.redis_failures.inc();
        tracing::warn!(%error, heads = moved.len(), "Redis could not be told that heads moved");
    }
}

/// Copies in Redis follow, and every dialer hears of the opt-out. Here a failure is the caller's
/// business (G7): what rings could not be reached.
pub(crate) async fn announce_opt_out(
    app: &App,
    moved: &[Moved],
    seller: i32,
    purpose: Option<Purpose>,
) -> Result<(), RedisError> {
    app.metrics.opt_outs.inc();
    let subjects: Vec<i64> = moved.iter().map(|moved| moved.subject.0).collect();
    // The announcement comes first: it cancels what rings.
    let mut message = serde_json::json!({ "subjects": subjects, "seller": seller });
    if let (Some(message), Some(purpose)) = (message.as_object_mut(), purpose) {
        message.insert("purpose".to_owned(), purpose.as_str().into());
    }
    let told = app.redis.publish(SUPPRESS, &message.to_string()).await;
    let followed = app.redis.follow(moved).await;
    let outcome = told.and(followed);
    if outcome.is_err() {
        app.metrics.redis_failures.inc();
    }
    outcome
}
